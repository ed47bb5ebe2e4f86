"""Teams and who belongs to them, with dates: the team of a moment is what reports count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import ACCESS_CHANNEL, DIRECTORY_CHANNEL, notify, record_change
from crm.errors import NotFound
from crm.names import checked_name
from crm.rights import Access
from crm.schema.access import Team, TeamMembership, User
from crm.user_lists import locked_user


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamInfo:
    id: int
    name: str
    parent_id: int | None


async def create_team(
    session: AsyncSession, access: Access, name: str, *, parent_id: int | None = None, via: str = "form"
) -> int:
    """A new team; a new one has no teams below, so there can be no cycle.

    Raises:
        NotAllowed, Invalid.
    """
    access.require("user.manage")
    row = {"name": checked_name(name), "parent_id": parent_id, "created_by": access.actor_id}
    team_id = (await session.execute(insert(Team).values(row).returning(Team.id))).scalar_one()
    await record_change(session, access, "team", team_id, after={"name": name}, via=via)
    return team_id


async def list_teams(session: AsyncSession) -> list[TeamInfo]:
    rows = await session.scalars(select(Team).order_by(func.lower(Team.name), Team.id))
    return [TeamInfo(id=row.id, name=row.name, parent_id=row.parent_id) for row in rows]


async def put_in_team(
    session: AsyncSession, access: Access, user_id: int, team_id: int, *, is_head: bool = False
) -> None:
    """The user's primary team from now on; the earlier membership ends at the same moment.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("user.manage")
    await locked_user(session, user_id)
    if await session.get(Team, team_id) is None:
        raise NotFound("team", team_id)
    now = datetime.now(UTC)
    await session.execute(
        update(TeamMembership)
        .where(TeamMembership.user_id == user_id, TeamMembership.valid_to.is_(None))
        .values(valid_to=func.greatest(now, TeamMembership.valid_from))
    )
    row = {"user_id": user_id, "team_id": team_id, "is_head": is_head, "is_primary": True, "valid_from": now}
    await session.execute(insert(TeamMembership).values(row))
    await session.execute(update(User).where(User.id == user_id).values(team_id=team_id))
    await notify(session, ACCESS_CHANNEL, user_id)
    await notify(session, DIRECTORY_CHANNEL, "user")
