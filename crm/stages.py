"""The one way to move: stages of leads (and of every later kind of record) change through `move`, whoever asks for it.

A kind of record tells its peculiarities in a `RecordKind`; form, board, API, import and the journal call the same function.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Conflict, Invalid, NotFound
from crm.rights import Access, condition
from crm.schema.access import User
from crm.schema.journals import ChangeLog
from crm.schema.stages import Hold, Scheme, StageVisit
from crm.schemes import reason_of, require_open, requirements_of, scheme_of, stage_names
from crm.sources import as_stored
from crm.stage_rules import (
    MoveNotAllowed,
    Outcome,
    SchemeInfo,
    StageIncomplete,
    StageInfo,
    missing_fields,
    permitted,
)

MAX_COMMENT: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordKind:
    """What the engine must know of a kind of record."""

    name: str  # lead
    model: Any  # its table, with scheme_id, stage_id, state, owner_id, team_id, version
    visit_of: Any  # the column of `StageVisit` that names the record
    hold_of: Any  # the column of `Hold`
    edit_right: str
    reopen_right: str
    ended_states: Mapping[Outcome, str]  # the state of a record that stands in a stage of this outcome
    field_names: Mapping[str, str]  # what a stage may ask for → its name, a message id
    present: Callable[
        [AsyncSession, Any, Collection[str]], Awaitable[Mapping[str, Any]]
    ]  # of these, what it has
    read_fields: Callable[
        [Mapping[str, Any]], dict[str, Any]
    ]  # what a move fills in, checked. Raises Invalid
    failed: Callable[[int, str, datetime], dict[str, Any]]  # reason, note, when → the columns of a failure
    reopened: Callable[[Any], dict[str, Any]]  # the columns to write when the record is opened again


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What is asked: where to, what is filled in on the way, and on which version it is based.

    `ends` are the columns that only the end of a record writes (converted to whom, when); `reason`: for failure, its id, or the
    code of a system one. `via`: form, board, call_window, api, import, scenario, archive, journal, merge, command.
    """

    to_stage_id: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    comment: str = ""
    base_version: int | None = None  # None: whatever it is now
    ends: Mapping[str, Any] = field(default_factory=dict)
    reason: int | str | None = None
    via: str = "form"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Where the record stands now. `has_moved` is false if it stood there already."""

    record_id: int
    stage: StageInfo
    was: StageInfo
    version: int
    has_moved: bool


async def move(session: AsyncSession, access: Access, kind: RecordKind, record_id: int, asked: Move) -> Moved:
    """Move a record to another stage of its scheme; the caller owns the transaction.

    Raises:
        NotAllowed, NotFound, Conflict (changed meanwhile), SchemeOfOthers, MoveNotAllowed (tells the permitted stages),
        StageIncomplete (tells every missing field), Invalid (a field, the reason).
    """
    record = await locked(session, access, kind, record_id, base_version=asked.base_version)
    scheme = await scheme_of(session, record.scheme_id)
    await require_open(session, access, scheme)
    was, wanted = await _ends_of(session, scheme, record.stage_id, asked.to_stage_id)
    if was.id == wanted.id:
        return Moved(record_id=record.id, stage=wanted, was=was, version=record.version, has_moved=False)
    if was.outcome is not Outcome.OPEN:
        record = await locked(session, access, kind, record_id, right=kind.reopen_right)
    _require_permitted(scheme, was, wanted)
    fields = kind.read_fields(asked.fields)
    is_copied = asked.via == "import" and access.may("import")  # stages as they were elsewhere
    if not is_copied:
        await require_complete(session, kind, record, was, wanted, fields)
    changes = {
        **fields,
        **await _state_after(session, kind, record, was, wanted, asked),
        "stage_id": wanted.id,
    }
    now = await clock(session)
    if record.state == "on_hold":
        await _end_hold(session, access, kind, record.id, now)
    version = await write(
        session, access, kind, record, changes, event=f"{kind.name}.stage_entered", via=asked.via
    )
    await enter(session, access, kind, record.id, wanted.id, at=now, via=asked.via, comment=asked.comment)
    return Moved(record_id=record.id, stage=wanted, was=was, version=version, has_moved=True)


async def hold(
    session: AsyncSession,
    access: Access,
    kind: RecordKind,
    record_id: int,
    *,
    reason: str = "",
    resume_on: date | None = None,
    base_version: int | None = None,
    via: str = "form",
) -> int:
    """Pause an open record until a day, or until somebody resumes it. Returns the version.

    Raises:
        NotAllowed, NotFound, Conflict, Invalid (it is not open).
    """
    record = await locked(session, access, kind, record_id, base_version=base_version)
    if record.state != "open":
        raise Invalid("state", record.state, "Only an open record can be paused.")
    row = {
        kind.hold_of.key: record.id,
        "from_at": await clock(session),
        "reason": reason.strip()[:MAX_COMMENT] or None,
        "resume_on": resume_on,
        "by_id": access.actor_id,
    }
    version = await write(
        session, access, kind, record, {"state": "on_hold"}, event=f"{kind.name}.held", via=via
    )
    await session.execute(insert(Hold).values(row))
    return version


async def resume(
    session: AsyncSession,
    access: Access,
    kind: RecordKind,
    record_id: int,
    *,
    base_version: int | None = None,
    via: str = "form",
) -> int:
    """End the pause of a record; one that is open already stays so. Returns the version.

    Raises:
        NotAllowed, NotFound, Conflict, Invalid (it is over).
    """
    record = await locked(session, access, kind, record_id, base_version=base_version)
    if record.state == "open":
        version: int = record.version
        return version
    if record.state != "on_hold":
        raise Invalid("state", record.state, "This record is over. Reopen it first.")
    await _end_hold(session, access, kind, record.id, await clock(session))
    return await write(
        session, access, kind, record, {"state": "open"}, event=f"{kind.name}.resumed", via=via
    )


async def locked(
    session: AsyncSession,
    access: Access,
    kind: RecordKind,
    record_id: int,
    *,
    right: str | None = None,
    base_version: int | None = None,
) -> Any:
    """The record for changing, locked until the transaction ends; its scheme stays as it is for so long.

    Everybody locks in one order, or two would wait for one another: parties, the scheme, the record; of several, by id.

    Raises:
        NotAllowed, NotFound, Conflict (`base_version` is not the present one).
    """
    right = right or kind.edit_right
    access.require(right)
    await _keep_scheme(session, kind, record_id)
    query = select(kind.model).where(kind.model.id == record_id, kind.model.deleted_at.is_(None))
    record = await session.scalar(
        query.where(condition(access, right, kind.model))
        .with_for_update(of=kind.model, key_share=True)
        .execution_options(populate_existing=True)
    )
    if record is None:
        raise NotFound(kind.name, record_id)
    if base_version is not None and base_version != record.version:
        raise Conflict({}, record.version, await _changed_by(session, kind, record_id))
    return record


async def _keep_scheme(session: AsyncSession, kind: RecordKind, record_id: int) -> None:
    """Nobody takes a stage away from under a record that is about to enter it (`crm.scheme_editing`)."""
    of_record = select(kind.model.scheme_id).where(kind.model.id == record_id).scalar_subquery()
    kept = select(Scheme.id).where(Scheme.id == of_record)
    await session.execute(kept.with_for_update(read=True, key_share=True))


async def write(
    session: AsyncSession,
    access: Access,
    kind: RecordKind,
    record: Any,
    changes: Mapping[str, Any],
    *,
    event: str | None = None,
    via: str,
) -> int:
    """Write these columns of a locked record, with change log and outbox event. Returns the version."""
    changes = await as_stored(session, changes)
    before = {name: getattr(record, name) for name in changes}
    record_id, version = record.id, record.version
    changed = await record_change(
        session, access, kind.name, record_id, before=before, after=dict(changes), event=event, via=via
    )
    if not changed:
        return int(version)
    new = {name: changes[name] for name in changed} | {"version": version + 1, "updated_at": func.now()}
    await session.execute(update(kind.model).where(kind.model.id == record_id).values(new))
    await session.refresh(record)
    return int(version) + 1


async def enter(
    session: AsyncSession,
    access: Access,
    kind: RecordKind,
    record_id: int,
    stage_id: int,
    *,
    at: datetime,
    via: str,
    comment: str = "",
) -> None:
    """Close the open visit of a record, if it has one, and open the next."""
    of_record = kind.visit_of == record_id
    open_visit = update(StageVisit).where(of_record, StageVisit.left_at.is_(None))
    await session.execute(open_visit.values(left_at=func.greatest(at, StageVisit.entered_at)))
    owner = select(kind.model.owner_id, kind.model.team_id).where(kind.model.id == record_id)
    owner_id, team_id = (await session.execute(owner)).one()
    visit = {
        kind.visit_of.key: record_id,
        "stage_id": stage_id,
        "entered_at": at,
        "by_id": access.actor_id,
        "via": via,
        "owner_id": owner_id,
        "team_id": team_id,
        "comment": comment.strip()[:MAX_COMMENT] or None,
    }
    await session.execute(insert(StageVisit).values(visit))


async def require_complete(
    session: AsyncSession,
    kind: RecordKind,
    record: Any,
    was: StageInfo | None,
    wanted: StageInfo,
    fields: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Raises StageIncomplete with everything that `lacks` finds."""
    if missing := await lacks(session, kind, record, was, wanted, fields):
        raise StageIncomplete(wanted.name, {name: kind.field_names.get(name, name) for name in missing})


async def lacks(
    session: AsyncSession,
    kind: RecordKind,
    record: Any,
    was: StageInfo | None,
    wanted: StageInfo,
    fields: Mapping[str, Any] = MappingProxyType({}),
) -> list[str]:
    """What leaving the one stage (None: the record begins) and entering the other ask for that neither record nor `fields` have."""
    requirements = await requirements_of(session, *{each.id for each in (was, wanted) if each is not None})
    stored = {each.field for each in requirements} - set(fields)
    present = {**(await kind.present(session, record, stored) if stored else {}), **fields}
    return missing_fields(requirements, was, wanted, present)


async def clock(session: AsyncSession) -> datetime:
    """The database's time at this very moment: of two moves in one transaction the later one has the later time."""
    now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return now


async def _ends_of(
    session: AsyncSession, scheme: SchemeInfo, from_id: int, to_id: int
) -> tuple[StageInfo, StageInfo]:
    """Where the record stands (perhaps in a stage that is archived now), and where it is to go."""
    was = scheme.stage(from_id) or (await stage_names(session, {from_id}))[from_id]
    wanted = scheme.stage(to_id)
    if wanted is None:
        raise Invalid("stage_id", to_id, "There is no such stage in the scheme of this record.")
    return was, wanted


def _require_permitted(scheme: SchemeInfo, was: StageInfo, wanted: StageInfo) -> None:
    allowed = permitted(scheme, was)
    if wanted not in allowed:
        shown = [stage for stage in allowed if stage.outcome is not Outcome.FAILURE]
        raise MoveNotAllowed(was.name, wanted.name, shown)


async def _state_after(
    session: AsyncSession, kind: RecordKind, record: Any, was: StageInfo, wanted: StageInfo, asked: Move
) -> dict[str, Any]:
    """State and what goes with it: an end has its columns, a failure its reason, a reopened record neither."""
    after: dict[str, Any] = {"state": kind.ended_states.get(wanted.outcome, "open"), **asked.ends}
    if wanted.outcome is Outcome.FAILURE:
        reason_id = await reason_of(session, kind.name, asked.reason)
        after |= kind.failed(reason_id, asked.comment.strip()[:MAX_COMMENT], await clock(session))
    elif was.outcome is not Outcome.OPEN:
        after |= kind.reopened(record)
    return after


async def _end_hold(
    session: AsyncSession, access: Access, kind: RecordKind, record_id: int, at: datetime
) -> None:
    ended = {"to_at": func.greatest(at, Hold.from_at), "ended_by_id": access.actor_id}
    await session.execute(update(Hold).where(kind.hold_of == record_id, Hold.to_at.is_(None)).values(ended))


async def _changed_by(session: AsyncSession, kind: RecordKind, record_id: int) -> str:
    name = await session.scalar(
        select(User.name)
        .join(ChangeLog, ChangeLog.actor_id == User.id)
        .where(ChangeLog.record_kind == kind.name, ChangeLog.record_id == str(record_id))
        .order_by(ChangeLog.id.desc())
        .limit(1)
    )
    return name or "—"
