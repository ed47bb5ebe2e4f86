"""Lists of parties: fixed conditions, fixed sorts, pages by keyset; as fast at a million rows as at a hundred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Subquery, and_, func, literal, select, text, tuple_, union
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size
from crm.party_filters import PartyFilter, Which, condition_of
from crm.party_kinds import KindInfo, kinds_of
from crm.rights import Access, Scope, ways
from crm.schema.access import User
from crm.schema.parties import Affiliation, Organisation, Party, PartyPhone, Person, PhoneNumber

__all__ = [
    "Count",
    "PartyFilter",
    "PartyRow",
    "Sort",
    "Which",
    "condition_of",
    "count_parties",
    "list_parties",
    "party_ids",
    "rows_of",
]

Keys = Select[
    int, Any
]  # the id, and what the list is in order of: nothing else, so that an index alone can tell
MOST_COUNTED: Final = 1000  # "more than 1,000" is as good as the number, and costs the same everywhere


class Sort(StrEnum):
    NAME = "name"
    LAST_COMMUNICATION = "last_communication"  # the latest first, then those never spoken to
    CREATED = "created"  # the newest first


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRow:
    """A party as lists show it."""

    id: int
    number: int
    type: str
    name: str
    inn: str | None
    lifecycle: str
    kinds: tuple[KindInfo, ...]  # active ones first, then the ended
    owner_id: int | None
    owner_name: str | None
    team_id: int | None
    phone: str | None  # E.164: the party's own, else the primary contact's
    phone_extension: str
    contact_id: int | None  # the primary contact
    contact_name: str | None
    contact_position: str | None
    organisation_id: int | None  # where a person works
    organisation_name: str | None
    city: str | None
    source: str | None
    created_at: datetime
    last_communication_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many rows a list has; `is_more` if there are more than were counted."""

    value: int
    is_more: bool


async def list_parties(
    session: AsyncSession,
    access: Access,
    wanted: PartyFilter,
    *,
    sort: Sort = Sort.NAME,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[PartyRow]:
    """One page, within one's rights.

    Raises:
        NotAllowed, Invalid (the cursor, the kind).
    """
    access.require("party.read")
    size = page_size(limit)
    parts = await _parts(session, access, wanted, sort)
    rows = await _PAGES[sort](session, parts, cursor, size + 1)
    await session.execute(text("set local enable_nestloop = on"))
    items = await rows_of(session, [row[0] for row in rows[:size]])
    more = _cursor(*rows[size - 1]) if len(rows) > size else None
    return Page(items=tuple(items), next=more)


async def party_ids(session: AsyncSession, access: Access, wanted: PartyFilter, most: int) -> list[int]:
    """The ids of what the list holds, by name, `most` of them at most: for an action on all that was found.

    Raises:
        NotAllowed, Invalid (the kind).
    """
    access.require("party.read")
    parts = await _parts(session, access, wanted)
    return [row[0] for row in await _by_name(session, parts, None, most)]


async def count_parties(session: AsyncSession, access: Access, wanted: PartyFilter) -> Count:
    """How many rows the list has, up to 1,000.

    Raises:
        NotAllowed, Invalid (the kind).
    """
    access.require("party.read")
    parts = [part.limit(MOST_COUNTED + 1) for part in await _parts(session, access, wanted)]
    some = select(_together(parts)).limit(MOST_COUNTED + 1).subquery()
    counted = (await session.execute(select(func.count()).select_from(some))).scalar_one()
    return Count(value=min(counted, MOST_COUNTED), is_more=counted > MOST_COUNTED)


_KEYS: Final[Mapping[Sort, Any]] = {
    Sort.NAME: Party.sort_name,
    Sort.LAST_COMMUNICATION: Party.last_communication_at,
    Sort.CREATED: Party.created_at,
}


async def _parts(
    session: AsyncSession, access: Access, wanted: PartyFilter, sort: Sort = Sort.NAME
) -> list[Keys]:
    """The list's rows, a query for each way in which one may be within the user's rights.

    The planner must see the values: a list of two suppliers among a million wants another plan than one of clients.
    """
    await session.execute(text("set local plan_cache_mode = force_custom_plan"))
    # Nobody knows how rare those without something are. Tried one by one they may cost a minute; side by side, a second.
    is_walked = wanted.looks_for_lack and access.scope("party.read") is Scope.ALL
    await session.execute(text(f"set local enable_nestloop = {'off' if is_walked else 'on'}"))
    is_active = Party.lifecycle == literal("active", literal_execute=True)
    listed = select(Party.id, _KEYS[sort]).where(
        Party.deleted_at.is_(None), is_active, await condition_of(session, wanted)
    )
    return [listed.where(way) for way in ways(access, "party.read", Party)]


def _together(parts: Sequence[Keys]) -> Subquery:
    """The rows of all parts, each once."""
    return union(*[part.subquery().select() for part in parts]).subquery()


async def _by_name(session: AsyncSession, parts: Sequence[Keys], cursor: str | None, most: int) -> list[Any]:
    after = None
    if cursor:
        name, party_id = decode_cursor(cursor, str, int)
        after = tuple_(Party.sort_name, Party.id) > tuple_(name or "", party_id or 0)
    pages = [
        (part if after is None else part.where(after)).order_by(Party.sort_name, Party.id).limit(most)
        for part in parts
    ]
    rows = _together(pages)
    return list(await session.execute(select(rows).order_by(rows.c.sort_name, rows.c.id).limit(most)))


async def _by_last_communication(
    session: AsyncSession, parts: Sequence[Keys], cursor: str | None, most: int
) -> list[Any]:
    """The latest first, then those never spoken to; one range of the index after the other."""
    moment, party_id = decode_cursor(cursor, str, int) if cursor else (None, None)
    last = Party.last_communication_at
    rows: list[Any] = []
    if moment or not cursor:
        spoken: ColumnElement[bool] = last.is_not(None)
        if cursor:
            before = tuple_(last, Party.id) < tuple_(moment_of(moment, cursor), party_id or 0)
            spoken = and_(spoken, before)
        rows, party_id = await _latest(session, parts, spoken, most), None
    if len(rows) < most:
        silent = last.is_(None) if party_id is None else and_(last.is_(None), Party.id < party_id)
        rows += await _latest(session, parts, silent, most - len(rows))
    return rows


async def _latest(
    session: AsyncSession, parts: Sequence[Keys], within: ColumnElement[bool], most: int
) -> list[Any]:
    order = (Party.last_communication_at.desc().nulls_last(), Party.id.desc())
    rows = _together([part.where(within).order_by(*order).limit(most) for part in parts])
    last = rows.c.last_communication_at.desc().nulls_last()
    return list(await session.execute(select(rows).order_by(last, rows.c.id.desc()).limit(most)))


async def _by_creation(
    session: AsyncSession, parts: Sequence[Keys], cursor: str | None, most: int
) -> list[Any]:
    before = None
    if cursor:
        moment, party_id = decode_cursor(cursor, str, int)
        before = tuple_(Party.created_at, Party.id) < tuple_(moment_of(moment, cursor), party_id or 0)
    pages = [
        (part if before is None else part.where(before))
        .order_by(Party.created_at.desc(), Party.id.desc())
        .limit(most)
        for part in parts
    ]
    rows = _together(pages)
    return list(
        await session.execute(select(rows).order_by(rows.c.created_at.desc(), rows.c.id.desc()).limit(most))
    )


_PAGES: Final = {
    Sort.NAME: _by_name,
    Sort.LAST_COMMUNICATION: _by_last_communication,
    Sort.CREATED: _by_creation,
}


def _cursor(party_id: int, key: str | datetime | None) -> str:
    return encode_cursor(key.isoformat() if isinstance(key, datetime) else key, party_id)


async def rows_of(session: AsyncSession, party_ids: Sequence[int]) -> list[PartyRow]:
    """These parties as list rows, in this order; a fixed number of queries for any number of them."""
    if not party_ids:
        return []
    rows = await session.execute(
        select(Party, func.coalesce(Organisation.inn, Person.inn), User.name)
        .outerjoin(Organisation, Organisation.party_id == Party.id)
        .outerjoin(Person, Person.party_id == Party.id)
        .outerjoin(User, User.id == Party.owner_id)
        .where(Party.id.in_(party_ids))
    )
    found = {party.id: (party, inn, owner_name) for party, inn, owner_name in rows}
    kinds = await kinds_of(session, party_ids)
    contacts = await _other_sides(session, Affiliation.organisation_id, Affiliation.person_id, party_ids)
    firms = await _other_sides(session, Affiliation.person_id, Affiliation.organisation_id, party_ids)
    phones = await _phones(session, [*party_ids, *[contact[0] for contact in contacts.values()]])
    return [
        _row(*found[each], kinds.get(each, ()), contacts.get(each), firms.get(each), phones)
        for each in party_ids
        if each in found
    ]


async def _other_sides(
    session: AsyncSession, here: Any, there: Any, party_ids: Sequence[int]
) -> dict[int, tuple[int, str, str | None]]:
    """Party → (id, name, position) of its first tie: the primary contact, or where the person works."""
    other = aliased(Party)
    rows = await session.execute(
        select(here, other.id, other.display_name, Affiliation.position)
        .join(other, other.id == there)
        .where(here.in_(party_ids), Affiliation.ended_at.is_(None), other.deleted_at.is_(None))
        .ext(distinct_on(here))
        .order_by(here, Affiliation.is_primary.desc(), Affiliation.id)
    )
    return {party_id: (other_id, name, position) for party_id, other_id, name, position in rows}


async def _phones(session: AsyncSession, party_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    rows = await session.execute(
        select(
            PartyPhone.party_id,
            func.coalesce(PhoneNumber.e164, PhoneNumber.local_digits),
            PartyPhone.extension,
        )
        .join(PhoneNumber, PhoneNumber.id == PartyPhone.number_id)
        .where(PartyPhone.party_id.in_(party_ids), PartyPhone.ended_at.is_(None))
        .ext(distinct_on(PartyPhone.party_id))
        .order_by(PartyPhone.party_id, PartyPhone.is_primary.desc(), PartyPhone.id)
    )
    return {party_id: (number, extension) for party_id, number, extension in rows}


def _row(
    party: Party,
    inn: str | None,
    owner_name: str | None,
    kinds: tuple[KindInfo, ...],
    contact: tuple[int, str, str | None] | None,
    firm: tuple[int, str, str | None] | None,
    phones: Mapping[int, tuple[str, str]],
) -> PartyRow:
    of_contact = phones.get(contact[0]) if contact else None
    phone, extension = phones.get(party.id) or of_contact or (None, "")
    return PartyRow(
        id=party.id,
        number=party.number,
        type=party.type,
        name=party.display_name,
        inn=inn,
        lifecycle=party.lifecycle,
        kinds=kinds,
        owner_id=party.owner_id,
        owner_name=owner_name,
        team_id=party.team_id,
        phone=phone,
        phone_extension=extension,
        contact_id=contact[0] if contact else None,
        contact_name=contact[1] if contact else None,
        contact_position=contact[2] if contact else None,
        organisation_id=firm[0] if firm else None,
        organisation_name=firm[1] if firm else None,
        city=party.city,
        source=party.source,
        created_at=party.created_at,
        last_communication_at=party.last_communication_at,
    )
