"""Calls and leads: which call belongs to which lead, and the first response that a lead got.

A call is linked by itself to the single open lead of its party (in `crm.call_statements`); a person may choose another one, and
that choice is never overwritten. The first talk is the first response: it is written once and moves a new lead on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from crm.errors import NotFound
from crm.lead_locks import lock_parties
from crm.lead_subjects import UNQUALIFIED, Subject
from crm.lead_values import LEAD
from crm.rights import Access, access_of, command_access, narrow
from crm.schema.communications import Call, Communication
from crm.schema.leads import Lead
from crm.schema.parties import Party
from crm.schema.stages import StageVisit
from crm.schema.telephony import Line
from crm.schemes import scheme_of
from crm.stages import clock, enter, lacks, locked, write

JOURNAL: Final = "journal"
_UNANSWERED: Final = (Lead.first_response_at.is_(None), Lead.deleted_at.is_(None))


async def link_communication(session: AsyncSession, access: Access, lead_id: int, call_id: UUID) -> None:
    """Say that a call belongs to this lead, and to its subject where it was nobody's; the agent's choice stays.

    Raises:
        NotFound: no such call, or outside this user's rights.
    """
    query = narrow(select(Call.id).where(Call.id == call_id), access, "call.read", Call)
    if not access.may("call.read") or await session.scalar(query) is None:
        raise NotFound("call", call_id)
    lead = await session.get(Lead, lead_id, populate_existing=True)
    assert lead is not None, "its caller has just made or locked it"
    link = {
        "lead_id": lead_id,
        "link_source": "agent",
        "party_id": func.coalesce(Communication.party_id, lead.organisation_id or lead.person_id),
        "contact_id": func.coalesce(
            Communication.contact_id, lead.person_id if lead.organisation_id else None
        ),
    }
    await session.execute(update(Communication).where(Communication.id == call_id).values(link))
    await _take_from_call(session, lead, call_id)
    await _note_earlier_response(session, lead_id)


async def link_by_rule(session: AsyncSession, lead_id: int, party_id: int, call_id: UUID) -> None:
    """The call that a rule made this lead of; what a person said of the call stays."""
    await lock_parties(session, [party_id])
    lead = await session.get_one(Lead, lead_id, populate_existing=True)
    link = {
        "lead_id": lead_id,
        "link_source": func.coalesce(Communication.link_source, "rule"),
        "party_id": func.coalesce(Communication.party_id, lead.organisation_id or lead.person_id),
        "contact_id": func.coalesce(
            Communication.contact_id, lead.person_id if lead.organisation_id else None
        ),
    }
    is_free = Communication.link_source.is_distinct_from("agent")
    linked = update(Communication).where(Communication.id == call_id, is_free).values(link)
    if (await session.execute(linked.returning(Communication.id))).first() is not None:
        await _take_from_call(session, lead, call_id)
        await _note_earlier_response(session, lead_id)


async def link_of_subject(session: AsyncSession, lead_id: int, subject: Subject) -> None:
    """Whatever was said with somebody who is known from this lead alone belongs to it."""
    await lock_parties(session, [subject.party_id])
    lifecycle = await session.scalar(select(Party.lifecycle).where(Party.id == subject.party_id))
    if lifecycle != UNQUALIFIED:
        return
    about = or_(
        Communication.party_id == subject.party_id,
        Communication.contact_id == subject.party_id,
    )
    await session.execute(
        update(Communication).where(about, Communication.lead_id.is_(None)).values(lead_id=lead_id)
    )


async def _take_from_call(session: AsyncSession, lead: Lead, call_id: UUID) -> None:
    """The line, its source and the moment of the call that a lead comes from, where nothing else was said."""
    row = (
        await session.execute(
            select(Call.line_id, Line.lead_source)
            .outerjoin(Line, Line.id == Call.line_id)
            .where(Call.id == call_id)
        )
    ).one()
    taken = {
        "line_id": lead.line_id or row.line_id,
        "source": lead.source or row.lead_source,
        "first_communication_id": lead.first_communication_id or call_id,
    }
    await session.execute(update(Lead).where(Lead.id == lead.id).values(taken))


async def _note_earlier_response(session: AsyncSession, lead_id: int) -> None:
    """A lead made during or after a talk was answered at once."""
    query = (
        select(Call.started_at, Communication.user_id)
        .join(Communication, Communication.id == Call.id)
        .where(Communication.lead_id == lead_id, Call.answered_at.is_not(None))
        .order_by(Call.started_at)
        .limit(1)
    )
    if (talk := (await session.execute(query)).first()) is not None:
        await note_response(session, lead_id, talk.started_at, by_id=talk.user_id)


async def note_response(
    session: AsyncSession, lead_id: int, at: datetime, *, by_id: int | None = None
) -> None:
    """Somebody of ours talked with whom the lead is about: written once; a lead in its first stage goes on to the next.

    Args:
        at: when the talk's call began; a talk that was going on before the lead counts from the lead's own beginning.
        by_id: who talked, None if nobody knows.
    """
    if await session.scalar(select(Lead.id).where(Lead.id == lead_id, *_UNANSWERED)) is None:
        return
    lead = await locked(session, command_access(), LEAD, lead_id)
    if lead.first_response_at is not None:
        return
    first = {"first_response_at": func.greatest(at, Lead.created_at)}
    await session.execute(update(Lead).where(Lead.id == lead_id).values(first))
    await _move_on(session, lead, await _who_talked(session, by_id))


async def _move_on(session: AsyncSession, lead: Lead, access: Access) -> None:
    """Out of the first stage, unless somebody moved it before, or the next stage asks for what is not there yet."""
    scheme = await scheme_of(session, lead.scheme_id)
    later = [stage for stage in scheme.open_stages if stage.position > scheme.first.position]
    is_in_first = lead.state == "open" and lead.stage_id == scheme.first.id
    if not later or not is_in_first or not await _never_moved(session, lead.id):
        return
    if await lacks(session, LEAD, lead, scheme.first, later[0]):
        return
    moved = {"stage_id": later[0].id}
    await write(session, access, LEAD, lead, moved, event="lead.stage_entered", via=JOURNAL)
    await enter(session, access, LEAD, lead.id, later[0].id, at=await clock(session), via=JOURNAL)


async def note_responses(
    connection: AsyncConnection, talks: Iterable[tuple[int, datetime, int | None]]
) -> None:
    """The journal's way: (lead, when its call began, who talked), in the transaction that stores the calls."""
    async with AsyncSession(bind=connection, expire_on_commit=False) as session:
        for lead_id, at, by_id in sorted(talks, key=lambda talk: talk[:2]):
            await note_response(session, lead_id, at, by_id=by_id)


async def _who_talked(session: AsyncSession, by_id: int | None) -> Access:
    return (await access_of(session, by_id) if by_id is not None else None) or command_access("journal")


async def _never_moved(session: AsyncSession, lead_id: int) -> bool:
    visits = await session.scalar(
        select(func.count()).select_from(StageVisit).where(StageVisit.lead_id == lead_id)
    )
    return visits == 1
