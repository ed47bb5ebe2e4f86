"""The screen of two agents at the test PBX: our reader's link moves the windows, our dialler's link places and controls calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from ami_adapter.actions import ClickToCall
from ami_adapter.connection import AmiConnection
from ami_adapter.dialler import EVENT_CLASSES
from ami_adapter.link import LinkStatus
from crm.database import Database
from crm.directory import directory
from crm.journal import Journal
from crm.journal_entries import Entry
from crm.rights import Access
from cti.daemon.call_ids import CallIds
from cti.daemon.controlling import UNDOES
from cti.daemon.diallers import DialPlan
from cti.daemon.switchboard import Switchboard
from cti.daemon.telephone import OfficeTelephone, open_telephone
from cti.desk import CallView, Desk, EmptyDirectory
from tests.crm import planting
from tests.crm.people import make_user
from tests.pbx.asterisk_lab import DIALLER, READER, AsteriskLab
from tests.pbx.listening import settings_of
from web.telephone import Click, Done, Wanted

LINE = "+74951234502"


class NoJournal:
    def put(self, entry: Entry) -> None:
        """What is stored is not looked at here."""


@dataclass
class Screens:
    """What the agents at 101 and 102 see and do."""

    desk: Desk
    telephone: OfficeTelephone
    agents: dict[str, Access]
    line_id: int
    told: list[tuple[str, Any]] = field(default_factory=list)

    async def dial(self, extension: str, number: str) -> UUID:
        one = Click(request_id=uuid4(), number=number, line_id=self.line_id)
        return (await self.telephone.place(self.agents[extension], one)).id

    async def until_told(self, state: str, seconds: float = 10) -> dict[str, Any]:
        """What became of a click, once it is this."""
        async with asyncio.timeout(seconds):
            while not self.told or self.told[-1][1]["state"] != state:
                await asyncio.sleep(0.02)
        last: dict[str, Any] = self.told[-1][1]
        return last

    async def does(self, extension: str, control: str, **more: Any) -> Done:
        """This agent does something to their newest open call."""
        view = await self.sees(extension, lambda one: UNDOES.get(control, control) in one.controls)
        wanted = replace(Wanted(control=control), **more)
        return await self.telephone.control(self.agents[extension], view.id, wanted)

    async def sees(self, extension: str, fits: Callable[[CallView], object], seconds: float = 10) -> CallView:
        """A window of this agent that fits, waiting for it if need be."""
        shown: list[CallView] = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    hello = self.desk.hello(self.agents[extension].user_id, datetime.now(UTC))
                    shown = list(hello.calls)
                    for view in reversed(shown):
                        if fits(view):
                            return view
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            error.add_note(f"{extension} sees {shown}")
            raise


@asynccontextmanager
async def screens(
    lab: AsteriskLab, database: Database, journal: Journal | None = None
) -> AsyncIterator[Screens]:
    async with database.sessions.begin() as session:
        for table in ("dial_request", "extension_assignment", "extension", "line"):
            await session.execute(text(f"delete from {table}"))
        connection_id = await planting.connection(session, f"lab {uuid4().hex[:8]}")
        agents = {extension: await make_user(session) for extension in ("101", "102")}
        for extension, agent in agents.items():
            await planting.extension(session, connection_id, extension, agent.user_id)
        line_id = await planting.line(session, connection_id, LINE)
        found = await directory(session, datetime.now(UTC))
    desk, ids = Desk(EmptyDirectory(), epoch="e"), CallIds()
    told: list[tuple[str, Any]] = []
    board = Switchboard(
        desk=desk,
        journal=journal or NoJournal(),
        ask=lambda _question: None,
        deliver=lambda _messages: None,
        now=lambda: datetime.now(UTC),
        ids=ids,
    )
    telephone = open_telephone(
        sessions=database.sessions,
        desk=desk,
        ids=ids,
        ask=lambda _question: None,
        deliver=lambda _messages: None,
        tell=lambda _user, kind, data: told.append((kind, data)),
        now=lambda: datetime.now(UTC),
    )
    board.set_directory(found)
    telephone.set_directory(found)
    reader = AmiConnection(settings_of(lab, READER), emit=lambda events: board.receive(connection_id, events))
    plan = DialPlan(
        settings=replace(settings_of(lab, DIALLER), event_classes=EVENT_CLASSES),
        how=ClickToCall(context="ringcard-click-to-call"),
        transfer_context="from-internal",
    )
    async with AsyncExitStack() as stack:
        running = asyncio.create_task(reader.run())
        stack.push_async_callback(_ended, running)
        stack.push_async_callback(telephone.close)
        await telephone.equal({connection_id: plan})
        async with asyncio.timeout(10):
            while (
                reader.state.status is not LinkStatus.UP
                or not telephone.places(agents["101"].user_id)[0].is_ready
            ):
                await asyncio.sleep(0.02)
        yield Screens(desk=desk, telephone=telephone, agents=agents, line_id=line_id, told=told)


async def _ended(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
