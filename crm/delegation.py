"""Nobody gives away more than they may do themselves, nor takes over somebody who may do more.

Without this, whoever may manage users could make themselves an administrator, or set an administrator's password.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Invalid
from crm.granted_rights import RIGHTS
from crm.rights import Access, Scope
from crm.schema.access import Permission, Role, RoleAssignment


def refuse_wider(access: Access, scopes: Mapping[str, Scope], field: str) -> None:
    """Refuse rights that go beyond those of whoever gives them.

    Raises:
        Invalid: naming the first such right.
    """
    for right in RIGHTS:
        if scopes.get(right, Scope.NONE) > access.scope(right):
            why = "This takes the right “%(right)s”, which you do not have so far yourself. Ask an administrator."
            raise Invalid(field, right, why, right=right)


async def refuse_wider_roles(
    session: AsyncSession, access: Access, role_codes: Collection[str], field: str = "roles"
) -> None:
    """The same for roles that are given or taken away. Raises Invalid."""
    refuse_wider(access, await _scopes(session, Role.code.in_(role_codes)), field)


async def refuse_wider_user(session: AsyncSession, access: Access, user_id: int, field: str) -> None:
    """The same for a user whose password, state or roles are to change. Raises Invalid."""
    held = select(RoleAssignment.role_id).where(RoleAssignment.user_id == user_id)
    refuse_wider(access, await _scopes(session, Role.id.in_(held)), field)


async def _scopes(session: AsyncSession, which: ColumnElement[bool]) -> dict[str, Scope]:
    rows = await session.execute(
        select(Permission.area, Permission.action, Permission.scope)
        .join(Role, Role.id == Permission.role_id)
        .where(which)
    )
    found: dict[str, Scope] = {}
    for area, action, word in rows:
        right = f"{area}.{action}" if action else area
        found[right] = max(found.get(right, Scope.NONE), Scope.named(word))
    return found
