"""Leads coming in: typed by a person, or opened by a form, a call or another program.

A lead that nobody typed is one for each subject and scheme while it is open: whatever comes again is added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Invalid, NotFound
from crm.lead_errors import OpenLeads
from crm.lead_links import link_by_rule, link_communication, link_of_subject
from crm.lead_subjects import Keeper, Subject, SubjectValues, subject_by_hand, subject_by_number
from crm.lead_values import LEAD, OPEN_STATES, LeadValues, columns_of
from crm.rights import Access
from crm.schema.access import NumberCounter, User
from crm.schema.base import uuid7
from crm.schema.communications import Call, Communication
from crm.schema.leads import Lead
from crm.schema.parties import Party
from crm.schema.telephony import Line
from crm.schemes import scheme_for
from crm.sources import as_stored
from crm.stage_rules import SchemeInfo
from crm.stages import clock, enter, require_complete


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLead:
    """A lead as it comes in. `owner_id`: the responsible user, whoever creates it if None (nobody for automatic ones)."""

    subject: SubjectValues
    values: LeadValues = field(default_factory=LeadValues)
    scheme_id: int | None = None
    owner_id: int | None = None
    line_id: int | None = None
    call_id: UUID | None = None  # of the talk it comes from
    is_further: bool = False  # by hand: also where the subject has open leads


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedLead:
    """`is_new` is false where an automatic lead of this subject was open and took it in."""

    id: int
    number: int
    party_id: int
    is_new: bool


async def create_lead(
    session: AsyncSession, access: Access, new: NewLead, *, via: str = "form"
) -> CreatedLead:
    """A lead that a person opens.

    Raises:
        NotAllowed, Invalid, NotFound (the party, the call), AlreadyExists (number or address are somebody's),
        OpenLeads (unless `is_further`), SchemeOfOthers, StageIncomplete (its first stage asks for more).
    """
    access.require("lead.create")
    scheme = await scheme_for(session, access, "lead", new.scheme_id)
    if new.owner_id not in (None, access.actor_id):
        access.require("lead.change_owner")
    keeper = await _keeper(session, new.owner_id or access.actor_id)
    subject = await subject_by_hand(session, access, new.subject, keeper=keeper, via=via)
    if subject.is_known and not new.is_further:
        await _warn_of_open_ones(session, subject.party_id)
    row = await _row(session, access, new, scheme, subject, keeper)
    lead_id = (await session.execute(insert(Lead).values(row).returning(Lead.id))).scalar_one()
    await _begin(session, access, lead_id, row, scheme, via)
    await require_complete(session, LEAD, await session.get(Lead, lead_id), None, scheme.first)
    await link_of_subject(session, lead_id, subject)
    if new.call_id is not None:
        await link_communication(session, access, lead_id, new.call_id)
    return CreatedLead(id=lead_id, number=row["number"], party_id=subject.party_id, is_new=True)


async def create_automatic_lead(
    session: AsyncSession,
    access: Access,
    new: NewLead,
    *,
    request_text: str = "",
    via: str = "api",
) -> CreatedLead:
    """A lead that a form, a call or another program opens; the open one of the same subject and scheme takes it in instead.

    Any number at the same moment gives one lead: the number is locked, and the database keeps one open automatic lead.

    Args:
        request_text: what was asked; kept as a communication of the lead, also when it came again.

    Raises:
        NotAllowed, Invalid, SchemeOfOthers.
    """
    access.require("lead.create")
    scheme = await scheme_for(session, access, "lead", new.scheme_id)
    keeper = await _keeper(session, new.owner_id, line_id=new.line_id, otherwise=access.team_id)
    subject = await subject_by_number(session, access, new.subject, keeper=keeper, via=via)
    going = await open_automatic(session, subject.party_id, scheme.id) if subject.is_known else None
    if going is not None:
        lead_id, number, is_new = *going, False
    else:
        lead_id, number, is_new = await _open_or_find(session, access, new, scheme, subject, keeper, via)
    await _add_request(session, lead_id, subject, request_text)
    return CreatedLead(id=lead_id, number=number, party_id=subject.party_id, is_new=is_new)


async def lead_of_call(
    session: AsyncSession,
    access: Access,
    call_id: UUID,
    *,
    scheme_id: int | None = None,
    owner_id: int | None = None,
    via: str = "journal",
) -> CreatedLead | None:
    """The automatic lead of a call, for a rule of handling calls: whoever called is not known, or a new interest of theirs is wanted.

    Asked again it answers the same; a second call of the number is added to the open lead. A person's choice for the call stays.

    Args:
        owner_id: the responsible user; None: the client's own, else nobody, seen by the team of the call's line.

    Returns:
        None where the caller withheld the number.

    Raises:
        NotAllowed, NotFound (the call), Invalid, SchemeOfOthers.
    """
    query = select(Call.customer_e164, Line.id.label("line_id"), Communication.lead_id)
    query = query.join(Communication, Communication.id == Call.id)
    query = query.outerjoin(Line, and_(Line.id == Call.line_id, Line.deleted_at.is_(None)))
    call = (await session.execute(query.where(Call.id == call_id))).first()
    if call is None:
        raise NotFound("call", call_id)
    if call.lead_id is not None:
        lead = await session.get_one(Lead, call.lead_id)
        return CreatedLead(id=lead.id, number=lead.number, party_id=lead.subject_party_id, is_new=False)
    if not call.customer_e164:
        return None
    new = NewLead(
        subject=SubjectValues(number=call.customer_e164),
        scheme_id=scheme_id,
        owner_id=owner_id,
        line_id=call.line_id,
    )
    made = await create_automatic_lead(session, access, new, via=via)
    await link_by_rule(session, made.id, made.party_id, call_id)
    return made


async def _open_or_find(
    session: AsyncSession,
    access: Access,
    new: NewLead,
    scheme: SchemeInfo,
    subject: Subject,
    keeper: Keeper,
    via: str,
) -> tuple[int, int, bool]:
    """A new automatic lead, and True; where somebody opened one at this very moment, the database refuses and that one is it."""
    if keeper.owner_id is None and subject.is_known:
        keeper = await _keeper_of_party(session, subject.party_id, keeper)
    row = await _row(session, access, new, scheme, subject, keeper) | {"auto_created": True}
    added = (
        upsert(Lead)
        .values(row)
        .on_conflict_do_nothing(
            index_elements=["subject_party_id", "scheme_id"],
            index_where=text("auto_created and state in ('open', 'on_hold') and deleted_at is null"),
        )
    )
    lead_id = await session.scalar(added.returning(Lead.id))
    if lead_id is None:
        found = await open_automatic(session, subject.party_id, scheme.id)
        assert found is not None, "the index that refused keeps it"
        return *found, False
    await _begin(session, access, lead_id, row, scheme, via)
    await link_of_subject(session, lead_id, subject)
    return lead_id, row["number"], True


async def open_leads_of(session: AsyncSession, party_ids: list[int]) -> dict[int, int]:
    """The open leads about these parties, as subject or as organisation: id → number, the newest first."""
    about = Lead.subject_party_id.in_(party_ids) | Lead.organisation_id.in_(party_ids)
    rows = await session.execute(
        select(Lead.id, Lead.number)
        .where(about, Lead.state.in_(OPEN_STATES), Lead.deleted_at.is_(None))
        .order_by(Lead.created_at.desc(), Lead.id.desc())
        .limit(10)
    )
    leads: dict[int, int] = dict(rows.all())
    return leads


async def open_automatic(session: AsyncSession, party_id: int, scheme_id: int) -> tuple[int, int] | None:
    """Id and number of the one open automatic lead of a subject in a scheme."""
    query = select(Lead.id, Lead.number).where(
        Lead.subject_party_id == party_id,
        Lead.scheme_id == scheme_id,
        Lead.auto_created,
        Lead.state.in_(OPEN_STATES),
        Lead.deleted_at.is_(None),
    )
    row = (await session.execute(query)).first()
    return None if row is None else (row.id, row.number)


async def _keeper(
    session: AsyncSession, owner_id: int | None, *, line_id: int | None = None, otherwise: int | None = None
) -> Keeper:
    """The responsible user with their team; of what is nobody's, the team of its line, or of whose token took it in."""
    if owner_id is not None:
        user = await session.scalar(select(User).where(User.id == owner_id, User.status == "active"))
        if user is None:
            raise Invalid("owner_id", owner_id, "There is no such active user.")
        return Keeper(owner_id=user.id, team_id=user.team_id)
    team_id = await session.scalar(select(Line.team_id).where(Line.id == line_id))
    return Keeper(owner_id=None, team_id=team_id or otherwise)


async def _keeper_of_party(session: AsyncSession, party_id: int, otherwise: Keeper) -> Keeper:
    """Whoever is responsible for the client is so for a new interest of theirs."""
    query = select(User.id, User.team_id).join(Party, Party.owner_id == User.id)
    owner = (await session.execute(query.where(Party.id == party_id, User.status == "active"))).first()
    return Keeper(owner_id=owner.id, team_id=owner.team_id) if owner else otherwise


async def _warn_of_open_ones(session: AsyncSession, party_id: int) -> None:
    if leads := await open_leads_of(session, [party_id]):
        name = await session.scalar(select(Party.display_name).where(Party.id == party_id))
        raise OpenLeads(name or "", leads)


async def _row(
    session: AsyncSession, access: Access, new: NewLead, scheme: SchemeInfo, subject: Subject, keeper: Keeper
) -> dict[str, Any]:
    values = new.values
    if new.line_id is not None:
        line = await session.get(Line, new.line_id)
        if line is None or line.deleted_at is not None:
            raise Invalid("line_id", new.line_id, "There is no such line.")
        values = values if values.source else replace(values, source=line.lead_source or "")
    earlier = select(Lead.id).where(Lead.subject_party_id == subject.party_id).limit(1)
    lifecycle = await session.scalar(select(Party.lifecycle).where(Party.id == subject.party_id))
    is_repeat = subject.is_known and (lifecycle == "active" or await session.scalar(earlier) is not None)
    return {
        **await as_stored(session, columns_of(values)),
        "number": await _next_number(session),
        "scheme_id": scheme.id,
        "stage_id": scheme.first.id,
        "person_id": subject.person_id,
        "organisation_id": subject.organisation_id,
        "line_id": new.line_id,
        "owner_id": keeper.owner_id,
        "team_id": keeper.team_id,
        "is_repeat": is_repeat,
        "created_by": access.actor_id,
    }


async def _begin(
    session: AsyncSession, access: Access, lead_id: int, row: Mapping[str, Any], scheme: SchemeInfo, via: str
) -> None:
    """The first visit, and the rows in the journals."""
    known = {name: value for name, value in row.items() if value not in (None, "", False, {})}
    await record_change(session, access, "lead", lead_id, after=known, via=via)
    now = await clock(session)
    await enter(session, access, LEAD, lead_id, scheme.first.id, at=now, via=via)


async def _add_request(session: AsyncSession, lead_id: int, subject: Subject, asked: str) -> None:
    """What was asked, as a communication of the lead and its subject; the party first, as everybody locks them (`crm.lead_locks`)."""
    if not asked.strip():
        return
    now = datetime.now(UTC)
    await session.execute(
        update(Party)
        .where(Party.id == subject.party_id)
        .values(last_communication_at=func.greatest(Party.last_communication_at, now))
    )
    request = {
        "id": uuid7(),
        "kind": "web_request",
        "direction": "in",
        "started_at": now,
        "ended_at": now,
        "summary": asked.strip(),
        "party_id": subject.party_id,
        "lead_id": lead_id,
        "link_source": "rule",
    }
    await session.execute(insert(Communication).values(request))
    first = update(Lead).where(Lead.id == lead_id, Lead.first_communication_id.is_(None))
    await session.execute(first.values(first_communication_id=request["id"]))


async def _next_number(session: AsyncSession) -> int:
    new = upsert(NumberCounter).values(kind="lead", value=1)
    counted = new.on_conflict_do_update(
        index_elements=["kind"], set_={"value": NumberCounter.value + NumberCounter.step}
    )
    return (await session.execute(counted.returning(NumberCounter.value))).scalar_one()
