"""A new owner of a number adopts its earlier calls that are nobody's; earlier links and what people said stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm import adopting
from crm.adopting import adopt_piece
from crm.affiliations import ContactValues, affiliate
from crm.database import Database
from crm.lead_locks import lock_parties
from crm.merging import merge_parties
from crm.numbers import NumberValues, attach_number, end_ownership
from crm.parties import create_party, organisation_values, person_values
from crm.party_bin import bin_party, restore_party
from crm.party_cards import party_card
from crm.schema.communications import Call, Communication
from crm.schema.desk import CallbackCase, CallbackMiss
from crm.schema.parties import Party, PartyPhone
from crm.timeline import timeline
from tests.crm import planting
from tests.crm.people import COMMAND
from tests.crm.planting import NOON

NUMBER = "+79000000881"


async def firm(session: AsyncSession, name: str, *numbers: str, is_shared: bool = False) -> int:
    values = [NumberValues(presented=number, is_shared=is_shared) for number in numbers]
    made = organisation_values(name)
    return await create_party(session, COMMAND, made, kinds=["client"], numbers=values)


async def adopted(session: AsyncSession) -> None:
    while await adopt_piece(session, COMMAND):
        pass


async def missed(session: AsyncSession, e164: str = NUMBER, **more: Any) -> int:
    values = {"line_group": "none", "first_missed_at": NOON, "last_missed_at": NOON, "due_at": NOON}
    made: int = await planting.add(session, CallbackCase, e164=e164, **values, **more)
    return made


async def whose_case(session: AsyncSession, case_id: int) -> int | None:
    query = select(CallbackCase.party_id).where(CallbackCase.id == case_id)
    return (await session.execute(query)).scalar_one()


async def link_of(session: AsyncSession, call_id: UUID) -> tuple[int | None, int | None, str | None]:
    query = select(Communication.party_id, Communication.contact_id, Communication.link_source)
    row = (await session.execute(query.where(Communication.id == call_id))).one()
    return row.party_id, row.contact_id, row.link_source


async def test_earlier_calls_that_were_nobodys_are_the_new_owners(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office")
    call = await planting.past_call(session, office, NUMBER, NOON)
    other = await planting.past_call(session, office, "+79000000882", NOON)
    await session.execute(update(Call).where(Call.id == call).values(answered_at=NOON))
    case_id = await missed(session)
    company = await firm(session, "Новая", NUMBER)
    await adopted(session)
    assert await link_of(session, call) == (company, None, "auto")
    assert await link_of(session, other) == (None, None, None)
    assert [item.id for item in (await timeline(session, COMMAND, company)).items] == [call]
    party = await session.get_one(Party, company, populate_existing=True)
    assert (party.last_communication_at, party.last_talk_at) == (NOON, NOON)
    assert await whose_case(session, case_id) == company
    assert await adopt_piece(session, COMMAND) is False


async def test_links_of_a_former_owner_and_what_people_said_stay(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office")
    former = await firm(session, "Прежняя", NUMBER)
    theirs = await planting.past_call(session, office, NUMBER, NOON, party_id=former)
    said = await planting.past_call(session, office, NUMBER, NOON, link_source="agent")
    inside = await planting.past_call(session, office, NUMBER, NOON, is_internal=True)
    await adopted(session)
    (phone,) = (await party_card(session, COMMAND, former)).phones
    await end_ownership(session, COMMAND, phone.id)
    between = await planting.past_call(session, office, NUMBER, NOON)
    new = await firm(session, "Новая", NUMBER)
    await adopted(session)
    assert (await link_of(session, theirs))[0] == former
    assert await link_of(session, said) == (None, None, "agent")
    assert (await link_of(session, inside))[0] is None
    assert (await link_of(session, between))[0] == new


async def test_a_contact_adopts_for_their_organisation(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office")
    call = await planting.past_call(session, office, NUMBER, NOON)
    company = await firm(session, "Компания")
    person = await create_party(
        session, COMMAND, person_values("Анна"), numbers=[NumberValues(presented=NUMBER)]
    )
    await affiliate(session, COMMAND, person, company, ContactValues())
    await adopted(session)
    assert await link_of(session, call) == (company, person, "auto")


async def test_of_several_owners_nobody_is_picked(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office")
    call = await planting.past_call(session, office, NUMBER, NOON)
    one, other = await firm(session, "Одна", NUMBER, is_shared=True), await firm(session, "Другая")
    await attach_number(session, COMMAND, other, NumberValues(presented=NUMBER, is_shared=True))
    await adopted(session)
    assert await link_of(session, call) == (None, None, None)
    assert one != other


async def test_in_the_bin_what_was_adopted_is_nobodys_and_another_owner_adopts_it(
    session: AsyncSession,
) -> None:
    office = await planting.connection(session, "Office")
    call, case_id = await planting.past_call(session, office, NUMBER, NOON), await missed(session)
    company, person = (
        await firm(session, "Компания"),
        await create_party(session, COMMAND, person_values("Анна"), numbers=[NumberValues(presented=NUMBER)]),
    )
    await affiliate(session, COMMAND, person, company, ContactValues())
    await adopted(session)
    said = await planting.past_call(
        session, office, NUMBER, NOON, party_id=company, contact_id=person, link_source="agent"
    )
    own = await planting.past_call(
        session, office, NUMBER, datetime.now(UTC), party_id=company, contact_id=person, link_source="auto"
    )
    await bin_party(session, COMMAND, person)
    assert await link_of(session, call) == (None, None, None)
    assert await whose_case(session, case_id) is None
    assert await link_of(session, said) == (company, person, "agent")
    assert await link_of(session, own) == (company, person, "auto")
    new = await firm(session, "Новая", NUMBER)
    await adopted(session)
    assert await link_of(session, call) == (new, None, "auto")
    assert await whose_case(session, case_id) == new


async def test_what_people_said_of_a_case_stays_in_the_bin(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office")
    company = await firm(session, "Компания", NUMBER)
    said = await planting.past_call(session, office, NUMBER, NOON, party_id=company, link_source="agent")
    case_id = await missed(session, party_id=company)
    await session.execute(insert(CallbackMiss).values(call_id=said, case_id=case_id, missed_at=NOON))
    await bin_party(session, COMMAND, company)
    assert await whose_case(session, case_id) == company


async def test_calls_of_those_merged_into_it_are_no_adopted_ones(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office")
    older, company = await firm(session, "Старая"), await firm(session, "Новая", NUMBER)
    await session.execute(update(Party).where(Party.id == older).values(created_at=NOON))
    later = NOON + timedelta(days=1)
    theirs = await planting.past_call(session, office, NUMBER, later, party_id=older, link_source="auto")
    await merge_parties(session, COMMAND, company, [older])
    await bin_party(session, COMMAND, company)
    assert await link_of(session, theirs) == (company, None, "auto")


async def test_out_of_the_bin_a_number_adopts_the_calls_that_came_meanwhile(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office")
    before = await planting.past_call(session, office, NUMBER, NOON)
    company = await firm(session, "Компания", NUMBER)
    await adopted(session)
    await bin_party(session, COMMAND, company)
    meanwhile = await planting.past_call(session, office, NUMBER, datetime.now(UTC))
    await restore_party(session, COMMAND, company)
    await adopted(session)
    assert await link_of(session, meanwhile) == (company, None, "auto")
    assert await link_of(session, before) == (company, None, "auto")


async def test_many_calls_of_a_number_are_adopted_piece_by_piece(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "CALLS_AT_ONCE", 2)
    office = await planting.connection(session, "Office")
    calls = [await planting.past_call(session, office, NUMBER, NOON) for _ in range(5)]
    company = await firm(session, "Новая", NUMBER)
    await adopt_piece(session, COMMAND)
    links = [await link_of(session, call) for call in calls]
    assert links.count((company, None, "auto")) == 2
    await adopted(session)
    assert {await link_of(session, call) for call in calls} == {(company, None, "auto")}


async def test_parties_are_locked_for_one_number_only(database: Database) -> None:
    """Whoever merges two holds the first while a piece adopts for the second: neither waits for the other."""
    async with database.sessions.begin() as session:
        office = await planting.connection(session, "Office")
        numbers = ["+79000000891", "+79000000892"]
        calls = [await planting.past_call(session, office, number, NOON) for number in numbers]
        first, second = await firm(session, "Первая"), await firm(session, "Вторая")
        for owner, number in zip((second, first), numbers, strict=True):
            await attach_number(session, COMMAND, owner, NumberValues(presented=number))
    async with database.sessions.begin() as merging:
        await lock_parties(merging, [first], is_merging=True)
        async with database.sessions.begin() as session:
            assert await adopt_piece(session, COMMAND)
        assert [(await link_of(merging, call))[0] for call in calls] == [second, None]
        await lock_parties(merging, [second], is_merging=True)
    async with database.sessions.begin() as session:
        await adopted(session)
        assert (await link_of(session, calls[1]))[0] == first


async def test_of_a_number_that_nobody_called_no_owner_is_waited_for(database: Database) -> None:
    waiting = select(Party.display_name).join(PartyPhone).where(PartyPhone.is_adopting)
    async with database.sessions.begin() as session:
        held = await firm(session, "Занятая", "+79000000893")
        await firm(session, "Свободная", "+79000000894")
    async with database.sessions.begin() as merging:
        await lock_parties(merging, [held], is_merging=True)
        async with database.sessions.begin() as session:
            assert await adopt_piece(session, COMMAND)
        assert (await merging.scalars(waiting)).all() == ["Занятая"]
    async with database.sessions.begin() as session:
        await adopted(session)
        assert (await session.scalars(waiting)).all() == []
