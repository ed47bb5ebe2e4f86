"""The configured database, opened: the one named by a URL, or the embedded cluster of the data folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from crm.database import Database, migrate, open_database
from crm.embedded import EmbeddedCluster
from cti.daemon.settings import Settings


@asynccontextmanager
async def database_url(settings: Settings) -> AsyncIterator[str]:
    """The URL of a server that runs. The embedded one stops with the last program that uses it."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    settings.data.mkdir(parents=True, exist_ok=True)
    cluster = EmbeddedCluster(settings.data)
    try:
        yield await cluster.start()
    finally:
        await cluster.stop()


@asynccontextmanager
async def open_storage(settings: Settings, *, pool_size: int = 10) -> AsyncIterator[Database]:
    """The database, migrated and checked."""
    async with database_url(settings) as url:
        await migrate(url)
        database = await open_database(url, pool_size=pool_size, region=settings.region)
        try:
            yield database
        finally:
            await database.close()


@asynccontextmanager
async def command_session(settings: Settings) -> AsyncIterator[AsyncSession]:
    """One transaction for one command, whether `serve` runs or not; committed when nothing was raised."""
    async with (
        open_storage(settings, pool_size=2) as database,
        database.sessions() as session,
        session.begin(),
    ):
        yield session
