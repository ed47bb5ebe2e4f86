"""What changed in records, in the order in which it was committed: out of the outbox, for open pages and for other programs.

Only what lies below the oldest running transaction is read, so that a place once passed never gets anything more (nothing is missed,
nothing told twice). A long transaction holds everybody's news back until it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from crm.party_access import readable
from crm.rights import Access, condition
from crm.schema.access import User
from crm.schema.journals import OutboxEvent
from crm.schema.leads import Lead
from crm.schema.parties import Party

KINDS: Final = ("party", "lead")  # whose pages and rows follow what happens
RIGHTS: Final[Mapping[str, str]] = {"party": "party.read", "lead": "lead.read"}
_LAST_ID: Final = 2**63 - 1
_OVERLAP: Final = timedelta(minutes=5)  # `at` is when a transaction began, not when it wrote
_MOST_LOOKED_AT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """How far somebody has read."""

    tx: int
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEvent:
    """One act on one record. `fields`: the names of what it changed."""

    place: Place
    record_kind: str
    record_id: str
    fields: tuple[str, ...]
    actor_id: int | None
    actor_name: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordVersion:
    """A record as it is now. `is_gone`: in the bin, or merged into another one."""

    version: int
    is_gone: bool


async def present_place(session: AsyncSession) -> Place:
    """The end of what can be read now."""
    return Place(tx=(await session.execute(select(_oldest_running()))).scalar_one() - 1, id=_LAST_ID)


async def place_of(session: AsyncSession, since: datetime) -> Place:
    """A place before everything that happened from a moment on; some of what was before comes as well."""
    early = (
        select(OutboxEvent.tx)
        .where(OutboxEvent.at >= since - _OVERLAP)
        .order_by(OutboxEvent.at)
        .limit(_MOST_LOOKED_AT)
    )
    first = await session.scalar(select(func.min(early.subquery().c.tx)))
    return await present_place(session) if first is None else Place(tx=first - 1, id=_LAST_ID)


async def read_events(
    session: AsyncSession, after: Place, most: int, kinds: Collection[str] = KINDS
) -> list[RecordEvent]:
    """The next events after a place, at most so many."""
    events: list[Any] = []
    for kind in kinds:  # each from its own range of the index: calls are many, people few
        query = (
            select(OutboxEvent, User.name)
            .outerjoin(User, User.id == OutboxEvent.actor_id)
            .where(
                OutboxEvent.record_kind == kind,
                tuple_(OutboxEvent.tx, OutboxEvent.id) > tuple_(after.tx, after.id),
                OutboxEvent.tx < _oldest_running(),
            )
            .order_by(OutboxEvent.tx, OutboxEvent.id)
            .limit(most)
        )
        events += (await session.execute(query)).all()
    return sorted((_told(*row) for row in events), key=lambda event: event.place)[:most]


async def versions_within(
    session: AsyncSession, access: Access, kind: str, ids: Iterable[int]
) -> dict[int, RecordVersion]:
    """Those of these records that this user may see, as they are now; also those that are gone."""
    wanted = list(ids)
    if not wanted or not access.may(RIGHTS[kind]):
        return {}
    if kind == "party":
        is_gone = Party.deleted_at.is_not(None) | Party.merged_into_id.is_not(None)
        query = select(Party.id, Party.version, is_gone).where(Party.id.in_(wanted), readable(access))
    else:
        mine = condition(access, "lead.read", Lead)
        is_gone = Lead.deleted_at.is_not(None) | Lead.merged_into_id.is_not(None)
        query = select(Lead.id, Lead.version, is_gone).where(Lead.id.in_(wanted), mine)
    rows = await session.execute(query)
    return {row_id: RecordVersion(version=version, is_gone=is_gone) for row_id, version, is_gone in rows}


def _oldest_running() -> Any:
    """By the clock of `crm.feed_clock`."""
    return func.feed_running(type_=BigInteger)


def _told(event: OutboxEvent, actor_name: str | None) -> RecordEvent:
    return RecordEvent(
        place=Place(tx=event.tx, id=event.id),
        record_kind=event.record_kind,
        record_id=event.record_id,
        fields=tuple(dict.fromkeys([*(event.before or {}), *(event.after or {})])),
        actor_id=event.actor_id,
        actor_name=actor_name,
        at=event.at,
    )
