"""Requisites of a party: accounts with their check digit, addresses; a person who turns out to be a firm, and back."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm import addresses, bank_accounts
from crm.affiliations import ContactValues, affiliate, end_contact
from crm.errors import AlreadyExists, Conflict, Invalid, NotFound
from crm.numbers import NumberValues
from crm.parties import PartyValues, create_party, organisation_values, person_values
from crm.party_cards import party_card
from crm.party_turning import turn_party
from crm.requisites import is_account, is_bic
from crm.schema.journals import ChangeLog, OutboxEvent
from crm.schema.parties import Affiliation, Organisation, Person
from tests.crm.people import COMMAND, make_user

BIC = "044525225"
ACCOUNT, OTHER_ACCOUNT = "40702810200000000001", "40702810500000000002"  # invented, with right check digits


@pytest.mark.parametrize(
    ("account", "bic"),
    [
        ("40602810700000000025", "049805746"),  # the example of the rule itself
        ("40101810045250010041", "044525000"),  # of the central bank's own: by the region
        (ACCOUNT, BIC),
    ],
)
def test_the_check_digit_of_an_account_belongs_to_its_bank(account: str, bic: str) -> None:
    assert is_bic(bic)
    assert is_account(account, bic)
    wrong = account[:8] + str((int(account[8]) + 1) % 10) + account[9:]
    assert not is_account(wrong, bic)
    assert not is_account(account[:-1], bic)
    assert not is_account(account, "044525226")


async def firm(session: AsyncSession) -> int:
    return await create_party(session, COMMAND, organisation_values("Invented Ltd"), kinds=["client"])


async def test_one_account_is_the_default(session: AsyncSession) -> None:
    party = await firm(session)
    first = await bank_accounts.add_account(
        session, COMMAND, party, bic=BIC, account="40702 810 2 0000 0000001", bank="Invented Bank"
    )
    again = await bank_accounts.add_account(session, COMMAND, party, bic=BIC, account=ACCOUNT)
    second = await bank_accounts.add_account(session, COMMAND, party, bic=BIC, account=OTHER_ACCOUNT)
    assert first == again
    await bank_accounts.make_default(session, COMMAND, party, second)
    listed = await bank_accounts.accounts_of(session, party)
    assert [(each.id, each.is_primary) for each in listed] == [(second, True), (first, False)]
    await bank_accounts.end_account(session, COMMAND, party, second)
    listed = await bank_accounts.accounts_of(session, party)
    assert [(each.account, each.is_primary, each.bank) for each in listed] == [
        (ACCOUNT, True, "Invented Bank")
    ]
    with pytest.raises(NotFound):
        await bank_accounts.make_default(session, COMMAND, party, second)
    for bic, account in (("04452522", ACCOUNT), ("944525225", ACCOUNT), (BIC, ACCOUNT[:-1] + "2"), (BIC, "")):
        with pytest.raises(Invalid, match="digits"):
            await bank_accounts.add_account(session, COMMAND, party, bic=bic, account=account)
    with pytest.raises(NotFound):
        await bank_accounts.end_account(session, COMMAND, await firm(session), first)
    stranger = await make_user(session)
    with pytest.raises(NotFound):
        await bank_accounts.add_account(session, stranger, party, bic=BIC, account=ACCOUNT)


async def test_addresses_come_and_go(session: AsyncSession) -> None:
    party = await firm(session)
    actual = await addresses.add_address(session, COMMAND, party, "actual", "Москва,  Выдуманная ул., 1")
    await addresses.add_address(session, COMMAND, party, "legal", "Тверь, Выдуманная ул., 2")
    again = await addresses.add_address(session, COMMAND, party, "actual", "Москва, Выдуманная ул., 1")
    assert again == actual
    assert [each.kind for each in await addresses.addresses_of(session, party)] == ["legal", "actual"]
    await addresses.end_address(session, COMMAND, party, actual)
    assert [each.kind for each in await addresses.addresses_of(session, party)] == ["legal"]
    for kind, text in (("home", "x"), ("legal", " "), ("legal", "x" * 501), ("legal", "a\0b")):
        with pytest.raises(Invalid):
            await addresses.add_address(session, COMMAND, party, kind, text)
    with pytest.raises(NotFound):
        await addresses.end_address(session, COMMAND, party, actual)


async def test_a_person_entered_for_a_firm_becomes_one_and_back(session: AsyncSession) -> None:
    person = await create_party(
        session,
        COMMAND,
        person_values("ООО Ромашка", city="Тверь"),
        numbers=[NumberValues(presented="+79161234567")],
    )
    before = await party_card(session, COMMAND, person)
    values = PartyValues(type="organisation", short_name="ООО «Ромашка»", inn="7707083893", city="ignored")
    with pytest.raises(Invalid, match="at least one kind"):
        await turn_party(session, COMMAND, person, values, version=before.version)
    await turn_party(session, COMMAND, person, values, version=before.version, kinds=["client"])
    after = await party_card(session, COMMAND, person)
    assert (after.id, after.number, after.type, after.name) == (
        person,
        before.number,
        "organisation",
        values.short_name,
    )
    assert (after.city, after.inn, after.last_name) == ("Тверь", "7707083893", None)
    assert after.phones == before.phones
    assert [kind.code for kind in after.kinds] == ["client"]
    rows = [await session.scalar(select(func.count()).select_from(of)) for of in (Person, Organisation)]
    assert rows == [0, 1]
    event = await session.scalar(select(OutboxEvent.type).order_by(OutboxEvent.id.desc()).offset(1).limit(1))
    assert event == "party.turned"
    fields = set(await session.scalars(select(ChangeLog.field).where(ChangeLog.record_id == str(person))))
    assert {"type", "last_name", "short_name", "inn"} <= fields
    with pytest.raises(Conflict):
        await turn_party(session, COMMAND, person, person_values("Анна"), version=before.version)
    await turn_party(session, COMMAND, person, person_values("Анна"), version=after.version)
    back = await party_card(session, COMMAND, person)
    assert (back.type, back.first_name, back.inn) == ("person", "Анна", None)
    assert [kind.code for kind in back.kinds] == ["client"]
    with pytest.raises(Invalid, match="that already"):
        await turn_party(session, COMMAND, person, person_values("Анна"), version=back.version)


async def test_who_is_tied_to_somebody_is_not_turned_until_the_tie_ends(session: AsyncSession) -> None:
    organisation, person = await firm(session), await create_party(session, COMMAND, person_values("Анна"))
    await affiliate(session, COMMAND, person, organisation, ContactValues(position="Owner"))
    values = organisation_values("Анна и партнёры")
    with pytest.raises(Invalid, match="End these ties"):
        await turn_party(session, COMMAND, person, values, version=1, kinds=["client"])
    tie = (await party_card(session, COMMAND, organisation)).contacts[0].affiliation_id
    await end_contact(session, COMMAND, tie)
    version = (await party_card(session, COMMAND, person)).version
    await turn_party(session, COMMAND, person, values, version=version, kinds=["client"])
    assert await session.scalar(select(func.count()).select_from(Affiliation)) == 0


async def test_turning_refuses_an_inn_that_is_somebodys(session: AsyncSession) -> None:
    taken = PartyValues(type="organisation", short_name="Owner Ltd", inn="7707083893")
    await create_party(session, COMMAND, taken, kinds=["client"])
    person = await create_party(session, COMMAND, person_values("Анна"))
    with pytest.raises(AlreadyExists, match="Owner Ltd"):
        await turn_party(session, COMMAND, person, taken, version=1, kinds=["client"])
    assert (await party_card(session, COMMAND, person)).type == "person"
    stranger = await make_user(session)
    with pytest.raises(NotFound):
        await turn_party(session, stranger, person, organisation_values("X"), version=1, kinds=["client"])
