"""Lists of tasks: what is open by its term, what is over newest first; pages by keyset, within one's rights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, literal, or_, select, text, tuple_, union
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.errors import Invalid
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size
from crm.party_lists import MOST_COUNTED, Count, PartyRow, readable_rows
from crm.rights import Access, condition, ways
from crm.schema.access import User
from crm.schema.leads import Lead
from crm.schema.tasks import Task, TaskWatcher
from crm.task_values import KINDS, NEVER, OPEN_STATES, PRIORITIES, STATES

WHOSE: Final = ("mine", "given", "watched", "all")
ASKED_STATES: Final = (*STATES, "open", "all")
Keys = Select[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks; what is None does not narrow. The term is half-open: `due_since` ≤ deadline < `due_before`.

    `whose`: mine (to do), given (by me to others), watched, all (within one's rights). `state`: one of `STATES`, "open" or "all".
    """

    whose: str = "all"
    state: str = "open"
    kind: str | None = None
    priority: str | None = None
    owner_id: int | None = None
    party_id: int | None = None  # as the client, or as the contact
    lead_id: int | None = None
    number: int | None = None
    due_since: datetime | None = None
    due_before: datetime | None = None

    def __post_init__(self) -> None:
        known = (("whose", WHOSE), ("state", ASKED_STATES), ("kind", KINDS), ("priority", PRIORITIES))
        for name, values in known:
            if (value := getattr(self, name)) is not None and value not in values:
                raise Invalid(name, value[:50], "There is no such list of tasks.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """A task as lists show it; client, contact and lead stand there for whoever may read them."""

    id: int
    number: int
    title: str
    kind: str
    state: str
    priority: str
    due_at: datetime | None
    due_on: date | None
    deadline: datetime | None
    owner_id: int
    owner_name: str
    team_id: int | None
    author_id: int | None
    author_name: str | None
    party_id: int | None
    party_name: str | None
    contact_id: int | None
    contact_name: str | None
    phone: str | None  # of the contact, else of the client, else of its primary contact
    lead_id: int | None
    lead_number: int | None
    communication_id: UUID | None
    note: str | None
    result: str | None
    completed_at: datetime | None
    completed_by_name: str | None
    is_private: bool
    created_at: datetime
    updated_at: datetime
    version: int

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    def is_overdue(self, now: datetime) -> bool:
        return self.is_open and self.deadline is not None and self.deadline < now


async def list_tasks(
    session: AsyncSession,
    access: Access,
    wanted: TaskFilter = TaskFilter(),
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[TaskRow]:
    """One page: open tasks by their term, those without one last; what is over, or all of them, newest first.

    Raises:
        NotAllowed, Invalid (the cursor).
    """
    access.require("task.read")
    size, by_term = page_size(limit), wanted.state == "open"
    parts = await _parts(session, access, wanted)
    if cursor:
        parts = [part.where(_after(cursor, by_term=by_term)) for part in parts]
    order: tuple[Any, ...] = (Task.deadline, Task.id) if by_term else (Task.id.desc(),)
    rows = union(*[part.order_by(*order).limit(size + 1).subquery().select() for part in parts]).subquery()
    outer: tuple[Any, ...] = (rows.c.deadline, rows.c.id) if by_term else (rows.c.id.desc(),)
    found = (await session.execute(select(rows).order_by(*outer).limit(size + 1))).all()
    items = await task_rows(session, access, [row.id for row in found[:size]])
    last = found[size - 1] if len(found) > size else None
    more = None if last is None else _cursor(last, by_term=by_term)
    return Page(items=tuple(items), next=more)


async def changed_tasks(
    session: AsyncSession,
    access: Access,
    since: datetime,
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[TaskRow]:
    """Tasks of any state that were changed at this moment or later, the earliest change first.

    A task changed while one reads comes again. Raises NotAllowed, Invalid (the cursor).
    """
    access.require("task.read")
    size = page_size(limit)
    key = tuple_(Task.updated_at, Task.id)
    after: ColumnElement[bool] = Task.updated_at >= since
    if cursor:
        at, task_id = decode_cursor(cursor, str, int)
        after = key > tuple_(moment_of(at, cursor), task_id or 0)
    parts = await _parts(session, access, TaskFilter(state="all"), Task.updated_at)
    ordered = [part.where(after).order_by(Task.updated_at, Task.id).limit(size + 1) for part in parts]
    rows = union(*[part.subquery().select() for part in ordered]).subquery()
    query = select(rows).order_by(rows.c.updated_at, rows.c.id).limit(size + 1)
    found = (await session.execute(query)).all()
    items = await task_rows(session, access, [row.id for row in found[:size]])
    last = found[size - 1] if len(found) > size else None
    more = encode_cursor(last.updated_at.isoformat(), last.id) if last else None
    return Page(items=tuple(items), next=more)


async def count_tasks(session: AsyncSession, access: Access, wanted: TaskFilter) -> Count:
    """How many tasks the list has, up to 1,000. Raises NotAllowed."""
    access.require("task.read")
    parts = [part.limit(MOST_COUNTED + 1) for part in await _parts(session, access, wanted)]
    some = select(union(*[part.subquery().select() for part in parts]).subquery()).limit(MOST_COUNTED + 1)
    counted = (await session.execute(select(func.count()).select_from(some.subquery()))).scalar_one()
    return Count(value=min(counted, MOST_COUNTED), is_more=counted > MOST_COUNTED)


async def task_ids(session: AsyncSession, access: Access, wanted: TaskFilter, most: int) -> list[int]:
    """The ids of everything that the list has, for an action on all of it; so many at most."""
    access.require("task.read")
    parts = [part.limit(most) for part in await _parts(session, access, wanted)]
    rows = union(*[part.subquery().select() for part in parts]).subquery()
    return list(await session.scalars(select(rows.c.id).limit(most)))


async def newest_tasks(
    session: AsyncSession,
    access: Access,
    before: tuple[datetime, UUID] | None,
    most: int,
    *,
    party_id: int | None = None,
    lead_id: int | None = None,
) -> list[TaskRow]:
    """For the line of time: tasks of every state by when they were set, newest first; none without the right to tasks.

    Args:
        before: a moment, and the number of the task that ended the page before, as a UUID.
    """
    if not access.may("task.read"):
        return []
    wanted = TaskFilter(state="all", party_id=party_id, lead_id=lead_id)
    query = select(Task.id).where(*_conditions(wanted), condition(access, "task.read", Task))
    if before is not None:
        last = min(before[1].int, 2**63 - 1)
        query = query.where(tuple_(Task.created_at, Task.id) < tuple_(before[0], last))
    found = await session.scalars(query.order_by(Task.created_at.desc(), Task.id.desc()).limit(most))
    return await task_rows(session, access, list(found))


async def fitting_tasks(session: AsyncSession, access: Access, party_id: int, most: int = 5) -> list[TaskRow]:
    """What a talk with somebody may have done: one's own open tasks to call them, by term."""
    wanted = TaskFilter(whose="mine", kind="call", party_id=party_id)
    return list((await list_tasks(session, access, wanted, limit=most)).items)


async def next_tasks(session: AsyncSession, access: Access, lead_ids: Sequence[int]) -> dict[int, TaskRow]:
    """The open task of each of these leads that is due first; none without the right to tasks."""
    if not lead_ids or not access.may("task.read"):
        return {}
    first = (
        select(Task.lead_id, Task.id)
        .where(Task.lead_id.in_(lead_ids), Task.state.in_(OPEN_STATES), condition(access, "task.read", Task))
        .ext(distinct_on(Task.lead_id))
        .order_by(Task.lead_id, Task.deadline, Task.id)
    )
    ids = [task_id for _lead_id, task_id in await session.execute(first)]
    return {row.lead_id: row for row in await task_rows(session, access, ids) if row.lead_id is not None}


async def task_rows(session: AsyncSession, access: Access, task_ids: Sequence[int]) -> list[TaskRow]:
    """These tasks as rows, in this order; a fixed number of queries for any number of them."""
    if not task_ids:
        return []
    owner, author, doer = aliased(User), aliased(User), aliased(User)
    rows = await session.execute(
        select(Task, owner.name, author.name, doer.name)
        .join(owner, owner.id == Task.owner_id)
        .outerjoin(author, author.id == Task.created_by)
        .outerjoin(doer, doer.id == Task.completed_by_id)
        .where(Task.id.in_(task_ids))
        .execution_options(populate_existing=True)
    )
    found = {row[0].id: row for row in rows}
    tasks = [row[0] for row in found.values()]
    named = await readable_rows(session, access, [id_ for t in tasks for id_ in (t.party_id, t.contact_id)])
    parties = {row.id: row for row in named}
    leads = await _leads(session, access, {task.lead_id for task in tasks})
    return [_row(*found[task_id], parties, leads) for task_id in task_ids if task_id in found]


async def _parts(session: AsyncSession, access: Access, wanted: TaskFilter, *more: Any) -> list[Keys]:
    """The list's keys, a query for each way in which a task may be within it.

    The planner must see the values: one user's tasks among a million want another plan than those of all.
    """
    await session.execute(text("set local plan_cache_mode = force_custom_plan"))
    columns = more or (Task.deadline,)
    kept = select(Task.id, *columns).where(*_conditions(wanted))
    if wanted.whose == "all":
        return [kept.where(way) for way in ways(access, "task.read", Task)]
    return [kept.where(_whose(access, wanted.whose), condition(access, "task.read", Task))]


def _whose(access: Access, whose: str) -> ColumnElement[bool]:
    if whose == "mine":
        return Task.owner_id == access.user_id
    if whose == "given":
        return (Task.created_by == access.user_id) & (Task.owner_id != access.user_id)
    return Task.id.in_(select(TaskWatcher.task_id).where(TaskWatcher.user_id == access.user_id))


def _conditions(wanted: TaskFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.state in ("open", *OPEN_STATES):  # as the indexes say it
        conditions.append(Task.state.in_([literal(state, literal_execute=True) for state in OPEN_STATES]))
    if wanted.state in STATES:
        conditions.append(Task.state == wanted.state)
    if wanted.party_id is not None:
        conditions.append(or_(Task.party_id == wanted.party_id, Task.contact_id == wanted.party_id))
    if wanted.due_since is not None:
        conditions.append(Task.deadline >= wanted.due_since)
    if wanted.due_before is not None:
        conditions.append(Task.deadline < wanted.due_before)
    exactly = {
        Task.kind: wanted.kind,
        Task.priority: wanted.priority,
        Task.owner_id: wanted.owner_id,
        Task.lead_id: wanted.lead_id,
        Task.number: wanted.number,
    }
    return conditions + [column == value for column, value in exactly.items() if value is not None]


def _after(cursor: str, *, by_term: bool) -> ColumnElement[bool]:
    if not by_term:
        (task_id,) = decode_cursor(cursor, int)
        return Task.id < (task_id or 0)
    at, task_id = decode_cursor(cursor, str, int)
    return tuple_(Task.deadline, Task.id) > tuple_(moment_of(at, cursor), task_id or 0)


def _cursor(last: Any, *, by_term: bool) -> str:
    return encode_cursor(last.deadline.isoformat(), last.id) if by_term else encode_cursor(last.id)


async def _leads(session: AsyncSession, access: Access, ids: Iterable[int | None]) -> dict[int, int]:
    """The numbers of those leads that this user may read."""
    wanted = [id_ for id_ in set(ids) if id_ is not None]
    if not wanted or not access.may("lead.read"):
        return {}
    query = select(Lead.id, Lead.number).where(Lead.id.in_(wanted), Lead.deleted_at.is_(None))
    return dict((await session.execute(query.where(condition(access, "lead.read", Lead)))).all())


def _row(
    task: Task,
    owner_name: str,
    author_name: str | None,
    doer_name: str | None,
    parties: dict[int, PartyRow],
    leads: dict[int, int],
) -> TaskRow:
    party, contact = parties.get(task.party_id or 0), parties.get(task.contact_id or 0)
    lead_id = task.lead_id if task.lead_id in leads else None
    return TaskRow(
        id=task.id,
        number=task.number,
        title=task.title,
        kind=task.kind,
        state=task.state,
        priority=task.priority,
        due_at=task.due_at,
        due_on=task.due_on,
        deadline=None if task.deadline == NEVER else task.deadline,
        owner_id=task.owner_id,
        owner_name=owner_name,
        team_id=task.team_id,
        author_id=task.created_by,
        author_name=author_name,
        party_id=party.id if party else None,
        party_name=party.name if party else None,
        contact_id=contact.id if contact else None,
        contact_name=contact.name if contact else None,
        phone=next((each.phone for each in (contact, party) if each and each.phone), None),
        lead_id=lead_id,
        lead_number=leads.get(lead_id) if lead_id else None,
        communication_id=task.communication_id,
        note=task.note,
        result=task.result,
        completed_at=task.completed_at,
        completed_by_name=doer_name,
        is_private=task.is_private,
        created_at=task.created_at,
        updated_at=task.updated_at,
        version=task.version,
    )
