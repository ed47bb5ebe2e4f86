"""The company's own kinds of communication: added, renamed, archived; once used they are not removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Invalid, NotFound, Taken
from crm.rights import Access
from crm.schema.meetings import CommunicationKind

RIGHT: Final = "user.manage"  # that of the other directories: schemes, fields, roles (crm-model 11)
MOST_NAME: Final = 60
MOST_KINDS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKind:
    """A kind as forms offer it and the directory shows it."""

    id: int
    name: str
    is_archived: bool


async def own_kinds(session: AsyncSession, *, with_archived: bool = False) -> list[OwnKind]:
    """All of them in the company's order; a company has a handful."""
    query = select(CommunicationKind).order_by(CommunicationKind.position, CommunicationKind.id)
    if not with_archived:
        query = query.where(CommunicationKind.is_archived.is_(False))
    rows = await session.scalars(query.execution_options(populate_existing=True))
    return [OwnKind(id=row.id, name=row.name, is_archived=row.is_archived) for row in rows]


async def add_kind(session: AsyncSession, access: Access, name: str, *, via: str = "form") -> int:
    """A new one, behind the others. Raises NotAllowed, Invalid, Taken."""
    access.require(RIGHT)
    name = _checked(name)
    count = (await session.execute(select(func.count()).select_from(CommunicationKind))).scalar_one()
    if count >= MOST_KINDS:
        why = "There are %(most)d kinds already. Rename one that is archived."
        raise Invalid("name", name, why, most=MOST_KINDS)
    row = {"name": name, "position": count + 1}
    try:
        async with session.begin_nested():
            added = insert(CommunicationKind).values(row).returning(CommunicationKind.id)
            kind_id = (await session.execute(added)).scalar_one()
    except IntegrityError as error:
        raise Taken("name", name) from error
    await record_change(session, access, "communication_kind", kind_id, after=row, via=via)
    return kind_id


async def change_kind(
    session: AsyncSession,
    access: Access,
    kind_id: int,
    *,
    name: str | None = None,
    is_archived: bool | None = None,
    via: str = "form",
) -> None:
    """Rename, archive or bring back; what is None stays. Raises NotAllowed, NotFound, Invalid, Taken."""
    access.require(RIGHT)
    found = await session.scalar(
        select(CommunicationKind)
        .where(CommunicationKind.id == kind_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound("communication kind", kind_id)
    before = {"name": found.name, "is_archived": found.is_archived}
    after = {
        "name": found.name if name is None else _checked(name),
        "is_archived": found.is_archived if is_archived is None else is_archived,
    }
    if not await record_change(
        session, access, "communication_kind", kind_id, before=before, after=after, via=via
    ):
        return
    try:
        async with session.begin_nested():
            await session.execute(
                update(CommunicationKind).where(CommunicationKind.id == kind_id).values(**after)
            )
    except IntegrityError as error:
        raise Taken("name", str(after["name"])) from error


def _checked(name: str) -> str:
    name = " ".join(name.replace("\0", "").split())
    if not name or len(name) > MOST_NAME:
        why = "Give the kind a name of at most %(most)d characters."
        raise Invalid("name", name[:50], why, most=MOST_NAME)
    return name
