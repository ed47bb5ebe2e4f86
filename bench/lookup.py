"""How long `find_by_number` takes among a million parties, against a thousand: it must not grow with the base."""

from __future__ import annotations

import asyncio
import random
import statistics
import time

from bench.population import PARTIES, number_of, populated_server
from bench.rows import Row, table
from crm.database import Database, open_database
from crm.matching import MatchOutcome, find_by_number
from cti.numbers import E164, Number, NumberKind

FEW = 1_000
REGULAR_SHARE = 0.95  # of the parties, from the first on; the last twentieth is archived, without a number, …
LOOKUPS = 100  # in turn, among the few and among the many
TURNS = 50
WARM_UP = 20


async def run() -> list[Row]:
    """The median look-up; numbers of all active parties alike, one in five unknown."""
    async with populated_server(FEW) as small_url, populated_server(PARTIES) as large_url:
        small, large = await open_database(small_url), await open_database(large_url)
        floor: list[float] = []
        ours: list[float] = []
        for seed in range(-WARM_UP, TURNS):
            few, many = await seconds_each(small, FEW, seed), await seconds_each(large, PARTIES, seed)
            if seed >= 0:
                floor += few
                ours += many
        await small.close()
        await large.close()
    few_seconds, many_seconds = statistics.median(floor), statistics.median(ours)
    return [
        Row(
            name=f"lookup: {PARTIES:,} parties against {FEW:,}",
            ours=f"{many_seconds * 1000:.2f} ms",
            floor=f"{few_seconds * 1000:.2f} ms",
            ratio=many_seconds / few_seconds,
            wanted="≤ 1.5",
        )
    ]


async def seconds_each(database: Database, parties: int, seed: int) -> list[float]:
    choose = random.Random(seed)
    seconds: list[float] = []
    for _ in range(LOOKUPS):
        is_known = choose.random() < 0.8
        e164 = E164(
            number_of(choose.randint(1, int(parties * REGULAR_SHARE)))
            if is_known
            else f"+78{choose.randint(0, 10**9 - 1):09d}"
        )
        began = time.perf_counter()
        async with database.sessions() as session:
            found = await find_by_number(session, Number(kind=NumberKind.E164, presented=e164, e164=e164))
        seconds.append(time.perf_counter() - began)
        expected = MatchOutcome.MATCHED if is_known else MatchOutcome.UNKNOWN
        if found.outcome is not expected:
            raise AssertionError(f"{e164} came out {found.outcome}, not {expected}")
    return seconds


if __name__ == "__main__":
    print(table(asyncio.run(run())))
