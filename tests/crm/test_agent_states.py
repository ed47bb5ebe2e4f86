"""Rows of agents' states: in order, once, without overlap, and honest about what nobody saw."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.agent_states import end_states_of_last_run, set_agent_states
from crm.database import Database
from crm.schema.telephony import AgentState, PbxConnection
from cti.desk import AgentState as State
from cti.desk import AgentStateChange
from tests.crm import planting
from tests.crm.planting import NOON

Row = tuple[str, str | None, datetime, datetime | None]


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


async def rows(session: AsyncSession, user_id: int) -> list[Row]:
    found = await session.execute(
        select(AgentState.state, AgentState.reason, AgentState.from_at, AgentState.to_at)
        .where(AgentState.user_id == user_id)
        .order_by(AgentState.id)
    )
    return [(state, reason, from_at, to_at) for state, reason, from_at, to_at in found]


async def set_agent_state(
    session: AsyncSession, user_id: int, state: str | None, reason: str | None, at: datetime
) -> None:
    """One change alone."""
    await set_agent_states(session, [change(user_id, state, reason, at)])


def change(user_id: int, state: str | None, reason: str | None, at: datetime) -> AgentStateChange:
    return AgentStateChange(user_id=user_id, state=State(state) if state else None, reason=reason, at=at)


@pytest.fixture
async def anybody(session: AsyncSession) -> int:
    return await planting.user(session, f"agent-{id(object())}")


async def test_one_state_ends_where_the_next_begins(session: AsyncSession, anybody: int) -> None:
    for state, reason, seconds in (
        ("available", None, 0),
        ("ringing", None, 5),
        ("paused", "Обед", 9),
        ("paused", "Звонок", 12),
    ):
        await set_agent_state(session, anybody, state, reason, after(seconds))
    assert await rows(session, anybody) == [
        ("available", None, after(0), after(5)),
        ("ringing", None, after(5), after(9)),
        ("paused", "Обед", after(9), after(12)),
        ("paused", "Звонок", after(12), None),
    ]


async def test_many_changes_of_many_users_at_once_are_as_one_by_one(
    session: AsyncSession, anybody: int
) -> None:
    other = await planting.user(session, f"other-{anybody}")
    await set_agent_state(session, anybody, "available", None, after(0))
    await set_agent_states(
        session,
        [
            change(anybody, "available", None, after(1)),
            change(other, "offline", "no_link", after(2)),
            change(anybody, "ringing", None, after(3)),
            change(other, None, None, after(4)),
            change(anybody, "talking", None, after(5)),
            change(anybody, "talking", None, after(6)),
            change(other, "available", None, after(3)),
        ],
    )
    assert await rows(session, anybody) == [
        ("available", None, after(0), after(3)),
        ("ringing", None, after(3), after(5)),
        ("talking", None, after(5), None),
    ]
    assert await rows(session, other) == [
        ("offline", "no_link", after(2), after(4)),
        ("available", None, after(4), None),
    ]


async def test_told_again_nothing_changes(session: AsyncSession, anybody: int) -> None:
    for seconds in (0, 1, 0):
        await set_agent_state(session, anybody, "offline", "no_link", after(seconds))
    assert await rows(session, anybody) == [("offline", "no_link", after(0), None)]


async def test_a_clock_that_went_back_makes_no_overlap(session: AsyncSession, anybody: int) -> None:
    await set_agent_state(session, anybody, "available", None, after(100))
    await set_agent_state(session, anybody, "talking", None, after(40))
    await set_agent_state(session, anybody, "available", None, after(160))
    assert await rows(session, anybody) == [
        ("available", None, after(100), after(100)),
        ("talking", None, after(100), after(160)),
        ("available", None, after(160), None),
    ]


async def test_whoever_sits_nowhere_is_in_no_state(session: AsyncSession, anybody: int) -> None:
    await set_agent_state(session, anybody, "available", None, after(0))
    await set_agent_state(session, anybody, None, None, after(7))
    await set_agent_state(session, anybody, None, None, after(8))
    assert await rows(session, anybody) == [("available", None, after(0), after(7))]


async def test_a_new_run_closes_what_the_last_one_left_open(session: AsyncSession, anybody: int) -> None:
    """Killed at noon, started an hour later: what was in between nobody saw, and no row says it."""
    connection = await planting.connection(session, f"PBX {anybody}")
    await session.execute(update(PbxConnection).values(last_event_at=None))
    await set_agent_state(session, anybody, "available", None, after(0))
    heard = update(PbxConnection).where(PbxConnection.id == connection).values(last_event_at=after(60))
    await session.execute(heard)
    await end_states_of_last_run(session, after(3600))
    await set_agent_state(session, anybody, "offline", "no_link", after(3600))
    assert await rows(session, anybody) == [
        ("available", None, after(0), after(60)),
        ("offline", "no_link", after(3600), None),
    ]


async def test_without_any_word_of_a_pbx_it_ends_at_the_start(session: AsyncSession, anybody: int) -> None:
    await session.execute(update(PbxConnection).values(last_event_at=None))
    await set_agent_state(session, anybody, "offline", "no_link", after(0))
    await end_states_of_last_run(session, after(30))
    assert await rows(session, anybody) == [("offline", "no_link", after(0), after(30))]


async def test_two_writers_take_turns(database: Database) -> None:
    async with database.sessions.begin() as session:
        user_id = await planting.user(session, "two-writers")

    async def write(state: str, seconds: float) -> None:
        async with database.sessions.begin() as session:
            await set_agent_state(session, user_id, state, None, after(seconds))

    await asyncio.gather(*(write(("available", "talking")[n % 2], n) for n in range(12)))
    async with database.sessions() as session:
        found = await rows(session, user_id)
    assert sum(to_at is None for *_, to_at in found) == 1
