"""A new owner of a number adopts its earlier calls that are nobody's; earlier links and what people said stay."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.adopting import adopt_piece
from crm.affiliations import ContactValues, affiliate
from crm.numbers import NumberValues, attach_number, end_ownership
from crm.parties import create_party, organisation_values, person_values
from crm.party_cards import party_card
from crm.schema.communications import Call, Communication
from crm.schema.desk import CallbackCase
from crm.schema.parties import Party
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


async def link_of(session: AsyncSession, call_id: UUID) -> tuple[int | None, int | None, str | None]:
    query = select(Communication.party_id, Communication.contact_id, Communication.link_source)
    row = (await session.execute(query.where(Communication.id == call_id))).one()
    return row.party_id, row.contact_id, row.link_source


async def test_earlier_calls_that_were_nobodys_are_the_new_owners(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office")
    call = await planting.past_call(session, office, NUMBER, NOON)
    other = await planting.past_call(session, office, "+79000000882", NOON)
    await session.execute(update(Call).where(Call.id == call).values(answered_at=NOON))
    case = {"e164": NUMBER, "line_group": "none", "first_missed_at": NOON, "last_missed_at": NOON}
    case_id = await planting.add(session, CallbackCase, **case, due_at=NOON)
    company = await firm(session, "Новая", NUMBER)
    await adopted(session)
    assert await link_of(session, call) == (company, None, "auto")
    assert await link_of(session, other) == (None, None, None)
    assert [item.id for item in (await timeline(session, COMMAND, company)).items] == [call]
    party = await session.get_one(Party, company, populate_existing=True)
    assert (party.last_communication_at, party.last_talk_at) == (NOON, NOON)
    assert await session.scalar(select(CallbackCase.party_id).where(CallbackCase.id == case_id)) == company
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
