"""What the database itself refuses of schemes, stages, visits, pauses and leads."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.schema.leads import Lead
from crm.schema.stages import FailureReason, Hold, Scheme, Stage, StageVisit, Transition
from crm.schemes import list_schemes
from crm.stage_rules import SchemeInfo
from tests.crm import planting
from tests.crm.enquiries import make_lead, plant_scheme, stage_named
from tests.crm.people import COMMAND
from tests.crm.planting import NOON, add


async def leads_scheme(session: AsyncSession) -> SchemeInfo:
    return (await list_schemes(session, COMMAND, "lead"))[0]


async def lead_values(session: AsyncSession, **more: Any) -> dict[str, Any]:
    scheme = await leads_scheme(session)
    person = more.pop("person_id", None) or await planting.person(session, "Asking")
    values = {
        "number": next(planting._numbers),
        "scheme_id": scheme.id,
        "stage_id": scheme.first.id,
        "person_id": person,
    }
    return values | more


async def test_every_installation_has_the_scheme_of_leads(session: AsyncSession) -> None:
    scheme = await leads_scheme(session)
    assert [stage.name for stage in scheme.stages] == [
        "New",
        "In progress",
        "Qualified",
        "Converted",
        "Disqualified",
    ]
    codes = await session.scalars(select(FailureReason.code).where(FailureReason.code.is_not(None)))
    assert set(codes) == {"spam", "duplicate"}


async def test_one_default_scheme_of_a_kind(session: AsyncSession) -> None:
    with pytest.raises(IntegrityError, match="uq_scheme_default"):
        await plant_scheme(session, "One", is_default=True)


@pytest.mark.parametrize("outcome", ["success", "failure"])
async def test_one_success_and_one_failure_of_a_scheme(session: AsyncSession, outcome: str) -> None:
    scheme_id = await plant_scheme(session, "One")
    with pytest.raises(IntegrityError, match=f"uq_stage_{outcome}"):
        await add(session, Stage, scheme_id=scheme_id, position=9, name="Another", outcome=outcome)


@pytest.mark.parametrize("outcome", ["success", "failure"])
async def test_neither_can_be_archived(session: AsyncSession, outcome: str) -> None:
    scheme_id = await plant_scheme(session, "One")
    ends = update(Stage).where(Stage.scheme_id == scheme_id, Stage.outcome == outcome)
    with pytest.raises(IntegrityError, match="ck_stage_ends_stay"):
        await session.execute(ends.values(archived_at=NOON))


async def test_open_stages_have_distinct_positions(session: AsyncSession) -> None:
    scheme_id = await plant_scheme(session, "One", "Two")
    with pytest.raises(IntegrityError, match="uq_stage_position"):
        await add(session, Stage, scheme_id=scheme_id, position=2, name="Three")


async def test_a_transition_joins_two_stages_of_one_scheme_once(session: AsyncSession) -> None:
    scheme_id = await plant_scheme(session, "One", "Two")
    one, two = await session.scalars(
        select(Stage.id).where(Stage.scheme_id == scheme_id, Stage.outcome == "open").order_by(Stage.position)
    )
    row = {"scheme_id": scheme_id, "from_stage_id": one, "to_stage_id": two}
    await add(session, Transition, **row)
    other = (await leads_scheme(session)).first.id
    for broken, constraint in (
        (row, "uq_stage_transition"),
        (row | {"to_stage_id": one}, "ck_stage_transition_two_stages"),
        (row | {"to_stage_id": other}, "fk_stage_transition_to"),
        (row | {"from_stage_id": other}, "fk_stage_transition_from"),
    ):
        with pytest.raises(IntegrityError, match=constraint):
            async with session.begin_nested():
                await add(session, Transition, **broken)


async def test_a_lead_is_about_somebody_and_stands_in_a_stage_of_its_scheme(session: AsyncSession) -> None:
    deals = await plant_scheme(session, "One", kind="deal")
    deal_stage = await session.scalar(select(Stage.id).where(Stage.scheme_id == deals).limit(1))
    values = await lead_values(session)
    for broken, constraint in (
        ({"person_id": None}, "subject"),  # the generated subject is not null, too
        ({"stage_id": deal_stage}, "fk_lead_stage_of_scheme"),
        ({"scheme_id": deals, "stage_id": deal_stage}, "fk_lead_scheme_of_leads"),
    ):
        with pytest.raises(IntegrityError, match=constraint):
            async with session.begin_nested():
                await add(session, Lead, **values | broken)


@pytest.mark.parametrize(
    ("broken", "constraint"),
    [
        ({"state": "converted"}, "ck_lead_converted"),
        ({"state": "disqualified"}, "ck_lead_(disqualified|reason)"),
        ({"converted_at": NOON}, "ck_lead_converted"),
        ({"disqualified_at": NOON}, "ck_lead_disqualified"),
        ({"state": "going"}, "ck_lead_state"),
        ({"first_response_at": NOON.replace(year=2020)}, "ck_lead_first_response"),
    ],
)
async def test_the_state_of_a_lead_and_its_columns_agree(
    session: AsyncSession, broken: dict[str, Any], constraint: str
) -> None:
    values = await lead_values(session)
    with pytest.raises(IntegrityError, match=constraint):
        await add(session, Lead, **values | broken)


async def test_one_open_automatic_lead_of_a_subject_in_a_scheme(session: AsyncSession) -> None:
    values = await lead_values(session, auto_created=True)
    first = await add(session, Lead, **values)
    again = values | {"number": values["number"] + 1_000_000}
    with pytest.raises(IntegrityError, match="uq_lead_open_automatic"):
        async with session.begin_nested():
            await add(session, Lead, **again)
    await add(session, Lead, **again | {"auto_created": False})  # a person may open a further one
    await session.execute(text("update lead set deleted_at = now() where id = :id"), {"id": first})
    await add(session, Lead, **again | {"number": again["number"] + 1})


async def test_one_open_visit_and_one_open_pause_of_a_lead(session: AsyncSession) -> None:
    lead_id = (await make_lead(session, COMMAND)).id
    stage_id = stage_named(await leads_scheme(session), "Qualified")
    visit = {"lead_id": lead_id, "stage_id": stage_id, "entered_at": NOON, "via": "form"}
    pause = {"lead_id": lead_id, "from_at": NOON}
    await add(session, Hold, **pause)
    for model, row, constraint in (
        (StageVisit, visit, "uq_stage_visit_open_lead"),
        (StageVisit, visit | {"left_at": NOON.replace(year=2020)}, "ck_stage_visit_interval"),
        (StageVisit, visit | {"lead_id": None, "left_at": NOON}, "ck_stage_visit_one_record"),
        (StageVisit, visit | {"via": "guess", "left_at": NOON}, "ck_stage_visit_via"),
        (Hold, pause, "uq_hold_open_lead"),
        (Hold, pause | {"to_at": NOON.replace(year=2020)}, "ck_hold_interval"),
        (Hold, {"from_at": NOON}, "ck_hold_one_record"),
    ):
        with pytest.raises(IntegrityError, match=constraint):
            async with session.begin_nested():
                await add(session, model, **row)


async def test_a_default_scheme_is_in_use(session: AsyncSession) -> None:
    scheme = await leads_scheme(session)
    with pytest.raises(IntegrityError, match="ck_scheme_default_in_use"):
        await session.execute(update(Scheme).where(Scheme.id == scheme.id).values(archived_at=NOON))


async def test_a_system_reason_stays(session: AsyncSession) -> None:
    spam = update(FailureReason).where(FailureReason.code == "spam").values(archived_at=NOON)
    with pytest.raises(IntegrityError, match="ck_failure_reason_system_stays"):
        await session.execute(spam)
