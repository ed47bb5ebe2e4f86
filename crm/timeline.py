"""The timeline of a party: its communications, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.call_parts import sightings
from crm.lead_access import readable_lead
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size, uuid_of
from crm.party_access import readable_party
from crm.rights import Access, condition
from crm.schema.access import User
from crm.schema.communications import Call, CallNote, Communication
from crm.schema.leads import Lead
from crm.schema.meetings import CommunicationKind, Meeting
from crm.schema.parties import Party
from crm.schema.telephony import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteInfo:
    """What an agent wrote during a call."""

    user_id: int
    user_name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineItem:
    """A communication as the timeline shows it; the fields of a call are empty for the other kinds."""

    id: UUID
    kind: str  # call, email, meeting …
    direction: str  # in, out, none
    started_at: datetime
    ended_at: datetime | None
    subject: str | None
    summary: str | None
    user_id: int | None
    user_name: str | None
    contact_id: int | None
    contact_name: str | None
    state: str | None
    disposition: str | None
    talk_seconds: float | None
    wait_seconds: float | None
    customer_e164: str | None
    line_name: str | None
    line_colour: str | None
    queue: str | None
    recording_file: str | None
    own_kind: str | None  # the company's own name of an "other" one
    meeting_state: str | None
    place: str | None
    result: str | None
    notes: tuple[NoteInfo, ...]
    may_open: bool  # whether its own page is within this user's rights: a colleague's call may not be


async def timeline(
    session: AsyncSession,
    access: Access,
    party_id: int,
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[TimelineItem]:
    """A party's communications, newest first: a right on a party gives reading of them (crm-model 11).

    Raises:
        NotFound, Invalid (the cursor).
    """
    party = await readable_party(session, access, party_id)
    size = page_size(limit)
    return await _page(session, access, _timeline_ids(party.id, cursor, size + 1), size)


async def lead_timeline(
    session: AsyncSession,
    access: Access,
    lead_id: int,
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[TimelineItem]:
    """A lead's communications, newest first: whoever may read the lead reads them.

    Raises:
        NotFound, Invalid (the cursor).
    """
    await readable_lead(session, access, lead_id)
    size = page_size(limit)
    ids = _newest_ids(Communication.lead_id == lead_id, cursor, size + 1)
    return await _page(session, access, ids, size)


async def _page(session: AsyncSession, access: Access, ids: Any, size: int) -> Page[TimelineItem]:
    contact = aliased(Party)
    rows = (
        await session.execute(
            select(
                Communication,
                Call,
                Meeting,
                User.name,
                contact.display_name,
                Line.name,
                Line.colour,
                CommunicationKind.name,
            )
            .outerjoin(Call, Call.id == Communication.id)
            .outerjoin(Meeting, Meeting.id == Communication.id)
            .outerjoin(CommunicationKind, CommunicationKind.id == Communication.own_kind_id)
            .outerjoin(User, User.id == Communication.user_id)
            .outerjoin(contact, contact.id == Communication.contact_id)
            .outerjoin(Line, Line.id == Call.line_id)
            .where(
                Communication.id.in_(ids),
                Communication.deleted_at.is_(None),
                Call.joined_into_id.is_(None),
                Call.mirror_of_id.is_(None),
            )
            .order_by(Communication.started_at.desc(), Communication.id.desc())
            .limit(size + 1)
            .execution_options(populate_existing=True)
        )
    ).all()
    shown = rows[:size]
    notes = await _notes(session, access, [row[0].id for row in shown])
    calls = await _own_calls(session, access, [row[0].id for row in shown if row[1] is not None])
    may_read = access.may("party.read")
    items = tuple(
        _item(*row, notes.get(row[0].id, ()), may_open=row[0].id in calls if row[1] else may_read)
        for row in shown
    )
    last = items[-1] if len(rows) > size else None
    more = encode_cursor(last.started_at.isoformat(), str(last.id)) if last else None
    return Page(items=items, next=more)


async def _own_calls(session: AsyncSession, access: Access, call_ids: list[UUID]) -> frozenset[UUID]:
    """Which of these calls stand in the journal for this user."""
    if not call_ids or not access.may("call.read"):
        return frozenset()
    query = select(Call.id).where(Call.id.in_(call_ids), condition(access, "call.read", Call))
    return frozenset(await session.scalars(query))


def _timeline_ids(party_id: int, cursor: str | None, most: int) -> Any:
    """Ids by the party, by the contact, and by the leads that became this party; each from its own index, newest first."""
    became = Communication.lead_id.in_(select(Lead.id).where(Lead.converted_party_id == party_id))
    ways = (Communication.party_id == party_id, Communication.contact_id == party_id, became)
    first, *others = [_newest_ids(way, cursor, most) for way in ways]
    return first.union(*others)


def _newest_ids(way: ColumnElement[bool], cursor: str | None, most: int) -> Select[UUID]:
    part = (
        select(Communication.id)
        .outerjoin(Call, Call.id == Communication.id)
        .where(
            way,
            Communication.deleted_at.is_(None),
            Call.joined_into_id.is_(None),
            Call.mirror_of_id.is_(None),
        )
        .order_by(Communication.started_at.desc(), Communication.id.desc())
        .limit(most)
    )
    if cursor:
        part = part.where(
            tuple_(Communication.started_at, Communication.id) < tuple_(*decode_timeline(cursor))
        )
    return select(part.subquery().c.id)


def decode_timeline(cursor: str) -> tuple[datetime, UUID]:
    """Where the page before ended. Raises Invalid."""
    started_at, communication_id = decode_cursor(cursor, str, str)
    return moment_of(started_at, cursor), uuid_of(communication_id, cursor)


async def _notes(
    session: AsyncSession, access: Access, call_ids: list[UUID]
) -> dict[UUID, tuple[NoteInfo, ...]]:
    if not access.may("call.notes"):
        return {}
    shown_as = func.coalesce(Call.mirror_of_id, CallNote.call_id)
    rows = await session.execute(
        select(shown_as, CallNote.user_id, User.name, CallNote.text)
        .join(User, User.id == CallNote.user_id)
        .outerjoin(Call, Call.id == CallNote.call_id)
        .where(CallNote.call_id.in_(sightings(call_ids)), CallNote.text != "")
        .order_by(CallNote.created_at)
    )
    notes: dict[UUID, tuple[NoteInfo, ...]] = {}
    for call_id, user_id, name, text in rows:
        notes[call_id] = (*notes.get(call_id, ()), NoteInfo(user_id=user_id, user_name=name, text=text))
    return notes


def _item(
    communication: Communication,
    call: Call | None,
    meeting: Meeting | None,
    user_name: str | None,
    contact_name: str | None,
    line_name: str | None,
    line_colour: str | None,
    own_kind: str | None,
    notes: tuple[NoteInfo, ...],
    *,
    may_open: bool,
) -> TimelineItem:
    return TimelineItem(
        id=communication.id,
        kind=communication.kind,
        direction=communication.direction,
        started_at=communication.started_at,
        ended_at=communication.ended_at,
        subject=communication.subject,
        summary=communication.summary,
        user_id=communication.user_id,
        user_name=user_name,
        contact_id=communication.contact_id,
        contact_name=contact_name,
        state=call.state if call else None,
        disposition=call.disposition if call else None,
        talk_seconds=call.talk_seconds if call else None,
        wait_seconds=call.wait_seconds if call else None,
        customer_e164=call.customer_e164 if call else None,
        line_name=line_name,
        line_colour=line_colour,
        queue=call.queue if call else None,
        recording_file=call.recording_file if call else None,
        own_kind=own_kind,
        meeting_state=meeting.state if meeting else None,
        place=meeting.place if meeting else None,
        result=meeting.result if meeting else None,
        notes=notes,
        may_open=may_open,
    )
