"""One change for many communications: other hands, what they belong to, how meetings came out, the bin; each in a transaction of its own.

What the PBX told stays as it was (`kept`); whatever else cannot be changed is counted and left alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.by_hand import CommunicationValues, Tie, edit_communication, values_of
from crm.changes import record_change
from crm.communication_bin import KIND, bin_communication, locked_card
from crm.communications import CommunicationCard
from crm.errors import CrmError, Invalid, NotFound
from crm.mass_changes import MassResult
from crm.notifications import tell_users
from crm.owners import possible_owners
from crm.rights import Access, condition
from crm.schema.access import User
from crm.schema.communications import Call, Communication
from crm.schema.leads import Lead
from crm.schema.parties import Party

MOST_COMMUNICATIONS: Final = 200  # of one action: a page waits for it
PLANNED: Final = "planned"
ENDS: Final = ("held", "cancelled")  # of a planned meeting
Act = Callable[[AsyncSession, CommunicationCard], Awaitable[bool]]  # whether it changed anything
Sessions = async_sessionmaker[AsyncSession]


async def give_communications(
    sessions: Sessions, access: Access, ids: Sequence[UUID], user_id: int
) -> MassResult:
    """All of them to one user, as if they had written them down; they are notified once.

    Raises:
        NotAllowed, NotFound (the user, or one may not give records to them), Invalid (too many).
    """
    async with sessions() as session:
        if user_id not in dict(await possible_owners(session, access)):
            raise NotFound("user", user_id)
        team_id = await session.scalar(select(User.team_id).where(User.id == user_id))
    after = {"user_id": user_id, "team_id": team_id}

    async def act(session: AsyncSession, card: CommunicationCard) -> bool:
        return await _give(session, access, card, after)

    result = await _each(sessions, access, ids, act)
    if result.changed:
        async with sessions.begin() as session:
            detail = {"count": result.changed}
            await tell_users(session, access, [user_id], "assigned", record_kind=KIND, detail=detail)
    return result


async def _give(
    session: AsyncSession, access: Access, card: CommunicationCard, after: dict[str, Any]
) -> bool:
    info = card.communication
    before = {"user_id": info.user_id, "team_id": info.team_id}
    if not await record_change(session, access, KIND, info.id, before=before, after=after):
        return False
    changed = {**after, "version": Communication.version + 1, "updated_at": func.now()}
    await session.execute(update(Communication).where(Communication.id == info.id).values(changed))
    return True


async def tie_to_lead(sessions: Sessions, access: Access, ids: Sequence[UUID], number: int) -> MassResult:
    """All of them belong to the lead with this number; of those with somebody else it is refused.

    Raises:
        NotAllowed, NotFound (no such lead, or one may not read it), Invalid (too many).
    """
    access.require("lead.read")
    asked = select(Lead.id, Lead.person_id, Lead.organisation_id).where(
        Lead.number == number, Lead.deleted_at.is_(None), condition(access, "lead.read", Lead)
    )
    async with sessions() as session:
        lead = (await session.execute(asked)).first()
    if lead is None:
        raise NotFound("lead", number)

    async def act(session: AsyncSession, card: CommunicationCard) -> bool:
        return await _edit(session, access, card, values_of(card), Tie(lead.id))

    return await _each(sessions, access, ids, act, (lead.person_id, lead.organisation_id))


async def tie_to_party(sessions: Sessions, access: Access, ids: Sequence[UUID], number: int) -> MassResult:
    """All of them are with the party that has this number.

    Raises:
        NotAllowed, NotFound (no such party, or one may not read it), Invalid (too many).
    """
    access.require("party.read")
    asked = select(func.coalesce(Party.merged_into_id, Party.id)).where(
        Party.number == number, Party.deleted_at.is_(None)
    )
    async with sessions() as session:
        party_id = await session.scalar(asked)
        seen = select(Party.id).where(Party.id == party_id, condition(access, "party.read", Party))
        if await session.scalar(seen) is None:
            raise NotFound("party", number)

    async def act(session: AsyncSession, card: CommunicationCard) -> bool:
        same = card.communication.party_id == party_id
        contact_id = card.communication.contact_id if same else None
        values = replace(values_of(card), party_id=party_id, contact_id=contact_id)
        return await _edit(session, access, card, values, None)

    return await _each(sessions, access, ids, act, (party_id,))


async def end_meetings(sessions: Sessions, access: Access, ids: Sequence[UUID], state: str) -> MassResult:
    """Of these, the planned meetings were held, or called off. Raises NotAllowed, Invalid (the state, too many)."""
    if state not in ENDS:
        raise Invalid("state", state[:50], "A meeting is planned, held or cancelled.")

    async def act(session: AsyncSession, card: CommunicationCard) -> bool:
        if card.communication.meeting_state == state:
            return False
        if card.communication.meeting_state != PLANNED:
            raise NotFound(KIND, card.communication.id)
        return await _edit(session, access, card, replace(values_of(card), state=state), None)

    return await _each(sessions, access, ids, act)


async def bin_communications(sessions: Sessions, access: Access, ids: Sequence[UUID]) -> MassResult:
    """All of them into the bin. Raises NotAllowed, Invalid (too many)."""

    async def act(session: AsyncSession, card: CommunicationCard) -> bool:
        await bin_communication(session, access, card.communication.id)
        return True

    return await _each(sessions, access, ids, act)


async def _edit(
    session: AsyncSession,
    access: Access,
    card: CommunicationCard,
    values: CommunicationValues,
    tie: Tie | None,
) -> bool:
    info = card.communication
    now = await edit_communication(session, access, info.id, values, version=info.version, tie=tie)
    return now != info.version


async def _each(
    sessions: Sessions, access: Access, ids: Sequence[UUID], act: Act, others: Sequence[int | None] = ()
) -> MassResult:
    """`others`: parties that all of them are to be about; locked together with those that they are about."""
    access.require("party.read")
    each = sorted(set(ids))
    if len(each) > MOST_COMMUNICATIONS:
        why = "One action changes at most %(most)d records. Narrow the list."
        raise Invalid("ids", len(each), why, most=MOST_COMMUNICATIONS)
    async with sessions() as session:
        calls = set(await session.scalars(select(Call.id).where(Call.id.in_(each))))
    result = MassResult(kept=len(calls))
    for communication_id in each:
        if communication_id not in calls:
            result += await _one(sessions, access, communication_id, act, others)
    return result


async def _one(
    sessions: Sessions, access: Access, communication_id: UUID, act: Act, others: Sequence[int | None]
) -> MassResult:
    try:
        async with sessions.begin() as session:
            is_changed = await act(session, await locked_card(session, access, communication_id, *others))
    except CrmError:
        return MassResult(refused=1)
    return MassResult(changed=1) if is_changed else MassResult(unchanged=1)
