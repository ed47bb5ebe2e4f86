"""What was in the bin for 30 days goes for good, with every row that is only about it; calls and journals stay."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import TextClause, delete, or_, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.merge_references import REFERENCES, Purge, Reference
from crm.rights import Access
from crm.schema.binned import BinEntry, LeadBinEntry
from crm.schema.communications import Communication
from crm.schema.leads import Lead
from crm.schema.meetings import Meeting, MeetingParticipant
from crm.schema.merging import DuplicateDismissal, DuplicatePair
from crm.schema.parties import EmailAddress, Organisation, Party, PartyEmail, Person
from crm.schema.tasks import Task

log = structlog.get_logger(__name__)
AT_ONCE: Final = 20


async def empty_piece(
    session: AsyncSession, access: Access, before: datetime, after_id: int = 0
) -> int | None:
    """Remove some of what was put there before a moment. Returns where to go on; None: nothing was left.

    A party that another record still holds (a lead) stays in the bin, and the log says so.
    """
    due = select(BinEntry.party_id).where(BinEntry.at < before, BinEntry.party_id > after_id)
    due = due.order_by(BinEntry.party_id).limit(AT_ONCE).with_for_update(skip_locked=True)
    ids = list(await session.scalars(due))
    for party_id in ids:
        try:
            async with session.begin_nested():
                await _remove(session, access, party_id)
        except IntegrityError as error:
            log.warning("party_stays_in_bin", party_id=party_id, why=str(error.orig)[:200])
    return ids[-1] if ids else None


async def empty_leads(
    session: AsyncSession, access: Access, before: datetime, after_id: int = 0
) -> int | None:
    """The same for leads. To be emptied before parties, which are held by them."""
    due = select(LeadBinEntry.lead_id).where(LeadBinEntry.at < before, LeadBinEntry.lead_id > after_id)
    due = due.order_by(LeadBinEntry.lead_id).limit(AT_ONCE).with_for_update(skip_locked=True)
    ids = list(await session.scalars(due))
    for lead_id in ids:
        await _remove_lead(session, access, lead_id)
    return ids[-1] if ids else None


async def empty_communications(
    session: AsyncSession, access: Access, before: datetime, after_place: int = 0
) -> int | None:
    """The same for communications, of which nothing holds any: their places are counted."""
    due = select(Communication).where(Communication.deleted_at < before).order_by(Communication.deleted_at)
    found = list(await session.scalars(due.limit(AT_ONCE).with_for_update(skip_locked=True)))
    ids = [each.id for each in found]
    for each in found:
        gone = {"kind": each.kind, "subject": each.subject, "summary": each.summary}
        await record_change(session, access, "communication", each.id, before=gone, after=None, via="bin")
    await session.execute(update(Task).where(Task.communication_id.in_(ids)).values(communication_id=None))
    await session.execute(delete(MeetingParticipant).where(MeetingParticipant.meeting_id.in_(ids)))
    for model in (Meeting, Communication):
        await session.execute(delete(model).where(model.id.in_(ids)))
    return after_place + len(ids) if ids else None


async def _remove_lead(session: AsyncSession, access: Access, lead_id: int) -> None:
    """With those merged into it; the database takes its visits, pauses and comments along and unties calls and tasks."""
    lead = await session.get_one(Lead, lead_id, populate_existing=True)
    before = {"number": lead.number, "title": lead.title, "need": lead.need}
    await session.execute(delete(LeadBinEntry).where(LeadBinEntry.lead_id == lead_id))
    await session.execute(delete(Lead).where(Lead.merged_into_id == lead_id))
    await session.execute(delete(Lead).where(Lead.id == lead_id))
    await record_change(session, access, "lead", lead_id, before=before, after=None, via="bin")


async def _remove(session: AsyncSession, access: Access, party_id: int) -> None:
    name = await session.scalar(select(Party.display_name).where(Party.id == party_id))
    merged = await session.scalars(select(Party.id).where(Party.merged_into_id == party_id))
    for each in (*merged.all(), party_id):  # those merged into it first: they lead to it
        await _remove_one(session, each)
    before = {"display_name": name}
    await record_change(session, access, "party", party_id, before=before, after=None, via="bin")


async def _remove_one(session: AsyncSession, party_id: int) -> None:
    addresses = await session.scalars(select(PartyEmail.email_id).where(PartyEmail.party_id == party_id))
    email_ids = addresses.all()
    for reference in REFERENCES:
        if reference.column is not Party.merged_into_id and reference.purge is not Purge.HOLD:
            await session.execute(_purge(reference), {"party": party_id})
    for table in (DuplicatePair, DuplicateDismissal):
        either: Any = or_(table.low_id == party_id, table.high_id == party_id)
        await session.execute(delete(table).where(either))
    for detail in (Person, Organisation, BinEntry):
        await session.execute(delete(detail).where(detail.party_id == party_id))
    await session.execute(delete(Party).where(Party.id == party_id))
    used = select(PartyEmail.id).where(
        PartyEmail.email_id == EmailAddress.id
    )  # a number is the world's, an address theirs
    await session.execute(delete(EmailAddress).where(EmailAddress.id.in_(email_ids), ~used.exists()))


def _purge(reference: Reference) -> TextClause:
    table, column = reference.table, reference.column.key
    mine = (
        f"r.{column} = cast(cast(:party as bigint) as {reference.type}) and {reference.among.format(row='r')}"
    )
    if reference.purge is Purge.CLEAR:
        return text(f"update {table} r set {column} = null where {mine}")  # noqa: S608 - our own names
    return text(f"delete from {table} r where {mine}")  # noqa: S608
