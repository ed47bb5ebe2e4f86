"""A dump restored into another cluster, where transactions count from the beginning: nothing is missed, nothing told twice."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from crm.database import Database, migrate, open_database
from crm.delivery_queue import due, hold, take_over
from crm.embedded import EmbeddedCluster
from crm.feed_clock import keep_ahead
from crm.record_feed import Place, present_place, read_events
from crm.server_binaries import find_binaries
from tests.database import NO_DURABILITY, url_of
from tests.webhooks.office import happen, seal_in, subscribe

MANY = 20_000  # transactions of the first cluster, more than a restored one has seen


@pytest.mark.slow
async def test_i16_after_a_dump_is_restored_elsewhere_the_feed_goes_on(
    database: Database, tmp_path: Path
) -> None:
    await _grow_old(database)
    subscriber, _secret = await subscribe(database, seal_in(tmp_path), "Moved", "https://a.example/")
    await happen(database, 1)
    async with database.sessions() as session:
        (first,) = await read_events(session, Place(tx=0, id=0), 10)
    await happen(database, 2)  # not read, and not sent, before the dump was made
    cluster = EmbeddedCluster(tmp_path / "elsewhere", options=NO_DURABILITY, niceness=0)
    url = await _restored(cluster, database, tmp_path)
    try:
        await migrate(url)  # as every program does when it starts
        restored = await open_database(url)
        try:
            await happen(restored, 3)
            assert await _records_after(restored, first.place) == ["2", "3"]
            assert await _sent(restored, subscriber) == ["1", "2", "3"]
            async with restored.sessions() as session:
                assert await keep_ahead(session) is None
        finally:
            await restored.close()
    finally:
        await cluster.stop()


async def test_numbers_never_move_while_nothing_was_restored(database: Database) -> None:
    await happen(database, 4)
    async with database.sessions() as session:
        before = await present_place(session)
        assert await keep_ahead(session) is None
        assert await present_place(session) >= before


async def _grow_old(database: Database) -> None:
    connection = await asyncpg.connect(_address(database))
    loop = f"do $$begin for i in 1..{MANY} loop perform pg_current_xact_id(); commit; end loop; end$$"
    await connection.execute(loop)
    await connection.close()


def _address(database: Database) -> str:
    return database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


async def _restored(cluster: EmbeddedCluster, database: Database, folder: Path) -> str:
    server = await cluster.start()
    connection = await asyncpg.connect(server)
    await connection.execute("create database restored")
    await connection.close()
    binaries, dump = find_binaries(folder / "elsewhere").folder, str(folder / "dump.sql")
    subprocess.run([str(binaries / "pg_dump"), "-O", "-f", dump, _address(database)], check=True)
    url = url_of(server, "restored")
    psql = [str(binaries / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", dump, url]
    subprocess.run(psql, check=True, stdout=subprocess.DEVNULL)
    return url


async def _records_after(database: Database, place: Place) -> list[str]:
    async with database.sessions() as session:
        return [event.record_id for event in await read_events(session, place, 10)]


async def _sent(database: Database, subscriber: int) -> list[str]:
    now = datetime.now(UTC)
    async with database.sessions.begin() as session:
        held = await hold(session, subscriber, uuid4(), now)
        assert held is not None
        await take_over(session, held, now)
        return [json.loads(each.body)["record"]["id"] for each in await due(session, held, now, 10)]
