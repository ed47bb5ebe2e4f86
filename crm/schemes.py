"""Schemes and their stages, as rows read into the values of `crm.stage_rules`; reasons of failure beside them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import case, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Invalid, NotFound
from crm.rights import Access, Scope
from crm.schema.stages import FailureReason, Scheme, SchemeTeam, Stage, StageRequirement, Transition
from crm.stage_rules import MoveMode, Outcome, Requirement, SchemeInfo, SchemeOfOthers, StageInfo

SPAM: Final = "spam"
DUPLICATE: Final = "duplicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonInfo:
    """Why a record may end without success. `name` is a message id for those of every installation."""

    id: int
    code: str | None  # spam, duplicate: reports leave them out
    name: str


async def list_schemes(session: AsyncSession, access: Access, object_kind: str) -> list[SchemeInfo]:
    """The schemes of a kind of record that are open to this user's teams, the default one first."""
    rows = await session.scalars(
        select(Scheme)
        .where(Scheme.object_kind == object_kind, Scheme.archived_at.is_(None))
        .order_by(Scheme.is_default.desc(), Scheme.name, Scheme.id)
    )
    mine = await _open_to(session, access, [row.id for row in rows.all()])
    return [await scheme_of(session, scheme_id) for scheme_id in mine]


async def scheme_of(session: AsyncSession, scheme_id: int) -> SchemeInfo:
    """One scheme with its stages. Raises NotFound."""
    row = await session.get(Scheme, scheme_id, populate_existing=True)
    if row is None:
        raise NotFound("scheme", scheme_id)
    order = case({"open": 0, "success": 1, "failure": 2}, value=Stage.outcome)
    stages = await session.scalars(
        select(Stage)
        .where(Stage.scheme_id == scheme_id, Stage.archived_at.is_(None))
        .order_by(order, Stage.position, Stage.id)
        .execution_options(populate_existing=True)
    )
    transitions = await session.execute(
        select(Transition.from_stage_id, Transition.to_stage_id).where(Transition.scheme_id == scheme_id)
    )
    return SchemeInfo(
        id=row.id,
        object_kind=row.object_kind,
        name=row.name,
        mode=MoveMode(row.move_mode),
        allows_step_back=row.allows_step_back,
        is_default=row.is_default,
        stages=tuple(map(stage_info, stages)),
        transitions=frozenset((origin, to) for origin, to in transitions),
    )


async def scheme_for(
    session: AsyncSession, access: Access, object_kind: str, scheme_id: int | None
) -> SchemeInfo:
    """The scheme that a new record is led by: the one asked for, or the default one.

    Raises:
        Invalid (no such scheme of this kind in use), SchemeOfOthers.
    """
    query = select(Scheme.id).where(Scheme.object_kind == object_kind, Scheme.archived_at.is_(None))
    query = query.where(Scheme.is_default if scheme_id is None else Scheme.id == scheme_id)
    found = await session.scalar(query.with_for_update(read=True, key_share=True))
    if found is None:
        raise Invalid("scheme_id", scheme_id, "There is no such scheme in use.")
    scheme = await scheme_of(session, found)
    await require_open(session, access, scheme)
    return scheme


async def require_open(session: AsyncSession, access: Access, scheme: SchemeInfo) -> None:
    """Raises SchemeOfOthers where the scheme is kept for teams that this user is not of."""
    if scheme.id not in await _open_to(session, access, [scheme.id]):
        raise SchemeOfOthers(scheme.name)


async def _open_to(session: AsyncSession, access: Access, scheme_ids: list[int]) -> list[int]:
    if access.scope("lead.edit") is Scope.ALL or not scheme_ids:
        return scheme_ids
    kept = await session.execute(
        select(SchemeTeam.scheme_id, SchemeTeam.team_id).where(SchemeTeam.scheme_id.in_(scheme_ids))
    )
    teams: dict[int, set[int]] = {}
    for scheme_id, team_id in kept:
        teams.setdefault(scheme_id, set()).add(team_id)
    return [each for each in scheme_ids if each not in teams or teams[each] & access.team_ids]


async def requirements_of(session: AsyncSession, *stage_ids: int) -> list[Requirement]:
    """What entering or leaving these stages asks for, in the order it was set."""
    rows = await session.scalars(
        select(StageRequirement).where(StageRequirement.stage_id.in_(stage_ids)).order_by(StageRequirement.id)
    )
    return [Requirement(stage_id=row.stage_id, moment=row.moment, field=row.field) for row in rows]


async def asked_by_stages(session: AsyncSession, scheme_ids: Collection[int]) -> list[Requirement]:
    """What the stages in use of these schemes ask for."""
    rows = await session.scalars(
        select(StageRequirement)
        .join(Stage, Stage.id == StageRequirement.stage_id)
        .where(Stage.scheme_id.in_(scheme_ids), Stage.archived_at.is_(None))
        .order_by(StageRequirement.id)
    )
    return [Requirement(stage_id=row.stage_id, moment=row.moment, field=row.field) for row in rows]


async def list_reasons(session: AsyncSession, object_kind: str) -> list[ReasonInfo]:
    """Reasons in use, in the company's order."""
    rows = await session.scalars(
        select(FailureReason)
        .where(FailureReason.object_kind == object_kind, FailureReason.archived_at.is_(None))
        .order_by(FailureReason.position, FailureReason.id)
    )
    return [ReasonInfo(id=row.id, code=row.code, name=row.name) for row in rows]


async def reason_of(session: AsyncSession, object_kind: str, wanted: int | str | None) -> int:
    """The id of a reason given by its id, or by the code of a system one.

    Raises:
        Invalid: none was given, or there is no such one in use.
    """
    by = FailureReason.id == wanted if isinstance(wanted, int) else FailureReason.code == wanted
    query = select(FailureReason.id).where(
        FailureReason.object_kind == object_kind, FailureReason.archived_at.is_(None), by
    )
    found = await session.scalar(query) if wanted is not None else None
    if found is None:
        raise Invalid("reason_id", wanted, "Choose a reason.")
    return found


async def stage_names(session: AsyncSession, stage_ids: set[int]) -> dict[int, StageInfo]:
    """Stages by id, archived ones too."""
    rows = await session.scalars(
        select(Stage).where(or_(Stage.id.in_(stage_ids))).execution_options(populate_existing=True)
    )
    return {row.id: stage_info(row) for row in rows}


def stage_info(row: Stage) -> StageInfo:
    return StageInfo(
        id=row.id,
        position=row.position,
        name=row.name,
        outcome=Outcome(row.outcome),
        colour=row.colour,
        probability=row.probability,
        sla_seconds=row.sla_seconds,
    )
