"""A small invented day, counted by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.day_figures import DayFigures, day_figures
from crm.schema.communications import Call
from tests.crm import planting
from tests.crm.people import COMMAND, make_team, make_user
from tests.crm.planting import NOON

TODAY, TOMORROW = NOON - timedelta(hours=12), NOON + timedelta(hours=12)


async def call(
    session: AsyncSession, connection: int, at: datetime, team: int | None = None, **changes: object
) -> None:
    call_id = await planting.past_call(session, connection, "+79000000001", at, team_id=team)
    await session.execute(update(Call).where(Call.id == call_id).values(changes))


@pytest.fixture
def second() -> timedelta:
    return timedelta(seconds=1)


async def test_a_day_is_counted_by_hand(session: AsyncSession, second: timedelta) -> None:
    connection = await planting.connection(session, "Counted")
    ours, theirs = await make_team(session, "Counted"), await make_team(session, "Others")
    answered = {"answered_at": NOON, "wait_seconds": 10.0}
    await call(session, connection, TODAY, ours, **answered)  # the first moment of the day belongs to it
    await call(session, connection, NOON, theirs, answered_at=NOON, wait_seconds=20.0)
    await call(session, connection, NOON, ours, disposition="abandoned", wait_seconds=300.0)
    await call(session, connection, NOON, ours, state="ringing", ended_at=None, disposition=None)
    await call(session, connection, TOMORROW - second, None, disposition="no_answer")
    await call(session, connection, TODAY - second, ours, **answered)
    await call(session, connection, TOMORROW, ours, **answered)
    await call(session, connection, NOON, ours, direction="outbound", **answered)
    await call(session, connection, NOON, ours, direction="internal", **answered)

    async def figures(access: object) -> DayFigures:
        return await day_figures(session, access, TODAY, TOMORROW)  # type: ignore[arg-type]

    assert await figures(COMMAND) == DayFigures(calls=5, answered=2, missed=2, average_wait=15.0)
    head = await make_user(session, ["head"], team_id=ours, is_head=True)
    assert await figures(head) == DayFigures(calls=3, answered=1, missed=1, average_wait=10.0)
    agent = await make_user(session, ["agent"], team_id=ours)
    assert await figures(agent) == DayFigures(calls=0, answered=0, missed=0, average_wait=None)


async def test_a_day_is_read_from_its_index(session: AsyncSession) -> None:
    """Whatever the years before hold, a day costs a day."""
    await session.execute(text("set local enable_seqscan = off"))
    plan = await session.execute(
        text(
            "explain select count(*) from call where started_at >= :since and started_at < :until "
            "and direction = 'inbound' and joined_into_id is null and mirror_of_id is null"
        ),
        {"since": TODAY, "until": TOMORROW},
    )
    assert "ix_call_started_at" in "\n".join(plan.scalars())
