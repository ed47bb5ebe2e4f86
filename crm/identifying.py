"""«Кто звонит?»: an agent says who it is. The call is theirs then; the number, if asked, too.

What an agent said is never overwritten by a later match (`crm.call_statements`). Two agents who create somebody for one number at
one moment make one party: the number is locked, and whoever comes second is told who was faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import PARTIES_CHANNEL, notify, record_change
from crm.errors import CrmError, Invalid, NotAllowed, NotFound
from crm.lead_access import readable_lead
from crm.lead_intake import CreatedLead, NewLead, create_lead
from crm.lead_subjects import SubjectValues
from crm.lead_values import LeadValues
from crm.matching import card_of
from crm.numbers import NumberValues, attach_number
from crm.parties import quick_create
from crm.party_access import readable_party
from crm.rights import Access, narrow
from crm.schema.access import User
from crm.schema.communications import Call, Communication


class CallNotStored(CrmError):
    """The journal is behind, or the database was away: a moment later it is there."""

    template = "The call is not written down yet. Try again in a few seconds; what was typed stays."


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidCall:
    """The call that an agent speaks of. `number`: E.164, "" where it was withheld; `is_present`: the desk knows it is theirs."""

    id: UUID
    number: str
    is_present: bool


async def stored_call(session: AsyncSession, access: Access, call_id: UUID) -> SaidCall:
    """A call that the desk no longer knows, for whoever took it, or may write about the calls of others.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("call.notes")
    number = narrow(
        select(func.coalesce(Call.customer_e164, "")).where(Call.id == call_id), access, "call.notes", Call
    )
    if (found := await session.scalar(number)) is None:
        raise NotFound("call", call_id)
    return SaidCall(id=call_id, number=found, is_present=False)


async def say_who(
    session: AsyncSession,
    access: Access,
    call: SaidCall,
    party_id: int,
    *,
    keeps_number: bool,
    is_shared: bool = False,
    lead_id: int | None = None,
    via: str = "call_window",
) -> None:
    """It is this party. `keeps_number`: the number is theirs from now on; else this call alone is linked.

    Args:
        lead_id: the lead that the call is about; its subject is the party.

    Raises:
        NotAllowed, NotFound (the party, the call), Invalid (the card is not one's to change),
        AlreadyExists (the number is somebody's), CallNotStored.
    """
    await _require_part(session, access, call)
    if keeps_number and call.number:
        await _attach(session, access, call.number, party_id, is_shared, via)
    more = {} if lead_id is None else {"lead_id": (await readable_lead(session, access, lead_id)).id}
    await _link(session, access, call, party_id, via, **more)


async def create_caller(
    session: AsyncSession,
    access: Access,
    call: SaidCall,
    *,
    person: str,
    organisation: str = "",
    kind: str = "prospect",
    via: str = "call_window",
) -> int:
    """Somebody new, with the number: a person, or an organisation with its contact. Returns the id of the card.

    Raises:
        NotAllowed, NotFound (the call), Invalid (no name), AlreadyExists (somebody was faster), CallNotStored.
    """
    await _require_part(session, access, call)
    made = await quick_create(
        session, access, organisation=organisation, person=person, number=call.number, kind=kind, via=via
    )
    await _link(session, access, call, made.person_id or made.party_id, via)
    return made.party_id


async def open_lead(
    session: AsyncSession, access: Access, call: SaidCall, *, person: str, need: str, via: str = "call_window"
) -> CreatedLead:
    """A lead on somebody who is known from this call alone; without a name they are called by their number.

    Raises:
        NotAllowed, NotFound (the call), Invalid, AlreadyExists (the number is somebody's), OpenLeads, CallNotStored.
    """
    await _require_part(session, access, call)
    line_id = await session.scalar(select(Call.line_id).where(Call.id == call.id))
    subject = SubjectValues(person=person, number=call.number)
    new = NewLead(subject=subject, values=LeadValues(need=need), line_id=line_id)
    made = await create_lead(session, access, new, via=via)
    await _link(session, access, call, made.party_id, via, lead_id=made.id)
    return made


async def _require_part(session: AsyncSession, access: Access, call: SaidCall) -> None:
    """Whoever says who called took the call, or may write about the calls of others."""
    access.require("call.notes")
    if not call.is_present:
        await stored_call(session, access, call.id)


async def _attach(
    session: AsyncSession, access: Access, number: str, party_id: int, is_shared: bool, via: str
) -> None:
    values = NumberValues(presented=number, is_shared=is_shared)
    try:
        await attach_number(session, access, party_id, values, via=via)
    except (NotFound, NotAllowed) as refused:
        party = await readable_party(session, access, party_id)  # else they are told nothing of it
        owner = await session.scalar(select(User.name).where(User.id == party.owner_id))
        why = "You may not add numbers to this card (responsible: %(owner)s). Choose “Only this call”."
        raise Invalid("party_id", party_id, why, owner=owner or "—") from refused


async def _link(
    session: AsyncSession, access: Access, call: SaidCall, party_id: int, via: str, **more: Any
) -> None:
    party = await readable_party(session, access, party_id)
    card = await card_of(session, party.id)
    if card is None:
        raise NotFound("party", party_id)
    row = await session.scalar(
        select(Communication)
        .where(Communication.id == call.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise CallNotStored
    after = {"party_id": card.id, "contact_id": card.contact_id, "link_source": "agent", **more}
    before = {name: getattr(row, name) for name in after}
    if await record_change(session, access, "communication", call.id, before=before, after=after, via=via):
        await session.execute(update(Communication).where(Communication.id == call.id).values(after))
    await notify(session, PARTIES_CHANNEL, "")
