"""Undoing an import: what it created and nobody touched since goes into the bin, from where it can be restored; the rest stays
and is listed.

Touched is a party with changes in the log that are not this import's, or with anything of people's work that refers to it:
calls, leads, notes. `crm.merge_references` knows them all, so a table that comes later is respected by itself. Calls from before
there was such a client, which it adopted with its number, are nobody's work with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import delete, func, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.importing.plans import RowProblem
from crm.importing.telling import tell_end
from crm.importing.trail import request_of
from crm.merge_references import REFERENCES, Reference
from crm.party_bin import bin_parties
from crm.rights import Access
from crm.schema.communications import Communication
from crm.schema.desk import CallbackCase
from crm.schema.imports import ImportedParty, ImportJob, ImportRow
from crm.schema.parties import Affiliation, PartyEmail, PartyKindAssignment, PartyPhone

UNDONE_AT_ONCE: Final = 200
TOUCHED: Final = "Somebody has worked with this client since; it stays."
MAY_NOT: Final = "This client is another one's meanwhile, and you may not delete it; it stays."
WAS_THERE: Final = "This client was there before the import; what changed in it stays."

_TO_UNDO: Final = ("created", "updated")
_Rows = Mapping[int, tuple[str, bool]]  # row → what became of it, whether its client is ours
_PAST_ALL: Final = 2**31 - 1
# Rows of every state, from the key: however many were undone, refused or left alone, a batch reads its own alone. Whose client it is
# stands in a subquery with one answer: of `exists` the server would make a table of all that the job created, for each batch.
_NEXT: Final = text(
    """
    select row, state, coalesce(
        (select made.job_id = :job from imported_party made where made.party_id = import_row.party_id), false
    )
    from import_row where job_id = :job and row < :before order by row desc limit :most
    """
)
_MADE: Final = text(
    "select party_id from imported_party where job_id = :job and row = any(cast(:rows as int[])) order by party_id"
)
# What the import itself made around a party; whoever changes it leaves a row in the log.
_OF_ITS_OWN: Final = (PartyPhone, PartyEmail, PartyKindAssignment, Affiliation)
# What nobody linked: it was there before the party, and came to it with a number (`crm.adopting`).
_NOT_ADOPTED: Final[Mapping[Any, str]] = {
    Communication: "(r.link_source is distinct from 'auto' or r.started_at >= party.created_at)",
    CallbackCase: "r.first_missed_at >= party.created_at",
}


def _refers(reference: Reference) -> str:
    mine = f"r.{reference.column.key} = cast(party.id as {reference.type})"
    among = reference.among.format(row="r")
    own = _NOT_ADOPTED.get(reference.column.class_, "true")
    return f"exists (select from {reference.table} r where {mine} and {among} and {own})"


_WORK: Final = " or ".join(
    _refers(reference) for reference in REFERENCES if reference.column.class_ not in _OF_ITS_OWN
)
_UNTOUCHED: Final = text(
    f"""
    select party.id from party
    where party.id = any(cast(:ids as bigint[])) and party.merged_into_id is null and party.deleted_at is null
        and not exists (
            select from change_log log
            where log.record_kind = 'party' and log.record_id = party.id::text
                and log.request_id is distinct from :request
        ) and not ({_WORK})
    order by party.id for no key update
    """  # noqa: S608 - our own names
)


@dataclass(slots=True)
class WayBack:
    """How far undoing has come, from the last row to the first: whatever stands at `before` and after it is done."""

    before: int = _PAST_ALL
    reached: int = _PAST_ALL  # once the batch at hand is committed

    def go_on(self) -> None:
        """The batch is committed."""
        self.before = self.reached


async def undo_batch(
    session: AsyncSession, access: Access, job: ImportJob, way: WayBack | None = None
) -> bool:
    """Undo the next rows of a held job; True if none were left. `way` learns how far it came."""
    way = way or WayBack()
    asked = {"job": job.id, "before": way.before, "most": UNDONE_AT_ONCE}
    found = (await session.execute(_NEXT, asked)).all()
    if not found:
        done = {"state": "undone", "finished_at": func.now()}
        await session.execute(update(ImportJob).where(ImportJob.id == job.id).values(done))
        await tell_end(session, job, "undone", job.counts)
        return True
    rows = {row: (state, is_ours) for row, state, is_ours in found if state in _TO_UNDO}
    if rows:
        await _undo_rows(session, access, job, rows)
    way.reached = found[-1][0]
    return False


async def _undo_rows(session: AsyncSession, access: Access, job: ImportJob, rows: _Rows) -> None:
    made = list(await session.scalars(_MADE, {"job": job.id, "rows": list(rows)}))
    asked = {"ids": made, "request": request_of(job.id)}
    untouched = list(await session.scalars(_UNTOUCHED, asked)) if made else []
    gone = await bin_parties(session, access, untouched, via="import", request_id=request_of(job.id))
    await session.execute(delete(ImportedParty).where(ImportedParty.party_id.in_(gone)))
    await _note_rows(session, job, rows, refused=set(untouched) - set(gone))


async def _note_rows(session: AsyncSession, job: ImportJob, rows: _Rows, refused: set[int]) -> None:
    """A row is undone if nothing that it created is left; else it says why it stays."""
    left = await session.execute(_LEFT, {"job": job.id, "rows": list(rows)})
    why: dict[int, str] = {row: WAS_THERE for row, (_, is_ours) in rows.items() if not is_ours}
    for row, party_id in left:
        why[row] = MAY_NOT if party_id in refused else TOUCHED
    undone = [row for row in rows if row not in why]
    of_rows = (ImportRow.job_id == job.id, ImportRow.row.in_(undone))
    await session.execute(update(ImportRow).where(*of_rows).values(state="undone", party_id=None))
    for sentence in (TOUCHED, MAY_NOT, WAS_THERE):
        await _keep(session, job.id, [row for row, told in why.items() if told == sentence], sentence)
    counts = Counter(job.counts)
    counts.subtract(state for state, _ in rows.values())
    counts.update(undone=len(undone), kept=len(why))
    await session.execute(update(ImportJob).where(ImportJob.id == job.id).values(counts=dict(counts)))


_LEFT: Final = text(
    "select row, party_id from imported_party where job_id = :job and row = any(cast(:rows as int[]))"
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
