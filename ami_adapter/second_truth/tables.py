"""The tables `cdr` and `cel` of a PBX's own database: read only, with bounded waits, column names fixed here.

Which of our columns a table has differs by version and by who made it: that is asked first, and only those are selected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, Final, TypeVar

import asyncpg
import pymysql
import pymysql.cursors

from ami_adapter.second_truth.rows import (
    CDR_COLUMNS,
    CDR_NEEDED,
    CEL_COLUMNS,
    CEL_NEEDED,
    CdrRow,
    CelRow,
    cdr_row,
    cel_row,
)
from ami_adapter.second_truth.source import (
    ColumnsMissing,
    Records,
    Server,
    ServerUnreachable,
    TableSource,
    TooMuch,
)

CONNECT_SECONDS: Final = 3
STATEMENT_SECONDS: Final = 5
MOST_ROWS: Final = 200_000
TIME_COLUMNS: Final = {Records.CDR: ("start", "calldate"), Records.CEL: ("eventtime",)}
_SETTINGS: Final = {"default_transaction_read_only": "on", "statement_timeout": f"{STATEMENT_SECONDS}s"}
Values = Mapping[str, Any]
R = TypeVar("R", CdrRow, CelRow)


async def read_cdr(source: TableSource, since: datetime, until: datetime) -> list[CdrRow]:
    """The records that started in [since, until).

    Raises:
        ServerUnreachable, ColumnsMissing, TooMuch.
    """
    rows = await _select(source, since, until)
    return await asyncio.to_thread(_understood, rows, lambda values: cdr_row(values, source.zone))


async def read_cel(source: TableSource, since: datetime, until: datetime) -> list[CelRow]:
    """The events of [since, until), in the order they were written; raises as `read_cdr`."""
    rows = await _select(source, since, until)
    rows = sorted(rows, key=lambda values: values.get("id") or 0)
    return await asyncio.to_thread(_understood, rows, lambda values: cel_row(values, source.zone))


def _understood(rows: Sequence[Values], read: Callable[[Values], R | None]) -> list[R]:
    """In a thread: a day of a busy PBX takes a second, and pops go on meanwhile."""
    return [row for values in rows if (row := read(values)) is not None]


async def _select(source: TableSource, since: datetime, until: datetime) -> list[Values]:
    if source.server is Server.MYSQL:
        return await asyncio.to_thread(_from_mysql, source, since, until)
    try:
        return await _from_postgresql(source, since, until)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ServerUnreachable(source, type(error).__name__) from error


async def _from_postgresql(source: TableSource, since: datetime, until: datetime) -> list[Values]:
    connection = await asyncpg.connect(
        host=source.host,
        port=source.port,
        user=source.user,
        password=source.secret,
        database=source.database,
        timeout=CONNECT_SECONDS,
        command_timeout=STATEMENT_SECONDS,
        server_settings=_SETTINGS,
    )
    try:
        types = {
            row["column_name"]: row["data_type"]
            for row in await connection.fetch(
                "select column_name, data_type from information_schema.columns "
                "where table_name = $1 and table_schema = any(current_schemas(false))",
                source.records.value,
            )
        }
        columns, by = _columns(source, types)
        knows_zone = types[by] == "timestamp with time zone"
        moments = [at if knows_zone else _local(source, at) for at in (since, until)]
        statement = _statement(source, columns, by, quote='"', places=("$1", "$2"))
        rows: list[Values] = [dict(row) for row in await connection.fetch(statement, *moments)]
    finally:
        await _close(connection)
    return _bounded(rows)


async def _close(connection: Any) -> None:
    """Politely, but not for long."""
    try:
        await connection.close(timeout=1)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


def _from_mysql(source: TableSource, since: datetime, until: datetime) -> list[Values]:
    """In a thread: the driver waits, but never longer than its limits."""
    try:
        connection = pymysql.connect(
            host=source.host,
            port=source.port,
            user=source.user,
            password=source.secret,
            database=source.database,
            charset="utf8mb4",
            connect_timeout=CONNECT_SECONDS,
            read_timeout=STATEMENT_SECONDS,
            write_timeout=STATEMENT_SECONDS,
            cursorclass=pymysql.cursors.DictCursor,
        )
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("set session transaction read only")
            cursor.execute("start transaction")
            cursor.execute(
                "select lower(column_name) as name, data_type as type from information_schema.columns "
                "where table_schema = database() and table_name = %s",
                (source.records.value,),
            )
            columns, by = _columns(source, {row["name"]: row["type"] for row in cursor.fetchall()})
            statement = _statement(source, columns, by, quote="`", places=("%s", "%s"))
            cursor.execute(statement, (_local(source, since), _local(source, until)))
            rows: list[Values] = list(cursor.fetchall())
    except (OSError, pymysql.MySQLError) as error:
        raise ServerUnreachable(source, _told(error)) from error
    return _bounded(rows)


def _columns(source: TableSource, there: Mapping[str, str]) -> tuple[list[str], str]:
    """Which of our columns to select, and by which time."""
    wanted, needed = (CDR_COLUMNS, CDR_NEEDED) if source.records is Records.CDR else (CEL_COLUMNS, CEL_NEEDED)
    by = next((name for name in TIME_COLUMNS[source.records] if name in there), "")
    missing = needed - there.keys() | (frozenset() if by else {TIME_COLUMNS[source.records][-1]})
    if missing:
        raise ColumnsMissing(source, frozenset(missing))
    return [name for name in wanted if name in there], by


def _statement(
    source: TableSource, columns: Sequence[str], by: str, *, quote: str, places: tuple[str, str]
) -> str:
    """All names are of `rows` and of `Records`; what varies at run time are two moments."""
    names = ", ".join(f"{quote}{name}{quote}" for name in columns)
    time = f"{quote}{by}{quote}"
    return (
        f"select {names} from {quote}{source.records.value}{quote} "  # noqa: S608 - names of our own
        f"where {time} >= {places[0]} and {time} < {places[1]} order by {time} limit {MOST_ROWS + 1}"
    )


def _local(source: TableSource, at: datetime) -> datetime:
    """As a column without a zone holds it."""
    return at.astimezone(source.zone).replace(tzinfo=None)


def _bounded(rows: list[Values]) -> list[Values]:
    if len(rows) > MOST_ROWS:
        raise TooMuch(MOST_ROWS)
    return rows


def _told(error: Exception) -> str:
    """The server's number and kind of error; its text may repeat what was sent."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else None
    return type(error).__name__ + (f" {number}" if number else "")


__all__ = ["read_cdr", "read_cel"]
