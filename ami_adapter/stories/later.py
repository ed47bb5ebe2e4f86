"""Work that no window may wait for: done in order, a little at a time, when its moment comes."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 0.05
SLICE_SECONDS = 0.001  # of the event loop at a time


class Later:
    """A line of small pieces of work.

    Args:
        most: how many may wait; `is_full` says that those which can be done without had better not come.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= self._most

    def add(self, work: Callable[..., None], *arguments: object) -> None:
        """Takes no time. Work that raises costs itself and a log line, never what comes after it."""
        self._waiting.append((work, arguments))

    def catch_up(self) -> None:
        """Everything that waits, now."""
        while self._waiting:
            self._do_next()

    async def run(self) -> None:
        """For ever; cancel to stop, then `catch_up`."""
        while True:
            if self._do_some():
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(PAUSE_SECONDS)

    def _do_some(self) -> bool:
        """Whether more waits than the slice had time for."""
        end = time.monotonic() + SLICE_SECONDS
        while self._waiting:
            self._do_next()
            if time.monotonic() >= end:
                return bool(self._waiting)
        return False

    def _do_next(self) -> None:
        work, arguments = self._waiting.popleft()
        try:
            work(*arguments)
        except Exception as error:
            # Only what kind: an exception's text may quote what it choked on.
            log.error("story_not_sorted", error=type(error).__name__)
