"""Leads coming in and in work: one automatic lead of a subject, rights, the first response, ends and reopening."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.call_store import store
from crm.database import Database
from crm.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from crm.journal_entries import CallEntry, CallFacts
from crm.lead_errors import AnotherLeadOpen, LeadIsOver, NeedsConversion, OpenLeads
from crm.lead_intake import NewLead, create_lead
from crm.lead_subjects import SubjectValues
from crm.lead_values import LeadValues
from crm.leads import assign_lead, disqualify_lead, edit_lead, move_lead, reopen_lead, take_lead
from crm.matching import MatchResult, find_by_number
from crm.party_cards import party_card
from crm.rights import condition
from crm.schema import uuid7
from crm.schema.communications import Call, Communication
from crm.schema.leads import Lead
from crm.schema.parties import Party, PartyPhone
from crm.schemes import scheme_of
from crm.stages import Move
from cti.numbers import E164, Number, NumberKind
from tests.crm import planting, telling
from tests.crm.enquiries import NUMBER, automatic, lead_row, make_lead, stage_named, visits
from tests.crm.people import COMMAND, make_team, make_user
from tests.crm.planting import NOON


async def test_a_lead_by_hand_is_about_somebody_known_from_it_alone(session: AsyncSession) -> None:
    agent = await make_user(session)
    subject = {"person": "Примеров Иван", "organisation": "ООО «Пример»", "number": "8 900 000-00-77"}
    lead = await make_lead(session, agent, need="Окна", **subject)
    row = await lead_row(session, lead.id)
    assert (row.state, row.owner_id, row.need, row.auto_created, row.is_repeat) == (
        "open",
        agent.user_id,
        "Окна",
        False,
        False,
    )
    assert row.subject_party_id == row.person_id == lead.party_id
    parties = await session.scalars(
        select(Party.lifecycle).where(Party.id.in_([row.person_id, row.organisation_id]))
    )
    assert parties.all() == ["unqualified", "unqualified"]
    holder = await session.scalar(select(PartyPhone.party_id).where(PartyPhone.party_id == row.person_id))
    assert holder == row.person_id
    second = await make_lead(session, agent)
    assert second.number == lead.number + 1


async def test_a_nameless_caller_is_called_by_the_number(session: AsyncSession) -> None:
    lead = await make_lead(session, COMMAND, number="89000000078")
    name = await session.scalar(select(Party.display_name).where(Party.id == lead.party_id))
    assert name == "Без имени, +7 900 000-00-78"


async def test_a_further_lead_by_hand_comes_after_a_warning(session: AsyncSession) -> None:
    client = await planting.organisation(session, "Old client", kind="client")
    new = NewLead(subject=SubjectValues(party_id=client))
    first = await create_lead(session, COMMAND, new)
    with pytest.raises(OpenLeads, match=f"№ {first.number}"):
        await create_lead(session, COMMAND, new)
    again = await make_lead(session, COMMAND, party_id=client)
    assert again.id != first.id
    assert (await lead_row(session, again.id)).is_repeat


async def test_a_number_of_somebody_is_refused_by_hand_naming_them(session: AsyncSession) -> None:
    client = await planting.person(session, "Number holder")
    await planting.owns(session, client, await planting.number(session, "+79000000079"))
    with pytest.raises(AlreadyExists, match="Number holder"):
        await make_lead(session, COMMAND, person="Somebody", number="8 900 000-00-79")


async def test_a_lead_asks_who(session: AsyncSession) -> None:
    for subject in (SubjectValues(), SubjectValues(person="  ")):
        with pytest.raises(Invalid, match="Say who asks"):
            await create_lead(session, COMMAND, NewLead(subject=subject))


async def test_form_and_call_of_one_new_number_at_once_give_one_open_automatic_lead(
    database: Database,
) -> None:
    connections = asyncio.Semaphore(
        9
    )  # all of the pool's at once; the others wait here and not for a connection

    async def come(spelling: str) -> tuple[int, bool]:
        async with connections, database.sessions.begin() as session:
            lead = await automatic(session, COMMAND, spelling)
            return lead.id, lead.is_new

    came = await asyncio.gather(*[come(("8 (900) 000-00-02", "+79000000002")[n % 2]) for n in range(100)])
    assert len({lead_id for lead_id, _ in came}) == 1
    assert sum(is_new for _, is_new in came) == 1
    async with database.sessions() as session:
        ((lead_id, _), *_) = came
        requests = select(func.count()).select_from(Communication).where(Communication.lead_id == lead_id)
        assert await session.scalar(requests) == 100
        subject = (await lead_row(session, lead_id)).subject_party_id
        assert await session.scalar(select(Party.lifecycle).where(Party.id == subject)) == "unqualified"


async def test_an_automatic_lead_of_a_client_is_a_repeat_interest_of_their_responsible(
    session: AsyncSession,
) -> None:
    agent = await make_user(session)
    client = await planting.person(session, "Client", kind="client", owner_id=agent.user_id)
    await planting.owns(session, client, await planting.number(session, "+79000000003"))
    row = await lead_row(session, (await automatic(session, COMMAND, "+79000000003")).id)
    assert (row.subject_party_id, row.is_repeat, row.owner_id) == (client, True, agent.user_id)


async def test_two_numbers_of_one_client_at_once_give_one_open_automatic_lead(database: Database) -> None:
    numbers = ["+79000000301", "+79000000302"]
    async with database.sessions.begin() as session:
        client = await planting.person(session, "Two numbers")
        for e164 in numbers:
            await planting.owns(session, client, await planting.number(session, e164))

    async def come(e164: str) -> tuple[int, bool]:
        async with database.sessions.begin() as session:
            lead = await automatic(session, COMMAND, e164)
            return lead.id, lead.is_new

    came = await asyncio.gather(*map(come, numbers * 4))
    assert len({lead_id for lead_id, _ in came}) == 1
    assert sum(is_new for _, is_new in came) == 1


async def test_an_automatic_lead_that_is_nobodys_is_seen_by_the_team_that_took_it_in(
    session: AsyncSession,
) -> None:
    agent = await make_user(session, team_id=await make_team(session, "Site team"))
    row = await lead_row(session, (await automatic(session, agent, "+79000000009")).id)
    assert (row.owner_id, row.team_id) == (None, agent.team_id)
    assert (await party_card(session, COMMAND, row.subject_party_id)).owner_id is None


async def test_of_several_owners_nobody_is_picked(session: AsyncSession) -> None:
    number = await planting.number(session, "+79000000004", "shared")
    owners = [await planting.person(session, name) for name in ("One", "Two")]
    for owner in owners:
        await planting.owns(session, owner, number, usage="shared")
    first = await automatic(session, COMMAND, "+79000000004")
    assert first.party_id not in owners
    assert (await automatic(session, COMMAND, "+79000000004")).id == first.id


async def test_leads_within_rights(session: AsyncSession) -> None:
    sales, service = await make_team(session, "Sales"), await make_team(session, "Service")
    agent, colleague = await make_user(session, team_id=sales), await make_user(session, team_id=sales)
    head = await make_user(session, ["head"], team_id=sales, is_head=True)
    stranger = await make_user(session, team_id=service)
    telephony = await make_user(session, ["telephony"], team_id=sales)
    mine = await make_lead(session, agent)
    nobodys = await make_lead(session, COMMAND)
    await session.execute(update(Lead).where(Lead.id == nobodys.id).values(owner_id=None, team_id=sales))

    async def seen(access: object, right: str = "lead.read") -> set[int]:
        ids = select(Lead.id).where(Lead.id.in_([mine.id, nobodys.id]))
        return set(await session.scalars(ids.where(condition(access, right, Lead))))  # type: ignore[arg-type]

    assert await seen(agent) == {mine.id, nobodys.id}
    assert await seen(colleague) == {nobodys.id}
    assert await seen(colleague, "lead.edit") == set()
    assert await seen(head) == {mine.id, nobodys.id}
    assert await seen(head, "lead.edit") == {mine.id, nobodys.id}
    assert await seen(stranger) == set()
    assert await seen(telephony) == set()
    with pytest.raises(NotAllowed):
        await make_lead(session, telephony)


async def test_of_several_who_take_a_lead_one_gets_it(database: Database) -> None:
    async with database.sessions.begin() as session:
        team = await make_team(session, "Takers")
        agents = [await make_user(session, team_id=team) for _ in range(4)]
        lead = await automatic(session, COMMAND, "+79000000005")
        await session.execute(update(Lead).where(Lead.id == lead.id).values(team_id=team))

    async def take(index: int) -> bool:
        try:
            async with database.sessions.begin() as session:
                await take_lead(session, agents[index], lead.id)
        except (Invalid, NotFound):  # it is somebody's now: told, or out of sight already
            return False
        return True

    assert sum(await asyncio.gather(*map(take, range(4)))) == 1
    async with database.sessions() as session:
        row = await lead_row(session, lead.id)
        owner = await session.scalar(select(Party.owner_id).where(Party.id == row.subject_party_id))
        assert row.owner_id == owner
        assert owner in {agent.user_id for agent in agents}


async def test_giving_a_lead_needs_the_right(session: AsyncSession) -> None:
    team = await make_team(session, "Givers")
    agent, manager = (
        await make_user(session, team_id=team),
        await make_user(session, ["manager"], team_id=team),
    )
    lead = await make_lead(session, manager)
    with pytest.raises(NotAllowed):
        await assign_lead(session, agent, lead.id, agent.user_id)
    with pytest.raises(NotFound):
        await assign_lead(session, manager, lead.id, 10**9)
    await assign_lead(session, manager, lead.id, agent.user_id)
    assert (await lead_row(session, lead.id)).owner_id == agent.user_id


async def test_an_ended_lead_is_read_only_and_reopens_by_a_right(session: AsyncSession) -> None:
    head = await make_user(session, ["head"], team_id=await make_team(session, "Heads"), is_head=True)
    lead = await make_lead(session, head)
    with pytest.raises(Invalid, match="Choose a reason"):
        await disqualify_lead(session, head, lead.id, None)
    await disqualify_lead(session, head, lead.id, "spam", note="Реклама")
    row = await lead_row(session, lead.id)
    assert (row.state, row.disqualify_note, row.disqualified_at is not None) == (
        "disqualified",
        "Реклама",
        True,
    )
    with pytest.raises(LeadIsOver):
        await edit_lead(session, head, lead.id, {"need": "Ещё"})
    agent = await make_user(session)
    await session.execute(update(Lead).where(Lead.id == lead.id).values(owner_id=agent.user_id))
    with pytest.raises(NotAllowed):
        await reopen_lead(session, agent, lead.id)
    scheme = await scheme_of(session, row.scheme_id)
    with pytest.raises(NotAllowed):
        await move_lead(session, agent, lead.id, Move(to_stage_id=scheme.first.id))
    await reopen_lead(session, head, lead.id, stage_id=stage_named(scheme, "In progress"))
    row = await lead_row(session, lead.id)
    assert (row.state, row.disqualify_reason_id, row.reopened_count) == ("open", None, 1)
    assert [name for name, _, _ in await visits(session, lead.id)] == ["New", "Disqualified", "In progress"]
    with pytest.raises(Invalid, match="is open"):
        await reopen_lead(session, head, lead.id)


async def test_reopening_an_automatic_lead_beside_another_open_one_names_it(session: AsyncSession) -> None:
    first = await automatic(session, COMMAND, "+79000000006")
    await disqualify_lead(session, COMMAND, first.id, "duplicate")
    second = await automatic(session, COMMAND, "+79000000006")
    assert second.id != first.id
    assert (await lead_row(session, second.id)).is_repeat
    with pytest.raises(AnotherLeadOpen, match=f"№ {second.number}"):
        await reopen_lead(session, COMMAND, first.id)


async def test_success_is_reached_by_conversion_alone(session: AsyncSession) -> None:
    lead = await make_lead(session, COMMAND)
    scheme = await scheme_of(session, (await lead_row(session, lead.id)).scheme_id)
    with pytest.raises(NeedsConversion):
        await move_lead(session, COMMAND, lead.id, Move(to_stage_id=scheme.success.id))


# The journal


async def tell_call(
    session: AsyncSession, party_id: int, *, is_answered: bool = True, key: str = "1.1"
) -> object:
    """One call of the party, as the journal is told it after its end."""
    office = await planting.connection(session, f"Office {uuid7()}")
    agent = await planting.user(session, f"agent {uuid7()}")
    await planting.extension(session, office, "101", agent)
    ringing, _talking, ended = telling.life(key)
    record = ended if is_answered else telling.has_ended(ringing)
    facts = CallFacts(match_status="matched", party_id=party_id, contact_id=None)
    entry = CallEntry(call_id=uuid7(), connection_id=office, record=record, facts=facts, at=telling.after(70))
    connection = await session.connection()
    (stored,) = await store(connection, [entry])
    return stored.id


async def made_at_noon(session: AsyncSession, lead_id: int) -> None:
    before = NOON - timedelta(hours=1)
    await session.execute(update(Lead).where(Lead.id == lead_id).values(created_at=before))


async def test_the_first_answered_call_is_the_first_response_and_moves_a_new_lead_on(
    session: AsyncSession,
) -> None:
    lead = await automatic(session, COMMAND, NUMBER)
    await made_at_noon(session, lead.id)
    call_id = await tell_call(session, lead.party_id)
    row = await lead_row(session, lead.id)
    assert row.first_response_at == NOON
    assert [name for name, _, _ in await visits(session, lead.id)] == ["New", "In progress"]
    assert (await visits(session, lead.id))[-1] == ("In progress", False, "journal")
    linked = await session.scalar(select(Communication.lead_id).where(Communication.id == call_id))
    assert linked == lead.id
    await tell_call(session, lead.party_id, key="2.1")
    assert (await lead_row(session, lead.id)).first_response_at == NOON  # written once


async def test_a_missed_call_is_no_response_but_belongs_to_the_lead(session: AsyncSession) -> None:
    lead = await automatic(session, COMMAND, "+79000000007")
    await made_at_noon(session, lead.id)
    call_id = await tell_call(session, lead.party_id, is_answered=False)
    assert (await lead_row(session, lead.id)).first_response_at is None
    linked = await session.scalar(select(Communication.lead_id).where(Communication.id == call_id))
    assert linked == lead.id


async def test_whoever_moved_the_lead_before_is_not_overruled(session: AsyncSession) -> None:
    lead = await make_lead(session, COMMAND, need="Окна")
    await made_at_noon(session, lead.id)
    scheme = await scheme_of(session, (await lead_row(session, lead.id)).scheme_id)
    await move_lead(session, COMMAND, lead.id, Move(to_stage_id=stage_named(scheme, "Qualified")))
    await tell_call(session, lead.party_id)
    row = await lead_row(session, lead.id)
    assert (row.first_response_at, row.stage_id) == (NOON, stage_named(scheme, "Qualified"))


async def test_with_two_open_leads_a_call_is_linked_to_the_party_only(session: AsyncSession) -> None:
    first = await make_lead(session, COMMAND)
    second = await make_lead(session, COMMAND, party_id=first.party_id)
    for lead in (first, second):
        await made_at_noon(session, lead.id)
    call_id = await tell_call(session, first.party_id)
    row = await session.get(Communication, call_id, populate_existing=True)
    assert row is not None
    assert (row.party_id, row.lead_id) == (first.party_id, None)


async def test_a_lead_made_from_an_answered_call_has_its_response_at_once(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office of a call")
    call = await planting.past_call(session, office, "+79000000008", NOON)
    await session.execute(update(Call).where(Call.id == call).values(answered_at=NOON + timedelta(seconds=5)))
    new = NewLead(subject=SubjectValues(number="+79000000008"), call_id=call)
    lead = await create_lead(session, COMMAND, new)
    row = await lead_row(session, lead.id)
    assert row.first_response_at == row.created_at
    assert row.first_communication_id == call
    linked = await session.get(Communication, call, populate_existing=True)
    assert linked is not None
    assert (linked.lead_id, linked.party_id, linked.link_source) == (lead.id, lead.party_id, "agent")
    with pytest.raises(NotFound):
        await create_lead(
            session, await make_user(session), NewLead(subject=SubjectValues(person="Я"), call_id=call)
        )


# Who is calling


async def match(session: AsyncSession, e164: str) -> MatchResult:
    number = Number(kind=NumberKind.E164, presented=e164, e164=E164(e164))
    return await find_by_number(session, number)


async def test_a_caller_known_from_a_lead_is_shown_with_its_stage_and_source(session: AsyncSession) -> None:
    new = NewLead(subject=SubjectValues(number="+79000000201"), values=LeadValues(source="Сайт"))
    lead = await create_lead(session, COMMAND, new)
    (party,) = (await match(session, "+79000000201")).parties
    assert party.lifecycle == "unqualified"
    assert party.lead is not None
    assert (party.lead.id, party.lead.stage, party.lead.source, party.lead.count) == (
        lead.id,
        "New",
        "Сайт",
        1,
    )
    await disqualify_lead(session, COMMAND, lead.id, "spam")
    (party,) = (await match(session, "+79000000201")).parties
    assert party.lead is None


async def test_whoever_has_an_open_lead_comes_first(session: AsyncSession) -> None:
    number = await planting.number(session, "+79000000202", "shared")
    talked = await planting.person(session, "Talked", last_talk_at=NOON)
    asking = await planting.person(session, "Zasking")
    for owner in (talked, asking):
        await planting.owns(session, owner, number, usage="shared")
    assert [party.id for party in (await match(session, "+79000000202")).parties] == [talked, asking]
    await make_lead(session, COMMAND, party_id=asking)
    assert [party.id for party in (await match(session, "+79000000202")).parties] == [asking, talked]
