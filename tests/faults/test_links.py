"""The link to the PBX is cut every second for a minute: gaps are told, calls stand once, and then all is as before (I4, I5)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench.agents import percentile
from tests.faults.floor import (
    SHARE,
    Floor,
    eventually,
    follow_one_another,
    lost_without_a_gap,
    open_floor,
    told,
)

pytestmark = pytest.mark.faults

CUTS = max(10, round(60 * SHARE))
CALLS_PER_SECOND = 10
MORE_FILES = 5  # open ones, of what had nothing to do with links


async def test_i04_a_flapping_link_leaves_no_call_open_and_no_gap_untold() -> None:
    async with open_floor() as floor, floor.serving():
        patience_ms = await floor.patience_ms(per_second=CALLS_PER_SECOND)
        async with floor.agents() as agents:
            await floor.storm(5, per_second=CALLS_PER_SECOND)
            before = await _open_files(floor.ringcard.pid)
            storm = asyncio.create_task(floor.storm(CUTS, per_second=CALLS_PER_SECOND))
            for _ in range(CUTS):
                floor.pbx.throw_everybody_out()
                await asyncio.sleep(1)
            await storm
            await floor.until_linked()
            calls = await floor.storm(5, per_second=CALLS_PER_SECOND)
            after = await told(calls, agents)
            left = await _open_files(floor.ringcard.pid)
        await floor.until_stored()
        await eventually(lambda: _all_closed(floor), 30)
        stored, gaps = await floor.stored(), await floor.gaps()
    assert after.missing == 0
    assert percentile(after.ringing, 99) <= patience_ms
    assert {number: rows for number, rows in stored.items() if len(rows) > 1} == {}
    assert {row.state for rows in stored.values() for row in rows} == {"ended"}
    assert lost_without_a_gap(floor.calls, stored, gaps) == []
    assert len(gaps) > 1
    assert follow_one_another(gaps)
    assert left <= before + MORE_FILES, "links that were lost are still held"


async def _all_closed(floor: Floor) -> bool:
    return all(gap.to_at for gap in await floor.gaps())


async def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
