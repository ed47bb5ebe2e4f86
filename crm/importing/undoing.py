"""Undoing an import: what it created and nobody touched since is deleted; the rest stays and is listed.

Touched is a party with changes in the log that are not this import's, or with anything that refers to it: calls, leads, notes.
The foreign keys of the database know them all, so a table that comes later is respected by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import func, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.importing.plans import RowProblem
from crm.importing.trail import Trail
from crm.rights import Access
from crm.schema.imports import ImportJob, ImportRow

UNDONE_AT_ONCE: Final = 200
TOUCHED: Final = "Somebody has worked with this client since; it stays."
WAS_THERE: Final = "This client was there before the import; what changed in it stays."

# The rows are taken from the end: contacts before the organisations that earlier rows made.
_NEXT: Final = text(
    """
    select row, exists (
        select from imported_party made where made.party_id = import_row.party_id and made.job_id = import_row.job_id
    )
    from import_row where job_id = :job and state in ('created', 'updated') order by row desc limit :most
    """
)
_MADE: Final = text(
    "select party_id from imported_party where job_id = :job and row = any(cast(:rows as int[])) order by party_id"
)
_UNTOUCHED: Final = text(
    """
    select party.id, party.display_name from party
    where party.id = any(cast(:ids as bigint[])) and party.merged_into_id is null and party.deleted_at is null
        and not exists (
            select from change_log log
            where log.record_kind = 'party' and log.record_id = party.id::text
                and log.request_id is distinct from :request
        )
    order by party.id for update
    """
)
# What the import itself made around a party. A shared number, and one that somebody else has as well, stays.
_AROUND: Final = tuple(
    text(f"delete from {table} where {key} = any(cast(:ids as bigint[]))")  # noqa: S608 - our own names
    for table, key in (
        ("affiliation", "person_id"),
        ("affiliation", "organisation_id"),
        ("party_phone", "party_id"),
        ("party_email", "party_id"),
        ("party_kind_assignment", "party_id"),
        ("person", "party_id"),
        ("organisation", "party_id"),
        ("party", "id"),
        ("imported_party", "party_id"),
    )
)


_FIRMS: Final = text(
    "select organisation_id from affiliation where person_id = any(cast(:ids as bigint[])) and is_primary"
)
_PROMOTE: Final = text(
    """
    update affiliation set is_primary = true where id in (
        select min(id) from affiliation
        where organisation_id = any(cast(:firms as bigint[])) and ended_at is null group by organisation_id
    )
    """
)


async def undo_batch(session: AsyncSession, access: Access, job: ImportJob) -> bool:
    """Undo the next rows of a held job; True if none were left."""
    found = await session.execute(_NEXT, {"job": job.id, "most": UNDONE_AT_ONCE})
    rows = {row: is_ours for row, is_ours in found}  # noqa: C416 - a result is no mapping
    if not rows:
        done = {"state": "undone", "finished_at": func.now()}
        await session.execute(update(ImportJob).where(ImportJob.id == job.id).values(done))
        return True
    made = list(await session.scalars(_MADE, {"job": job.id, "rows": list(rows)}))
    untouched = await _untouched(session, job.id, made)
    gone = await _delete(session, list(untouched))
    await _write_down(session, access, job.id, {party_id: untouched[party_id] for party_id in gone})
    await _note_rows(session, job, rows)
    return False


async def _untouched(session: AsyncSession, job_id: int, ids: Sequence[int]) -> dict[int, str]:
    asked = {"ids": list(ids), "request": f"import-{job_id}"}
    rows = await session.execute(_UNTOUCHED, asked) if ids else ()
    return {party_id: name for party_id, name in rows}  # noqa: C416 - a result is no mapping


async def _delete(session: AsyncSession, ids: Sequence[int]) -> list[int]:
    """Delete these parties, all at once if that goes, else those that nothing refers to. Returns the deleted."""
    if not ids:
        return []
    try:
        async with session.begin_nested():
            firms = list(await session.scalars(_FIRMS, {"ids": ids}))
            for statement in _AROUND:
                await session.execute(statement, {"ids": ids})
            await session.execute(_PROMOTE, {"firms": firms})
    except IntegrityError:
        if len(ids) == 1:
            return []
        middle = len(ids) // 2
        return [*await _delete(session, ids[:middle]), *await _delete(session, ids[middle:])]
    return list(ids)


async def _write_down(session: AsyncSession, access: Access, job_id: int, gone: dict[int, str]) -> None:
    trail = Trail(access.actor_id, job_id)
    for party_id, name in gone.items():
        trail.changed(party_id, "party.deleted", {"display_name": None}, {"display_name": name})
    await trail.write(session)


async def _note_rows(session: AsyncSession, job: ImportJob, rows: Mapping[int, bool]) -> None:
    """A row is undone if nothing that it created is left; else it says why it stays. `rows`: whether its client is ours."""
    left = set(await session.scalars(_LEFT, {"job": job.id, "rows": list(rows)}))
    touched = [row for row in rows if row in left]
    was_there = [row for row, is_ours in rows.items() if row not in left and not is_ours]
    undone = [row for row in rows if row not in {*touched, *was_there}]
    of_rows = (ImportRow.job_id == job.id, ImportRow.row.in_(undone))
    await session.execute(update(ImportRow).where(*of_rows).values(state="undone", party_id=None))
    await _keep(session, job.id, touched, TOUCHED)
    await _keep(session, job.id, was_there, WAS_THERE)
    counts = Counter(job.counts)
    counts.update(undone=len(undone), kept=len(touched) + len(was_there))
    await session.execute(update(ImportJob).where(ImportJob.id == job.id).values(counts=dict(counts)))


_LEFT: Final = text(
    "select distinct row from imported_party where job_id = :job and row = any(cast(:rows as int[]))"
)
_KEEP: Final = text(
    """
    update import_row set state = 'kept', problems = cast(:problems as jsonb)
    where job_id = :job and row = any(cast(:rows as int[]))
    """
)


async def _keep(session: AsyncSession, job_id: int, rows: Sequence[int], why: str) -> None:
    if rows:
        problems = msgspec.json.encode([RowProblem(why=why, is_note=True)]).decode()
        await session.execute(_KEEP, {"job": job_id, "rows": list(rows), "problems": problems})
