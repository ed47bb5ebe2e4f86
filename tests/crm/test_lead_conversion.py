"""Conversion: all or nothing, the lead's people in place or merged into those picked, the same answer twice."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.database import Database
from crm.errors import AlreadyExists, Conflict, Invalid, NotFound
from crm.lead_conversion import Choice, ContactBlock, Conversion, CounterpartyBlock, convert_lead
from crm.lead_errors import LeadIsOver
from crm.lead_intake import NewLead, create_lead
from crm.lead_subjects import SubjectValues
from crm.leads import disqualify_lead, reopen_lead
from crm.merging import merge_parties
from crm.parties import create_party, organisation_values
from crm.party_cards import party_card
from crm.rights import Access
from crm.schema.journals import OutboxEvent
from crm.schema.leads import Lead
from crm.schema.parties import Affiliation, Party
from crm.schema.tasks import Task
from crm.schemes import list_reasons, scheme_of
from crm.stage_rules import MoveNotAllowed, StageIncomplete
from crm.task_values import TaskValues
from crm.tasks import NewTask, complete_task, create_task
from crm.timeline import lead_timeline, timeline
from tests.crm import planting
from tests.crm.enquiries import automatic, lead_row, make_lead, plant_scheme, requires, stage_named, visits
from tests.crm.people import COMMAND, make_user
from tests.crm.planting import NOON

NEW_FIRM = Conversion(counterparty=CounterpartyBlock(organisation="ООО «Новое дело»"))
PRIVATE = Conversion(contact=ContactBlock(choice=Choice.NONE))


def into(firm_id: int, contact: ContactBlock | None = None) -> Conversion:
    picked = CounterpartyBlock(choice=Choice.EXISTING, party_id=firm_id)
    return Conversion(counterparty=picked, contact=contact or ContactBlock())


async def firm_of(session: AsyncSession, access: Access, name: str = "ООО «Было раньше»") -> int:
    return await create_party(session, access, organisation_values(name), kinds=["client"])


async def test_lead_on_an_unqualified_person_with_3_calls_to_a_new_organisation(
    session: AsyncSession,
) -> None:
    agent, office = await make_user(session), await planting.connection(session, "Three calls")
    lead = await make_lead(session, agent, person="Примеров Пётр", number="+79000000101")
    for minute in range(3):
        at = NOON.replace(minute=minute)
        await planting.past_call(session, office, "+79000000101", at, party_id=lead.party_id, lead_id=lead.id)
    converted = await convert_lead(session, agent, lead.id, NEW_FIRM)
    assert converted.person_id == lead.party_id
    firm = await party_card(session, agent, converted.party_id)
    assert (firm.lifecycle, [kind.code for kind in firm.kinds]) == ("active", ["prospect"])
    (contact,) = firm.contacts
    assert (contact.party_id, contact.is_primary) == (lead.party_id, True)
    assert [phone.e164 for phone in contact.phones] == ["+79000000101"]
    assert (await party_card(session, agent, lead.party_id)).lifecycle == "active"
    for page in (
        await timeline(session, agent, converted.party_id),
        await timeline(session, agent, lead.party_id),
        await lead_timeline(session, agent, lead.id),
    ):
        assert len(page.items) == 3
    row = await lead_row(session, lead.id)
    assert (row.state, row.converted_party_id, row.converted_by_id) == (
        "converted",
        converted.party_id,
        agent.user_id,
    )
    assert [name for name, _, _ in await visits(session, lead.id)] == ["New", "Converted"]
    events = await session.scalars(
        select(OutboxEvent.type).where(
            OutboxEvent.record_kind == "lead", OutboxEvent.record_id == str(lead.id)
        )
    )
    assert "lead.converted" in events.all()


async def test_if_any_part_fails_nothing_is_there_and_the_lead_is_open(session: AsyncSession) -> None:
    agent = await make_user(session)
    foreign = await planting.person(session, "Foreign contact")
    lead = await make_lead(session, agent, need="Окна")
    parties = select(func.count()).select_from(Party)
    before = await session.scalar(parties)
    wish = Conversion(
        counterparty=NEW_FIRM.counterparty, contact=ContactBlock(choice=Choice.EXISTING, party_id=foreign)
    )
    with pytest.raises(NotFound):  # the contact part: no right to it
        await convert_lead(session, agent, lead.id, wish)
    assert await session.scalar(parties) == before
    row = await lead_row(session, lead.id)
    assert (row.state, row.converted_party_id) == ("open", None)
    assert await session.scalar(select(Party.lifecycle).where(Party.id == lead.party_id)) == "unqualified"


async def test_convert_pressed_twice_gives_the_same_ids(database: Database) -> None:
    async with database.sessions.begin() as session:
        lead = await make_lead(session, COMMAND, person="Дважды Нажатый")

    async def press() -> tuple[int, int | None, bool]:
        async with database.sessions.begin() as session:
            done = await convert_lead(session, COMMAND, lead.id, NEW_FIRM)
            return done.party_id, done.person_id, done.is_new

    pressed = await asyncio.gather(*[press() for _ in range(8)])
    assert len({ids[:2] for ids in pressed}) == 1
    assert sum(is_new for *_, is_new in pressed) == 1
    async with database.sessions() as session:
        firms = select(func.count()).select_from(Party).where(Party.display_name == "ООО «Новое дело»")
        assert await session.scalar(firms) == 1


async def test_a_picked_contact_takes_over_whoever_was_known_from_the_lead_alone(
    session: AsyncSession,
) -> None:
    agent = await make_user(session)
    firm = await firm_of(session, agent)
    known = await planting.person(session, "Known contact", owner_id=agent.user_id)
    await planting.contact_of(session, known, firm, is_primary=True)
    lead = await make_lead(session, agent, number="+79000000102")
    wish = into(firm, ContactBlock(choice=Choice.EXISTING, party_id=known))
    converted = await convert_lead(session, agent, lead.id, wish)
    assert (converted.party_id, converted.person_id) == (firm, known)
    gone = await session.get(Party, lead.party_id, populate_existing=True)
    assert gone is not None
    assert (gone.lifecycle, gone.merged_into_id) == ("merged", known)
    card = await party_card(session, agent, known)
    assert [phone.e164 for phone in card.phones] == ["+79000000102"]
    assert (await lead_row(session, lead.id)).subject_party_id == known


async def test_a_picked_organisation_takes_over_the_leads_own_and_its_person_becomes_a_contact(
    session: AsyncSession,
) -> None:
    agent = await make_user(session)
    firm = await firm_of(session, agent)
    lead = await make_lead(
        session, agent, person="Новый Человек", organisation="ООО Было раньше", number="+79000000103"
    )
    own = (await lead_row(session, lead.id)).organisation_id
    await convert_lead(session, agent, lead.id, into(firm, ContactBlock(position="Закупки")))
    row = await lead_row(session, lead.id)
    assert row.organisation_id == firm
    assert await session.scalar(select(Party.merged_into_id).where(Party.id == own)) == firm
    (contact,) = (await party_card(session, agent, firm)).contacts
    assert (contact.party_id, contact.is_primary) == (lead.party_id, True)


async def test_organisations_only_contact_is_primary_without_being_asked(session: AsyncSession) -> None:
    lead = await make_lead(session, COMMAND)
    converted = await convert_lead(session, COMMAND, lead.id, NEW_FIRM)
    marks = select(Affiliation.is_primary).where(Affiliation.organisation_id == converted.party_id)
    assert (await session.scalars(marks)).all() == [True]


async def test_a_private_person_becomes_the_client_and_gets_a_name(session: AsyncSession) -> None:
    lead = await make_lead(session, COMMAND, number="+79000000104")
    wish = Conversion(
        counterparty=CounterpartyBlock(kind="client"),
        contact=ContactBlock(choice=Choice.NONE, name="Примерова Ольга"),
    )
    converted = await convert_lead(session, COMMAND, lead.id, wish)
    card = await party_card(session, COMMAND, converted.party_id)
    assert converted.party_id == converted.person_id == lead.party_id
    assert (card.name, card.last_name, card.lifecycle) == ("Примерова Ольга", "Примерова", "active")
    assert [kind.code for kind in card.kinds if kind.until is None] == ["client"]


async def test_a_picked_private_client_takes_over_the_leads_person(session: AsyncSession) -> None:
    client = await planting.person(session, "Private", kind="client")
    lead = await make_lead(session, COMMAND, number="+79000000105")
    wish = Conversion(
        counterparty=CounterpartyBlock(choice=Choice.EXISTING, party_id=client),
        contact=ContactBlock(choice=Choice.NONE),
    )
    converted = await convert_lead(session, COMMAND, lead.id, wish)
    assert (converted.party_id, converted.person_id) == (client, client)


async def test_the_leads_own_organisation_is_qualified_in_place(session: AsyncSession) -> None:
    lead = await make_lead(session, COMMAND, organisation="ООО «Своё»", person="Свой Человек")
    own = (await lead_row(session, lead.id)).organisation_id
    converted = await convert_lead(
        session, COMMAND, lead.id, Conversion(counterparty=CounterpartyBlock(kind="supplier"))
    )
    assert (converted.party_id, converted.person_id) == (own, lead.party_id)
    card = await party_card(session, COMMAND, converted.party_id)
    assert [kind.code for kind in card.kinds if kind.until is None] == ["supplier"]


async def test_no_counterparty_only_where_the_subject_is_one_already(session: AsyncSession) -> None:
    nothing = Conversion(
        counterparty=CounterpartyBlock(choice=Choice.NONE), contact=ContactBlock(choice=Choice.NONE)
    )
    stranger = await make_lead(session, COMMAND)
    with pytest.raises(Invalid, match="no client yet"):
        await convert_lead(session, COMMAND, stranger.id, nothing)
    client = await planting.organisation(session, "Client already", kind="client")
    lead = await make_lead(session, COMMAND, party_id=client)
    assert (await convert_lead(session, COMMAND, lead.id, nothing)).party_id == client


async def test_blocks_that_do_not_fit_are_refused_with_the_remedy(session: AsyncSession) -> None:
    firm = await firm_of(session, COMMAND, "ООО «Не подходит»")
    lead = await make_lead(session, COMMAND)
    for wish, why in (
        (into(firm, ContactBlock(choice=Choice.EXISTING, party_id=firm)), "A contact is a person"),
        (into(firm, ContactBlock(choice=Choice.EXISTING)), "Choose one of the existing"),
        (into(firm, ContactBlock(choice=Choice.NONE)), "The lead's person becomes the contact"),
    ):
        with pytest.raises(Invalid, match=why):
            await convert_lead(session, COMMAND, lead.id, wish)
    with pytest.raises(AlreadyExists):
        inn = "7707083893"
        await create_party(session, COMMAND, organisation_values("С ИНН", inn=inn), kinds=["client"])
        taken = CounterpartyBlock(organisation="Другая", inn=inn)
        await convert_lead(session, COMMAND, lead.id, Conversion(counterparty=taken))


async def test_the_stage_is_asked_too(session: AsyncSession) -> None:
    strict = await scheme_of(session, await plant_scheme(session, "1", "2", move_mode="sequential"))
    early = await create_lead(
        session, COMMAND, NewLead(subject=SubjectValues(person="Рано"), scheme_id=strict.id)
    )
    with pytest.raises(MoveNotAllowed):
        await convert_lead(session, COMMAND, early.id, NEW_FIRM)
    asking = await scheme_of(session, await plant_scheme(session, "1"))
    await requires(session, stage_named(asking, "1"), "source", "leave")
    bare = await create_lead(
        session, COMMAND, NewLead(subject=SubjectValues(person="Без источника"), scheme_id=asking.id)
    )
    with pytest.raises(StageIncomplete):
        await convert_lead(session, COMMAND, bare.id, NEW_FIRM)


async def test_ended_and_changed_leads_are_not_converted(session: AsyncSession) -> None:
    lead = await make_lead(session, COMMAND)
    with pytest.raises(Conflict):
        await convert_lead(session, COMMAND, lead.id, NEW_FIRM, base_version=77)
    await disqualify_lead(session, COMMAND, lead.id, (await list_reasons(session, "lead"))[-1].id)
    with pytest.raises(LeadIsOver):
        await convert_lead(session, COMMAND, lead.id, NEW_FIRM)


async def test_reopened_after_conversion_the_client_stays(session: AsyncSession) -> None:
    lead = await make_lead(session, COMMAND)
    converted = await convert_lead(session, COMMAND, lead.id, PRIVATE)
    await reopen_lead(session, COMMAND, lead.id)
    row = await lead_row(session, lead.id)
    assert (row.state, row.converted_at, row.converted_party_id) == ("open", None, None)
    assert (await party_card(session, COMMAND, converted.party_id)).lifecycle == "active"


async def test_parties_with_open_automatic_leads_in_one_scheme_merge_and_the_younger_is_a_duplicate(
    session: AsyncSession,
) -> None:
    first = await automatic(session, COMMAND, "+79000000106")
    second = await automatic(session, COMMAND, "+79000000107")
    await session.execute(update(Lead).where(Lead.id == first.id).values(created_at=NOON))
    await merge_parties(session, COMMAND, second.party_id, [first.party_id])
    older, younger = await lead_row(session, first.id), await lead_row(session, second.id)
    assert (older.state, older.subject_party_id) == ("open", second.party_id)
    assert (younger.state, younger.duplicate_of_id) == ("disqualified", first.id)
    duplicate = next(each.id for each in await list_reasons(session, "lead") if each.code == "duplicate")
    assert younger.disqualify_reason_id == duplicate


async def test_open_tasks_of_the_lead_are_the_clients_as_well(session: AsyncSession) -> None:
    user = await make_user(session, ("admin",))
    lead = await make_lead(session, user)
    tasks = [
        await create_task(
            session, user, NewTask(values=TaskValues(title=title, lead_id=lead.id)), home_zone="Europe/Moscow"
        )
        for title in ("Перезвонить", "Давно сделано")
    ]
    await complete_task(session, user, tasks[1])
    await session.execute(update(Task).where(Task.id.in_(tasks)).values(party_id=None))
    done = await convert_lead(session, user, lead.id, Conversion())
    linked = await session.scalars(select(Task.party_id).where(Task.id.in_(tasks)).order_by(Task.id))
    assert linked.all() == [done.party_id, None]
