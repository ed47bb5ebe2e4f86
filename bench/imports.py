"""Rows of a price list imported a second, with all checks, against the speed that was asked for and against the forms' way.

A file of 100,000 rows, each an organisation with a contact, a number and for every third an address; every tenth repeats the
organisation of the row before with another contact. `python -m bench.imports [ROWS]`.
"""

from __future__ import annotations

import asyncio
import csv
import sys
import tempfile
import time
from pathlib import Path

import asyncpg

from bench.population import bare_url, benchmark_server, in_database
from bench.rows import Row, table
from crm.database import Database, migrate, open_database
from crm.importing import jobs
from crm.importing.plans import Policy
from crm.importing.uploading import upload
from crm.parties import quick_create
from crm.rights import command_access
from cti.daemon.imports import Imports

ROWS = 100_000
WANTED = 2_000  # rows a second
BY_FORM = 500
HEADER = ("Название", "ИНН", "ФИО", "Должность", "Телефон", "E-mail", "Город", "Примечание")
ADMIN = command_access()


async def run(count: int = ROWS) -> list[Row]:
    """Reading, checking and writing, each by itself; the last is what was asked for."""
    async with benchmark_server() as server:
        url = in_database(server, "imports")
        await _make_database(server, url)
        database = await open_database(url)
        try:
            by_form = await _by_form(database)
            read, checked, written = await _imported(database, count)
        finally:
            await database.close()
    return [
        _row("imports: rows read and stored", count / read, WANTED, ""),
        _row("imports: rows checked against all", count / checked, WANTED, ""),
        _row(f"imports: {count:,} rows written", count / written, WANTED, "≥ 1"),
        _row("imports: written, against the quick form", count / written, by_form, "≥ 5"),
    ]


def _row(name: str, ours: float, floor: float, wanted: str) -> Row:
    return Row(name=name, ours=f"{ours:,.0f}/s", floor=f"{floor:,.0f}/s", ratio=ours / floor, wanted=wanted)


async def _make_database(server: str, url: str) -> None:
    connection = await asyncpg.connect(bare_url(server))
    await connection.execute("create database imports")
    await connection.close()
    await migrate(url)


async def _by_form(database: Database) -> float:
    began = time.perf_counter()
    for n in range(BY_FORM):
        async with database.sessions.begin() as session:
            await quick_create(
                session,
                ADMIN,
                organisation=f"Форма {n}",
                person="Пример",
                number=f"+7926{n:07d}",
                kind="client",
            )
    return BY_FORM / (time.perf_counter() - began)


async def _imported(database: Database, count: int) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clients.csv"
        write_file(path, count)
        began = time.perf_counter()
        job_id = await upload(database.sessions, ADMIN, path, path.name)
        read = time.perf_counter() - began
    worker = Imports(database)
    async with database.sessions.begin() as session:
        job = await jobs.read_job(session, ADMIN, job_id)
        await jobs.set_mapping(session, ADMIN, job_id, job.columns, Policy())
    checked = await _seconds(worker)
    async with database.sessions.begin() as session:
        await jobs.start(session, ADMIN, job_id)
    written = await _seconds(worker)
    async with database.sessions() as session:
        done = await jobs.read_job(session, ADMIN, job_id)
    if done.state != "finished" or done.counts.get("created", 0) < count * 0.85:
        raise AssertionError(f"the import ended {done.state} with {done.counts}")
    return read, checked, written


async def _seconds(worker: Imports) -> float:
    began = time.perf_counter()
    await worker.work()
    return time.perf_counter() - began


def write_file(path: Path, count: int) -> None:
    """The price list of a company that never was."""
    with path.open("w", encoding="cp1251", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(HEADER)
        for n in range(count):
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
    print(table(asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))))
