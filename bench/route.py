"""How long a dialplan waits for the answer who should get a call, among a million parties, twenty asking at once."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.dialects.postgresql import insert

from bench.agents import percentile
from bench.population import PARTIES, number_of, populated_server
from bench.rows import Row
from crm.database import Database, open_database
from crm.rights import command_access
from crm.routing import route_call
from crm.schema.telephony import PbxConnection

ASKERS: Final = 20
QUESTIONS: Final = 150  # of each
WANTED_MS: Final = 100.0


async def run() -> list[Row]:
    """The 99th percentile against what a caller may wait."""
    async with populated_server(PARTIES) as url:
        database = await open_database(url)
        try:
            async with database.sessions.begin() as session:
                row = {"kind": "asterisk", "name": "bench"}
                await session.execute(insert(PbxConnection).values(**row).on_conflict_do_nothing())
            await _ask(database, seed=-1)
            seconds = [each for asked in await _all_ask(database) for each in asked]
        finally:
            await database.close()
    worst = percentile(seconds, 99) * 1000
    return [
        Row(
            name=f"route: {PARTIES:,} parties, {ASKERS} at once, p99",
            ours=f"{worst:.1f} ms",
            floor=f"{WANTED_MS:.0f} ms",
            ratio=worst / WANTED_MS,
            wanted="≤ 1",
        )
    ]


async def _all_ask(database: Database) -> list[list[float]]:
    return await asyncio.gather(*(_ask(database, seed) for seed in range(ASKERS)))


async def _ask(database: Database, seed: int) -> list[float]:
    choose, access, seconds = random.Random(seed), command_access(), []
    for _ in range(QUESTIONS):
        is_known = choose.random() < 0.8
        number = (
            number_of(choose.randint(1, PARTIES)) if is_known else f"+78{choose.randint(0, 10**9 - 1):09d}"
        )
        began = time.perf_counter()
        async with database.sessions() as session:
            await route_call(session, access, "bench", number, "74951234500", datetime.now(UTC))
        seconds.append(time.perf_counter() - began)
    return seconds
