"""A pause of the screen holds in the queues of a real Asterisk, and a pause made there is the agent's own. With the accounts of asterisk-config."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import text

from ami_adapter.actions import ClickToCall
from ami_adapter.connection import AmiConnection
from ami_adapter.dialler import EVENT_CLASSES
from ami_adapter.link import LinkState, LinkStatus
from crm.agent_wishes import set_wish, stored_wishes
from crm.database import Database
from crm.directory import directory
from crm.rights import Access
from cti.calls.presence_events import PresenceEvent
from cti.daemon.call_ids import CallIds
from cti.daemon.diallers import DialPlan
from cti.daemon.pausing import Pausing
from cti.daemon.seating import Seating
from cti.daemon.telephone import open_telephone
from cti.desk import AgentState, ConnectionView, Desk, EmptyDirectory, Wish
from tests.crm import planting
from tests.crm.people import make_user
from tests.pbx.asterisk_lab import DIALLER, READER, AsteriskLab
from tests.pbx.listening import settings_of

MEMBERS = {"PJSIP/101": "sales", "Local/101@queue-member/n": "support"}
PATIENT_SECONDS = 15


@dataclass
class Running:
    """ringcard's part of it, from the wish to the queues, for the agent at 101."""

    database: Database
    pbx: AsteriskLab
    desk: Desk
    pausing: Pausing
    agent: Access

    async def wishes(self, state: str, reason: str | None = None) -> None:
        """As the page of the shift does it."""
        async with self.database.sessions.begin() as session:
            await set_wish(session, self.agent, state, reason)
        await self.renew()

    async def renew(self) -> None:
        async with self.database.sessions() as session:
            self.pausing.wished(await stored_wishes(session))

    async def wish(self) -> Wish:
        async with self.database.sessions() as session:
            return (await stored_wishes(session))[self.agent.user_id].wish

    async def until_paused(self, *reasons: str) -> None:
        """Both places of 101 are paused for one of these reasons; none: they are called."""

        def holds() -> bool:
            places = self.desk.shift.places_in_queues(self.agent.user_id)
            is_right = all(
                one.is_paused == bool(reasons) and (not reasons or one.reason in reasons) for one in places
            )
            return {one.interface for one in places} == set(MEMBERS) and is_right

        await until(holds)

    def at_the_pbx(self, command: str) -> None:
        for interface, queue in MEMBERS.items():
            self.pbx.cli(command.replace("MEMBER", f"{interface} queue {queue}"))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENT_SECONDS):
        while not is_so():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(
    pbx: AsteriskLab, database: Database, agent: Access, connection_id: int
) -> AsyncIterator[Running]:
    async with database.sessions() as session:
        found = await directory(session, datetime.now(UTC))
    desk = Desk(EmptyDirectory(), epoch="e")
    telephone = open_telephone(
        sessions=database.sessions,
        desk=desk,
        ids=CallIds(),
        ask=lambda _question: None,
        deliver=lambda _messages: None,
        tell=lambda _user, _kind, _data: None,
        now=lambda: datetime.now(UTC),
        on_account=lambda id_: pausing.look_at(id_),
    )
    pausing = Pausing(
        database.sessions, desk.shift, pause=telephone.pause, tell=lambda _user, _kind, _data: None
    )

    def link(state: LinkState) -> None:
        view = ConnectionView(id=connection_id, name="lab", state=state.status.value)
        desk.set_connection(view, datetime.now(UTC))

    def hear(events: Sequence[PresenceEvent]) -> None:
        desk.shift.hear(connection_id, events)

    desk.set_directory(Seating(found), datetime.now(UTC))
    telephone.set_directory(found)
    reader = AmiConnection(
        settings_of(pbx, READER),
        emit=lambda _events: None,
        on_state=link,
        on_presence=hear,
    )
    account = replace(settings_of(pbx, DIALLER), event_classes=EVENT_CLASSES)
    how = ClickToCall(context="ringcard-click-to-call")
    tasks = [asyncio.create_task(reader.run()), asyncio.create_task(pausing.run())]
    try:
        await telephone.equal(
            {connection_id: DialPlan(settings=account, how=how, transfer_context="from-internal")}
        )
        await until(
            lambda: reader.state.status is LinkStatus.UP and telephone.places(agent.user_id)[0].is_ready
        )
        await until(lambda: len(desk.shift.places_in_queues(agent.user_id)) == len(MEMBERS))
        here = Running(database, pbx, desk, pausing, agent)
        await here.renew()
        yield here
    finally:
        await telephone.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_pause_goes_both_ways_and_outlives_a_restart(pbx: AsteriskLab, database: Database) -> None:
    async with database.sessions.begin() as session:
        await session.execute(text("delete from extension_assignment"))
        connection_id = await planting.connection(session, f"lab {uuid4().hex[:8]}")
        agent = await make_user(session)
        await planting.extension(session, connection_id, "101", agent.user_id)
    async with running(pbx, database, agent, connection_id) as here:
        await here.wishes("available")
        await here.wishes("paused", "Lunch")
        await here.until_paused("Lunch")
        await here.wishes("available")
        await here.until_paused()
        await asyncio.sleep(0.3)
        assert await here.wish() == Wish(AgentState.AVAILABLE)  # no echo was taken for a pause
        here.pausing._echoes.clear()  # five seconds later
        here.at_the_pbx("queue pause member MEMBER reason Обед")
        await here.until_paused("Обед")
        async with asyncio.timeout(PATIENT_SECONDS):
            while await here.wish() != Wish(AgentState.PAUSED, "Обед"):
                await asyncio.sleep(0.05)
        here.at_the_pbx("queue unpause member MEMBER")
        async with asyncio.timeout(PATIENT_SECONDS):
            while (await here.wish()).state is not AgentState.AVAILABLE:
                await asyncio.sleep(0.05)
        await here.wishes("offline")
        await here.until_paused("off_shift")
    here.at_the_pbx("queue unpause member MEMBER")  # a PBX that starts anew forgets
    async with running(pbx, database, agent, connection_id) as here:
        await here.until_paused("off_shift")
        await here.wishes("available")
        await here.until_paused()
