"""Import jobs: a file taken in, its columns given a meaning, started, stopped, undone. The work itself is `crm.importing.batches`.

States: uploaded → mapped (the rows are being checked) → previewed → running ⇄ stopped → finished → undoing ⇄ undo_stopped → undone.
Each change is one statement that names the state it comes from, so that two tabs cannot both start a job.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import and_, delete, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import log_access, notify
from crm.errors import CrmError, Invalid, NotFound
from crm.importing.fields import FIELDS, SEVERAL, guess_columns, header_key
from crm.importing.job_info import JobInfo, job_info
from crm.importing.plans import Policy, RowProblem
from crm.importing.rules import own_fields
from crm.importing.telling import forget
from crm.names import normal_name
from crm.party_kinds import list_kinds
from crm.rights import Access
from crm.schema.access import User
from crm.schema.imports import ImportedParty, ImportJob, ImportMapping, ImportRow

IMPORT_CHANNEL: Final = "ringcard_import"  # payload: the id of a job that has work to do
MOST_NAME: Final = 200
SAMPLE_ROWS: Final = 50
TOLD_COLUMNS: Final = 2  # that stand behind those of the file when refused rows are handed out: row, reason
FAULT: Final = "fault-"  # with a field: the rows in which it is wrong
_ABANDONED: Final = timedelta(hours=1)  # an upload that was cut off


class WrongState(CrmError):
    """The job is elsewhere meanwhile: another tab, another person, or the work is done."""

    template = "This import is in another state meanwhile (%(state)s). Reload the page."

    def __init__(self, state: str) -> None:
        super().__init__(state=state)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowInfo:
    """A row of the file with what was found in it. `known_name`: the client it is about, if there is one."""

    row: int
    state: str
    verdict: str | None
    cells: tuple[str, ...]
    problems: tuple[RowProblem, ...]
    party_id: int | None
    names: tuple[str, ...] = ()  # of organisation and person, as they will be stored


async def begin(session: AsyncSession, access: Access, file_name: str) -> int:
    """A new job, whose rows come with `add_rows`. Raises NotAllowed."""
    access.require("import")
    old = ImportJob.created_at < func.now() - _ABANDONED
    await session.execute(delete(ImportJob).where(ImportJob.state == "reading", old))
    name = " ".join(file_name.replace("\\", "/").rpartition("/")[2].split())[:MOST_NAME] or "—"
    made = insert(ImportJob).values(file_name=name, created_by=access.actor_id).returning(ImportJob.id)
    return (await session.execute(made)).scalar_one()


async def add_rows(session: AsyncSession, job_id: int, rows: Sequence[tuple[int, Sequence[str]]]) -> None:
    """Some rows of the file, with their numbers."""
    statement = text(
        "insert into import_row (job_id, row, cells) select :job, (each->>0)::int, each->1 "
        "from jsonb_array_elements(cast(:rows as jsonb)) as each"
    )
    await session.execute(statement, {"job": job_id, "rows": msgspec.json.encode(rows).decode()})


async def complete(
    session: AsyncSession,
    access: Access,
    job_id: int,
    header: Sequence[str],
    details: Mapping[str, Any],
    from_address: str | None,
) -> None:
    """The file is in: guess what its columns mean, or remember what they meant the last time."""
    sample = await session.scalars(
        select(ImportRow.cells).where(ImportRow.job_id == job_id).order_by(ImportRow.row).limit(SAMPLE_ROWS)
    )
    total = await session.scalar(
        select(func.count()).select_from(ImportRow).where(ImportRow.job_id == job_id)
    )
    key = header_key(header)
    known, more = await _remembered(session, header)
    own = {each.column: each.name for each in await own_fields(session)}
    named = {normal_name(name): column for column, name in own.items()}
    columns = guess_columns(header, list(sample), named)
    if known:
        kept = _still_there(known.columns, own)
        columns = [*kept, *_besides(kept, columns[len(columns) - more :] if more else [])]
    values = {
        "state": "uploaded",
        "header": list(header),
        "header_key": key,
        "columns": columns,
        "policy": known.policy if known else msgspec.to_builtins(Policy()),
        "details": {**details, "is_remembered": known is not None},
        "total_rows": total,
    }
    await session.execute(update(ImportJob).where(ImportJob.id == job_id).values(values))
    await log_access(
        session,
        "import_uploaded",
        access,
        from_address=from_address,
        record_kind="import",
        record_id=job_id,
        detail={"rows": total},
    )


async def _remembered(session: AsyncSession, header: Sequence[str]) -> tuple[ImportMapping | None, int]:
    """What these columns meant the last time, and how many stand behind them: refused rows come back with their number and reason."""
    for more in (0, TOLD_COLUMNS) if all(header[-TOLD_COLUMNS:]) else (0,):  # told ones have a heading
        key = header_key(header[: len(header) - more])
        known = await session.scalar(select(ImportMapping).where(ImportMapping.header_key == key))
        if known is not None and len(known.columns) == len(header) - more:
            return known, more
    return None, 0


def _besides(kept: Sequence[str], guessed: Sequence[str]) -> list[str]:
    """Guesses of further columns, without what stands once only and is there."""
    return [field if field in SEVERAL or field not in kept else "" for field in guessed]


def _still_there(columns: Sequence[str], own: Collection[str]) -> list[str]:
    """Remembered columns, without the own fields that were archived since."""
    return [field if field in FIELDS or field in own else "" for field in columns]


async def abandon(session: AsyncSession, job_id: int) -> None:
    """The file could not be read: nothing of it is kept."""
    await session.execute(delete(ImportJob).where(ImportJob.id == job_id, ImportJob.state == "reading"))


async def set_mapping(
    session: AsyncSession, access: Access, job_id: int, columns: Sequence[str], policy: Policy
) -> None:
    """Say what the columns mean and what is to be done; the rows are then checked. Remembered for this header.

    Raises:
        NotAllowed, NotFound, Invalid, WrongState (the import has begun).
    """
    job = await read_job(session, access, job_id)
    check_columns(columns, len(job.header), [each.column for each in await own_fields(session)])
    await _check_policy(session, access, policy)
    stored = {"columns": list(columns), "policy": msgspec.to_builtins(policy)}
    fresh = {"state": "mapped", "checked_rows": 0, "counts": {}, "trouble": None}
    key = await _move(session, access, job_id, ("uploaded", "mapped", "previewed"), **stored, **fresh)
    reset: dict[str, Any] = {"state": "read", "plan": None, "verdict": None, "problems": [], "party_id": None}
    await session.execute(
        update(ImportRow).where(ImportRow.job_id == job_id, ImportRow.state != "read").values(reset)
    )
    remembered = upsert(ImportMapping).values(header_key=key, **stored)
    await session.execute(
        remembered.on_conflict_do_update(
            index_elements=["header_key"], set_={**stored, "updated_at": func.now()}
        )
    )
    await notify(session, IMPORT_CHANNEL, job_id)


def check_columns(columns: Sequence[str], width: int, own: Collection[str] = ()) -> None:
    """Each column means one thing, and what may stand once only stands once. `own`: columns of the company's own fields.

    Raises:
        Invalid: names the field and the remedy.
    """
    if len(columns) != width:
        why = "The file has %(width)d columns: say of each what it means, or nothing."
        raise Invalid("columns", len(columns), why, width=width)
    for field in filter(None, columns):
        if field not in FIELDS and field not in own:
            raise Invalid("columns", field, "There is no field “%(name)s”.", name=field[:50])
        if field not in SEVERAL and list(columns).count(field) > 1:
            raise Invalid("columns", field, "Two columns cannot both be “%(name)s”.", name=field)
    if not {"organisation", "full_name", "person", "last_name", "first_name"} & set(columns):
        raise Invalid("columns", "", "Say which column has the name of the organisation or of the person.")


async def _check_policy(session: AsyncSession, access: Access, policy: Policy) -> None:
    kinds = {kind.code for kind in await list_kinds(session)}
    if policy.default_kind and policy.default_kind not in kinds:
        kind = policy.default_kind[:50]
        raise Invalid("default_kind", kind, "There is no kind “%(kind)s”.", kind=kind)
    if policy.owner_id is None:
        return
    if policy.owner_id != access.actor_id:
        access.require("party.change_owner")
    query = select(User.id).where(User.id == policy.owner_id, User.status == "active")
    if await session.scalar(query) is None:
        raise NotFound("user", policy.owner_id)


async def start(session: AsyncSession, access: Access, job_id: int) -> None:
    """Begin, or go on after a stop. Raises NotAllowed, NotFound, WrongState."""
    access.require("party.create")
    job = await read_job(session, access, job_id)
    values: dict[str, Any] = {"state": "running", "trouble": None}
    if job.state == "previewed":  # from here on outcomes are counted, no longer expectations
        of_job = (ImportRow.job_id == job_id, ImportRow.state == "refused")
        refused = await session.scalar(select(func.count()).select_from(ImportRow).where(*of_job)) or 0
        values |= {"counts": {"refused": refused}, "done_rows": refused, "started_at": func.now()}
    await _move(session, access, job_id, ("previewed", "stopped"), **values)
    await log_access(session, "import_started", access, record_kind="import", record_id=job_id)
    await notify(session, IMPORT_CHANNEL, job_id)


async def stop(session: AsyncSession, access: Access, job_id: int) -> None:
    """After the batch that is being written, or undone. Raises NotAllowed, NotFound, WrongState."""
    before = (await read_job(session, access, job_id)).state
    after = {"undoing": "undo_stopped"}.get(before, "stopped")
    await _move(session, access, job_id, ("undoing" if before == "undoing" else "running",), state=after)


async def undo(session: AsyncSession, access: Access, job_id: int) -> None:
    """Put what this import created and nobody touched since into the bin, or go on with it.

    Raises:
        NotAllowed, NotFound, WrongState.
    """
    access.require("party.delete")
    before = ("finished", "stopped", "undo_stopped")
    await _move(session, access, job_id, before, state="undoing", trouble=None)
    await log_access(session, "import_undone", access, record_kind="import", record_id=job_id)
    await notify(session, IMPORT_CHANNEL, job_id)


async def remove(session: AsyncSession, access: Access, job_id: int) -> None:
    """Forget a job that did nothing, or whose doing was undone; clients it made stay otherwise.

    Raises:
        NotAllowed, NotFound, WrongState.
    """
    job = await read_job(session, access, job_id)
    idle = ("uploaded", "previewed", "undone")
    gone = delete(ImportJob).where(ImportJob.id == job_id, ImportJob.state.in_(idle)).returning(ImportJob.id)
    if await session.scalar(gone) is None:
        raise WrongState(job.state)
    await session.execute(delete(ImportedParty).where(ImportedParty.job_id == job_id))
    await forget(session, job_id)


async def _move(
    session: AsyncSession, access: Access, job_id: int, before: Sequence[str], **values: Any
) -> str:
    job = await read_job(session, access, job_id)
    here = update(ImportJob).where(ImportJob.id == job_id, ImportJob.state.in_(before))
    values |= {"acting_id": access.actor_id}
    key = await session.scalar(here.values(values).returning(ImportJob.header_key))
    if key is None:
        raise WrongState(job.state)
    return str(key)


async def list_jobs(session: AsyncSession, access: Access, most: int = 50) -> list[JobInfo]:
    """The latest imports of everybody. Raises NotAllowed."""
    access.require("import")
    query = _jobs().where(ImportJob.state != "reading").order_by(ImportJob.id.desc()).limit(most)
    return [job_info(job, name) for job, name in await session.execute(query)]


async def read_job(session: AsyncSession, access: Access, job_id: int) -> JobInfo:
    """Raises NotAllowed, NotFound."""
    access.require("import")
    query = _jobs().where(ImportJob.id == job_id, ImportJob.state != "reading")
    row = (await session.execute(query.execution_options(populate_existing=True))).first()
    if row is None:
        raise NotFound("import", job_id)
    return job_info(*row)


def _jobs() -> Any:
    return select(ImportJob, User.name).outerjoin(User, User.id == ImportJob.created_by)


async def sample_rows(session: AsyncSession, job_id: int, most: int = 5) -> list[RowInfo]:
    """The first rows, to show what the columns hold."""
    query = select(ImportRow).where(ImportRow.job_id == job_id).order_by(ImportRow.row).limit(most)
    return [_row(each) for each in await session.scalars(query)]


async def list_rows(
    session: AsyncSession, access: Access, job_id: int, *, show: str = "", after: int = 0, most: int = 50
) -> list[RowInfo]:
    """Rows in the file's order: all, of one state or verdict, `faulty` (there is something to say about them), `fault-FIELD`
    (something is wrong in this field), or `not_stored` (refused, or left alone by a rule).

    Raises:
        NotAllowed.
    """
    access.require("import")
    query = select(ImportRow).where(ImportRow.job_id == job_id, ImportRow.row > after)
    is_faulty = ImportRow.problems != text("'[]'::jsonb")
    if show == "faulty":
        query = query.where(is_faulty)
    elif show.startswith(FAULT):
        of_field = ImportRow.problems.contains([{"field": show.removeprefix(FAULT)}])
        query = query.where(is_faulty, of_field)
    elif show == "not_stored":
        by_rule = and_(ImportRow.state == "skipped", ImportRow.verdict.in_(("same_name", "skipped")))
        query = query.where(or_(ImportRow.state == "refused", by_rule))
    elif show in {"refused", "created", "updated", "skipped", "undone", "kept"}:
        query = query.where(ImportRow.state == show)
    elif show:
        query = query.where(ImportRow.verdict == show)
    return [_row(each) for each in await session.scalars(query.order_by(ImportRow.row).limit(most))]


def _row(row: ImportRow) -> RowInfo:
    return RowInfo(
        row=row.row,
        state=row.state,
        verdict=row.verdict,
        cells=tuple(row.cells),
        problems=tuple(msgspec.convert(row.problems, list[RowProblem])),
        party_id=row.party_id,
        names=_names(row.plan),
    )


def _names(plan: Mapping[str, Any] | None) -> tuple[str, ...]:
    sides = [plan.get(side) for side in ("organisation", "person")] if plan else []
    return tuple(side["party"]["display_name"] for side in sides if side)
