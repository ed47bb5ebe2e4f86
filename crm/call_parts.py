"""What belongs to calls: who took part, transfers, notes, linked ids, the story; for many calls at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, case, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from crm.call_rows import told_lines
from crm.rights import Access, condition
from crm.schema.access import Team, User
from crm.schema.communications import Call, CallKey, CallNote, Leg, Participation, Transfer
from crm.schema.telephony import PbxConnection

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LegInfo:
    """One channel of the PBX."""

    channel_id: str
    channel_name: str
    extension: str | None
    started_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    hangup_cause: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipationInfo:
    """One agent's part, with the person and team of that moment, and its channels."""

    id: UUID
    extension: str
    attempt: int
    user_id: int | None
    user_name: str | None
    team_id: int | None
    team_name: str | None
    came_by: str
    rang_at: datetime | None
    has_rung: bool  # also where nobody saw when
    answered_at: datetime | None
    left_at: datetime | None
    result: str | None
    is_first_answer: bool
    legs: tuple[LegInfo, ...]

    @property
    def talk_seconds(self) -> float | None:
        """From the answer to leaving, hold included."""
        if self.answered_at is None or self.left_at is None:
            return None
        return (self.left_at - self.answered_at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferInfo:
    from_extension: str | None
    to: str
    kind: str
    at: datetime | None
    outcome: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteInfo:
    """What an agent wrote during a call."""

    user_id: int
    user_name: str
    text: str
    version: int
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorInfo:
    """The same call as another connection saw it."""

    id: UUID
    connection_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """By call; a call without such parts is not named."""

    participations: Mapping[UUID, tuple[ParticipationInfo, ...]]
    transfers: Mapping[UUID, tuple[TransferInfo, ...]]
    notes: Mapping[UUID, tuple[NoteInfo, ...]]
    linked_ids: Mapping[UUID, tuple[str, ...]]
    stories: Mapping[UUID, tuple[str, ...]]
    mirrors: Mapping[UUID, tuple[MirrorInfo, ...]]


async def parts_of(session: AsyncSession, access: Access, calls: Sequence[UUID]) -> Parts:
    """The parts of calls that this user may read; the notes only within the right to notes."""
    return Parts(
        participations=await _participations(session, calls),
        transfers=await _transfers(session, calls),
        notes=await _notes(session, access, calls),
        linked_ids=await _linked_ids(session, calls),
        stories=await _stories(session, calls),
        mirrors=await _mirrors(session, calls),
    )


def sightings(calls: Sequence[UUID]) -> CompoundSelect[UUID]:
    """The ids of these calls and of their mirrors: a window may have told a call by either."""
    own = select(Call.id).where(Call.id.in_(calls))
    return union(own, select(Call.id).where(Call.mirror_of_id.in_(calls)))


async def _participations(
    session: AsyncSession, calls: Sequence[UUID]
) -> dict[UUID, tuple[ParticipationInfo, ...]]:
    legs = await _legs(session, calls)
    rows = await session.execute(
        select(Participation, User.name, Team.name)
        .outerjoin(User, User.id == Participation.user_id)
        .outerjoin(Team, Team.id == Participation.team_id)
        .where(Participation.call_id.in_(calls))
        .order_by(Participation.position, Participation.rang_at.nulls_last(), Participation.id)
    )
    return _by_call(
        (part.call_id, _participation(part, user_name, team_name, legs.get(part.id, ())))
        for part, user_name, team_name in rows
    )


def _participation(
    part: Participation, user_name: str | None, team_name: str | None, legs: tuple[LegInfo, ...]
) -> ParticipationInfo:
    return ParticipationInfo(
        id=part.id,
        extension=part.extension,
        attempt=part.attempt,
        user_id=part.user_id,
        user_name=user_name,
        team_id=part.team_id,
        team_name=team_name,
        came_by=part.came_by,
        rang_at=part.rang_at,
        has_rung=part.has_rung,
        answered_at=part.answered_at,
        left_at=part.left_at,
        result=part.result,
        is_first_answer=part.is_first_answer,
        legs=legs,
    )


async def _legs(session: AsyncSession, calls: Sequence[UUID]) -> dict[UUID, tuple[LegInfo, ...]]:
    """By participation."""
    rows = await session.scalars(
        select(Leg)
        .where(Leg.call_id.in_(calls), Leg.participation_id.is_not(None))
        .order_by(Leg.started_at.nulls_last(), Leg.channel_id)
    )
    return _by_call(
        (
            leg.participation_id,
            LegInfo(
                channel_id=leg.channel_id,
                channel_name=leg.channel_name,
                extension=leg.extension,
                started_at=leg.started_at,
                answered_at=leg.answered_at,
                ended_at=leg.ended_at,
                hangup_cause=leg.hangup_cause,
            ),
        )
        for leg in rows
        if leg.participation_id is not None
    )


async def _transfers(session: AsyncSession, calls: Sequence[UUID]) -> dict[UUID, tuple[TransferInfo, ...]]:
    rows = await session.scalars(
        select(Transfer).where(Transfer.call_id.in_(calls)).order_by(Transfer.position)
    )
    return _by_call(
        (
            row.call_id,
            TransferInfo(
                from_extension=row.from_extension,
                to=row.to_target,
                kind=row.kind,
                at=row.at,
                outcome=row.outcome,
            ),
        )
        for row in rows
    )


async def _notes(
    session: AsyncSession, access: Access, calls: Sequence[UUID]
) -> dict[UUID, tuple[NoteInfo, ...]]:
    rows = await session.execute(
        select(_shown_as(calls), CallNote, User.name)
        .join(User, User.id == CallNote.user_id)
        .join(Call, Call.id == CallNote.call_id)
        .where(
            CallNote.call_id.in_(sightings(calls)), CallNote.text != "", condition(access, "call.notes", Call)
        )
        .order_by(CallNote.created_at, CallNote.id)
        .execution_options(populate_existing=True)
    )
    return _by_call(
        (
            call_id,
            NoteInfo(
                user_id=note.user_id,
                user_name=name,
                text=note.text,
                version=note.version,
                updated_at=note.updated_at,
            ),
        )
        for call_id, note, name in rows
    )


async def _linked_ids(session: AsyncSession, calls: Sequence[UUID]) -> dict[UUID, tuple[str, ...]]:
    """Oldest first: the one that names the call, then the others as they became known, then those of its mirrors."""
    shown_as = _shown_as(calls)
    rows = await session.execute(
        select(shown_as, CallKey.linked_id)
        .join(Call, Call.id == CallKey.call_id)
        .where(CallKey.call_id.in_(sightings(calls)))
        .order_by((Call.id != shown_as), (CallKey.linked_id != Call.external_id), CallKey.id)
    )
    return _by_call((call_id, linked_id) for call_id, linked_id in rows)


async def _stories(session: AsyncSession, calls: Sequence[UUID]) -> dict[UUID, tuple[str, ...]]:
    rows = await session.execute(select(Call.id, Call.story).where(Call.id.in_(calls)))
    return {call_id: tuple(told_lines(story)) for call_id, story in rows}


async def _mirrors(session: AsyncSession, calls: Sequence[UUID]) -> dict[UUID, tuple[MirrorInfo, ...]]:
    rows = await session.execute(
        select(Call.mirror_of_id, Call.id, PbxConnection.name)
        .join(PbxConnection, PbxConnection.id == Call.connection_id)
        .where(Call.mirror_of_id.in_(calls), Call.joined_into_id.is_(None))
        .order_by(Call.started_at, Call.id)
    )
    return _by_call((root, MirrorInfo(id=id_, connection_name=name)) for root, id_, name in rows)


def _shown_as(calls: Sequence[UUID]) -> ColumnElement[UUID]:
    """The call among these to which a sighting belongs: itself, else the one it mirrors."""
    return case((Call.id.in_(calls), Call.id), else_=Call.mirror_of_id)


def _by_call(pairs: Iterable[tuple[Any, T]]) -> dict[UUID, tuple[T, ...]]:
    found: dict[UUID, list[T]] = {}
    for call_id, value in pairs:
        found.setdefault(call_id, []).append(value)
    return {call_id: tuple(values) for call_id, values in found.items()}
