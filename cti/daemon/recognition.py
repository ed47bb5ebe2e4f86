"""Who calls, asked beside the first picture and never before it: bounded workers, a bounded memory for bad days."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import structlog
from prometheus_client import Counter

from crm.database import Database
from crm.direct_reading import AWAKE_SECONDS, NO_ANSWER, DirectReader
from crm.matching import MatchResult, as_agent_said, find_by_number
from cti.numbers import E164, Number, NumberKind

log = structlog.get_logger(__name__)

WORKERS = 4
# A call comes as a burst of events within milliseconds, and so do its rings: they are told first, then we ask.
LET_RING_SECONDS = 0.004
MOST_WAITING = 2_000  # more: the oldest question is dropped, its window keeps the number alone
MOST_REMEMBERED = 5_000  # answers, for when the database is away
DROPPED = Counter("ringcard_matches_dropped", "Questions who calls that were dropped because too many waited")
_NOBODY = UUID(int=0)
_NOBODYS = (  # one number for each of the statements that a number may need
    Number(kind=NumberKind.E164, presented="+79000000000", e164=E164("+79000000000")),
    Number(kind=NumberKind.LOCAL, presented="0000000", digits="0000000"),
    Number(kind=NumberKind.INTERNAL, presented="0", digits="0"),
)
FAILED = Counter("ringcard_matches_failed", "Questions who calls that the database did not answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who answers to this number, for that call?"""

    connection_id: int
    call_id: UUID
    number: Number
    line_id: int | None


class Recognition:
    """Answers questions in order of arrival; `tell` gets every answer on the event loop, `give_up` each question without one."""

    def __init__(
        self,
        database: Database,
        tell: Callable[[Question, MatchResult], None],
        give_up: Callable[[Question], None] = lambda _question: None,
    ) -> None:
        self._readers = [DirectReader(database) for _ in range(WORKERS)]
        self._tell = tell
        self._give_up = give_up
        self._waiting: asyncio.Queue[Question] = asyncio.Queue(MOST_WAITING)
        self._remembered: OrderedDict[tuple[int, str], MatchResult] = OrderedDict()

    def ask(self, question: Question) -> None:
        """Never waits."""
        if self._waiting.full():
            self._give_up(self._waiting.get_nowait())
            DROPPED.inc()
        self._waiting.put_nowait(question)

    async def warm_up(self) -> None:
        """Have the first answers of all readers, which are slow, before anybody calls.

        Raises:
            OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError: the database does not answer.
        """
        await asyncio.gather(*map(_ask_about_nobody, self._readers))

    async def run(self) -> None:
        """Answer for ever; cancel to stop."""
        async with asyncio.TaskGroup() as tasks:
            for reader in self._readers:
                tasks.create_task(self._work(reader))

    async def _work(self, reader: DirectReader) -> None:
        try:
            while True:
                question = await self._next(reader)
                if self._waiting.empty():
                    await asyncio.sleep(LET_RING_SECONDS)
                if (result := await self._answer(reader, question)) is not None:
                    self._tell_safely(question, result)
                else:
                    self._give_up(question)
        finally:
            reader.close()

    async def _next(self, reader: DirectReader) -> Question:
        """Nobody calls for a while: the link is tried, so that no caller waits for one that was dropped in silence."""
        while True:
            try:
                async with asyncio.timeout(AWAKE_SECONDS):
                    return await self._waiting.get()
            except TimeoutError:
                if not await reader.is_awake():
                    with contextlib.suppress(*NO_ANSWER):  # the database is away: the next silence asks again
                        await _ask_about_nobody(reader)

    def _tell_safely(self, question: Question, result: MatchResult) -> None:
        try:
            self._tell(question, result)
        except Exception:  # costs this answer only (invariant I18)
            log.exception("match_not_told", call_id=str(question.call_id))

    async def _answer(self, reader: DirectReader, question: Question) -> MatchResult | None:
        key = (question.connection_id, question.number.e164 or question.number.digits or "")
        try:
            result = await find_by_number(
                reader, question.number, line_id=question.line_id, connection_id=question.connection_id
            )
            said = await as_agent_said(reader, question.call_id, result)
        except Exception as error:  # the database is away: what we knew of this number is better than nothing
            FAILED.inc()
            log.warning("match_failed", call_id=str(question.call_id), error=type(error).__name__)
            return self._remembered.get(key)
        self._remembered[key] = result
        self._remembered.move_to_end(key)
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return said


async def _ask_about_nobody(reader: DirectReader) -> None:
    """Everything that a call may ask, once: the server reads its catalogues and plans each statement at its first use."""
    for number in _NOBODYS:
        found = await find_by_number(reader, number, connection_id=0)
        await as_agent_said(reader, _NOBODY, found)
