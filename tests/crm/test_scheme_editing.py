"""Schemes and stages in the administrator's hands: nothing that is in use breaks, and what a stage asks for is asked everywhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm import stage_editing
from crm.database import Database
from crm.directories import LEAD_REASON, add_entry, archive_entry, edit_entry, list_entries, move_entry
from crm.errors import Conflict, CrmError, Invalid, NotAllowed, NotFound, Taken
from crm.lead_intake import CreatedLead, NewLead, create_automatic_lead, create_lead
from crm.lead_subjects import SubjectValues
from crm.lead_values import LeadValues
from crm.leads import disqualify_lead, edit_lead, move_lead
from crm.numbers import NumberValues, attach_number
from crm.rights import Access
from crm.schema.journals import ChangeLog
from crm.schema.leads import Lead
from crm.scheme_editing import (
    SchemeInUse,
    archive_scheme,
    create_scheme,
    edit_scheme,
    make_default,
    restore_scheme,
    scheme_row,
    scheme_rows,
    set_transitions,
)
from crm.schemes import list_reasons, list_schemes, scheme_of
from crm.stage_editing import (
    StageInUse,
    StageRow,
    StageValues,
    add_stage,
    archive_stage,
    edit_stage,
    move_stage,
    restore_stage,
    stage_rows,
)
from crm.stage_rules import MoveNotAllowed, SchemeInfo, StageIncomplete
from crm.stages import Move
from tests.crm.enquiries import lead_row, stage_named, visits
from tests.crm.people import COMMAND, make_team, make_user


async def own_scheme(session: AsyncSession, name: str, *stages: str) -> SchemeInfo:
    """A scheme that begins with «New», with these stages behind it."""
    scheme_id = await create_scheme(session, COMMAND, name)
    for stage in stages:
        await add_stage(session, COMMAND, scheme_id, StageValues(name=stage))
    return await scheme_of(session, scheme_id)


async def lead_in(session: AsyncSession, scheme: SchemeInfo, access: Access = COMMAND) -> CreatedLead:
    new = NewLead(subject=SubjectValues(person="Спросивший"), scheme_id=scheme.id)
    return await create_lead(session, access, new)


async def shown(session: AsyncSession, scheme: SchemeInfo, name: str) -> StageRow:
    return next(row for row in await stage_rows(session, COMMAND, scheme.id) if row.name == name)


async def names(session: AsyncSession, scheme: SchemeInfo) -> list[str]:
    return [stage.name for stage in (await scheme_of(session, scheme.id)).stages]


async def asks(session: AsyncSession, scheme: SchemeInfo, name: str, **fields: Any) -> None:
    row = await shown(session, scheme, name)
    await edit_stage(session, COMMAND, row.id, StageValues(name=name, **fields), version=row.version)


async def test_a_new_scheme_leads_leads_and_a_copy_shares_nothing_with_it(session: AsyncSession) -> None:
    scheme = await own_scheme(session, "Опт", "Замер", "Смета")
    assert await names(session, scheme) == ["New", "Замер", "Смета", "Converted", "Disqualified"]
    await asks(session, scheme, "Смета", enter=frozenset({"need", "phone"}))
    copy_id = await create_scheme(session, COMMAND, "Опт 2", copy_of=scheme.id)
    copy = await scheme_of(session, copy_id)
    assert [stage.name for stage in copy.stages] == await names(session, scheme)
    assert not {stage.id for stage in copy.stages} & {stage.id for stage in scheme.stages}
    assert (await shown(session, copy, "Смета")).values.enter == {"need", "phone"}
    await asks(session, copy, "Смета")
    assert (await shown(session, scheme, "Смета")).values.enter == {"need", "phone"}
    lead = await lead_in(session, scheme)
    assert [name for name, *_ in await visits(session, lead.id)] == ["New"]
    row = await scheme_row(session, COMMAND, scheme.id)
    assert (row.stages, row.going, row.is_default) == (5, 1, False)


async def test_schemes_are_the_administrators(session: AsyncSession) -> None:
    head = await make_user(session, ("head",))
    for act in (
        scheme_rows(session, head),
        create_scheme(session, head, "Чужая"),
        archive_stage(session, head, 1),
        make_default(session, head, 1),
    ):
        with pytest.raises(NotAllowed):
            await act
    with pytest.raises(NotFound):
        await scheme_row(session, COMMAND, 10**9)
    with pytest.raises(NotFound):
        await archive_stage(session, COMMAND, 10**9)


async def test_names_are_told_apart_and_an_old_page_is_a_conflict(session: AsyncSession) -> None:
    scheme = await own_scheme(session, "Розница", "Примерка")
    with pytest.raises(Taken):
        await create_scheme(session, COMMAND, "розница")
    with pytest.raises(Taken):
        await add_stage(session, COMMAND, scheme.id, StageValues(name="ПРИМЕРКА"))
    row = await shown(session, scheme, "Примерка")
    await edit_stage(session, COMMAND, row.id, StageValues(name="Выбор"), version=row.version)
    with pytest.raises(Conflict):
        await edit_stage(session, COMMAND, row.id, StageValues(name="Третье"), version=row.version)
    logged = await session.execute(
        select(ChangeLog.old, ChangeLog.new).where(
            ChangeLog.record_kind == "stage", ChangeLog.record_id == str(row.id), ChangeLog.field == "name"
        )
    )
    assert ("Примерка", "Выбор") in [tuple(each) for each in logged]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (StageValues(name=""), "name"),
        (StageValues(name="x", colour="red"), "colour"),
        (StageValues(name="x", probability=101), "probability"),
        (StageValues(name="x", sla_seconds=0), "sla"),
        (StageValues(name="x", enter=frozenset({"nonsense"})), "fields"),
    ],
)
async def test_what_a_stage_cannot_be_is_refused_by_name(
    session: AsyncSession, values: StageValues, field: str
) -> None:
    scheme = await own_scheme(session, f"Проверка {field}")
    with pytest.raises(Invalid) as refused:
        await add_stage(session, COMMAND, scheme.id, values)
    assert refused.value.field == field


async def test_stages_change_places_and_a_sequence_follows(session: AsyncSession) -> None:
    scheme = await own_scheme(session, "По порядку", "А", "Б")
    row = await scheme_row(session, COMMAND, scheme.id)
    await edit_scheme(
        session,
        COMMAND,
        scheme.id,
        version=row.version,
        name="По порядку",
        mode="sequential",
        allows_step_back=False,
        team_ids=[],
    )
    await move_stage(session, COMMAND, stage_named(scheme, "Б"), up=True)
    assert await names(session, scheme) == ["New", "Б", "А", "Converted", "Disqualified"]
    await move_stage(session, COMMAND, stage_named(scheme, "New"), up=True)  # at the end already
    await move_stage(session, COMMAND, scheme.success.id, up=True)  # an end has its place
    assert await names(session, scheme) == ["New", "Б", "А", "Converted", "Disqualified"]
    lead = await lead_in(session, scheme)
    with pytest.raises(MoveNotAllowed):
        await move_lead(session, COMMAND, lead.id, Move(to_stage_id=stage_named(scheme, "А")))
    await move_lead(session, COMMAND, lead.id, Move(to_stage_id=stage_named(scheme, "Б")))


async def test_a_matrix_is_ticked(session: AsyncSession) -> None:
    scheme = await own_scheme(session, "Матрица", "А")
    row = await scheme_row(session, COMMAND, scheme.id)
    await edit_scheme(
        session,
        COMMAND,
        scheme.id,
        version=row.version,
        name="Матрица",
        mode="matrix",
        allows_step_back=False,
        team_ids=[],
    )
    lead = await lead_in(session, scheme)
    to_a = Move(to_stage_id=stage_named(scheme, "А"))
    with pytest.raises(MoveNotAllowed):
        await move_lead(session, COMMAND, lead.id, to_a)
    await set_transitions(session, COMMAND, scheme.id, {(scheme.first.id, to_a.to_stage_id)})
    await move_lead(session, COMMAND, lead.id, to_a)
    other = await own_scheme(session, "Другая матрица")
    with pytest.raises(Invalid):
        await set_transitions(session, COMMAND, scheme.id, {(scheme.first.id, other.first.id)})


async def test_a_stage_in_use_is_archived_only_with_a_replacement_and_its_leads_move(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_editing, "ROWS_AT_ONCE", 2)
    scheme = await own_scheme(session, "Архив", "Замер", "Смета")
    measured = stage_named(scheme, "Замер")
    leads = [await lead_in(session, scheme) for _ in range(5)]
    for lead in leads:
        await move_lead(session, COMMAND, lead.id, Move(to_stage_id=measured))
    await disqualify_lead(session, COMMAND, leads[0].id, "spam")
    with pytest.raises(StageInUse, match="Leads stand in “Замер”"):
        await archive_stage(session, COMMAND, measured)
    with pytest.raises(Invalid):
        await archive_stage(session, COMMAND, measured, replaced_by_id=scheme.success.id)
    to = stage_named(scheme, "Смета")
    assert await archive_stage(session, COMMAND, measured, replaced_by_id=to) == 4
    assert await archive_stage(session, COMMAND, measured, replaced_by_id=to) == 0  # said twice
    assert await visits(session, leads[1].id) == [
        ("New", True, "form"),
        ("Замер", True, "form"),
        ("Смета", False, "archive"),
    ]
    row = await lead_row(session, leads[1].id)
    assert (row.stage_id, row.version) == (to, 3)
    assert (await lead_row(session, leads[0].id)).state == "disqualified"
    logged = await session.scalars(
        select(ChangeLog.via).where(
            ChangeLog.record_kind == "lead",
            ChangeLog.record_id == str(leads[1].id),
            ChangeLog.field == "stage_id",
        )
    )
    assert "archive" in logged.all()
    archived = await shown(session, scheme, "Замер")
    assert (archived.archived_at is not None, archived.replaced_by, archived.standing) == (True, "Смета", 0)
    with pytest.raises(Invalid, match="no such stage"):
        await move_lead(session, COMMAND, leads[1].id, Move(to_stage_id=measured))
    await restore_stage(session, COMMAND, measured)
    assert await names(session, scheme) == ["New", "Смета", "Замер", "Converted", "Disqualified"]


async def test_a_scheme_keeps_its_ends_and_one_open_stage(session: AsyncSession) -> None:
    scheme = await own_scheme(session, "Короткая")
    for stage in scheme.stages:
        with pytest.raises(Invalid, match="keeps its two ends and one open stage"):
            await archive_stage(session, COMMAND, stage.id)
    lead = await lead_in(session, scheme)
    with pytest.raises(SchemeInUse, match="open leads: 1"):
        await archive_scheme(session, COMMAND, scheme.id)
    await disqualify_lead(session, COMMAND, lead.id, "spam")
    await archive_scheme(session, COMMAND, scheme.id)
    assert scheme.id not in {each.id for each in await list_schemes(session, COMMAND, "lead")}
    with pytest.raises(Invalid):
        await lead_in(session, scheme)
    with pytest.raises(Invalid):
        await make_default(session, COMMAND, scheme.id)
    await restore_scheme(session, COMMAND, scheme.id)
    await lead_in(session, scheme)


async def test_the_default_scheme_stays_until_another_one_is(session: AsyncSession) -> None:
    former = next(row for row in await scheme_rows(session, COMMAND) if row.is_default)
    with pytest.raises(Invalid, match="default"):
        await archive_scheme(session, COMMAND, former.id)
    scheme = await own_scheme(session, "Главная")
    row = await scheme_row(session, COMMAND, scheme.id)
    team = await make_team(session, "Отдел схемы")
    await edit_scheme(
        session,
        COMMAND,
        scheme.id,
        version=row.version,
        name="Главная",
        mode="free",
        allows_step_back=False,
        team_ids=[team],
    )
    with pytest.raises(Invalid, match="everybody"):
        await make_default(session, COMMAND, scheme.id)
    row = await scheme_row(session, COMMAND, scheme.id)
    await edit_scheme(
        session,
        COMMAND,
        scheme.id,
        version=row.version,
        name="Главная",
        mode="free",
        allows_step_back=False,
        team_ids=[],
    )
    await make_default(session, COMMAND, scheme.id)
    assert [each.id for each in await scheme_rows(session, COMMAND) if each.is_default] == [scheme.id]
    version = (await scheme_row(session, COMMAND, scheme.id)).version
    with pytest.raises(Invalid, match="everybody"):
        await edit_scheme(
            session,
            COMMAND,
            scheme.id,
            version=version,
            name="Главная",
            mode="free",
            allows_step_back=False,
            team_ids=[team],
        )
    assert (await lead_row(session, (await lead_in_default(session)).id)).scheme_id == scheme.id


async def lead_in_default(session: AsyncSession) -> CreatedLead:
    return await create_lead(session, COMMAND, NewLead(subject=SubjectValues(person="Любой")))


async def test_nobody_enters_a_stage_while_it_is_archived(database: Database) -> None:
    async with database.sessions.begin() as session:
        scheme = await own_scheme(session, "Гонка", "А", "Б")
        leads = [await lead_in(session, scheme) for _ in range(8)]
    to_a, to_b = stage_named(scheme, "А"), stage_named(scheme, "Б")

    async def enter(lead: CreatedLead) -> None:
        async with database.sessions.begin() as session:
            await move_lead(session, COMMAND, lead.id, Move(to_stage_id=to_a))

    async def archive() -> None:
        async with database.sessions.begin() as session:
            await archive_stage(session, COMMAND, to_a, replaced_by_id=to_b)

    came = await asyncio.gather(
        *map(enter, leads[:4]), archive(), *map(enter, leads[4:]), return_exceptions=True
    )
    assert [each for each in came if each is not None and not isinstance(each, CrmError)] == []
    async with database.sessions() as session:
        standing = await session.scalars(select(Lead.id).where(Lead.stage_id == to_a))
        assert standing.all() == []


# What a stage asks for


async def test_the_first_stage_asks_when_a_person_opens_a_lead_and_never_loses_an_enquiry(
    session: AsyncSession,
) -> None:
    scheme = await own_scheme(session, "Строгая")
    await asks(session, scheme, "New", enter=frozenset({"source", "phone"}))
    with pytest.raises(StageIncomplete) as refused:
        await lead_in(session, scheme)
    assert refused.value.missing == ("source", "phone")
    await session.rollback()
    scheme = await own_scheme(session, "Строгая")
    await asks(session, scheme, "New", enter=frozenset({"source", "phone"}))
    whole = NewLead(
        subject=SubjectValues(person="С номером", number="+79000000701"),
        values=LeadValues(source="Сайт"),
        scheme_id=scheme.id,
    )
    await create_lead(session, COMMAND, whole)
    enquiry = NewLead(subject=SubjectValues(number="+79000000702"), scheme_id=scheme.id)
    assert (await create_automatic_lead(session, COMMAND, enquiry)).is_new


async def test_a_stage_asks_for_a_phone_and_for_somebody_responsible(session: AsyncSession) -> None:
    scheme = await own_scheme(session, "С телефоном", "В работе")
    await asks(session, scheme, "В работе", enter=frozenset({"phone", "owner_id", "email"}))
    lead = await lead_in(session, scheme)
    to = Move(to_stage_id=stage_named(scheme, "В работе"))
    with pytest.raises(StageIncomplete) as refused:
        await move_lead(session, COMMAND, lead.id, to)
    assert refused.value.missing == ("owner_id", "phone", "email")
    await attach_number(session, COMMAND, lead.party_id, NumberValues(presented="+79000000703"))
    agent = await make_user(session)
    await session.execute(update(Lead).where(Lead.id == lead.id).values(owner_id=agent.user_id))
    with pytest.raises(StageIncomplete) as refused:
        await move_lead(session, COMMAND, lead.id, to)
    assert refused.value.missing == ("email",)


async def test_what_the_stage_needs_cannot_be_emptied_in_it(session: AsyncSession) -> None:
    scheme = await own_scheme(session, "Не опустошать", "В работе")
    await asks(session, scheme, "В работе", enter=frozenset({"need"}))
    lead = await lead_in(session, scheme)
    going = Move(to_stage_id=stage_named(scheme, "В работе"), fields={"need": "Окна"})
    await move_lead(session, COMMAND, lead.id, going)
    with pytest.raises(StageIncomplete):
        await edit_lead(session, COMMAND, lead.id, {"need": "  "})
    await edit_lead(session, COMMAND, lead.id, {"need": "Двери", "source": ""})
    assert (await lead_row(session, lead.id)).need == "Двери"


# Reasons


async def test_reasons_of_disqualifying_are_a_directory(session: AsyncSession) -> None:
    entry_id = await add_entry(session, COMMAND, LEAD_REASON, "Не наш регион", colour="#2f6fed")
    assert "Не наш регион" in [reason.name for reason in await list_reasons(session, "lead")]
    await move_entry(session, COMMAND, LEAD_REASON, entry_id, up=True)
    await edit_entry(session, COMMAND, LEAD_REASON, entry_id, name="Не наш край", colour=None)
    scheme = await own_scheme(session, "Причины")
    lead = await lead_in(session, scheme)
    await disqualify_lead(session, COMMAND, lead.id, entry_id)
    await archive_entry(session, COMMAND, LEAD_REASON, entry_id)
    assert entry_id not in [reason.id for reason in await list_reasons(session, "lead")]
    with pytest.raises(Invalid, match="reason"):
        await disqualify_lead(session, COMMAND, (await lead_in(session, scheme)).id, entry_id)
    spam = next(entry for entry in await list_entries(session, LEAD_REASON) if entry.name == "Spam")
    assert spam.is_system
    with pytest.raises(Invalid, match="The program itself needs"):
        await archive_entry(session, COMMAND, LEAD_REASON, spam.id)
