"""What nobody waits for: the nightly search for duplicates, the bin that empties itself, what strayed during a merge, old rows."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.adopting import adopt_piece
from crm.bin_emptying import empty_leads, empty_piece
from crm.duplicate_search import begin_if_due, search_piece, skip_piece
from crm.merging import gather_strays, recent_merges
from crm.party_bin import KEPT_DAYS
from crm.pruning import prune_accesses, prune_deliveries, prune_outbox, prune_sessions
from crm.regions import describe_piece
from crm.rights import command_access
from crm.sources import CHANGED_AT_ONCE, spread_piece
from cti.daemon.settings import Settings

log = structlog.get_logger(__name__)

ROUND_SECONDS: Final = 60.0
LEAST_REST: Final = 0.02  # seconds between two pieces
REST: Final = 3  # times as long as a piece took: a search through all names takes a quarter of one processor
STRAYS_OF: Final = timedelta(minutes=10)
MOST_FAILURES: Final = 3
NIGHT_HOUR: Final = 3  # in the installation's time zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """For how many days rows are kept. `access_log` 0: for ever."""

    outbox: int = 30
    deliveries: int = 14
    sessions: int = 90
    access_log: int = 1095


def kept_by(settings: Settings) -> Kept:
    return Kept(
        outbox=settings.outbox_days,
        deliveries=settings.delivery_days,
        sessions=settings.session_days,
        access_log=settings.access_log_days,
    )


class Housekeeping:
    """Rounds of small pieces, each a transaction; a failure costs one round."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        *,
        now: Callable[[], datetime],
        time_zone: str,
        kept: Kept = Kept(),
        round_seconds: float = ROUND_SECONDS,
    ) -> None:
        self._sessions = sessions
        self._now = now
        self._zone = ZoneInfo(time_zone)
        self._kept = kept
        self._pruned: datetime | None = None  # the night of which old rows went
        self._round_seconds = round_seconds
        self._most_seconds = (
            round_seconds / 2
        )  # of one work that can take hours: the rest waits for the next round
        self._spread_at_once = CHANGED_AT_ONCE
        self._asked = asyncio.Event()
        self._failures = 0
        self._since = now().astimezone(UTC)

    def ask(self) -> None:
        """Somebody asked for a search: begin the next round now."""
        self._asked.set()

    async def run(self) -> None:
        """For ever; cancel to stop."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._round_seconds):
                    await self._asked.wait()
            self._asked.clear()
            for work in (
                self._gather,
                self._spread,
                self._empty_bin,
                self._prune,
                self._search,
                self._adopt,
                self._describe,
            ):
                try:
                    await work()
                except Exception as error:
                    log.warning("housekeeping_failed", work=work.__name__, error=type(error).__name__)

    async def _gather(self) -> None:
        async with self._sessions() as session:
            merges = await recent_merges(session, self._now() - STRAYS_OF)
        for merge_id in merges:
            async with self._sessions.begin() as session:
                await gather_strays(session, merge_id)

    async def _spread(self) -> None:
        """Names of sources that the directory changed, over the records. What takes too long is tried in smaller pieces."""
        most = self._spread_at_once
        self._spread_at_once = max(1, most // 2)
        await self._in_pieces(lambda session: spread_piece(session, most), self._most_seconds)
        self._spread_at_once = min(CHANGED_AT_ONCE, most * 2)

    async def _empty_bin(self) -> None:
        before, access = self._now() - timedelta(days=KEPT_DAYS), command_access()
        for piece in (empty_leads, empty_piece):
            done: int | None = 0
            while done is not None:
                async with self._sessions.begin() as session:
                    done = await piece(session, access, before, done)
                await asyncio.sleep(LEAST_REST)

    async def _prune(self) -> None:
        """Once a night, and soon after a start that came after it."""
        now = self._now()
        night = night_before(now, self._zone)
        if self._pruned == night:
            return
        kept = self._kept
        await self._in_pieces(lambda session: prune_outbox(session, _ago(now, kept.outbox), now))
        await self._in_pieces(lambda session: prune_deliveries(session, _ago(now, kept.deliveries)))
        await self._in_pieces(lambda session: prune_sessions(session, _ago(now, kept.sessions)))
        if kept.access_log:
            await self._in_pieces(lambda session: prune_accesses(session, _ago(now, kept.access_log)))
        self._pruned = night

    async def _in_pieces(
        self, piece: Callable[[AsyncSession], Awaitable[bool]], most_seconds: float = math.inf
    ) -> None:
        is_more, until = True, time.monotonic() + most_seconds
        while is_more and (began := time.monotonic()) < until:
            async with self._sessions.begin() as session:
                is_more = await piece(session)
            await asyncio.sleep(max(LEAST_REST, REST * (time.monotonic() - began)))

    async def _adopt(self) -> None:
        """Earlier calls of numbers that were attached since."""
        access = command_access()
        await self._in_pieces(lambda session: adopt_piece(session, access), self._most_seconds)

    async def _describe(self) -> None:
        """Where numbers are from: after an upgrade, of all of them."""
        await self._in_pieces(describe_piece, self._most_seconds)

    async def _search(self) -> None:
        async with self._sessions.begin() as session:
            await begin_if_due(session, night_before(self._now(), self._zone), first_after=self._since)
        while await self._search_piece():
            pass

    async def _search_piece(self) -> bool:
        """One piece, and a rest. A piece that fails in three rounds is left out, so that the search ends."""
        began = time.monotonic()
        try:
            async with self._sessions.begin() as session:
                is_more = await search_piece(session)
        except Exception:
            self._failures += 1
            if self._failures == MOST_FAILURES:
                self._failures = 0
                async with self._sessions.begin() as session:
                    await skip_piece(session)
            raise
        self._failures = 0
        await asyncio.sleep(max(LEAST_REST, REST * (time.monotonic() - began)))
        return is_more


def _ago(now: datetime, days: int) -> datetime:
    return now - timedelta(days=days)


def night_before(now: datetime, zone: ZoneInfo) -> datetime:
    """When the latest nightly search was due, as UTC."""
    local = now.astimezone(zone)
    night = local.replace(hour=NIGHT_HOUR, minute=0, second=0, microsecond=0)
    if night > local:
        night -= timedelta(days=1)
    return night.astimezone(UTC)
