"""One change for many leads: another responsible, another stage, disqualified; each lead in a transaction of its own.

Whatever cannot be changed (outside one's rights, over, a move that its scheme does not permit) is counted and left alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.errors import CrmError, Invalid, NotFound
from crm.leads import assign_lead, disqualify_lead, move_lead
from crm.mass_changes import MassResult
from crm.notifications import tell_users
from crm.owners import possible_owners
from crm.rights import Access
from crm.schema.leads import Lead
from crm.stages import Move

MOST_LEADS: Final = 200  # of one action: a page waits for it
Act = Callable[[AsyncSession, int], Awaitable[object]]
Sessions = async_sessionmaker[AsyncSession]


async def give_leads(
    sessions: Sessions, access: Access, lead_ids: Sequence[int], owner_id: int
) -> MassResult:
    """All of them to one user, who is notified once.

    Raises:
        NotAllowed, NotFound (the user, or one may not give records to them), Invalid (too many).
    """
    access.require("lead.change_owner")
    async with sessions() as session:
        if owner_id not in dict(await possible_owners(session, access)):
            raise NotFound("user", owner_id)

    async def act(session: AsyncSession, lead_id: int) -> None:
        await assign_lead(session, access, lead_id, owner_id, is_told=False)

    result = await _each(sessions, lead_ids, Lead.owner_id == owner_id, act)
    if result.changed:
        async with sessions.begin() as session:
            detail = {"count": result.changed}
            await tell_users(session, access, [owner_id], "assigned", record_kind="lead", detail=detail)
    return result


async def move_leads(
    sessions: Sessions, access: Access, lead_ids: Sequence[int], stage_id: int
) -> MassResult:
    """All of them into one stage, as far as each may go there. Raises NotAllowed, Invalid (too many)."""
    access.require("lead.edit")

    async def act(session: AsyncSession, lead_id: int) -> object:
        return await move_lead(session, access, lead_id, Move(to_stage_id=stage_id))

    return await _each(sessions, lead_ids, Lead.stage_id == stage_id, act)


async def disqualify_leads(
    sessions: Sessions, access: Access, lead_ids: Sequence[int], reason_id: int
) -> MassResult:
    """All of them end for one reason. Raises NotAllowed, Invalid (too many)."""
    access.require("lead.edit")

    async def act(session: AsyncSession, lead_id: int) -> object:
        return await disqualify_lead(session, access, lead_id, reason_id)

    return await _each(sessions, lead_ids, Lead.state == "disqualified", act)


async def _each(
    sessions: Sessions, lead_ids: Sequence[int], is_so: ColumnElement[bool], act: Act
) -> MassResult:
    ids = sorted(set(lead_ids))
    if len(ids) > MOST_LEADS:
        why = "One action changes at most %(most)d leads. Narrow the list."
        raise Invalid("ids", len(ids), why, most=MOST_LEADS)
    result = MassResult()
    for lead_id in ids:
        result += await _one(sessions, lead_id, is_so, act)
    return result


async def _one(sessions: Sessions, lead_id: int, is_so: ColumnElement[bool], act: Act) -> MassResult:
    """The act on one lead. `is_so`: what it would make true."""
    try:
        async with sessions.begin() as session:
            if await session.scalar(select(Lead.id).where(Lead.id == lead_id, is_so)) is not None:
                return MassResult(unchanged=1)
            await act(session, lead_id)
    except CrmError:
        return MassResult(refused=1)
    return MassResult(changed=1)
