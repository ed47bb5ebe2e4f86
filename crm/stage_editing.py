"""The administrator's side of stages: adding, naming, ordering, what each asks for, and the archive.

A stage in use is not broken: what stands in it moves to the stage that replaces it, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import case, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change, record_many
from crm.errors import CrmError, Invalid, NotFound, Taken
from crm.lead_values import OPEN_STATES, REQUIRABLE
from crm.lines import checked_colour
from crm.names import checked_name
from crm.rights import Access
from crm.schema.leads import Lead
from crm.schema.stages import Scheme, Stage, StageRequirement, StageVisit
from crm.scheme_editing import locked_scheme, require_version, stages_in_use, standing_in
from crm.stage_rules import Outcome

MOST_STAGES: Final = 30  # open ones of a scheme: more is no board any more
MOST_MOVED: Final = 50_000
ROWS_AT_ONCE: Final = 1_000
LONGEST_SECONDS: Final = 366 * 86_400
MOMENTS: Final = ("enter", "leave")
_RIGHT: Final = "directory.manage"


class StageInUse(CrmError):
    """Records stand in a stage that is to be archived, and nobody said where they go."""

    template = "Leads stand in “%(stage)s”. Choose the stage that they move to."
    field = "replaced_by"

    def __init__(self, stage: str) -> None:
        self.messages = {"stage": [stage]}
        super().__init__(stage=stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageValues:
    """What the administrator says of a stage. `sla_seconds`: how long a record should stand there at most."""

    name: str
    colour: str | None = None
    probability: int | None = None  # per cent
    sla_seconds: int | None = None
    enter: frozenset[str] = frozenset()  # fields (`crm.lead_values.REQUIRABLE`) that must be filled to enter
    leave: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """A stage as the administrator sees it. `standing`: the open records in it, up to `crm.scheme_editing.MOST_COUNTED`."""

    id: int
    scheme_id: int
    outcome: Outcome
    archived_at: datetime | None
    replaced_by: str | None
    standing: int
    version: int
    values: StageValues

    @property
    def name(self) -> str:
        return self.values.name


async def stage_rows(session: AsyncSession, access: Access, scheme_id: int) -> list[StageRow]:
    """The stages of a scheme: the open ones in order, success, failure, then what is archived.

    Raises:
        NotAllowed.
    """
    access.require(_RIGHT)
    order = case({"open": 0, "success": 1, "failure": 2}, value=Stage.outcome)
    rows = await session.scalars(
        select(Stage)
        .where(Stage.scheme_id == scheme_id)
        .order_by(Stage.archived_at.is_not(None), order, Stage.position, Stage.id)
        .execution_options(populate_existing=True)
    )
    stages = rows.all()
    names = {stage.id: stage.name for stage in stages}
    asked = await _asked(session, list(names))
    return [
        StageRow(
            id=stage.id,
            scheme_id=scheme_id,
            outcome=Outcome(stage.outcome),
            archived_at=stage.archived_at,
            replaced_by=names.get(stage.replaced_by_id or 0),
            standing=await standing_in(session, stage.id),
            version=stage.version,
            values=_values(stage, asked),
        )
        for stage in stages
    ]


async def stage_row(session: AsyncSession, access: Access, stage_id: int) -> StageRow:
    """One of them.

    Raises:
        NotAllowed, NotFound.
    """
    access.require(_RIGHT)
    stage = await session.get(Stage, stage_id, populate_existing=True)
    scheme = None if stage is None else await session.get(Scheme, stage.scheme_id)
    if scheme is None or scheme.object_kind != "lead":
        raise NotFound("stage", stage_id)
    return next(row for row in await stage_rows(session, access, scheme.id) if row.id == stage_id)


async def add_stage(
    session: AsyncSession, access: Access, scheme_id: int, values: StageValues, *, via: str = "form"
) -> int:
    """A further open stage, the last of them.

    Raises:
        NotAllowed, NotFound, Invalid, Taken.
    """
    access.require(_RIGHT)
    await locked_scheme(session, scheme_id)
    present = await _present(session, scheme_id)
    going = [stage for stage in present if stage.outcome == Outcome.OPEN]
    if len(going) >= MOST_STAGES:
        raise Invalid("name", values.name, "A scheme has at most %(most)d open stages.", most=MOST_STAGES)
    row = _columns(values, present) | {
        "scheme_id": scheme_id,
        "position": max((stage.position for stage in going), default=0) + 1,
        "created_by": access.actor_id,
    }
    stage_id: int = (await session.execute(insert(Stage).values(row).returning(Stage.id))).scalar_one()
    after = row | {"enter": sorted(values.enter), "leave": sorted(values.leave)}
    await record_change(session, access, "stage", stage_id, after=after, via=via)
    await _ask(session, stage_id, values)
    return stage_id


async def edit_stage(
    session: AsyncSession,
    access: Access,
    stage_id: int,
    values: StageValues,
    *,
    version: int,
    via: str = "form",
) -> None:
    """Another name, colour, limit, and other fields that it asks for; what stands in it stays, whatever it lacks.

    Raises:
        NotAllowed, NotFound, Conflict, Invalid, Taken.
    """
    access.require(_RIGHT)
    stage = await _locked(session, stage_id)
    others = [each for each in await _present(session, stage.scheme_id) if each.id != stage_id]
    columns = _columns(values, others)
    stored = _values(stage, await _asked(session, [stage_id]))
    before = {name: getattr(stage, name) for name in columns} | _told(stored)
    after = columns | _told(values)
    await require_version(session, "stage", stage, version, before, after)
    if await record_change(session, access, "stage", stage_id, before=before, after=after, via=via):
        await _write(session, stage, columns)
        await _ask(session, stage_id, values)


async def move_stage(
    session: AsyncSession, access: Access, stage_id: int, *, up: bool, via: str = "form"
) -> None:
    """One place earlier or later among the open stages; at an end it stays.

    Raises:
        NotAllowed, NotFound.
    """
    access.require(_RIGHT)
    stage = await _locked(session, stage_id)
    present = await _present(session, stage.scheme_id)
    going = [each for each in present if each.outcome == Outcome.OPEN]
    here = next((place for place, each in enumerate(going) if each.id == stage_id), None)
    if here is None or not 0 <= (there := here - 1 if up else here + 1) < len(going):
        return
    other, mine, theirs = going[there], stage.position, going[there].position
    # The index keeps positions apart at every moment: the moved one steps aside first.
    await session.execute(update(Stage).where(Stage.id == stage_id).values(position=-stage_id))
    for each, was, place in ((other, theirs, mine), (stage, mine, theirs)):
        before, after = {"position": was}, {"position": place}
        await record_change(session, access, "stage", each.id, before=before, after=after, via=via)
        await _write(session, each, after)


async def place_stage(
    session: AsyncSession, access: Access, stage_id: int, place: int, *, via: str = "form"
) -> None:
    """To this place among the open stages, counted from 1; beyond the end it is the last one.

    Raises:
        NotAllowed, NotFound.
    """
    access.require(_RIGHT)
    stage = await _locked(session, stage_id)
    present = await _present(session, stage.scheme_id)
    going = [each.id for each in present if each.outcome == Outcome.OPEN]
    if stage_id not in going:
        return
    here, there = going.index(stage_id), min(place, len(going)) - 1
    for _step in range(abs(there - here)):
        await move_stage(session, access, stage_id, up=there < here, via=via)


async def archive_stage(
    session: AsyncSession,
    access: Access,
    stage_id: int,
    *,
    replaced_by_id: int | None = None,
    via: str = "form",
) -> int:
    """The stage is offered no more; what stands in it moves to its replacement. Returns how many did.

    Raises:
        NotAllowed, NotFound, Invalid (an end, the last open stage, a replacement that is none), StageInUse.
    """
    access.require(_RIGHT)
    stage = await _locked(session, stage_id)
    if stage.archived_at is not None:
        return 0
    others = [
        each
        for each in await _present(session, stage.scheme_id)
        if each.id != stage_id and each.outcome == Outcome.OPEN
    ]
    if stage.outcome != Outcome.OPEN or not others:
        why = "A scheme keeps its two ends and one open stage. Rename this one instead."
        raise Invalid("stage", stage.name, why)
    if replaced_by_id is not None and replaced_by_id not in {each.id for each in others}:
        why = "Leads move to another open stage of the same scheme."
        raise Invalid("replaced_by", replaced_by_id, why)
    moved = await _move_out(session, access, stage, replaced_by_id)
    archived = {"archived_at": datetime.now(UTC), "replaced_by_id": replaced_by_id}
    before = dict.fromkeys(archived)
    await record_change(session, access, "stage", stage_id, before=before, after=archived, via=via)
    await _write(session, stage, archived)
    return moved


async def restore_stage(session: AsyncSession, access: Access, stage_id: int, *, via: str = "form") -> None:
    """Offered again, as the last open one. What moved out of it stays where it is.

    Raises:
        NotAllowed, NotFound, Taken (another stage has its name now).
    """
    access.require(_RIGHT)
    stage = await _locked(session, stage_id)
    if stage.archived_at is None:
        return
    present = await _present(session, stage.scheme_id)
    _free_name(stage.name, present)
    last = max((each.position for each in present if each.outcome == Outcome.OPEN), default=0)
    after = {"archived_at": None, "replaced_by_id": None, "position": last + 1}
    before = {name: getattr(stage, name) for name in after}
    await record_change(session, access, "stage", stage_id, before=before, after=after, via=via)
    await _write(session, stage, after)


async def _move_out(session: AsyncSession, access: Access, stage: Stage, to_id: int | None) -> int:
    """Everything that stands there, by the thousand: each statement has its two seconds."""
    moved = 0
    while ids := await _next_leads(session, stage.id):
        if to_id is None:
            raise StageInUse(stage.name)
        if moved >= MOST_MOVED:
            why = "More than %(most)d leads stand there. Move or end some of them first."
            raise Invalid("stage", stage.name, why, most=MOST_MOVED)
        await _move_page(session, access, ids, stage.id, to_id)
        moved += len(ids)
    return moved


async def _next_leads(session: AsyncSession, stage_id: int) -> list[int]:
    """Deleted ones, too: restored, they must not stand in a stage that nobody sees."""
    query = select(Lead.id).where(Lead.stage_id == stage_id, Lead.state.in_(OPEN_STATES))
    locked = query.order_by(Lead.id).limit(ROWS_AT_ONCE).with_for_update(key_share=True)
    return list(await session.scalars(locked))


async def _move_page(
    session: AsyncSession, access: Access, ids: Collection[int], from_id: int, to_id: int
) -> None:
    change = ({"stage_id": from_id}, {"stage_id": to_id})
    await record_many(session, access, "lead", dict.fromkeys(ids, change), via="archive")
    now = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    left = {"left_at": func.greatest(now, StageVisit.entered_at)}
    open_visits = (StageVisit.lead_id.in_(ids), StageVisit.left_at.is_(None))
    await session.execute(update(StageVisit).where(*open_visits).values(left))
    moved = {"stage_id": to_id, "version": Lead.version + 1, "updated_at": func.now()}
    rows = await session.execute(
        update(Lead).where(Lead.id.in_(ids)).values(moved).returning(Lead.id, Lead.owner_id, Lead.team_id)
    )
    common = {"stage_id": to_id, "entered_at": now, "by_id": access.actor_id, "via": "archive"}
    visits = [
        common | {"lead_id": lead_id, "owner_id": owner_id, "team_id": team_id}
        for lead_id, owner_id, team_id in rows
    ]
    await session.execute(insert(StageVisit), visits)


async def _locked(session: AsyncSession, stage_id: int) -> Stage:
    """The stage, behind its scheme."""
    scheme_id = await session.scalar(select(Stage.scheme_id).where(Stage.id == stage_id))
    if scheme_id is None:
        raise NotFound("stage", stage_id)
    await locked_scheme(session, scheme_id)
    return await session.get_one(Stage, stage_id, populate_existing=True)


async def _present(session: AsyncSession, scheme_id: int) -> list[Stage]:
    query = stages_in_use(scheme_id).order_by(Stage.position, Stage.id)
    return list(await session.scalars(query.execution_options(populate_existing=True)))


def _columns(values: StageValues, others: Collection[Stage]) -> dict[str, Any]:
    """The columns to store. Raises Invalid, Taken."""
    for name in values.enter | values.leave:
        if name not in REQUIRABLE:
            raise Invalid("fields", name[:50], "There is no field “%(name)s” to require.", name=name[:50])
    if values.probability is not None and not 0 <= values.probability <= 100:
        raise Invalid("probability", values.probability, "A probability is 0 to 100 per cent.")
    if values.sla_seconds is not None and not 0 < values.sla_seconds <= LONGEST_SECONDS:
        raise Invalid("sla", values.sla_seconds, "A limit is longer than nothing and at most a year.")
    return {
        "name": _free_name(values.name, others),
        "colour": checked_colour(values.colour),
        "probability": values.probability,
        "sla_seconds": values.sla_seconds,
    }


def _free_name(name: str, others: Collection[Stage]) -> str:
    name = checked_name(name)
    if name.lower() in {other.name.lower() for other in others}:
        raise Taken("name", name)
    return name


def _told(values: StageValues) -> dict[str, list[str]]:
    return {"enter": sorted(values.enter), "leave": sorted(values.leave)}


def _values(stage: Stage, asked: dict[tuple[int, str], frozenset[str]]) -> StageValues:
    return StageValues(
        name=stage.name,
        colour=stage.colour,
        probability=stage.probability,
        sla_seconds=stage.sla_seconds,
        enter=asked.get((stage.id, "enter"), frozenset()),
        leave=asked.get((stage.id, "leave"), frozenset()),
    )


async def _asked(session: AsyncSession, stage_ids: Collection[int]) -> dict[tuple[int, str], frozenset[str]]:
    rows = await session.execute(
        select(StageRequirement.stage_id, StageRequirement.moment, StageRequirement.field).where(
            StageRequirement.stage_id.in_(stage_ids)
        )
    )
    found: dict[tuple[int, str], frozenset[str]] = {}
    for stage_id, moment, name in rows:
        found[stage_id, moment] = found.get((stage_id, moment), frozenset()) | {name}
    return found


async def _ask(session: AsyncSession, stage_id: int, values: StageValues) -> None:
    """Exactly these fields, in the order in which a form asks for them."""
    await session.execute(delete(StageRequirement).where(StageRequirement.stage_id == stage_id))
    rows = [
        {"stage_id": stage_id, "moment": moment, "field": name}
        for moment in MOMENTS
        for name in REQUIRABLE
        if name in getattr(values, moment)
    ]
    if rows:
        await session.execute(insert(StageRequirement), rows)


async def _write(session: AsyncSession, stage: Stage, values: dict[str, Any]) -> None:
    changed = {**values, "version": stage.version + 1, "updated_at": func.now()}
    await session.execute(update(Stage).where(Stage.id == stage.id).values(changed))
