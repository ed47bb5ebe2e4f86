"""Reminders as the running program fires them: at their moment, after a restart, once for two programs; told to the pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update

from crm.database import Database
from crm.reminders import shown_reminders
from crm.rights import Access
from crm.schema.access import User
from crm.schema.journals import OutboxEvent
from crm.schema.tasks import Reminder
from crm.task_news import TASK_CHANNEL, read_news
from crm.task_values import TaskValues
from crm.tasks import NewTask, create_task
from cti.daemon.listening import Listener
from cti.daemon.reminders import Reminders
from tests.crm.people import make_user


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def running(*work: Callable[[], object]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(each()) for each in work]  # type: ignore[call-overload]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def reminded(database: Database, after: timedelta) -> tuple[Access, int]:
    """A user with one task, and a reminder of it so long from now."""
    async with database.sessions.begin() as session:
        access = await make_user(session)
        new = NewTask(values=TaskValues(title="Позвонить"), remind_at=now() + after)
        return access, await create_task(session, access, new, home_zone="Europe/Moscow")


async def shown(database: Database, access: Access) -> int:
    async with database.sessions() as session:
        return len(await shown_reminders(session, access))


async def wait_until_shown(database: Database, access: Access) -> None:
    async with asyncio.timeout(5):
        while not await shown(database, access):
            await asyncio.sleep(0.05)


async def test_what_was_due_while_nothing_ran_comes_at_start_and_once(database: Database) -> None:
    access, task_id = await reminded(database, timedelta(minutes=-5))
    one, other = Reminders(database.sessions, now=now), Reminders(database.sessions, now=now)
    async with running(one.run, other.run):
        await wait_until_shown(database, access)
    async with running(Reminders(database.sessions, now=now).run):  # and once more started
        await asyncio.sleep(0.2)
    async with database.sessions() as session:
        events = select(func.count()).where(
            OutboxEvent.type == "task.reminder", OutboxEvent.record_id == str(task_id)
        )
        assert (await session.execute(events)).scalar_one() == 1
    assert await shown(database, access) == 1


async def test_a_new_reminder_wakes_the_program_and_the_pages_are_told(database: Database) -> None:
    reminders = Reminders(database.sessions, now=now, round_seconds=3600)
    told: list[tuple[int, str, int]] = []
    listens = asyncio.Event()

    def hear(payload: str) -> None:
        told.append(read_news(payload))
        reminders.look()

    listener = Listener(database, {TASK_CHANNEL: hear}, listens.set)
    async with running(listener.run, reminders.run):
        await asyncio.wait_for(listens.wait(), 5)
        access, task_id = await reminded(database, timedelta(seconds=1))
        assert await shown(database, access) == 0
        await wait_until_shown(database, access)
        await asyncio.sleep(0.1)
    assert (access.user_id, "assigned", task_id) in told
    assert (access.user_id, "reminder", task_id) in told


async def test_the_reminder_of_a_blocked_user_waits_and_keeps_nobody_busy(database: Database) -> None:
    access, task_id = await reminded(database, timedelta(minutes=-5))
    blocked = update(User).where(User.id == access.user_id)
    async with database.sessions.begin() as session:
        await session.execute(blocked.values(status="blocked"))
    reminders = Reminders(database.sessions, now=now, round_seconds=30)
    assert await reminders.fire() == 30
    async with database.sessions() as session:
        state = select(Reminder.state).where(Reminder.task_id == task_id)
        assert await session.scalar(state) == "pending"
