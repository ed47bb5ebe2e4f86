"""What changed since a moment, in the order in which it was committed, as lists show it: for programs that keep a copy.

A record that changed several times may come several times. Whoever goes on at the last place misses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.calls_read import CallInfo, calls_of
from crm.communications import CommunicationInfo, communications_of
from crm.errors import Invalid
from crm.lead_lists import LeadRow, lead_rows
from crm.paging import decode_cursor, encode_cursor, page_size
from crm.party_lists import PartyRow, rows_of
from crm.pruning import horizon
from crm.record_feed import Place, place_of, read_events, versions_within
from crm.rights import Access, narrow
from crm.schema.communications import Call, Communication

Item = TypeVar("Item")
Id = TypeVar("Id", int, UUID)
PARTIES: Final = ("party",)
LEADS: Final = ("lead",)
COMMUNICATIONS: Final = ("communication", "call")
CALLS: Final = ("call",)
GONE: Final = "What changed before %(moment)s is no longer kept. Read the whole list, then ask from a moment before you began."


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(Generic[Item, Id]):
    """`gone`: deleted, or gone into another record. `next`: None at the end; `resume`: where to go on later."""

    items: tuple[Item, ...]
    gone: tuple[Id, ...]
    next: str | None
    resume: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    ids: tuple[str, ...]
    next: str | None
    resume: str


async def changed_parties(
    session: AsyncSession, access: Access, since: datetime, *, cursor: str | None, limit: int | None
) -> Changed[PartyRow, int]:
    """Raises NotAllowed, Invalid (the cursor; longer ago than changes are kept)."""
    access.require("party.read")
    read = await _read(session, PARTIES, since, cursor, limit)
    stand = await versions_within(session, access, "party", map(int, read.ids))
    present = [each for each, version in stand.items() if not version.is_gone]
    return _changed(read, await rows_of(session, _in_order(read, present)), stand.keys() - set(present))


async def changed_leads(
    session: AsyncSession, access: Access, since: datetime, *, cursor: str | None, limit: int | None
) -> Changed[LeadRow, int]:
    """Raises NotAllowed, Invalid (the cursor; longer ago than changes are kept)."""
    access.require("lead.read")
    read = await _read(session, LEADS, since, cursor, limit)
    stand = await versions_within(session, access, "lead", map(int, read.ids))
    present = [each for each, version in stand.items() if not version.is_gone]
    return _changed(read, await lead_rows(session, _in_order(read, present)), stand.keys() - set(present))


async def changed_communications(
    session: AsyncSession, access: Access, since: datetime, *, cursor: str | None, limit: int | None
) -> Changed[CommunicationInfo, UUID]:
    """Raises NotAllowed, Invalid (the cursor; longer ago than changes are kept)."""
    access.require("party.read")
    read = await _read(session, COMMUNICATIONS, since, cursor, limit)
    found = await communications_of(session, access, list(map(UUID, read.ids)))
    gone = await _no_longer_listed(session, [info.id for info in found])
    return _changed(read, [info for info in found if info.id not in gone], gone)


async def changed_calls(
    session: AsyncSession, access: Access, since: datetime, *, cursor: str | None, limit: int | None
) -> Changed[CallInfo, UUID]:
    """Raises NotAllowed, Invalid (the cursor; longer ago than changes are kept)."""
    access.require("call.read")
    read = await _read(session, CALLS, since, cursor, limit)
    ids = list(map(UUID, read.ids))
    found = await calls_of(session, access, ids)
    mine = narrow(select(Call.id).where(Call.id.in_(ids)), access, "call.read", Call)
    gone = await _told_elsewhere(session, list(await session.scalars(mine)))
    return _changed(read, [info for info in found if info.id not in gone], gone)


async def _read(
    session: AsyncSession, kinds: Collection[str], since: datetime, cursor: str | None, limit: int | None
) -> _Read:
    size = page_size(limit)
    gone = await horizon(session)
    if cursor:
        tx, event_id = decode_cursor(cursor, int, int)
        place = Place(tx=tx or 0, id=event_id or 0)
    else:
        place = await place_of(session, since)
    if gone is not None and (since < gone.at if not cursor else place.tx < gone.tx):
        raise Invalid("changed_since", since.isoformat(), GONE, moment=gone.at.isoformat(timespec="seconds"))
    events = await read_events(session, place, size + 1, kinds)
    last = events[:size][-1].place if events else place
    resume = encode_cursor(last.tx, last.id)
    ids = tuple(dict.fromkeys(event.record_id for event in events[:size]))
    return _Read(ids=ids, next=resume if len(events) > size else None, resume=resume)


def _in_order(read: _Read, present: Collection[int]) -> list[int]:
    return [int(each) for each in read.ids if int(each) in present]


def _changed(read: _Read, items: Iterable[Item], gone: Iterable[Id]) -> Changed[Item, Id]:
    return Changed(items=tuple(items), gone=tuple(sorted(gone)), next=read.next, resume=read.resume)


async def _no_longer_listed(session: AsyncSession, ids: list[UUID]) -> set[UUID]:
    """What is told under another one's id, and what is in the bin."""
    binned = select(Communication.id).where(Communication.id.in_(ids), Communication.deleted_at.is_not(None))
    return await _told_elsewhere(session, ids) | set(await session.scalars(binned))


async def _told_elsewhere(session: AsyncSession, ids: list[UUID]) -> set[UUID]:
    """Calls that went into another one, or that another connection tells better."""
    elsewhere: Any = or_(Call.joined_into_id.is_not(None), Call.mirror_of_id.is_not(None))
    return set(await session.scalars(select(Call.id).where(Call.id.in_(ids), elsewhere)))
