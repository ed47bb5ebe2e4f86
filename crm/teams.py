"""Teams as a tree, and who belongs to them, with dates: the team of a moment is what reports count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import ACCESS_CHANNEL, DIRECTORY_CHANNEL, last_author, notify, record_change
from crm.errors import Conflict, Invalid, NotFound
from crm.names import checked_name
from crm.rights import Access
from crm.schema.access import Team, TeamMembership, User
from crm.schema.telephony import Line
from crm.user_lists import locked_user


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamInfo:
    """A team as lists show it. `depth`: how many teams stand above it."""

    id: int
    name: str
    parent_id: int | None
    version: int = 1
    depth: int = 0
    heads: tuple[str, ...] = ()  # names
    members: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A stay of a user in a team, half-open; `until` is None while it lasts."""

    membership_id: int
    user_id: int
    name: str
    is_head: bool
    is_primary: bool
    since: datetime
    until: datetime | None


async def create_team(
    session: AsyncSession, access: Access, name: str, *, parent_id: int | None = None, via: str = "form"
) -> int:
    """A new team; a new one has no teams below, so there can be no cycle.

    Raises:
        NotAllowed, Invalid, NotFound (the team above).
    """
    access.require("user.manage")
    name = checked_name(name)
    if parent_id is not None:
        await _locked(session, parent_id)
    row = {"name": name, "parent_id": parent_id, "created_by": access.actor_id}
    team_id = (await session.execute(insert(Team).values(row).returning(Team.id))).scalar_one()
    after = {"name": name, "parent_id": parent_id}
    await record_change(session, access, "team", team_id, after=after, via=via)
    return team_id


async def edit_team(
    session: AsyncSession,
    access: Access,
    team_id: int,
    *,
    version: int,
    name: str,
    parent_id: int | None,
    via: str = "form",
) -> None:
    """Another name, another place in the tree; what heads see follows within a second.

    Raises:
        NotAllowed, NotFound (it, or the team above), Conflict, Invalid (a team would stand below itself).
    """
    access.require("user.manage")
    await _lock_tree(session)
    found = await _locked(session, team_id)
    sent = {"name": checked_name(name), "parent_id": parent_id}
    before = {"name": found.name, "parent_id": found.parent_id}
    if found.version != version:
        by = await last_author(session, "team", team_id)
        raise Conflict({key: (before[key], sent[key]) for key in sent}, found.version, by)
    if parent_id is not None:
        above = await _locked(session, parent_id)
        if above.id in await team_and_below(session, team_id):
            raise Invalid("parent_id", above.name, "A team cannot stand below itself. Choose another one.")
    if await record_change(session, access, "team", team_id, before=before, after=sent, via=via):
        changed = {**sent, "version": found.version + 1}
        await session.execute(update(Team).where(Team.id == team_id).values(changed))
        await _tell_heads(session)


async def archive_team(session: AsyncSession, access: Access, team_id: int, *, via: str = "form") -> None:
    """The team is offered no more; its history stays.

    Raises:
        NotAllowed, NotFound, Invalid (somebody belongs to it, a team stands below it, a line is its own).
    """
    access.require("user.manage")
    await _lock_tree(session)
    found = await _locked(session, team_id)
    used: tuple[Any, ...] = (
        select(TeamMembership.id).where(TeamMembership.team_id == team_id, _lasts()),
        select(Team.id).where(Team.parent_id == team_id, Team.archived_at.is_(None)),
        select(Line.id).where(Line.team_id == team_id),
    )
    for query in used:
        if await session.scalar(query.limit(1)) is not None:
            why = "People, teams below or lines still belong to this team. Move them to another one first."
            raise Invalid("team", found.name, why)
    now = datetime.now(UTC)
    before, after = {"archived_at": None}, {"archived_at": now}
    await record_change(session, access, "team", team_id, before=before, after=after, via=via)
    await session.execute(
        update(Team).where(Team.id == team_id).values(archived_at=now, version=found.version + 1)
    )


async def list_teams(session: AsyncSession) -> list[TeamInfo]:
    """The teams in use, by name."""
    rows = await session.scalars(
        select(Team).where(Team.archived_at.is_(None)).order_by(func.lower(Team.name), Team.id)
    )
    return [TeamInfo(id=row.id, name=row.name, parent_id=row.parent_id, version=row.version) for row in rows]


async def team_tree(session: AsyncSession, access: Access) -> list[TeamInfo]:
    """The teams in use with their heads, each followed by those below it.

    Raises:
        NotAllowed.
    """
    access.require("user.read")
    teams = await list_teams(session)
    rows = await session.execute(
        select(TeamMembership.team_id, User.name, TeamMembership.is_head)
        .join(User, User.id == TeamMembership.user_id)
        .where(_lasts())
        .order_by(func.lower(User.name), User.id)
    )
    people: dict[int, list[tuple[str, bool]]] = {}
    for team_id, name, is_head in rows:
        people.setdefault(team_id, []).append((name, is_head))
    return _below(teams, people, None, 0)


def _below(
    teams: list[TeamInfo], people: dict[int, list[tuple[str, bool]]], parent_id: int | None, depth: int
) -> list[TeamInfo]:
    found: list[TeamInfo] = []
    for team in teams:
        if team.parent_id != parent_id:
            continue
        inside = people.get(team.id, [])
        told = TeamInfo(
            id=team.id,
            name=team.name,
            parent_id=parent_id,
            version=team.version,
            depth=depth,
            heads=tuple(name for name, is_head in inside if is_head),
            members=len(inside),
        )
        found += [told, *_below(teams, people, team.id, depth + 1)]
    return found


async def members_of(session: AsyncSession, access: Access, team_id: int) -> list[Member]:
    """Who belongs to the team now, then who did, the latest first; the latest 200.

    Raises:
        NotAllowed.
    """
    access.require("user.read")
    stays = await session.execute(
        select(TeamMembership, User.name)
        .join(User, User.id == TeamMembership.user_id)
        .where(TeamMembership.team_id == team_id)
        .order_by(
            TeamMembership.valid_to.desc().nulls_first(),
            TeamMembership.is_head.desc(),
            func.lower(User.name),
            TeamMembership.id,
        )
        .limit(200)
    )
    return [
        Member(
            membership_id=stay.id,
            user_id=stay.user_id,
            name=name,
            is_head=stay.is_head,
            is_primary=stay.is_primary,
            since=stay.valid_from,
            until=stay.valid_to,
        )
        for stay, name in stays
    ]


async def put_in_team(
    session: AsyncSession, access: Access, user_id: int, team_id: int, *, is_head: bool = False
) -> None:
    """The user's primary team from now on; the earlier primary membership ends at the same moment.

    Raises:
        NotAllowed, NotFound.
    """
    await add_member(session, access, team_id, user_id, is_head=is_head, is_primary=True)


async def add_member(
    session: AsyncSession,
    access: Access,
    team_id: int,
    user_id: int,
    *,
    is_head: bool = False,
    is_primary: bool = False,
    via: str = "form",
) -> None:
    """The user belongs to the team from now on. In their primary team everybody is once, in others besides.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("user.manage")
    await locked_user(session, user_id)
    await _locked(session, team_id)
    before = await _told(session, team_id)
    now = datetime.now(UTC)
    ending: ColumnElement[bool] = TeamMembership.team_id == team_id
    if is_primary:
        ending = or_(ending, TeamMembership.is_primary)
    await _end(session, now, TeamMembership.user_id == user_id, ending)
    row = {"user_id": user_id, "team_id": team_id, "is_head": is_head, "is_primary": is_primary}
    await session.execute(insert(TeamMembership).values(row | {"valid_from": now}))
    await _settle(session, access, team_id, user_id, before, via)


async def set_head(
    session: AsyncSession, access: Access, membership_id: int, *, is_head: bool, via: str = "form"
) -> None:
    """Whether a member heads the team, from now on: the stay so far ends and another one begins.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("user.manage")
    stay = await _stay(session, membership_id)
    if stay.is_head != is_head:
        await add_member(
            session, access, stay.team_id, stay.user_id, is_head=is_head, is_primary=stay.is_primary, via=via
        )


async def end_membership(
    session: AsyncSession, access: Access, membership_id: int, *, via: str = "form"
) -> None:
    """The user belongs to the team no more.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("user.manage")
    stay = await _stay(session, membership_id)
    await locked_user(session, stay.user_id)
    before = await _told(session, stay.team_id)
    await _end(session, datetime.now(UTC), TeamMembership.id == membership_id)
    await _settle(session, access, stay.team_id, stay.user_id, before, via)


async def team_and_below(session: AsyncSession, team_id: int) -> frozenset[int]:
    """The team and every team below it."""
    top = select(Team.id).where(Team.id == team_id).cte("tree", recursive=True)
    tree = top.union(select(Team.id).join(top, Team.parent_id == top.c.id))
    return frozenset(await session.scalars(select(tree.c.id)))


async def _settle(
    session: AsyncSession, access: Access, team_id: int, user_id: int, before: dict[str, str], via: str
) -> None:
    """After a change of members: the user's primary team, the change log, and whoever shows it."""
    primary = select(TeamMembership.team_id).where(
        TeamMembership.user_id == user_id, TeamMembership.is_primary, _lasts()
    )
    await session.execute(
        update(User).where(User.id == user_id).values(team_id=primary.limit(1).scalar_subquery())
    )
    old, new = {"members": before}, {"members": await _told(session, team_id)}
    await record_change(session, access, "team", team_id, before=old, after=new, via=via)
    await notify(session, ACCESS_CHANNEL, user_id)
    await notify(session, DIRECTORY_CHANNEL, "user")


async def _told(session: AsyncSession, team_id: int) -> dict[str, str]:
    rows = await session.execute(
        select(User.login, TeamMembership.is_head)
        .join(User, User.id == TeamMembership.user_id)
        .where(TeamMembership.team_id == team_id, _lasts())
        .order_by(User.login)
    )
    return {login: "head" if is_head else "member" for login, is_head in rows}


async def _end(session: AsyncSession, now: datetime, *which: ColumnElement[bool]) -> None:
    ended = func.greatest(now, TeamMembership.valid_from)
    await session.execute(update(TeamMembership).where(_lasts(), *which).values(valid_to=ended))


async def _tell_heads(session: AsyncSession) -> None:
    heads = select(TeamMembership.user_id).where(TeamMembership.is_head, _lasts()).distinct()
    for user_id in await session.scalars(heads):
        await notify(session, ACCESS_CHANNEL, user_id)
    await notify(session, DIRECTORY_CHANNEL, "user")


async def _lock_tree(session: AsyncSession) -> None:
    """One who moves teams at a time: two moves that are good alone can make a ring together."""
    await session.execute(text("select pg_advisory_xact_lock(hashtextextended('teams', 0))"))


async def _locked(session: AsyncSession, team_id: int) -> Team:
    found = await session.scalar(
        select(Team)
        .where(Team.id == team_id, Team.archived_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound("team", team_id)
    return found


async def _stay(session: AsyncSession, membership_id: int) -> TeamMembership:
    found = await session.scalar(select(TeamMembership).where(TeamMembership.id == membership_id, _lasts()))
    if found is None:
        raise NotFound("membership", membership_id)
    return found


def _lasts() -> ColumnElement[bool]:
    return TeamMembership.valid_to.is_(None)
