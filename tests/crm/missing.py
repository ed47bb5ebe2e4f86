"""A company whose callers are missed, called back and call again: calls told to the journal by the minute of one invented day."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.journal import store_entries
from crm.journal_entries import CallEntry, CallFacts
from crm.rights import Access
from crm.schema.base import uuid7
from crm.schema.desk import CallbackCase
from crm.schema.telephony import Line
from cti.calls.records import CallRecord, CallState, CameBy, Direction, Disposition, Participation
from tests.crm import planting
from tests.crm.people import make_team, make_user
from tests.crm.planting import NOON

MIDNIGHT = NOON.replace(hour=0)
LINE = "+74950000001"
_keys, _steps, _names = itertools.count(1), itertools.count(1), itertools.count(1)


def clock(told: str) -> datetime:
    """ "10:05" of the invented day."""
    hours, minutes = map(int, told.split(":"))
    return MIDNIGHT + timedelta(hours=hours, minutes=minutes)


@dataclass(slots=True)
class Company:
    """A PBX with one line of a team; two agents at 101 and 102."""

    session: AsyncSession
    pbx: int = 0
    line: int = 0
    team: int = 0
    agents: list[Access] = field(default_factory=list)

    @classmethod
    async def found(cls, session: AsyncSession) -> Company:
        number = next(_names)
        made = cls(session)
        made.pbx = await planting.connection(session, f"Office {number}")
        made.team = await make_team(session, f"Sales {number}")
        made.line = await planting.line(session, made.pbx, LINE)
        await session.execute(update(Line).where(Line.id == made.line).values(team_id=made.team))
        for extension in ("101", "102"):
            agent = await make_user(session, ["agent"], team_id=made.team)
            await planting.extension(session, made.pbx, extension, agent.user_id)
            made.agents.append(agent)
        return made

    def missed(
        self, number: str | None, at: str, disposition: Disposition = Disposition.ABANDONED, **facts: Any
    ) -> CallEntry:
        """Somebody called, and nobody took it within 30 seconds."""
        started_at = clock(at)
        record = CallRecord(
            **_key(),
            direction=Direction.INBOUND,
            state=CallState.ENDED,
            customer_number=number,
            did=LINE,
            disposition=disposition,
            started_at=started_at,
            ended_at=started_at + timedelta(seconds=30),
        )
        return self.entry(record, number, **facts)

    def talk(
        self, number: str | None, at: str, *, seconds: float = 40, is_inbound: bool = False, **facts: Any
    ) -> CallEntry:
        """102 talks with a customer: by calling them, or by taking their call."""
        started_at = clock(at)
        answered_at = started_at + timedelta(seconds=8)
        part = Participation(
            extension="102",
            attempt=1,
            came_by=CameBy.RING if is_inbound else CameBy.DIALLED,
            rang_at=started_at,
            answered_at=answered_at,
            left_at=answered_at + timedelta(seconds=seconds),
            is_first_answer=True,
        )
        record = CallRecord(
            **_key(),
            direction=Direction.INBOUND if is_inbound else Direction.OUTBOUND,
            state=CallState.ENDED,
            customer_number=number,
            answered_by="102" if is_inbound else None,
            placed_by=None if is_inbound else "102",
            disposition=Disposition.ANSWERED,
            started_at=started_at,
            answered_at=answered_at,
            ended_at=part.left_at,
            talk_seconds=seconds,
            participations=(part,),
        )
        return self.entry(record, number, **facts)

    def tried(self, number: str, at: str, disposition: Disposition = Disposition.NO_ANSWER) -> CallEntry:
        """102 calls a customer, who does not answer."""
        started_at = clock(at)
        part = Participation(
            extension="102", attempt=1, came_by=CameBy.DIALLED, left_at=started_at + timedelta(seconds=25)
        )
        record = CallRecord(
            **_key(),
            direction=Direction.OUTBOUND,
            state=CallState.ENDED,
            customer_number=number,
            placed_by="102",
            disposition=disposition,
            started_at=started_at,
            ended_at=part.left_at,
            participations=(part,),
        )
        return self.entry(record, number)

    def entry(self, record: CallRecord, number: str | None, **facts: Any) -> CallEntry:
        known: dict[str, Any] = {"customer_e164": number, "match_status": "unknown" if number else "hidden"}
        if record.direction is Direction.INBOUND:
            known |= {"did_e164": LINE, "line_id": self.line}
        return CallEntry(
            connection_id=self.pbx,
            call_id=uuid7(),
            record=record,
            facts=CallFacts(**(known | facts)),
            at=record.ended_at or record.started_at or NOON,
            run="1",
            step=next(_steps),
        )

    async def tell(self, *entries: CallEntry) -> None:
        """As the journal stores them, one transaction each."""
        for entry in entries:
            await store_entries(await self.session.connection(), [entry])
        self.session.expire_all()

    async def cases(self, number: str | None = None) -> list[CallbackCase]:
        """Of this company's team, the first missed first."""
        query = select(CallbackCase).where(CallbackCase.team_id == self.team)
        if number is not None:
            query = query.where(CallbackCase.e164 == number)
        return list(await self.session.scalars(query.order_by(CallbackCase.first_missed_at)))

    async def case(self, number: str) -> CallbackCase:
        (found,) = await self.cases(number)
        return found


def _key() -> dict[str, Any]:
    key = f"{next(_keys)}.1"
    return {"key": key, "linked_ids": (key,)}


def caller(number: int) -> str:
    return f"+7900000{number:04d}"


__all__ = ["LINE", "UUID", "Company", "caller", "clock"]
