"""Merging leads: one goes on with everything of the others, undoing gives it back, and the database keeps what it keeps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.comments import add_lead_comment
from crm.communication_filters import CommunicationFilter
from crm.communications import count_communications, list_communications
from crm.errors import Invalid, NotAllowed, NotFound
from crm.lead_cards import lead_card
from crm.lead_errors import LeadIsOver, LeadMerged
from crm.lead_intake import NewLead, create_automatic_lead, create_lead
from crm.lead_likeness import similar_leads
from crm.lead_lists import LeadFilter, list_leads
from crm.lead_merging import AnotherIsOpen, DifferentClients, merge_leads, undo_lead_merge
from crm.lead_subjects import SubjectValues
from crm.lead_values import LeadValues
from crm.leads import assign_lead, disqualify_lead, edit_lead, hold_lead, move_lead, reopen_lead
from crm.merge_list import list_merges, merges_of, read_merge
from crm.merge_log import MergedFurther, TooLate, UndoneAlready
from crm.merge_references import LEAD_REFERENCES, STAYING_WITH_LEAD
from crm.merge_rows import Left
from crm.schema.base import uuid7
from crm.schema.communications import Comment, Communication
from crm.schema.leads import Lead
from crm.schema.merging import MergeLog
from crm.schema.parties import Party, PartyPhone
from crm.schema.stages import Hold
from crm.schemes import scheme_of
from crm.stages import Move
from tests.crm import planting
from tests.crm.enquiries import automatic, lead_row, make_lead, stage_named, visits
from tests.crm.people import COMMAND, make_team, make_user
from tests.crm.planting import NOON


async def lead(session: AsyncSession, values: LeadValues | None = None, **subject: Any) -> int:
    new = NewLead(subject=SubjectValues(**subject), values=values or LeadValues(), is_further=True)
    return (await create_lead(session, COMMAND, new)).id


async def two_of_a_client(session: AsyncSession) -> tuple[int, int, int]:
    """A client with two open leads."""
    client = await planting.person(session, "Дважды Спросивший", kind="client")
    first = await lead(session, LeadValues(need="Окна", campaign={"utm_source": "ads"}), party_id=client)
    second = await lead(
        session, LeadValues(title="Двери", need="Двери", campaign={"utm_campaign": "spring"}), party_id=client
    )
    return client, first, second


async def said(session: AsyncSession, lead_id: int) -> Any:
    row = {"id": uuid7(), "kind": "email", "direction": "in", "started_at": NOON, "lead_id": lead_id}
    await session.execute(insert(Communication).values(row))
    return row["id"]


async def lead_of(session: AsyncSession, communication_id: Any) -> int | None:
    found: int | None = await session.scalar(
        select(Communication.lead_id).where(Communication.id == communication_id)
    )
    return found


async def test_everything_goes_to_the_survivor_and_undoing_brings_all_of_it_back(
    session: AsyncSession,
) -> None:
    client, first, second = await two_of_a_client(session)
    letter = await said(session, second)
    comment = await add_lead_comment(session, await make_user(session, ("admin",)), second, "Ждёт до пятницы")
    earlier = {"first_response_at": Lead.created_at + timedelta(minutes=3)}
    await session.execute(update(Lead).where(Lead.id == second).values(earlier))
    done = await merge_leads(session, COMMAND, first, [second])
    row, gone = await lead_row(session, first), await lead_row(session, second)
    assert (row.title, row.need, row.campaign) == (
        "Двери",
        "Окна\n\nДвери",
        {"utm_source": "ads", "utm_campaign": "spring"},
    )
    assert row.first_response_at is not None
    assert (gone.state, gone.merged_into_id, gone.duplicate_of_id) == ("disqualified", first, first)
    assert await lead_of(session, letter) == first
    assert await session.scalar(select(Comment.lead_id).where(Comment.id == comment)) == first
    assert (await lead_card(session, COMMAND, second)).lead.id == first
    listed = await list_leads(session, COMMAND, LeadFilter(state="all", party_id=client))
    assert [each.id for each in listed.items] == [first]
    with pytest.raises(LeadMerged):
        await reopen_lead(session, COMMAND, second)

    undone = await undo_lead_merge(session, COMMAND, done.merge_id)
    assert undone.left == ()
    row, back = await lead_row(session, first), await lead_row(session, second)
    assert (row.title, row.need, row.campaign) == (None, "Окна", {"utm_source": "ads"})
    assert row.first_response_at is None
    assert (back.state, back.merged_into_id, back.duplicate_of_id, back.disqualified_at) == (
        "open",
        None,
        None,
        None,
    )
    assert [name for name, *_ in await visits(session, second)] == ["New", "Disqualified", "New"]
    assert await lead_of(session, letter) == second
    assert await session.scalar(select(Comment.lead_id).where(Comment.id == comment)) == second
    with pytest.raises(UndoneAlready):
        await undo_lead_merge(session, COMMAND, done.merge_id)


async def test_merged_yesterday_new_communication_since_undo_both_back_it_stays_with_the_survivor(
    session: AsyncSession,
) -> None:
    _client, first, second = await two_of_a_client(session)
    done = await merge_leads(session, COMMAND, first, [second])
    yesterday = datetime.now(UTC) - timedelta(days=1)
    await session.execute(update(MergeLog).where(MergeLog.id == done.merge_id).values(at=yesterday))
    letter = await said(session, first)
    await edit_lead(session, COMMAND, first, {"title": "Исправлено потом"})
    undone = await undo_lead_merge(session, COMMAND, done.merge_id)
    assert set(undone.left) == {
        Left(reference="communication.lead_id", count=1, why="later"),
        Left(reference="lead", count=1, why="elsewhere"),
    }
    assert await lead_of(session, letter) == first
    assert (await lead_row(session, first)).title == "Исправлено потом"
    assert (await lead_row(session, second)).state == "open"
    assert (await read_merge(session, COMMAND, done.merge_id, record_kind="lead")).left == undone.left


async def test_values_are_chosen_one_by_one(session: AsyncSession) -> None:
    _client, first, second = await two_of_a_client(session)
    team = await make_team(session, "Отдел выбора")
    agent = await make_user(session, team_id=team)
    await assign_lead(session, COMMAND, second, agent.user_id)
    await merge_leads(session, COMMAND, first, [second], {"need": second, "title": None, "owner_id": second})
    row = await lead_row(session, first)
    assert (row.need, row.title, row.owner_id, row.team_id) == ("Двери", None, agent.user_id, team)


@pytest.mark.parametrize("choices", [{"colour": 1}, {"need": 10**9}])
async def test_a_choice_that_is_none_is_refused(session: AsyncSession, choices: dict[str, int]) -> None:
    _client, first, second = await two_of_a_client(session)
    with pytest.raises(Invalid):
        await merge_leads(session, COMMAND, first, [second], choices)


async def test_somebody_known_from_a_lead_alone_becomes_the_others_and_is_apart_again(
    session: AsyncSession,
) -> None:
    by_mail = await lead(session, person="Почтовый Пётр", email="petr.merge@example.org")
    by_phone = (await automatic(session, COMMAND, "+79000000911")).id
    one, other = await lead_row(session, by_mail), await lead_row(session, by_phone)
    person, caller = one.person_id, other.person_id
    done = await merge_leads(session, COMMAND, by_mail, [by_phone])
    owner = await session.scalar(select(PartyPhone.party_id).where(PartyPhone.presented.contains("0000911")))
    assert owner == person
    merged = await session.scalar(select(Party.merged_into_id).where(Party.id == caller))
    assert merged == person
    again = await create_automatic_lead(
        session, COMMAND, NewLead(subject=SubjectValues(number="+79000000911")), request_text="Ещё раз"
    )
    assert again.party_id == person
    await session.execute(update(Lead).where(Lead.id == again.id).values(auto_created=False))
    left = (await undo_lead_merge(session, COMMAND, done.merge_id)).left
    assert {each.why for each in left} <= {"later"}
    assert (await lead_row(session, by_phone)).person_id == caller
    assert (await lead_row(session, by_mail)).person_id == person
    owner = await session.scalar(select(PartyPhone.party_id).where(PartyPhone.presented.contains("0000911")))
    assert owner == caller


async def test_an_active_client_takes_over_whoever_the_survivor_was_about(session: AsyncSession) -> None:
    client = await planting.person(session, "Известный Клиент", kind="client")
    unknown, known = await lead(session, person="Звонивший"), await lead(session, party_id=client)
    done = await merge_leads(session, COMMAND, unknown, [known])
    assert (await lead_row(session, unknown)).person_id == client
    await undo_lead_merge(session, COMMAND, done.merge_id)
    back = (await lead_row(session, unknown)).person_id
    assert back != client
    assert await session.scalar(select(Party.lifecycle).where(Party.id == back)) == "unqualified"
    other = await lead(session, party_id=await planting.person(session, "Другой Клиент", kind="client"))
    with pytest.raises(DifferentClients, match="two clients"):
        await merge_leads(session, COMMAND, known, [other])


async def test_a_missing_organisation_is_taken_over(session: AsyncSession) -> None:
    person = await lead(session, person="Без фирмы")
    firm = await lead(session, organisation="ООО «С фирмой»")
    done = await merge_leads(session, COMMAND, person, [firm])
    assert (await lead_row(session, person)).organisation_id is not None
    await undo_lead_merge(session, COMMAND, done.merge_id)
    row = await lead_row(session, person)
    assert (row.organisation_id, row.person_id is not None) == (None, True)


async def test_an_automatic_lead_goes_on_as_one_and_another_open_one_keeps_it_from_coming_back(
    session: AsyncSession,
) -> None:
    client = await planting.person(session, "Автоматический", kind="client")
    await planting.owns(session, client, await planting.number(session, "+79000000921"))
    typed = await lead(session, party_id=client)
    came = (await automatic(session, COMMAND, "+79000000921")).id
    done = await merge_leads(session, COMMAND, typed, [came])
    assert (await lead_row(session, typed)).auto_created
    again = await automatic(session, COMMAND, "+79000000921")
    assert (again.id, again.is_new) == (typed, False)
    await disqualify_lead(session, COMMAND, typed, "spam")
    third = await automatic(session, COMMAND, "+79000000921")
    assert third.is_new
    with pytest.raises(AnotherIsOpen):
        await undo_lead_merge(session, COMMAND, done.merge_id)


async def test_a_paused_lead_comes_back_paused_in_the_stage_it_stood_in(session: AsyncSession) -> None:
    _client, first, second = await two_of_a_client(session)
    scheme = await scheme_of(session, (await lead_row(session, second)).scheme_id)
    going = stage_named(scheme, "In progress")
    await move_lead(session, COMMAND, second, Move(to_stage_id=going))
    await hold_lead(session, COMMAND, second, reason="Отпуск", resume_on=date(2030, 1, 1))
    done = await merge_leads(session, COMMAND, first, [second])
    await undo_lead_merge(session, COMMAND, done.merge_id)
    row = await lead_row(session, second)
    assert (row.state, row.stage_id) == ("on_hold", going)
    pause = await session.scalar(select(Hold.reason).where(Hold.lead_id == second, Hold.to_at.is_(None)))
    assert pause == "Отпуск"


async def test_what_cannot_be_merged_is_refused(session: AsyncSession) -> None:
    client, first, second = await two_of_a_client(session)
    for ids in ([], [first], [10**9 + n for n in range(5)]):
        with pytest.raises(Invalid):
            await merge_leads(session, COMMAND, first, ids)
    with pytest.raises(NotFound):
        await merge_leads(session, COMMAND, first, [10**9])
    await disqualify_lead(session, COMMAND, second, "spam")
    with pytest.raises(LeadIsOver):
        await merge_leads(session, COMMAND, first, [second])
    third = await lead(session, party_id=client)
    done = await merge_leads(session, COMMAND, first, [third])
    late = datetime.now(UTC) - timedelta(days=31)
    await session.execute(update(MergeLog).where(MergeLog.id == done.merge_id).values(at=late))
    with pytest.raises(TooLate):
        await undo_lead_merge(session, COMMAND, done.merge_id)


async def test_a_survivor_that_went_into_another_is_undone_in_order(session: AsyncSession) -> None:
    client, first, second = await two_of_a_client(session)
    third = await lead(session, party_id=client)
    one = await merge_leads(session, COMMAND, second, [third])
    two = await merge_leads(session, COMMAND, first, [second])
    assert (await lead_row(session, third)).merged_into_id == first  # a chain has one link
    with pytest.raises(MergedFurther):
        await undo_lead_merge(session, COMMAND, one.merge_id)
    await undo_lead_merge(session, COMMAND, two.merge_id)
    await undo_lead_merge(session, COMMAND, one.merge_id)
    assert [(await lead_row(session, each)).state for each in (first, second, third)] == ["open"] * 3


async def test_who_may_merge_which_leads(session: AsyncSession) -> None:
    agent, manager, other = (
        await make_user(session),
        await make_user(session, ("manager",)),
        await make_user(session, ("manager",)),
    )
    own = [(await make_lead(session, manager)).id for _ in range(2)]
    foreign = (await make_lead(session, other)).id
    with pytest.raises(NotAllowed):
        await merge_leads(session, agent, own[0], [own[1]])
    with pytest.raises(NotFound):
        await merge_leads(session, manager, own[0], [foreign])
    done = await merge_leads(session, manager, own[0], [own[1]])
    assert [each.id for each in await merges_of(session, manager, own[0], record_kind="lead")] == [
        done.merge_id
    ]
    assert (await list_merges(session, other, record_kind="lead")).items == ()
    with pytest.raises(NotFound):
        await undo_lead_merge(session, other, done.merge_id)
    assert done.merge_id not in [each.id for each in (await list_merges(session, COMMAND)).items]


async def test_leads_that_may_be_one_are_shown_on_the_card(session: AsyncSession) -> None:
    _client, first, second = await two_of_a_client(session)
    card = await lead_card(session, COMMAND, first)
    assert [each.id for each in await similar_leads(session, COMMAND, card)] == [second]
    stranger = await make_user(session, ("manager",))
    assert await similar_leads(session, stranger, card) == []
    await disqualify_lead(session, COMMAND, second, "spam")
    assert await similar_leads(session, COMMAND, card) == []


async def test_the_merge_knows_every_foreign_key_to_a_lead(session: AsyncSession) -> None:
    rows = await session.execute(
        text(
            "select c.conrelid::regclass::text || '.' || a.attname from pg_constraint c "
            "join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any(c.conkey) "
            "where c.contype = 'f' and c.confrelid = 'lead'::regclass"
        )
    )
    staying = {f"{column.class_.__tablename__}.{column.key}" for column in STAYING_WITH_LEAD}
    known = {reference.name for reference in LEAD_REFERENCES} | staying
    unknown = set(rows.scalars()) - known
    assert not unknown, (
        f"{unknown}: add them to crm.merge_references.LEAD_REFERENCES, or to STAYING_WITH_LEAD"
    )


async def test_who_knows_the_old_id_finds_what_was_said_at_the_survivor(session: AsyncSession) -> None:
    _client, first, second = await two_of_a_client(session)
    letter = await said(session, second)
    await merge_leads(session, COMMAND, first, [second])
    asked = CommunicationFilter(lead_id=second)
    assert [each.id for each in (await list_communications(session, COMMAND, asked)).items] == [letter]
    assert (await count_communications(session, COMMAND, asked)).value == 1
