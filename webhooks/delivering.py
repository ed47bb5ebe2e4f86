"""Sending to one subscriber: what waits, a few at a time, slower and slower while it does not answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.delivery_queue import Due, Held, Tried, due, hold, let_go, next_due, settle, take_over
from crm.errors import SecretUnreadable
from crm.sealing import Seal
from webhooks.addresses import Network
from webhooks.outgoing import PARALLEL, Outgoing, Trouble, outgoing

log = structlog.get_logger(__name__)

ROUND_SECONDS: Final = 1.0  # how late an event may be noticed
AWAY_SECONDS: Final = 5.0  # the database does not answer, or another program sends
PAUSES: Final = (
    10,
    30,
    60,
    120,
    300,
    600,
    1200,
    2400,
    3600,
    7200,
    10_800,
)  # seconds after the first try in vain, the second …
SILENT_PAUSES: Final = (5, 10, 20, 40, 80, 160, 300)  # seconds for all events, while it answers none
LEAST_TOGETHER: Final = 2  # events of different records that must fail together before it counts as silent
JITTER: Final = 0.2
Tell = Callable[[str], None]


def pause_after(failures: int) -> timedelta:
    """Until the next try, after so many in vain; not the same twice, so that not everything comes at one moment."""
    seconds = PAUSES[min(failures, len(PAUSES)) - 1]
    return timedelta(seconds=seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret


class Deliverer:
    """Sends to one subscriber until it is cancelled. `turns`: how many may use the database at a time, of all of them."""

    def __init__(
        self,
        subscriber_id: int,
        *,
        sessions: async_sessionmaker[AsyncSession],
        seal: Seal,
        networks: Sequence[Network],
        now: Callable[[], datetime],
        me: UUID,
        turns: asyncio.Semaphore,
        tell: Tell = lambda _state: None,
        pause: Callable[[int], timedelta] = pause_after,
    ) -> None:
        self._id = subscriber_id
        self._sessions = sessions
        self._seal = seal
        self._networks = networks
        self._now = now
        self._me = me
        self._turns = turns
        self._tell = tell
        self._pause = pause
        self._wake = asyncio.Event()
        self._silent_rounds = 0

    def look(self) -> None:
        """Something changed about it: do not wait for the next round."""
        self._wake.set()

    async def run(self) -> None:
        """For ever; cancel to stop. A failure of ours costs one round."""
        try:
            while True:
                try:
                    await self._serve()
                except Exception as error:
                    log.warning("subscriber_interrupted", subscriber=self._id, error=type(error).__name__)
                await self._rest(AWAY_SECONDS)
        finally:
            with suppress(Exception):
                async with self._turns, self._sessions.begin() as session:
                    await let_go(session, self._id, self._me)

    async def _serve(self) -> None:
        """Rounds over one set of connections, as long as we hold the subscriber and its address stays."""
        held = await self._hold()
        if held is None:
            return
        async with outgoing(held.url, self._networks) as address:
            while held is not None and held.url == address.url:
                await self._rest(await self._round(held, address))
                held = await self._hold()
        if held is not None:  # it has another address now
            self._wake.set()

    async def _round(self, held: Held, address: Outgoing) -> float:
        """Everything that can be sent now, once. Returns the seconds to rest."""
        waiting, looked_at = await self._collect(held)
        results = await self._send_all(held, address, waiting)
        got_through = any(trouble is None for trouble in results)
        is_silent = (
            bool(results) and not got_through and (len(results) >= LEAST_TOGETHER or self._silent_rounds > 0)
        )
        if got_through:
            self._silent_rounds = 0
        if is_silent:
            self._silent_rounds += 1
            return float(SILENT_PAUSES[min(self._silent_rounds, len(SILENT_PAUSES)) - 1])
        return 0.0 if results or looked_at else await self._seconds_until_next(held)

    async def _collect(self, held: Held) -> tuple[list[Due], int]:
        most = 1 if self._silent_rounds else PARALLEL
        async with self._turns, self._sessions.begin() as session:
            looked_at = await take_over(session, held, self._now())
            return await due(session, held, self._now(), most), looked_at

    async def _send_all(self, held: Held, address: Outgoing, waiting: Sequence[Due]) -> list[str | None]:
        """Each written down as soon as it is known, so that a crash repeats as little as possible."""
        try:
            secrets = [self._seal.open(sealed) for sealed in held.secrets]
        except SecretUnreadable:
            return [await self._settle(held, each, _UNSIGNED) for each in waiting]
        tasks = [asyncio.create_task(self._send(address, each, secrets)) for each in waiting]
        try:
            return [await self._settle(held, *await done) for done in asyncio.as_completed(tasks)]
        finally:
            for task in tasks:
                task.cancel()

    async def _send(self, address: Outgoing, each: Due, secrets: Sequence[str]) -> tuple[Due, Tried]:
        return each, await address.send(str(each.event_id), each.body, secrets)

    async def _settle(self, held: Held, each: Due, tried: Tried) -> str | None:
        pause = self._pause(each.failures + 1)
        async with self._turns, self._sessions.begin() as session:
            state = await settle(session, held, each, tried, self._now(), pause)
        self._tell(state)
        if state == "failed":
            log.warning("delivery_given_up", subscriber=held.id, event=each.event_id, trouble=tried.trouble)
        return tried.trouble

    async def _seconds_until_next(self, held: Held) -> float:
        async with self._turns, self._sessions() as session:
            moment = await next_due(session, held)
        if moment is None:
            return ROUND_SECONDS
        return max(0.0, min(ROUND_SECONDS, (moment - self._now()).total_seconds()))

    async def _hold(self) -> Held | None:
        async with self._turns, self._sessions.begin() as session:
            return await hold(session, self._id, self._me, self._now())

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()


_UNSIGNED: Final = Tried(trouble=Trouble.SECRET, status=None, answer="", milliseconds=0)
