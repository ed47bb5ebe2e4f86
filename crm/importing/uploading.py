"""A file on its way in: read in a child, stored as rows, its heading found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.importing import jobs
from crm.importing.children import read_file
from crm.importing.fields import heading_row
from crm.importing.files import refused
from crm.rights import Access

_Rows = list[tuple[int, list[str]]]
Settle = Callable[[AsyncSession, int], Awaitable[int]]


async def upload(
    sessions: async_sessionmaker[AsyncSession],
    access: Access,
    path: Path,
    file_name: str,
    *,
    from_address: str | None = None,
    settle: Settle | None = None,
) -> int:
    """Take a file in, a transaction for each few hundred rows; the job's id. Nothing stays of a file that is refused.

    Args:
        settle: asked at the end, with the job that was made: which job counts. Nothing stays of one that does not.

    Raises:
        NotAllowed, Invalid (the file: why it is refused).
    """
    async with sessions.begin() as session:
        job_id = await jobs.begin(session, access, file_name)
    counts = None
    try:
        header, details = await _take_rows(sessions, job_id, path)
        async with sessions.begin() as session:
            counts = job_id if settle is None else await settle(session, job_id)
            if counts == job_id:
                await jobs.complete(session, access, job_id, header, details, from_address)
    finally:
        if counts != job_id:
            async with sessions.begin() as session:
                await jobs.abandon(session, job_id)
    return counts


async def _take_rows(
    sessions: async_sessionmaker[AsyncSession], job_id: int, path: Path
) -> tuple[list[str], dict[str, Any]]:
    details: dict[str, str] = {}
    header: list[str] | None = None
    width = 0
    async for said in read_file(path):
        if isinstance(said, dict):
            details = said
            continue
        rows = said
        if header is None:
            header, rows = _divided(said)
        width = max(width, *(len(cells) for _, cells in said), 0) if said else width
        if rows:
            async with sessions.begin() as session:
                await jobs.add_rows(session, job_id, rows)
    if header is None or not width:
        raise refused("There is nothing in this file.")
    return [*header, *[""] * (width - len(header))], details


def _divided(rows: _Rows) -> tuple[list[str], _Rows]:
    """The heading and what stands below it; what stands above is no data."""
    index = heading_row([cells for _, cells in rows])
    if index is None:
        return [], rows
    return _texts(rows[index][1]), rows[index + 1 :]


def _texts(cells: Sequence[str]) -> list[str]:
    return [" ".join(cell.split())[:100] for cell in cells]
