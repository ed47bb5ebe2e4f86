"""The engine and the sessions; what a server must be able to do; migrations at start.

Every wait ends (threats I9): connecting after 3 s, a statement after 2 s, waiting for a connection after 2 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from crm.database_errors import DatabaseUnreachable, ExtensionMissing, ServerTooOld, TextNotComparable
from crm.feed_clock import keep_ahead
from crm.numbering import HOME_PROFILE
from crm.server_binaries import OLDEST_MAJOR
from cti.numbers import NumberingProfile

CONNECT_SECONDS = 3.0
STATEMENT_SECONDS = 2.0
CLOSE_SECONDS = 3.0  # for all connections together
POOL_SIZE = 10
BELIEVED_SECONDS = 1.0  # after it served, an open connection is taken for alive
MIGRATION_SECONDS = 3600.0  # one statement of a migration on a large installation
MIGRATION_LOCK = (
    0x72696E67_63617264  # "ringcard": programs that start at the same moment migrate one after another
)
# Arguments of an address that SQLAlchemy keeps to itself and the driver does not know.
_ADAPTERS_OWN = frozenset(
    {"async_creator_fn", "async_fallback", "prepared_statement_cache_size", "prepared_statement_name_func"}
)
EXTENSIONS = ("pg_trgm", "btree_gist")


@dataclass(frozen=True, slots=True)
class Database:
    """A database fit for use: its engine, and sessions whose objects stay readable after a commit."""

    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]

    async def close(self) -> None:
        """Within seconds, whatever the server does: it notices by itself that a client is gone."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.engine.dispose()


def async_url(url: str) -> URL:
    """Accepts `postgresql://`, `postgres://` and `postgresql+asyncpg://`, also with `?host=/folder/of/the/socket`."""
    parsed = make_url(
        url.replace("postgres://", "postgresql://", 1) if url.startswith("postgres://") else url
    )
    return parsed.set(drivername="postgresql+asyncpg")


def make_database(url: str, *, pool_size: int = POOL_SIZE, region: str = "RU") -> Database:
    """The engine and sessions for a database, without asking it anything. `region`: of the installation."""
    engine = create_async_engine(
        async_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=STATEMENT_SECONDS,
        pool_use_lifo=True,
        hide_parameters=True,  # an error's text goes into logs: no hashes, no secrets, no clients (threat T26)
        connect_args=_connect_arguments(STATEMENT_SECONDS),
    )
    _ask_idle_connections(engine)
    info = {HOME_PROFILE: NumberingProfile(region=region)}
    return Database(engine, async_sessionmaker(engine, expire_on_commit=False, info=info))


def _ask_idle_connections(engine: AsyncEngine) -> None:
    """A connection that died with the server is replaced before its first statement.

    SQLAlchemy's own `pool_pre_ping` asks at every use, a fifth of what it costs to ask who calls. The driver knows when
    the server closed a connection; one that is open and has served within the last second is believed.
    """
    pool, dialect = engine.sync_engine.pool, engine.dialect

    @event.listens_for(pool, "checkin")
    def note(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["served_at"] = time.monotonic()

    @event.listens_for(pool, "checkout")
    def ask(connection: DBAPIConnection, record: ConnectionPoolEntry, _fairy: object) -> None:
        served_at = record.info.get("served_at")
        if served_at is None:
            return
        if record.driver_connection is None or record.driver_connection.is_closed():
            raise DisconnectionError("the server closed it")
        if time.monotonic() - served_at < BELIEVED_SECONDS:
            return
        try:
            is_alive = dialect.do_ping(connection)
        except Exception as error:  # however it died, the pool makes another one
            raise DisconnectionError(type(error).__name__) from error
        if not is_alive:
            raise DisconnectionError("no answer")


async def open_database(url: str, *, pool_size: int = POOL_SIZE, region: str = "RU") -> Database:
    """Check the server, and give its engine and sessions. Call `migrate` once before.

    Raises:
        DatabaseUnreachable, ServerTooOld, ExtensionMissing, TextNotComparable: the message names value and remedy.
    """
    database = make_database(url, pool_size=pool_size, region=region)
    try:
        await check(database.engine)
    except BaseException:
        await database.close()
        raise
    return database


async def check(engine: AsyncEngine) -> None:
    """Refuse a server that cannot do what we rely on."""
    try:
        async with engine.connect() as connection:
            await check_server(connection)
    except (OSError, asyncpg.PostgresError, DBAPIError, TimeoutError) as error:
        reason = str(getattr(error, "orig", None) or error) or type(error).__name__
        url = unquote(engine.url.render_as_string(hide_password=True))
        raise DatabaseUnreachable(url, reason) from error


async def check_server(connection: AsyncConnection) -> None:
    """The version, the extensions (made where they are missing), and whether Cyrillic text compares."""
    found = (await connection.execute(text("select current_setting('server_version')"))).scalar_one()
    if int((await connection.execute(text("show server_version_num"))).scalar_one()) < OLDEST_MAJOR * 10_000:
        raise ServerTooOld(found, OLDEST_MAJOR)
    await _make_extensions(connection)
    similarity = (await connection.execute(text("select similarity('РОМАШКА', 'ромашка')"))).scalar_one()
    if similarity != 1:
        query = "select datname, datcollate || '/' || datctype from pg_database where datname = current_database()"
        name, collation = (await connection.execute(text(query))).one()
        raise TextNotComparable(name, collation, similarity)


async def _make_extensions(connection: AsyncConnection) -> None:
    for name in EXTENSIONS:
        if await _has_extension(connection, name):
            continue
        try:
            await connection.execute(text(f"create extension if not exists {name}"))
            await connection.commit()
        except DBAPIError as error:
            await connection.rollback()
            if not await _has_extension(connection, name):  # else another program was faster
                raise ExtensionMissing(name, str(error.orig)) from error


async def _has_extension(connection: AsyncConnection, name: str) -> bool:
    query = text("select count(*) from pg_extension where extname = :name")
    return bool((await connection.execute(query, {"name": name})).scalar_one())


async def migrate(url: str, revision: str = "head") -> None:
    """Bring the schema to `revision`; programs that start at the same moment wait for one another."""
    engine = create_async_engine(
        async_url(url),
        poolclass=NullPool,
        hide_parameters=True,
        connect_args=_connect_arguments(MIGRATION_SECONDS),
    )
    try:
        await check(engine)
        async with engine.connect() as connection:
            lock = {"key": MIGRATION_LOCK}
            await connection.execute(text("select pg_advisory_lock(:key)"), lock)
            await connection.commit()
            try:
                await connection.run_sync(_move_to, revision)
                if revision == "head":
                    await keep_ahead(connection)
                    await connection.commit()
            finally:
                await connection.rollback()
                await connection.execute(text("select pg_advisory_unlock(:key)"), lock)
                await connection.commit()
    finally:
        await engine.dispose()


def migrate_blocking(url: str, revision: str = "head") -> None:
    """The same for a program without an event loop."""
    asyncio.run(migrate(url, revision))


def alembic_config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", "crm:migrations")
    config.attributes["connection"] = connection
    return config


def _move_to(connection: Connection, revision: str) -> None:
    config = alembic_config(connection)
    if revision == "base" or revision.startswith("-"):
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)


def driver_arguments(engine: AsyncEngine) -> dict[str, Any]:
    """What `asyncpg.connect` needs to reach the same database with the same patience."""
    _none, given = engine.dialect.create_connect_args(engine.url)
    arguments = {name: value for name, value in given.items() if name not in _ADAPTERS_OWN}
    if given.get("prepared_statement_cache_size") == 0:  # behind a pooler nothing may be prepared for later
        arguments["statement_cache_size"] = 0
    return {**arguments, **_connect_arguments(STATEMENT_SECONDS)}


def _connect_arguments(statement_seconds: float) -> Mapping[str, Any]:
    return {
        "timeout": CONNECT_SECONDS,
        "command_timeout": statement_seconds,
        "server_settings": {"application_name": "ringcard", "timezone": "UTC", "jit": "off"},
    }
