"""Reading one party: its card. Its communications are `crm.timeline`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.party_access import readable_party
from crm.party_kinds import KindInfo, kinds_of
from crm.party_values import ORGANISATION, PERSON
from crm.rights import Access, Scope, condition
from crm.schema.access import User
from crm.schema.parties import (
    Affiliation,
    EmailAddress,
    Organisation,
    Party,
    PartyEmail,
    PartyPhone,
    Person,
    PhoneNumber,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneInfo:
    """A number in a party's hands."""

    id: int  # of the tie (`PartyPhone`): to end it, to make it primary
    number_id: int  # of the number: to mark it shared
    e164: str | None
    local_digits: str | None
    extension: str  # "" if none
    usage: str  # direct, shared
    label: str | None
    presented: str
    type: str | None  # mobile, fixed …
    region: str | None  # where it is from, in Russian; None if its digits do not tell
    is_primary: bool
    do_not_call: bool
    is_spam: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailInfo:
    """An address of a party: since when letters come back from it, since when it is not to be written to, and who said so."""

    id: int
    address: str
    usage: str
    label: str | None
    is_primary: bool
    bounced_at: datetime | None
    bounced_by: str | None
    opted_out_at: datetime | None
    opted_out_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactInfo:
    """The other side of a tie: a contact of the organisation, or an organisation of the person."""

    affiliation_id: int
    party_id: int
    name: str
    position: str | None
    contact_role: str | None
    is_primary: bool
    phones: tuple[PhoneInfo, ...]
    last_communication_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyCard:
    """Everything the card shows at once; `detail` has the columns of the person or the organisation."""

    id: int
    number: int
    type: str
    name: str
    lifecycle: str
    kinds: tuple[KindInfo, ...]  # active ones first, then the ended
    owner_id: int | None
    owner_name: str | None
    team_id: int | None
    city: str | None
    note: str | None
    source: str | None
    language: str | None
    do_not_call: bool
    last_name: str | None
    first_name: str | None
    middle_name: str | None
    sex: str | None
    birth_date: date | None
    form: str | None
    short_name: str | None
    full_name: str | None
    inn: str | None
    kpp: str | None
    ogrn: str | None
    website: str | None
    industry: str | None
    phones: tuple[PhoneInfo, ...]
    emails: tuple[EmailInfo, ...]
    contacts: tuple[ContactInfo, ...]  # of an organisation, the primary one first
    organisations: tuple[ContactInfo, ...]  # of a person
    last_talk_at: datetime | None
    last_communication_at: datetime | None
    created_at: datetime
    created_by: str | None
    version: int
    custom: Mapping[str, Any]  # values of the company's own fields, by their keys
    may_edit: bool
    may_change_owner: bool
    may_merge: bool
    may_delete: bool


async def party_card(session: AsyncSession, access: Access, party_id: int) -> PartyCard:
    """The card; of a merged party, the card of the one it was merged into.

    Raises:
        NotFound: unknown, in the bin, or outside this user's rights.
    """
    party = await readable_party(session, access, party_id)
    detail_class: Any = Person if party.type == PERSON else Organisation
    detail = await session.scalar(
        select(detail_class)
        .where(detail_class.party_id == party.id)
        .execution_options(populate_existing=True)
    )
    names = await _user_names(session, party.owner_id, party.created_by)
    ties = await _ties(session, party)
    phones = await phones_of(session, [party.id])
    kinds = await kinds_of(session, [party.id])
    return PartyCard(
        id=party.id,
        number=party.number,
        type=party.type,
        name=party.display_name,
        lifecycle=party.lifecycle,
        kinds=kinds.get(party.id, ()),
        owner_id=party.owner_id,
        owner_name=names.get(party.owner_id),
        team_id=party.team_id,
        city=party.city,
        note=party.note,
        source=party.source,
        language=party.language,
        do_not_call=party.do_not_call,
        **_detail(detail),
        phones=phones.get(party.id, ()),
        emails=(await emails_of(session, [party.id])).get(party.id, ()),
        contacts=ties if party.type == ORGANISATION else (),
        organisations=ties if party.type == PERSON else (),
        last_talk_at=party.last_talk_at,
        last_communication_at=party.last_communication_at,
        created_at=party.created_at,
        created_by=names.get(party.created_by),
        version=party.version,
        custom=party.custom,
        may_edit=await _may(session, access, "party.edit", party.id),
        may_change_owner=await _may(session, access, "party.change_owner", party.id),
        may_merge=await _may(session, access, "party.merge", party.id),
        may_delete=await _may(session, access, "party.delete", party.id),
    )


def _detail(row: Any) -> dict[str, Any]:
    columns = ("last_name", "first_name", "middle_name", "sex", "birth_date", "form", "short_name")
    more = ("full_name", "inn", "kpp", "ogrn", "website", "industry")
    return {name: getattr(row, name, None) for name in columns + more}


async def _may(session: AsyncSession, access: Access, right: str, party_id: int) -> bool:
    if access.scope(right) is Scope.ALL:
        return True
    allowed = select(Party.id).where(Party.id == party_id, condition(access, right, Party))
    return access.may(right) and await session.scalar(allowed) is not None


async def _user_names(session: AsyncSession, *ids: int | None) -> dict[int | None, str]:
    rows = await session.execute(select(User.id, User.name).where(User.id.in_(set(ids) - {None})))
    names: dict[int | None, str] = dict(rows.all())
    return names


async def phones_of(session: AsyncSession, party_ids: Iterable[int]) -> dict[int, tuple[PhoneInfo, ...]]:
    """The active numbers of many parties at once, the primary one first."""
    rows = await session.execute(
        select(PartyPhone, PhoneNumber)
        .join(PhoneNumber, PhoneNumber.id == PartyPhone.number_id)
        .where(PartyPhone.party_id.in_(list(party_ids)), PartyPhone.ended_at.is_(None))
        .order_by(PartyPhone.is_primary.desc(), PartyPhone.id)
        .execution_options(populate_existing=True)
    )
    phones: dict[int, tuple[PhoneInfo, ...]] = {}
    for tie, number in rows:
        phones[tie.party_id] = (*phones.get(tie.party_id, ()), _phone(tie, number))
    return phones


def _phone(tie: PartyPhone, number: PhoneNumber) -> PhoneInfo:
    return PhoneInfo(
        id=tie.id,
        number_id=number.id,
        e164=number.e164,
        local_digits=number.local_digits,
        extension=tie.extension,
        usage=number.usage,
        label=tie.label,
        presented=tie.presented,
        type=number.type,
        region=number.region or None,
        is_primary=tie.is_primary,
        do_not_call=tie.do_not_call,
        is_spam=number.is_spam,
    )


async def emails_of(session: AsyncSession, party_ids: Iterable[int]) -> dict[int, tuple[EmailInfo, ...]]:
    """The active addresses of many parties at once, the primary one first."""
    bouncer, listener = aliased(User), aliased(User)
    rows = await session.execute(
        select(PartyEmail, EmailAddress.address, bouncer.name, listener.name)
        .join(EmailAddress, EmailAddress.id == PartyEmail.email_id)
        .outerjoin(bouncer, bouncer.id == PartyEmail.bounced_by_id)
        .outerjoin(listener, listener.id == PartyEmail.opted_out_by_id)
        .where(PartyEmail.party_id.in_(list(party_ids)), PartyEmail.ended_at.is_(None))
        .order_by(PartyEmail.is_primary.desc(), PartyEmail.id)
        .execution_options(populate_existing=True)
    )
    emails: dict[int, tuple[EmailInfo, ...]] = {}
    for tie, address, bounced_by, opted_out_by in rows:
        email = EmailInfo(
            id=tie.id,
            address=address,
            usage=tie.usage,
            label=tie.label,
            is_primary=tie.is_primary,
            bounced_at=tie.bounced_at,
            bounced_by=bounced_by,
            opted_out_at=tie.opted_out_at,
            opted_out_by=opted_out_by,
        )
        emails[tie.party_id] = (*emails.get(tie.party_id, ()), email)
    return emails


async def _ties(session: AsyncSession, party: Party) -> tuple[ContactInfo, ...]:
    here, there = Affiliation.organisation_id, Affiliation.person_id
    if party.type == PERSON:
        here, there = there, here
    rows = (
        await session.execute(
            select(Affiliation, Party.id, Party.display_name, Party.last_communication_at)
            .join(Party, Party.id == there)
            .where(here == party.id, Affiliation.ended_at.is_(None), Party.deleted_at.is_(None))
            .order_by(Affiliation.is_primary.desc(), Party.sort_name, Party.id)
            .execution_options(populate_existing=True)
        )
    ).all()
    phones = await phones_of(session, [row[1] for row in rows])
    return tuple(
        ContactInfo(
            affiliation_id=tie.id,
            party_id=other_id,
            name=name,
            position=tie.position,
            contact_role=tie.contact_role,
            is_primary=tie.is_primary,
            phones=phones.get(other_id, ()),
            last_communication_at=last,
        )
        for tie, other_id, name, last in rows
    )
