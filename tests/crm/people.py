"""Users of the tests: made in one line, with the access they have."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncSession

from crm.accounts import create_team, create_user, put_in_team
from crm.rights import Access, access_of, command_access

COMMAND = command_access()
_numbers = itertools.count(1)


async def make_user(
    session: AsyncSession,
    roles: Collection[str] = ("agent",),
    *,
    login: str | None = None,
    password: str | None = None,
    team_id: int | None = None,
    is_head: bool = False,
) -> Access:
    """A new user with these roles, and what they may do."""
    login = login or f"user{next(_numbers)}"
    user_id = await create_user(
        session, COMMAND, login=login, name=login.title(), role_codes=roles, password=password
    )
    if team_id is not None:
        await put_in_team(session, COMMAND, user_id, team_id, is_head=is_head)
    access = await access_of(session, user_id)
    assert access is not None
    return access


async def make_team(session: AsyncSession, name: str, parent_id: int | None = None) -> int:
    return await create_team(session, COMMAND, name, parent_id=parent_id)
