"""Teams: a tree without rings, heads who see below, stays with dates."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from crm import teams
from crm.accounts import user
from crm.errors import Conflict, Invalid, NotAllowed, NotFound
from crm.rights import access_of
from tests.crm.people import COMMAND, make_team, make_user


async def reached(session: AsyncSession, user_id: int) -> frozenset[int]:
    access = await access_of(session, user_id)
    assert access is not None
    return access.team_ids


async def test_the_tree_is_told_from_above_with_heads(session: AsyncSession) -> None:
    above = await make_team(session, "A company")
    below = await make_team(session, "Sales", above)
    await make_team(session, "B company")
    await make_user(session, ("head",), login="boss", team_id=above, is_head=True)
    await make_user(session, team_id=below)
    tree = await teams.team_tree(session, COMMAND)
    shape = [(team.name, team.depth, team.heads, team.members) for team in tree]
    assert shape == [("A company", 0, ("Boss",), 1), ("Sales", 1, (), 1), ("B company", 0, (), 0)]


async def test_no_team_stands_below_itself(session: AsyncSession) -> None:
    top = await make_team(session, "top")
    middle = await make_team(session, "middle", top)
    lowest = await make_team(session, "lowest", middle)
    for parent in (top, middle, lowest):
        with pytest.raises(Invalid, match="below itself"):
            await teams.edit_team(session, COMMAND, top, version=1, name="top", parent_id=parent)
    await teams.edit_team(session, COMMAND, lowest, version=1, name="Lowest", parent_id=top)
    assert await teams.team_and_below(session, middle) == {middle}
    with pytest.raises(Conflict):
        await teams.edit_team(session, COMMAND, lowest, version=1, name="again", parent_id=None)
    with pytest.raises(NotFound):
        await teams.edit_team(session, COMMAND, lowest, version=2, name="x", parent_id=10**9)
    with pytest.raises(NotFound):
        await teams.create_team(session, COMMAND, "orphan", parent_id=10**9)


async def test_a_head_sees_what_moves_below(session: AsyncSession) -> None:
    one, other = await make_team(session, "one"), await make_team(session, "other")
    head = await make_user(session, ("head",), team_id=one, is_head=True)
    assert await reached(session, head.user_id) == {one}
    await teams.edit_team(session, COMMAND, other, version=1, name="other", parent_id=one)
    assert await reached(session, head.user_id) == {one, other}
    stay = (await teams.members_of(session, COMMAND, one))[0]
    await teams.set_head(session, COMMAND, stay.membership_id, is_head=False)
    assert await reached(session, head.user_id) == {one}


async def test_a_stay_ends_and_stays_in_the_history(session: AsyncSession) -> None:
    first, second = await make_team(session, "first"), await make_team(session, "second")
    member = await make_user(session, team_id=first)
    await teams.add_member(session, COMMAND, second, member.user_id)  # besides the primary team
    assert await reached(session, member.user_id) == {first, second}
    assert (await user(session, COMMAND, member.user_id)).team_id == first
    await teams.put_in_team(session, COMMAND, member.user_id, second)
    assert await reached(session, member.user_id) == {second}
    assert (await user(session, COMMAND, member.user_id)).team_id == second
    was = await teams.members_of(session, COMMAND, first)
    assert [(stay.user_id, stay.until is None) for stay in was] == [(member.user_id, False)]
    now = [stay for stay in await teams.members_of(session, COMMAND, second) if stay.until is None]
    await teams.end_membership(session, COMMAND, now[0].membership_id)
    assert (await user(session, COMMAND, member.user_id)).team_id is None
    with pytest.raises(NotFound):
        await teams.end_membership(session, COMMAND, now[0].membership_id)


async def test_a_team_in_use_is_not_archived(session: AsyncSession) -> None:
    above = await make_team(session, "above")
    below = await make_team(session, "below", above)
    member = await make_user(session, team_id=below)
    for team_id in (above, below):
        with pytest.raises(Invalid, match="still belong"):
            await teams.archive_team(session, COMMAND, team_id)
    stay = (await teams.members_of(session, COMMAND, below))[0]
    await teams.end_membership(session, COMMAND, stay.membership_id)
    await teams.archive_team(session, COMMAND, below)
    assert below not in {team.id for team in await teams.list_teams(session)}
    with pytest.raises(NotFound):
        await teams.add_member(session, COMMAND, below, member.user_id)


async def test_g01_without_the_right_no_team_changes(session: AsyncSession) -> None:
    head = await make_user(session, ("head",))
    team = await make_team(session, "kept")
    for act in (
        teams.create_team(session, head, "new"),
        teams.edit_team(session, head, team, version=1, name="x", parent_id=None),
        teams.archive_team(session, head, team),
        teams.add_member(session, head, team, head.user_id),
        teams.team_tree(session, head),
    ):
        with pytest.raises(NotAllowed):
            await act
