"""Refused access, written down: who asked for what without the right to it (invariant G9).

A refusal is answered at once and noted beside it: whether a right is missing must not be told by the time an answer
takes, and whoever is refused a thousand times a second must not cost the database a thousand rows. So of each user (or
address, before anybody is known) only so many a minute become rows; the next row tells how many did not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.changes import log_access
from crm.rights import Access
from web.keys import ACCESS, MISSING_RIGHT, REFUSED_LOG, ROUTE
from web.routes import Handler, RouteKind

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 500  # more: the newest are counted, not written
MOST_OF_ONE: Final = 20  # rows of one user or address a minute
MOST_OF_ALL: Final = 200  # rows of everybody a minute
MOST_KNOWN: Final = 1000  # users and addresses whose rows are counted; the oldest are forgotten
MINUTE: Final = timedelta(minutes=1)
_REFUSALS: Final = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
LAST_SECONDS: Final = 2.0  # for what still waits when the program stops
REFUSED: Final = Counter("ringcard_refused_requests", "Requests and messages refused for want of a right")
UNWRITTEN: Final = Counter(
    "ringcard_refused_unwritten", "Refusals counted, but not written to the access log"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One request or message that was refused."""

    access: Access | None
    address: str
    detail: Mapping[str, object]


@dataclass(slots=True)
class Minute:
    """How much of one asker's minute is used up."""

    since: datetime
    written: int = 0
    unwritten: int = 0

    def take(self, now: datetime, most: int) -> bool:
        """Whether one more may be written now."""
        if now - self.since >= MINUTE:
            self.since, self.written = now, 0
        self.written += 1
        return self.written <= most


class RefusedLog:
    """One bounded queue, one writer (`run`). `note` never waits."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], now: Callable[[], datetime]) -> None:
        self._sessions = sessions
        self._now = now
        self._waiting: asyncio.Queue[Refusal] = asyncio.Queue(MOST_WAITING)
        self._of_one: OrderedDict[object, Minute] = OrderedDict()
        self._everybody = Minute(now())

    def note(self, access: Access | None, address: str, **detail: object) -> None:
        """Take down a refusal. `detail`: what was asked for; no secrets, no bodies."""
        REFUSED.inc()
        now = self._now()
        asker = self._minute_of(access.user_id if access else address, now)
        if (
            self._waiting.full()
            or not asker.take(now, MOST_OF_ONE)
            or not self._everybody.take(now, MOST_OF_ALL)
        ):
            asker.unwritten += 1
            UNWRITTEN.inc()
            return
        if asker.unwritten:
            detail["unwritten_before"], asker.unwritten = asker.unwritten, 0
        self._waiting.put_nowait(Refusal(access=access, address=address, detail=detail))

    async def run(self) -> None:
        """Write for ever; a row that the database does not take is told in the log and left out."""
        while True:
            await self._write(await self._waiting.get())
            self._waiting.task_done()

    async def idle(self) -> None:
        """Wait until everything noted so far is written."""
        await self._waiting.join()

    def _minute_of(self, asker: object, now: datetime) -> Minute:
        minute = self._of_one.setdefault(asker, Minute(now))
        self._of_one.move_to_end(asker)
        if len(self._of_one) > MOST_KNOWN:
            self._of_one.popitem(last=False)
        return minute

    async def _write(self, refusal: Refusal) -> None:
        try:
            async with self._sessions.begin() as session:
                await log_access(
                    session,
                    "access_refused",
                    refusal.access,
                    from_address=refusal.address,
                    detail=refusal.detail,
                )
        except Exception as error:  # the database is away: the log of the process is what is left
            UNWRITTEN.inc()
            user_id = refusal.access.user_id if refusal.access else None
            log.warning(
                "refusal_not_written", user_id=user_id, error=type(error).__name__, **dict(refusal.detail)
            )


@web.middleware
async def note_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Take down every "no" of a route of ours to somebody who is known, and to requests that another site sent.

    Windows of calls that are over ask once more for their inside and get 404: fragments count only without their right.
    """
    answer = await handler(request)
    route = request.get(ROUTE)
    if route is None or answer.status not in _REFUSALS:
        return answer
    is_known, is_missing = ACCESS in request, MISSING_RIGHT in request
    is_by_chance = route.kind is RouteKind.FRAGMENT and not is_missing
    if (is_known and not is_by_chance) or answer.status == HTTPStatus.FORBIDDEN:
        why = "right" if is_missing else "record" if answer.status == HTTPStatus.NOT_FOUND else "origin"
        detail: dict[str, object] = {"right": route.right, "why": why, "method": request.method}
        if asked := {name: value[:100] for name, value in request.match_info.items()}:
            detail["asked"] = asked
        request.app[REFUSED_LOG].note(
            request.get(ACCESS), request.remote or "", path=route.path[:200], **detail
        )
    return answer


async def written(app: web.Application) -> AsyncIterator[None]:
    """The writer lives as long as the application; at its end what waits is written, if the database still answers."""
    book = app[REFUSED_LOG]
    task = asyncio.create_task(book.run())
    yield
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_SECONDS):
            await book.idle()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
