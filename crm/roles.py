"""Roles and what they may do. A change holds in open pages, sockets and tokens within a second.

The administrator's role is the one that cannot be changed: whoever holds it may do everything, so that nobody can lock the
company out of its own program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import ACCESS_CHANNEL, last_author, log_access, notify, record_change
from crm.delegation import refuse_wider
from crm.errors import Conflict, Invalid, NotFound, Taken
from crm.granted_rights import DEFAULT_PERMISSIONS, RIGHTS, SCOPED_RIGHTS, area_and_action
from crm.names import checked_name
from crm.rights import Access, Scope
from crm.schema.access import Permission, Role, RoleAssignment

ADMINISTRATOR: Final = "admin"
Scopes = Mapping[str, Scope]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleInfo:
    """A role as lists and forms show it. `name` is a message id for the system's own roles."""

    id: int
    code: str
    name: str
    is_system: bool
    users: int  # how many hold it, blocked ones too
    scopes: Scopes  # right → how far; a right that is missing is none
    version: int

    @property
    def is_fixed(self) -> bool:
        return self.code == ADMINISTRATOR


async def list_roles(session: AsyncSession, access: Access) -> list[RoleInfo]:
    """All roles, the system's own first.

    Raises:
        NotAllowed.
    """
    access.require("user.read")
    roles = list(await session.scalars(select(Role).order_by(Role.is_system.desc(), Role.id)))
    counted = select(RoleAssignment.role_id, func.count()).group_by(RoleAssignment.role_id)
    users: dict[int, int] = dict((await session.execute(counted)).all())
    scopes = await _scopes(session)
    return [_info(row, users.get(row.id, 0), scopes.get(row.id, {})) for row in roles]


async def role(session: AsyncSession, access: Access, role_id: int) -> RoleInfo:
    """One role.

    Raises:
        NotAllowed, NotFound.
    """
    for each in await list_roles(session, access):
        if each.id == role_id:
            return each
    raise NotFound("role", role_id)


async def copy_role(
    session: AsyncSession, access: Access, role_id: int, name: str, *, via: str = "form"
) -> int:
    """A new role of the company's own, which begins with the rights of another one.

    Raises:
        NotAllowed, NotFound, Invalid, Taken (the name).
    """
    access.require("user.manage")
    await _lock(session)
    original = await _locked(session, role_id)
    name = await _free_name(session, name)
    row = {"code": await _next_code(session), "name": name}
    new_id = (await session.execute(insert(Role).values(row).returning(Role.id))).scalar_one()
    scopes = (await _scopes(session)).get(original.id, {})
    refuse_wider(access, scopes, "copy_name")
    await _store(session, new_id, scopes)
    after = {"name": name, "copy_of": original.code} | _told(scopes)
    await record_change(session, access, "role", new_id, after=after, via=via)
    await log_access(session, "role_created", access, record_kind="role", record_id=new_id, detail=after)
    return new_id


async def edit_role(
    session: AsyncSession,
    access: Access,
    role_id: int,
    *,
    version: int,
    name: str,
    scopes: Mapping[str, str],
    via: str = "form",
) -> None:
    """The rights of a role, exactly these; a role of the company's own may get another name, too.

    Args:
        scopes: right → none, own, team, all; a right that is missing is none.

    Raises:
        NotAllowed, NotFound, Taken (the name), Conflict (somebody saved meanwhile),
        Invalid (the administrator's role; an unknown right; a scope that the right does not have; more than one has oneself).
    """
    access.require("user.manage")
    sent = checked_scopes(scopes)
    refuse_wider(access, sent, "rights")
    await _lock(session)
    found = await _locked(session, role_id)
    name = found.name if found.is_system else await _free_name(session, name, but=role_id)
    await _change(session, access, found, name, sent, version=version, via=via)


async def restore_role(session: AsyncSession, access: Access, role_id: int, *, via: str = "form") -> None:
    """The rights that a system role came with.

    Raises:
        NotAllowed, NotFound, Invalid (a role of the company's own came with none).
    """
    access.require("user.manage")
    found = await _locked(session, role_id)
    if not found.is_system:
        raise Invalid("role", found.name, "Only the roles that came with the program can be restored.")
    sent = {right: Scope.named(scope) for right, scope in DEFAULT_PERMISSIONS[found.code].items()}
    if found.code != ADMINISTRATOR:
        refuse_wider(access, sent, "rights")
        await _change(session, access, found, found.name, sent, version=found.version, via=via)


async def remove_role(session: AsyncSession, access: Access, role_id: int, *, via: str = "form") -> None:
    """A role of the company's own that nobody holds any more.

    Raises:
        NotAllowed, NotFound, Invalid (it came with the program; users still hold it).
    """
    access.require("user.manage")
    found = await _locked(session, role_id)
    if found.is_system:
        raise Invalid("role", found.name, "A role that came with the program stays.")
    if await _users_of(session, role_id):
        raise Invalid("role", found.name, "Users still hold this role. Give them another one first.")
    before = {"name": found.name} | _told((await _scopes(session)).get(role_id, {}))
    await session.execute(delete(Role).where(Role.id == role_id))
    await record_change(session, access, "role", role_id, before=before, via=via)
    await log_access(session, "role_removed", access, record_kind="role", record_id=role_id, detail=before)


def checked_scopes(scopes: Mapping[str, str]) -> dict[str, Scope]:
    """The scopes to store, without those that are none.

    Raises:
        Invalid: an unknown right; a word that is no scope; own or team for a right that is a plain yes or no.
    """
    checked: dict[str, Scope] = {}
    for right, word in scopes.items():
        if right not in RIGHTS:
            raise Invalid("rights", right, "There is no right “%(right)s”.", right=right)
        if word.upper() not in Scope.__members__:
            raise Invalid(right, word, "A scope is none, own, team or all.")
        scope = Scope.named(word)
        if scope in {Scope.OWN, Scope.TEAM} and right not in SCOPED_RIGHTS:
            raise Invalid(right, word, "This right is a plain yes or no: choose all or none.")
        if scope is not Scope.NONE:
            checked[right] = scope
    return checked


async def _change(
    session: AsyncSession,
    access: Access,
    found: Role,
    name: str,
    sent: Scopes,
    *,
    version: int,
    via: str,
) -> None:
    if found.code == ADMINISTRATOR:
        why = "The administrator's role may do everything, and stays so. Copy it to make a narrower one."
        raise Invalid("role", found.code, why)
    stored = (await _scopes(session)).get(found.id, {})
    refuse_wider(access, stored, "rights")
    before, after = {"name": found.name} | _told(stored), {"name": name} | _told(sent)
    if found.version != version and before != after:
        differing = {key: (before.get(key), after.get(key)) for key in before | after}
        fields = {key: pair for key, pair in differing.items() if pair[0] != pair[1]}
        raise Conflict(fields, found.version, await last_author(session, "role", found.id))
    if not await record_change(session, access, "role", found.id, before=before, after=after, via=via):
        return
    await _store(session, found.id, sent)
    await session.execute(update(Role).where(Role.id == found.id).values(name=name, version=Role.version + 1))
    detail = {"code": found.code, "before": before, "after": after}
    await log_access(session, "role_changed", access, record_kind="role", record_id=found.id, detail=detail)
    for user_id in await _users_of(session, found.id):
        await notify(session, ACCESS_CHANNEL, user_id)


async def _store(session: AsyncSession, role_id: int, scopes: Scopes) -> None:
    """Rights of a newer version, which this one does not know, stay as they are."""
    for area, action in map(area_and_action, RIGHTS):
        is_this = (Permission.role_id == role_id, Permission.area == area, Permission.action == action)
        await session.execute(delete(Permission).where(*is_this))
    rows = [
        dict(zip(("area", "action"), area_and_action(right), strict=True))
        | {"role_id": role_id, "scope": scope.name.lower()}
        for right, scope in scopes.items()
    ]
    if rows:
        await session.execute(insert(Permission), rows)


async def _scopes(session: AsyncSession) -> dict[int, dict[str, Scope]]:
    """Role → right → scope, of the rights that this version knows."""
    found: dict[int, dict[str, Scope]] = {}
    rows = await session.execute(
        select(Permission.role_id, Permission.area, Permission.action, Permission.scope)
    )
    for role_id, area, action, scope in rows:
        right = f"{area}.{action}" if action else area
        if right in RIGHTS and scope != "none":
            found.setdefault(role_id, {})[right] = Scope.named(scope)
    return found


async def _users_of(session: AsyncSession, role_id: int) -> list[int]:
    held = select(RoleAssignment.user_id).where(RoleAssignment.role_id == role_id)
    return list(await session.scalars(held.order_by(RoleAssignment.user_id)))


async def _lock(session: AsyncSession) -> None:
    """One who names roles at a time."""
    await session.execute(text("select pg_advisory_xact_lock(hashtextextended('roles', 0))"))


async def _locked(session: AsyncSession, role_id: int) -> Role:
    found = await session.scalar(
        select(Role).where(Role.id == role_id).with_for_update().execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound("role", role_id)
    return found


async def _free_name(session: AsyncSession, name: str, *, but: int = 0) -> str:
    name = checked_name(name)
    same = select(Role.id).where(func.lower(Role.name) == name.lower(), Role.id != but)
    if await session.scalar(same) is not None:
        raise Taken("name", name)
    return name


async def _next_code(session: AsyncSession) -> str:
    """own1, own2 …: what commands call a role of the company's own; never given twice while one of them stands."""
    codes = set(await session.scalars(select(Role.code)))
    return next(code for number in range(1, len(codes) + 2) if (code := f"own{number}") not in codes)


def _told(scopes: Scopes) -> dict[str, str]:
    return {right: scope.name.lower() for right, scope in sorted(scopes.items())}


def _info(row: Role, users: int, scopes: Scopes) -> RoleInfo:
    return RoleInfo(
        id=row.id,
        code=row.code,
        name=row.name,
        is_system=row.is_system,
        users=users,
        scopes=scopes,
        version=row.version,
    )
