"""Lists of parties: fixed conditions, fixed sorts, pages by keyset; as fast at a million rows as at a hundred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    func,
    literal,
    not_,
    select,
    text,
    true,
    tuple_,
    union,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.errors import Invalid
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size
from crm.party_kinds import KindInfo, kind_ids, kinds_of
from crm.rights import Access, ways
from crm.schema.access import User
from crm.schema.parties import (
    Affiliation,
    Organisation,
    Party,
    PartyKind,
    PartyKindAssignment,
    PartyPhone,
    Person,
    PhoneNumber,
)

Keys = Select[int, str, datetime | None]  # id, sort_name, last_communication_at
MOST_COUNTED: Final = 1000  # "more than 1,000" is as good as the number, and costs the same everywhere


class Which(StrEnum):
    """The lists of crm-model 4.3."""

    COUNTERPARTIES = "counterparties"  # active, with an active kind
    FORMER_CLIENTS = "former_clients"  # kind client ended, none active
    CONTACTS = "contacts"  # active persons
    CONTACTS_ALONE = "contacts_alone"  # active persons without organisation and without kind
    EVERYBODY = "everybody"  # active parties, for search


class Sort(StrEnum):
    NAME = "name"
    LAST_COMMUNICATION = "last_communication"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyFilter:
    """What a list shows. `kind` is a code, for the lists of one kind."""

    which: Which = Which.COUNTERPARTIES
    kind: str | None = None
    owner_id: int | None = None
    type: str | None = None  # person, organisation

    @classmethod
    def from_text(cls, which: str = "", kind: str = "", owner_id: int | None = None) -> PartyFilter:
        """From an address. Raises Invalid for a list that does not exist."""
        try:
            return cls(which=Which(which or Which.COUNTERPARTIES), kind=kind or None, owner_id=owner_id)
        except ValueError as error:
            raise Invalid("list", which, "There is no such list.") from error


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
    phone: str | None  # E.164: the party's own, else the primary contact's
    phone_extension: str
    contact_id: int | None  # the primary contact
    contact_name: str | None
    contact_position: str | None
    organisation_id: int | None  # where a person works
    organisation_name: str | None
    city: str | None
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
    parts = await _parts(session, access, wanted)
    by_sort = _by_name if sort is Sort.NAME else _by_last_communication
    rows = await by_sort(session, parts, cursor, size + 1)
    items = await rows_of(session, [row[0] for row in rows[:size]])
    more = _cursor(sort, *rows[size - 1]) if len(rows) > size else None
    return Page(items=tuple(items), next=more)


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


async def _parts(session: AsyncSession, access: Access, wanted: PartyFilter) -> list[Keys]:
    """The list's rows, a query for each way in which one may be within the user's rights.

    The planner must see the values: a list of two suppliers among a million wants another plan than one of clients.
    """
    await session.execute(text("set local plan_cache_mode = force_custom_plan"))
    is_active = Party.lifecycle == literal("active", literal_execute=True)
    listed = select(Party.id, Party.sort_name, Party.last_communication_at).where(
        Party.deleted_at.is_(None), is_active, await condition_of(session, wanted)
    )
    return [listed.where(way) for way in ways(access, "party.read", Party)]


def _together(parts: Sequence[Keys]) -> Subquery:
    """The rows of all parts, each once."""
    return union(*[part.subquery().select() for part in parts]).subquery()


async def condition_of(session: AsyncSession, wanted: PartyFilter) -> ColumnElement[bool]:
    """What the filter says of `Party`, for a search within a list too. Raises Invalid for an unknown kind."""
    conditions = [_CONDITIONS[wanted.which]()]
    if wanted.kind is not None:
        ids = await kind_ids(session, [wanted.kind])
        conditions.append(_has_kind(PartyKindAssignment.kind_id == ids[wanted.kind]))
    if wanted.owner_id is not None:
        conditions.append(Party.owner_id == wanted.owner_id)
    if wanted.type is not None:
        conditions.append(Party.type == wanted.type)
    return and_(*conditions)


def _has_kind(*more: ColumnElement[bool]) -> ColumnElement[bool]:
    return (
        select(PartyKindAssignment.id)
        .where(PartyKindAssignment.party_id == Party.id, PartyKindAssignment.status != text("'ended'"), *more)
        .exists()
    )


def _is_former_client() -> ColumnElement[bool]:
    ended = select(PartyKindAssignment.id).where(
        PartyKindAssignment.party_id == Party.id,
        PartyKindAssignment.status == "ended",
        PartyKindAssignment.kind_id
        == select(PartyKind.id).where(PartyKind.code == "client").scalar_subquery(),
    )
    return and_(ended.exists(), not_(_has_kind()))


def _is_alone() -> ColumnElement[bool]:
    works = select(Affiliation.id).where(Affiliation.person_id == Party.id, Affiliation.ended_at.is_(None))
    return and_(Party.type == "person", not_(works.exists()), not_(_has_kind()))


_CONDITIONS: Final[Mapping[Which, Any]] = {
    Which.COUNTERPARTIES: _has_kind,
    Which.FORMER_CLIENTS: _is_former_client,
    Which.CONTACTS: lambda: Party.type == "person",
    Which.CONTACTS_ALONE: _is_alone,
    Which.EVERYBODY: true,
}


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


def _cursor(sort: Sort, party_id: int, sort_name: str, last: datetime | None) -> str:
    if sort is Sort.NAME:
        return encode_cursor(sort_name, party_id)
    return encode_cursor(last.isoformat() if last else None, party_id)


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
        phone=phone,
        phone_extension=extension,
        contact_id=contact[0] if contact else None,
        contact_name=contact[1] if contact else None,
        contact_position=contact[2] if contact else None,
        organisation_id=firm[0] if firm else None,
        organisation_name=firm[1] if firm else None,
        city=party.city,
        last_communication_at=party.last_communication_at,
    )
