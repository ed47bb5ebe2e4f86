"""When tokens were last in use, written beside whatever is asked with them: a dialplan's caller waits for no note."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm import accounts

log = structlog.get_logger(__name__)
CLOSE_SECONDS: Final = 1.0


class TokenUses:
    """One note of a token at a time, so there are never more than tokens. A note that fails is made with the next use."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], now: Callable[[], datetime]) -> None:
        self._sessions = sessions
        self._now = now
        self._writing: dict[int, asyncio.Task[None]] = {}

    def note(self, token_id: int) -> None:
        """This token is in use. Never waits."""
        if token_id not in self._writing:
            self._writing[token_id] = asyncio.create_task(self._write(token_id, self._now()))

    async def close(self) -> None:
        """Write what is on its way, or give it up after a second."""
        if not self._writing:
            return
        _done, late = await asyncio.wait(self._writing.values(), timeout=CLOSE_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _write(self, token_id: int, at: datetime) -> None:
        try:
            async with self._sessions.begin() as session:
                await accounts.note_use(session, token_id, at)
        except Exception as error:  # whoever asked has their answer
            log.warning("token_use_not_noted", token_id=token_id, error=type(error).__name__)
        finally:
            del self._writing[token_id]
