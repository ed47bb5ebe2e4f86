"""The bin of leads: a deleted lead waits 30 days, and with it whoever is known from it alone; their numbers are free meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, exists, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.based_changes import check_version
from crm.bin_points import TakenPoint
from crm.changes import PARTIES_CHANNEL, notify
from crm.errors import NotFound
from crm.lead_errors import AnotherLeadOpen
from crm.lead_intake import open_automatic
from crm.lead_locks import lock_parties, parties_then_lead
from crm.lead_subjects import UNQUALIFIED
from crm.lead_values import LEAD
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size
from crm.party_bin import KEPT_DAYS, called, put_into_bin, take_out
from crm.rights import Access, condition
from crm.schema.access import User
from crm.schema.binned import BinEntry, LeadBinEntry
from crm.schema.leads import Lead
from crm.schema.parties import Party
from crm.stages import write

RIGHT = "lead.delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class BinnedLead:
    """A lead in the bin; it goes for good at `until`."""

    id: int
    number: int
    party_name: str
    title: str | None
    need: str | None
    owner_name: str | None
    deleted_at: datetime
    deleted_by: str | None
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredLead:
    """`taken`: what whoever came back with it does not have any more."""

    lead_id: int
    taken: tuple[TakenPoint, ...]


async def bin_lead(
    session: AsyncSession, access: Access, lead_id: int, *, base_version: int | None = None, via: str = "form"
) -> None:
    """Put a lead into the bin, with those that went into it, and with whoever is known from it alone.

    Raises:
        NotAllowed, NotFound (unknown, in the bin already, or outside this user's right to delete), Conflict (changed
        meanwhile, or merged at this very moment).
    """
    lead = await parties_then_lead(session, access, lead_id, right=RIGHT)
    if lead.merged_into_id is not None:  # the one that goes on answers for it
        raise NotFound("lead", lead_id)
    await check_version(session, LEAD.name, lead_id, lead.version, base_version)
    now = datetime.now(UTC)
    await write(session, access, LEAD, lead, {"deleted_at": now}, event="lead.binned", via=via)
    await session.execute(update(Lead).where(Lead.merged_into_id == lead_id).values(deleted_at=now))
    entry = {"lead_id": lead_id, "at": now, "by_id": access.actor_id, "via": via}
    await session.execute(insert(LeadBinEntry).values(entry))
    if alone := await _known_from_it_alone(session, lead):
        await put_into_bin(session, access, alone, via=via, is_with_lead=True)
    else:
        await notify(session, PARTIES_CHANNEL, "")  # whoever calls has no open lead now


async def _known_from_it_alone(session: AsyncSession, lead: Lead) -> Sequence[Party]:
    about = [or_(*(column == Party.id for column in (Lead.person_id, Lead.organisation_id)))]
    alone = select(Party).where(
        Party.id.in_([each for each in (lead.person_id, lead.organisation_id) if each is not None]),
        Party.lifecycle == UNQUALIFIED,
        Party.deleted_at.is_(None),
        ~exists().where(*about, Lead.deleted_at.is_(None)),
    )
    return (await session.scalars(alone.order_by(Party.id))).all()


async def restore_lead(
    session: AsyncSession, access: Access, lead_id: int, *, via: str = "form"
) -> RestoredLead:
    """Out of the bin again, and whoever went with it, with what is still free.

    Raises:
        NotAllowed, NotFound (not in the bin, or outside this user's right to delete), AnotherLeadOpen (one came by itself since).
    """
    access.require(RIGHT)
    subjects = select(Lead.person_id, Lead.organisation_id).where(Lead.id == lead_id)
    row = (await session.execute(subjects)).first()
    await lock_parties(session, [each for each in row or () if each is not None])
    lead = await _binned(session, access, lead_id)
    try:
        async with session.begin_nested():
            await write(session, access, LEAD, lead, {"deleted_at": None}, event="lead.restored", via=via)
    except IntegrityError as error:  # one open automatic lead of a subject and scheme
        await session.refresh(lead)
        found = await open_automatic(session, lead.subject_party_id, lead.scheme_id)
        if found is None:
            raise
        raise AnotherLeadOpen(*found) from error
    await session.execute(update(Lead).where(Lead.merged_into_id == lead_id).values(deleted_at=None))
    await session.execute(delete(LeadBinEntry).where(LeadBinEntry.lead_id == lead_id))
    taken = await _take_out_with(session, access, lead, via)
    await notify(session, PARTIES_CHANNEL, "")
    return RestoredLead(lead_id=lead_id, taken=tuple(taken))


async def _binned(session: AsyncSession, access: Access, lead_id: int) -> Lead:
    lead = await session.scalar(
        select(Lead)
        .join(LeadBinEntry, LeadBinEntry.lead_id == Lead.id)
        .where(Lead.id == lead_id, condition(access, RIGHT, Lead))
        .with_for_update(of=Lead, key_share=True)
        .execution_options(populate_existing=True)
    )
    if lead is None:
        raise NotFound("lead", lead_id)
    return lead


async def _take_out_with(session: AsyncSession, access: Access, lead: Lead, via: str) -> list[TakenPoint]:
    rows = await session.execute(
        select(Party, BinEntry)
        .join(BinEntry, BinEntry.party_id == Party.id)
        .where(Party.id.in_([lead.person_id, lead.organisation_id]), BinEntry.is_with_lead)
        .order_by(Party.id)
        .execution_options(populate_existing=True)
    )
    found = rows.all()
    ids = [party.id for party, _entry in found]  # their tie comes back when both are there
    await session.execute(update(Party).where(Party.id.in_(ids)).values(deleted_at=None))
    taken: list[TakenPoint] = []
    for party, entry in found:
        taken += (await take_out(session, access, party, entry, via=via)).taken
    return taken


async def list_lead_bin(
    session: AsyncSession,
    access: Access,
    *,
    wanted: str = "",
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[BinnedLead]:
    """The leads in the bin, the latest first, within one's right to delete.

    Args:
        wanted: a part of the name of whom they are about, or the lead's number.

    Raises:
        NotAllowed, Invalid (the cursor).
    """
    access.require(RIGHT)
    size = page_size(limit)
    owner, by = User.__table__.alias("owner"), User.__table__.alias("by")
    query = (
        select(Lead, Party.display_name, LeadBinEntry.at, owner.c.name, by.c.name)
        .select_from(LeadBinEntry)
        .join(Lead, Lead.id == LeadBinEntry.lead_id)
        .join(Party, Party.id == Lead.subject_party_id)
        .outerjoin(owner, owner.c.id == Lead.owner_id)
        .outerjoin(by, by.c.id == LeadBinEntry.by_id)
        .where(condition(access, RIGHT, Lead), called(wanted, Party, Lead.number))
        .order_by(LeadBinEntry.at.desc(), LeadBinEntry.lead_id.desc())
    )
    if cursor:
        at, lead_id = decode_cursor(cursor, str, int)
        before = tuple_(moment_of(at, cursor), lead_id or 0)
        query = query.where(tuple_(LeadBinEntry.at, LeadBinEntry.lead_id) < before)
    rows = (await session.execute(query.limit(size + 1))).all()
    items = tuple(_told(*row) for row in rows[:size])
    last = items[-1] if len(rows) > size else None
    return Page(items=items, next=encode_cursor(last.deleted_at.isoformat(), last.id) if last else None)


def _told(lead: Lead, party_name: str, at: datetime, owner: str | None, by: str | None) -> BinnedLead:
    return BinnedLead(
        id=lead.id,
        number=lead.number,
        party_name=party_name,
        title=lead.title,
        need=lead.need,
        owner_name=owner,
        deleted_at=at,
        deleted_by=by,
        until=at + timedelta(days=KEPT_DAYS),
    )
