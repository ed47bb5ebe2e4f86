"""One change for many tasks: done, another term, another responsible; in batches, each a transaction of its own.

Whatever cannot be changed (outside one's rights, over, private) is counted and left alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm import tasks
from crm.errors import Invalid, NotFound
from crm.mass_changes import MassResult
from crm.rights import Access, condition
from crm.schema.tasks import Task
from crm.task_access import keeper_of
from crm.task_values import OPEN_STATES, check_term

BATCH: Final = 50
MOST_TASKS: Final = 500  # of one action: a page waits for it
Act = Callable[[AsyncSession, int], Awaitable[int]]


async def complete_many(
    sessions: async_sessionmaker[AsyncSession], access: Access, task_ids: Sequence[int]
) -> MassResult:
    """All of them are done. Raises NotAllowed, Invalid (too many)."""

    async def act(session: AsyncSession, task_id: int) -> int:
        return await tasks.complete_task(session, access, task_id)

    return await _each(sessions, access, task_ids, act)


async def postpone_many(
    sessions: async_sessionmaker[AsyncSession],
    access: Access,
    task_ids: Sequence[int],
    due_at: datetime | None,
    due_on: date | None,
    *,
    home_zone: str,
) -> MassResult:
    """One term for all of them. Raises NotAllowed, Invalid (too many, the term)."""
    check_term(due_at, due_on)

    async def act(session: AsyncSession, task_id: int) -> int:
        return await tasks.postpone(session, access, task_id, due_at, due_on, home_zone=home_zone)

    return await _each(sessions, access, task_ids, act)


async def give_many(
    sessions: async_sessionmaker[AsyncSession],
    access: Access,
    task_ids: Sequence[int],
    owner_id: int,
    *,
    home_zone: str,
) -> MassResult:
    """All of them to one user. Raises NotAllowed, NotFound (the user), Invalid (too many)."""
    async with sessions() as session:
        await keeper_of(session, access, owner_id, home_zone)

    async def act(session: AsyncSession, task_id: int) -> int:
        return await tasks.give_task(session, access, task_id, owner_id, home_zone=home_zone)

    return await _each(sessions, access, task_ids, act)


async def _each(
    sessions: async_sessionmaker[AsyncSession], access: Access, task_ids: Sequence[int], act: Act
) -> MassResult:
    access.require("task.edit")
    ids = sorted(set(task_ids))  # the order in which everybody locks
    if len(ids) > MOST_TASKS:
        why = "One action changes at most %(most)d tasks. Narrow the list."
        raise Invalid("ids", len(ids), why, most=MOST_TASKS)
    result = MassResult()
    for start in range(0, len(ids), BATCH):
        async with sessions.begin() as session:
            result += await _batch(session, access, ids[start : start + BATCH], act)
    return result


async def _batch(session: AsyncSession, access: Access, ids: Sequence[int], act: Act) -> MassResult:
    mine = select(Task.id, Task.version).where(
        Task.id.in_(ids), Task.state.in_(OPEN_STATES), condition(access, "task.edit", Task)
    )
    locked = mine.order_by(Task.id).with_for_update(of=Task)
    changed = unchanged = refused = 0
    found = dict((await session.execute(locked)).all())
    for task_id, version in found.items():
        try:
            async with session.begin_nested():
                changed_to = await act(session, task_id)
        except (Invalid, NotFound):  # private
            refused += 1
            continue
        changed, unchanged = changed + (changed_to != version), unchanged + (changed_to == version)
    refused += len(ids) - len(found)
    return MassResult(changed=changed, unchanged=unchanged, refused=refused)
