"""Users: who works here, with which roles, in which team. Signing in and tokens are offered from here, too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import ACCESS_CHANNEL, DIRECTORY_CHANNEL, log_access, notify, record_change
from crm.delegation import refuse_wider_roles, refuse_wider_user
from crm.errors import Conflict, Invalid, LastAdministrator, Taken
from crm.names import checked_name
from crm.passwords import hash_password, verify_password
from crm.rights import Access, access_of
from crm.schema.access import Role, RoleAssignment, User
from crm.sign_in import (
    SessionInfo,
    SignedIn,
    SignInRefused,
    end_session,
    end_sessions_of,
    list_sessions,
    session_access,
    sign_in,
    touch,
)
from crm.teams import TeamInfo, create_team, list_teams, put_in_team
from crm.tokens import (
    TokenInfo,
    create_token,
    end_token,
    end_tokens_of,
    list_tokens,
    note_use,
    read_token,
    token_access,
)
from crm.user_lists import UserInfo, find_user, has_users, list_users, locked_user, user

__all__ = [
    "SessionInfo",
    "SignInRefused",
    "SignedIn",
    "TeamInfo",
    "TokenInfo",
    "UserInfo",
    "access_of",
    "block_user",
    "change_own_password",
    "create_team",
    "create_token",
    "create_user",
    "edit_user",
    "end_session",
    "end_sessions_of",
    "end_token",
    "find_user",
    "has_users",
    "list_sessions",
    "list_teams",
    "list_tokens",
    "list_users",
    "note_use",
    "put_in_team",
    "read_token",
    "session_access",
    "set_password",
    "set_roles",
    "sign_in",
    "token_access",
    "touch",
    "unblock_user",
    "user",
]

ADMINISTRATOR: Final = "admin"
LANGUAGES: Final = ("ru", "en")
MAX_CHARACTERS: Final = 200


async def create_user(
    session: AsyncSession,
    access: Access,
    *,
    login: str,
    name: str,
    role_codes: Collection[str],
    password: str | None = None,
    language: str = "ru",
    time_zone: str | None = None,
    team_id: int | None = None,
    is_head: bool = False,
    via: str = "form",
) -> int:
    """A new user; without a password they cannot sign in yet.

    Raises:
        NotAllowed, Taken (the login),
        Invalid (a field is empty or unknown, the password too short, a role gives more than one has oneself).
    """
    access.require("user.manage")
    login, name = _checked_login(login), checked_name(name)
    _check_language(language)
    roles = await _roles(session, role_codes)
    await refuse_wider_roles(session, access, roles)
    row = {
        "login": login,
        "name": name,
        "language": language,
        "time_zone": time_zone,
        "password_hash": None if password is None else await hash_password(password),
        "created_by": access.actor_id,
    }
    try:
        async with session.begin_nested():
            user_id = (await session.execute(insert(User).values(row).returning(User.id))).scalar_one()
    except IntegrityError as error:
        raise Taken("login", login) from error
    await session.execute(
        insert(RoleAssignment), [{"user_id": user_id, "role_id": role_id} for role_id in roles.values()]
    )
    if team_id is not None:
        await put_in_team(session, access, user_id, team_id, is_head=is_head)
    after = {"login": login, "name": name, "language": language, "roles": sorted(roles), "team_id": team_id}
    await record_change(session, access, "user", user_id, after=after, via=via)
    await log_access(session, "user_created", access, record_kind="user", record_id=user_id, detail=after)
    return user_id


async def edit_user(
    session: AsyncSession,
    access: Access,
    user_id: int,
    *,
    version: int,
    name: str,
    language: str,
    time_zone: str | None,
    role_codes: Collection[str],
    via: str = "form",
) -> None:
    """Name, language, time zone and roles of a user.

    Raises:
        NotAllowed, NotFound, Invalid, Conflict (somebody saved meanwhile), LastAdministrator.
    """
    access.require("user.manage")
    _check_language(language)
    found = await locked_user(session, user_id)
    sent = {"name": checked_name(name), "language": language, "time_zone": time_zone or None}
    before = {field: getattr(found, field) for field in sent}
    if found.version != version:
        raise Conflict({field: (before[field], sent[field]) for field in sent}, found.version, "")
    if await record_change(session, access, "user", user_id, before=before, after=sent, via=via):
        await session.execute(update(User).where(User.id == user_id).values(**sent, version=User.version + 1))
        await notify(session, DIRECTORY_CHANNEL, "user")
    await set_roles(session, access, user_id, role_codes, via=via)
    await notify(session, ACCESS_CHANNEL, user_id)


async def set_roles(
    session: AsyncSession, access: Access, user_id: int, role_codes: Collection[str], *, via: str = "form"
) -> None:
    """The roles of a user, exactly these; holds in open tabs and sockets within a second.

    Raises:
        NotAllowed, NotFound, Invalid (unknown role, one that gives more than one has oneself), LastAdministrator.
    """
    access.require("user.manage")
    found = await locked_user(session, user_id)
    roles = await _roles(session, role_codes)
    before = await _role_codes(session, user_id)
    if set(before) == set(roles):
        return
    await refuse_wider_roles(session, access, set(before) ^ set(roles))
    if ADMINISTRATOR in before and ADMINISTRATOR not in roles:
        await _check_another_administrator(session, found)
    await session.execute(delete(RoleAssignment).where(RoleAssignment.user_id == user_id))
    await session.execute(
        insert(RoleAssignment), [{"user_id": user_id, "role_id": role_id} for role_id in roles.values()]
    )
    old, new = {"roles": sorted(before)}, {"roles": sorted(roles)}
    await record_change(session, access, "user", user_id, before=old, after=new, via=via)
    detail = {"before": old, "after": new}
    await log_access(session, "roles_changed", access, record_kind="user", record_id=user_id, detail=detail)
    await notify(session, ACCESS_CHANNEL, user_id)


async def set_password(
    session: AsyncSession, access: Access, user_id: int, password: str, *, keep_token: str | None = None
) -> None:
    """A new password; every session of the user but `keep_token`'s ends.

    Raises:
        NotAllowed, NotFound, Invalid (length; the user may do more than oneself).
    """
    access.require("user.manage")
    await refuse_wider_user(session, access, user_id, "password")
    await _store_password(session, access, user_id, password, keep_token)


async def change_own_password(
    session: AsyncSession, access: Access, old: str, new: str, *, keep_token: str | None = None
) -> None:
    """Change one's own password, knowing the old one.

    Raises:
        Invalid: the old password is wrong, or the new one too short or too long.
    """
    stored = await session.scalar(select(User.password_hash).where(User.id == access.user_id))
    if not await verify_password(stored, old):
        raise Invalid("old_password", "", "This is not your present password.")
    await _store_password(session, access, access.user_id, new, keep_token)


async def _store_password(
    session: AsyncSession, access: Access, user_id: int, password: str, keep_token: str | None
) -> None:
    hashed = await hash_password(password)
    await locked_user(session, user_id)
    await session.execute(update(User).where(User.id == user_id).values(password_hash=hashed))
    await log_access(session, "password_changed", access, record_kind="user", record_id=user_id)
    await end_sessions_of(session, user_id, keep_token=keep_token)


async def block_user(session: AsyncSession, access: Access, user_id: int, *, via: str = "form") -> None:
    """The user can no longer sign in; sessions, tokens and sockets end with the commit. Users are never deleted.

    Raises:
        NotAllowed, NotFound, LastAdministrator, Invalid (the user may do more than oneself).
    """
    access.require("user.manage")
    found = await locked_user(session, user_id)
    if found.status == "blocked":
        return
    await refuse_wider_user(session, access, user_id, "status")
    if ADMINISTRATOR in await _role_codes(session, user_id):
        await _check_another_administrator(session, found)
    await _set_status(session, access, found, "blocked", via)
    await end_tokens_of(session, user_id)
    await end_sessions_of(session, user_id)


async def unblock_user(session: AsyncSession, access: Access, user_id: int, *, via: str = "form") -> None:
    """The user can sign in again; ended sessions and tokens stay ended.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("user.manage")
    found = await locked_user(session, user_id)
    if found.status != "active":
        await refuse_wider_user(session, access, user_id, "status")
        await _set_status(session, access, found, "active", via)


async def _set_status(session: AsyncSession, access: Access, found: User, status: str, via: str) -> None:
    event = "user_blocked" if status == "blocked" else "user_unblocked"
    await session.execute(
        update(User).where(User.id == found.id).values(status=status, version=User.version + 1)
    )
    old, new = {"status": found.status}, {"status": status}
    await record_change(session, access, "user", found.id, before=old, after=new, via=via)
    await log_access(
        session, event, access, record_kind="user", record_id=found.id, detail={"login": found.login}
    )


async def _roles(session: AsyncSession, codes: Collection[str]) -> dict[str, int]:
    if not codes:
        raise Invalid("roles", "", "Give the user at least one role.")
    rows = await session.execute(select(Role.code, Role.id).where(Role.code.in_(codes)))
    known: dict[str, int] = dict(rows.all())
    unknown = sorted(set(codes) - set(known))
    if unknown:
        raise Invalid("roles", unknown[0], "There is no role “%(role)s”.", role=unknown[0])
    return known


async def _role_codes(session: AsyncSession, user_id: int) -> Sequence[str]:
    codes = select(Role.code).join(RoleAssignment, RoleAssignment.role_id == Role.id)
    return (await session.scalars(codes.where(RoleAssignment.user_id == user_id))).all()


async def _check_another_administrator(session: AsyncSession, leaving: User) -> None:
    # The lock on the role makes two administrators who remove each other wait for one another.
    role_id = await session.scalar(select(Role.id).where(Role.code == ADMINISTRATOR).with_for_update())
    others = await session.scalar(
        select(func.count())
        .select_from(RoleAssignment)
        .join(User, User.id == RoleAssignment.user_id)
        .where(RoleAssignment.role_id == role_id, User.status == "active", User.id != leaving.id)
    )
    if not others:
        raise LastAdministrator(leaving.login)


def _checked_login(login: str) -> str:
    login = login.strip()
    if (
        not login
        or len(login) > MAX_CHARACTERS
        or any(not char.isprintable() or char.isspace() for char in login)
    ):
        raise Invalid("login", login, "A login has 1 to 200 letters, digits and signs, without spaces.")
    return login


def _check_language(language: str) -> None:
    if language not in LANGUAGES:
        raise Invalid("language", language, "The languages are ru and en.")
