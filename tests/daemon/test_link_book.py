"""How links stood is written down, also what happened while the database was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from ami_adapter.link import LinkState, LinkStatus
from crm.database import Database, make_database
from crm.schema.telephony import ConnectionGap, PbxConnection
from cti.daemon import link_book
from cti.daemon.link_book import LinkBook
from tests.crm import planting

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def state(status: LinkStatus, at: datetime) -> LinkState:
    return LinkState(
        status=status,
        since=at,
        code=status.value,
        detail="",
        last_event_at=NOON - timedelta(hours=8),
        heard_at=at,
    )


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@asynccontextmanager
async def writing(book: LinkBook) -> AsyncIterator[None]:
    task = asyncio.create_task(book.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_i05_hours_without_the_database_lose_no_gap(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quiet PBX is no gap: it begins where the last message of any kind came, and not with the last call."""
    monkeypatch.setattr(link_book, "RETRY_SECONDS", 0.02)
    async with database.sessions.begin() as session:
        ids = [await planting.connection(session, f"PBX {number}") for number in range(3)]
    away = make_database("postgresql://nobody@127.0.0.1:1/none")
    book = LinkBook(away.sessions)
    async with writing(book):
        for id_ in ids:
            book.note_state(id_, state(LinkStatus.UP, NOON), NOON)
            book.note_state(id_, state(LinkStatus.DOWN, after(1)), after(3))
            book.note_state(id_, state(LinkStatus.UP, after(9)), after(9))
        for second in range(10, 10_000, 5):
            for id_ in ids:
                book.note_heard(id_, after(second))
        await asyncio.sleep(0.1)
        assert len(book._waiting) <= 3 * 5
        book._sessions = database.sessions  # the database is back
        async with asyncio.timeout(5):
            while book._waiting:
                await asyncio.sleep(0.02)
    await away.close()
    async with database.sessions() as session:
        gaps = await session.execute(select(ConnectionGap.from_at, ConnectionGap.to_at))
        assert gaps.all() == [(after(1), after(9))] * 3
        heard = await session.scalars(select(PbxConnection.last_event_at))
        assert set(heard) == {after(9_995)}
        assert set(await session.scalars(select(PbxConnection.state))) == {"up"}


async def test_i10_what_waits_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_book, "MOST_WAITING", 20)
    book = LinkBook(database.sessions)
    for second in range(0, 1000, 2):
        book.note_state(1, state(LinkStatus.UP, after(second)), after(second))
        book.note_state(1, state(LinkStatus.DOWN, after(second + 1)), after(second + 1))
    assert len(book._waiting) <= 22


async def test_i16_killed_just_after_the_link_came_up_it_leaves_a_gap(database: Database) -> None:
    async with database.sessions.begin() as session:
        id_ = await planting.connection(session, "PBX")
    book = LinkBook(database.sessions)
    book.note_state(id_, state(LinkStatus.UP, NOON), NOON)
    await book.flush()
    await LinkBook(database.sessions).begin(after(4))  # the next run, after kill -9
    async with database.sessions() as session:
        gaps = await session.execute(
            select(ConnectionGap.from_at, ConnectionGap.to_at, ConnectionGap.why).where(
                ConnectionGap.connection_id == id_
            )
        )
        assert gaps.all() == [(NOON, None, "ringcard_stopped")]
