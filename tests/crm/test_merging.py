"""Merging and undoing it: crm-model 8 and the examples of 18, on a real database."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm import merge_rows
from crm.contact_points import edit_email, mark_email
from crm.database import Database
from crm.emails import attach_email
from crm.errors import Invalid, NotAllowed, NotFound
from crm.merge_log import CannotMerge, MergedFurther, TooLate, UndoneAlready
from crm.merge_references import REFERENCES
from crm.merge_rows import Left
from crm.merging import (
    DifferentTypes,
    MergedMeanwhile,
    gather_strays,
    merge_parties,
    recent_merges,
    undo_merge,
    unite,
)
from crm.numbers import NumberValues, attach_number, mark_number
from crm.parties import (
    ContactValues,
    affiliate,
    change_owner,
    create_party,
    edit_party,
    organisation_values,
    person_values,
)
from crm.party_cards import PartyCard, party_card
from crm.rights import Access
from crm.schema.base import uuid7
from crm.schema.communications import Comment, Communication
from crm.schema.journals import ChangeLog, OutboxEvent
from crm.schema.merging import DuplicateDismissal, MergeLog
from crm.schema.parties import Affiliation, ExternalRef, Organisation, Party, PartyPhone, Person
from crm.schema.tasks import Task
from crm.task_values import TaskValues
from crm.tasks import NewTask, create_task
from tests.crm import planting
from tests.crm.people import COMMAND, make_team, make_user
from tests.crm.planting import NOON


async def firm(session: AsyncSession, name: str, *numbers: str, access: Access = COMMAND, **more: Any) -> int:
    values = [NumberValues(presented=number) for number in numbers]
    kinds = more.pop("kinds", ["client"])
    return await create_party(session, access, organisation_values(name, **more), kinds=kinds, numbers=values)


async def human(session: AsyncSession, name: str, *numbers: str, **more: Any) -> int:
    values = [NumberValues(presented=number) for number in numbers]
    return await create_party(session, COMMAND, person_values(name, **more), numbers=values)


async def card(session: AsyncSession, party_id: int) -> PartyCard:
    return await party_card(session, COMMAND, party_id)


async def talk(session: AsyncSession, party_id: int, contact_id: int | None = None) -> None:
    values = {"kind": "meeting", "direction": "none", "started_at": NOON, "ended_at": NOON}
    await session.execute(
        insert(Communication).values(id=uuid7(), party_id=party_id, contact_id=contact_id, **values)
    )


async def pictured(session: AsyncSession) -> dict[str, list[Any]]:
    """Every row that refers to a party, and the parties, without what any write changes."""
    picture: dict[str, list[Any]] = {}
    for table in sorted({reference.table for reference in REFERENCES} | {"person", "organisation"}):
        rows = await session.execute(
            text(f"select to_jsonb(t) - 'version' - 'updated_at' from {table} t order by to_jsonb(t)::text")
        )
        picture[table] = sorted(map(repr, rows.scalars()))
    return picture


async def rows_of(session: AsyncSession, party_id: int) -> int:
    """How many rows refer to a party."""
    count = 0
    for reference in REFERENCES:
        value: Any = str(party_id) if reference.type == "text" else party_id
        query = select(func.count()).select_from(reference.column.class_).where(reference.column == value)
        count += (await session.execute(query)).scalar_one()
    return count


async def full_firm(session: AsyncSession, name: str, contact: int, number: str) -> int:
    party_id = await firm(session, name, number)
    await attach_number(session, COMMAND, party_id, NumberValues(presented="+74950000000", is_shared=True))
    await attach_email(session, COMMAND, party_id, f"{party_id}@example.org")
    await affiliate(session, COMMAND, contact, party_id, ContactValues(position="Закупки"))
    await affiliate(session, COMMAND, await human(session, f"Человек {name}"), party_id, ContactValues())
    await talk(session, party_id, contact)
    agent = await make_user(session)
    await session.execute(
        insert(Comment).values(id=uuid7(), party_id=party_id, author_id=agent.user_id, text=name)
    )
    await session.execute(
        insert(ExternalRef).values(
            system="shop", record_kind="party", record_id=str(party_id), external_id=f"S-{party_id}"
        )
    )
    return party_id


async def test_everything_goes_to_the_survivor_and_undoing_brings_all_of_it_back(
    session: AsyncSession,
) -> None:
    shared_contact = await human(session, "Анна Примерова")
    one = await full_firm(session, "Ромашка", shared_contact, "+79000000001")
    other = await full_firm(session, "Ромашка-Трейд", shared_contact, "+79000000002")
    before = await pictured(session)
    rows = await rows_of(session, other)
    assert rows >= 8
    merged = await merge_parties(session, COMMAND, one, [other])
    assert await rows_of(session, other) == 0
    survivor = await card(session, other)  # the old address leads to the survivor
    assert survivor.id == one
    assert [phone.e164 for phone in survivor.phones] == ["+79000000001", "+74950000000", "+79000000002"]
    assert len(survivor.emails) == 2
    assert [contact.is_primary for contact in survivor.contacts] == [True, False, False]
    assert [kind.code for kind in survivor.kinds] == ["client"]
    undone = await undo_merge(session, COMMAND, merged.merge_id)
    assert (undone.left, undone.restored_ids) == ((), (other,))
    assert await pictured(session) == before


async def test_many_rows_move_by_pages_and_all_come_back(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge_rows, "ROWS_AT_ONCE", 2)
    one, other = await firm(session, "Один"), await firm(session, "Два", "+79000000091", "+79000000092")
    for _ in range(5):
        await talk(session, other)
    before = await pictured(session)
    merged = await merge_parties(session, COMMAND, one, [other])
    assert await rows_of(session, other) == 0
    assert (await undo_merge(session, COMMAND, merged.merge_id)).left == ()
    assert await pictured(session) == before


async def test_five_become_one_and_a_chain_has_one_link(session: AsyncSession) -> None:
    ids = [await firm(session, f"Фирма {n}", f"+7900000001{n}") for n in range(5)]
    first = await merge_parties(session, COMMAND, ids[3], [ids[4]])
    before = await pictured(session)
    second = await merge_parties(session, COMMAND, ids[0], ids[1:4])
    into = await session.scalars(select(Party.merged_into_id).where(Party.id.in_(ids[1:])))
    assert set(into) == {ids[0]}
    assert len((await card(session, ids[4])).phones) == 5
    with pytest.raises(MergedFurther, match="Фирма 3"):
        await undo_merge(session, COMMAND, first.merge_id)
    await undo_merge(session, COMMAND, second.merge_id)
    assert await pictured(session) == before
    await undo_merge(session, COMMAND, first.merge_id)
    assert len((await card(session, ids[4])).phones) == 1


async def test_the_same_number_on_both_is_one_row_since_the_earlier(session: AsyncSession) -> None:
    one, other = await human(session, "Один"), await human(session, "Другой")
    for party_id, since in ((one, NOON), (other, NOON - timedelta(days=9))):
        values = NumberValues(
            presented="+79000000021", is_shared=True, label="дом" if party_id == other else ""
        )
        phone_id = await attach_number(session, COMMAND, party_id, values)
        await session.execute(update(PartyPhone).where(PartyPhone.id == phone_id).values(since=since))
    before = await pictured(session)
    merged = await merge_parties(session, COMMAND, one, [other])
    rows = await session.scalars(select(PartyPhone).where(PartyPhone.party_id.in_([one, other])))
    (kept,) = rows
    assert (kept.party_id, kept.since, kept.label) == (one, NOON - timedelta(days=9), "дом")
    await undo_merge(session, COMMAND, merged.merge_id)
    session.expire_all()
    assert await pictured(session) == before


async def test_a_contact_of_both_is_one_and_stays_primary(session: AsyncSession) -> None:
    company = await firm(session, "Где работает")
    one, other = await human(session, "Анна"), await human(session, "Анна Примерова")
    first = await affiliate(session, COMMAND, other, company, ContactValues(position="Директор"))
    second = await affiliate(session, COMMAND, one, company, ContactValues())
    assert await session.scalar(select(Affiliation.is_primary).where(Affiliation.id == first))
    before = await pictured(session)
    merged = await merge_parties(session, COMMAND, one, [other])
    (contact,) = (await card(session, company)).contacts
    assert (contact.affiliation_id, contact.is_primary, contact.position) == (second, True, "Директор")
    await undo_merge(session, COMMAND, merged.merge_id)
    assert await pictured(session) == before


async def test_values_are_chosen_one_by_one(session: AsyncSession) -> None:
    one = await firm(session, "Ромашка", city="Тверь", note="Звонить утром", website="one.example")
    other = await firm(
        session, "Ромашка Плюс", city="Псков", note="Любит чай", inn="7707083893", kpp="770701001"
    )
    choices = {"city": other, "website": None, "short_name": other}
    await merge_parties(session, COMMAND, one, [other], choices)
    survivor = await card(session, one)
    assert (survivor.name, survivor.city, survivor.website) == ("Ромашка Плюс", "Псков", None)
    assert (survivor.inn, survivor.kpp) == ("7707083893", "770701001")
    assert survivor.note == "Звонить утром\n\nЛюбит чай"


@pytest.mark.parametrize("choices", [{"colour": 1}, {"city": 1}])
async def test_a_choice_that_is_none_is_refused_by_name(
    session: AsyncSession, choices: dict[str, int]
) -> None:
    one, other = await firm(session, "Один"), await firm(session, "Два")
    with pytest.raises(Invalid) as refused:
        await merge_parties(session, COMMAND, one, [other], choices)
    assert refused.value.field == "choices"


async def test_two_different_inn_are_refused_until_one_is_chosen(session: AsyncSession) -> None:
    one = await firm(session, "Один", inn="7707083893", kpp="770701001")
    other = await firm(session, "Два", inn="7728168971")
    with pytest.raises(Invalid, match="7707083893, 7728168971"):
        await merge_parties(session, COMMAND, one, [other])
    merged = await merge_parties(session, COMMAND, one, [other], {"inn": other})
    assert ((await card(session, one)).inn, (await card(session, one)).kpp) == ("7728168971", None)
    await undo_merge(session, COMMAND, merged.merge_id)
    assert [(await card(session, each)).inn for each in (one, other)] == ["7707083893", "7728168971"]


async def test_the_inn_of_one_person_goes_to_the_survivor(session: AsyncSession) -> None:
    one = await human(session, "Анна")
    other = await human(session, "Анна Примерова", inn="500100732259", birth_date=date(1980, 1, 2))
    await merge_parties(session, COMMAND, one, [other])
    survivor = await card(session, one)
    assert (survivor.name, survivor.inn, survivor.birth_date) == ("Анна", "500100732259", date(1980, 1, 2))
    assert (await session.get_one(Person, other)).inn is None


async def test_what_cannot_be_merged_is_refused(session: AsyncSession) -> None:
    one, other, somebody = (
        await firm(session, "Один"),
        await firm(session, "Два"),
        await human(session, "Анна"),
    )
    with pytest.raises(DifferentTypes):
        await merge_parties(session, COMMAND, one, [somebody])
    for wrong in ([], [one], list(range(one, one + 7))):
        with pytest.raises(Invalid):
            await merge_parties(session, COMMAND, one, wrong)
    with pytest.raises(NotFound):
        await merge_parties(session, COMMAND, one, [987_654_321])
    await merge_parties(session, COMMAND, one, [other])
    with pytest.raises(MergedMeanwhile, match="Два"):
        await merge_parties(session, COMMAND, one, [other])


async def test_merging_is_told_in_the_journals(session: AsyncSession) -> None:
    one, other = await firm(session, "Один"), await firm(session, "Два", "+79000000031")
    merged = await merge_parties(session, COMMAND, one, [other], via="api")
    events = await session.scalars(
        select(OutboxEvent.type).where(OutboxEvent.record_id == str(one), OutboxEvent.type == "party.merged")
    )
    assert len(events.all()) == 1
    logged = await session.execute(
        select(ChangeLog.field, ChangeLog.new).where(
            ChangeLog.record_id == str(other), ChangeLog.via == "api"
        )
    )
    changes: dict[str, Any] = dict(logged.all())
    assert changes["merged_into_id"] == one
    await undo_merge(session, COMMAND, merged.merge_id)
    with pytest.raises(UndoneAlready):
        await undo_merge(session, COMMAND, merged.merge_id)


async def test_what_came_later_stays_and_is_told(session: AsyncSession) -> None:
    """Merged yesterday, something new since: both are back, the new stays with the survivor."""
    one, other = await firm(session, "Один", "+79000000041"), await firm(session, "Два", "+79000000042")
    await talk(session, other)
    merged = await merge_parties(session, COMMAND, one, [other])
    await session.execute(
        update(MergeLog)
        .where(MergeLog.id == merged.merge_id)
        .values(at=datetime.now(UTC) - timedelta(seconds=1))
    )
    await session.execute(update(Party).where(Party.id.in_([one, other])).values(created_at=NOON))
    await session.execute(update(PartyPhone).where(PartyPhone.party_id == one).values(created_at=NOON))
    await session.execute(update(Communication).where(Communication.party_id == one).values(created_at=NOON))
    await talk(session, one)
    third = await firm(session, "Третий")
    (moved,) = [phone for phone in (await card(session, one)).phones if phone.e164 == "+79000000042"]
    await session.execute(
        update(PartyPhone).where(PartyPhone.id == moved.id).values(party_id=third, is_primary=True)
    )
    undone = await undo_merge(session, COMMAND, merged.merge_id)
    assert set(undone.left) == {
        Left(reference="party_phone.party_id", count=1, why="elsewhere"),
        Left(reference="communication.party_id", count=1, why="later"),
    }
    talks = select(Communication.party_id, func.count()).group_by(Communication.party_id)
    counted = dict((await session.execute(talks.where(Communication.party_id.in_([one, other])))).all())
    assert counted == {one: 1, other: 1}


async def test_merged_yesterday_new_task_since_undo_both_back_and_the_task_stays_with_the_survivor_said_so(
    session: AsyncSession,
) -> None:
    one, other = await firm(session, "Выживший"), await firm(session, "Влитый")
    merged = await merge_parties(session, COMMAND, one, [other])
    yesterday = datetime.now(UTC) - timedelta(days=1)
    await session.execute(update(MergeLog).where(MergeLog.id == merged.merge_id).values(at=yesterday))
    user = await make_user(session, ("admin",))
    new = NewTask(values=TaskValues(title="Перезвонить", party_id=one))
    task_id = await create_task(session, user, new, home_zone="Europe/Moscow")
    undone = await undo_merge(session, COMMAND, merged.merge_id)
    assert Left(reference="task.party_id", count=1, why="later") in undone.left
    assert await session.scalar(select(Task.party_id).where(Task.id == task_id)) == one
    assert (await card(session, other)).name == "Влитый"


async def test_what_people_changed_since_stays_as_they_left_it(session: AsyncSession) -> None:
    one = await firm(session, "Один", city="Тверь")
    other = await firm(session, "Два", city="Псков", website="two.example")
    merged = await merge_parties(session, COMMAND, one, [other], {"short_name": other, "city": other})
    now = await card(session, one)
    changed = organisation_values("Новое имя", city="Псков", website="two.example")
    await edit_party(session, COMMAND, one, changed, version=now.version)
    undone = await undo_merge(session, COMMAND, merged.merge_id)
    survivor = await card(session, one)
    assert (survivor.name, survivor.city, survivor.website) == ("Новое имя", "Тверь", None)
    assert [each.why for each in undone.left] == ["elsewhere"]


async def test_an_inn_that_somebody_took_meanwhile_is_told(session: AsyncSession) -> None:
    one, other = await firm(session, "Один", inn="7707083893"), await firm(session, "Два", inn="7728168971")
    merged = await merge_parties(session, COMMAND, one, [other], {"inn": one})
    third = await firm(session, "Третий", inn="7728168971")
    undone = await undo_merge(session, COMMAND, merged.merge_id)
    assert Left(reference="organisation.inn", count=1, why="taken") in undone.left
    assert [(await card(session, each)).inn for each in (other, third)] == [None, "7728168971"]


async def test_a_shared_number_that_became_direct_stays_with_the_survivor(session: AsyncSession) -> None:
    one, other = await human(session, "Один"), await human(session, "Два")
    for party_id in (one, other):
        values = NumberValues(presented="+79000000051", is_shared=True)
        await attach_number(session, COMMAND, party_id, values)
    merged = await merge_parties(session, COMMAND, one, [other])
    (phone,) = (await card(session, one)).phones
    await mark_number(session, COMMAND, phone.number_id, "direct")
    undone = await undo_merge(session, COMMAND, merged.merge_id)
    assert undone.left == (Left(reference="party_phone.party_id", count=1, why="taken"),)
    assert len((await card(session, one)).phones) == 1


async def test_after_thirty_days_a_merge_stays(session: AsyncSession) -> None:
    one, other = await firm(session, "Один"), await firm(session, "Два")
    merged = await merge_parties(session, COMMAND, one, [other])
    long_ago = datetime.now(UTC) - timedelta(days=31)
    await session.execute(update(MergeLog).where(MergeLog.id == merged.merge_id).values(at=long_ago))
    with pytest.raises(TooLate, match="30"):
        await undo_merge(session, COMMAND, merged.merge_id)


async def test_a_dismissal_holds_for_the_survivor(session: AsyncSession) -> None:
    one, other, third = [await firm(session, name) for name in ("Один", "Два", "Три")]
    low, high = sorted((other, third))
    await session.execute(insert(DuplicateDismissal).values(low_id=low, high_id=high))
    await merge_parties(session, COMMAND, one, [other])
    low, high = sorted((one, third))
    found = select(DuplicateDismissal.id).where(
        DuplicateDismissal.low_id == low, DuplicateDismissal.high_id == high
    )
    assert await session.scalar(found) is not None


async def test_who_may_merge_what(session: AsyncSession) -> None:
    team = await make_team(session, "Продажи")
    agent = await make_user(session, ("agent",), team_id=team)
    manager, colleague = [await make_user(session, ("manager",), team_id=team) for _ in range(2)]
    head = await make_user(session, ("head",), team_id=team, is_head=True)
    mine, mine_too = [await firm(session, f"Мой {n}", access=manager) for n in range(2)]
    of_colleague = await firm(session, "Коллеги", access=colleague)
    foreign = await firm(session, "Чужой")
    with pytest.raises(NotAllowed):
        await merge_parties(session, agent, mine, [mine_too])
    with pytest.raises(NotFound):  # own both
        await merge_parties(session, manager, mine, [of_colleague])
    with pytest.raises(NotFound):
        await merge_parties(session, head, mine, [foreign])
    await merge_parties(session, manager, mine, [mine_too])
    merged = await merge_parties(session, head, mine, [of_colleague])
    await change_owner(session, COMMAND, mine, colleague.user_id)
    with pytest.raises(NotFound):
        await undo_merge(session, manager, merged.merge_id)
    await unite(session, agent, mine, [foreign])  # as a part of an act with a right of its own


async def pair(database: Database, *names: str) -> list[int]:
    async with database.sessions.begin() as session:
        return [await firm(session, name) for name in names]


async def test_a_number_attached_during_a_merge_goes_to_the_survivor(database: Database) -> None:
    one, other = await pair(database, "Гонка 1", "Гонка 2")

    async def attach() -> None:
        async with database.sessions.begin() as session:
            await attach_number(session, COMMAND, other, NumberValues(presented="+79000000061"))

    async with database.sessions.begin() as merging:
        await merge_parties(merging, COMMAND, one, [other])
        attaching = asyncio.create_task(attach())
        await asyncio.sleep(0.2)
        assert not attaching.done()
    await attaching
    async with database.sessions() as session:
        assert [phone.e164 for phone in (await card(session, one)).phones] == ["+79000000061"]
        assert await rows_of(session, other) == 0


async def merge_at_once(database: Database, *merges: tuple[int, list[int]]) -> list[object]:
    async def merge(survivor_id: int, merged_ids: list[int]) -> object:
        async with database.sessions.begin() as session:
            return await merge_parties(session, COMMAND, survivor_id, merged_ids)

    return await asyncio.gather(*(merge(*each) for each in merges), return_exceptions=True)


async def test_two_merges_of_the_same_two_at_once_are_one(database: Database) -> None:
    one, other = await pair(database, "Встречно 1", "Встречно 2")
    results = await merge_at_once(database, (one, [other]), (other, [one]), (one, [other]))
    refused = [result for result in results if isinstance(result, BaseException)]
    assert len(refused) == 2
    assert all(isinstance(error, CannotMerge) for error in refused)
    async with database.sessions() as session:
        into = dict(
            (
                await session.execute(
                    select(Party.id, Party.merged_into_id).where(Party.id.in_([one, other]))
                )
            ).all()
        )
    assert list(into.values()).count(None) == 1


async def test_a_ring_of_merges_at_once_ends_without_a_deadlock(database: Database) -> None:
    ids = await pair(database, *(f"Кольцо {n}" for n in range(6)))
    for _ in range(3):
        merges = [(ids[n], [ids[(n + 1) % 6]]) for n in range(6)]
        results = await merge_at_once(database, *merges)
        unexpected = [
            each for each in results if isinstance(each, BaseException) and not isinstance(each, CannotMerge)
        ]
        assert unexpected == []
    async with database.sessions() as session:
        rows = await session.execute(select(Party.id, Party.merged_into_id).where(Party.id.in_(ids)))
        into = dict(rows.all())
    survivors = {party_id for party_id, target in into.items() if target is None}
    assert survivors
    assert {target for target in into.values() if target is not None} <= survivors


async def test_the_inn_of_one_with_the_kpp_of_another_may_be_a_third(session: AsyncSession) -> None:
    one = await firm(session, "Один", kpp="770701001")
    other = await firm(session, "Филиал", inn="7707083893")
    await firm(session, "Третий", inn="7707083893", kpp="770701001")
    with pytest.raises(Invalid) as refused:
        await merge_parties(session, COMMAND, one, [other])
    assert refused.value.field == "inn"
    assert (await session.get_one(Organisation, other)).kpp is None


async def test_calls_of_the_merged_are_counted_once(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office")
    one, other = await firm(session, "Один"), await firm(session, "Два")
    for party_id in (one, other):
        await planting.past_call(session, office, "+79000000071", NOON, party_id=party_id)
    await merge_parties(session, COMMAND, one, [other])
    count = select(func.count()).select_from(Communication).where(Communication.party_id == one)
    assert (await session.execute(count)).scalar_one() == 2


async def test_a_call_that_the_journal_linked_during_the_merge_follows(session: AsyncSession) -> None:
    one, other = await firm(session, "Один"), await firm(session, "Два")
    merged = await merge_parties(session, COMMAND, one, [other])
    earlier = {"at": datetime.now(UTC) - timedelta(minutes=1)}
    await session.execute(update(MergeLog).where(MergeLog.id == merged.merge_id).values(earlier))
    await talk(session, other)
    recent = await recent_merges(session, datetime.now(UTC) - timedelta(minutes=10))
    assert recent[-1] == merged.merge_id
    await gather_strays(session, merged.merge_id)
    assert (await rows_of(session, other), await rows_of(session, one)) == (0, 3)
    undone = await undo_merge(session, COMMAND, merged.merge_id)
    assert undone.left == ()
    assert await session.scalar(select(Communication.party_id)) == other


async def test_marks_of_an_address_that_both_have_are_kept_and_given_back(session: AsyncSession) -> None:
    agent = await make_user(session, ("admin",))
    kept, gone = await firm(session, "Один"), await firm(session, "Два")
    tie = await attach_email(session, COMMAND, kept, "both@example.org")
    await mark_email(session, COMMAND, tie, "shared")
    other = await attach_email(session, COMMAND, gone, "both@example.org")
    await edit_email(session, agent, other, is_opted_out=True)
    merged = await merge_parties(session, COMMAND, kept, [gone])
    ties = [
        each
        for each in (await party_card(session, COMMAND, kept)).emails
        if each.address == "both@example.org"
    ]
    assert [(each.opted_out_by, each.opted_out_at is not None, each.bounced_at) for each in ties] == [
        (agent.name, True, None)
    ]
    await undo_merge(session, COMMAND, merged.merge_id)
    marks = {
        party_id: [each.opted_out_by for each in (await party_card(session, COMMAND, party_id)).emails]
        for party_id in (kept, gone)
    }
    assert agent.name not in marks[kept]
    assert agent.name in marks[gone]
