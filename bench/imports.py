"""Rows of a price list imported a second, with all checks, against the speed that was asked for and against the forms' way.

What is judged is processor time: ours, the children's and that of the server's processes for this database together. One batch
comes after the other, so on a machine with nothing else to do the clock shows the same; on a busy one the clock tells of others.
It runs as in the program: for a user of a team, among others' acts, and with the program's rule for the garbage collector.

A file of 100,000 rows, each an organisation with a contact, a number and for every third an address; every tenth repeats the
organisation of the row before with another contact. `python -m bench.imports [ROWS]`; with ROWS, without the large bases.
"""

from __future__ import annotations

import asyncio
import csv
import gc
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncSession

from bench.lists import FEWER, GROWTH, opened
from bench.population import PARTIES, bare_url, benchmark_server, in_database, populated_server
from bench.rows import Row, table
from crm.accounts import create_team, create_user, put_in_team
from crm.database import Database, migrate, open_database
from crm.importing import jobs
from crm.importing.plans import Policy
from crm.importing.uploading import upload
from crm.parties import quick_create
from crm.rights import Access, access_of, command_access
from cti.daemon.garbage import keep_what_stays
from cti.daemon.imports import Imports

ROWS = 100_000
WANTED = 2_000  # rows a second
BY_FORM = 500
ROWS_AMONG = 10_000  # imported into a base of clients
HEADER = ("Название", "ИНН", "ФИО", "Должность", "Телефон", "E-mail", "Город", "Примечание")
COLLEAGUES = 20
COMMAND = command_access()


async def run() -> list[Row]:
    """The speed that was asked for, then what a row costs among a million clients against among ten thousand."""
    return [*await measured(ROWS), *await grown()]


async def measured(count: int) -> list[Row]:
    """Reading, checking and writing, each by itself; the last is what was asked for."""
    async with benchmark_server() as server:
        url = in_database(server, "imports")
        await _make_database(server, url)
        database = await open_database(url)
        try:
            access = await administrator(database)
            with garbage_as_in_the_program():
                by_form = await _by_form(database, access)
                read, checked, written = await imported(database, access, count)
        finally:
            await database.close()
    return [
        _row("imports: rows read and stored, by the clock", count / read.clock, WANTED, ""),
        _row("imports: rows checked against all, by the clock", count / checked.clock, WANTED, ""),
        _row(f"imports: {count:,} rows written, by the clock", count / written.clock, WANTED, ""),
        _row(f"imports: {count:,} rows written, processor time", count / written.processor, WANTED, "≥ 1"),
        _row(
            "imports: written, against the quick form, both processor time",
            count / written.processor,
            by_form,
            "≥ 5",
        ),
    ]


async def grown() -> list[Row]:
    """Processor time of checking and of writing a row, in a copy of each base."""
    many, few = await _among(PARTIES), await _among(PARTIES // FEWER)
    return [
        Row(
            name=f"imports: a row {what}, {PARTIES:,} against {PARTIES // FEWER:,}",
            ours=f"{of_many * 1e6:,.0f} µs",
            floor=f"{of_few * 1e6:,.0f} µs",
            ratio=of_many / of_few,
            wanted=f"≤ {GROWTH:.0f}",
        )
        for what, of_many, of_few in zip(("checked", "written"), many, few, strict=True)
    ]


async def _among(parties: int) -> tuple[float, float]:
    """Seconds of checking and of writing a row among so many clients."""
    async with populated_server(parties) as url, copied(url) as copy, opened(copy) as database:
        access = await administrator(database)
        with garbage_as_in_the_program():
            _, checked, written = await imported(database, access, ROWS_AMONG)
    return checked.processor / ROWS_AMONG, written.processor / ROWS_AMONG


@asynccontextmanager
async def copied(url: str) -> AsyncIterator[str]:
    """A copy of a base that is kept for reading, for as long as the block runs."""
    kept, copy = (str(make_url(each).database) for each in (url, in_database(url, "imports_among")))
    connection = await asyncpg.connect(bare_url(in_database(url, "postgres")))
    await connection.execute(f"drop database if exists {copy}")  # a run that was cut short
    try:
        await connection.execute(f"create database {copy} template {kept} strategy file_copy")
        yield in_database(url, copy)
    finally:
        await connection.execute(f"drop database if exists {copy}")
        await connection.close()


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of a part of the work."""

    clock: float
    processor: float


class Watch:
    """Counts from when it is made."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> Watch:
        self._begun = await self._now()
        return self

    async def __aexit__(self, *_error: object) -> None:
        ended = await self._now()
        self.spent = Spent(ended.clock - self._begun.clock, ended.processor - self._begun.processor)

    async def _now(self) -> Spent:
        async with self._database.sessions() as session:
            pids = await session.scalars(
                text("select pid from pg_stat_activity where datname = current_database()")
            )
            served = sum(map(_processor_of, pids.all()))
        ours = os.times()
        processor = ours.user + ours.system + ours.children_user + ours.children_system + served
        return Spent(time.perf_counter(), processor)


def _processor_of(pid: int) -> float:
    """Seconds that another process has used; 0 for one that has just ended."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = told.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _row(name: str, ours: float, floor: float, wanted: str) -> Row:
    return Row(name=name, ours=f"{ours:,.0f}/s", floor=f"{floor:,.0f}/s", ratio=ours / floor, wanted=wanted)


async def _make_database(server: str, url: str) -> None:
    connection = await asyncpg.connect(bare_url(server))
    await connection.execute("create database imports")
    await connection.close()
    await migrate(url)


@contextmanager
def garbage_as_in_the_program() -> Iterator[None]:
    """The rule of `cti.daemon.garbage`, for as long as the block runs."""
    usual = gc.get_threshold()
    keep_what_stays()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)


async def administrator(database: Database) -> Access:
    """One of a team, who has colleagues: their acts stand in the journals too."""
    async with database.sessions.begin() as session:
        team_id = await create_team(session, COMMAND, "Продажи")
        users = [await _user(session, team_id) for _ in range(COLLEAGUES)]
        found = await access_of(session, users[COLLEAGUES // 2])
    assert found is not None
    return found


async def _user(session: AsyncSession, team_id: int) -> int:
    login = f"user-{secrets.token_hex(4)}"
    user_id = await create_user(
        session, COMMAND, login=login, name=login, role_codes=["admin"], password=None
    )
    await put_in_team(session, COMMAND, user_id, team_id)
    return user_id


async def _by_form(database: Database, access: Access) -> float:
    async with Watch(database) as watch:
        for n in range(BY_FORM):
            async with database.sessions.begin() as session:
                await quick_create(
                    session,
                    access,
                    organisation=f"Форма {n}",
                    person="Пример",
                    number=f"+7926{n:07d}",
                    kind="client",
                )
    return BY_FORM / watch.spent.processor


async def imported(
    database: Database, access: Access, count: int, *, first: int = 0
) -> tuple[Spent, Spent, Spent]:
    """Reading, checking and writing of so many rows, the first of them numbered so."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clients.csv"
        write_file(path, range(first, first + count))
        async with Watch(database) as reading:
            job_id = await upload(database.sessions, access, path, path.name)
    worker = Imports(database)
    async with database.sessions.begin() as session:
        job = await jobs.read_job(session, access, job_id)
        await jobs.set_mapping(session, access, job_id, job.columns, Policy())
    async with Watch(database) as checking:
        await worker.work()
    async with database.sessions.begin() as session:
        await jobs.start(session, access, job_id)
    async with Watch(database) as writing:
        await worker.work()
    async with database.sessions() as session:
        done = await jobs.read_job(session, access, job_id)
    if done.state != "finished" or done.counts.get("created", 0) < count * 0.85:
        raise AssertionError(f"the import ended {done.state} with {done.counts}")
    return reading.spent, checking.spent, writing.spent


def write_file(path: Path, rows: range) -> None:
    """The price list of a company that never was."""
    with path.open("w", encoding="cp1251", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(HEADER)
        for n in rows:
            firm = n - 1 if n % 10 == 9 else n
            email = f"contact{n}@example.org" if n % 3 == 0 else ""
            contact = f"Примеров{n} Иван"
            number = f"8 (9{10 + n % 80}) {n // 10_000 % 1000:03d}-{n // 100 % 100:02d}-{n % 100:02d}"
            writer.writerow(
                [f'ООО "Пример {firm}"', inn_of(firm), contact, "Закупки", number, email, "Тверь", ""]
            )


def inn_of(n: int) -> str:
    """An INN with the right check digit; for every second organisation only."""
    if n % 2:
        return ""
    digits = f"77{n:07d}"
    weights = (2, 4, 10, 3, 5, 9, 4, 6, 8)
    return digits + str(
        sum(int(each) * weight for each, weight in zip(digits, weights, strict=True)) % 11 % 10
    )


if __name__ == "__main__":
    print(table(asyncio.run(measured(int(sys.argv[1])) if len(sys.argv) > 1 else run())))
