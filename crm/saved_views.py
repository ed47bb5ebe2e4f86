"""Lists as users want to see them: columns chosen and ordered, saved views of one's own or shared with roles."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change, storable
from crm.errors import Conflict, Invalid, NotFound, Taken
from crm.rights import Access
from crm.schema.access import Role, RoleAssignment, User
from crm.schema.views import ListColumns, SavedView, SavedViewRole

MOST_VIEWS: Final = 50  # of one user in one list
MOST_NAME: Final = 100
MOST_VALUES: Final = 30  # filters and columns of a view
MOST_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewContent:
    """What a view keeps: filters by their names in the address, the order, the columns; () is the list's usual ones."""

    filters: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewInfo:
    """A view as the list offers it."""

    id: int
    area: str
    name: str
    content: ViewContent
    role_codes: tuple[str, ...]  # shared with these; () is the owner's alone
    owner_id: int
    owner_name: str
    is_own: bool
    version: int


async def views_for(session: AsyncSession, access: Access, area: str) -> list[ViewInfo]:
    """One's own views of a list and those shared with one's roles, one's own first, by name."""
    return await _views(session, access, SavedView.area == area, _is_offered(access))


async def read_view(session: AsyncSession, access: Access, view_id: int) -> ViewInfo:
    """One view. Raises NotFound: unknown, or somebody else's and not shared."""
    found = await _views(session, access, SavedView.id == view_id, _is_offered(access))
    if not found:
        raise NotFound("view", view_id)
    return found[0]


async def save_view(
    session: AsyncSession,
    access: Access,
    area: str,
    name: str,
    content: ViewContent,
    *,
    role_codes: Collection[str] = (),
    via: str = "form",
) -> int:
    """A new view of one's own; `role_codes` shares it, with roles one holds oneself (who manages users: with any).

    Raises:
        Invalid (the name, a role, too many views), Taken (one has a view of this name there).
    """
    name, content = _checked_name(name), _checked(content)
    roles = await _role_ids(session, access, role_codes)
    await _check_room(session, access, area)
    row = {
        "area": area,
        "owner_id": access.user_id,
        "created_by": access.actor_id,
        "name": name,
        "columns": list(content.columns),
        "sort": content.sort,
        "filters": dict(content.filters),
    }
    try:
        async with session.begin_nested():
            view_id = (
                await session.execute(insert(SavedView).values(row).returning(SavedView.id))
            ).scalar_one()
    except IntegrityError as error:
        raise Taken("name", name) from error
    await _share(session, view_id, roles)
    after = {**row, "roles": sorted(roles)}
    await record_change(session, access, "saved_view", view_id, after=after, via=via)
    return int(view_id)


async def change_view(
    session: AsyncSession,
    access: Access,
    view_id: int,
    *,
    name: str,
    content: ViewContent,
    role_codes: Collection[str],
    version: int | None = None,
    via: str = "form",
) -> None:
    """One's own view, under another name or with other content. `version`: as it was read; None: the last change wins.

    Raises:
        NotFound, Invalid, Taken, Conflict.
    """
    view = await _own(session, access, view_id)
    if version not in (None, view.version):
        raise Conflict({"name": (view.name, name)}, view.version, view.owner_name)
    name, content = _checked_name(name), _checked(content)
    roles = await _role_ids(session, access, role_codes, already=view.role_codes)
    before = {**_stored(view.name, view.content), "roles": sorted(view.role_codes)}
    after = {**_stored(name, content), "roles": sorted(roles)}
    if not await record_change(session, access, "saved_view", view_id, before=before, after=after, via=via):
        return
    try:
        async with session.begin_nested():
            await session.execute(
                update(SavedView)
                .where(SavedView.id == view_id)
                .values(**_stored(name, content), version=SavedView.version + 1, updated_at=func.now())
            )
    except IntegrityError as error:
        raise Taken("name", name) from error
    await session.execute(delete(SavedViewRole).where(SavedViewRole.view_id == view_id))
    await _share(session, view_id, roles)


async def remove_view(
    session: AsyncSession, access: Access, view_id: int, *, version: int | None = None, via: str = "form"
) -> None:
    """One's own view; who manages users may remove any that is shared. Raises NotFound, Conflict (changed meanwhile)."""
    view = await _own(session, access, view_id)
    if version not in (None, view.version):
        raise Conflict({"name": (view.name, None)}, view.version, view.owner_name)
    before = {**_stored(view.name, view.content), "roles": sorted(view.role_codes)}
    await record_change(session, access, "saved_view", view_id, before=before, after=None, via=via)
    await session.execute(delete(SavedView).where(SavedView.id == view_id))


async def columns_of(session: AsyncSession, access: Access, area: str) -> tuple[str, ...]:
    """The columns this user chose for a list, in their order; () for its usual ones."""
    found = await session.scalar(
        select(ListColumns.columns).where(ListColumns.user_id == access.user_id, ListColumns.area == area)
    )
    return tuple(found or ())


async def choose_columns(
    session: AsyncSession, access: Access, area: str, columns: Sequence[str], known: Collection[str]
) -> None:
    """Show these columns from now on, in this order; none at all brings the usual ones back.

    Raises:
        Invalid: the list has no such column.
    """
    for name in columns:
        if name not in known:
            raise Invalid("columns", name[:50], "This list has no such column.")
    wanted = list(dict.fromkeys(columns))
    mine = (ListColumns.user_id == access.user_id) & (ListColumns.area == area)
    if not wanted:
        await session.execute(delete(ListColumns).where(mine))
        return
    row = {"user_id": access.user_id, "area": area, "columns": wanted}
    new = upsert(ListColumns).values(row)
    await session.execute(
        new.on_conflict_do_update(index_elements=["user_id", "area"], set_={"columns": wanted})
    )


def _is_offered(access: Access) -> Any:
    mine = (
        select(SavedViewRole.view_id)
        .join(RoleAssignment, RoleAssignment.role_id == SavedViewRole.role_id)
        .where(RoleAssignment.user_id == access.user_id)
    )
    return or_(SavedView.owner_id == access.user_id, SavedView.id.in_(mine))


async def _views(session: AsyncSession, access: Access, *conditions: Any) -> list[ViewInfo]:
    roles = (
        select(func.array_agg(Role.code))
        .join(SavedViewRole, SavedViewRole.role_id == Role.id)
        .where(SavedViewRole.view_id == SavedView.id)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(SavedView, User.name, roles)
        .join(User, User.id == SavedView.owner_id)
        .where(*conditions)
        .order_by(SavedView.owner_id != access.user_id, func.lower(SavedView.name), SavedView.id)
        .execution_options(populate_existing=True)
    )
    return [_info(view, name, codes, access) for view, name, codes in rows]


def _info(view: SavedView, owner_name: str, codes: Sequence[str] | None, access: Access) -> ViewInfo:
    content = ViewContent(filters=dict(view.filters), sort=view.sort, columns=tuple(view.columns))
    return ViewInfo(
        id=view.id,
        area=view.area,
        name=view.name,
        content=content,
        role_codes=tuple(sorted(codes or ())),
        owner_id=view.owner_id,
        owner_name=owner_name,
        is_own=view.owner_id == access.user_id,
        version=view.version,
    )


async def _own(session: AsyncSession, access: Access, view_id: int) -> ViewInfo:
    await session.execute(select(SavedView.id).where(SavedView.id == view_id).with_for_update())
    shared = select(SavedViewRole.view_id).where(SavedViewRole.view_id == SavedView.id).exists()
    mine: Any = SavedView.owner_id == access.user_id
    allowed = or_(mine, shared) if access.may("user.manage") else mine
    found = await _views(session, access, SavedView.id == view_id, allowed)
    if not found:
        raise NotFound("view", view_id)
    return found[0]


async def _check_room(session: AsyncSession, access: Access, area: str) -> None:
    mine = select(func.count()).where(SavedView.owner_id == access.user_id, SavedView.area == area)
    if (await session.execute(mine)).scalar_one() >= MOST_VIEWS:
        why = "You have %(most)d views of this list. Remove one first."
        raise Invalid("name", "", why, most=MOST_VIEWS)


async def _role_ids(
    session: AsyncSession, access: Access, codes: Collection[str], already: Collection[str] = ()
) -> dict[str, int]:
    if not codes:
        return {}
    rows = await session.execute(select(Role.code, Role.id).where(Role.code.in_(codes)))
    known: dict[str, int] = dict(rows.all())
    for code in codes:
        is_allowed = access.may("user.manage") or code in access.role_codes or code in already
        if code not in known or not is_allowed:
            raise Invalid("roles", code[:50], "A view is shared with roles that you hold yourself.")
    return known


async def _share(session: AsyncSession, view_id: int, roles: Mapping[str, int]) -> None:
    rows = [{"view_id": view_id, "role_id": role_id} for role_id in roles.values()]
    if rows:
        await session.execute(insert(SavedViewRole), rows)


def _stored(name: str, content: ViewContent) -> dict[str, Any]:
    filters = dict(content.filters)
    return {"name": name, "columns": list(content.columns), "sort": content.sort, "filters": filters}


def _checked_name(name: str) -> str:
    name = " ".join(storable(name).split())
    if not name or len(name) > MOST_NAME:
        why = "Give the view a name of at most %(most)d characters."
        raise Invalid("name", name[:50], why, most=MOST_NAME)
    return name


def _checked(content: ViewContent) -> ViewContent:
    """Bounded: whatever somebody made up costs a row of ordinary size."""
    values = {**content.filters, "sort": content.sort}
    texts = [*values, *values.values(), *content.columns]
    is_large = len(values) > MOST_VALUES or len(content.columns) > MOST_VALUES
    if is_large or any(len(text) > MOST_CHARACTERS or "\0" in text for text in texts):
        raise Invalid("filters", "", "This is too much for one view. Choose fewer filters or columns.")
    return content
