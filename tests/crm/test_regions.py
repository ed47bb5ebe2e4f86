"""Regions of numbers: found out afterwards, kept in step with whose the numbers are, and what lists are narrowed by."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.affiliations import ContactValues, affiliate
from crm.database import Database
from crm.merging import merge_parties, undo_merge
from crm.numbers import NumberValues, attach_number, end_ownership
from crm.parties import create_party, organisation_values, person_values
from crm.party_bin import bin_party, restore_party
from crm.party_cards import party_card
from crm.party_lists import Count, PartyFilter, Sort, Which, count_parties, first_page, list_parties
from crm.regions import describe_piece, known_regions, recheck_piece
from crm.schema.parties import Party, PhoneNumber
from crm.schema.regions import PartyRegion, PartyRegionDue
from tests.crm.people import COMMAND, make_team, make_user
from tests.crm.planting import NOON

MOSCOW, PETERSBURG, MOBILE = "+74951230001", "+78123230001", "+79001230001"


async def firm(session: AsyncSession, name: str, *numbers: str) -> int:
    made = organisation_values(name)
    values = [NumberValues(presented=number) for number in numbers]
    return await create_party(session, COMMAND, made, kinds=["client"], numbers=values)


async def described(session: AsyncSession) -> None:
    while await describe_piece(session):
        pass


async def regions_of(session: AsyncSession, party_id: int) -> set[str]:
    query = select(PartyRegion.region).where(PartyRegion.party_id == party_id)
    return set(await session.scalars(query))


async def found(session: AsyncSession, region: str, **more: str) -> list[str]:
    for which in (Which.EVERYBODY, Which.COUNTERPARTIES):
        page = await list_parties(session, COMMAND, PartyFilter(which=which, region=region, **more))  # type: ignore[arg-type]
    return [row.name for row in page.items]


async def test_a_list_is_narrowed_by_the_region_of_numbers(session: AsyncSession) -> None:
    moscow = await firm(session, "Московская", MOSCOW, MOBILE)
    await firm(session, "Петербургская", PETERSBURG)
    assert await known_regions(session) == []  # nobody looked yet
    await described(session)
    assert await known_regions(session) == ["Московская обл.", "г. Санкт-Петербург"]
    assert await found(session, "Московская обл.") == ["Московская"]
    assert await found(session, "г. Санкт-Петербург", type="organisation") == ["Петербургская"]
    assert await found(session, "Казань") == []
    phones = {phone.e164: phone.region for phone in (await party_card(session, COMMAND, moscow)).phones}
    assert phones == {MOSCOW: "Московская обл.", MOBILE: None}
    assert await describe_piece(session) is False


async def test_a_firm_has_the_region_of_its_primary_contact(session: AsyncSession) -> None:
    company = await firm(session, "Без номера")
    one, other = [
        await create_party(session, COMMAND, person_values(name), numbers=[NumberValues(presented=number)])
        for name, number in (("Анна", MOSCOW), ("Борис", PETERSBURG))
    ]
    await described(session)
    for person_id in (one, other):
        await affiliate(session, COMMAND, person_id, company, ContactValues())
    assert await regions_of(session, company) == {"Московская обл."}
    await bin_party(session, COMMAND, one)  # the next contact is primary
    assert await regions_of(session, company) == {"г. Санкт-Петербург"}
    assert await regions_of(session, one) == set()
    await restore_party(session, COMMAND, one)
    assert await regions_of(session, one) == {"Московская обл."}


async def test_it_goes_and_comes_with_the_number(session: AsyncSession) -> None:
    company, other = await firm(session, "Одна", MOSCOW), await firm(session, "Другая", PETERSBURG)
    await described(session)
    (phone,) = (await party_card(session, COMMAND, company)).phones
    await end_ownership(session, COMMAND, phone.id)
    assert await regions_of(session, company) == set()
    await attach_number(session, COMMAND, other, NumberValues(presented=MOSCOW))
    assert await regions_of(session, other) == {"Московская обл.", "г. Санкт-Петербург"}
    merged = await merge_parties(session, COMMAND, company, [other])
    assert await regions_of(session, company) == {"Московская обл.", "г. Санкт-Петербург"}
    assert await regions_of(session, other) == set()
    await undo_merge(session, COMMAND, merged.merge_id)
    assert await regions_of(session, other) == {"Московская обл.", "г. Санкт-Петербург"}


async def test_numbers_are_described_a_few_at_a_time(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.regions.AT_ONCE", 2)
    await firm(session, "Много номеров", *[f"+7495123000{number}" for number in range(5)])
    pieces = 0
    while await describe_piece(session):
        pieces += 1
    assert pieces == 3
    await session.execute(update(PhoneNumber).values(region=""))
    assert await known_regions(session) == []


async def test_everybody_finds_their_own_of_a_region_in_every_order(session: AsyncSession) -> None:
    """Of one's own and of a team, a region is read from indexes of their own, which follow what the parties say."""
    team_id = await make_team(session, "Отдел региона")
    head = await make_user(session, ("head",), team_id=team_id, is_head=True)
    agent = await make_user(session, ("agent",))
    numbers = [f"+7495123000{digit}" for digit in range(1, 5)]
    ours, theirs, nobodys = [await firm(session, name, numbers.pop()) for name in ("Наша", "Чужая", "Ничья")]
    person = person_values("Человек Один")
    alone = await create_party(session, agent, person, numbers=[NumberValues(presented=numbers.pop())])
    await described(session)
    for party_id, values in (
        (ours, {"owner_id": agent.user_id, "team_id": team_id, "sort_name": "яя наша"}),
        (theirs, {"owner_id": head.user_id}),
        (nobodys, {"owner_id": None, "created_by": agent.user_id, "last_communication_at": NOON}),
    ):
        await session.execute(update(Party).where(Party.id == party_id).values(values))
    for sort in Sort:
        for access, which, expected in (
            (COMMAND, Which.COUNTERPARTIES, {ours, theirs, nobodys}),
            (head, Which.COUNTERPARTIES, {ours, theirs}),
            (agent, Which.COUNTERPARTIES, {ours, nobodys}),
            (agent, Which.EVERYBODY, {ours, nobodys, alone}),
            (agent, Which.CONTACTS, {alone}),
        ):
            wanted = PartyFilter(which=which, region="Московская обл.")
            page, count = await first_page(session, access, wanted, sort=sort)
            assert {row.id for row in page.items} == expected
            assert await count_parties(session, access, wanted) == Count(value=len(expected), is_more=False)
            assert count.value == len(expected)
    by_name = await list_parties(session, COMMAND, PartyFilter(region="Московская обл."))
    assert [row.id for row in by_name.items] == [nobodys, theirs, ours]
    last = await list_parties(
        session, COMMAND, PartyFilter(region="Московская обл."), sort=Sort.LAST_COMMUNICATION
    )
    assert last.items[0].id == nobodys


async def stored(database: Database, party_id: int) -> set[str]:
    async with database.sessions() as session:
        return await regions_of(session, party_id)


async def rechecked(database: Database) -> None:
    while True:
        async with database.sessions.begin() as session:
            if not await recheck_piece(session):
                return


async def due(database: Database) -> int:
    async with database.sessions() as session:
        return (await session.execute(select(func.count()).select_from(PartyRegionDue))).scalar_one()


async def phone_ids(database: Database, party_id: int) -> list[int]:
    async with database.sessions() as session:
        return [phone.id for phone in (await party_card(session, COMMAND, party_id)).phones]


async def test_two_numbers_that_end_at_one_moment_take_their_region_along(database: Database) -> None:
    async with database.sessions.begin() as session:
        company = await firm(session, "Две линии", "+79001231001", "+74951231001", "+74951231002")
        await described(session)
    assert await due(database) == 0  # nobody else could have seen a new one
    _primary, one, other = await phone_ids(database, company)
    async with database.sessions.begin() as first, database.sessions.begin() as second:
        await first.execute(text("set local ringcard.lacks = 'later'"))  # as an import: nobody waits for it
        await end_ownership(first, COMMAND, one)
        await end_ownership(second, COMMAND, other)
    assert await stored(database, company) == {"Московская обл."}  # each saw the number of the other
    await rechecked(database)
    assert await stored(database, company) == set()
    assert await due(database) == 0


async def test_a_contact_that_becomes_primary_while_it_gets_a_number_brings_its_region(
    database: Database,
) -> None:
    async with database.sessions.begin() as session:
        company = await firm(session, "Фирма контакта")
        person = await create_party(session, COMMAND, person_values("Анна Контактова"))
        other = await firm(session, "Кто-то другой", "+78123231001")
        await described(session)
        await session.execute(update(PhoneNumber).values(region="г. Санкт-Петербург"))
        (phone,) = (await party_card(session, COMMAND, other)).phones
        await end_ownership(session, COMMAND, phone.id)
    async with database.sessions.begin() as first, database.sessions.begin() as second:
        await affiliate(first, COMMAND, person, company, ContactValues())
        await attach_number(second, COMMAND, person, NumberValues(presented="+78123231001"))
    assert await stored(database, company) == set()
    await rechecked(database)
    assert await stored(database, company) == {"г. Санкт-Петербург"}


async def test_a_firm_that_changes_hands_while_its_contact_gets_a_number_is_found_by_the_new_owner(
    database: Database,
) -> None:
    async with database.sessions.begin() as session:
        agent = await make_user(session, ("agent",))
        company = await firm(session, "Меняет руки")
        person = await create_party(session, COMMAND, person_values("Контакт Меняющей"))
        await affiliate(session, COMMAND, person, company, ContactValues())
        other = await firm(session, "Прежняя хозяйка номера", "+74951231007")
        await described(session)
        (phone,) = (await party_card(session, COMMAND, other)).phones
        await end_ownership(session, COMMAND, phone.id)
    async with database.sessions.begin() as first, database.sessions.begin() as second:
        await attach_number(first, COMMAND, person, NumberValues(presented="+74951231007"))
        await second.execute(update(Party).where(Party.id == company).values(owner_id=agent.user_id))
    await rechecked(database)
    wanted = PartyFilter(which=Which.EVERYBODY, region="Московская обл.")
    async with database.sessions.begin() as session:
        page, count = await first_page(session, agent, wanted)
        assert ([row.id for row in page.items], count.value) == ([company], 1)
    async with database.sessions.begin() as session:
        (phone,) = (await party_card(session, COMMAND, person)).phones
        await end_ownership(session, COMMAND, phone.id)
    async with database.sessions.begin() as changing:
        await changing.execute(update(Party).where(Party.id == company).values(owner_id=None))
        await rechecked(database)
        assert await due(database) > 0  # nobody is waited for
    await rechecked(database)
    assert await due(database) == 0


async def test_a_number_that_is_being_attached_is_described_afterwards(database: Database) -> None:
    async with database.sessions.begin() as session:
        company, other = (
            await firm(session, "Ничья пока", "+74951231003"),
            await firm(session, "Новая хозяйка"),
        )
        (phone,) = (await party_card(session, COMMAND, company)).phones
        await end_ownership(session, COMMAND, phone.id)
    async with database.sessions.begin() as attaching:
        await attach_number(attaching, COMMAND, other, NumberValues(presented="+74951231003"))
        async with database.sessions.begin() as describing:
            assert await describe_piece(describing) is False
    async with database.sessions.begin() as session:
        await described(session)
    assert await stored(database, other) == {"Московская обл."}


async def test_a_party_whose_number_is_held_is_looked_at_later(database: Database) -> None:
    await rechecked(database)  # what other tests left
    async with database.sessions.begin() as session:
        company = await firm(session, "Занятая", "+74951231004")
        await described(session)
    (phone,) = await phone_ids(database, company)
    async with database.sessions.begin() as session:
        await end_ownership(session, COMMAND, phone)
    async with database.sessions.begin() as holding:
        await holding.execute(select(PhoneNumber).with_for_update())
        async with database.sessions.begin() as session:
            assert await recheck_piece(session) is False
        assert await due(database) == 1
    await rechecked(database)
    assert (await due(database), await stored(database, company)) == (0, set())
