"""The keys of a list of parties, a page in its order: every list has an index that begins with what it is a list of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Subquery, func, literal, select, true, tuple_, union, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from crm.call_time import called_parties
from crm.paging import decode_cursor, encode_cursor, moment_of
from crm.party_filters import (
    ACTIVE,
    PartyFilter,
    Which,
    condition_beside_kinds,
    condition_of,
    lacking,
    stands,
)
from crm.party_kinds import kind_ids
from crm.planning import plan_for_page
from crm.rights import Access, Scope, ways
from crm.schema.parties import Party, PartyKind, PartyKindAssignment, PartyLack
from crm.schema.regions import PartyRegion

Keys = Select[
    int, Any
]  # the id, and what the list is in order of: nothing else, so that an index alone can tell


class Sort(StrEnum):
    NAME = "name"
    LAST_COMMUNICATION = "last_communication"  # the latest first, then those never spoken to
    CREATED = "created"  # the newest first


_OF_PARTY: Final[Mapping[Sort, Any]] = {
    Sort.NAME: Party.sort_name,
    Sort.LAST_COMMUNICATION: Party.last_communication_at,
    Sort.CREATED: Party.created_at,
}
# The same, as what lists are read from repeats it: a kind, a lack, a region.
_OF_KEY: Final[Mapping[Sort, Any]] = {
    Sort.NAME: attrgetter("sort_name"),
    Sort.LAST_COMMUNICATION: attrgetter("last_communication_at"),
    Sort.CREATED: attrgetter("party_created_at"),
}
_TYPES: Final = tuple(literal(each, literal_execute=True) for each in ("person", "organisation"))
_PERSONS: Final = {Which.CONTACTS, Which.CONTACTS_ALONE}
FEW: Final = 10_000  # of those who lack something: as many are looked through for a page


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyQueries:
    """The list's rows, the ways in which one may be within the user's rights, and the columns of its order."""

    listed: Sequence[Keys]
    ways: Sequence[ColumnElement[bool]]
    key: Any
    id: Any
    sort: Sort
    called: Sequence[int] = ()  # whom the user may read because of a call
    silent_since: datetime | None = None
    is_of_kinds: bool = False  # where a party may stand several times

    @property
    def parts(self) -> list[Keys]:
        """A query for each way: each has an index of its own."""
        return [part.where(way) for part in self.listed for way in self.ways]

    def some(self, most: int) -> Subquery:
        """Any of the rows, each once: the teams' come first, of which there are most, and who is in them is not counted again."""
        parts: list[Any] = []
        earlier: list[ColumnElement[bool]] = []
        # The kinds of a party stand beside one another in the list's order: each is counted once, and none is gone through in vain.
        order = _ordered(self.sort, self.key, self.id) if self.is_of_kinds else ()
        for way in reversed(self.ways):
            others = [each.is_not(true()) for each in earlier]
            some = [part.where(way, *others).order_by(*order).limit(most) for part in self.listed]
            parts += [each.subquery().select() for each in some]
            earlier.append(way)
        rows = union(*parts) if self.is_of_kinds and len(self.listed) > 1 else union_all(*parts)
        return select(rows.subquery("keys")).limit(most).subquery()


async def key_queries(
    session: AsyncSession, access: Access, wanted: PartyFilter, sort: Sort = Sort.NAME
) -> KeyQueries:
    """Raises Invalid for an unknown kind.

    The planner must see the values: a list of two suppliers among a million wants another plan than one of clients.
    """
    await plan_for_page(session)
    lack = await _lack_to_read(session, wanted)
    is_of_kind = wanted.kind is not None or wanted.which in {Which.COUNTERPARTIES, Which.FORMER_CLIENTS}
    # A tag, and a source or a city of any kind have indexes of their own, over the party.
    has_place = wanted.source is not None or wanted.city is not None
    is_chosen = wanted.tag_id is not None or (has_place and wanted.kind is None)
    if lack:
        model: Any = PartyLack
        key, party_id = _OF_KEY[sort](model), model.party_id
        listed = [await _by_lack(session, wanted, select(party_id, key), lack)]
    elif wanted.region is not None and wanted.tag_id is None:
        model = PartyRegion
        key, party_id = _OF_KEY[sort](model), model.party_id
        listed = [await _by_region(session, wanted, select(party_id, key))]
    elif is_of_kind and not is_chosen:
        model = PartyKindAssignment
        key, party_id = _OF_KEY[sort](model), model.party_id
        listed = await _by_kinds(session, wanted, select(party_id, key))
    else:
        model, key, party_id = Party, _OF_PARTY[sort], Party.id
        listed = [select(party_id, key).where(await condition_of(session, wanted))]
    is_active = Party.lifecycle == literal("active", literal_execute=True)
    listed = [part.where(Party.deleted_at.is_(None), is_active) for part in listed]
    called: Sequence[int] = ()
    if access.scope("party.read") is not Scope.ALL:
        called = await called_parties(session, access.user_id)
        if model is Party and wanted.type is None and wanted.which not in _PERSONS:
            listed = [part.where(Party.type == each) for part in listed for each in _TYPES]
    return KeyQueries(
        listed=listed,
        ways=ways(access, "party.read", model, called),
        key=key,
        id=party_id,
        sort=sort,
        called=called,
        silent_since=wanted.silent_since,
        is_of_kinds=model is PartyKindAssignment,
    )


async def _lack_to_read(session: AsyncSession, wanted: PartyFilter) -> str:
    """What the listed parties lack, if few do: then these are read, in the list's order; "" otherwise.

    Where many lack it the list soon meets some, and what it is otherwise a list of may be much rarer.
    """
    if wanted.which is Which.CONTACTS_ALONE:
        return "company"
    if wanted.has_phone is not False:
        return ""
    some = select(PartyLack.party_id).where(lacking("number")).limit(FEW + 1).subquery()
    counted = (await session.execute(select(func.count()).select_from(some))).scalar_one()
    return "number" if counted <= FEW else ""


async def _by_lack(session: AsyncSession, wanted: PartyFilter, keys: Keys, lack: str) -> Keys:
    condition = await condition_of(session, wanted, beside=lack)
    return keys.join(Party, Party.id == PartyLack.party_id).where(lacking(lack), condition)


async def _by_region(session: AsyncSession, wanted: PartyFilter, keys: Keys) -> Keys:
    condition = await condition_of(session, replace(wanted, region=None))
    return keys.join(Party, Party.id == PartyRegion.party_id).where(
        PartyRegion.region == wanted.region, condition
    )


async def _by_kinds(session: AsyncSession, wanted: PartyFilter, keys: Keys) -> list[Keys]:
    """Read from the kinds that parties have, or had: in their order, each party once."""
    stay, status = PartyKindAssignment, wanted.kind_status
    listed = keys.join(Party, Party.id == stay.party_id).where(condition_beside_kinds(wanted))
    if wanted.which is Which.FORMER_CLIENTS and wanted.kind is None:
        client = await session.scalar(select(PartyKind.id).where(PartyKind.code == "client"))
        return [listed.where(stands(stay, "ended"), stay.kind_id == client).distinct()]
    listed = listed.where(stands(stay, status))
    if wanted.kind is not None:
        ids = await kind_ids(session, [wanted.kind])
        listed = listed.where(stay.kind_id == ids[wanted.kind])
        return [listed.distinct() if status == "ended" else listed]  # it may have ended several times
    if status == ACTIVE:
        return [listed.distinct()]
    # What is paused or has ended has an index for each kind only.
    kinds = await session.scalars(select(PartyKind.id))
    return [listed.where(stay.kind_id == kind_id).distinct() for kind_id in kinds]


def _together(parts: Sequence[Keys]) -> Subquery:
    """The rows of all parts, each once."""
    if len(parts) == 1:
        return parts[0].subquery("keys")
    return union(*[part.subquery().select() for part in parts]).subquery("keys")


async def page_keys(session: AsyncSession, queries: KeyQueries, cursor: str | None, most: int) -> list[Any]:
    """Rows of (id, key) in the list's order, `most` of them at most. Raises Invalid for a cursor of another list."""
    if queries.sort is Sort.NAME:
        return await _by_name(session, queries, cursor, most)
    if queries.sort is Sort.CREATED:
        return await _by_creation(session, queries, cursor, most)
    return await _by_last_communication(session, queries, cursor, most)


async def _by_name(session: AsyncSession, queries: KeyQueries, cursor: str | None, most: int) -> list[Any]:
    after = None
    if cursor:
        name, party_id = decode_cursor(cursor, str, int)
        after = tuple_(queries.key, queries.id) > tuple_(name or "", party_id or 0)
    return await _first(session, queries, after, most)


async def _by_creation(
    session: AsyncSession, queries: KeyQueries, cursor: str | None, most: int
) -> list[Any]:
    before = None
    if cursor:
        moment, party_id = decode_cursor(cursor, str, int)
        before = tuple_(queries.key, queries.id) < tuple_(moment_of(moment, cursor), party_id or 0)
    return await _first(session, queries, before, most)


async def _by_last_communication(
    session: AsyncSession, queries: KeyQueries, cursor: str | None, most: int
) -> list[Any]:
    """The latest first, then those never spoken to; one range of the index after the other."""
    moment, party_id = decode_cursor(cursor, str, int) if cursor else (None, None)
    last = queries.key
    rows: list[Any] = []
    if moment or not cursor:
        spoken: ColumnElement[bool] = last.is_not(None)
        if queries.silent_since is not None:
            spoken &= last < queries.silent_since
        if cursor:
            spoken &= tuple_(last, queries.id) < tuple_(moment_of(moment, cursor), party_id or 0)
        rows, party_id = await _first(session, queries, spoken, most), None
    if len(rows) < most:
        silent = last.is_(None) if party_id is None else last.is_(None) & (queries.id < party_id)
        rows += await _first(session, queries, silent, most - len(rows))
    return rows


async def _first(
    session: AsyncSession, queries: KeyQueries, within: ColumnElement[bool] | None, most: int
) -> list[Any]:
    """The first of each way, and of those the first."""
    parts = [part if within is None else part.where(within) for part in queries.parts]
    order = _ordered(queries.sort, queries.key, queries.id)
    rows = _together([part.order_by(*order).limit(most) for part in parts])
    party_id, key = rows.c
    query = select(rows).order_by(*_ordered(queries.sort, key, party_id)).limit(most)
    return list(await session.execute(query))


def _ordered(sort: Sort, key: Any, party_id: Any) -> tuple[Any, Any]:
    if sort is Sort.NAME:
        return key, party_id
    return (key.desc().nulls_last() if sort is Sort.LAST_COMMUNICATION else key.desc()), party_id.desc()


def cursor_after(party_id: int, key: str | datetime | None) -> str:
    """Where the page that ends with this row goes on."""
    return encode_cursor(key.isoformat() if isinstance(key, datetime) else key, party_id)
