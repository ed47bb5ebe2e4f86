"""What other programs and other tabs changed, heard from the database within a second, and polled for if hearing fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from crm.database import Database

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 3.0  # asyncpg never notices that LISTEN has gone silent
ANSWER_SECONDS = 2.0
RETRY_SECONDS = 1.0
Heard = Callable[[str], None]


class Listener:
    """Keeps LISTEN alive on its own connection.

    Args:
        heard: by channel, called with each payload, on the event loop.
        catch_up: called after every (re)connect: whatever was said meanwhile was not heard.
        on_away: told True when a lost connection cannot be replaced, and False as soon as one is there again.
    """

    def __init__(
        self,
        database: Database,
        heard: Mapping[str, Heard],
        catch_up: Callable[[], None],
        on_away: Callable[[bool], None] = lambda _is_away: None,
    ) -> None:
        self._database = database
        self._heard = heard
        self._catch_up = catch_up
        self._on_away = on_away
        self._was_heard = False

    async def run(self) -> None:
        """Listen for ever; cancel to stop."""
        while True:
            self._was_heard = False
            try:
                async with self._database.engine.connect() as connection:
                    await self._listen(connection)
            except Exception as error:
                log.warning("not_listening", error=type(error).__name__)
                if not self._was_heard:  # one that was lost may be replaced at once: nobody need be told
                    self._on_away(True)
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self, connection: AsyncConnection) -> None:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        try:
            for channel in self._heard:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await driver.add_listener(channel, self._hear)
            self._was_heard = True
            self._on_away(False)
            self._catch_up()
            while True:
                await asyncio.sleep(HEARTBEAT_SECONDS)
                await driver.fetchval("select 1", timeout=ANSWER_SECONDS)
        finally:
            await connection.invalidate()  # a connection that listens must not go back into the pool

    def _hear(self, _connection: object, _pid: int, channel: str, payload: str) -> None:
        """Anybody with the database's password can say anything here: what makes no sense costs itself only (I18)."""
        try:
            self._heard[channel](payload)
        except Exception as error:
            log.warning("notification_not_understood", channel=channel, error=type(error).__name__)


class Renewal:
    """Runs one piece of work whenever it is asked for, and at least every so often; never twice at a time."""

    def __init__(self, work: Callable[[], Awaitable[None]], every_seconds: float) -> None:
        self._work = work
        self._every = every_seconds
        self._asked = asyncio.Event()

    def ask(self) -> None:
        self._asked.set()

    async def run(self) -> None:
        """For ever; cancel to stop. A failure, as while the database is away, costs one round."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._asked.wait()
            self._asked.clear()
            try:
                await self._work()
            except Exception as error:
                what = getattr(self._work, "__qualname__", "?")
                log.warning("renewal_failed", work=what, error=type(error).__name__)
