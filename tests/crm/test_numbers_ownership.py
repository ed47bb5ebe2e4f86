"""Whose number it is: crm-model 4.4, 7 and the examples of 18, on a real database."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.accounts import access_of
from crm.database import Database, open_database
from crm.errors import AlreadyExists, Invalid, NotAllowed, NotFound, NumberHasSeveralOwners
from crm.numbers import NumberValues, attach_number, end_ownership, mark_number
from crm.parties import create_party, organisation_values, person_values, quick_create
from crm.party_cards import PhoneInfo, party_card
from crm.rights import Access
from crm.schema.journals import ChangeLog, OutboxEvent
from crm.schema.parties import Party, PartyPhone, PhoneNumber
from tests.crm import planting
from tests.crm.people import COMMAND, make_user
from tests.database import make_copy

NUMBER = "8 (900) 000-00-01"


async def client(session: AsyncSession, name: str, *numbers: str, access: Access = COMMAND) -> int:
    values = [NumberValues(presented=number) for number in numbers]
    return await create_party(session, access, organisation_values(name), kinds=["client"], numbers=values)


async def phones(session: AsyncSession, party_id: int) -> tuple[PhoneInfo, ...]:
    return (await party_card(session, COMMAND, party_id)).phones


async def counts(session: AsyncSession) -> list[int | None]:
    tables = (Party, PhoneNumber, PartyPhone, ChangeLog, OutboxEvent)
    return [await session.scalar(select(func.count()).select_from(table)) for table in tables]


async def test_a_direct_number_has_one_owner_in_any_spelling(session: AsyncSession) -> None:
    owner = await client(session, "Owner", "+79000000001")
    before = await counts(session)
    with pytest.raises(AlreadyExists) as refused:
        await client(session, "Another", NUMBER)
    assert refused.value.party_id == owner
    assert "Owner" in str(refused.value)
    assert await counts(session) == before


async def test_attaching_a_number_twice_is_attaching_it_once(session: AsyncSession) -> None:
    owner = await client(session, "Owner", "+79000000001")
    (phone,) = await phones(session, owner)
    assert phone.is_primary
    assert await attach_number(session, COMMAND, owner, NumberValues(presented=NUMBER)) == phone.id
    assert len(await phones(session, owner)) == 1


async def test_a_number_marked_shared_has_several_owners(session: AsyncSession) -> None:
    one = await client(session, "One", "+79000000001")
    (phone,) = await phones(session, one)
    await mark_number(session, COMMAND, phone.number_id, "shared")
    other = await client(session, "Other", NUMBER)
    assert (await phones(session, other))[0].usage == "shared"
    with pytest.raises(NumberHasSeveralOwners, match="One, Other"):
        await mark_number(session, COMMAND, phone.number_id, "direct")
    await end_ownership(session, COMMAND, (await phones(session, other))[0].id)
    await mark_number(session, COMMAND, phone.number_id, "direct")
    assert (await phones(session, one))[0].usage == "direct"
    assert await phones(session, other) == ()


async def test_asking_for_a_shared_number_shares_the_one_that_is_there(session: AsyncSession) -> None:
    await client(session, "One", "+79000000001")
    other = await client(session, "Other")
    await attach_number(session, COMMAND, other, NumberValues(presented=NUMBER, is_shared=True))
    assert (await phones(session, other))[0].usage == "shared"


async def test_one_number_with_two_extensions_has_two_owners(session: AsyncSession) -> None:
    await client(session, "One", "+7 495 000-00-01 доб. 101")
    await client(session, "Two", "+7 495 000-00-01 доб. 102")
    with pytest.raises(AlreadyExists, match=r"доб\. 101"):
        await client(session, "Three", "84950000001 ext 101")


async def test_a_number_moves_to_a_new_owner(session: AsyncSession) -> None:
    one, other = await client(session, "One", "+79000000001", "+79000000002"), await client(session, "Other")
    first, second = await phones(session, one)
    await end_ownership(session, COMMAND, first.id)
    await attach_number(session, COMMAND, other, NumberValues(presented=NUMBER))
    assert [phone.id for phone in await phones(session, one)] == [second.id]
    assert (await phones(session, one))[0].is_primary
    with pytest.raises(NotFound):
        await end_ownership(session, COMMAND, first.id)


@pytest.mark.parametrize("text", ["", "anonymous", "101", "reception", "12345", "*79000000001"])
async def test_what_is_no_outside_number_is_refused(session: AsyncSession, text: str) -> None:
    owner = await client(session, "Owner")
    with pytest.raises(Invalid) as refused:
        await attach_number(session, COMMAND, owner, NumberValues(presented=text))
    assert refused.value.field == "number"


async def test_our_own_line_is_nobodys_number(session: AsyncSession) -> None:
    await planting.line(session, await planting.connection(session, "Office"), "+74951234501")
    with pytest.raises(Invalid, match="Sales"):
        await client(session, "Owner", "+74951234501")


async def test_g01_without_the_right_nothing_happens(session: AsyncSession) -> None:
    agent, telephony = await make_user(session), await make_user(session, ("telephony",))
    foreign = await client(session, "Foreign", "+79000000001")
    (phone,) = await phones(session, foreign)
    before = await counts(session)
    with pytest.raises(NotFound):
        await attach_number(session, agent, foreign, NumberValues(presented="+79000000002"))
    with pytest.raises(NotFound):
        await end_ownership(session, agent, phone.id)
    with pytest.raises(NotAllowed):
        await mark_number(session, telephony, phone.number_id, "shared")
    with pytest.raises(NotAllowed):
        await quick_create(session, telephony, organisation="A", person="", number="")
    assert await counts(session) == before


async def test_the_refusal_tells_that_it_exists_and_who_is_responsible_and_no_more(
    session: AsyncSession,
) -> None:
    owner, agent = await make_user(session, login="vera"), await make_user(session)
    party_id = await client(session, "Secret Ltd", "+79000000001", access=owner)
    with pytest.raises(AlreadyExists) as refused:
        await create_party(session, agent, person_values("Anna"), numbers=[NumberValues(presented=NUMBER)])
    assert refused.value.values["owner"] == "Vera"
    with pytest.raises(NotFound):
        await party_card(session, agent, party_id)


@pytest.mark.parametrize("form", ["quick", "attach"])
async def test_sixteen_agents_at_once_make_one_owner(database: Database, form: str) -> None:
    number = "+7901000000" + ("1" if form == "quick" else "2")
    async with database.sessions.begin() as session:
        agents = [await make_user(session) for _ in range(16)]
        own = [await client(session, f"Client {form} {n}", access=agent) for n, agent in enumerate(agents)]

    async def create(n: int) -> str:
        try:
            async with database.sessions.begin() as session:
                if form == "quick":
                    await quick_create(
                        session, agents[n], organisation=f"Caller {n}", person="Anna", number=number
                    )
                else:
                    await attach_number(session, agents[n], own[n], NumberValues(presented=number))
        except AlreadyExists as refused:
            return f"exists: {refused.values['created_by'] != '—'}"
        return "created"

    answers = await asyncio.gather(*[create(n) for n in range(16)])
    assert sorted(answers) == ["created"] + ["exists: True"] * 15
    async with database.sessions() as session:
        owners = select(func.count()).select_from(PartyPhone).join(PhoneNumber)
        owners = owners.where(PartyPhone.number_id == PhoneNumber.id, PhoneNumber.e164 == number)
        assert await session.scalar(owners) == 1
        made = select(func.count()).select_from(Party).where(Party.display_name.like("Caller %"))
        assert await session.scalar(made) == 1
        assert await access_of(session, agents[0].user_id) is not None


async def test_numbers_are_read_as_in_the_installations_own_country(database_server: str) -> None:
    """RINGCARD_REGION counts wherever no numbering profile was chosen."""
    database = await open_database(await make_copy(database_server), region="BY")
    try:
        async with database.sessions.begin() as session:
            party_id = await client(session, "Минск", "8 017 217-12-34")
            assert [phone.e164 for phone in await phones(session, party_id)] == ["+375172171234"]
    finally:
        await database.close()
