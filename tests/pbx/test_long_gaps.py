"""The running program over a cut link, a restarted PBX and its own death, while telephones talk. `make test-pbx`."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from tests.pbx.asterisk_lab import READER, AsteriskLab
from tests.pbx.cable import Cable
from tests.pbx.floor import Floor
from tests.pbx.phones.line import Line
from tests.pbx.pictures import Journal, picture_of_pbx, until_equal
from tests.pbx.ringcard_process import Ringcard
from tests.pbx.telephones import agents, many_customers

pytestmark = pytest.mark.long

TO_101, TO_104, TO_105, SALES = "74951234501", "74951234504", "74951234505", "74951234520"
CALLS_AT_ONCE = 500
CLOCKS_DIFFER = timedelta(seconds=8)  # after kill -9 a gap begins where the last run heard something, to 5 s


# Each customer calls once: the PBX's records of all tests are in one file, and a gap is filled from before its begin.
NUMBERS = map(str, itertools.count(89_162_000_001))


@dataclass(frozen=True)
class Watched:
    """A running ringcard that listens to a PBX over a cable."""

    ringcard: Ringcard
    journal: Journal
    cable: Cable
    numbers: Iterator[str] = NUMBERS

    async def new_gap(self, before: int, *, seconds: float = 15) -> dict[str, Any]:
        """The one gap that came to those there were before, once it is over."""
        async with asyncio.timeout(seconds):
            while len(gaps := await self.journal.gaps()) != before + 1 or gaps[0]["to_at"] is None:
                await asyncio.sleep(0.2)
        return gaps[0]

    async def once(self, number: str) -> dict[str, Any]:
        """The one call of this customer."""
        (call,) = await self.journal.of(number)
        return call

    async def once_over(self, number: str, *, seconds: float = 10) -> dict[str, Any]:
        """The one call of this customer, once the journal has its end."""
        async with asyncio.timeout(seconds):
            while (call := await self.once(number))["open"]:
                await asyncio.sleep(0.2)
        return call

    async def all_over(self, *, seconds: float = 10) -> list[dict[str, Any]]:
        """The whole journal, once no call in it is open."""
        async with asyncio.timeout(seconds):
            while True:
                calls = await self.journal.calls()
                if not any(call["open"] for call in calls):
                    return calls
                await asyncio.sleep(0.2)


@asynccontextmanager
async def watching(
    lab: AsteriskLab, ringcard: Ringcard, *, is_connected: bool = True
) -> AsyncIterator[Watched]:
    async with Cable(lab.host, lab.ami_port) as cable, ringcard.serving():
        await ringcard.run(
            "user",
            "add",
            "chief",
            "--name",
            "Chief",
            "--role",
            "admin",
            "--password-stdin",
            stdin="for this test",
        )
        token = await ringcard.run("token", "create", "chief", "--name", "test")
        headers = {"Authorization": f"Bearer {token.split()[-1]}"}
        async with aiohttp.ClientSession(ringcard.url, headers=headers) as api:
            watched = Watched(ringcard, Journal(api), cable)
            if is_connected:
                await connect(watched, lab)
            yield watched
            print(ringcard.log())  # pytest shows it beside a failure


async def connect(watched: Watched, lab: AsteriskLab) -> None:
    address = ("--host", "127.0.0.1", "--port", str(watched.cable.port), "--user", READER)
    secret = lab.secret_of(READER)
    await watched.ringcard.run(
        "connection", "add", "office", "--kind", "asterisk", *address, "--secret-stdin", stdin=secret
    )
    await until_up(watched)


async def until_up(watched: Watched, *, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while await watched.journal.state() != "up":
            await asyncio.sleep(0.1)


@pytest.fixture
async def watched(floor: Floor, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    async with watching(floor.pbx, Ringcard(tmp_path_factory.mktemp("watched"))) as one:
        yield one


@dataclass(frozen=True)
class MidCall:
    """What goes on when hearing stops: one customer talks, one rings, one waits in a queue."""

    talking: Line
    ringing: Line
    waiting: Line
    numbers: tuple[str, str, str]


async def in_mid_call(floor: Floor, watched: Watched) -> MidCall:
    numbers = (next(watched.numbers), next(watched.numbers), next(watched.numbers))
    talking, _ = await floor.talks(numbers[0], TO_104, "104")
    floor.rings("101", "102", "103")
    ringing = await floor.customer(numbers[1], TO_101)
    await floor.rang_at("101")
    waiting = await floor.customer(numbers[2], SALES)
    await floor.rang_at("102", seconds=10)
    await until_equal(floor.pbx, watched.journal)
    return MidCall(talking, ringing, waiting, numbers)


async def assert_all_is_over(floor: Floor, watched: Watched) -> None:
    """Everybody has gone: no call is open, none stands there twice."""
    await floor.hang_up()
    await until_equal(floor.pbx, watched.journal)
    calls = await watched.all_over()
    linked_ids = [linked for call in calls for linked in call["linked_ids"]]
    assert len(linked_ids) == len(set(linked_ids)), "a call stands in the journal twice"


def is_restored_since(call: dict[str, Any], at: datetime) -> bool:
    """The records know seconds only."""
    began = datetime.fromisoformat(call["started_at"])
    return call["origin"] == "back_filled" and began >= at.replace(microsecond=0)


def assert_covers(gap: dict[str, Any], since: datetime, until: datetime, *whys: str) -> None:
    """The gap's row tells these moments, and why."""
    from_at, to_at = (datetime.fromisoformat(gap[name]) for name in ("from_at", "to_at"))
    assert abs(from_at - since) < CLOCKS_DIFFER, (gap, since)
    assert until - timedelta(seconds=1) < to_at < until + timedelta(seconds=15), (gap, until)
    assert gap["why"] in whys, gap


async def a_call_unheard(floor: Floor, number: str) -> None:
    """A whole call of a customer and 105, while nobody listens."""
    customer, agent = await floor.talks(number, TO_105, "105")
    await customer.stay(1.5)
    await agent.hang_up()


async def go_on_unheard(floor: Floor, mid: MidCall) -> None:
    """While nobody listens the one talk ends and the call that rings is answered."""
    await mid.talking.hang_up()
    line = await floor.rang_at("101")
    await line.answer()


async def assert_told_over_the_gap(floor: Floor, watched: Watched, mid: MidCall) -> None:
    talked, rang, waited = [await watched.once(number) for number in mid.numbers]
    assert (talked["ended_unseen"], talked["answered_by"], talked["disposition"]) == (True, "104", "answered")
    assert (rang["ended_unseen"], rang["answered_by"], rang["disposition"]) == (False, "101", "answered")
    assert (rang["answered_at"], rang["hung_up_by"]) == (None, "customer"), "nobody saw when it was answered"
    assert (waited["ended_unseen"], waited["queue"], waited["disposition"]) == (False, "sales", "abandoned")


async def test_i04_the_link_is_cut_and_mended_in_mid_call(floor: Floor, watched: Watched) -> None:
    mid, gaps = await in_mid_call(floor, watched), len(await watched.journal.gaps())
    unheard, cut_at = next(watched.numbers), datetime.now(UTC)
    await watched.cable.cut()
    await go_on_unheard(floor, mid)
    await a_call_unheard(floor, unheard)
    mended_at = datetime.now(UTC)
    await watched.cable.mend()
    assert await until_equal(floor.pbx, watched.journal) < 10
    assert_covers(await watched.new_gap(gaps), cut_at, mended_at, "link_lost")
    await mid.ringing.hang_up()
    await mid.waiting.hang_up()
    await assert_all_is_over(floor, watched)
    await assert_told_over_the_gap(floor, watched, mid)
    assert await watched.journal.of(unheard) == [], "a call that nobody heard was invented"


async def test_i16_ringcard_is_killed_and_started_in_mid_call(floor: Floor, watched: Watched) -> None:
    mid, gaps = await in_mid_call(floor, watched), len(await watched.journal.gaps())
    killed_at = datetime.now(UTC)
    await watched.ringcard.stop(signal.SIGKILL)
    await go_on_unheard(floor, mid)
    await watched.ringcard.start()
    started_at = datetime.now(UTC)
    assert await until_equal(floor.pbx, watched.journal) < 10
    assert_covers(await watched.new_gap(gaps), killed_at, started_at, "ringcard_stopped")
    await mid.ringing.hang_up()
    await mid.waiting.hang_up()
    await assert_all_is_over(floor, watched)
    await assert_told_over_the_gap(floor, watched, mid)


async def test_i04_the_pbx_is_killed_and_started_in_mid_call(floor: Floor, watched: Watched) -> None:
    mid, gaps = await in_mid_call(floor, watched), len(await watched.journal.gaps())
    killed_at = datetime.now(UTC)
    floor.pbx.kill()
    await asyncio.to_thread(floor.pbx.start)
    booted_at = datetime.now(UTC)
    assert await until_equal(floor.pbx, watched.journal) < 10
    await until_up(watched)
    assert_covers(await watched.new_gap(gaps), killed_at, booted_at, "link_lost")
    calls = [await watched.once_over(number) for number in mid.numbers]
    assert [(call["open"], call["ended_unseen"]) for call in calls] == [(False, True)] * 3
    assert [call["disposition"] for call in calls] == ["answered", None, None]
    await assert_told_again(floor, watched)


@pytest.mark.parametrize("how", ["core restart gracefully", "core restart now"])
async def test_i04_the_pbx_is_restarted_in_mid_call(floor: Floor, watched: Watched, how: str) -> None:
    number, gaps = next(watched.numbers), len(await watched.journal.gaps())
    customer, _ = await floor.talks(number, TO_104, "104")
    await until_equal(floor.pbx, watched.journal)
    async with floor.restarting(how):
        if "gracefully" in how:  # it waits for the call
            await customer.stay(2)
            await customer.hang_up()
        left_at = datetime.now(UTC)
    booted_at = datetime.now(UTC)
    assert await until_equal(floor.pbx, watched.journal) < 10
    await until_up(watched)
    assert_covers(await watched.new_gap(gaps), left_at, booted_at, "link_lost")
    call = await watched.once_over(number)
    assert (call["open"], call["answered_by"], call["disposition"]) == (False, "104", "answered")
    await assert_told_again(floor, watched)


async def assert_told_again(floor: Floor, watched: Watched) -> None:
    """After the restart calls are told as before."""
    await floor.start_anew()
    number = next(watched.numbers)
    customer, _ = await floor.talks(number, TO_105, "105")
    await until_equal(floor.pbx, watched.journal)
    await customer.hang_up()
    await assert_all_is_over(floor, watched)
    call = await watched.once(number)
    assert (call["answered_by"], call["ended_unseen"], call["hung_up_by"]) == ("105", False, "customer")


async def test_calls_of_a_gap_are_restored_from_the_records_of_the_pbx(
    floor: Floor, watched: Watched
) -> None:
    records = ("--kind", "cdr_csv", "--path", str(floor.pbx.cdr_file), "--time-zone", "UTC")
    await watched.ringcard.run("connection", "truth", "office", *records)
    mid, unheard = await in_mid_call(floor, watched), next(watched.numbers)
    cut_at = datetime.now(UTC)
    await watched.cable.cut()
    await go_on_unheard(floor, mid)
    await a_call_unheard(floor, unheard)
    await watched.cable.mend()
    assert await until_equal(floor.pbx, watched.journal) < 10
    async with asyncio.timeout(60):  # the records are read once the PBX has had time to write its last
        while not await watched.journal.of(unheard):
            await asyncio.sleep(0.5)
    restored = await watched.once(unheard)
    assert (restored["origin"], restored["answered_by"], restored["disposition"]) == (
        "back_filled",
        "105",
        "answered",
    )
    of_this_gap = [call for call in await watched.journal.calls() if is_restored_since(call, cut_at)]
    assert of_this_gap == [restored], "calls that were heard are restored too"
    talked = await watched.once(mid.numbers[0])
    assert (talked["origin"], talked["answered_by"], talked["open"]) == ("live", "104", False)
    gap = (await watched.journal.gaps())[0]
    assert gap["back_filled_by"] == "cdr_csv"
    assert gap["back_filled_calls"] >= 2, "one restored, one given its end"
    await assert_all_is_over(floor, watched)


async def test_whoever_connects_amid_five_hundred_calls_has_their_picture_within_ten_seconds(
    pbx: AsteriskLab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ringcard = Ringcard(tmp_path_factory.mktemp("many"))
    async with watching(pbx, ringcard, is_connected=False) as watched, agents(pbx, e101=0.2, e102=0.2):
        async with many_customers(pbx, TO_101, count=CALLS_AT_ONCE, per_second=50):
            async with asyncio.timeout(60):
                while len(await picture_of_pbx(pbx)) < CALLS_AT_ONCE:
                    await asyncio.sleep(1)
            await connect(watched, pbx)
            assert await until_equal(pbx, watched.journal) < 10
            present = await watched.journal.picture()
            assert [call.talking for call in present.values()] == [frozenset({"101"})] * CALLS_AT_ONCE
        await until_equal(pbx, watched.journal, seconds=30)
        assert len(await watched.all_over()) == CALLS_AT_ONCE
