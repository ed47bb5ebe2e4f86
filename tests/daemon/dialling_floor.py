"""A telephone on the screen over a PBX that is told what to do: for tests of placing and control of calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from ami_adapter.actions import ClickToCall
from ami_adapter.dialler import EVENT_CLASSES
from ami_adapter.framing import AmiMessage
from ami_adapter.link import AmiSettings
from crm.database import Database
from crm.directory import directory
from crm.rights import Access
from cti.daemon.call_ids import CallIds
from cti.daemon.diallers import DialPlan
from cti.daemon.recognition import Question
from cti.daemon.seating import Seating
from cti.daemon.telephone import OfficeTelephone, open_telephone
from cti.desk import Desk, EmptyDirectory, Message
from tests.ami_adapter.scripted import HASTY, Link, ScriptedAmi, eventually, message, obliging
from tests.crm import planting
from tests.crm.people import make_user

COMMANDS = (
    "Originate", "Hangup", "BlindTransfer", "Redirect", "Atxfer", "CancelAtxfer", "Park", "PlayDTMF", "MixMonitorMute",
)  # fmt: skip


def willing(link: Link, request: AmiMessage, *, ends: str = "4") -> None:
    """A PBX that takes every call; the agent's telephone ends as Asterisk's reason says (4: it answers)."""
    name = request["Action"]
    if name == "ListCommands":
        link.answer(request, **dict.fromkeys(COMMANDS, "Does it.  (Priv: call,all)"))
    elif name == "Originate":
        link.answer(request, Message="Originate successfully queued")
        is_good = ends == "4"
        link.say(
            message(
                Event="OriginateResponse",
                Privilege="call,all",
                ActionID=request["ActionID"],
                Response="Success" if is_good else "Failure",
                Channel=request["Channel"],
                Reason=ends,
                Uniqueid=request["ChannelId"] if is_good else "<unknown>",
            )
        )
    elif name in COMMANDS:
        link.answer(request, Message="Done")
    else:
        obliging(link, request)


def plan_of(settings: AmiSettings) -> DialPlan:
    how = ClickToCall(context="ringcard-click-to-call", ring_seconds=5)
    return DialPlan(settings=settings, how=how, transfer_context="from-internal")


@dataclass
class ScreenTelephone:
    """The telephone of one agent at 101, everything told kept in order."""

    database: Database
    pbx: ScriptedAmi
    agent: Access
    desk: Desk
    connection_id: int
    line_id: int
    telephone: OfficeTelephone
    told: list[tuple[str, Any]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)

    async def rows(self) -> list[tuple[str, str | None]]:
        async with self.database.sessions() as session:
            found = await session.execute(
                text("select state, reason from dial_request order by created_at, id")
            )
            return [tuple(row) for row in found]

    def outcomes(self) -> list[str]:
        return [data["state"] for kind, data in self.told if kind == "dial.outcome"]

    def originates(self) -> list[AmiMessage]:
        return [request for request in self.pbx.requests if request["Action"] == "Originate"]


def settings_of(pbx: ScriptedAmi) -> AmiSettings:
    return AmiSettings(
        host="127.0.0.1",
        port=pbx.port,
        user="ringcard-dialler",
        secret="s3cr3t",
        event_classes=EVENT_CLASSES,
        patience=HASTY,
    )


@asynccontextmanager
async def screen_telephone(
    database: Database, behave: Callable[[Link, AmiMessage], None] = willing
) -> AsyncIterator[ScreenTelephone]:
    """An agent who can dial, the link up."""
    async with database.sessions.begin() as session:
        await session.execute(text("delete from dial_request"))
        agent = await make_user(session)
        connection_id = await planting.connection(session, f"PBX of {agent.login}")
        await planting.extension(session, connection_id, "101", agent.user_id)
        await planting.extension(session, connection_id, "102", None)
        line_id = await planting.line(session, connection_id, "+74951234501")
        found = await directory(session, datetime.now(UTC))
    async with ScriptedAmi(behave) as pbx:
        desk = Desk(EmptyDirectory(), epoch="e")
        floor: ScreenTelephone

        def take(data: Any) -> None:
            floor.messages += data

        telephone = open_telephone(
            sessions=database.sessions,
            desk=desk,
            ids=CallIds(),
            ask=lambda question: floor.asked.append(question),
            deliver=take,
            tell=lambda _user, kind, data: floor.told.append((kind, data)),
            now=lambda: datetime.now(UTC),
        )
        floor = ScreenTelephone(
            database=database,
            pbx=pbx,
            agent=agent,
            desk=desk,
            connection_id=connection_id,
            line_id=line_id,
            telephone=telephone,
        )
        desk.set_directory(Seating(found))
        telephone.set_directory(found)
        await telephone.equal({connection_id: plan_of(settings_of(pbx))})
        try:
            await eventually(lambda: [one for one in telephone.places(agent.user_id) if one.is_ready])
            yield floor
        finally:
            await telephone.close()
            await asyncio.sleep(0)
