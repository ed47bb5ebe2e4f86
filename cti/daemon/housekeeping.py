"""What nobody waits for: the nightly search for duplicates, the bin that empties itself, what strayed during a merge, old rows."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.adopting import adopt_piece
from crm.bin_emptying import empty_communications, empty_leads, empty_piece
from crm.duplicate_search import begin_if_due, search_piece, skip_piece
from crm.merging import gather_strays, recent_merges
from crm.party_bin import KEPT_DAYS
from crm.pruning import prune_accesses, prune_deliveries, prune_outbox, prune_sessions
from crm.regions import describe_piece, recheck_piece
from crm.rights import Access, command_access
from crm.sources import CHANGED_AT_ONCE, spread_piece
from cti.daemon.settings import Settings

log = structlog.get_logger(__name__)

ROUND_SECONDS: Final = 60.0
LEAST_REST: Final = 0.02  # seconds between two pieces
REST: Final = 3  # times as long as a piece took: a search through all names takes a quarter of one processor
STRAYS_OF: Final = timedelta(minutes=10)
MOST_FAILURES: Final = 3
NIGHT_HOUR: Final = 3  # in the installation's time zone
Piece = Callable[[AsyncSession], Awaitable[bool]]  # whether more is left
# Some of a bin, after a place in it: where to go on, None at its end.
Empty = Callable[[AsyncSession, Access, datetime, int], Awaitable[int | None]]


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
    """Rounds of small pieces, each a transaction; a failure costs one round, and no work more than its share of the time."""

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
        )  # of one work in a round: the rest of it waits for the next one
        self._emptied: dict[Empty, int] = {}  # how far the present pass through a bin has come
        self._spread_at_once = CHANGED_AT_ONCE
        self._asked = asyncio.Event()
        self._failures = 0
        self._since = now().astimezone(UTC)

    def ask(self) -> None:
        """Somebody asked for a search: begin the next round now."""
        self._asked.set()

    async def run(self) -> None:
        """For ever; cancel to stop."""
        is_more = False
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAST_REST if is_more else self._round_seconds):
                    await self._asked.wait()
            self._asked.clear()
            is_more = await self._round()

    async def _round(self) -> bool:
        """Every work once, each for its share of time.

        Returns:
            whether one of them has more to do, and none failed: then the next round begins at once.
        """
        is_more = has_failed = False
        for work in (
            self._gather,
            self._spread,
            self._empty_bins,
            self._prune,
            self._search,
            self._adopt,
            self._describe,
            self._recheck,
        ):
            try:
                is_more |= await work()
            except Exception as error:
                has_failed = True
                log.warning("housekeeping_failed", work=work.__name__, error=type(error).__name__)
        return is_more and not has_failed

    async def _gather(self) -> bool:
        """All of them in every round: rounds are much shorter than the time for which strays are looked for."""
        async with self._sessions() as session:
            merges = await recent_merges(session, self._now() - STRAYS_OF)
        for merge_id in merges:
            async with self._sessions.begin() as session:
                await gather_strays(session, merge_id)
        return False

    async def _spread(self) -> bool:
        """Names of sources that the directory changed, over the records. What takes too long is tried in smaller pieces."""
        most = self._spread_at_once
        self._spread_at_once = max(1, most // 2)
        is_more = await self._in_pieces(lambda session: spread_piece(session, most), self._share())
        self._spread_at_once = min(CHANGED_AT_ONCE, most * 2)
        return is_more

    async def _empty_bins(self) -> bool:
        """Leads before the parties that they are about; where a pass was cut short the next one goes on."""
        until = self._share()
        for empty in (empty_leads, empty_piece, empty_communications):
            if await self._in_pieces(partial(self._empty_some, empty), until):
                return True
        return False

    async def _empty_some(self, empty: Empty, session: AsyncSession) -> bool:
        before = self._now() - timedelta(days=KEPT_DAYS)
        after = await empty(session, command_access(), before, self._emptied.get(empty, 0))
        self._emptied[empty] = after or 0
        return after is not None

    async def _prune(self) -> bool:
        """Once a night, and soon after a start that came after it."""
        now, kept, until = self._now(), self._kept, self._share()
        night = night_before(now, self._zone)
        if self._pruned == night:
            return False
        works: list[Piece] = [
            lambda session: prune_outbox(session, _ago(now, kept.outbox), now),
            lambda session: prune_deliveries(session, _ago(now, kept.deliveries)),
            lambda session: prune_sessions(session, _ago(now, kept.sessions)),
        ]
        if kept.access_log:
            works.append(lambda session: prune_accesses(session, _ago(now, kept.access_log)))
        for work in works:
            if await self._in_pieces(work, until):
                return True
        self._pruned = night
        return False

    def _share(self) -> float:
        """Until when a work may go on that begins now."""
        return time.monotonic() + self._most_seconds

    async def _in_pieces(self, piece: Piece, until: float) -> bool:
        """Returns whether more is left. At least one piece is done, so that each work goes on in every round."""
        while True:
            began = time.monotonic()
            async with self._sessions.begin() as session:
                is_more = await piece(session)
            await asyncio.sleep(max(LEAST_REST, REST * (time.monotonic() - began)))
            if not is_more or time.monotonic() >= until:
                return is_more

    async def _adopt(self) -> bool:
        """Earlier calls of numbers that were attached since."""
        access = command_access()
        return await self._in_pieces(lambda session: adopt_piece(session, access), self._share())

    async def _describe(self) -> bool:
        """Where numbers are from: after an upgrade, of all of them."""
        return await self._in_pieces(describe_piece, self._share())

    async def _recheck(self) -> bool:
        """Regions of parties whose numbers were changed."""
        return await self._in_pieces(recheck_piece, self._share())

    async def _search(self) -> bool:
        """Through all names: hours. It goes on in the next round."""
        until = self._share()
        async with self._sessions.begin() as session:
            await begin_if_due(session, night_before(self._now(), self._zone), first_after=self._since)
        while await self._search_piece():
            if time.monotonic() >= until:
                return True
        return False

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
