"""The bin of leads: what leaves the lists, who goes along, what comes back, and what goes for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import inspect, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.bin_emptying import empty_leads, empty_piece
from crm.bin_points import TakenPoint
from crm.comments import add_lead_comment
from crm.errors import NotAllowed, NotFound
from crm.lead_bin import bin_lead, list_lead_bin, restore_lead
from crm.lead_cards import lead_card
from crm.lead_errors import AnotherLeadOpen
from crm.lead_lists import LeadFilter, list_leads
from crm.lead_merging import merge_leads
from crm.lead_search import search_leads
from crm.leads import disqualify_lead
from crm.matching import MatchOutcome, find_by_number
from crm.merging import merge_parties
from crm.numbering import home_profile
from crm.party_bin import bin_party, list_bin, restore_party
from crm.party_cards import party_card
from crm.record_feed import versions_within
from crm.schema.base import Base
from crm.schema.binned import BinEntry, LeadBinEntry
from crm.schema.communications import Comment, Communication
from crm.schema.journals import OutboxEvent
from crm.schema.leads import Lead
from crm.schema.parties import Party
from cti.numbers import to_e164
from tests.crm import planting
from tests.crm.enquiries import automatic, lead_row, make_lead
from tests.crm.people import COMMAND, make_team, make_user
from tests.crm.planting import NOON
from tests.crm.test_party_bin import firm

NUMBER = "+79000000001"
LONG_AGO = timedelta(days=31)


async def outcome(session: AsyncSession) -> MatchOutcome:
    return (await find_by_number(session, to_e164(NUMBER, home_profile(session)))).outcome


async def test_a_deleted_lead_is_nowhere_and_who_is_known_from_it_alone_goes_along(
    session: AsyncSession,
) -> None:
    lead = await automatic(session, COMMAND)
    await bin_lead(session, COMMAND, lead.id)
    with pytest.raises(NotFound):
        await lead_card(session, COMMAND, lead.id)
    with pytest.raises(NotFound):
        await bin_lead(session, COMMAND, lead.id)
    assert (await list_leads(session, COMMAND, LeadFilter(state="all"))).items == ()
    assert (await search_leads(session, COMMAND, f"№ {lead.number}")).hits == ()
    assert await outcome(session) is MatchOutcome.UNKNOWN
    assert (await list_bin(session, COMMAND)).items == ()  # it is listed with its lead
    (shown,) = (await list_lead_bin(session, COMMAND)).items
    assert (shown.id, shown.number, shown.party_name) == (lead.id, lead.number, "Без имени, +7 900 000-00-01")
    assert shown.until - shown.deleted_at == timedelta(days=30)
    again = await automatic(session, COMMAND)  # the number is free: a new lead about somebody new
    assert (again.is_new, again.party_id == lead.party_id) == (True, False)
    events = select(OutboxEvent.type).where(OutboxEvent.record_kind == "lead")
    assert "lead.binned" in (await session.scalars(events)).all()


async def test_restoring_brings_the_lead_and_its_subject_back(session: AsyncSession) -> None:
    lead = await automatic(session, COMMAND)
    await bin_lead(session, COMMAND, lead.id)
    with pytest.raises(NotFound):
        await restore_party(session, COMMAND, lead.party_id)  # it is nothing without the lead
    assert (await restore_lead(session, COMMAND, lead.id)).taken == ()
    card = await lead_card(session, COMMAND, lead.id)
    assert [phone.e164 for phone in card.phones] == [NUMBER]
    assert await outcome(session) is MatchOutcome.MATCHED
    assert (await list_lead_bin(session, COMMAND)).items == ()
    assert (await automatic(session, COMMAND)).id == lead.id
    with pytest.raises(NotFound):
        await restore_lead(session, COMMAND, lead.id)


async def test_restoring_says_who_has_the_number_now(session: AsyncSession) -> None:
    seller = await make_user(session, ("manager",))
    lead = await automatic(session, COMMAND)
    await bin_lead(session, COMMAND, lead.id)
    await firm(session, "Новая", NUMBER, access=seller)
    restored = await restore_lead(session, COMMAND, lead.id)
    assert restored.taken == (TakenPoint(what="number", shown=NUMBER, by="Новая", owner=seller.name),)
    assert (await lead_card(session, COMMAND, lead.id)).phones == ()


async def test_who_has_another_lead_or_is_a_client_stays(session: AsyncSession) -> None:
    client = await firm(session, "Клиент", NUMBER)
    of_client = await make_lead(session, COMMAND, party_id=client)
    await bin_lead(session, COMMAND, of_client.id)
    assert (await party_card(session, COMMAND, client)).phones[0].e164 == NUMBER
    first = await make_lead(session, COMMAND, person="Дважды Спросивший")
    second = await make_lead(session, COMMAND, party_id=first.party_id)
    await bin_lead(session, COMMAND, first.id)
    assert (await lead_card(session, COMMAND, second.id)).lead.party_id == first.party_id
    await bin_lead(session, COMMAND, second.id)
    row = await session.get_one(Party, first.party_id, populate_existing=True)
    assert row.deleted_at is not None
    await restore_lead(session, COMMAND, first.id)  # it went with the second one, and is back with the first
    await session.refresh(row)
    assert row.deleted_at is None
    await restore_lead(session, COMMAND, second.id)


async def test_another_automatic_lead_since_is_named(session: AsyncSession) -> None:
    client = await firm(session, "Клиент", NUMBER)
    lead = await automatic(session, COMMAND)
    assert lead.party_id == client
    await bin_lead(session, COMMAND, lead.id)
    since = await automatic(session, COMMAND)
    assert since.id != lead.id
    with pytest.raises(AnotherLeadOpen, match=str(since.number)):
        await restore_lead(session, COMMAND, lead.id)
    assert [each.id for each in (await list_lead_bin(session, COMMAND)).items] == [lead.id]
    await disqualify_lead(session, COMMAND, since.id, "spam")
    await restore_lead(session, COMMAND, lead.id)
    assert (await lead_row(session, lead.id)).state == "open"


async def test_those_that_went_into_it_go_and_come_with_it(session: AsyncSession) -> None:
    client = await firm(session, "Клиент")
    one = await make_lead(session, COMMAND, party_id=client)
    other = await make_lead(session, COMMAND, party_id=client)
    await merge_leads(session, COMMAND, one.id, [other.id])
    with pytest.raises(NotFound):
        await bin_lead(session, COMMAND, other.id)
    await bin_lead(session, COMMAND, one.id)
    with pytest.raises(NotFound):
        await lead_card(session, COMMAND, other.id)
    await restore_lead(session, COMMAND, one.id)
    assert (await lead_card(session, COMMAND, other.id)).lead.id == one.id


async def test_a_merge_of_parties_meanwhile_takes_the_binned_lead_along(session: AsyncSession) -> None:
    kept, gone = await firm(session, "Остаётся"), await firm(session, "Уходит")
    lead = await make_lead(session, COMMAND, party_id=gone)
    await bin_lead(session, COMMAND, lead.id)
    await merge_parties(session, COMMAND, kept, [gone])
    await restore_lead(session, COMMAND, lead.id)
    assert (await lead_card(session, COMMAND, lead.id)).lead.party_id == kept


async def test_who_may_delete_leads_and_sees_which(session: AsyncSession) -> None:
    team = await make_team(session, "Продажи")
    agent = await make_user(session, ("agent",), team_id=team)
    manager = await make_user(session, ("manager",), team_id=team)
    head = await make_user(session, ("head",), team_id=team, is_head=True)
    of_agent, of_manager = await make_lead(session, agent), await make_lead(session, manager)
    with pytest.raises(NotAllowed):
        await bin_lead(session, agent, of_agent.id)
    with pytest.raises(NotFound):
        await bin_lead(session, manager, of_agent.id)
    await bin_lead(session, manager, of_manager.id)
    await bin_lead(session, head, of_agent.id)
    shown = {
        who.login: [each.id for each in (await list_lead_bin(session, who)).items] for who in (manager, head)
    }
    assert shown == {manager.login: [of_manager.id], head.login: [of_agent.id, of_manager.id]}
    with pytest.raises(NotAllowed):
        await list_lead_bin(session, agent)
    with pytest.raises(NotFound):
        await restore_lead(session, manager, of_agent.id)


async def test_the_bin_has_pages_and_is_searched(session: AsyncSession) -> None:
    leads = [await make_lead(session, COMMAND, person=f"Лидов{number} Иван") for number in "12345"]
    for lead in leads:
        await bin_lead(session, COMMAND, lead.id)
    found: list[int] = []
    cursor = None
    while True:
        page = await list_lead_bin(session, COMMAND, cursor=cursor, limit=2)
        found += [each.id for each in page.items]
        if (cursor := page.next) is None:
            break
    assert found == [lead.id for lead in leads][::-1]
    by_number = await list_lead_bin(session, COMMAND, wanted=f"№ {leads[2].number}")
    assert [each.id for each in by_number.items] == [leads[2].id]
    by_name = await list_lead_bin(session, COMMAND, wanted="лидов4")
    assert [each.id for each in by_name.items] == [leads[3].id]
    assert len((await list_lead_bin(session, COMMAND, wanted="ЛИДОВ")).items) == 5


async def test_after_thirty_days_it_is_gone_with_its_subject_and_calls_stay(session: AsyncSession) -> None:
    agent = await make_user(session, ("admin",))
    office = await planting.connection(session, "Office")
    lead = await automatic(session, COMMAND)
    client = await firm(session, "Клиент")
    merged = await make_lead(session, COMMAND, party_id=client)
    kept = await make_lead(session, COMMAND, party_id=client)
    await merge_leads(session, COMMAND, kept.id, [merged.id])
    call = await planting.past_call(session, office, NUMBER, NOON, party_id=lead.party_id)
    await session.execute(update(Communication).where(Communication.id == call).values(lead_id=lead.id))
    await add_lead_comment(session, agent, kept.id, "Перезвонить")
    for each in (lead, kept):
        await bin_lead(session, COMMAND, each.id)
    await bin_party(session, COMMAND, client)
    (held,) = (await list_bin(session, COMMAND)).items
    assert held.until is not None  # its leads go as well
    before = datetime.now(UTC) - timedelta(days=30)
    assert await empty_leads(session, COMMAND, before) is None
    for table in (LeadBinEntry, BinEntry):
        await session.execute(update(table).values(at=datetime.now(UTC) - LONG_AGO))
    assert await empty_leads(session, COMMAND, before) == kept.id
    assert await empty_leads(session, COMMAND, before, kept.id) is None
    await empty_piece(session, COMMAND, before)
    left = select(Lead.id).where(Lead.id.in_([lead.id, merged.id, kept.id]))
    assert (await session.scalars(left)).all() == []
    parties = select(Party.id).where(Party.id.in_([lead.party_id, client]))
    assert (await session.scalars(parties)).all() == []
    linked = select(Communication.party_id, Communication.lead_id).where(Communication.id == call)
    assert (await session.execute(linked)).one() == (None, None)
    assert await session.scalar(select(Comment.id).where(Comment.author_id == agent.user_id)) is None


async def test_a_binned_lead_that_is_not_due_keeps_its_client_in_the_bin(session: AsyncSession) -> None:
    client = await firm(session, "Клиент")
    lead = await make_lead(session, COMMAND, party_id=client)
    await bin_party(session, COMMAND, client)
    await bin_lead(session, COMMAND, lead.id)
    await session.execute(update(BinEntry).values(at=datetime.now(UTC) - LONG_AGO))
    (shown,) = (await list_bin(session, COMMAND)).items
    assert shown.until is not None
    assert shown.until > datetime.now(UTC) + timedelta(days=29)  # not before its lead
    before = datetime.now(UTC) - timedelta(days=30)
    assert await empty_leads(session, COMMAND, before) is None
    await empty_piece(session, COMMAND, before)
    assert [each.id for each in (await list_bin(session, COMMAND)).items] == [client]


async def test_programs_are_told_that_it_is_gone(session: AsyncSession) -> None:
    lead = await make_lead(session, COMMAND)
    await bin_lead(session, COMMAND, lead.id)
    stand = await versions_within(session, COMMAND, "lead", [lead.id])
    assert stand[lead.id].is_gone


def test_the_database_knows_what_becomes_of_whatever_refers_to_a_lead() -> None:
    """Emptying the bin deletes the lead's row and leaves the rest to the foreign keys."""
    treated = {"lead.merged_into_id", "lead_bin_entry.lead_id"}
    for mapper in Base.registry.mappers:
        for key in inspect(mapper).local_table.foreign_keys:
            name = f"{key.parent.table.name}.{key.parent.name}"
            if key.column.table.name == "lead" and name not in treated:
                assert key.ondelete in {"cascade", "set null"}, name


async def test_a_firm_and_its_contact_come_back_with_their_tie(session: AsyncSession) -> None:
    lead = await make_lead(session, COMMAND, person="Пришедший Вновь", organisation="Пришедшая Вновь")
    await bin_lead(session, COMMAND, lead.id)
    assert (await restore_lead(session, COMMAND, lead.id)).taken == ()
    row = await lead_row(session, lead.id)
    assert row.organisation_id is not None
    assert [each.party_id for each in (await party_card(session, COMMAND, row.organisation_id)).contacts] == [
        row.person_id
    ]
