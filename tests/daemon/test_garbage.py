"""All objects are looked through in a pause between calls, and once in a while where calls never pause."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from cti.daemon import garbage
from cti.daemon.garbage import collect_in_pauses, keep_what_stays


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


async def collected_at(monkeypatch: pytest.MonkeyPatch, *, calls_until: float, seconds: float) -> list[float]:
    """When all objects were looked through, by a clock that runs with each sleep alone."""
    now = 0.0
    rounds: list[float] = []

    async def sleep(pause: float) -> None:
        nonlocal now
        now += pause
        if now > seconds:
            raise asyncio.CancelledError

    monkeypatch.setattr("cti.daemon.garbage.asyncio.sleep", sleep)
    monkeypatch.setattr("cti.daemon.garbage.gc.collect", lambda: rounds.append(now))
    with pytest.raises(asyncio.CancelledError):
        await collect_in_pauses(lambda: min(now, calls_until), lambda: now)
    return rounds


async def test_in_the_first_pause_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = await collected_at(monkeypatch, calls_until=90, seconds=200)
    assert 90.4 < first < 91


async def test_calls_that_never_pause_do_not_put_it_off_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = await collected_at(monkeypatch, calls_until=1e9, seconds=2000)
    assert [round(each, -1) for each in rounds] == [900, 1800]


class Ring:
    """An object that only a round through everything finds."""

    def __init__(self) -> None:
        self.itself = self


async def test_what_a_round_left_is_found_within_the_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring()
    seen, rounds = weakref.ref(ring), 0

    async def sleep(pause: float) -> None:
        nonlocal rounds, ring
        rounds += pause == garbage.EVERY_SECONDS
        if rounds == 3:
            del ring  # after two rounds it is among what stays
        assert (seen() is None) == (rounds > garbage.ROUNDS_OF_ALL)
        if rounds > garbage.ROUNDS_OF_ALL:
            raise asyncio.CancelledError

    monkeypatch.setattr("cti.daemon.garbage.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await collect_in_pauses(lambda: 0.0, lambda: 10.0)


def test_start_up_is_kept_out_and_only_the_youngest_are_looked_through() -> None:
    keep_what_stays()
    assert gc.get_freeze_count() > 10_000
    older = gc.get_stats()[1]["collections"]
    kept = [[index] for index in range(20 * garbage.YOUNGEST)]
    assert gc.get_stats()[1]["collections"] == older
    assert len(kept) == 20 * garbage.YOUNGEST
