"""Whom a record may be given to: the colleagues that a responsible person is chosen from."""

from __future__ import annotations

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.rights import Access, Scope
from crm.schema.access import TeamMembership, User


async def colleagues(
    session: AsyncSession, access: Access, right: str = "party.read"
) -> list[tuple[int, str]]:
    """Id and name of everybody whose records this right may reach: what a list is filtered by.

    Raises:
        NotAllowed.
    """
    access.require(right)
    if access.scope(right) is Scope.OWN:
        return [(access.user_id, access.name)]
    return await _reached(session, access, right)


async def possible_owners(session: AsyncSession, access: Access) -> list[tuple[int, str]]:
    """Id and name of everybody whom this user may make responsible, by name; a company has hundreds, not thousands.

    With the right over everything: all active users; else those of one's own teams, and oneself.

    Raises:
        NotAllowed.
    """
    access.require("party.change_owner")
    return await _reached(session, access, "party.change_owner")


async def _reached(session: AsyncSession, access: Access, right: str) -> list[tuple[int, str]]:
    query = select(User.id, User.name).where(User.status == "active").order_by(func.lower(User.name), User.id)
    if access.scope(right) is not Scope.ALL:
        members = select(TeamMembership.user_id).where(
            TeamMembership.team_id.in_(access.team_ids), TeamMembership.valid_to.is_(None)
        )
        query = query.where(or_(User.id == access.user_id, User.id.in_(members)))
    return [(user_id, name) for user_id, name in await session.execute(query)]


async def active_users(session: AsyncSession) -> list[tuple[int, str]]:
    """Id and name of everybody who works here, by name: whom one may invite to a meeting."""
    query = select(User.id, User.name).where(User.status == "active").order_by(func.lower(User.name), User.id)
    return [(user_id, name) for user_id, name in await session.execute(query)]
