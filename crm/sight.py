"""What a user sees: each right with its scope and the roles it comes from, and how many records that makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from crm.communications import count_communications
from crm.granted_rights import RIGHTS
from crm.party_lists import MOST_COUNTED, Count
from crm.rights import Access, Scope, access_of, ways
from crm.roles import RoleInfo, list_roles
from crm.schema.access import Team
from crm.schema.communications import Call
from crm.schema.leads import Lead
from crm.schema.parties import Party
from crm.schema.tasks import Task
from crm.user_lists import UserInfo, user


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A right as this user has it. `roles`: those that give it, the widest scope first."""

    right: str
    scope: Scope
    roles: tuple[RoleInfo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Of a blocked user everything is none and nothing is counted."""

    user: UserInfo
    rights: tuple[Granted, ...]  # all rights, in the order of `RIGHTS`
    teams: tuple[str, ...]  # whose records the scope "team" reaches
    readable_parties: Count
    editable_parties: Count
    readable_calls: Count
    readable_leads: Count
    editable_leads: Count
    readable_tasks: Count
    readable_communications: Count


async def sight_of(session: AsyncSession, access: Access, user_id: int) -> Sight:
    """What this user may see and do as of now.

    Raises:
        NotAllowed, NotFound.
    """
    found = await user(session, access, user_id)
    theirs = await access_of(session, user_id)
    roles = [role for role in await list_roles(session, access) if theirs and role.code in theirs.role_codes]
    return Sight(
        user=found,
        rights=tuple(_granted(right, roles) for right in RIGHTS),
        teams=await _team_names(session, theirs),
        readable_parties=await _parties(session, theirs, "party.read"),
        editable_parties=await _parties(session, theirs, "party.edit"),
        readable_calls=await _calls(session, theirs),
        readable_leads=await _leads(session, theirs, "lead.read"),
        editable_leads=await _leads(session, theirs, "lead.edit"),
        readable_tasks=await _tasks(session, theirs),
        readable_communications=await _communications(session, theirs),
    )


def _granted(right: str, roles: list[RoleInfo]) -> Granted:
    giving = [role for role in roles if right in role.scopes]
    giving.sort(key=lambda role: role.scopes[right], reverse=True)
    scope = giving[0].scopes[right] if giving else Scope.NONE
    return Granted(right=right, scope=scope, roles=tuple(giving))


async def _team_names(session: AsyncSession, theirs: Access | None) -> tuple[str, ...]:
    if theirs is None:
        return ()
    names = select(Team.name).where(Team.id.in_(theirs.team_ids)).order_by(func.lower(Team.name), Team.id)
    return tuple(await session.scalars(names))


async def _parties(session: AsyncSession, theirs: Access | None, right: str) -> Count:
    listed = select(Party.id).where(Party.deleted_at.is_(None), Party.lifecycle == "active")
    return await _counted(session, listed, theirs, right, Party)


async def _calls(session: AsyncSession, theirs: Access | None) -> Count:
    listed = select(Call.id).where(Call.joined_into_id.is_(None), Call.mirror_of_id.is_(None))
    return await _counted(session, listed, theirs, "call.read", Call)


async def _leads(session: AsyncSession, theirs: Access | None, right: str) -> Count:
    listed = select(Lead.id).where(Lead.deleted_at.is_(None), Lead.merged_into_id.is_(None))
    return await _counted(session, listed, theirs, right, Lead)


async def _tasks(session: AsyncSession, theirs: Access | None) -> Count:
    return await _counted(session, select(Task.id), theirs, "task.read", Task)


async def _communications(session: AsyncSession, theirs: Access | None) -> Count:
    """As their list counts them. Asked for last: how that is planned holds for the rest of the transaction."""
    if theirs is None or not theirs.may("party.read"):
        return Count(value=0, is_more=False)
    return await count_communications(session, theirs)


async def _counted(
    session: AsyncSession, listed: Any, theirs: Access | None, right: str, model: Any
) -> Count:
    """How many rows are within the right, up to 1,000: each way by itself, so that each uses its own index."""
    if theirs is None:
        return Count(value=0, is_more=False)
    most = MOST_COUNTED + 1
    parts = [listed.where(way).limit(most).subquery().select() for way in ways(theirs, right, model)]
    some = select(union(*parts).subquery()).limit(most).subquery()
    counted = (await session.execute(select(func.count()).select_from(some))).scalar_one()
    return Count(value=min(counted, MOST_COUNTED), is_more=counted > MOST_COUNTED)
