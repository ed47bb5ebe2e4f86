"""The bin: what is released, what comes back, who has the rest, and what goes for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.bin_emptying import empty_piece
from crm.bin_points import TakenPoint
from crm.errors import Invalid, NotAllowed, NotFound
from crm.matching import MatchOutcome, find_by_number
from crm.merging import merge_parties
from crm.numbering import home_profile
from crm.numbers import NumberValues
from crm.parties import ContactValues, affiliate, create_party, organisation_values, person_values
from crm.party_bin import bin_party, list_bin, restore_party
from crm.party_cards import party_card
from crm.party_lists import PartyFilter, Which, list_parties
from crm.party_search import search_parties
from crm.rights import Access
from crm.schema.base import uuid7
from crm.schema.binned import BinEntry
from crm.schema.communications import Comment, Communication
from crm.schema.journals import ChangeLog
from crm.schema.merging import DuplicateDismissal
from crm.schema.parties import EmailAddress, ExternalRef, Party, PartyPhone
from cti.numbers import to_e164
from tests.crm import planting
from tests.crm.enquiries import lead_row, make_lead
from tests.crm.people import COMMAND, make_team, make_user
from tests.crm.planting import NOON

NUMBER = "+79000000301"


async def firm(session: AsyncSession, name: str, *numbers: str, access: Access = COMMAND, **more: Any) -> int:
    values = [NumberValues(presented=number) for number in numbers]
    emails = more.pop("emails", [])
    made = organisation_values(name, **more)
    return await create_party(session, access, made, kinds=["client"], numbers=values, emails=emails)


async def test_what_was_deleted_is_nowhere_and_its_points_are_free(session: AsyncSession) -> None:
    gone = await firm(session, "Удалённая", NUMBER, inn="7707083893", emails=["gone@example.org"])
    await bin_party(session, COMMAND, gone)
    with pytest.raises(NotFound):
        await party_card(session, COMMAND, gone)
    with pytest.raises(NotFound):
        await bin_party(session, COMMAND, gone)
    listed = await list_parties(session, COMMAND, PartyFilter(which=Which.EVERYBODY))
    assert listed.items == ()
    assert (await search_parties(session, COMMAND, "Удалённая")).hits == ()
    number = to_e164(NUMBER, home_profile(session))
    assert (await find_by_number(session, number)).outcome is MatchOutcome.UNKNOWN
    new = await firm(session, "Новая", NUMBER, inn="7707083893", emails=["gone@example.org"])
    assert (await party_card(session, COMMAND, new)).inn == "7707083893"


async def test_restoring_brings_everything_back(session: AsyncSession) -> None:
    party_id = await firm(
        session, "Вернувшаяся", NUMBER, "+79000000302", inn="7707083893", emails=["a@example.org"]
    )
    contact = await create_party(session, COMMAND, person_values("Анна"))
    await affiliate(session, COMMAND, contact, party_id, ContactValues(position="Директор"))
    before = await party_card(session, COMMAND, party_id)
    await bin_party(session, COMMAND, party_id)
    assert (await party_card(session, COMMAND, contact)).organisations == ()
    restored = await restore_party(session, COMMAND, party_id)
    assert restored.taken == ()
    after = await party_card(session, COMMAND, party_id)
    assert (after.phones, after.emails, after.contacts, after.inn) == (
        before.phones,
        before.emails,
        before.contacts,
        before.inn,
    )
    assert (await list_bin(session, COMMAND)).items == ()
    with pytest.raises(NotFound):
        await restore_party(session, COMMAND, party_id)


async def test_restoring_says_who_has_it_now(session: AsyncSession) -> None:
    seller = await make_user(session, ("manager",))
    party_id = await firm(
        session, "Старая", NUMBER, "+79000000302", inn="7707083893", emails=["a@example.org"]
    )
    await bin_party(session, COMMAND, party_id)
    await firm(session, "Новая", NUMBER, access=seller, inn="7707083893", emails=["a@example.org"])
    restored = await restore_party(session, COMMAND, party_id)
    whose = {"by": "Новая", "owner": seller.name}
    assert set(restored.taken) == {
        TakenPoint(what="number", shown=NUMBER, **whose),
        TakenPoint(what="email", shown="a@example.org", **whose),
        TakenPoint(what="inn", shown="7707083893", **whose),
    }
    assert [phone.e164 for phone in (await party_card(session, COMMAND, party_id)).phones] == ["+79000000302"]


async def test_the_next_contact_becomes_primary_and_stays_so(session: AsyncSession) -> None:
    company = await firm(session, "Компания")
    first, second = [await create_party(session, COMMAND, person_values(name)) for name in ("Анна", "Борис")]
    for person_id in (first, second):
        await affiliate(session, COMMAND, person_id, company, ContactValues())
    await bin_party(session, COMMAND, first)
    contacts = (await party_card(session, COMMAND, company)).contacts
    assert [(each.party_id, each.is_primary) for each in contacts] == [(second, True)]
    assert (await restore_party(session, COMMAND, first)).taken == ()
    contacts = (await party_card(session, COMMAND, company)).contacts
    assert {(each.party_id, each.is_primary) for each in contacts} == {(second, True), (first, False)}


async def test_a_tie_to_somebody_who_is_gone_as_well_is_told(session: AsyncSession) -> None:
    company = await firm(session, "Компания")
    person_id = await create_party(session, COMMAND, person_values("Анна"))
    await affiliate(session, COMMAND, person_id, company, ContactValues())
    await bin_party(session, COMMAND, company)
    await bin_party(session, COMMAND, person_id)
    assert (
        await restore_party(session, COMMAND, person_id)
    ).taken == ()  # its own rows were ended with the firm
    restored = await restore_party(session, COMMAND, company)
    assert restored.taken == ()
    assert len((await party_card(session, COMMAND, company)).contacts) == 1


async def test_who_may_delete_and_sees_what(session: AsyncSession) -> None:
    team = await make_team(session, "Продажи")
    agent = await make_user(session, ("agent",), team_id=team)
    manager = await make_user(session, ("manager",), team_id=team)
    head = await make_user(session, ("head",), team_id=team, is_head=True)
    of_agent, of_manager = await firm(session, "А", access=agent), await firm(session, "М", access=manager)
    with pytest.raises(NotAllowed):
        await bin_party(session, agent, of_agent)
    with pytest.raises(NotFound):
        await bin_party(session, manager, of_agent)
    await bin_party(session, manager, of_manager)
    await bin_party(session, head, of_agent)
    shown = {who.login: [each.id for each in (await list_bin(session, who)).items] for who in (manager, head)}
    assert shown == {manager.login: [of_manager], head.login: [of_agent, of_manager]}
    with pytest.raises(NotAllowed):
        await list_bin(session, agent)
    with pytest.raises(NotFound):
        await restore_party(session, manager, of_agent)


async def test_the_bin_has_pages(session: AsyncSession) -> None:
    ids = [await firm(session, f"Фирма {n}") for n in range(5)]
    for party_id in ids:
        await bin_party(session, COMMAND, party_id)
    found: list[int] = []
    cursor = None
    while True:
        page = await list_bin(session, COMMAND, cursor=cursor, limit=2)
        found += [each.id for each in page.items]
        if (cursor := page.next) is None:
            break
    assert found == ids[::-1]
    with pytest.raises(Invalid):
        await list_bin(session, COMMAND, cursor="nonsense")


async def test_after_thirty_days_it_is_gone_and_the_log_stays(session: AsyncSession) -> None:
    agent = await make_user(session)
    office = await planting.connection(session, "Office")
    party_id, merged = (
        await firm(session, "Ушедшая", NUMBER, emails=["a@example.org"]),
        await firm(session, "Слитая"),
    )
    stays = await firm(session, "Другая")
    contact = await create_party(session, COMMAND, person_values("Анна"))
    await affiliate(session, COMMAND, contact, party_id, ContactValues())
    call = await planting.past_call(session, office, NUMBER, NOON, party_id=party_id)
    await session.execute(
        insert(Comment).values(id=uuid7(), party_id=party_id, author_id=agent.user_id, text="…")
    )
    reference = {"system": "shop", "record_kind": "party", "record_id": str(party_id), "external_id": "1"}
    await session.execute(insert(ExternalRef).values(reference))
    await session.execute(insert(DuplicateDismissal).values(low_id=party_id, high_id=stays))
    await merge_parties(session, COMMAND, party_id, [merged])
    await bin_party(session, COMMAND, party_id)
    now = datetime.now(UTC)
    assert await empty_piece(session, COMMAND, now - timedelta(days=30)) is None
    await session.execute(update(BinEntry).values(at=now - timedelta(days=31)))
    assert await empty_piece(session, COMMAND, now - timedelta(days=30)) == party_id
    assert await empty_piece(session, COMMAND, now - timedelta(days=30), party_id) is None
    left = await session.scalars(select(Party.id).where(Party.id.in_([party_id, merged, contact])))
    assert left.all() == [contact]
    rows = select(func.count()).select_from(PartyPhone).where(PartyPhone.party_id == party_id)
    assert await session.scalar(rows) == 0
    address = select(EmailAddress.id).where(EmailAddress.address == "a@example.org")
    assert await session.scalar(address) is None
    linked = select(Communication.party_id).where(Communication.id == call)
    assert (await session.execute(linked)).one() == (None,)
    logged = select(func.count()).select_from(ChangeLog).where(ChangeLog.record_id == str(party_id))
    assert (await session.execute(logged)).scalar_one() > 3


async def test_whoever_has_leads_stays_in_the_bin_and_comes_back_whole(session: AsyncSession) -> None:
    """A lead is a record of its own: reports count it, and emptying the bin must not lose it."""
    client, other = await firm(session, "С лидом", NUMBER), await firm(session, "Без лида")
    lead = await make_lead(session, COMMAND, party_id=client)
    for party_id in (client, other):
        await bin_party(session, COMMAND, party_id)
    held = {each.id: each.until is None for each in (await list_bin(session, COMMAND)).items}
    assert held == {client: True, other: False}  # no false date
    now = datetime.now(UTC)
    await session.execute(update(BinEntry).values(at=now - timedelta(days=31)))
    assert await empty_piece(session, COMMAND, now - timedelta(days=30)) == other
    assert [each.id for each in (await list_bin(session, COMMAND)).items] == [client]
    assert (await lead_row(session, lead.id)).subject_party_id == client
    await restore_party(session, COMMAND, client)
    assert len((await party_card(session, COMMAND, client)).phones) == 1
