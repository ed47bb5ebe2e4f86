"""The private cluster lives through everything; an unfit server is refused with its remedy."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NoReturn

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from crm import database as database_module
from crm.database import Database, async_url, check, make_database, open_database
from crm.database_errors import (
    ClusterNotStarted,
    DatabaseUnreachable,
    NoServerBinaries,
    ServerTooOld,
    TextNotComparable,
)
from crm.embedded import NICENESS, EmbeddedCluster, is_server_of, read_postmaster
from crm.server_binaries import find_binaries
from tests.database import url_of


@pytest_asyncio.fixture(loop_scope="session")
async def folder() -> AsyncIterator[Path]:
    """A data folder; whatever still runs in it afterwards is stopped."""
    path = Path(tempfile.mkdtemp(prefix="ringcard-tests-"))
    yield path
    if (left := EmbeddedCluster(path).running()) is not None:
        os.kill(left.pid, signal.SIGQUIT)
        await until(lambda: not is_server_of(left.pid, path / "postgres"))
    shutil.rmtree(path, ignore_errors=True)


async def until(happens: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not happens():
            await asyncio.sleep(0.01)


async def query(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_made_started_and_stopped(folder: Path) -> None:
    cluster = EmbeddedCluster(folder)
    url = await cluster.start()
    database = await open_database(url)
    async with database.engine.connect() as connection:
        assert (await connection.execute(text("select similarity('РОМАШКА', 'ромашка')"))).scalar_one() == 1
    await database.close()
    assert stat.S_IMODE((folder / "postgres").stat().st_mode) == 0o700
    await cluster.stop()
    assert cluster.running() is None
    assert await cluster.start() == url  # the address stays
    await cluster.stop()


async def test_the_server_gives_way_to_calls(folder: Path) -> None:
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    for cluster, wanted in (
        (EmbeddedCluster(folder, niceness=0), usual),
        (EmbeddedCluster(folder), min(usual + NICENESS, 19)),
    ):
        await cluster.start()
        server = cluster.running()
        assert server is not None
        assert os.getpriority(os.PRIO_PROCESS, server.pid) == wanted
        await cluster.stop()


async def test_i16_killed_with_rows_in_it(folder: Path) -> None:
    killed = EmbeddedCluster(folder)
    url = await killed.start()
    killed.leave()
    await query(url, "create table kept as select 1 as one")
    server = read_postmaster(folder / "postgres")
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)
    cluster = EmbeddedCluster(folder)
    assert await query(await cluster.start(), "select one from kept") == 1
    await cluster.stop()


async def test_a_running_server_is_adopted(folder: Path) -> None:
    killed = EmbeddedCluster(folder)
    await killed.start()
    killed.leave()
    before = read_postmaster(folder / "postgres")
    cluster = EmbeddedCluster(folder)
    await cluster.start()
    assert read_postmaster(folder / "postgres") == before
    await cluster.stop()


async def test_the_last_to_stop_stops_it(folder: Path) -> None:
    daemon, command = EmbeddedCluster(folder), EmbeddedCluster(folder)
    url = await daemon.start()
    assert await command.start() == url
    await command.stop()
    assert await query(url, "select 1") == 1
    await daemon.stop()
    assert daemon.running() is None


async def test_the_number_of_a_dead_server_in_other_hands(folder: Path) -> None:
    cluster = EmbeddedCluster(folder)
    await cluster.start()
    lines = (folder / "postgres" / "postmaster.pid").read_text().splitlines()
    server = cluster.running()
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)
    await until(lambda: cluster.running() is None)
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (folder / "postgres" / name).write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert await query(await cluster.start(), "select 1") == 1
    await cluster.stop()


async def test_making_it_was_cut_short(folder: Path) -> None:
    (folder / "postgres.new").mkdir()
    (folder / "postgres.new" / "PG_VERSION").write_text("18\n")
    cluster = EmbeddedCluster(folder)
    assert await query(await cluster.start(), "select 1") == 1
    await cluster.stop()


async def test_a_folder_with_a_long_and_odd_name(folder: Path) -> None:
    data = folder / ("with 'odd name, " * 6)
    cluster = EmbeddedCluster(data)
    url = await cluster.start()
    assert await query(url, "select 1") == 1
    await cluster.stop()
    assert await cluster.start() == url
    await cluster.stop()


async def test_a_cluster_of_another_version_is_refused(folder: Path) -> None:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").write_text("14\n")
    with pytest.raises(NoServerBinaries, match="PostgreSQL 14"):
        await EmbeddedCluster(folder).start()


async def test_why_it_does_not_start_is_said(folder: Path) -> None:
    with pytest.raises(ClusterNotStarted, match="no_such_setting"):
        await EmbeddedCluster(folder, options={"no_such_setting": "1"}).start()


async def test_a_server_too_busy_to_answer_is_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = EmbeddedCluster(folder)
    await cluster.start()
    server = cluster.running()
    assert server is not None
    monkeypatch.setattr("crm.embedded.ANSWER_SECONDS", 0.1)
    monkeypatch.setattr("crm.embedded.START_SECONDS", 0.3)
    os.kill(server.pid, signal.SIGSTOP)
    with pytest.raises(ClusterNotStarted, match=rf"{server.pid} runs, but still .* after 0.3 s\..*once more"):
        await cluster.start()
    monkeypatch.setattr("crm.embedded.START_SECONDS", 60)
    waiting = asyncio.create_task(cluster.start())
    await asyncio.sleep(0.3)
    os.kill(server.pid, signal.SIGCONT)
    assert await query(await waiting, "select 1") == 1
    await cluster.stop()


async def test_a_server_that_dies_before_it_answers_is_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = EmbeddedCluster(folder)
    await cluster.start()
    server = cluster.running()
    assert server is not None
    monkeypatch.setattr("crm.embedded.ANSWER_SECONDS", 0.1)
    os.kill(server.pid, signal.SIGSTOP)
    waiting = asyncio.create_task(cluster.start())
    await asyncio.sleep(0.3)
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(ClusterNotStarted, match="it stopped before it answered"):
        await waiting


async def test_making_it_takes_too_long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm.server_binaries.ServerBinaries.run", _never_ends)
    with pytest.raises(ClusterNotStarted, match="initdb is still at work after 120 s"):
        await EmbeddedCluster(folder).start()


def _never_ends(_binaries: object, program: str, *_arguments: str) -> NoReturn:
    raise subprocess.TimeoutExpired(program, 120)


def test_the_binaries_of_the_system_serve_where_the_package_does_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.server_binaries._embedded_folders", list)
    if not Path("/usr/lib/postgresql").exists():
        with pytest.raises(NoServerBinaries):
            find_binaries(folder)
        return
    assert str(find_binaries(folder).folder).startswith("/usr/lib/postgresql")


async def test_the_system_server_is_as_good(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/usr/lib/postgresql").exists():
        pytest.skip("no PostgreSQL of the system")
    monkeypatch.setattr("crm.server_binaries._embedded_folders", list)
    cluster = EmbeddedCluster(folder)
    database = await open_database(await cluster.start())
    await database.close()
    await cluster.stop()


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("postgresql://u:p@db.example:5433/ringcard", "db.example"),
        ("postgres://u:p@db.example:5433/ringcard", "db.example"),
        ("postgresql+asyncpg://u:p@db.example:5433/ringcard", "db.example"),
        ("postgresql:///ringcard?host=/run/postgresql", None),
    ],
)
def test_urls(given: str, host: str | None) -> None:
    url = async_url(given)
    assert (url.drivername, url.host, url.database) == ("postgresql+asyncpg", host, "ringcard")


async def test_a_database_without_cyrillic_is_refused(database_server: str) -> None:
    connection = await asyncpg.connect(database_server)
    await connection.execute("create database ascii template template0 encoding 'UTF8' locale 'C'")
    await connection.close()
    with pytest.raises(TextNotComparable, match=r"character type 'C/C'.*instead of 1.*C\.UTF-8"):
        await open_database(url_of(database_server, "ascii"))


async def test_an_old_server_is_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "OLDEST_MAJOR", 99)
    with pytest.raises(ServerTooOld, match="needs 99 or newer"):
        await check(database.engine)


async def test_no_server_is_said_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnreachable) as error:
        await open_database(f"postgresql://user:secret@/ringcard?host={tmp_path}")
    assert "secret" not in str(error.value)
    assert str(tmp_path) in str(error.value)


async def test_i09_no_statement_waits_for_ever(database: Database) -> None:
    began = time.monotonic()
    with pytest.raises((TimeoutError, DBAPIError)):
        async with database.engine.connect() as connection:
            await connection.execute(text("select pg_sleep(60)"))
    assert time.monotonic() - began < 5


async def test_i10_the_pool_is_bounded(
    database_server: str, empty_database: Callable[[], Awaitable[str]]
) -> None:
    database = make_database(await empty_database(), pool_size=2)
    async with database.engine.connect(), database.engine.connect():
        with pytest.raises(Exception, match="limit of size 2"):
            await database.engine.connect().start()
    await database.close()


async def test_a_restart_of_the_server_costs_nobody_a_statement(folder: Path) -> None:
    cluster = EmbeddedCluster(folder)
    database = await open_database(await cluster.start())
    await cluster.stop()
    await cluster.start()
    async with database.engine.connect() as connection:
        assert (await connection.execute(text("select 1"))).scalar_one() == 1
    await database.close()
    await cluster.stop()


def test_the_address_of_the_socket_is_in_the_url() -> None:
    url = make_url("postgresql://ringcard@/ringcard?host=/data/postgres&port=5432")
    assert url.query["host"] == "/data/postgres"
