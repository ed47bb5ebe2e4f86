"""From the AMI byte to the agent's frame: 300 agents, 1,000,000 parties, 50 ringing calls a second.

The floor is a bare relay of the same bytes through the same kind of sockets (`bench.relay`); the two run in turn, three
times, and the medians count. `call.matched` has a bound of its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from ami_adapter.demo.pbx import DEMO_SECRET, DEMO_USER, DemoPbx
from ami_adapter.demo.storm import RingStorm
from bench.agents import Agents, Delays, delays_of, percentile
from bench.company import Company, furnish
from bench.rows import Row

SECONDS = float(os.environ.get("BENCH_SECONDS", "60"))
CALLS_PER_SECOND = 50
ROUNDS = 3
MATCHED_MS = 20.0
SETTLE_SECONDS = 2.0


async def run() -> list[Row]:
    """Measure, and compare with the floor of the same run."""
    with tempfile.TemporaryDirectory(prefix="ringcard-bench-") as folder:
        async with DemoPbx([]) as pbx:
            company = await furnish(Path(folder), ami_port=pbx.port)
            try:
                floors, ours = [], []
                for _ in range(ROUNDS):
                    floors.append(await _measure(pbx, company, relay(pbx, company)))
                    ours.append(await _measure(pbx, company, server(company)))
            finally:
                await company.close()
    return _rows(floors, ours)


def _rows(floors: Sequence[Delays], ours: Sequence[Delays]) -> list[Row]:
    rows = []
    for percent, wanted in ((50, "≤ 2"), (99, "≤ 3")):
        floor = statistics.median(percentile(run.ringing, percent) for run in floors)
        own = statistics.median(percentile(run.ringing, percent) for run in ours)
        rows.append(
            Row(
                name=f"pop p{percent}",
                ours=f"{own:.2f} ms",
                floor=f"{floor:.2f} ms",
                ratio=own / floor,
                wanted=wanted,
            )
        )
    matched = statistics.median(percentile(run.matched, 99) for run in ours)
    rows.append(
        Row(
            name="call.matched p99",
            ours=f"{matched:.2f} ms",
            floor=f"{MATCHED_MS:.0f} ms",
            ratio=matched / MATCHED_MS,
            wanted="≤ 1",
        )
    )
    missing = sum(run.missing for run in (*floors, *ours))
    rows.append(
        Row(name="pop frames missing", ours=str(missing), floor="0", ratio=float(missing), wanted="≤ 0")
    )
    return rows


async def _measure(pbx: DemoPbx, company: Company, serving: AsyncIterator[int]) -> Delays:
    port = await anext(serving)
    try:
        async with Agents(f"ws://127.0.0.1:{port}/live", company.tokens) as agents:
            while not pbx.listeners:
                await asyncio.sleep(0.1)
            await asyncio.sleep(SETTLE_SECONDS)
            storm = RingStorm(
                calls_per_second=CALLS_PER_SECOND,
                callers=company.callers,
                extensions=list(company.tokens),
                ring_seconds=3.0,
            )
            calls = await storm.run(pbx, SECONDS)
            await asyncio.sleep(SETTLE_SECONDS)
            return delays_of(calls, agents.seen)
    finally:
        await anext(serving, None)


async def relay(pbx: DemoPbx, company: Company) -> AsyncIterator[int]:
    port = free_port()
    arguments = ("--ami", str(pbx.port), "--listen", str(port), "--user", DEMO_USER, "--secret", DEMO_SECRET)
    async with _process("-m", "bench.relay", *arguments):
        await _answers(port)
        yield port


async def server(company: Company) -> AsyncIterator[int]:
    port = free_port()
    environment = {
        **company.environment,
        "RINGCARD_LISTEN": f"127.0.0.1:{port}",
        "RINGCARD_LOG_LEVEL": "error",
    }
    async with _process("-m", "cti.daemon.command", "serve", environment=environment):
        await _answers(port)
        yield port


@asynccontextmanager
async def _process(*arguments: str, environment: dict[str, str] | None = None) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env={**os.environ, **(environment or {})}
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _answers(port: int) -> None:
    for _ in range(1200):
        try:
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return
    raise TimeoutError(f"Nothing listens on port {port} after two minutes.")


def free_port() -> int:
    """A port of loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
