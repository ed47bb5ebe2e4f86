"""Imports as the daemon carries them out, in one call: a file's text in, the job as it ended out."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crm.database import Database
from crm.importing import jobs
from crm.importing.job_info import JobInfo
from crm.importing.jobs import RowInfo
from crm.importing.plans import Policy
from crm.importing.uploading import upload
from crm.rights import Access
from cti.daemon.imports import Imports


def csv_of(header: Sequence[str], *rows: Sequence[str]) -> bytes:
    """A table as Russian Excel saves it."""
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows([header, *rows])
    return out.getvalue().encode("cp1251")


async def take(database: Database, access: Access, content: bytes, name: str = "clients.csv") -> int:
    """Upload a file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        return await upload(database.sessions, access, path, name)


async def preview(database: Database, access: Access, content: bytes, **policy: Any) -> int:
    """Upload a file and check its rows with the columns as they were guessed."""
    job_id = await take(database, access, content)
    async with database.sessions.begin() as session:
        job = await jobs.read_job(session, access, job_id)
        await jobs.set_mapping(session, access, job_id, job.columns, Policy(**policy))
    await Imports(database).work()
    return job_id


async def run(database: Database, access: Access, job_id: int) -> JobInfo:
    """Start (or continue) a job and wait until there is nothing left to do."""
    async with database.sessions.begin() as session:
        await jobs.start(session, access, job_id)
    await Imports(database).work()
    return await read(database, access, job_id)


async def imported(database: Database, access: Access, content: bytes, **policy: Any) -> JobInfo:
    """A file all the way in."""
    return await run(database, access, await preview(database, access, content, **policy))


async def read(database: Database, access: Access, job_id: int) -> JobInfo:
    async with database.sessions() as session:
        return await jobs.read_job(session, access, job_id)


async def rows_of(
    database: Database, access: Access, job_id: int, show: str = "", most: int = 1000
) -> list[RowInfo]:
    async with database.sessions() as session:
        return await jobs.list_rows(session, access, job_id, show=show, most=most)
