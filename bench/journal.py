"""Calls stored a second with all their rows, against bare asyncpg with the same statements in the same transactions.

The floor replays, on a second database, exactly what the journal sent: the same texts, the same parameters, one
transaction where it had one. What is left is the price of SQLAlchemy and of our own code.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.population import bare_url, benchmark_server, in_database
from bench.rows import Row, table
from crm.call_store import store
from crm.database import Database, migrate, open_database
from crm.journal_entries import CallEntry, CallFacts
from crm.schema.base import uuid7
from cti.calls import records
from cti.calls.records import CallRecord, CallState, CameBy, Direction, Disposition, ParticipationResult

CALLS = 600  # a round
TURN = 100  # calls by us, then the same by the floor
ROUNDS = 5
BATCH = 100  # as the journal does when it is behind
AGENTS = 30
PARTIES = 1_000
MORNING = datetime(2026, 3, 2, 6, tzinfo=UTC)

Sent = tuple[str, tuple[Any, ...]]
Transactions = list[list[Sent]]


async def run() -> list[Row]:
    """One transaction a call, then in batches."""
    async with benchmark_server() as server:
        ours_url, floor_url = await _two_databases(server)
        ours = await open_database(ours_url)
        floor = await asyncpg.connect(floor_url)
        try:
            single = await compare(ours, floor, 1, "journal: one transaction a call", "≥ 0.5")
            batched = await compare(ours, floor, BATCH, f"journal: batches of {BATCH}", "≥ 0.7")
        finally:
            await floor.close()
            await ours.close()
    return [single, batched]


async def compare(ours: Database, floor: asyncpg.Connection, size: int, name: str, wanted: str) -> Row:
    """Ours and floor in turn, a tenth of a second each, so that what else the machine does meets both alike."""
    keys = itertools.count(size * 1_000_000)
    rounds: list[tuple[float, float]] = []
    for _ in range(ROUNDS + 1):
        ours_seconds = floor_seconds = 0.0
        for _ in range(CALLS // TURN):
            seconds, sent = await store_ours(ours, [_entry(next(keys)) for _ in range(TURN)], size)
            ours_seconds += seconds
            floor_seconds += await store_bare(floor, sent)
        rounds.append((ours_seconds, floor_seconds))
    seconds, floor_seconds = sorted(rounds[1:], key=lambda pair: pair[1] / pair[0])[ROUNDS // 2]
    return Row(  # the round of the middle ratio; the first one warmed up
        name=name,
        ours=f"{CALLS / seconds:,.0f} calls/s",
        floor=f"{CALLS / floor_seconds:,.0f} calls/s",
        ratio=floor_seconds / seconds,
        wanted=wanted,
    )


async def store_ours(
    database: Database, entries: Sequence[CallEntry], size: int
) -> tuple[float, Transactions]:
    """Seconds, and what was sent in each transaction."""
    sent: Transactions = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *more: Any) -> None:
        sent[-1].append((statement, tuple(parameters)))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    began = time.perf_counter()
    async with database.engine.connect() as connection:
        for batch in _batches(entries, size):
            sent.append([])
            async with connection.begin():
                await store(connection, batch)
    seconds = time.perf_counter() - began
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    return seconds, sent


async def store_bare(connection: asyncpg.Connection, transactions: Transactions) -> float:
    began = time.perf_counter()
    for transaction in transactions:
        async with connection.transaction():
            for statement, parameters in transaction:
                await connection.fetch(statement, *parameters)
    return time.perf_counter() - began


def _batches(entries: Sequence[CallEntry], size: int) -> Iterator[Sequence[CallEntry]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


async def _two_databases(server: str) -> tuple[str, str]:
    """Two alike, with the same ids in them."""
    ours, floor = in_database(server, "ours"), in_database(server, "floor")
    connection = await asyncpg.connect(bare_url(server))
    await connection.execute("create database ours")
    await migrate(ours)
    database = await open_database(ours)
    async with database.engine.begin() as session:
        await _plant(session)
    await database.close()
    await connection.execute("create database floor template ours")
    await connection.close()
    return ours, bare_url(floor)


async def _plant(connection: AsyncConnection) -> None:
    agents, parties = f"generate_series(1, {AGENTS}) n", f"generate_series(1, {PARTIES}) n"
    for table_and_columns, rows in (
        ("pbx_connection (kind, name)", "values ('asterisk', 'Office')"),
        ("app_user (login, name)", f"select 'agent' || n, 'Agent ' || n from {agents}"),
        ("extension (connection_id, digits)", f"select 1, (100 + n)::text from {agents}"),
        (
            "extension_assignment (extension_id, user_id, valid_from)",
            f"select n, n, '2020-01-01' from {agents}",
        ),
        (
            "party (number, type, display_name, sort_name)",
            f"select n, 'organisation', 'Party ' || n, 'party ' || n from {parties}",
        ),
    ):
        await connection.execute(text(f"insert into {table_and_columns} {rows}"))


def _entry(number: int) -> CallEntry:
    """An answered call of a known client that rang at two telephones, as it stood at its end."""
    return CallEntry(
        connection_id=1,
        call_id=uuid7(),
        record=_record(number),
        facts=CallFacts(
            customer_e164=f"+79{number % 10**9:09d}", match_status="matched", party_id=1 + number % PARTIES
        ),
        at=MORNING,
        run=RUN,
    )


RUN = str(uuid7())


def _record(number: int) -> CallRecord:
    key, start = f"17000{number}.1", MORNING + timedelta(seconds=number % 30_000)
    after = [start + timedelta(seconds=seconds) for seconds in (1, 6, 66)]
    answering, other = str(101 + number % AGENTS), str(101 + (number + 1) % AGENTS)
    part = records.Participation(
        extension=answering,
        attempt=1,
        came_by=CameBy.RING,
        rang_at=after[0],
        answered_at=after[1],
        left_at=after[2],
        result=ParticipationResult.ANSWERED,
        is_first_answer=True,
    )
    elsewhere = replace(
        part, extension=other, answered_at=None, left_at=after[1], result=ParticipationResult.ELSEWHERE
    )
    legs = [
        records.Leg(
            channel_id=f"{key}{index}",
            channel_name=f"PJSIP/{name}-0000{index}",
            extension=None if index == 0 else name,
            started_at=start,
            ended_at=after[2],
            hangup_cause=16,
        )
        for index, name in enumerate(("trunk", answering, other))
    ]
    return CallRecord(
        key=key,
        linked_ids=(key,),
        direction=Direction.INBOUND,
        state=CallState.ENDED,
        customer_number=f"89{number % 10**9:09d}",
        did="84950000001",
        answered_by=answering,
        final_agent=answering,
        disposition=Disposition.ANSWERED,
        hung_up_by="customer",
        started_at=start,
        answered_at=after[1],
        ended_at=after[2],
        ring_seconds=5.0,
        talk_seconds=60.0,
        participations=(part, elsewhere),
        legs=tuple(legs),
        story=("a call comes in", f"{answering} rings", f"{other} rings", f"{answering} answers", "the end"),
    )


if __name__ == "__main__":
    print(table(asyncio.run(run())))
