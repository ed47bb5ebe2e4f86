"""When the garbage collector may look: the youngest objects often and shortly, all others in a pause between calls.

Nearly everything here goes without the collector, by the count of its references; what is left are a few cycles a second.
A round through all objects stops the loop for tens of milliseconds, and with it a call that begins to ring. So what a
round left is kept out of the next ones, and once in an hour they go through everything.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from collections.abc import Callable
from typing import Final

YOUNGEST: Final = 700  # new objects before they are looked through: a millisecond
NEVER: Final = 1_000_000_000
EVERY_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.5  # without a word of a call: likely the next one does not come at once
LATEST_SECONDS: Final = 900.0  # where calls never pause, one of them waits
ROUNDS_OF_ALL: Final = 60  # each of so many rounds goes through what earlier ones left, too


def keep_what_stays() -> None:
    """Take what start-up made out of the collector's rounds, and leave it the youngest objects alone.

    The tables of numbers, regions and statements live as long as the program; looking through them again and again
    would stop every pop for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNGEST, NEVER, NEVER)


async def collect_in_pauses(
    heard_at: Callable[[], float], monotonic: Callable[[], float] = time.monotonic
) -> None:
    """Look through what is new once a minute, through everything once an hour, for ever.

    Args:
        heard_at: the last moment, by the same clock, at which a call was heard of.
    """
    for number in itertools.count(1):
        await asyncio.sleep(EVERY_SECONDS)
        latest = monotonic() + LATEST_SECONDS - EVERY_SECONDS
        while monotonic() - heard_at() < PAUSE_SECONDS and monotonic() < latest:  # noqa: ASYNC110 - a pause is no event
            await asyncio.sleep(PAUSE_SECONDS / 5)
        if number % ROUNDS_OF_ALL == 0:
            gc.unfreeze()
        gc.collect()
        gc.freeze()
