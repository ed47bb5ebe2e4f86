"""`kill -9` while an import is checked and while it is written, then a start: it goes on, nothing is doubled, nothing lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

import cti
from crm.database import Database, open_database
from crm.importing import jobs
from crm.importing.batches import WRITTEN_AT_ONCE
from crm.importing.job_info import JobInfo
from crm.importing.plans import Policy
from crm.rights import Access
from tests.crm.importing.office import csv_of, read, take
from tests.crm.people import make_user
from tests.database import make_copy

ROWS = 3 * WRITTEN_AT_ONCE
SECONDS = 240.0
HEADER = ("Название", "ФИО", "Телефон", "E-mail")
ROOT = Path(cti.__file__).parent.parent


@pytest.fixture
async def office(database_server: str) -> AsyncIterator[tuple[str, Database]]:
    url = await make_copy(database_server)
    database = await open_database(url)
    yield url, database
    await database.close()


@asynccontextmanager
async def serving(url: str, data: Path) -> AsyncIterator[Process]:
    """`ringcard serve` on this database; killed at the end, if the test has not done it."""
    settings = {"DATABASE_URL": url, "DATA": str(data), "LISTEN": "127.0.0.1:0", "LOG_LEVEL": "warning"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment |= {f"RINGCARD_{name}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cti.daemon.command", "serve", env=environment, stdin=DEVNULL, stdout=DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def until(
    database: Database, access: Access, job_id: int, is_so: Callable[[JobInfo], bool], process: Process
) -> JobInfo:
    async with asyncio.timeout(SECONDS):
        while not is_so(job := await read(database, access, job_id)):
            assert process.returncode is None, "the program ended by itself"
            await asyncio.sleep(0.02)
    return job


async def counted(database: Database) -> tuple[int, int, int]:
    """Parties, numbers that somebody has, rows that became something."""
    async with database.sessions() as session:
        row = await session.execute(
            text(
                "select (select count(*) from party), (select count(*) from party_phone where ended_at is null), "
                "(select count(*) from import_row where state = 'created')"
            )
        )
        parties, phones, rows = row.one()
    return parties, phones, rows


async def test_an_import_killed_at_any_moment_goes_on(office: tuple[str, Database], tmp_path: Path) -> None:
    url, database = office
    async with database.sessions.begin() as session:
        admin = await make_user(session, ["admin"])
    rows = [
        (f"Пример {n}", f"Примеров{n} Иван", f"8916{n:07}", f"contact{n}@example.org") for n in range(ROWS)
    ]
    job_id = await take(database, admin, csv_of(HEADER, *rows))
    async with database.sessions.begin() as session:
        job = await jobs.read_job(session, admin, job_id)
        await jobs.set_mapping(session, admin, job_id, job.columns, Policy())
    async with serving(url, tmp_path) as process:
        await until(database, admin, job_id, lambda job: job.checked_rows > 0, process)
    async with serving(url, tmp_path) as process:
        await until(database, admin, job_id, lambda job: job.state == "previewed", process)
        async with database.sessions.begin() as session:
            await jobs.start(session, admin, job_id)
        await until(database, admin, job_id, lambda job: job.done_rows > 0, process)
    left = await read(database, admin, job_id)
    assert left.state == "running"
    assert 0 < left.done_rows < ROWS, "killed too late to tell anything"
    assert await counted(database) == (2 * left.done_rows, left.done_rows, left.done_rows)
    async with serving(url, tmp_path) as process:
        done = await until(database, admin, job_id, lambda job: job.state == "finished", process)
    assert (done.done_rows, done.counts["created"]) == (ROWS, ROWS)
    assert await counted(database) == (2 * ROWS, ROWS, ROWS)
