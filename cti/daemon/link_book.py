"""How the links stand, written down: their state for the pages, and every second without events as a gap."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from ami_adapter.link import LinkState, LinkStatus
from crm.gaps import begin_gap, end_gap
from crm.journal import is_away
from crm.links import begin_gaps_of_last_run, note_heard
from crm.telephony import set_connection_state

log = structlog.get_logger(__name__)

MOST_WAITING = 1_000  # facts; more: the oldest gap is left open or untold, states are kept
HEARD_SECONDS = 5.0  # how exactly a gap begins after kill -9
RETRY_SECONDS = 1.0
Fact = Callable[[AsyncSession], Awaitable[None]]
Key = tuple[str, int]  # "gap" and its number, or what is told and of which connection


class LinkBook:
    """One writer, in order; it waits for the database as long as it must.

    Of states and of moments only the latest of each connection waits, so that hours without the database drop no gap.
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._waiting: OrderedDict[Key, Fact] = OrderedDict()
        self._gaps = itertools.count()
        self._wake = asyncio.Event()
        self._up: dict[int, bool] = {}

    def note_state(self, connection_id: int, state: LinkState, at: datetime) -> None:
        """A link came up, was lost, or was refused."""
        is_up = state.status is LinkStatus.UP
        was_up, self._up[connection_id] = self._up.get(connection_id, False), is_up
        if was_up and not is_up:
            heard_at = state.heard_at or at
            self._put_gap(lambda session: begin_gap(session, connection_id, heard_at, state.code))
        elif is_up and not was_up:
            self._put_gap(lambda session: end_gap(session, connection_id, at))
            self.note_heard(connection_id, at)  # killed in the next moment, it leaves a gap all the same
        self._put(
            ("state", connection_id),
            lambda session: set_connection_state(
                session,
                connection_id,
                state.status.value,
                state.since,
                detail=state.detail,
                code=state.code,
                code_values=state.values,
            ),
        )

    def note_heard(self, connection_id: int, at: datetime) -> None:
        """Events flow until now; after a crash the gap begins here."""
        self._put(("heard", connection_id), lambda session: note_heard(session, connection_id, at))

    async def begin(self, at: datetime) -> None:
        """At start: whatever an earlier run heard last is where a gap began that goes on until the link is up."""
        async with self._sessions.begin() as session:
            await begin_gaps_of_last_run(session, at)

    async def run(self) -> None:
        """Write for ever; cancel to stop."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                if not await self._write_oldest():
                    await asyncio.sleep(RETRY_SECONDS)

    async def flush(self) -> None:
        """What still waits, once; for the orderly stop."""
        while self._waiting and await self._write_oldest():
            pass

    def _put_gap(self, fact: Fact) -> None:
        gaps = [key for key in self._waiting if key[0] == "gap"] if len(self._waiting) >= MOST_WAITING else []
        if gaps:
            log.error("gap_dropped", waiting=len(gaps))
            del self._waiting[gaps[0]]
        self._put(("gap", next(self._gaps)), fact)

    def _put(self, key: Key, fact: Fact) -> None:
        self._waiting[key] = fact
        self._waiting.move_to_end(key)
        self._wake.set()

    async def _write_oldest(self) -> bool:
        """False while the database is away; a fact that cannot be stored at all is told and left out."""
        key, fact = next(iter(self._waiting.items()))
        try:
            async with self._sessions.begin() as session:
                await fact(session)
        except Exception as error:
            log.warning("link_state_not_written", error=type(error).__name__)
            if is_away(error):
                return False
        if self._waiting.get(key) is fact:  # a newer one may have taken its place meanwhile
            del self._waiting[key]
        return True
