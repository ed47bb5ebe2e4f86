"""The worker that does what rules want done about calls: one after the other, beside the calls."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.journal import is_away
from crm.rule_actions import carry_out_next, note_fault

log = structlog.get_logger(__name__)

ROUND_SECONDS: Final = 30.0  # when hearing of it fails


class FollowUps:
    """One for all connections; two programs on one database share the work by its rows."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._wake = asyncio.Event()

    def look(self) -> None:
        """Something is to be done about a call."""
        self._wake.set()

    async def run(self) -> None:
        """Work for ever; cancel to stop. What was not committed is done by the next program."""
        while True:
            try:
                await self.work()
            except Exception as error:  # the database is away: the next round tries again
                log.warning("follow_ups_interrupted", error=type(error).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(ROUND_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    async def work(self) -> None:
        """Everything that there is to do now."""
        while await self._one():
            pass

    async def _one(self) -> bool:
        try:
            async with self._sessions.begin() as session:
                return await carry_out_next(session)
        except Exception as error:
            if is_away(error):
                raise
            log.exception("a follow-up of a call failed")
            async with self._sessions.begin() as session:
                await note_fault(session, error)
            return True
