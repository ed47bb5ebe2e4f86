"""Lists of parties: fixed conditions, fixed sorts, pages by keyset; as fast at a million rows as at a hundred."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Select, any_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.paging import Page, page_size
from crm.party_access import readable
from crm.party_filters import PartyFilter, Which, condition_of
from crm.party_keys import KeyQueries, Sort, cursor_after, key_queries, page_keys
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
    "first_page",
    "first_phones",
    "list_parties",
    "party_ids",
    "rows_of",
]

_other = aliased(Party)  # once: to make one costs more than to ask with it
MOST_COUNTED: Final = 1000  # "more than 1,000" is as good as the number, and costs the same everywhere


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
    custom: Mapping[str, Any]  # values of the company's own fields, by their keys


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
    queries = await key_queries(session, access, wanted, sort)
    return await _page(session, access, queries, cursor, page_size(limit))


async def _page(
    session: AsyncSession, access: Access, queries: KeyQueries, cursor: str | None, size: int
) -> Page[PartyRow]:
    rows = await page_keys(session, queries, cursor, size + 1)
    items = await _rows(session, [row[0] for row in rows[:size]], _within_rights(access, queries))
    more = cursor_after(*rows[size - 1]) if len(rows) > size else None
    return Page(items=tuple(items), next=more)


def _within_rights(access: Access, queries: KeyQueries) -> Sequence[ColumnElement[bool]]:
    """Judged by the parties themselves: what lists are read from is copied from them, and may be a moment behind."""
    if access.scope("party.read") is Scope.ALL:
        return ()
    return (or_(*ways(access, "party.read", Party, queries.called)),)


async def first_page(
    session: AsyncSession, access: Access, wanted: PartyFilter, *, sort: Sort = Sort.NAME
) -> tuple[Page[PartyRow], Count]:
    """The first page, and how many rows the list has, up to 1,000; what one page holds is not looked for twice.

    Raises:
        NotAllowed, Invalid (the kind).
    """
    access.require("party.read")
    queries = await key_queries(session, access, wanted, sort)
    page = await _page(session, access, queries, None, page_size(None))
    if page.next is None:
        return page, Count(value=len(page.items), is_more=False)
    return page, await _count(session, queries)


async def party_ids(session: AsyncSession, access: Access, wanted: PartyFilter, most: int) -> list[int]:
    """The ids of what the list holds, by name, `most` of them at most: for an action on all that was found.

    Raises:
        NotAllowed, Invalid (the kind).
    """
    access.require("party.read")
    queries = await key_queries(session, access, wanted)
    found = [row[0] for row in await page_keys(session, queries, None, most)]
    allowed = _within_rights(access, queries)
    if not (found and allowed):
        return found
    mine = set(await session.scalars(select(Party.id).where(Party.id.in_(found), *allowed)))
    return [each for each in found if each in mine]


async def count_parties(session: AsyncSession, access: Access, wanted: PartyFilter) -> Count:
    """How many rows the list has, up to 1,000.

    Raises:
        NotAllowed, Invalid (the kind).
    """
    access.require("party.read")
    return await _count(session, await key_queries(session, access, wanted))


async def _count(session: AsyncSession, queries: KeyQueries) -> Count:
    some = queries.some(MOST_COUNTED + 1)
    counted = (await session.execute(select(func.count()).select_from(some))).scalar_one()
    return Count(value=min(counted, MOST_COUNTED), is_more=counted > MOST_COUNTED)


async def readable_rows(
    session: AsyncSession, access: Access, party_ids: Iterable[int | None]
) -> list[PartyRow]:
    """Those of these parties that this user may read, as list rows."""
    wanted = [party_id for party_id in set(party_ids) if party_id is not None]
    if not wanted or not access.may("party.read"):
        return []
    seen = select(Party.id).where(Party.id.in_(wanted), Party.deleted_at.is_(None), readable(access))
    return await rows_of(session, list(await session.scalars(seen)))


async def rows_of(session: AsyncSession, party_ids: Sequence[int]) -> list[PartyRow]:
    """These parties as list rows, in this order; a fixed number of queries for any number of them."""
    return await _rows(session, party_ids)


async def _rows(
    session: AsyncSession, party_ids: Sequence[int], allowed: Sequence[ColumnElement[bool]] = ()
) -> list[PartyRow]:
    if not party_ids:
        return []
    query = _PARTIES.where(*allowed) if allowed else _PARTIES
    rows = await session.execute(query, {"ids": list(party_ids)})
    found = {row.id: row for row in rows}
    kinds = await kinds_of(session, found)
    contacts = await _other_sides(session, _CONTACTS, [id_ for id_ in found if found[id_].type != "person"])
    firms = await _other_sides(session, _FIRMS, [id_ for id_ in found if found[id_].type == "person"])
    phones = await first_phones(session, [*found, *[contact[0] for contact in contacts.values()]])
    return [
        _row(found[each], kinds.get(each, ()), contacts.get(each), firms.get(each), phones)
        for each in party_ids
        if each in found
    ]


async def _other_sides(
    session: AsyncSession, query: Select[Any], party_ids: Sequence[int]
) -> dict[int, tuple[int, str, str | None]]:
    """Party → (id, name, position) of its first tie: the primary contact, or where the person works."""
    if not party_ids:
        return {}
    rows = await session.execute(query, {"ids": party_ids})
    return {party_id: (other_id, name, position) for party_id, other_id, name, position in rows}


async def first_phones(session: AsyncSession, party_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Party → its primary number, without one its first, and the extension behind it."""
    rows = await session.execute(_PHONES, {"ids": party_ids})
    return {party_id: (number, extension) for party_id, number, extension in rows}


def _sides(here: Any, there: Any) -> Select[Any]:
    return (
        select(here, _other.id, _other.display_name, Affiliation.position)
        .join(_other, _other.id == there)
        .where(here == _IDS, Affiliation.ended_at.is_(None), _other.deleted_at.is_(None))
        .ext(distinct_on(here))
        .order_by(here, Affiliation.is_primary.desc(), Affiliation.id)
    )


# Made once, and the same text for any number of parties: to make them costs more than to ask with them.
_IDS: Final = any_(bindparam("ids", type_=ARRAY(BigInteger)))
_PARTIES: Final = (
    select(
        Party.id,
        Party.number,
        Party.type,
        Party.display_name.label("name"),
        func.coalesce(Organisation.inn, Person.inn).label("inn"),
        Party.lifecycle,
        Party.owner_id,
        User.name.label("owner_name"),
        Party.team_id,
        Party.city,
        Party.source,
        Party.created_at,
        Party.last_communication_at,
        Party.custom,
    )
    .outerjoin(Organisation, Organisation.party_id == Party.id)
    .outerjoin(Person, Person.party_id == Party.id)
    .outerjoin(User, User.id == Party.owner_id)
    .where(Party.id == _IDS)
)
_CONTACTS: Final = _sides(Affiliation.organisation_id, Affiliation.person_id)
_FIRMS: Final = _sides(Affiliation.person_id, Affiliation.organisation_id)
_PHONES: Final = (
    select(
        PartyPhone.party_id, func.coalesce(PhoneNumber.e164, PhoneNumber.local_digits), PartyPhone.extension
    )
    .join(PhoneNumber, PhoneNumber.id == PartyPhone.number_id)
    .where(PartyPhone.party_id == _IDS, PartyPhone.ended_at.is_(None))
    .ext(distinct_on(PartyPhone.party_id))
    .order_by(PartyPhone.party_id, PartyPhone.is_primary.desc(), PartyPhone.id)
)


def _row(
    party: Any,
    kinds: tuple[KindInfo, ...],
    contact: tuple[int, str, str | None] | None,
    firm: tuple[int, str, str | None] | None,
    phones: Mapping[int, tuple[str, str]],
) -> PartyRow:
    of_contact = phones.get(contact[0]) if contact else None
    phone, extension = phones.get(party.id) or of_contact or (None, "")
    return PartyRow(
        **party._mapping,
        kinds=kinds,
        phone=phone,
        phone_extension=extension,
        contact_id=contact[0] if contact else None,
        contact_name=contact[1] if contact else None,
        contact_position=contact[2] if contact else None,
        organisation_id=firm[0] if firm else None,
        organisation_name=firm[1] if firm else None,
    )
