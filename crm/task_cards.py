"""Reading one task: its card, who follows it, how it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.history import ChangeInfo, record_changes
from crm.reminders import ReminderInfo, reminders_of
from crm.rights import Access, condition
from crm.schema.access import User
from crm.schema.tasks import Task, TaskWatcher
from crm.task_access import readable_task
from crm.task_lists import TaskRow, task_rows

_TOLD: Final = (
    "title", "kind", "state", "priority", "due_at", "due_on", "owner_id", "note", "result", "is_private",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCard:
    """Everything the card shows at once. `changes`: newest first."""

    task: TaskRow
    watchers: tuple[tuple[int, str], ...]
    reminders: tuple[ReminderInfo, ...]  # one's own
    changes: tuple[ChangeInfo, ...]
    may_edit: bool
    may_give: bool
    is_watched: bool


async def task_card(session: AsyncSession, access: Access, task_id: int) -> TaskCard:
    """The card. Raises NotFound: unknown, or outside this user's rights."""
    access.require("task.read")
    task = await readable_task(session, access, task_id)
    (row,) = await task_rows(session, access, [task.id])
    watchers = await session.execute(
        select(User.id, User.name)
        .join(TaskWatcher, TaskWatcher.user_id == User.id)
        .where(TaskWatcher.task_id == task.id)
        .order_by(User.name, User.id)
    )
    people = tuple(watchers.all())
    may_edit = await _may_edit(session, access, task.id)
    return TaskCard(
        task=row,
        watchers=people,
        reminders=tuple(await reminders_of(session, access, task.id)),
        changes=tuple(await record_changes(session, "task", task.id, _TOLD)),
        may_edit=may_edit,
        may_give=may_edit and access.may("task.give") and not row.is_private,
        is_watched=access.user_id in dict(people),
    )


async def _may_edit(session: AsyncSession, access: Access, task_id: int) -> bool:
    allowed = select(Task.id).where(Task.id == task_id, condition(access, "task.edit", Task))
    return access.may("task.edit") and await session.scalar(allowed) is not None
