"""What people did to their calls while the database was away, written down as soon as it is back."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.call_actions import CallAct, write_act
from crm.journal import is_away

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 10_000  # acts; more: the oldest is told in the log alone
RETRY_SECONDS: Final = 1.0
FLUSH_SECONDS: Final = 3.0


class ActBook:
    """`note` never waits; `run` writes. An act that cannot be stored at all is told in the log and left out."""

    def __init__(
        self, sessions: async_sessionmaker[AsyncSession], *, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._sessions = sessions
        self._retry_seconds = retry_seconds
        self._waiting: deque[CallAct] = deque()
        self._wake = asyncio.Event()

    def note(self, act: CallAct) -> None:
        """It was done; in order."""
        if len(self._waiting) >= MOST_WAITING:
            _leave_out(self._waiting.popleft(), "too many wait")
        self._waiting.append(act)
        self._wake.set()

    async def run(self) -> None:
        """Write for ever; cancel to stop."""
        while True:
            await self._wake.wait()
            while self._waiting:
                if not await self._write_oldest():
                    await asyncio.sleep(self._retry_seconds)
            self._wake.clear()

    async def flush(self) -> None:
        """What still waits, once; for the orderly stop."""
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                while self._waiting and await self._write_oldest():
                    pass
        except TimeoutError:
            pass
        for act in self._waiting:
            _leave_out(act, "the program stops")

    async def _write_oldest(self) -> bool:
        """False while the database is away."""
        act = self._waiting[0]
        try:
            async with self._sessions.begin() as session:
                await write_act(session, act)
        except Exception as error:
            if is_away(error):
                return False
            _leave_out(act, type(error).__name__)
        if self._waiting and self._waiting[0] is act:
            self._waiting.popleft()
        return True


def _leave_out(act: CallAct, why: str) -> None:
    told = {"call_id": str(act.call_id), "user_id": act.user_id, "action": act.action, "outcome": act.outcome}
    log.error("call_action_left_out", why=why, at=act.at.isoformat(), **told)
