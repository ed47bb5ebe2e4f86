"""The disk of the spool is full while the database is away: it is told, pops go on, and no call is lost (I10, I13)."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bench.agents import percentile
from tests.faults.floor import SHARE, Floor, PostgresAway, eventually, open_floor, told
from tests.tools import cannot_run, needs_root

pytestmark = pytest.mark.faults

DISK_BYTES = 128 * 1024
FULL_SECONDS = max(10.0, 60 * SHARE)
CALLS_PER_SECOND = 20


@asynccontextmanager
async def small_disk(folder: Path) -> AsyncIterator[None]:
    """A file system of its own in this folder, full after a moment."""
    needs_root()
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    made = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        cannot_run(f"no small file system can be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_i10_a_full_disk_is_told_and_costs_no_pop_and_no_call() -> None:
    async with open_floor() as floor, small_disk(floor.ringcard.data / "spool"):
        await floor.start()
        patience_ms = await floor.patience_ms(per_second=CALLS_PER_SECOND)
        postgres = PostgresAway(floor.ringcard.data)
        try:
            async with floor.agents() as agents:
                postgres.freeze()
                filling = asyncio.create_task(floor.storm(FULL_SECONDS, per_second=CALLS_PER_SECOND))
                await eventually(lambda: _is_told(floor), FULL_SECONDS + 60)
                calls = await floor.storm(FULL_SECONDS, per_second=CALLS_PER_SECOND)
                delays = await told(calls, agents)
                await filling
            assert await _is_told(floor)
            await postgres.give_back()
            await floor.until_stored()
            assert not await _is_told(floor)
            stored = await floor.stored()
            assert "the spool takes no more" in floor.ringcard.log()
        finally:
            await postgres.give_back()
            await floor.ringcard.stop()
    assert delays.missing == 0
    assert percentile(delays.ringing, 99) <= patience_ms
    rows_of = {call.caller: stored.get(call.caller, []) for call in floor.calls}
    assert [number for number, rows in rows_of.items() if len(rows) != 1] == []
    assert {row.disposition for rows in rows_of.values() for row in rows} == {"abandoned"}


async def _is_told(floor: Floor) -> bool:
    return "journal" in await floor.troubles()
