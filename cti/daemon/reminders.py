"""Reminders of tasks, fired when their moment has come: once, whichever program is first, and after a restart as well."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.reminders import fire_due, next_due
from crm.rights import command_access

log = structlog.get_logger(__name__)

ROUND_SECONDS: Final = 30.0  # when hearing of a new one fails, or another program's clock goes otherwise
LEAST_SECONDS: Final = 0.5


class Reminders:
    """Sleeps until the next reminder is due; what was due while nothing ran comes first of all."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        *,
        now: Callable[[], datetime],
        round_seconds: float = ROUND_SECONDS,
    ) -> None:
        self._sessions = sessions
        self._now = now
        self._round_seconds = round_seconds
        self._wake = asyncio.Event()

    def look(self) -> None:
        """Something changed about a task: the next reminder may be another one."""
        self._wake.set()

    async def run(self) -> None:
        """For ever; cancel to stop. A failure costs one round."""
        while True:
            pause = self._round_seconds
            try:
                pause = await self.fire()
            except Exception as error:  # the database is away: the next round tries again
                log.warning("reminders_not_fired", error=type(error).__name__)
            await asyncio.sleep(LEAST_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()

    async def fire(self) -> float:
        """Everything that is due now. Returns the seconds until the next one, a round at most."""
        access = command_access()
        fired = 1
        while fired:
            async with self._sessions.begin() as session:
                fired = await fire_due(session, access, self._now())
        async with self._sessions() as session:
            due = await next_due(session)
        if due is None:
            return self._round_seconds
        return min(max(0.0, (due - self._now()).total_seconds()), self._round_seconds)
