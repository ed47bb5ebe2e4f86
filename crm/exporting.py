"""Exports: whole lists, read page by page by their keyset, within one's rights; each is a row of the access log.

A page has a session of its own: however slowly somebody downloads, no transaction stays open for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar

from sqlalchemy import Select, literal, select, text, tuple_, union
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.calls_read import CallFilter, CallInfo, list_calls
from crm.changes import log_access
from crm.communication_filters import CommunicationFilter
from crm.communications import CommunicationInfo, list_communications
from crm.errors import NotAllowed
from crm.lead_lists import LeadFilter, LeadRow, list_leads
from crm.paging import MAX_PAGE_SIZE as _MOST
from crm.paging import Page
from crm.party_lists import PartyFilter, condition_of
from crm.rights import Access, Scope, ways
from crm.schema.parties import Party
from crm.user_lists import UserInfo, list_users

PAGE: Final = 500
Sessions = async_sessionmaker[AsyncSession]
_Keys = Select[int, str]
Line = TypeVar("Line")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyLine:
    """A party as a row of a table: what the import reads under the same headings. Several values stand behind `; `."""

    number: int
    type: str
    organisation: str  # its name, or where the person works
    full_name: str
    inn: str
    kpp: str
    kinds: tuple[tuple[str, str], ...]  # codes and names of the active ones
    person: str  # the name, or that of the primary contact
    position: str
    phones: tuple[tuple[str, str], ...]  # E.164 and extension; of an organisation also its primary contact's
    emails: tuple[str, ...]
    bounced: tuple[tuple[str, datetime], ...]  # addresses from which letters come back, since when
    opted_out: tuple[tuple[str, datetime], ...]  # and those not to be written to
    owner: str
    source: str
    city: str
    website: str
    note: str
    created_at: datetime
    last_communication_at: datetime | None
    custom: Mapping[str, Any]  # values of the company's own fields, by their keys


def exporting(access: Access, right: str) -> Access:
    """The same user, reading no further than the right to export reaches; call-time access exports nothing.

    Raises:
        NotAllowed
    """
    access.require("export")
    access.require(right)
    reach = min(access.scope("export"), access.scope(right))
    return replace(access, scopes=MappingProxyType({**access.scopes, "export": reach, right: reach}))


async def log_export(
    session: AsyncSession, access: Access, what: str, chosen: dict[str, Any], from_address: str | None
) -> None:
    """Before the first row leaves. `what`: parties, calls, leads …; `chosen`: the list's filter."""
    detail = {"list": what, **{name: value for name, value in chosen.items() if value}}
    await log_access(session, "exported", access, from_address=from_address, record_kind=what, detail=detail)


async def party_lines(
    sessions: Sessions, access: Access, wanted: PartyFilter, only: Sequence[int] | None = None
) -> AsyncIterator[Sequence[PartyLine]]:
    """The list by name, in pages; with `only`, those of these parties that the filter lets through.

    Raises:
        NotAllowed, Invalid (the kind).
    """
    reader = exporting(access, "party.read")
    after: tuple[str, int] | None = None
    while True:
        async with sessions() as session:
            keys = await _next_keys(session, reader, wanted, after, only)
            lines = await _lines(session, [party_id for party_id, _ in keys])
        if lines:
            yield lines
        if len(keys) < PAGE:
            return
        party_id, sort_name = keys[-1]
        after = (sort_name, party_id)


async def _next_keys(
    session: AsyncSession,
    access: Access,
    wanted: PartyFilter,
    after: tuple[str, int] | None,
    only: Sequence[int] | None,
) -> list[tuple[int, str]]:
    await session.execute(text("set local plan_cache_mode = force_custom_plan"))
    is_active = Party.lifecycle == literal("active", literal_execute=True)
    listed = select(Party.id, Party.sort_name).where(
        Party.deleted_at.is_(None), is_active, await condition_of(session, wanted)
    )
    if only is not None:
        listed = listed.where(Party.id.in_(only))
    if after is not None:
        listed = listed.where(tuple_(Party.sort_name, Party.id) > tuple_(*after))
    pages: list[_Keys] = [
        listed.where(way).order_by(Party.sort_name, Party.id).limit(PAGE)
        for way in ways(access, "export", Party)
    ]
    rows = union(*[page.subquery().select() for page in pages]).subquery()
    query = select(rows.c.id, rows.c.sort_name).order_by(rows.c.sort_name, rows.c.id).limit(PAGE)
    return [(party_id, sort_name) for party_id, sort_name in await session.execute(query)]


_LINES: Final = text(
    """
    select party.number, party.type, firm.display_name, organisation.full_name, coalesce(organisation.inn, person.inn),
        organisation.kpp, contact.display_name, tie.position, owner.name, party.source, party.city,
        organisation.website, party.note, party.created_at, party.last_communication_at, party.custom,
        array(
            select json_build_array(kind.code, kind.name) from party_kind_assignment given
            join party_kind kind on kind.id = given.kind_id
            where given.party_id = party.id and given.status <> 'ended' order by kind.position
        ),
        array(
            select json_build_array(number.e164, owned.extension) from party_phone owned
            join phone_number number on number.id = owned.number_id
            where owned.party_id in (party.id, contact.id) and owned.ended_at is null and number.e164 is not null
            order by owned.party_id <> party.id, not owned.is_primary, owned.id
        ),
        array(
            select json_build_array(email.address, owned.bounced_at, owned.opted_out_at)
            from party_email owned join email_address email on email.id = owned.email_id
            where owned.party_id in (party.id, contact.id) and owned.ended_at is null
            order by owned.party_id <> party.id, not owned.is_primary, owned.id
        )
    from unnest(cast(:ids as bigint[])) with ordinality as wanted (id, place)
    join party on party.id = wanted.id
    left join organisation on organisation.party_id = party.id
    left join person on person.party_id = party.id
    left join lateral (
        select organisation_id, person_id, position from affiliation
        where (organisation_id = party.id and is_primary or person_id = party.id) and ended_at is null
        order by is_primary desc, id limit 1
    ) as tie on true
    left join party firm on firm.id = case when party.type = 'person' then tie.organisation_id else party.id end
    left join party contact on contact.id = case when party.type = 'person' then party.id else tie.person_id end
        and contact.deleted_at is null
    left join app_user owner on owner.id = party.owner_id
    order by wanted.place
    """
)


async def _lines(session: AsyncSession, ids: Sequence[int]) -> list[PartyLine]:
    """These parties, in this order, in one query."""
    if not ids:
        return []
    return [_line(*row) for row in await session.execute(_LINES, {"ids": list(ids)})]


def _line(
    number: int,
    kind: str,
    organisation: str | None,
    full_name: str | None,
    inn: str | None,
    kpp: str | None,
    person: str | None,
    position: str | None,
    owner: str | None,
    source: str | None,
    city: str | None,
    website: str | None,
    note: str | None,
    created_at: datetime,
    last_communication_at: datetime | None,
    custom: Mapping[str, Any],
    kinds: Sequence[Sequence[str]],
    phones: Sequence[Sequence[str]],
    emails: Sequence[Sequence[Any]],
) -> PartyLine:
    return PartyLine(
        number=number,
        type=kind,
        organisation=organisation or "",
        full_name=full_name or "",
        inn=inn or "",
        kpp=kpp or "",
        kinds=tuple((code, word) for code, word in kinds),
        person=person or "",
        position=position or "",
        phones=tuple((e164, extension) for e164, extension in phones),
        emails=tuple(address for address, _, _ in emails),
        bounced=tuple((address, datetime.fromisoformat(at)) for address, at, _ in emails if at),
        opted_out=tuple((address, datetime.fromisoformat(at)) for address, _, at in emails if at),
        owner=owner or "",
        source=source or "",
        city=city or "",
        website=website or "",
        note=note or "",
        created_at=created_at,
        last_communication_at=last_communication_at,
        custom=custom,
    )


def call_lines(sessions: Sessions, access: Access, wanted: CallFilter) -> AsyncIterator[Sequence[CallInfo]]:
    """The journal, newest first, in pages.

    Raises:
        NotAllowed, Invalid (a value of the filter).
    """
    reader = exporting(access, "call.read")
    return _pages(sessions, lambda session, at: list_calls(session, reader, wanted, cursor=at, limit=_MOST))


def lead_lines(sessions: Sessions, access: Access, wanted: LeadFilter) -> AsyncIterator[Sequence[LeadRow]]:
    """The list of leads, newest first, in pages.

    Raises:
        NotAllowed.
    """
    reader = exporting(access, "lead.read")
    return _pages(sessions, lambda session, at: list_leads(session, reader, wanted, cursor=at, limit=_MOST))


def communication_lines(
    sessions: Sessions, access: Access, wanted: CommunicationFilter
) -> AsyncIterator[Sequence[CommunicationInfo]]:
    """The list of communications, newest first, in pages.

    Raises:
        NotAllowed.
    """
    reader = exporting(access, "party.read")
    return _pages(
        sessions, lambda session, at: list_communications(session, reader, wanted, cursor=at, limit=_MOST)
    )


async def _pages(
    sessions: Sessions, read: Callable[[AsyncSession, str | None], Awaitable[Page[Line]]]
) -> AsyncIterator[Sequence[Line]]:
    cursor: str | None = None
    while True:
        async with sessions() as session:
            page = await read(session, cursor)
        if page.items:
            yield page.items
        if page.next is None:
            return
        cursor = page.next


async def user_lines(session: AsyncSession, access: Access) -> list[UserInfo]:
    """Who works here; for whoever may export everything.

    Raises:
        NotAllowed.
    """
    if exporting(access, "user.read").scope("export") is not Scope.ALL:
        raise NotAllowed("export")
    return await list_users(session, access)
