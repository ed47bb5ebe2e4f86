"""Agents' states are written beside the live path, also what happened while the database was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from crm.database import Database, make_database
from crm.schema.telephony import AgentState as AgentStateRow
from cti.daemon import agent_book
from cti.daemon.agent_book import AgentBook
from cti.desk import AgentState, AgentStateChange
from tests.crm import planting

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def change(user_id: int, state: AgentState | None, seconds: float) -> AgentStateChange:
    return AgentStateChange(user_id=user_id, state=state, reason=None, at=NOON + timedelta(seconds=seconds))


@asynccontextmanager
async def writing(book: AgentBook) -> AsyncIterator[None]:
    task = asyncio.create_task(book.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def states_of(database: Database, user_id: int) -> list[tuple[str, float, bool]]:
    async with database.sessions() as session:
        found = await session.scalars(
            select(AgentStateRow).where(AgentStateRow.user_id == user_id).order_by(AgentStateRow.id)
        )
        return [(row.state, (row.from_at - NOON).total_seconds(), row.to_at is None) for row in found]


async def user(database: Database, login: str) -> int:
    async with database.sessions.begin() as session:
        return await planting.user(session, login)


async def test_i13_the_database_comes_back_and_nothing_is_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_book, "RETRY_SECONDS", 0.02)
    user_id = await user(database, "away")
    away = make_database("postgresql://nobody@127.0.0.1:1/none")
    book = AgentBook(away.sessions)
    async with writing(book):
        book.note(change(user_id, AgentState.AVAILABLE, 0))
        book.note(change(user_id, AgentState.RINGING, 1))
        await asyncio.sleep(0.1)
        monkeypatch.setattr(book, "_sessions", database.sessions)
        book.note(change(user_id, AgentState.TALKING, 2))
        async with asyncio.timeout(5):
            while len(await states_of(database, user_id)) < 3:
                await asyncio.sleep(0.02)
    assert await states_of(database, user_id) == [
        ("available", 0, False),
        ("ringing", 1, False),
        ("talking", 2, True),
    ]
    await away.close()


async def test_when_full_the_latest_of_each_agent_is_kept(database: Database) -> None:
    first, second = await user(database, "first"), await user(database, "second")
    book = AgentBook(database.sessions, most_waiting=10)
    book.note(change(second, AgentState.PAUSED, 0))
    for number in range(10):
        book.note(change(first, (AgentState.RINGING, AgentState.TALKING)[number % 2], number))
    await book.flush()
    assert await states_of(database, first) == [("talking", 9, True)]
    assert await states_of(database, second) == [("paused", 0, True)]


async def test_one_that_cannot_be_stored_costs_no_other(database: Database) -> None:
    """A user whom nobody knows: their row is refused by the database."""
    user_id = await user(database, "known")
    book = AgentBook(database.sessions)
    book.note(change(10**12, AgentState.AVAILABLE, 0))
    book.note(change(user_id, AgentState.AVAILABLE, 0))
    await book.flush()
    assert await states_of(database, user_id) == [("available", 0, True)]
