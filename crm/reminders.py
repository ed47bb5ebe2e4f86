"""Reminders of tasks: planned, fired once by whichever program is first, put off, answered.

A reminder that has fired stays before its user, in all tabs and after a restart, until it is put off or answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import publish
from crm.errors import Invalid, NotFound
from crm.notifications import settle_notices, tell_users
from crm.rights import Access, condition
from crm.schema.access import User
from crm.schema.tasks import Reminder, Task
from crm.task_access import readable_task
from crm.task_news import tell_task
from crm.task_values import OPEN_STATES, YEARS

FIRED_AT_ONCE: Final = 50
MOST_REMINDERS: Final = 10  # that one user waits for, of one task
MOST_SHOWN: Final = 20
MOST_MINUTES: Final = 60 * 24 * 31
LATEST: Final = timedelta(minutes=1)  # so long ago a moment may be and still be meant as "now"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderInfo:
    """A reminder of one's own. `minutes_before`: the term; None if the moment was chosen itself."""

    id: int
    task_id: int
    fire_at: datetime
    minutes_before: int | None
    state: str  # pending, shown, snoozed, dismissed


async def add_reminder(
    session: AsyncSession,
    access: Access,
    task_id: int,
    *,
    at: datetime | None = None,
    minutes_before: int | None = None,
) -> ReminderInfo:
    """Remind oneself of a task that one may read. The same moment twice is one reminder.

    Raises:
        NotFound, Invalid (a moment that has passed, a task that is over or has no term, too many).
    """
    access.require("task.read")
    task = await readable_task(session, access, task_id)
    if task.state not in OPEN_STATES:
        raise Invalid("state", task.state, "This task is over. Open it again first.")
    if at is not None and at < datetime.now(UTC) - LATEST:
        raise Invalid("at", at, "This moment has passed. Choose a later one.")
    waiting = select(func.count()).where(
        Reminder.task_id == task_id, Reminder.user_id == access.user_id, Reminder.state == "pending"
    )
    if (await session.execute(waiting)).scalar_one() >= MOST_REMINDERS:
        why = "%(most)d reminders of this task are waiting already. Remove one first."
        raise Invalid("at", "", why, most=MOST_REMINDERS)
    made = await plan_reminder(
        session, task_id, access.user_id, task.due_at, at=at, minutes_before=minutes_before
    )
    await tell_task(session, access.user_id, "changed", task_id)
    return made


async def plan_reminder(
    session: AsyncSession,
    task_id: int,
    user_id: int,
    due_at: datetime | None,
    *,
    at: datetime | None = None,
    minutes_before: int | None = None,
) -> ReminderInfo:
    """Put a reminder down; no right is asked. Raises Invalid: neither or both, or there is no term to count from."""
    if (at is None) == (minutes_before is None):
        raise Invalid("at", "", "Give the moment of the reminder, or the minutes before the term.")
    if minutes_before is not None:
        if due_at is None:
            why = "Without a term with its time there is nothing to count from. Choose the moment itself."
            raise Invalid("minutes_before", minutes_before, why)
        if not 0 <= minutes_before <= MOST_MINUTES:
            raise Invalid(
                "minutes_before", minutes_before, "A reminder comes at most 31 days before the term."
            )
        at = due_at - timedelta(minutes=minutes_before)
    assert at is not None, "one of the two was given"
    if at.year not in YEARS:
        raise Invalid("at", at, "This term is too far away. Write it as 31.12.2027 14:30.")
    return await _put(session, task_id, user_id, at, minutes_before)


async def reminders_of(session: AsyncSession, access: Access, task_id: int) -> list[ReminderInfo]:
    """One's own that are waiting or were shown, the next one first."""
    rows = await session.scalars(
        _mine(access)
        .where(Reminder.task_id == task_id, Reminder.state.in_(["pending", "shown"]))
        .order_by(Reminder.fire_at)
    )
    return [_info(row) for row in rows]


async def shown_reminders(session: AsyncSession, access: Access) -> list[ReminderInfo]:
    """What has fired and was not answered yet, the latest of each task, the earliest first: the window of reminders."""
    rows = await session.scalars(
        _mine(access)
        .join(Task, Task.id == Reminder.task_id)
        .where(Reminder.state == "shown", condition(access, "task.read", Task))
        .ext(distinct_on(Reminder.task_id))
        .order_by(Reminder.task_id, Reminder.fire_at.desc())
    )
    found = sorted(map(_info, rows), key=lambda reminder: (reminder.fire_at, reminder.id))
    return found[:MOST_SHOWN]


async def snooze(session: AsyncSession, access: Access, reminder_id: int, until: datetime) -> ReminderInfo:
    """Remind once more at this moment. Raises NotFound (not one's own, or answered), Invalid (it has passed)."""
    if until < datetime.now(UTC) - LATEST or until.year not in YEARS:
        raise Invalid("until", until, "This moment has passed. Choose a later one.")
    reminder = await _waiting(session, access, reminder_id)
    task_id = reminder.task_id
    await _answer(session, access, task_id, "snoozed")
    return await _put(session, task_id, access.user_id, until, None)


async def dismiss(session: AsyncSession, access: Access, reminder_id: int) -> None:
    """It was seen, or is not wanted any more. Raises NotFound: not one's own, or answered already."""
    reminder = await _waiting(session, access, reminder_id)
    if reminder.state == "shown":
        await _answer(session, access, reminder.task_id, "dismissed")
        return
    await session.execute(delete(Reminder).where(Reminder.id == reminder_id))
    await tell_task(session, access.user_id, "changed", reminder.task_id)


async def fire_due(session: AsyncSession, access: Access, now: datetime) -> int:
    """Fire what is due, a piece at a time; two programs share the work by the rows. Returns how many."""
    rows = (
        await session.execute(
            select(Reminder.id, Reminder.user_id, Task.id.label("task_id"), Task.title)
            .join(Task, Task.id == Reminder.task_id)
            .join(User, User.id == Reminder.user_id)
            .where(Reminder.state == "pending", Reminder.fire_at <= now, User.status == "active")
            .order_by(Reminder.fire_at, Reminder.id)
            .limit(FIRED_AT_ONCE)
            .with_for_update(of=Reminder, skip_locked=True)
        )
    ).all()
    for row in rows:
        shown = update(Reminder).where(Reminder.id == row.id)
        await session.execute(shown.values(state="shown", shown_at=now))
        after = {"user_id": row.user_id, "reminder_id": row.id}
        await publish(session, access, "task.reminder", "task", row.task_id, after=after)
        told: dict[str, Any] = {"record_kind": "task", "record_id": row.task_id}
        detail = {"name": row.title}
        await tell_users(session, access, [row.user_id], "reminder", **told, detail=detail, is_shown=True)
        await tell_task(session, row.user_id, "reminder", row.task_id)
    return len(rows)


async def next_due(session: AsyncSession) -> datetime | None:
    """When the next one is to fire; None if none is planned. Those of blocked users wait for them."""
    query = select(Reminder.fire_at).join(User, User.id == Reminder.user_id)
    waiting = query.where(Reminder.state == "pending", User.status == "active")
    return await session.scalar(waiting.order_by(Reminder.fire_at).limit(1))


async def close_reminders(session: AsyncSession, task_ids: Sequence[int]) -> None:
    """Their tasks are over: nobody is reminded of them any more."""
    open_ones = Reminder.task_id.in_(task_ids) & Reminder.state.in_(["pending", "shown"])
    closed = update(Reminder).where(open_ones).values(state="dismissed")
    rows = await session.execute(closed.returning(Reminder.user_id, Reminder.task_id))
    for user_id, task_id in sorted(set(rows)):
        await settle_notices(session, [user_id], "task", task_id, kind="reminder")
        await tell_task(session, user_id, "reminder", task_id)


async def move_reminders(session: AsyncSession, task_id: int, due_at: datetime | None) -> None:
    """Reminders so many minutes before the term go with it; without a term there are none."""
    of_term = (
        (Reminder.task_id == task_id) & Reminder.minutes_before.is_not(None) & (Reminder.state == "pending")
    )
    taken = delete(Reminder).where(of_term).returning(Reminder.user_id, Reminder.minutes_before)
    for user_id, minutes in (await session.execute(taken)).all():
        if due_at is not None and minutes is not None:
            await _put(session, task_id, user_id, due_at - timedelta(minutes=minutes), minutes)


async def hand_reminders_over(session: AsyncSession, task_id: int, from_id: int, to_id: int) -> None:
    """The task changed hands: whoever has it now is reminded, not whoever had it."""
    of_former = (
        (Reminder.task_id == task_id)
        & (Reminder.user_id == from_id)
        & Reminder.state.in_(["pending", "shown"])
    )
    taken = delete(Reminder).where(of_former)
    rows = (await session.execute(taken.returning(Reminder.fire_at, Reminder.minutes_before))).all()
    for fire_at, minutes in rows:
        await _put(session, task_id, to_id, fire_at, minutes)
    if rows:
        await settle_notices(session, [from_id], "task", task_id, kind="reminder")
        await tell_task(session, from_id, "reminder", task_id)


async def drop_reminders(session: AsyncSession, task_id: int, *users: ColumnElement[bool]) -> None:
    """Those of users who may read the task no longer."""
    dropped = delete(Reminder).where(Reminder.task_id == task_id, *users).returning(Reminder.user_id)
    for user_id in sorted(set(await session.scalars(dropped))):
        await settle_notices(session, [user_id], "task", task_id, kind="reminder")
        await tell_task(session, user_id, "reminder", task_id)


async def _put(
    session: AsyncSession, task_id: int, user_id: int, at: datetime, minutes_before: int | None
) -> ReminderInfo:
    row = {"task_id": task_id, "user_id": user_id, "fire_at": at, "minutes_before": minutes_before}
    anew = {"state": "pending", "shown_at": None, "minutes_before": minutes_before}
    new = upsert(Reminder).values(row)
    put = new.on_conflict_do_update(index_elements=["task_id", "user_id", "fire_at"], set_=anew)
    reminder_id = (await session.execute(put.returning(Reminder.id))).scalar_one()
    return ReminderInfo(
        id=reminder_id, task_id=task_id, fire_at=at, minutes_before=minutes_before, state="pending"
    )


async def _waiting(session: AsyncSession, access: Access, reminder_id: int) -> Reminder:
    query = _mine(access).where(Reminder.id == reminder_id, Reminder.state.in_(["pending", "shown"]))
    found: Reminder | None = await session.scalar(query.with_for_update())
    if found is None:
        raise NotFound("reminder", reminder_id)
    return found


async def _answer(session: AsyncSession, access: Access, task_id: int, state: str) -> None:
    """All that stand before the user of this task; the other tabs are told."""
    mine = (Reminder.task_id == task_id) & (Reminder.user_id == access.user_id) & (Reminder.state == "shown")
    await session.execute(update(Reminder).where(mine).values(state=state))
    await settle_notices(session, [access.user_id], "task", task_id, kind="reminder")
    await tell_task(session, access.user_id, "reminder", task_id)


def _mine(access: Access) -> Any:
    query = select(Reminder).where(Reminder.user_id == access.user_id)
    return query.execution_options(populate_existing=True)


def _info(row: Reminder) -> ReminderInfo:
    return ReminderInfo(
        id=row.id,
        task_id=row.task_id,
        fire_at=row.fire_at,
        minutes_before=row.minutes_before,
        state=row.state,
    )
