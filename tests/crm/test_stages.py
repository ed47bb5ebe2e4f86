"""`move`: what a scheme permits, what a stage asks for, and what is written; shown on leads."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.database import Database
from crm.errors import Conflict, Invalid, NotAllowed, NotFound
from crm.lead_intake import CreatedLead, NewLead, create_lead
from crm.lead_subjects import SubjectValues
from crm.lead_values import LEAD
from crm.leads import hold_lead, move_lead, resume_lead
from crm.schema.journals import ChangeLog, OutboxEvent
from crm.schema.stages import Hold, SchemeTeam, StageVisit, Transition
from crm.schemes import scheme_of
from crm.stage_rules import (
    MoveMode,
    MoveNotAllowed,
    Outcome,
    SchemeInfo,
    SchemeOfOthers,
    StageIncomplete,
    StageInfo,
    permitted,
)
from crm.stages import Move, move
from tests.crm.enquiries import lead_row, make_lead, plant_scheme, requires, stage_named, visits
from tests.crm.people import COMMAND, make_team, make_user


async def lead_in(session: AsyncSession, scheme_id: int) -> CreatedLead:
    new = NewLead(subject=SubjectValues(person="Спросивший"), scheme_id=scheme_id)
    return await create_lead(session, COMMAND, new)


async def test_a_move_closes_the_visit_opens_the_next_and_is_written_down(session: AsyncSession) -> None:
    agent = await make_user(session)
    lead = await make_lead(session, agent)
    row = await lead_row(session, lead.id)
    scheme, version = await scheme_of(session, row.scheme_id), row.version
    going = stage_named(scheme, "In progress")
    moved = await move_lead(
        session, agent, lead.id, Move(to_stage_id=going, base_version=version, via="board")
    )
    assert (moved.stage.name, moved.was.name, moved.version, moved.has_moved) == (
        "In progress",
        "New",
        version + 1,
        True,
    )
    assert await visits(session, lead.id) == [("New", True, "form"), ("In progress", False, "board")]
    visit = await session.scalar(
        select(StageVisit).where(StageVisit.lead_id == lead.id, StageVisit.left_at.is_(None))
    )
    assert visit is not None
    assert (visit.by_id, visit.owner_id) == (agent.user_id, agent.user_id)
    logged = await session.scalars(
        select(ChangeLog.new)
        .order_by(ChangeLog.id)
        .where(
            ChangeLog.record_kind == "lead",
            ChangeLog.record_id == str(lead.id),
            ChangeLog.field == "stage_id",
        )
    )
    assert logged.all() == [scheme.first.id, going]
    events = await session.scalars(select(OutboxEvent.type).where(OutboxEvent.record_id == str(lead.id)))
    assert "lead.stage_entered" in events.all()
    again = await move_lead(session, agent, lead.id, Move(to_stage_id=going))
    assert (again.has_moved, again.version) == (False, version + 1)


async def test_sequential_scheme_stage_2_asked_for_stage_4_is_refused_with_what_is_allowed(
    session: AsyncSession,
) -> None:
    scheme = await scheme_of(session, await plant_scheme(session, "1", "2", "3", "4", move_mode="sequential"))
    lead = await lead_in(session, scheme.id)
    await move_lead(session, COMMAND, lead.id, Move(to_stage_id=stage_named(scheme, "2")))
    with pytest.raises(MoveNotAllowed, match="Possible now: 3, refuse, pause") as refused:
        await move_lead(session, COMMAND, lead.id, Move(to_stage_id=stage_named(scheme, "4")))
    assert [stage.name for stage in refused.value.allowed] == ["3"]
    with pytest.raises(MoveNotAllowed):
        await move_lead(session, COMMAND, lead.id, Move(to_stage_id=stage_named(scheme, "1")))
    await hold_lead(session, COMMAND, lead.id)
    refuse = Move(to_stage_id=scheme.failure.id, reason="spam")
    assert (await move_lead(session, COMMAND, lead.id, refuse)).stage.outcome is Outcome.FAILURE


async def test_a_matrix_permits_what_is_ticked(session: AsyncSession) -> None:
    scheme_id = await plant_scheme(session, "1", "2", "3", move_mode="matrix")
    scheme = await scheme_of(session, scheme_id)
    one, three = stage_named(scheme, "1"), stage_named(scheme, "3")
    tick = {"scheme_id": scheme_id, "from_stage_id": one, "to_stage_id": three}
    await session.execute(insert(Transition).values(tick))
    lead = await lead_in(session, scheme_id)
    with pytest.raises(MoveNotAllowed):
        await move_lead(session, COMMAND, lead.id, Move(to_stage_id=stage_named(scheme, "2")))
    assert (await move_lead(session, COMMAND, lead.id, Move(to_stage_id=three))).has_moved


async def test_required_field_of_stage_3_empty_and_filled(session: AsyncSession) -> None:
    scheme = await scheme_of(session, await plant_scheme(session, "1", "2", "3"))
    three = stage_named(scheme, "3")
    await requires(session, three, "need")
    await requires(session, stage_named(scheme, "1"), "source", "leave")
    lead = await lead_in(session, scheme.id)
    with pytest.raises(StageIncomplete) as refused:
        await move_lead(session, COMMAND, lead.id, Move(to_stage_id=three))
    assert set(refused.value.missing) == {"need", "source"}
    filled = Move(to_stage_id=three, fields={"need": "Двадцать окон", "source": "Сайт"})
    assert (await move_lead(session, COMMAND, lead.id, filled)).stage.name == "3"
    assert (await lead_row(session, lead.id)).need == "Двадцать окон"


async def test_only_what_belongs_to_the_record_is_filled_in(session: AsyncSession) -> None:
    scheme = await scheme_of(session, await plant_scheme(session, "1", "2"))
    lead = await lead_in(session, scheme.id)
    for fields in ({"owner_id": 1}, {"need": 5}, {"need": "x" * 20_000}):
        with pytest.raises(Invalid):
            await move_lead(
                session, COMMAND, lead.id, Move(to_stage_id=stage_named(scheme, "2"), fields=fields)
            )
    with pytest.raises(Invalid, match="no such stage"):
        await move_lead(session, COMMAND, lead.id, Move(to_stage_id=scheme.stages[-1].id + 1000))


async def test_import_sets_a_stage_without_requirements_and_says_so(session: AsyncSession) -> None:
    scheme = await scheme_of(session, await plant_scheme(session, "1", "2"))
    two = stage_named(scheme, "2")
    await requires(session, two, "need")
    lead = await lead_in(session, scheme.id)
    await move_lead(session, COMMAND, lead.id, Move(to_stage_id=two, via="import"))
    assert (await visits(session, lead.id))[-1] == ("2", False, "import")
    agent = await make_user(session)
    mine = await make_lead(session, agent)
    qualified = stage_named(
        await scheme_of(session, (await lead_row(session, mine.id)).scheme_id), "Qualified"
    )
    with pytest.raises(StageIncomplete):
        await move_lead(session, agent, mine.id, Move(to_stage_id=qualified, via="import"))


async def test_a_move_based_on_an_old_version_is_a_conflict(session: AsyncSession) -> None:
    lead = await make_lead(session, COMMAND)
    row = await lead_row(session, lead.id)
    scheme, version = await scheme_of(session, row.scheme_id), row.version
    await move_lead(session, COMMAND, lead.id, Move(to_stage_id=stage_named(scheme, "In progress")))
    with pytest.raises(Conflict) as conflict:
        await move_lead(session, COMMAND, lead.id, Move(to_stage_id=scheme.first.id, base_version=version))
    assert conflict.value.version == version + 1


async def test_a_scheme_kept_for_a_team_is_closed_to_others(session: AsyncSession) -> None:
    scheme_id = await plant_scheme(session, "1", "2")
    team = await make_team(session, "Projects")
    await session.execute(insert(SchemeTeam).values(scheme_id=scheme_id, team_id=team))
    inside, outside = await make_user(session, team_id=team), await make_user(session)
    new = NewLead(subject=SubjectValues(person="Спросивший"), scheme_id=scheme_id)
    with pytest.raises(SchemeOfOthers):
        await create_lead(session, outside, new)
    lead = await create_lead(session, inside, new)
    two = stage_named(await scheme_of(session, scheme_id), "2")
    assert (await move(session, inside, LEAD, lead.id, Move(to_stage_id=two))).has_moved


async def test_a_pause_has_a_day_and_ends_by_resuming_or_moving(session: AsyncSession) -> None:
    lead = await make_lead(session, COMMAND)
    scheme = await scheme_of(session, (await lead_row(session, lead.id)).scheme_id)
    await hold_lead(session, COMMAND, lead.id, reason="Отпуск", resume_on=date(2027, 1, 11))
    assert (await lead_row(session, lead.id)).state == "on_hold"
    with pytest.raises(Invalid):
        await hold_lead(session, COMMAND, lead.id)
    await resume_lead(session, COMMAND, lead.id)
    await hold_lead(session, COMMAND, lead.id)
    await move_lead(session, COMMAND, lead.id, Move(to_stage_id=stage_named(scheme, "In progress")))
    assert (await lead_row(session, lead.id)).state == "open"
    pauses = (await session.scalars(select(Hold).where(Hold.lead_id == lead.id).order_by(Hold.id))).all()
    assert [pause.to_at is not None for pause in pauses] == [True, True]
    assert (pauses[0].reason, pauses[0].resume_on) == ("Отпуск", date(2027, 1, 11))


async def test_what_one_may_not_change_is_not_there(session: AsyncSession) -> None:
    lead = await make_lead(session, await make_user(session))
    scheme = await scheme_of(session, (await lead_row(session, lead.id)).scheme_id)
    asked = Move(to_stage_id=stage_named(scheme, "In progress"))
    with pytest.raises(NotFound):
        await move_lead(session, await make_user(session), lead.id, asked)
    with pytest.raises(NotAllowed):
        await move_lead(session, await make_user(session, ["telephony"]), lead.id, asked)


async def test_two_who_move_at_one_moment_leave_one_open_visit(database: Database) -> None:
    async with database.sessions.begin() as session:
        lead = await make_lead(session, COMMAND, need="Окна")
        scheme = await scheme_of(session, (await lead_row(session, lead.id)).scheme_id)

    async def go(name: str) -> None:
        async with database.sessions.begin() as session:
            await move_lead(session, COMMAND, lead.id, Move(to_stage_id=stage_named(scheme, name)))

    await asyncio.gather(*[go(name) for name in ("In progress", "Qualified") * 5])
    async with database.sessions() as session:
        open_visits = select(func.count()).select_from(StageVisit).where(StageVisit.lead_id == lead.id)
        assert await session.scalar(open_visits.where(StageVisit.left_at.is_(None))) == 1


@given(
    st.sampled_from(MoveMode),
    st.integers(1, 6),
    st.integers(0, 5),
    st.booleans(),
    st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7))),
)
def test_an_open_record_can_always_fail_and_an_ended_one_only_be_reopened(
    mode: MoveMode, count: int, at: int, back: bool, ticks: set[tuple[int, int]]
) -> None:
    outcomes = [*[Outcome.OPEN] * count, Outcome.SUCCESS, Outcome.FAILURE]
    stages = tuple(
        StageInfo(
            id=index,
            position=index,
            name=str(index),
            outcome=outcome,
            colour=None,
            probability=None,
            sla_seconds=None,
        )
        for index, outcome in enumerate(outcomes)
    )
    scheme = SchemeInfo(
        id=1,
        object_kind="lead",
        name="any",
        mode=mode,
        allows_step_back=back,
        is_default=False,
        stages=stages,
        transitions=frozenset(ticks),
    )
    here = scheme.open_stages[at % count]
    allowed = permitted(scheme, here)
    assert scheme.failure in allowed
    assert here not in allowed
    for end in (scheme.success, scheme.failure):
        assert permitted(scheme, end) == scheme.open_stages
