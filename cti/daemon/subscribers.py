"""Other programs that are told what happens: one sender for each subscriber, so that a dead one delays nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.delivery_queue import active_ids, count_waiting
from crm.feed_clock import keep_ahead
from crm.sealing import Seal
from cti.daemon.listening import Renewal
from webhooks.addresses import networks_of
from webhooks.delivering import Deliverer

log = structlog.get_logger(__name__)

ROUND_SECONDS: Final = 10.0  # when hearing of a new subscriber fails
AT_THE_DATABASE: Final = 2  # senders at a time; the others wait, so that pages and calls never do
SENT = Counter("ringcard_subscriber_tries", "Tries to tell subscribers of events", ["state"])
WAITING = Gauge("ringcard_subscriber_waiting", "Events that wait for subscribers")
SENDERS = Gauge("ringcard_subscribers", "Subscribers that are being told of events")


class Subscribers:
    """Starts and stops senders as the administrator makes, pauses and removes subscribers.

    Args:
        me: under which name they send; another program with the same one must not be running.
    """

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        seal: Seal,
        *,
        networks: Sequence[str],
        now: Callable[[], datetime],
        me: UUID,
    ) -> None:
        self._sessions = sessions
        self._seal = seal
        self._networks = networks_of(networks)
        self._now = now
        self._me = me
        self._turns = asyncio.Semaphore(AT_THE_DATABASE)
        self._senders: dict[int, tuple[Deliverer, asyncio.Task[None]]] = {}
        self._renewal = Renewal(self._equal, ROUND_SECONDS)

    def look(self, subscriber_id: int) -> None:
        """Something changed about this one."""
        if subscriber_id in self._senders:
            self._senders[subscriber_id][0].look()
        self._renewal.ask()

    async def run(self) -> None:
        """For ever; cancel to stop. What was sent and not written down is sent again."""
        try:
            self._renewal.ask()
            await self._renewal.run()
        finally:
            await self._stop(list(self._senders))

    async def _equal(self) -> None:
        """A sender for each subscriber that is in use, and none besides."""
        async with self._turns, self._sessions.begin() as session:
            if (ahead := await keep_ahead(session)) is not None:
                log.warning("database_restored", ahead=ahead)
            wanted = await active_ids(session)
            WAITING.set(await count_waiting(session))
        await self._stop([each for each in self._senders if each not in wanted])
        for subscriber_id in wanted:
            if subscriber_id not in self._senders:
                self._begin(subscriber_id)
        SENDERS.set(len(self._senders))

    def _begin(self, subscriber_id: int) -> None:
        sender = Deliverer(
            subscriber_id,
            sessions=self._sessions,
            seal=self._seal,
            networks=self._networks,
            now=self._now,
            me=self._me,
            turns=self._turns,
            tell=lambda state: SENT.labels(state).inc(),
        )
        self._senders[subscriber_id] = sender, asyncio.create_task(sender.run())

    async def _stop(self, subscriber_ids: Sequence[int]) -> None:
        tasks = [self._senders.pop(each)[1] for each in subscriber_ids]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
