"""Earlier calls of the demo's clients, so that a card that pops has a history."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.callback_following import follow_calls
from crm.demo_clients import NOTES
from crm.schema.base import uuid7
from crm.schema.communications import Call, CallKey, CallNote, Communication, Participation
from crm.schema.parties import Affiliation, Party, PartyPhone, PhoneNumber
from crm.schema.telephony import Line

DAYS: Final = 45
# Whom nobody called back yet: the number, how long ago.
MISSED: Final = (
    ("+79161234541", timedelta(minutes=55)),
    ("+79161234541", timedelta(minutes=12)),
    ("+79161234502", timedelta(minutes=8)),
    ("+79165550004", timedelta(hours=3)),
)
_RESULTS: Final = ("answered", "answered", "answered", "answered", "no_answer", "abandoned")


@dataclass(frozen=True, slots=True)
class _Caller:
    """Whose number it is: the organisation and its contact, or one of the two."""

    e164: str
    party_id: int
    contact_id: int | None
    owner_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the calls came in."""

    connection_id: int
    team_id: int
    lines: list[tuple[int, str]]
    agents: list[tuple[str, int]]  # extension, user id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """One invented call."""

    id: UUID
    caller: _Caller
    is_inbound: bool
    extension: str
    user_id: int
    line_id: int
    did: str
    disposition: str
    started_at: datetime
    ring_seconds: float
    talk_seconds: float

    @property
    def answered_at(self) -> datetime | None:
        answered = self.started_at + timedelta(seconds=self.ring_seconds)
        return answered if self.talk_seconds else None

    @property
    def ended_at(self) -> datetime:
        return self.started_at + timedelta(seconds=self.ring_seconds + self.talk_seconds)


async def add_earlier_calls(
    session: AsyncSession, connection_id: int, users: Mapping[str, int], team_id: int, at: datetime
) -> None:
    """A few finished calls for each number that somebody owns, spread over the last weeks; the same each time."""
    chance = random.Random(7)  # noqa: S311 - a demo should look the same twice
    lines = await session.execute(
        select(Line.id, Line.e164).where(Line.connection_id == connection_id).order_by(Line.id)
    )
    place = _Place(
        connection_id=connection_id,
        team_id=team_id,
        lines=[(line_id, e164) for line_id, e164 in lines],
        agents=sorted(users.items()),
    )
    rows: dict[type, list[dict[str, Any]]] = {}
    callers = await _callers(session)
    for caller in callers:
        for _ in range(chance.randint(1, 5)):
            for model, row in _call(chance, caller, place, at):
                rows.setdefault(model, []).append(row)
    missed = [_missed(caller, place, at - ago) for caller, ago in _missing(callers)]
    for told in missed:
        for model, row in _rows(told, place):
            rows.setdefault(model, []).append(row)
    for model in (Communication, Call, CallKey, Participation, CallNote):
        await session.execute(insert(model), rows[model])
    await _remember_last(session)
    await follow_calls(await session.connection(), [told.id for told in missed])


async def _callers(session: AsyncSession) -> list[_Caller]:
    rows = await session.execute(
        select(PhoneNumber.e164, PartyPhone.party_id, Affiliation.organisation_id, Party.owner_id)
        .join(PartyPhone, PartyPhone.number_id == PhoneNumber.id)
        .join(Party, Party.id == PartyPhone.party_id)
        .outerjoin(Affiliation, Affiliation.person_id == PartyPhone.party_id)
        .where(PhoneNumber.usage == "direct")
        .order_by(PartyPhone.id)
    )
    return [
        _Caller(e164 or "", organisation_id or party_id, party_id if organisation_id else None, owner_id)
        for e164, party_id, organisation_id, owner_id in rows
    ]


def _call(
    chance: random.Random, caller: _Caller, place: _Place, at: datetime
) -> list[tuple[type, dict[str, Any]]]:
    told = _told(chance, caller, place, at)
    rows = _rows(told, place)
    if told.answered_at and chance.random() < 0.6:
        rows.append((CallNote, _note(chance, told)))
    return rows


def _rows(told: _Told, place: _Place) -> list[tuple[type, dict[str, Any]]]:
    key = {
        "connection_id": place.connection_id,
        "linked_id": f"demo-{told.id}",
        "call_id": told.id,
    }
    return [
        (Communication, _communication(told, place)),
        (Call, _call_row(told, place)),
        (CallKey, key),
        (Participation, _participation(told, place)),
    ]


def _missing(callers: list[_Caller]) -> list[tuple[_Caller, timedelta]]:
    by_number = {caller.e164: caller for caller in callers}
    return [(by_number[number], ago) for number, ago in MISSED if number in by_number]


def _missed(caller: _Caller, place: _Place, started_at: datetime) -> _Told:
    """They waited half a minute at the first telephone, and left."""
    extension, user_id = place.agents[0]
    line_id, did = place.lines[-1]
    return _Told(
        id=uuid7(int(started_at.timestamp() * 1000)),
        caller=caller,
        is_inbound=True,
        extension=extension,
        user_id=user_id,
        line_id=line_id,
        did=did,
        disposition="abandoned",
        started_at=started_at,
        ring_seconds=30.0,
        talk_seconds=0.0,
    )


def _told(chance: random.Random, caller: _Caller, place: _Place, at: datetime) -> _Told:
    started_at = at - timedelta(days=chance.uniform(0.2, DAYS), seconds=chance.uniform(0, 3600))
    extension, user_id = chance.choice(place.agents)
    is_inbound = chance.random() >= 0.3
    line_id, did = chance.choice(place.lines)
    disposition = chance.choice(_RESULTS) if is_inbound else "answered"
    return _Told(
        id=uuid7(int(started_at.timestamp() * 1000)),
        caller=caller,
        is_inbound=is_inbound,
        extension=extension,
        user_id=user_id,
        line_id=line_id,
        did=did,
        disposition=disposition,
        started_at=started_at,
        ring_seconds=round(chance.uniform(3, 18), 1),
        talk_seconds=round(chance.uniform(20, 400), 1) if disposition == "answered" else 0.0,
    )


def _communication(told: _Told, place: _Place) -> dict[str, Any]:
    return {
        "id": told.id,
        "kind": "call",
        "direction": "in" if told.is_inbound else "out",
        "started_at": told.started_at,
        "ended_at": told.ended_at,
        "user_id": told.user_id if told.answered_at else None,
        "team_id": place.team_id,
        "party_id": told.caller.party_id,
        "contact_id": told.caller.contact_id,
        "link_source": "auto",
    }


def _call_row(told: _Told, place: _Place) -> dict[str, Any]:
    return {
        "id": told.id,
        "connection_id": place.connection_id,
        "external_id": f"demo-{told.id}",
        "direction": "inbound" if told.is_inbound else "outbound",
        "state": "ended",
        "presented_from": told.caller.e164 if told.is_inbound else told.extension,
        "presented_to": told.did if told.is_inbound else told.caller.e164,
        "customer_e164": told.caller.e164,
        "did_e164": told.did if told.is_inbound else None,
        "line_id": told.line_id,
        "placed_by": None if told.is_inbound else told.extension,
        "answered_by": told.extension if told.is_inbound and told.answered_at else None,
        "final_agent": told.extension if told.answered_at else None,
        "started_at": told.started_at,
        "answered_at": told.answered_at,
        "ended_at": told.ended_at,
        "disposition": told.disposition,
        "hung_up_by": "agent" if told.talk_seconds > 200 else "customer",
        "ring_seconds": told.ring_seconds,
        "wait_seconds": told.ring_seconds if told.is_inbound else None,
        "talk_seconds": told.talk_seconds,
        "hold_seconds": 0.0,
        "match_status": "matched",
        "story": {"demo": [f"An invented call of the demo: {told.disposition}."]},
    }


def _participation(told: _Told, place: _Place) -> dict[str, Any]:
    return {
        "id": uuid7(int(told.started_at.timestamp() * 1000)),
        "call_id": told.id,
        "user_id": told.user_id,
        "team_id": place.team_id,
        "extension": told.extension,
        "attempt": 1,
        "came_by": "ring" if told.is_inbound else "dialled",
        "rang_at": told.started_at if told.is_inbound else None,
        "answered_at": told.answered_at,
        "left_at": told.ended_at,
        "result": "answered" if told.answered_at else "not_answered",
        "is_first_answer": told.answered_at is not None,
    }


def _note(chance: random.Random, told: _Told) -> dict[str, Any]:
    return {
        "id": uuid7(int(told.ended_at.timestamp() * 1000)),
        "call_id": told.id,
        "user_id": told.user_id,
        "text": chance.choice(NOTES),
        "created_at": told.ended_at,
        "updated_at": told.ended_at,
    }


async def _remember_last(session: AsyncSession) -> None:
    """What the journal keeps on the parties as calls end."""
    for column in ("party_id", "contact_id"):
        await session.execute(
            text(
                f"update party set last_communication_at = last.at, last_talk_at = last.talk_at "  # noqa: S608
                f"from (select m.{column} as id, max(m.started_at) as at, max(c.answered_at) as talk_at "
                f"from communication m join call c on c.id = m.id where m.{column} is not null group by 1) last "
                "where last.id = party.id"
            )
        )
