"""The journals of changes and of access, searched within one's rights: newest first, pages by keyset.

Whoever may read everything reads everything. Others read what they (or their team) did; and of a record that they may read,
whoever changed it. Values of clients that the reader may not see are left out of rows that tell of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, func, literal, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import NotFound
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size
from crm.party_access import readable, readable_party
from crm.planning import plan_for_values
from crm.rights import Access, Scope, condition
from crm.schema.access import Role, Team, TeamMembership, User
from crm.schema.journals import AccessLog, ChangeLog
from crm.schema.parties import Party

RIGHT: Final = "journal.read"
PARTY: Final = "party"
# What whoever sets up telephony may follow, whoever did it.
TELEPHONY_KINDS: Final = frozenset({"connection", "line", "extension", "profile"})
_NAMES: Final[Mapping[str, tuple[Any, Any]]] = {
    PARTY: (Party.id, Party.display_name),
    "user": (User.id, User.name),
    "role": (Role.id, Role.name),
    "team": (Team.id, Team.name),
}

# Fields that hold the id of another record: its name is told instead.
_REFERENCES: Final[Mapping[str, str]] = {
    "owner_id": "user",
    "access_asked": "user",
    "access_granted": "user",
    "access_refused": "user",
    "team_id": "team",
    "parent_id": "team",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFilter:
    """What a journal shows; None is everything. A record is its kind and its id; a period is half-open."""

    record_kind: str | None = None
    record_id: str | None = None
    actor_id: int | None = None
    event: str | None = None  # of the journal of access
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """One field of a record that changed. `is_hidden`: of a client whom the reader may not see, so the values are left out."""

    id: int
    at: datetime
    actor_id: int | None  # None: the program itself, or a command
    actor_name: str | None
    record_kind: str
    record_id: str
    record_name: str | None
    field: str
    old: Any
    new: Any
    via: str
    is_hidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRow:
    """A sign-in, a refusal, an export, a right or a secret that changed."""

    id: int
    at: datetime
    event: str
    actor_id: int | None
    actor_name: str | None
    login: str | None
    from_address: str | None
    record_kind: str | None
    record_id: str | None
    detail: Mapping[str, Any]


async def list_changes(
    session: AsyncSession,
    access: Access,
    wanted: JournalFilter,
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[ChangeRow]:
    """The journal of changes.

    Raises:
        NotAllowed, NotFound (a client named by the filter who is not there for this user), Invalid (the cursor).
    """
    access.require(RIGHT)
    size = page_size(limit)
    actors = None if await _is_open(session, access, wanted) else await _actors(session, access)
    ids = await _page_ids(session, access, ChangeLog, wanted, actors, cursor, size + 1)
    rows = await session.execute(
        select(ChangeLog, User.name)
        .outerjoin(User, User.id == ChangeLog.actor_id)
        .where(ChangeLog.id.in_(ids[:size]))
        .order_by(ChangeLog.at.desc(), ChangeLog.id.desc())
    )
    found = [(row, name) for row, name in rows]
    names = await _names(session, [record for row, _name in found for record in _records(row)])
    seen = await _seen_parties(session, access, [row for row, _name in found])
    items = tuple(_change(row, name, names, seen) for row, name in found)
    return Page(items=items, next=_next(items, len(ids) > size))


async def list_accesses(
    session: AsyncSession,
    access: Access,
    wanted: JournalFilter,
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[AccessRow]:
    """The journal of access. What nobody known did (a wrong password) is for those who may read everything.

    Raises:
        NotAllowed, Invalid (the cursor).
    """
    access.require(RIGHT)
    size = page_size(limit)
    ids = await _page_ids(
        session, access, AccessLog, wanted, await _actors(session, access), cursor, size + 1
    )
    rows = await session.execute(
        select(AccessLog, User.name)
        .outerjoin(User, User.id == AccessLog.actor_id)
        .where(AccessLog.id.in_(ids[:size]))
        .order_by(AccessLog.at.desc(), AccessLog.id.desc())
    )
    items = tuple(_access(row, name) for row, name in rows)
    return Page(items=items, next=_next(items, len(ids) > size))


async def readable_actors(session: AsyncSession, access: Access) -> list[tuple[int, str]]:
    """Whose acts one may choose to read, by name.

    Raises:
        NotAllowed.
    """
    access.require(RIGHT)
    query = select(User.id, User.name).order_by(func.lower(User.name), User.id)
    actors = await _actors(session, access)
    if actors is not None:
        query = query.where(User.id.in_(actors))
    return [(user_id, name) for user_id, name in await session.execute(query)]


async def _is_open(session: AsyncSession, access: Access, wanted: JournalFilter) -> bool:
    """Whether the filter names what this user may follow whoever did it.

    Raises:
        NotFound: a client who is not there for this user.
    """
    if wanted.record_kind in TELEPHONY_KINDS:
        return access.may("connection.manage")
    if wanted.record_kind != PARTY or wanted.record_id is None:
        return False
    if not wanted.record_id.isascii() or not wanted.record_id.isdigit() or len(wanted.record_id) > 18:
        raise NotFound(PARTY, wanted.record_id[:50])
    await readable_party(session, access, int(wanted.record_id))
    return True


async def _actors(session: AsyncSession, access: Access) -> list[int] | None:
    """Whose acts the right reaches; None: everybody's."""
    scope = access.scope(RIGHT)
    if scope is Scope.ALL:
        return None
    found = {access.user_id}
    if scope is Scope.TEAM and access.team_ids:
        found |= set(
            await session.scalars(
                select(TeamMembership.user_id).where(
                    TeamMembership.team_id.in_(access.team_ids), TeamMembership.valid_to.is_(None)
                )
            )
        )
    return sorted(found)


async def _page_ids(
    session: AsyncSession,
    access: Access,
    model: Any,
    wanted: JournalFilter,
    actors: Sequence[int] | None,
    cursor: str | None,
    most: int,
) -> list[int]:
    """The newest rows: of each actor from their own part of the index, then the newest of these.

    Planned for the kind that is asked for: nearly all changes are of clients and are found by time, others by their kind.
    """
    if wanted.record_kind is not None:
        await plan_for_values(session)
    conditions = _conditions(model, wanted)
    if cursor:
        at, row_id = decode_cursor(cursor, str, int)
        conditions.append(tuple_(model.at, model.id) < tuple_(moment_of(at, cursor), row_id or 0))
    newest = select(model.id, model.at).where(*conditions)
    order = (model.at.desc(), model.id.desc())
    if actors is None:
        return list(await session.scalars(newest.order_by(*order).limit(most)))
    newest = newest.where(condition(access, RIGHT, model))
    people = select(func.unnest(literal(list(actors), ARRAY(BigInteger))).label("actor_id")).subquery()
    of_one = newest.where(model.actor_id == people.c.actor_id).order_by(*order).limit(most).lateral()
    together = select(of_one.c.id).select_from(people).join(of_one, true())
    return list(await session.scalars(together.order_by(of_one.c.at.desc(), of_one.c.id.desc()).limit(most)))


def _conditions(model: Any, wanted: JournalFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for column, value in (
        (model.record_kind, wanted.record_kind),
        (model.record_id, wanted.record_id),
        (model.actor_id, wanted.actor_id),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.event is not None and model is AccessLog:
        found.append(AccessLog.event == wanted.event)
    if wanted.since is not None:
        found.append(model.at >= wanted.since)
    if wanted.until is not None:
        found.append(model.at < wanted.until)
    return found


async def _names(session: AsyncSession, records: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What the records of a page are called, a query for each kind."""
    found: dict[tuple[str, str], str] = {}
    for kind, (key, name) in _NAMES.items():
        ids = {int(record_id) for of, record_id in records if of == kind and record_id.isdigit()}
        if ids:
            rows = await session.execute(select(key, name).where(key.in_(ids)))
            found |= {(kind, str(record_id)): shown for record_id, shown in rows}
    return found


async def _seen_parties(session: AsyncSession, access: Access, rows: Sequence[ChangeLog]) -> set[str] | None:
    """Those clients of a page whom the reader may see; None: all of them."""
    if access.scope("party.read") is Scope.ALL:
        return None
    ids = {int(row.record_id) for row in rows if row.record_kind == PARTY}
    if not ids:
        return set()
    mine = select(Party.id).where(Party.id.in_(ids), readable(access))
    return {str(party_id) for party_id in await session.scalars(mine)}


def _change(
    row: ChangeLog,
    actor_name: str | None,
    names: Mapping[tuple[str, str], str],
    seen: set[str] | None,
) -> ChangeRow:
    is_hidden = row.record_kind == PARTY and seen is not None and row.record_id not in seen
    return ChangeRow(
        id=row.id,
        at=row.at,
        actor_id=row.actor_id,
        actor_name=actor_name,
        record_kind=row.record_kind,
        record_id=row.record_id,
        record_name=None if is_hidden else names.get((row.record_kind, row.record_id)),
        field=row.field,
        old=None if is_hidden else _told(row, row.old, names),
        new=None if is_hidden else _told(row, row.new, names),
        via=row.via,
        is_hidden=is_hidden,
    )


def _records(row: ChangeLog) -> list[tuple[str, str]]:
    """What a row speaks of: the record itself, and those its values refer to."""
    found = [(row.record_kind, row.record_id)]
    if kind := _REFERENCES.get(row.field):
        found += [(kind, str(value)) for value in (row.old, row.new) if value is not None]
    return found


def _told(row: ChangeLog, value: Any, names: Mapping[tuple[str, str], str]) -> Any:
    return names.get((_REFERENCES.get(row.field, ""), str(value)), value)


def _access(row: AccessLog, actor_name: str | None) -> AccessRow:
    return AccessRow(
        id=row.id,
        at=row.at,
        event=row.event,
        actor_id=row.actor_id,
        actor_name=actor_name,
        login=row.login,
        from_address=row.from_address,
        record_kind=row.record_kind,
        record_id=row.record_id,
        detail=row.detail,
    )


def _next(items: Sequence[ChangeRow | AccessRow], has_more: bool) -> str | None:
    return encode_cursor(items[-1].at.isoformat(), items[-1].id) if has_more and items else None
