"""A running office under load for `make test-faults`: calls that ring one after another, and what became of each."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from ami_adapter.demo.pbx import DemoPbx
from ami_adapter.demo.storm import RingStorm, StormCall
from bench.agents import Agents, Delays, delays_of, percentile
from crm.embedded import EmbeddedCluster, processes_in, url_of
from tests.daemon.office import Office, open_office
from tests.pbx.ringcard_process import Ringcard

SHARE = float(os.environ.get("FAULTS_SHARE", "1"))  # of the full length: 0.1 to try a change of these tests
EXTENSIONS = tuple(str(number) for number in range(102, 122))
RING_SECONDS = 3.0
SETTLE_SECONDS = 3.0
LATE_SECONDS = 30.0  # frames that come later count as missing
START_SECONDS = 120.0
CALM_SECONDS = 10.0
POP_MS = 500.0
MOST_TIMES = 3.0
STORE_SECONDS = 120.0  # for what had to wait; a busy machine takes its time


@dataclass(frozen=True, slots=True)
class Stored:
    """A call as it stands in the journal."""

    state: str
    disposition: str | None
    ended_unseen: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """Seconds without events, as written down."""

    from_at: datetime
    to_at: datetime | None


@dataclass(slots=True)
class Floor:
    """The office, its agents' sockets, and every call that rang there. Each caller calls once."""

    office: Office
    calls: list[StormCall] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def ringcard(self) -> Ringcard:
        return self.office.ringcard

    @property
    def pbx(self) -> DemoPbx:
        return self.office.pbx

    def agents(self) -> Agents:
        """A socket for each agent that the storm calls; whatever comes is noted."""
        tokens = {extension: self.office.tokens[extension] for extension in EXTENSIONS}
        return Agents(self.ringcard.url.replace("http://", "ws://") + "/live", tokens)

    async def storm(self, seconds: float, *, per_second: float) -> list[StormCall]:
        """Calls that nobody answers, for so many seconds; returns when the last one is over."""
        count = round(seconds * per_second)
        callers = [f"+7916{next(self._numbers):07}" for _ in range(count)]
        storm = RingStorm(
            calls_per_second=per_second,
            callers=callers,
            extensions=EXTENSIONS,
            ring_seconds=RING_SECONDS,
            on_ring=self.calls.append,
        )
        return await storm.run(self.pbx, seconds)

    async def pops(self, seconds: float, *, per_second: float) -> Delays:
        """How quickly the windows of a storm were told."""
        async with self.agents() as agents:
            return await told(await self.storm(seconds, per_second=per_second), agents)

    async def patience_ms(self, *, per_second: float) -> float:
        """What the 99th percentile may be while something is broken: this machine's own undisturbed pace counts."""
        calm = await self.pops(CALM_SECONDS, per_second=per_second)
        return max(POP_MS, MOST_TIMES * percentile(calm.ringing, 99))

    async def until_stored(self) -> None:
        """Until nothing waits for the journal any more, no call is open there, and no further one comes."""
        count, before = 0, -1
        async with asyncio.timeout(STORE_SECONDS):
            while count != before or await self._waits():
                await asyncio.sleep(SETTLE_SECONDS)
                before = count
                ((count,),) = await self.rows("select count(*) from call")

    async def _waits(self) -> bool:
        waiting = await self.figure("ringcard_journal_waiting")
        spooled = await self.figure("ringcard_journal_spooled_bytes")
        ((still_open,),) = await self.rows("select count(*) from call where state <> 'ended'")
        return bool(waiting or spooled or still_open)

    async def figure(self, name: str) -> float:
        """One figure of `/metrics`."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.ringcard.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return float(next(line.split()[-1] for line in lines if line.split()[0] == name))

    async def troubles(self) -> Mapping[str, str]:
        """What `/readyz` says is wrong, by what it is."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.ringcard.url}/readyz") as answer:
            told = await answer.json()
        return {trouble["what"]: trouble["detail"] for trouble in told["troubles"]}

    async def stored(self) -> dict[str, list[Stored]]:
        """The journal by caller."""
        rows = await self.rows("select customer_e164, state, disposition, ended_unseen from call")
        told: dict[str, list[Stored]] = {}
        for number, *facts in rows:
            told.setdefault(number, []).append(Stored(*facts))
        return told

    async def gaps(self) -> list[Gap]:
        """The oldest first."""
        rows = await self.rows("select from_at, to_at from connection_gap order by from_at")
        return [Gap(*row) for row in rows]

    async def rows(self, query: str) -> Sequence[Any]:
        running = EmbeddedCluster(self.ringcard.data).running()
        assert running is not None, "no database runs"
        connection = await asyncpg.connect(url_of(running), timeout=20)
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """The program, ready and listening to the PBX."""
        await self.start()
        try:
            yield
        finally:
            await self.ringcard.stop()

    async def start(self) -> None:
        await self.ringcard.start(seconds=START_SECONDS)
        await self.until_linked()

    async def until_linked(self, seconds: float = 60) -> None:
        """Until the program hears the PBX; a link that was lost often is tried every half minute at the latest."""
        async with asyncio.timeout(seconds):
            while not self.pbx.listeners:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)  # the snapshot


class PostgresAway:
    """The database server of an installation, taken away and given back."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._folder = EmbeddedCluster(data).folder
        self._revived: EmbeddedCluster | None = None

    def freeze(self) -> None:
        """It holds its connections and answers nothing, like a machine whose disk hangs."""
        self._signal(signal.SIGSTOP)

    def crash(self) -> None:
        self._signal(signal.SIGKILL)

    async def give_back(self) -> None:
        """Alive again, whatever was done to it."""
        if processes_in(self._folder):
            self._signal(signal.SIGCONT)
            return
        self._revived = EmbeddedCluster(self._data)
        await self._revived.start()

    async def leave(self) -> None:
        """For the end of a test: a server that is not ours any more."""
        await self.give_back()
        if self._revived is not None:
            await self._revived.stop()

    def _signal(self, number: signal.Signals) -> None:
        for pid in processes_in(self._folder):
            os.kill(pid, number)


@asynccontextmanager
async def open_floor(role: str = "agent") -> AsyncIterator[Floor]:
    """Furnished, not started. What the program said is printed at the end: pytest shows it beside a failure."""
    async with open_office(extensions=EXTENSIONS, role=role) as office:
        try:
            yield Floor(office)
        finally:
            print(office.ringcard.log()[-5000:])


async def told(calls: Sequence[StormCall], agents: Agents) -> Delays:
    """How quickly windows of these calls were told; late ones are waited for, and count as late."""
    deadline = time.perf_counter() + LATE_SECONDS
    while (delays := delays_of(calls, agents.seen)).missing and time.perf_counter() < deadline:
        await asyncio.sleep(0.5)
    return delays


def moment(at: float) -> datetime:
    """A reading of `time.perf_counter` as a moment of the wall clock."""
    return datetime.now(UTC) + timedelta(seconds=at - time.perf_counter())


def between(calls: Sequence[StormCall], begin: float, end: float) -> list[StormCall]:
    """Those that began to ring then."""
    return [call for call in calls if begin <= call.rang_at < end]


def lost_without_a_gap(
    calls: Sequence[StormCall], stored: Mapping[str, Any], gaps: Sequence[Gap]
) -> list[str]:
    """Callers whose call is not in the journal although somebody listened all the time while it lived."""

    def is_in_a_gap(call: StormCall) -> bool:
        begin, end = moment(call.rang_at - 1), moment(call.rang_at + RING_SECONDS + 1)
        return any(gap.from_at <= end and (gap.to_at is None or gap.to_at >= begin) for gap in gaps)

    return [call.caller for call in calls if call.caller not in stored and not is_in_a_gap(call)]


def follow_one_another(gaps: Sequence[Gap]) -> bool:
    """None is open, and none begins before the one before it was over."""
    closed = [(gap.from_at, gap.to_at) for gap in gaps if gap.to_at is not None]
    return len(closed) == len(gaps) and all(one[1] <= other[0] for one, other in itertools.pairwise(closed))


async def eventually(is_so: Callable[[], Awaitable[object]], seconds: float) -> None:
    """Wait until an asynchronous question is answered with yes."""
    async with asyncio.timeout(seconds):
        while not await is_so():
            await asyncio.sleep(0.2)
