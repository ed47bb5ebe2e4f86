"""Lists of parties: fixed conditions, fixed sorts, pages by keyset; as fast at a million rows as at a hundred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.paging import Page, page_size
from crm.party_filters import PartyFilter, Which, condition_of
from crm.party_keys import Sort, cursor_after, key_queries, page_keys
from crm.party_kinds import KindInfo, kinds_of
from crm.rights import Access, Scope, condition
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
    size = page_size(limit)
    queries = await key_queries(session, access, wanted, sort)
    rows = await page_keys(session, queries, cursor, size + 1)
    items = await rows_of(session, await _within_rights(session, access, [row[0] for row in rows[:size]]))
    more = cursor_after(*rows[size - 1]) if len(rows) > size else None
    return Page(items=tuple(items), next=more)


async def _within_rights(session: AsyncSession, access: Access, found: list[int]) -> list[int]:
    """Judged by the parties themselves: what lists are read from is copied from them, and may be a moment behind."""
    if access.scope("party.read") is Scope.ALL or not found:
        return found
    query = select(Party.id).where(Party.id.in_(found), condition(access, "party.read", Party))
    mine = set(await session.scalars(query))
    return [each for each in found if each in mine]


async def first_page(
    session: AsyncSession, access: Access, wanted: PartyFilter, *, sort: Sort = Sort.NAME
) -> tuple[Page[PartyRow], Count]:
    """The first page, and how many rows the list has, up to 1,000; what one page holds is not looked for twice.

    Raises:
        NotAllowed, Invalid (the kind).
    """
    page = await list_parties(session, access, wanted, sort=sort)
    if page.next is None:
        return page, Count(value=len(page.items), is_more=False)
    return page, await count_parties(session, access, wanted)


async def party_ids(session: AsyncSession, access: Access, wanted: PartyFilter, most: int) -> list[int]:
    """The ids of what the list holds, by name, `most` of them at most: for an action on all that was found.

    Raises:
        NotAllowed, Invalid (the kind).
    """
    access.require("party.read")
    queries = await key_queries(session, access, wanted)
    keys = await page_keys(session, queries, None, most)
    return await _within_rights(session, access, [row[0] for row in keys])


async def count_parties(session: AsyncSession, access: Access, wanted: PartyFilter) -> Count:
    """How many rows the list has, up to 1,000.

    Raises:
        NotAllowed, Invalid (the kind).
    """
    access.require("party.read")
    some = (await key_queries(session, access, wanted)).some(MOST_COUNTED + 1)
    counted = (await session.execute(select(func.count()).select_from(some))).scalar_one()
    return Count(value=min(counted, MOST_COUNTED), is_more=counted > MOST_COUNTED)


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
    rows = await session.execute(
        select(here, _other.id, _other.display_name, Affiliation.position)
        .join(_other, _other.id == there)
        .where(here.in_(party_ids), Affiliation.ended_at.is_(None), _other.deleted_at.is_(None))
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
        custom=party.custom,
    )
