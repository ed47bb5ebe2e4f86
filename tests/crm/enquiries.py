"""Leads of the tests: made in one line; schemes with rules of their own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.lead_intake import CreatedLead, NewLead, create_automatic_lead, create_lead
from crm.lead_subjects import SubjectValues
from crm.lead_values import LeadValues
from crm.rights import Access
from crm.schema.leads import Lead
from crm.schema.stages import Scheme, Stage, StageRequirement, StageVisit
from crm.stage_rules import SchemeInfo
from tests.crm import planting

NUMBER = "8 (900) 000-00-01"


async def make_lead(session: AsyncSession, access: Access, *, need: str = "", **subject: Any) -> CreatedLead:
    """A lead by hand, about somebody new unless `party_id` says whom."""
    about = SubjectValues(**(subject or {"person": "Спросивший Первый"}))
    return await create_lead(
        session, access, NewLead(subject=about, values=LeadValues(need=need), is_further=True)
    )


async def automatic(session: AsyncSession, access: Access, number: str = NUMBER, **more: Any) -> CreatedLead:
    """A lead as a form on a site opens it."""
    new = NewLead(subject=SubjectValues(number=number, **more))
    return await create_automatic_lead(session, access, new, request_text="Перезвоните мне")


async def lead_row(session: AsyncSession, lead_id: int) -> Lead:
    row = await session.get(Lead, lead_id, populate_existing=True)
    assert row is not None
    return row


async def visits(session: AsyncSession, lead_id: int) -> list[tuple[str, bool, str]]:
    """Stage, whether it was left, and the way it came, in order."""
    rows = await session.execute(
        select(Stage.name, StageVisit.left_at, StageVisit.via)
        .join(Stage, Stage.id == StageVisit.stage_id)
        .where(StageVisit.lead_id == lead_id)
        .order_by(StageVisit.entered_at, StageVisit.id)
    )
    return [(name, left_at is not None, via) for name, left_at, via in rows]


async def plant_scheme(session: AsyncSession, *stages: str, kind: str = "lead", **more: Any) -> int:
    """A scheme with these open stages, then success and failure."""
    scheme_id: int = await planting.add(session, Scheme, object_kind=kind, name="Own", **more)
    outcomes = [*["open"] * len(stages), "success", "failure"]
    for position, (name, outcome) in enumerate(zip([*stages, "Won", "Lost"], outcomes, strict=True), 1):
        values = {"scheme_id": scheme_id, "position": position, "name": name, "outcome": outcome}
        await session.execute(insert(Stage).values(values))
    return scheme_id


async def requires(session: AsyncSession, stage_id: int, field: str, moment: str = "enter") -> None:
    values = {"stage_id": stage_id, "moment": moment, "field": field}
    await session.execute(insert(StageRequirement).values(values))


def stage_named(scheme: SchemeInfo, name: str) -> int:
    return next(stage.id for stage in scheme.stages if stage.name == name)
