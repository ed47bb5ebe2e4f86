"""The administrator's side of schemes: making, copying, naming, how records move in them, who may use them, the archive.

Stages are `crm.stage_editing`. Everything here locks the scheme before its stages and records (`crm.stages.locked` keeps it for whoever
moves), so that no record enters what is being taken away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import last_author, record_change
from crm.errors import Conflict, CrmError, Invalid, NotFound, Taken
from crm.lead_values import OPEN_STATES
from crm.names import checked_name
from crm.rights import Access
from crm.schema.access import Team
from crm.schema.leads import Lead
from crm.schema.stages import Scheme, SchemeTeam, Stage, StageRequirement, Transition
from crm.stage_rules import MoveMode

MOST_SCHEMES: Final = 50
MOST_COUNTED: Final = 1_000
_RIGHT: Final = "directory.manage"
_FOR_EVERYBODY: Final = (
    "Leads of everybody come into the default scheme: it is neither archived nor kept for some teams."
)
# The stages that a scheme begins with: name (a message id), outcome.
_FIRST_STAGES: Final = (("New", "open"), ("Converted", "success"), ("Disqualified", "failure"))


class SchemeInUse(CrmError):
    """Records stand in it."""

    template = "“%(scheme)s” has open leads: %(count)s. Convert or disqualify them first."

    def __init__(self, scheme: str, count: str) -> None:
        self.messages = {"scheme": [scheme]}
        super().__init__(scheme=scheme, count=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeRow:
    """A scheme as the administrator sees it. `going`: its open records, up to `MOST_COUNTED`."""

    id: int
    name: str  # a message id, perhaps
    mode: MoveMode
    allows_step_back: bool
    is_default: bool
    archived_at: datetime | None
    version: int
    team_ids: frozenset[int]  # none: everybody
    stages: int
    going: int


async def scheme_rows(session: AsyncSession, access: Access) -> list[SchemeRow]:
    """All schemes of leads, the default one first, what is archived last.

    Raises:
        NotAllowed.
    """
    access.require(_RIGHT)
    order = (Scheme.archived_at.is_not(None), Scheme.is_default.desc(), Scheme.name, Scheme.id)
    rows = await session.scalars(
        select(Scheme)
        .where(Scheme.object_kind == "lead")
        .order_by(*order)
        .execution_options(populate_existing=True)
    )
    return [await _row(session, row) for row in rows.all()]


async def scheme_row(session: AsyncSession, access: Access, scheme_id: int) -> SchemeRow:
    """One of them.

    Raises:
        NotAllowed, NotFound.
    """
    access.require(_RIGHT)
    row = await session.get(Scheme, scheme_id, populate_existing=True)
    if row is None or row.object_kind != "lead":
        raise NotFound("scheme", scheme_id)
    return await _row(session, row)


async def create_scheme(
    session: AsyncSession, access: Access, name: str, *, copy_of: int | None = None, via: str = "form"
) -> int:
    """A new scheme with one open stage and its two ends, or with everything of another one; they share nothing.

    Raises:
        NotAllowed, NotFound (what is to be copied), Invalid, Taken.
    """
    access.require(_RIGHT)
    name = await _free_name(session, name)
    source = None if copy_of is None else await locked_scheme(session, copy_of)
    row: dict[str, Any] = {"object_kind": "lead", "name": name, "created_by": access.actor_id}
    if source is not None:
        row |= {"move_mode": source.move_mode, "allows_step_back": source.allows_step_back}
    scheme_id: int = (await session.execute(insert(Scheme).values(row).returning(Scheme.id))).scalar_one()
    await record_change(session, access, "scheme", scheme_id, after=row | {"copy_of": copy_of}, via=via)
    if source is not None:
        await _copy_stages(session, source.id, scheme_id)
    else:
        stages = [
            {"scheme_id": scheme_id, "position": position, "name": stage, "outcome": outcome}
            for position, (stage, outcome) in enumerate(_FIRST_STAGES, 1)
        ]
        await session.execute(insert(Stage), stages)
    return scheme_id


async def edit_scheme(
    session: AsyncSession,
    access: Access,
    scheme_id: int,
    *,
    version: int,
    name: str,
    mode: str,
    allows_step_back: bool,
    team_ids: Collection[int],
    via: str = "form",
) -> None:
    """Name, way of moving, and the teams that may use it (none: everybody).

    Raises:
        NotAllowed, NotFound (it, a team), Conflict, Invalid (no such way; the default scheme is everybody's), Taken.
    """
    access.require(_RIGHT)
    scheme = await locked_scheme(session, scheme_id)
    teams = await _team_ids(session, scheme_id)
    before = {
        "name": scheme.name,
        "move_mode": scheme.move_mode,
        "allows_step_back": scheme.allows_step_back,
        "teams": sorted(teams),
    }
    after = {
        "name": await _free_name(session, name, but=scheme_id),
        "move_mode": _mode(mode),
        "allows_step_back": allows_step_back,
        "teams": sorted(set(team_ids)),
    }
    await require_version(session, "scheme", scheme, version, before, after)
    if scheme.is_default and set(team_ids) - teams:
        raise Invalid("teams", scheme.name, _FOR_EVERYBODY)
    if not await record_change(session, access, "scheme", scheme_id, before=before, after=after, via=via):
        return
    columns = {name: value for name, value in after.items() if name != "teams"}
    await _write(session, scheme, columns)
    if set(team_ids) != teams:
        await _keep_for(session, scheme_id, team_ids)


async def set_transitions(
    session: AsyncSession,
    access: Access,
    scheme_id: int,
    wanted: Collection[tuple[int, int]],
    *,
    via: str = "form",
) -> None:
    """Exactly these moves are permitted where the scheme moves by matrix: (from, to).

    Raises:
        NotAllowed, NotFound, Invalid (a stage of another scheme, or an archived one).
    """
    access.require(_RIGHT)
    scheme = await locked_scheme(session, scheme_id)
    known = set(await session.scalars(stages_in_use(scheme_id).with_only_columns(Stage.id)))
    for origin, to in wanted:
        if origin not in known or to not in known or origin == to:
            raise Invalid("transitions", to, "A move leads from one stage of the scheme to another one.")
    rows = await session.execute(
        select(Transition.from_stage_id, Transition.to_stage_id).where(Transition.scheme_id == scheme_id)
    )
    present = sorted((origin, to) for origin, to in rows)
    before, after = {"transitions": present}, {"transitions": sorted(set(wanted))}
    if not await record_change(session, access, "scheme", scheme_id, before=before, after=after, via=via):
        return
    await _write(session, scheme, {})
    await session.execute(delete(Transition).where(Transition.scheme_id == scheme_id))
    if wanted:
        new = [
            {"scheme_id": scheme_id, "from_stage_id": origin, "to_stage_id": to} for origin, to in set(wanted)
        ]
        await session.execute(insert(Transition), new)


async def make_default(session: AsyncSession, access: Access, scheme_id: int, *, via: str = "form") -> None:
    """Where nobody says otherwise, leads come into this one.

    Raises:
        NotAllowed, NotFound, Invalid (it is archived, or kept for some teams).
    """
    access.require(_RIGHT)
    scheme = await locked_scheme(session, scheme_id)
    if scheme.archived_at is not None or await _team_ids(session, scheme_id):
        raise Invalid("is_default", scheme.name, _FOR_EVERYBODY)
    former = await session.scalars(
        select(Scheme).where(Scheme.object_kind == "lead", Scheme.is_default).with_for_update()
    )
    for each in former.all():
        if each.id != scheme_id:
            await _change(session, access, each, via, is_default=False)
    await _change(session, access, scheme, via, is_default=True)


async def archive_scheme(session: AsyncSession, access: Access, scheme_id: int, *, via: str = "form") -> None:
    """Offered no more; its ended records go on showing it.

    Raises:
        NotAllowed, NotFound, Invalid (it is the default one), SchemeInUse (open records stand in it).
    """
    access.require(_RIGHT)
    scheme = await locked_scheme(session, scheme_id)
    if scheme.is_default:
        raise Invalid(
            "is_default", scheme.name, "This is the default scheme. Make another one the default first."
        )
    if going := await _going(session, scheme_id):
        raise SchemeInUse(scheme.name, str(going) if going <= MOST_COUNTED else f"{MOST_COUNTED}+")
    await _change(session, access, scheme, via, archived_at=scheme.archived_at or datetime.now(UTC))


async def restore_scheme(session: AsyncSession, access: Access, scheme_id: int, *, via: str = "form") -> None:
    """Offered again.

    Raises:
        NotAllowed, NotFound, Taken (another one has its name now).
    """
    access.require(_RIGHT)
    scheme = await locked_scheme(session, scheme_id)
    await _free_name(session, scheme.name, but=scheme_id)
    await _change(session, access, scheme, via, archived_at=None)


async def locked_scheme(session: AsyncSession, scheme_id: int) -> Scheme:
    """The scheme for changing; whoever moves its records waits until the transaction ends. Raises NotFound."""
    scheme = await session.scalar(
        select(Scheme)
        .where(Scheme.id == scheme_id, Scheme.object_kind == "lead")
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if scheme is None:
        raise NotFound("scheme", scheme_id)
    return scheme


def stages_in_use(scheme_id: int) -> Any:
    return select(Stage).where(Stage.scheme_id == scheme_id, Stage.archived_at.is_(None))


async def require_version(
    session: AsyncSession,
    record_kind: str,
    row: Any,
    version: int,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    """Raises Conflict where somebody changed the row since it was shown."""
    if row.version != version:
        by = await last_author(session, record_kind, row.id)
        differing = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
        raise Conflict(differing, row.version, by)


async def _row(session: AsyncSession, scheme: Scheme) -> SchemeRow:
    stages = await session.scalar(select(func.count()).select_from(stages_in_use(scheme.id).subquery()))
    return SchemeRow(
        id=scheme.id,
        name=scheme.name,
        mode=MoveMode(scheme.move_mode),
        allows_step_back=scheme.allows_step_back,
        is_default=scheme.is_default,
        archived_at=scheme.archived_at,
        version=scheme.version,
        team_ids=frozenset(await _team_ids(session, scheme.id)),
        stages=stages or 0,
        going=await _going(session, scheme.id),
    )


async def _going(session: AsyncSession, scheme_id: int) -> int:
    """How many open records it leads, counted up to one more than `MOST_COUNTED`, stage by stage from their index."""
    counted = 0
    for stage_id in (await session.scalars(select(Stage.id).where(Stage.scheme_id == scheme_id))).all():
        counted += await standing_in(session, stage_id)
    return min(counted, MOST_COUNTED + 1)


async def standing_in(session: AsyncSession, stage_id: int) -> int:
    """Open records in a stage, up to one more than `MOST_COUNTED`; an end has none."""
    some = select(Lead.id).where(
        Lead.stage_id == stage_id, Lead.state.in_(OPEN_STATES), Lead.deleted_at.is_(None)
    )
    capped = some.limit(MOST_COUNTED + 1).subquery()
    return (await session.execute(select(func.count()).select_from(capped))).scalar_one()


async def _copy_stages(session: AsyncSession, source_id: int, scheme_id: int) -> None:
    names = ("position", "name", "outcome", "probability", "colour", "sla_seconds")
    new_ids: dict[int, int] = {}
    for stage in (await session.scalars(stages_in_use(source_id).order_by(Stage.position, Stage.id))).all():
        row = {name: getattr(stage, name) for name in names} | {"scheme_id": scheme_id}
        added = await session.execute(insert(Stage).values(row).returning(Stage.id))
        new_ids[stage.id] = added.scalar_one()
    asked = await session.execute(
        select(StageRequirement.stage_id, StageRequirement.moment, StageRequirement.field)
        .where(StageRequirement.stage_id.in_(new_ids))
        .order_by(StageRequirement.id)
    )
    if rows := [
        {"stage_id": new_ids[stage], "moment": moment, "field": name} for stage, moment, name in asked
    ]:
        await session.execute(insert(StageRequirement), rows)
    moves = await session.execute(
        select(Transition.from_stage_id, Transition.to_stage_id).where(Transition.scheme_id == source_id)
    )
    if rows := [
        {"scheme_id": scheme_id, "from_stage_id": new_ids[origin], "to_stage_id": new_ids[to]}
        for origin, to in moves
        if origin in new_ids and to in new_ids
    ]:
        await session.execute(insert(Transition), rows)


async def _free_name(session: AsyncSession, name: str, *, but: int | None = None) -> str:
    name = checked_name(name)
    others = await session.execute(
        select(Scheme.id, Scheme.name).where(Scheme.object_kind == "lead", Scheme.archived_at.is_(None))
    )
    present = {scheme_id: other for scheme_id, other in others if scheme_id != but}
    if name.lower() in {other.lower() for other in present.values()}:
        raise Taken("name", name)
    if len(present) >= MOST_SCHEMES:
        raise Invalid("name", name, "At most %(most)d schemes are in use at once.", most=MOST_SCHEMES)
    return name


def _mode(mode: str) -> str:
    if mode not in set(MoveMode):
        raise Invalid("mode", mode[:50], "Leads move freely, one after another, or by the matrix.")
    return str(MoveMode(mode).value)


async def _team_ids(session: AsyncSession, scheme_id: int) -> set[int]:
    return set(await session.scalars(select(SchemeTeam.team_id).where(SchemeTeam.scheme_id == scheme_id)))


async def _keep_for(session: AsyncSession, scheme_id: int, team_ids: Collection[int]) -> None:
    known = set(await session.scalars(select(Team.id).where(Team.id.in_(team_ids))))
    for team_id in team_ids:
        if team_id not in known:
            raise NotFound("team", team_id)
    await session.execute(delete(SchemeTeam).where(SchemeTeam.scheme_id == scheme_id))
    if known:
        rows = [{"scheme_id": scheme_id, "team_id": team_id} for team_id in sorted(known)]
        await session.execute(insert(SchemeTeam), rows)


async def _change(session: AsyncSession, access: Access, scheme: Scheme, via: str, **values: Any) -> None:
    before = {name: getattr(scheme, name) for name in values}
    if await record_change(session, access, "scheme", scheme.id, before=before, after=values, via=via):
        await _write(session, scheme, values)


async def _write(session: AsyncSession, scheme: Scheme, values: Mapping[str, Any]) -> None:
    changed = {**values, "version": scheme.version + 1, "updated_at": func.now()}
    await session.execute(update(Scheme).where(Scheme.id == scheme.id).values(changed))
