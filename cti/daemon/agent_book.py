"""What agents did, written down beside the live path: one writer, in order, that waits for the database as long as it must."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime

import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.agent_states import end_states_of_last_run, set_agent_states
from crm.journal import is_away
from cti.desk import AgentStateChange

log = structlog.get_logger(__name__)

MOST_WAITING = 10_000  # changes; more: of each user only the latest is kept
BATCH = 500
GATHER_SECONDS = 1.0  # a row in the past interests nobody sooner: pops come first
RETRY_SECONDS = 1.0
FLUSH_SECONDS = 3.0
DROPPED = Counter(
    "ringcard_agent_states_dropped", "Changes of agents' states not kept because too many waited"
)


class AgentBook:
    """`note` never waits; `run` writes. A change that cannot be stored at all is told in the log and left out."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        *,
        most_waiting: int = MOST_WAITING,
        gather_seconds: float = GATHER_SECONDS,
    ) -> None:
        self._sessions = sessions
        self._gather_seconds = gather_seconds
        self._most_waiting = most_waiting
        self._waiting: deque[AgentStateChange] = deque()
        self._wake = asyncio.Event()

    def note(self, change: AgentStateChange) -> None:
        """An agent's state changed; in order."""
        self._waiting.append(change)
        if len(self._waiting) > self._most_waiting:
            self._keep_latest()
        self._wake.set()

    async def begin(self, at: datetime) -> None:
        """At start: what an earlier run left open is over."""
        async with self._sessions.begin() as session:
            await end_states_of_last_run(session, at)

    async def run(self) -> None:
        """Write for ever; cancel to stop."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._gather_seconds)
            self._wake.clear()
            while self._waiting:
                if not await self._write_oldest():
                    await asyncio.sleep(RETRY_SECONDS)

    async def flush(self) -> None:
        """What still waits, once; for the orderly stop."""
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                while self._waiting and await self._write_oldest():
                    pass
        except TimeoutError:
            log.warning("agent_states_not_stored_at_stop", waiting=len(self._waiting))

    def _keep_latest(self) -> None:
        """Full: what was in between is given up, what holds now is not."""
        latest = {change.user_id: change for change in self._waiting}
        kept = sorted(latest.values(), key=lambda change: change.at)
        DROPPED.inc(len(self._waiting) - len(kept))
        log.error("agent_states_dropped", dropped=len(self._waiting) - len(kept))
        self._waiting = deque(kept)

    async def _write_oldest(self) -> bool:
        """False while the database is away."""
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        try:
            await self._write(batch)
        except BaseException as error:
            if not isinstance(error, Exception) or is_away(error):
                self._waiting.extendleft(reversed(batch))
            if not isinstance(error, Exception):
                raise
            log.warning("agent_states_not_written", error=type(error).__name__)
            if is_away(error):
                return False
            await self._write_one_by_one(batch)
        return True

    async def _write(self, batch: list[AgentStateChange]) -> None:
        async with self._sessions.begin() as session:
            await set_agent_states(session, batch)

    async def _write_one_by_one(self, batch: list[AgentStateChange]) -> None:
        """One of them is at fault; the others are not dropped for it."""
        for position, change in enumerate(batch):
            try:
                await self._write([change])
            except Exception as error:
                if is_away(error):
                    self._waiting.extendleft(reversed(batch[position:]))
                    return
                log.error("agent_state_left_out", user_id=change.user_id, error=type(error).__name__)
