"""How quickly windows came up, written down beside the live path: in batches, bounded, never at a pop's expense."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.journal import is_away
from crm.pop_delays import DrawnWindow, add_delays, forget_old_delays

log = structlog.get_logger(__name__)

MOST_WAITING = 10_000  # more: the oldest measurement is given up
BATCH = 500
GATHER_SECONDS = 5.0
ROUNDS_BETWEEN_CLEANING = 720  # an hour


class DelayBook:
    """`note` never waits; `run` writes. What cannot be stored is told in the log and left out: figures, not facts."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        *,
        now: Callable[[], datetime],
        gather_seconds: float = GATHER_SECONDS,
    ) -> None:
        self._sessions = sessions
        self._now = now
        self._gather_seconds = gather_seconds
        self._waiting: deque[DrawnWindow] = deque(maxlen=MOST_WAITING)
        self._rounds = 0

    def note(self, drawn: DrawnWindow) -> None:
        self._waiting.append(drawn)

    async def run(self) -> None:
        """Write for ever; cancel to stop."""
        while True:
            await asyncio.sleep(self._gather_seconds)
            await self.write()
            self._rounds += 1
            if self._rounds % ROUNDS_BETWEEN_CLEANING == 1:
                await self._clean()

    async def write(self) -> None:
        """Everything that waits; while the database is away it goes on waiting."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                async with self._sessions.begin() as session:
                    await add_delays(session, batch)
            except Exception as error:
                if is_away(error):
                    room = MOST_WAITING - len(self._waiting)  # newer ones before older ones
                    self._waiting.extendleft(reversed(batch[-room:] if room else []))
                    return
                log.warning("pop_delays_left_out", windows=len(batch), error=type(error).__name__)

    async def _clean(self) -> None:
        try:
            async with self._sessions.begin() as session:
                await forget_old_delays(session, self._now())
        except Exception as error:
            log.warning("pop_delays_not_cleaned", error=type(error).__name__)
