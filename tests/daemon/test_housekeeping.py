"""The rounds of the daemon: a search that was asked for is done, the bin empties itself, strays of a merge follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.database import Database
from crm.duplicates import ask_search, list_pairs, search_state
from crm.merging import merge_parties
from crm.parties import create_party, organisation_values
from crm.party_bin import bin_party
from crm.schema.access import UserSession
from crm.schema.base import uuid7
from crm.schema.binned import BinEntry
from crm.schema.communications import Communication
from crm.schema.parties import Party
from cti.daemon import housekeeping
from cti.daemon.housekeeping import Housekeeping, night_before
from tests.crm.people import COMMAND, make_user

MOSCOW = ZoneInfo("Europe/Moscow")


@asynccontextmanager
async def keeping_house(database: Database, *, round_seconds: float) -> AsyncIterator[Housekeeping]:
    house = Housekeeping(
        database.sessions,
        now=lambda: datetime.now(UTC),
        time_zone="Europe/Moscow",
        round_seconds=round_seconds,
    )
    task = asyncio.create_task(house.run())
    yield house
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def firm(session: AsyncSession, name: str) -> int:
    return await create_party(session, COMMAND, organisation_values(name), kinds=["client"])


async def test_a_search_that_was_asked_for_begins_at_once(database: Database) -> None:
    async with database.sessions.begin() as session:
        one, other = await firm(session, "Зимний сад"), await firm(session, "Зимний сад, ООО")
        await ask_search(session, COMMAND)
    async with keeping_house(database, round_seconds=3600) as house, asyncio.timeout(10):
        house.ask()
        while True:
            async with database.sessions() as session:
                if not (await search_state(session)).is_running:
                    break
            await asyncio.sleep(0.05)
    async with database.sessions() as session:
        (pair,) = (await list_pairs(session, COMMAND)).items
        assert (pair.one.id, pair.other.id) == (one, other)


async def test_the_bin_empties_itself_and_strays_follow(database: Database) -> None:
    async with database.sessions.begin() as session:
        gone, stays = await firm(session, "Старая в корзине"), await firm(session, "Новая в корзине")
        for party_id in (gone, stays):
            await bin_party(session, COMMAND, party_id)
        long_ago = datetime.now(UTC) - timedelta(days=31)
        await session.execute(update(BinEntry).where(BinEntry.party_id == gone).values(at=long_ago))
        one, other = await firm(session, "Основная"), await firm(session, "Вливаемая")
        await merge_parties(session, COMMAND, one, [other])
        stray = uuid7()
        values = {"kind": "meeting", "direction": "none", "started_at": long_ago, "party_id": other}
        session.add(Communication(id=stray, **values))
    async with keeping_house(database, round_seconds=0.05), asyncio.timeout(10):
        while True:
            async with database.sessions() as session:
                linked = await session.scalar(select(Communication.party_id).where(Communication.id == stray))
                left = await session.scalars(select(Party.id).where(Party.id.in_([gone, stays])))
                if linked == one and left.all() == [stays]:
                    break
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-03-02T00:30+00:00", "2026-03-02T00:00+00:00"),  # half past three in Moscow
        ("2026-03-01T23:30+00:00", "2026-03-01T00:00+00:00"),  # half past two: the night before
    ],
)
def test_the_night_is_that_of_the_installation(now: str, due: str) -> None:
    assert night_before(datetime.fromisoformat(now), MOSCOW) == datetime.fromisoformat(due)


async def test_old_rows_go_at_night_and_soon_after_a_start(database: Database) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=100)
    async with database.sessions.begin() as session:
        user = (await make_user(session)).user_id
        session.add(UserSession(user_id=user, token_hash=b"old", last_used_at=long_ago))
    async with keeping_house(database, round_seconds=0.05), asyncio.timeout(10):
        while True:
            async with database.sessions() as session:
                if await session.scalar(select(UserSession.id).where(UserSession.user_id == user)) is None:
                    break
            await asyncio.sleep(0.05)


ENDLESS = (
    "adopt_piece", "spread_piece", "describe_piece", "recheck_piece", "search_piece", "empty_leads", "empty_piece",
    "empty_communications", "prune_outbox", "prune_accesses",
)  # fmt: skip


@pytest.mark.parametrize("endless", ENDLESS)
async def test_what_takes_hours_leaves_time_for_the_rest(
    database: Database, monkeypatch: pytest.MonkeyPatch, endless: str
) -> None:
    rounds: list[int] = []

    async def go_on(*_: object) -> bool:
        return True

    async def gather(*_: object) -> list[int]:
        rounds.append(1)
        return []

    monkeypatch.setattr(housekeeping, endless, go_on)
    monkeypatch.setattr(housekeeping, "recent_merges", gather)
    async with keeping_house(database, round_seconds=0.1), asyncio.timeout(10):
        while len(rounds) < 3:
            await asyncio.sleep(0.02)


async def test_whoever_has_more_to_do_goes_on_at_once_and_lets_the_others_in(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    async def search(_session: AsyncSession) -> bool:
        told.append("search")
        return told.count("search") < 5

    async def gather(*_: object) -> list[int]:
        told.append("gather")
        return []

    monkeypatch.setattr(housekeeping, "search_piece", search)
    monkeypatch.setattr(housekeeping, "recent_merges", gather)
    async with keeping_house(database, round_seconds=3600) as house, asyncio.timeout(10):
        house._most_seconds = 0  # a piece a round
        house.ask()
        while told.count("search") < 5:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
    assert told == ["gather", "search"] * 5  # and then an hour of rest


async def test_after_a_failure_the_next_round_waits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[int] = []

    async def fail(*_: object) -> bool:
        rounds.append(1)
        raise TimeoutError

    async def go_on(*_: object) -> bool:
        return True

    monkeypatch.setattr(housekeeping, "spread_piece", fail)
    monkeypatch.setattr(housekeeping, "describe_piece", go_on)
    async with keeping_house(database, round_seconds=3600) as house:
        house._most_seconds = 0
        house.ask()
        async with asyncio.timeout(20):
            while not rounds:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)  # in which a next round would have begun
    assert rounds == [1]


async def test_a_bin_is_emptied_on_from_where_a_round_was_cut_short(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    async def empty(_session: AsyncSession, _access: object, _before: datetime, after: int) -> int | None:
        asked.append(after)
        return after + 20 if after < 60 else None

    monkeypatch.setattr(housekeeping, "empty_piece", empty)
    async with keeping_house(database, round_seconds=3600) as house, asyncio.timeout(10):
        house._most_seconds = 0
        house.ask()
        while len(asked) < 4:
            await asyncio.sleep(0.02)
        house.ask()
        while len(asked) < 5:
            await asyncio.sleep(0.02)
    assert asked[:5] == [0, 20, 40, 60, 0]


async def test_spreading_that_takes_too_long_goes_on_in_smaller_pieces(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    async def spread(_session: AsyncSession, most: int) -> bool:
        asked.append(most)
        if most > 100:
            raise TimeoutError
        return False

    monkeypatch.setattr(housekeeping, "spread_piece", spread)
    async with keeping_house(database, round_seconds=0.02), asyncio.timeout(10):
        while len(asked) < 6:
            await asyncio.sleep(0.02)
    assert asked[:6] == [500, 250, 125, 62, 124, 62]


async def test_a_piece_that_always_fails_is_left_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    skipped: list[bool] = []

    async def fail(_session: AsyncSession) -> bool:
        raise TimeoutError

    async def skip(_session: AsyncSession) -> None:
        skipped.append(True)

    monkeypatch.setattr(housekeeping, "search_piece", fail)
    monkeypatch.setattr(housekeeping, "skip_piece", skip)
    async with keeping_house(database, round_seconds=0.02), asyncio.timeout(10):
        while len(skipped) < 2:
            await asyncio.sleep(0.02)
