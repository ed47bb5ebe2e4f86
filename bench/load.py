"""A thousand calls at once, five thousand events a second: from the AMI byte to the call event it means.

A PBX in this process sends recorded calls under new ids, evenly; each message carries the moment it was sent. Another
process reads them from a real socket: once with the whole of the live connection and the call core, once only cut into
messages, which is the floor.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import itertools
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from ami_adapter.connection import AmiConnection
from ami_adapter.demo.pbx import DEMO_SECRET, DEMO_USER, DemoPbx
from ami_adapter.demo.recording import packaged
from ami_adapter.demo.renaming import Known
from ami_adapter.framing import AmiFrames, AmiMessage
from ami_adapter.link import AmiSettings
from bench.agents import percentile
from bench.rows import Row
from cti.calls.call_events import CallArrived, CallEnded, CallEvent
from cti.calls.tracker import CallTracker
from cti.daemon.garbage import keep_what_stays

SECONDS = float(os.environ.get("BENCH_SECONDS", "60"))
TEMPLATE: Final = "asterisk22-01-inbound-answered"
CALLS_AT_ONCE: Final = 1000
EVENTS_PER_SECOND: Final = 5000
SPREAD: Final = 1.1  # some of a recording's events come before its call begins or after it ended
SENT_AT: Final = b"\r\nSentAt: "


async def run() -> list[Row]:
    """The 99th percentile of both, in turn, on the same calls."""
    floor = await measured("cut")
    ours = await measured("core")
    times = float(ours["p99"]) / float(floor["p99"])
    return [
        Row(
            name="load: byte to call event p99",
            ours=f"{ours['p99']:.2f} ms",
            floor=f"{floor['p99']:.2f} ms",
            ratio=times,
            wanted="≤ 5",
        ),
        Row(
            name="load: calls at once",
            ours=f"{ours['calls']:.0f}",
            floor=f"{CALLS_AT_ONCE}",
            ratio=float(ours["calls"]) / CALLS_AT_ONCE,
            wanted="≥ 0.95",
        ),
        Row(
            name="load: events a second",
            ours=f"{floor['events'] / SECONDS:,.0f}",
            floor=f"{EVENTS_PER_SECOND:,}",
            ratio=float(floor["events"]) / SECONDS / EVENTS_PER_SECOND,
            wanted="≥ 0.95",
        ),
    ]


async def measured(way: str) -> dict[str, float]:
    """What the other process saw, in milliseconds, once the load stands."""
    async with DemoPbx([], most_unsent_bytes=64 * 2**20) as pbx:
        reader = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.load", way, str(pbx.port), stdout=asyncio.subprocess.PIPE
        )
        while not pbx.listeners:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        sending = asyncio.create_task(send(pbx))
        assert reader.stdout is not None
        told: dict[str, float] = json.loads(await reader.stdout.readline())
        sending.cancel()
        await asyncio.gather(sending, reader.wait(), return_exceptions=True)
        return told


async def send(pbx: DemoPbx) -> None:
    """For ever. Calls begin and end evenly: when the first ones end there are as many as there ever will be."""
    template = packaged(TEMPLATE)
    known, size = Known(template), len(template.events)
    events = [Mould(known, event.raw) for event in template.events]
    per_second, lasts = EVENTS_PER_SECOND / size, ramp()
    due: list[tuple[float, int, bytes]] = []
    order, start = itertools.count(), time.perf_counter()
    calls = 0
    while True:
        now = time.perf_counter() - start
        while now >= (begins := calls / per_second):
            calls, names = calls + 1, pbx.new_names(known)
            for place, event in enumerate(events):
                heapq.heappush(due, (begins + lasts * place / size, next(order), event.cast(names)))
        while due and due[0][0] <= now:
            _, _, raw = heapq.heappop(due)
            pbx.tell("call", raw + SENT_AT + b"%.6f" % time.perf_counter())
        await asyncio.sleep(0.001)


class Mould:
    """An event with holes where the ids of its call stand: filled much faster than they are found."""

    def __init__(self, known: Known, raw: bytes) -> None:
        marked = known.rename(raw.rstrip(b"\r\n"), _Marked())
        self._parts = marked.split(b"\0")  # text and ids in turn

    def cast(self, names: dict[bytes, bytes]) -> bytes:
        parts = self._parts.copy()
        parts[1::2] = [names.get(old, old) for old in parts[1::2]]
        return b"".join(parts)


class _Marked(dict[bytes, bytes]):
    def get(self, old: bytes, _default: object = None) -> bytes:
        return b"\0" + old + b"\0"


def ramp() -> float:
    """Seconds that a call's events are spread over, and until as many calls stand as ever will."""
    return SPREAD * CALLS_AT_ONCE * len(packaged(TEMPLATE).events) / EVENTS_PER_SECOND


class Watch:
    """What arrives in the measured time, which begins when the load stands."""

    def __init__(self) -> None:
        self.delays: list[float] = []  # milliseconds
        self.events = 0
        self._ramp = ramp()
        self._passed: float | None = None
        self._begin: float | None = None

    def heard(self, raw: bytes) -> None:
        """Every message of the load, as soon as it is cut."""
        if SENT_AT not in raw:
            return
        now = time.perf_counter()
        self._begin = self._begin or now
        self.events += self.is_measuring

    def note(self, raw: bytes) -> None:
        """Something was made of this message at this moment."""
        sent = raw.rpartition(SENT_AT)[2]
        if sent is not raw and self.is_measuring:
            self.delays.append((time.perf_counter() - float(sent)) * 1000)

    @property
    def is_measuring(self) -> bool:
        return 0 <= self._passed_seconds() - self._ramp < SECONDS

    @property
    def is_over(self) -> bool:
        return self._passed_seconds() - self._ramp >= SECONDS

    def _passed_seconds(self) -> float:
        return time.perf_counter() - self._begin if self._begin else 0.0

    def told(self, calls: int) -> str:
        return json.dumps({"p99": percentile(self.delays, 99), "events": self.events, "calls": calls})


class Ear:
    """Which message is being read; fits the connection's ear."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.raw = b""

    def heard(self, message: AmiMessage, _at: datetime) -> None:
        self.raw = message.raw
        self._watch.heard(message.raw)


async def core(port: int) -> str:
    """The live connection with the call core behind it, as the program runs it."""
    watch = Watch()
    ear = Ear(watch)
    present, most = 0, 0

    def emit(events: Sequence[CallEvent]) -> None:
        nonlocal present, most
        watch.note(ear.raw)
        present += sum(isinstance(event, CallArrived) for event in events)
        present -= sum(isinstance(event, CallEnded) for event in events)
        most = max(most, present)

    settings = AmiSettings(host="127.0.0.1", port=port, user=DEMO_USER, secret=DEMO_SECRET)
    link = AmiConnection(settings, emit=emit, tracker=CallTracker(), ear=ear)
    running = asyncio.create_task(link.run())
    while not watch.is_over:
        await asyncio.sleep(1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return watch.told(most)


async def cut(port: int) -> str:
    """The same bytes, cut into messages and dropped."""
    watch, frames = Watch(), AmiFrames()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    login = f"Action: Login\r\nUsername: {DEMO_USER}\r\nSecret: {DEMO_SECRET}\r\nEvents: on\r\n\r\n"
    writer.write(login.encode())
    while not watch.is_over:
        for message in frames.feed(await reader.read(65_536)):
            watch.heard(message.raw)
            watch.note(message.raw)
    writer.close()
    return watch.told(0)


def main() -> None:
    """The other process: prints what it saw as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("way", choices=("core", "cut"))
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    keep_what_stays()
    print(asyncio.run((core if options.way == "core" else cut)(options.port)), flush=True)


if __name__ == "__main__":
    main()
