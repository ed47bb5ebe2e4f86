"""Reading at the driver's own speed, for what every call asks: who is it, and before it rings, who should get it?

Through a session that question costs ten times the processor time it costs the driver, and a call that rings meanwhile
waits for it. The statements are the same ones, the rows have the same names.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog
from sqlalchemy import TextClause

from crm.database import STATEMENT_SECONDS, Database, driver_arguments
from crm.readers import Reader

log = structlog.get_logger(__name__)

AWAKE_SECONDS = (
    10.0  # after such a silence a free reader is asked whether its link still answers (invariant I9)
)
WAKE_SECONDS = 1.0
# How the driver says that the server has hung up, depending on how much of that it has read.
LOST = (
    ConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
)
NO_ANSWER = (*LOST, OSError, TimeoutError, asyncpg.PostgresError)


class DirectRow(asyncpg.Record):  # type: ignore[misc]  # the driver brings no types
    """A row of the driver whose values are attributes, like those of SQLAlchemy.

    No column may be called as a method of the driver's rows is: get, items, keys, values.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class DirectRows:
    """Fits `Rows`."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Sequence[DirectRow]) -> None:
        self._rows = rows

    def all(self) -> Sequence[DirectRow]:
        return self._rows

    def first(self) -> DirectRow | None:
        return self._rows[0] if self._rows else None


class DirectReader:
    """One connection of its own, outside the pool, opened when first asked and again when it was lost.

    For one task at a time, for statements that only read: there is no transaction around them.
    """

    def __init__(self, database: Database) -> None:
        self._arguments = driver_arguments(database.engine)
        self._dialect = database.engine.dialect
        self._texts: dict[TextClause, tuple[str, tuple[str, ...]]] = {}
        self._connection: asyncpg.Connection[DirectRow] | None = None

    async def execute(self, statement: TextClause, params: dict[str, Any]) -> DirectRows:
        """The rows of this statement; a connection that was lost since the last question is replaced.

        Raises:
            OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError: the database does not answer.
        """
        query, names = self._compiled(statement)
        values = [params[name] for name in names]
        has_served = self._connection is not None
        try:
            return await self._ask(query, values)
        except LOST:
            if not has_served:
                raise
            return await self._ask(query, values)  # it only reads: to ask twice does no harm

    async def is_awake(self) -> bool:
        """Whether its link still answers. One that does not is hung up: the next question opens another."""
        if self._connection is None:
            return False
        try:
            async with asyncio.timeout(WAKE_SECONDS):
                await self._ask("select 1", ())
        except NO_ANSWER:
            return False
        return True

    async def _ask(self, query: str, values: Sequence[Any]) -> DirectRows:
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = await self._connect()
        try:
            return DirectRows(await connection.fetch(query, *values))
        except BaseException:  # after a cancellation, too, nobody knows what its answer would belong to
            self.close()
            raise

    def close(self) -> None:
        """Hang up; the next question opens a new connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _connect(self) -> asyncpg.Connection[DirectRow]:
        self._connection = await asyncpg.connect(**self._arguments, record_class=DirectRow)
        return self._connection

    def _compiled(self, statement: TextClause) -> tuple[str, tuple[str, ...]]:
        """The text for the driver, and the names of its values in their order; statements are constants of modules."""
        known = self._texts.get(statement)
        if known is None:
            compiled = statement.compile(dialect=self._dialect)
            known = self._texts[statement] = str(compiled), tuple(compiled.positiontup or ())
        return known


class DirectReaders:
    """A few readers for many tasks; each is lent to one task at a time, the one that served last goes first.

    A connection that never served makes its first question several times slower: the server reads its catalogues and
    plans each statement. `warm_up` has that behind it before the first caller waits. A link that was dropped in silence
    is found by `stay_awake`, else a caller would wait for it in vain.
    """

    def __init__(self, database: Database, count: int, *, patience: float = STATEMENT_SECONDS) -> None:
        self._patience = patience
        self._all = [DirectReader(database) for _ in range(count)]
        self._free = list(self._all)
        self._turns = asyncio.Semaphore(count)

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[DirectReader]:
        """Waits while all are lent, no longer than for an answer. Raises TimeoutError."""
        async with asyncio.timeout(self._patience):
            await self._turns.acquire()
        reader = self._free.pop()
        try:
            yield reader
        finally:
            self._free.append(reader)
            self._turns.release()

    async def warm_up(self, ask: Callable[[Reader], Awaitable[object]]) -> None:
        """Open all connections, and ask each of them the same."""
        for reader in self._all:
            await ask(reader)

    async def stay_awake(self, ask: Callable[[Reader], Awaitable[object]]) -> None:
        """For ever: look at the links of those that are free, one at a time; a new one is asked this first."""
        while True:
            await asyncio.sleep(AWAKE_SECONDS)
            for reader in reversed(self._all):
                if reader in self._free and not self._turns.locked():  # else somebody waits for the next
                    await self._wake(reader, ask)

    async def _wake(self, reader: DirectReader, ask: Callable[[Reader], Awaitable[object]]) -> None:
        """Nobody is lent it meanwhile; whoever calls gets another."""
        await self._turns.acquire()
        self._free.remove(reader)
        try:
            if not await reader.is_awake():
                await ask(reader)
                log.info("idle_reader_replaced")
        except NO_ANSWER as error:  # the database is away: the next round asks again
            log.warning("idle_reader_not_replaced", error=type(error).__name__)
        finally:
            self._free.insert(0, reader)
            self._turns.release()

    def close(self) -> None:
        """Hang up; a question that comes later opens a connection again."""
        for reader in self._all:
            reader.close()
