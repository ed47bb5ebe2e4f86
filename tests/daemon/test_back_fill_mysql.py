"""The same from a real MariaDB, as a FreePBX has it, with a user that may only select."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest

from ami_adapter.second_truth.from_cdr import Plant
from ami_adapter.second_truth.reading import calls_between
from ami_adapter.second_truth.source import ColumnsMissing, Records, Server, ServerUnreachable, TableSource
from tests.ami_adapter.second_truth.recorded import cel_values, live_calls
from tests.daemon.test_back_fill import BEGINS, ENDS, PLANT, freepbx_rows
from tests.tools import needs

READER, PASSWORD = "ringcard", "reads-only"
TYPES = {"calldate": "datetime", "eventtime": "datetime(6)", "duration": "int", "billsec": "int"}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A MariaDB on a port of its own, with the tables of FreePBX."""
    needs("my_print_defaults")
    program, folder = needs("mariadbd"), Path(tempfile.mkdtemp(prefix="ringcard-mariadb-"))
    number, user = _free_port(), ["--user=root"] if os.geteuid() == 0 else []
    options = [f"--datadir={folder}/data", *user]
    subprocess.run(
        [
            needs("mariadb-install-db"),
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-name-resolve",
            "--force",
            *options,
        ],
        check=True,
        capture_output=True,
    )
    server = subprocess.Popen(
        [program, "--no-defaults", *options, f"--socket={folder}/socket", f"--port={number}",
         "--bind-address=127.0.0.1", f"--pid-file={folder}/pid"],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _furnish(folder / "socket")
        yield number
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _furnish(at: Path) -> None:
    with closing(_root(at)) as connection, connection.cursor() as cursor:
        cursor.execute("create database asteriskcdrdb character set utf8mb4")
        cursor.execute("use asteriskcdrdb")
        _write(cursor, "cdr", freepbx_rows())
        events = [row | {"eventtime": row["eventtime"].replace(tzinfo=None)} for row in cel_values(PLANT)]
        _write(cursor, "cel", events)
        cursor.execute(f"create user {READER}@127.0.0.1 identified by '{PASSWORD}'")
        cursor.execute(f"grant select on asteriskcdrdb.* to {READER}@127.0.0.1")
        connection.commit()


def _root(at: Path) -> Any:
    deadline = time.monotonic() + 20
    while not _answers(at):
        assert time.monotonic() < deadline, "MariaDB did not start"
        time.sleep(0.1)
    return pymysql.connect(unix_socket=str(at), user="root", charset="utf8mb4")


def _answers(at: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(at)) == 0


def _write(cursor: Any, table: str, rows: list[dict[str, Any]]) -> None:
    columns = ", ".join(f"`{name}` {TYPES.get(name, 'varchar(255)')}" for name in rows[0])
    cursor.execute(f"create table {table} ({columns})")
    places = ", ".join(["%s"] * len(rows[0]))
    cursor.executemany(f"insert into {table} values ({places})", [list(row.values()) for row in rows])


def source(port: int, records: Records, **more: Any) -> TableSource:
    values: dict[str, Any] = {"database": "asteriskcdrdb", "user": READER, "secret": PASSWORD} | more
    return TableSource(server=Server.MYSQL, records=records, host="127.0.0.1", port=port, zone=UTC, **values)


@pytest.mark.parametrize("records", Records)
async def test_the_calls_of_a_freepbx(port: int, records: Records) -> None:
    calls = await calls_between(source(port, records), Plant(), BEGINS, ENDS)
    live = live_calls(PLANT)
    assert [call.key for call in calls] == list(live)
    assert [call.is_answered for call in calls] == [call.is_answered for call in live.values()]
    assert [call.answered_by for call in calls] == [call.answered_by for call in live.values()]
    assert await calls_between(source(port, records), Plant(), ENDS, ENDS + timedelta(hours=9)) == []


async def test_a_wrong_password_and_a_wrong_database_are_told(port: int) -> None:
    for more in ({"secret": "wrong-word"}, {"database": "none"}):
        with pytest.raises(ServerUnreachable, match="OperationalError") as refused:
            await calls_between(source(port, Records.CDR, **more), Plant(), BEGINS, ENDS)
        assert "wrong-word" not in str(refused.value)
    with pytest.raises(ColumnsMissing):
        await calls_between(source(port, Records.CDR, database="information_schema"), Plant(), BEGINS, ENDS)


async def test_a_server_that_says_nothing_is_given_up() -> None:
    """It takes the connection and is silent: three seconds, and pops go on meanwhile."""
    taken: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _reader, writer: taken.append(writer), "127.0.0.1", 0)
    begin = datetime.now(UTC)
    with pytest.raises(ServerUnreachable):
        port = silent.sockets[0].getsockname()[1]
        await calls_between(source(port, Records.CDR), Plant(), BEGINS, ENDS)
    assert datetime.now(UTC) - begin < timedelta(seconds=9)
    assert taken
    silent.close()
    for writer in taken:
        writer.close()
