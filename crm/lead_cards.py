"""Reading one lead: its card, whom it may be about, how it went. Its communications are `crm.timeline.lead_timeline`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.lead_access import readable_lead
from crm.lead_lists import LeadRow, lead_rows
from crm.lead_subjects import UNQUALIFIED
from crm.party_access import readable
from crm.party_cards import EmailInfo, PhoneInfo, emails_of, phones_of
from crm.party_lists import PartyRow, rows_of
from crm.rights import Access, condition
from crm.schema.access import User
from crm.schema.leads import Lead
from crm.schema.parties import Party, PartyEmail, PartyPhone
from crm.schema.stages import FailureReason, Hold, Stage, StageVisit
from crm.schemes import scheme_of
from crm.similar_names import similar_parties
from crm.stage_rules import SchemeInfo, StageInfo, permitted

MOST_LIKELY = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitInfo:
    """A stay in a stage."""

    stage_name: str
    entered_at: datetime
    left_at: datetime | None
    by_name: str | None
    via: str
    comment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyLink:
    """A party that a lead names; `is_readable`: whether its card opens for this user."""

    id: int
    name: str
    type: str
    lifecycle: str
    is_readable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadCard:
    """Everything the card shows at once."""

    lead: LeadRow
    scheme: SchemeInfo
    stage: StageInfo
    allowed: tuple[StageInfo, ...]  # where it may go from here, or be reopened into
    person: PartyLink | None
    organisation: PartyLink | None
    phones: tuple[PhoneInfo, ...]
    emails: tuple[EmailInfo, ...]
    campaign: dict[str, str]
    converted_at: datetime | None
    converted_by: str | None
    converted_party: PartyLink | None
    converted_person: PartyLink | None
    disqualified_at: datetime | None
    disqualify_reason: str | None
    disqualify_note: str | None
    duplicate_of: int | None
    reopened_count: int
    hold_reason: str | None
    resume_on: date | None
    visits: tuple[VisitInfo, ...]
    created_by: str | None
    may_edit: bool
    may_take: bool
    may_assign: bool
    may_reopen: bool
    may_merge: bool
    may_delete: bool

    @property
    def is_open(self) -> bool:
        return self.lead.state in ("open", "on_hold")


async def lead_card(session: AsyncSession, access: Access, lead_id: int) -> LeadCard:
    """The card; of a merged lead that of the one it went into, whose id is another.

    Raises:
        NotFound: unknown, in the bin, or outside this user's rights.
    """
    lead = await readable_lead(session, access, lead_id)
    if lead.merged_into_id is not None:
        lead = await readable_lead(session, access, lead.merged_into_id)
    (row,) = await lead_rows(session, [lead.id])
    scheme = await scheme_of(session, lead.scheme_id)
    stage = scheme.stage(lead.stage_id) or scheme.first
    links = await _links(session, access, lead)
    pause = await session.scalar(select(Hold).where(Hold.lead_id == lead.id, Hold.to_at.is_(None)))
    subjects = [each for each in (lead.person_id, lead.organisation_id) if each is not None]
    phones, emails = await phones_of(session, subjects), await emails_of(session, subjects)
    names = await _names(session, lead)
    may_edit = await _may(session, access, "lead.edit", lead.id)
    return LeadCard(
        lead=row,
        scheme=scheme,
        stage=stage,
        allowed=permitted(scheme, stage),
        person=links.get(lead.person_id),
        organisation=links.get(lead.organisation_id),
        phones=tuple(phone for each in subjects for phone in phones.get(each, ())),
        emails=tuple(email for each in subjects for email in emails.get(each, ())),
        campaign=dict(lead.campaign),
        converted_at=lead.converted_at,
        converted_by=names.get(lead.converted_by_id),
        converted_party=links.get(lead.converted_party_id),
        converted_person=links.get(lead.converted_person_id),
        disqualified_at=lead.disqualified_at,
        disqualify_reason=await _reason(session, lead.disqualify_reason_id),
        disqualify_note=lead.disqualify_note,
        duplicate_of=lead.duplicate_of_id,
        reopened_count=lead.reopened_count,
        hold_reason=pause.reason if pause else None,
        resume_on=pause.resume_on if pause else None,
        visits=await _visits(session, lead.id),
        created_by=names.get(lead.created_by),
        may_edit=may_edit,
        may_take=lead.owner_id is None and access.may("lead.edit"),
        may_assign=await _may(session, access, "lead.change_owner", lead.id),
        may_reopen=may_edit and await _may(session, access, "lead.reopen", lead.id),
        may_merge=may_edit and await _may(session, access, "party.merge", lead.id),
        may_delete=await _may(session, access, "lead.delete", lead.id),
    )


async def likely_parties(session: AsyncSession, access: Access, card: LeadCard) -> list[PartyRow]:
    """Existing parties that whoever asks may be: by number and address first, then by name; within one's rights.

    The lead's own subjects are left out, and so is everybody else who is known from a lead alone.
    """
    own = {link.id for link in (card.person, card.organisation) if link is not None}
    ids: list[int] = []
    for query in sharing(card):
        ids += (await session.scalars(query)).all()
    for link in (card.organisation, card.person):
        if link is not None and link.lifecycle == UNQUALIFIED:
            similar = await similar_parties(session, link.name, link.type, exclude_id=link.id)
            ids += [each.party_id for each in similar]
    wanted = [each for each in dict.fromkeys(ids) if each not in own]
    seen = await session.scalars(
        select(Party.id).where(
            Party.id.in_(wanted),
            Party.lifecycle.in_(["active", "archived"]),
            Party.deleted_at.is_(None),
            readable(access),
        )
    )
    allowed = set(seen)
    return await rows_of(session, [each for each in wanted if each in allowed][:MOST_LIKELY])


def sharing(card: LeadCard) -> list[Select[int]]:
    """Who has one of the lead's numbers or addresses as well."""
    numbers = [phone.number_id for phone in card.phones]
    emails = [email.id for email in card.emails]
    other = aliased(PartyEmail)
    return [
        select(PartyPhone.party_id).where(PartyPhone.number_id.in_(numbers), PartyPhone.ended_at.is_(None)),
        select(other.party_id)
        .join(PartyEmail, PartyEmail.email_id == other.email_id)
        .where(PartyEmail.id.in_(emails), other.ended_at.is_(None)),
    ]


async def _links(session: AsyncSession, access: Access, lead: Lead) -> dict[int | None, PartyLink]:
    ids = {lead.person_id, lead.organisation_id, lead.converted_party_id, lead.converted_person_id} - {None}
    may_read = readable(access) if access.may("party.read") else literal(value=False)
    rows = await session.execute(
        select(Party.id, Party.display_name, Party.type, Party.lifecycle, may_read).where(Party.id.in_(ids))
    )
    return {
        party_id: PartyLink(id=party_id, name=name, type=type_, lifecycle=lifecycle, is_readable=bool(seen))
        for party_id, name, type_, lifecycle, seen in rows
    }


async def _visits(session: AsyncSession, lead_id: int) -> tuple[VisitInfo, ...]:
    rows = await session.execute(
        select(
            Stage.name,
            StageVisit.entered_at,
            StageVisit.left_at,
            User.name,
            StageVisit.via,
            StageVisit.comment,
        )
        .join(Stage, Stage.id == StageVisit.stage_id)
        .outerjoin(User, User.id == StageVisit.by_id)
        .where(StageVisit.lead_id == lead_id)
        .order_by(StageVisit.entered_at.desc(), StageVisit.id.desc())
        .limit(50)
    )
    return tuple(
        VisitInfo(stage_name=name, entered_at=entered, left_at=left, by_name=by, via=via, comment=comment)
        for name, entered, left, by, via, comment in rows
    )


async def _names(session: AsyncSession, lead: Lead) -> dict[int | None, str]:
    ids = {lead.created_by, lead.converted_by_id} - {None}
    rows = await session.execute(select(User.id, User.name).where(User.id.in_(ids)))
    names: dict[int | None, str] = dict(rows.all())
    return names


async def _reason(session: AsyncSession, reason_id: int | None) -> str | None:
    if reason_id is None:
        return None
    found: Any = await session.scalar(select(FailureReason.name).where(FailureReason.id == reason_id))
    return str(found)


async def _may(session: AsyncSession, access: Access, right: str, lead_id: int) -> bool:
    allowed = select(Lead.id).where(Lead.id == lead_id, condition(access, right, Lead))
    return access.may(right) and await session.scalar(allowed) is not None
