"""Tasks: set, changed, handed over, done. They are read by `crm.task_lists` and `crm.task_cards`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import HIDDEN, record_change
from crm.errors import Invalid, NotFound
from crm.notifications import tell_users
from crm.reminders import (
    close_reminders,
    drop_reminders,
    hand_reminders_over,
    move_reminders,
    plan_reminder,
)
from crm.rights import Access
from crm.schema.access import NumberCounter, User
from crm.schema.tasks import Reminder, Task, TaskWatcher
from crm.task_access import keeper_of, let_read, linked, locked_task, readable_task
from crm.task_news import tell_task
from crm.task_values import (
    OPEN_STATES,
    TaskValues,
    check_term,
    checked_text,
    columns_of,
    deadline_of,
    zone_named,
)

MOST_WATCHERS: Final = 30
_EDITED: Final = (
    "title", "kind", "priority", "due_at", "due_on", "note", "party_id", "contact_id", "lead_id",
    "communication_id", "is_private",
)  # fmt: skip


_WRITTEN: Final = ("title", "note", "result")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A task to set. `owner_id`: who is to do it, whoever sets it if None."""

    values: TaskValues
    owner_id: int | None = None
    watcher_ids: tuple[int, ...] = ()
    remind_at: datetime | None = None
    remind_minutes: int | None = None  # before the term
    is_present: bool = False  # the call it comes from is at this user now


async def create_task(
    session: AsyncSession, access: Access, new: NewTask, *, home_zone: str, via: str = "form"
) -> int:
    """Set a task; whoever is to do it is told. Returns its id.

    Args:
        home_zone: the installation's time zone, for those who chose none.

    Raises:
        NotAllowed, Invalid, NotFound (the user, or what it is tied to).
    """
    access.require("task.edit")
    columns_of(new.values)
    values = await linked(session, access, new.values, is_present=new.is_present)
    owner_id, team_id, zone = await keeper_of(session, access, new.owner_id, home_zone)
    row = columns_of(values) | {
        "number": await _next_number(session),
        "owner_id": owner_id,
        "team_id": team_id,
        "created_by": access.actor_id,
        "deadline": deadline_of(values.due_at, values.due_on, zone),
    }
    _check_private(row, access.actor_id)
    task_id = (await session.execute(insert(Task).values(row).returning(Task.id))).scalar_one()
    after = {name: value for name, value in row.items() if value is not None and name != "deadline"}
    told = _discreet(after, is_private=values.is_private)
    await record_change(session, access, "task", task_id, after=told, via=via)
    await _watch(session, task_id, new.watcher_ids)
    if new.remind_at is not None or new.remind_minutes is not None:
        at, minutes = new.remind_at, new.remind_minutes
        await plan_reminder(session, task_id, owner_id, values.due_at, at=at, minutes_before=minutes)
    await _give(session, access, task_id, row)
    return task_id


async def edit_task(
    session: AsyncSession,
    access: Access,
    task_id: int,
    changes: Mapping[str, Any],
    *,
    home_zone: str,
    base_version: int | None = None,
    via: str = "form",
) -> int:
    """Change what a task says: any fields of `TaskValues`. Returns the version.

    Raises:
        NotAllowed, NotFound, Conflict, Invalid.
    """
    task = await locked_task(session, access, task_id, base_version=base_version)
    present = TaskValues(**{name: getattr(task, name) for name in _EDITED})
    values = replace(present, **changes)
    columns_of(values)
    if values.links != present.links:
        values = await _relinked(session, access, present, values)
    zone = await _zone_of(session, task.owner_id, home_zone)
    after = columns_of(values) | {"deadline": deadline_of(values.due_at, values.due_on, zone)}
    _check_private(after | {"owner_id": task.owner_id}, task.created_by)
    if values.is_private:
        await session.execute(delete(TaskWatcher).where(TaskWatcher.task_id == task_id))
        await drop_reminders(session, task_id, Reminder.user_id != access.user_id)
    return await _write(session, access, task, after, via=via)


async def postpone(
    session: AsyncSession,
    access: Access,
    task_id: int,
    due_at: datetime | None,
    due_on: date | None,
    *,
    home_zone: str,
    via: str = "form",
) -> int:
    """Another term, or none. Returns the version.

    Raises:
        as `edit_task`; Invalid (the task is over).
    """
    check_term(due_at, due_on)
    task = await _open_task(session, access, task_id)
    deadline = deadline_of(due_at, due_on, await _zone_of(session, task.owner_id, home_zone))
    after = {"due_at": due_at, "due_on": due_on, "deadline": deadline}
    return await _write(session, access, task, after, via=via)


async def give_task(
    session: AsyncSession,
    access: Access,
    task_id: int,
    owner_id: int,
    *,
    home_zone: str,
    base_version: int | None = None,
    via: str = "form",
) -> int:
    """Hand a task over; author and history stay, open reminders go along. Returns the version.

    Raises:
        NotAllowed, NotFound (the task, the user), Conflict, Invalid (private, or over).
    """
    task = await _open_task(session, access, task_id, base_version=base_version)
    owner_id, team_id, zone = await keeper_of(session, access, owner_id, home_zone)
    before_id, deadline = task.owner_id, deadline_of(task.due_at, task.due_on, zone)
    after = {"owner_id": owner_id, "team_id": team_id, "deadline": deadline}
    _check_private(after | {"is_private": task.is_private}, task.created_by)
    if before_id == owner_id:
        return task.version
    version = await _write(session, access, task, after, event="task.assigned", via=via)
    await hand_reminders_over(session, task_id, before_id, owner_id)
    told = {"title": task.title, "party_id": task.party_id, "communication_id": task.communication_id}
    await _give(session, access, task_id, after | told)
    await tell_task(session, before_id, "changed", task_id)
    return version


async def start_task(session: AsyncSession, access: Access, task_id: int, *, via: str = "form") -> int:
    """Begin with it. Returns the version. Raises as `complete_task`."""
    task = await _open_task(session, access, task_id)
    return await _write(session, access, task, {"state": "in_progress"}, via=via)


async def complete_task(
    session: AsyncSession,
    access: Access,
    task_id: int,
    result: str = "",
    *,
    call_id: UUID | None = None,
    base_version: int | None = None,
    via: str = "form",
) -> int:
    """Done, with what came of it and the call in which it was done. A task that is done stays as it is. Returns the version.

    Raises:
        NotAllowed, NotFound, Conflict, Invalid (it was cancelled, the result is too long).
    """
    task = await locked_task(session, access, task_id, base_version=base_version)
    if task.state == "done":
        return task.version
    _require_open(task)
    call = {"communication_id": call_id} if call_id is not None and not task.is_private else {}
    after = {
        "state": "done",
        "result": checked_text("result", result),
        "completed_at": await _clock(session),
        "completed_by_id": access.actor_id,
        **call,
    }
    author_id, title = task.created_by, task.title
    version = await _write(session, access, task, after, event="task.completed", via=via)
    await close_reminders(session, [task_id])
    told = [] if author_id is None else [author_id]
    detail = {"name": title}
    await tell_users(session, access, told, "task_done", record_kind="task", record_id=task_id, detail=detail)
    return version


async def cancel_task(
    session: AsyncSession, access: Access, task_id: int, *, base_version: int | None = None, via: str = "form"
) -> int:
    """It need not be done. Returns the version. Raises as `complete_task`."""
    task = await _open_task(session, access, task_id, base_version=base_version)
    version = await _write(session, access, task, {"state": "cancelled"}, via=via)
    await close_reminders(session, [task_id])
    return version


async def reopen_task(
    session: AsyncSession, access: Access, task_id: int, *, base_version: int | None = None, via: str = "form"
) -> int:
    """A task that is done or cancelled is to be done after all; its result stays. Returns the version."""
    task = await locked_task(session, access, task_id, base_version=base_version)
    if task.state in OPEN_STATES:
        return task.version
    after = {"state": "new", "completed_at": None, "completed_by_id": None}
    return await _write(session, access, task, after, event="task.reopened", via=via)


async def watch_task(session: AsyncSession, access: Access, task_id: int, *, is_watched: bool) -> None:
    """Follow a task that one may read, or no longer. Raises NotFound, Invalid (too many follow it)."""
    task = await readable_task(session, access, task_id)
    if is_watched:
        await _watch(session, task.id, [access.user_id])
        return
    mine = (TaskWatcher.task_id == task.id) & (TaskWatcher.user_id == access.user_id)
    await session.execute(delete(TaskWatcher).where(mine))
    if access.user_id not in (task.owner_id, task.created_by):
        await drop_reminders(session, task.id, Reminder.user_id == access.user_id)


async def stand_of(session: AsyncSession, task_id: int) -> Task:
    """How a task stands, for whoever has just changed it; no right is asked again. Raises NotFound."""
    task = await session.get(Task, task_id, populate_existing=True)
    if task is None:
        raise NotFound("task", task_id)
    return task


async def follow_zone(session: AsyncSession, access: Access, home_zone: str) -> None:
    """Whoever moved to another time zone: their tasks of a whole day end with the day there."""
    mine = (Task.owner_id == access.user_id) & Task.due_on.is_not(None) & Task.state.in_(OPEN_STATES)
    zone = await _zone_of(session, access.user_id, home_zone)
    for day in await session.scalars(select(Task.due_on).where(mine).distinct()):
        moved = update(Task).where(mine, Task.due_on == day)
        await session.execute(moved.values(deadline=deadline_of(None, day, zone)))


async def _open_task(
    session: AsyncSession, access: Access, task_id: int, *, base_version: int | None = None
) -> Task:
    task = await locked_task(session, access, task_id, base_version=base_version)
    _require_open(task)
    return task


def _require_open(task: Task) -> None:
    if task.state not in OPEN_STATES:
        raise Invalid("state", task.state, "This task is over. Open it again first.")


def _check_private(row: Mapping[str, Any], author_id: int | None) -> None:
    if row["is_private"] and (author_id is None or row["owner_id"] != author_id):
        raise Invalid("is_private", "", "A private task is its author's own.")


async def _relinked(
    session: AsyncSession, access: Access, present: TaskValues, values: TaskValues
) -> TaskValues:
    """What stood there already may be out of one's rights and stay; what is new may not."""
    new = {name: value for name, value in values.links.items() if present.links.get(name) != value}
    checked = await linked(session, access, TaskValues(title=values.title, **new))
    return replace(values, **{name: value for name, value in asdict(checked).items() if name in new})


async def _write(
    session: AsyncSession,
    access: Access,
    task: Task,
    after: Mapping[str, Any],
    *,
    event: str | None = None,
    via: str,
) -> int:
    """Write these columns of a locked task, with change log and outbox event. Returns the version."""
    told = {name: value for name, value in after.items() if name != "deadline"}
    before = {name: getattr(task, name) for name in told}
    task_id, owner_id, version, was_due = task.id, task.owner_id, task.version, task.due_at
    if before == told:
        return version
    is_private = bool(after.get("is_private", task.is_private))
    old, new = _discreet(before, is_private=is_private), _discreet(told, is_private=is_private)
    common: dict[str, Any] = {"event": event, "via": via}
    await record_change(session, access, "task", task_id, before=old, after=new, **common)
    row = {**after, "version": version + 1, "updated_at": func.now()}
    await session.execute(update(Task).where(Task.id == task_id).values(row))
    if "due_at" in after and after["due_at"] != was_due:
        await move_reminders(session, task_id, after["due_at"])
    await tell_task(session, owner_id, "changed", task_id)
    await session.refresh(task)
    return version + 1


def _discreet(fields: Mapping[str, Any], *, is_private: bool) -> dict[str, Any]:
    """What the journals keep: of a private task nothing that its author wrote."""
    hidden = _WRITTEN if is_private else ()
    return {name: HIDDEN if name in hidden and value else value for name, value in fields.items()}


async def _give(session: AsyncSession, access: Access, task_id: int, row: Mapping[str, Any]) -> None:
    """Tell whoever has got it, and let them read whom it is about."""
    owner_id = row["owner_id"]
    await let_read(session, access, owner_id, row["party_id"], row["deadline"])
    detail = {"name": row["title"]}
    await tell_users(
        session, access, [owner_id], "task", record_kind="task", record_id=task_id, detail=detail
    )
    await tell_task(session, owner_id, "assigned", task_id)


async def _watch(session: AsyncSession, task_id: int, user_ids: Iterable[int]) -> None:
    wanted = sorted(set(user_ids))
    if not wanted:
        return
    known = set(await session.scalars(select(User.id).where(User.id.in_(wanted), User.status == "active")))
    if missing := set(wanted) - known:
        raise NotFound("user", min(missing))
    count = select(func.count()).where(TaskWatcher.task_id == task_id)
    if (await session.execute(count)).scalar_one() + len(wanted) > MOST_WATCHERS:
        why = "At most %(most)d people follow one task."
        raise Invalid("watcher_ids", "", why, most=MOST_WATCHERS)
    rows = [{"task_id": task_id, "user_id": user_id} for user_id in wanted]
    await session.execute(upsert(TaskWatcher).values(rows).on_conflict_do_nothing())


async def _zone_of(session: AsyncSession, user_id: int, home_zone: str) -> Any:
    name = await session.scalar(select(User.time_zone).where(User.id == user_id))
    return zone_named(name, home_zone)


async def _clock(session: AsyncSession) -> datetime:
    now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return now


async def _next_number(session: AsyncSession) -> int:
    new = upsert(NumberCounter).values(kind="task", value=1)
    counted = new.on_conflict_do_update(
        index_elements=["kind"], set_={"value": NumberCounter.value + NumberCounter.step}
    )
    return (await session.execute(counted.returning(NumberCounter.value))).scalar_one()
