"""Users as lists, forms and commands show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import NotFound
from crm.rights import Access
from crm.schema.access import Role, RoleAssignment, Team, User
from crm.schema.telephony import Extension, ExtensionAssignment


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInfo:
    """A user as lists and forms show it."""

    id: int
    login: str
    name: str
    language: str
    time_zone: str | None
    status: str  # active, blocked
    role_codes: tuple[str, ...]
    team_id: int | None
    team_name: str | None
    extensions: tuple[str, ...]  # digits of the extensions this user sits at now
    has_password: bool
    created_at: datetime
    version: int


async def list_users(session: AsyncSession, access: Access, *, status: str | None = None) -> list[UserInfo]:
    """All users by name; a company has hundreds, not thousands.

    Raises:
        NotAllowed.
    """
    access.require("user.read")
    return await _users(session, *([User.status == status] if status else []))


async def find_user(session: AsyncSession, login: str) -> UserInfo | None:
    """The user with this login, in any case of letters; for the commands."""
    found = await _users(session, func.lower(User.login) == login.strip().lower())
    return found[0] if found else None


async def user(session: AsyncSession, access: Access, user_id: int) -> UserInfo:
    """One user.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("user.read")
    found = await _users(session, User.id == user_id)
    if not found:
        raise NotFound("user", user_id)
    return found[0]


async def _users(session: AsyncSession, *conditions: Any) -> list[UserInfo]:
    roles = (
        select(Role.code)
        .join(RoleAssignment, RoleAssignment.role_id == Role.id)
        .where(RoleAssignment.user_id == User.id)
        .order_by(Role.id)
    )
    extensions = (
        select(Extension.digits)
        .join(ExtensionAssignment, ExtensionAssignment.extension_id == Extension.id)
        .where(ExtensionAssignment.user_id == User.id, ExtensionAssignment.valid_to.is_(None))
        .order_by(Extension.digits)
    )
    rows = await session.execute(
        select(User, Team.name, func.array(roles.scalar_subquery()), func.array(extensions.scalar_subquery()))
        .outerjoin(Team, Team.id == User.team_id)
        .where(*conditions)
        .order_by(func.lower(User.name), User.id)
        .execution_options(populate_existing=True)
    )
    return [_info(*row) for row in rows]


def _info(row: User, team_name: str | None, roles: list[str], extensions: list[str]) -> UserInfo:
    return UserInfo(
        id=row.id,
        login=row.login,
        name=row.name,
        language=row.language,
        time_zone=row.time_zone,
        status=row.status,
        role_codes=tuple(roles),
        team_id=row.team_id,
        team_name=team_name,
        extensions=tuple(extensions),
        has_password=row.password_hash is not None,
        created_at=row.created_at,
        version=row.version,
    )


async def has_users(session: AsyncSession) -> bool:
    """Whether anybody was ever entered; a first start asks for an administrator."""
    return await session.scalar(select(User.id).limit(1)) is not None


async def locked_user(session: AsyncSession, user_id: int) -> User:
    """The row of a user about to change, as it is now.

    Raises:
        NotFound.
    """
    found = await session.scalar(
        select(User).where(User.id == user_id).with_for_update().execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound("user", user_id)
    return found
