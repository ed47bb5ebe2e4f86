"""`kill -9` at random moments of a storm of calls: each call stands in the journal once, or a gap tells why not (I16, I5)."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.faults.floor import SHARE, START_SECONDS, follow_one_another, lost_without_a_gap, open_floor

pytestmark = pytest.mark.faults

KILLS = max(3, round(30 * SHARE))
LONGEST_LIFE = 8.0  # seconds after it was ready
CALLS_PER_SECOND = 10


async def test_i16_each_call_of_a_storm_is_stored_once_or_lies_in_a_gap() -> None:
    async with open_floor() as floor:
        is_over = asyncio.Event()

        async def ring_on() -> None:
            while not is_over.is_set():
                await floor.storm(5, per_second=CALLS_PER_SECOND)

        await floor.start()  # what was before nobody could hear
        ringing = asyncio.create_task(ring_on())
        for _ in range(KILLS):
            await asyncio.sleep(random.uniform(0, LONGEST_LIFE))
            await floor.ringcard.kill()
            await floor.ringcard.start(seconds=START_SECONDS)
        await floor.until_linked()
        is_over.set()
        await ringing
        await floor.until_stored()
        stored, gaps = await floor.stored(), await floor.gaps()
        await floor.ringcard.stop()
    assert {number: rows for number, rows in stored.items() if len(rows) > 1} == {}, "told twice"
    states = {(row.state, row.disposition, row.ended_unseen) for rows in stored.values() for row in rows}
    assert states <= {("ended", "abandoned", False), ("ended", None, True)}
    assert ("ended", "abandoned", False) in states
    assert lost_without_a_gap(floor.calls, stored, gaps) == []
    assert len(gaps) >= KILLS / 2, "lives that were too short to hear anything leave none"
    assert follow_one_another(gaps)
