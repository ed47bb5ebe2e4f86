"""A real PostgreSQL for the tests: one cluster a session, one database a module, copied from a migrated template.

`database` and `session` work on the module's database. `empty_database` is a function that gives the URL of a database
of its own, without a schema, for tests of migrations and of start.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from crm.database import Database, migrate, open_database
from crm.embedded import EmbeddedCluster

TEMPLATE = "template_ringcard"
NO_DURABILITY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
}
_numbers = itertools.count(1)


def url_of(server: str, database: str) -> str:
    """The URL of another database on the same server."""
    return make_url(server).set(database=database).render_as_string(hide_password=False)


async def make_copy(server: str, template: str = TEMPLATE) -> str:
    """A new database, a copy of a template, in some 30 ms."""
    name = f"test_{next(_numbers)}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f'create database "{name}" template "{template}" strategy file_copy')
    finally:
        await connection.close()
    return url_of(server, name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database_server() -> AsyncIterator[str]:
    """The URL of a server with a migrated template database."""
    folder = Path(tempfile.mkdtemp(prefix="ringcard-tests-"))
    cluster = EmbeddedCluster(folder, options=NO_DURABILITY, niceness=0)
    server = await cluster.start()
    connection = await asyncpg.connect(server)
    await connection.execute(f'create database "{TEMPLATE}"')
    await connection.close()
    await migrate(url_of(server, TEMPLATE))
    yield server
    await cluster.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(database_server: str) -> AsyncIterator[Database]:
    """This module's own database, migrated, with the rows of every installation."""
    database = await open_database(await make_copy(database_server))
    yield database
    await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    """A session on the module's database; what the test did not commit is undone."""
    async with database.sessions() as session:
        yield session
        await session.rollback()


@pytest.fixture
def empty_database(database_server: str) -> Callable[[], Awaitable[str]]:
    """Makes a database without any schema and gives its URL."""
    return lambda: make_copy(database_server, "template0")
