"""Parties: creating, changing with versions, contacts, kinds, reading within one's rights."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm import similar_names
from crm.affiliations import ContactValues, add_contact, edit_contact, end_contact, make_primary_contact
from crm.database import Database
from crm.emails import attach_email
from crm.errors import AlreadyExists, Conflict, Invalid, NotAllowed, NotFound
from crm.numbers import NumberValues, make_primary
from crm.parties import (
    PartyValues,
    archive_party,
    change_owner,
    create_party,
    edit_party,
    organisation_values,
    person_values,
    quick_create,
    set_kinds,
)
from crm.party_cards import party_card
from crm.rights import Access
from crm.schema import uuid7
from crm.schema.communications import Call, CallNote, Communication
from crm.schema.journals import ChangeLog, OutboxEvent
from crm.schema.parties import Organisation, Party
from crm.similar_names import similar_parties
from crm.timeline import timeline
from tests.crm import planting
from tests.crm.people import COMMAND, make_team, make_user
from tests.crm.planting import NOON

FLOWERS = PartyValues(
    type="organisation", short_name="ООО «Ромашка»", inn="7707083893", kpp="770101001", city="Москва"
)


async def make(session: AsyncSession, values: PartyValues = FLOWERS, access: Access = COMMAND) -> int:
    kinds = ["client"] if values.type == "organisation" else []
    return await create_party(session, access, values, kinds=kinds)


async def test_a_new_party_has_a_number_its_author_and_rows_in_the_journals(session: AsyncSession) -> None:
    team = await make_team(session, "Sales")
    agent = await make_user(session, team_id=team)
    first, second = await make(session, access=agent), await make(session, person_values("Анна"), agent)
    card = await party_card(session, agent, first)
    assert (card.name, card.inn, card.kinds[0].code) == ("ООО «Ромашка»", "7707083893", "client")
    assert (card.owner_id, card.team_id, card.created_by) == (agent.user_id, team, agent.name)
    assert (await party_card(session, agent, second)).number == card.number + 1
    assert card.may_edit
    assert not card.may_change_owner
    of_party = (ChangeLog.record_kind == "party", ChangeLog.record_id == str(first))
    logged = await session.scalars(select(ChangeLog.field).where(*of_party))
    assert {"short_name", "inn", "city", "kinds"} <= set(logged)
    events = await session.scalars(
        select(OutboxEvent.type).where(
            OutboxEvent.record_kind == "party", OutboxEvent.record_id == str(first)
        )
    )
    assert events.all() == ["party.created"]


async def test_the_quick_form_makes_all_four_at_once(session: AsyncSession) -> None:
    made = await quick_create(
        session,
        COMMAND,
        organisation="Пример Трейд",
        person="Примерова Анна",
        number="8 900 000-00-01",
        position="Закупки",
    )
    assert made.organisation_id is not None
    assert made.person_id is not None
    firm = await party_card(session, COMMAND, made.organisation_id)
    (contact,) = firm.contacts
    assert (contact.party_id, contact.is_primary, contact.position) == (made.person_id, True, "Закупки")
    assert (firm.phones, contact.phones[0].e164) == ((), "+79000000001")
    person = await party_card(session, COMMAND, made.person_id)
    assert (person.last_name, person.kinds) == ("Примерова", ())
    assert person.organisations[0].party_id == made.organisation_id


@pytest.mark.parametrize(
    ("organisation", "person", "is_shared", "owner"),
    [
        ("Пример", "", False, "organisation"),
        ("Пример", "Анна", True, "organisation"),
        ("", "Анна", False, "person"),
    ],
)
async def test_the_quick_forms_number_goes_where_it_belongs(
    session: AsyncSession, organisation: str, person: str, is_shared: bool, owner: str
) -> None:
    made = await quick_create(
        session,
        COMMAND,
        organisation=organisation,
        person=person,
        number="+79000000001",
        is_shared=is_shared,
    )
    card = await party_card(session, COMMAND, made.party_id)
    assert card.type == owner
    assert [phone.usage for phone in card.phones] == ["shared" if is_shared else "direct"]
    assert [kind.code for kind in card.kinds] == ["prospect"]


async def test_a_quick_form_that_fails_leaves_nothing(session: AsyncSession) -> None:
    await quick_create(session, COMMAND, organisation="", person="Анна", number="+79000000001")
    before = await session.scalar(select(func.count()).select_from(Party))
    with pytest.raises(AlreadyExists):
        await quick_create(session, COMMAND, organisation="Новая", person="Анна", number="+79000000001")
    with pytest.raises(Invalid):
        await quick_create(session, COMMAND, organisation="Новая", person="Анна", number="12")
    with pytest.raises(Invalid):
        await quick_create(session, COMMAND, organisation=" ", person="", number="")
    assert await session.scalar(select(func.count()).select_from(Party)) == before


async def test_an_organisation_has_a_kind(session: AsyncSession) -> None:
    with pytest.raises(Invalid) as refused:
        await create_party(session, COMMAND, FLOWERS)
    assert refused.value.field == "kinds"
    with pytest.raises(Invalid, match="enemy"):
        await create_party(session, COMMAND, FLOWERS, kinds=["enemy"])


async def test_the_same_inn_and_kpp_are_one_company_and_another_branch_is_not(session: AsyncSession) -> None:
    first = await make(session)
    with pytest.raises(AlreadyExists) as refused:
        await make(session)
    assert (refused.value.field, refused.value.party_id) == ("inn", first)
    branch = PartyValues(type="organisation", short_name="Филиал", inn="7707083893", kpp="780101001")
    await make(session, branch)
    similar = await similar_parties(session, "Другое имя", "organisation", inn="7707083893")
    assert {each.reason for each in similar} == {"inn"}


async def test_two_people_entering_one_company_at_once_make_one(database: Database) -> None:
    values = PartyValues(type="organisation", short_name="Гонка", inn="7736207543")

    async def create() -> bool:
        try:
            async with database.sessions.begin() as session:
                await make(session, values)
        except AlreadyExists:
            return False
        return True

    answers = await asyncio.gather(*[create() for _ in range(8)])
    assert sum(answers) == 1
    async with database.sessions() as session:
        same = select(func.count()).select_from(Organisation).where(Organisation.inn == "7736207543")
        assert await session.scalar(same) == 1


async def test_a_similar_name_is_a_warning(session: AsyncSession) -> None:
    party_id = await make(session, organisation_values("ООО «Ромашка Трейд»"))
    for name in ("Ромашка-Трейд", "РОМАШКА ТРЕЙТ", "ао ромашка трейд"):
        (similar,) = await similar_parties(session, name, "organisation")
        assert similar.party_id == party_id
        assert similar.similarity >= 0.6
    assert await similar_parties(session, "Ромашка Трейд", "organisation", exclude_id=party_id) == []
    assert await similar_parties(session, "Ромашка Трейд", "person") == []
    assert await similar_parties(session, "", "person") == []


async def test_in_a_large_base_neighbours_are_found_whatever_time_there_is(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar_names, "LARGE", -2)
    party_id = await make(session, organisation_values("ООО «Василёк Торг»"))
    (similar,) = await similar_parties(session, "Василек-торк", "organisation", patience=1)
    assert similar.party_id == party_id
    assert (await session.execute(text("show statement_timeout"))).scalar_one() == "0"


LONGER = text(
    """
    with made as (
        insert into party (number, type, display_name, sort_name)
        select 1000000 + n, 'organisation', 'Ромашка и семья ' || n, 'ромашка и семья ' || n from generate_series(1, 60) n
        returning id, sort_name
    )
    insert into name_key select '1' || sort_name, id from made union all select '3' || sort_name, id from made
    """
)


async def test_a_common_word_alone_is_compared_with_short_names(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar_names, "LARGE", -2)
    monkeypatch.setattr(similar_names, "COMMON", 50)
    await session.execute(LONGER)
    party_id = await make(session, organisation_values("Ромашки"))
    assert (
        await similar_parties(session, "Ромашка", "organisation") == []
    )  # neither near nor looked for by its letters
    await session.execute(
        text("insert into name_key values ('1ромашки', :id), ('3ромашки', :id)"), {"id": party_id}
    )
    (similar,) = await similar_parties(session, "Ромашка", "organisation")
    assert similar.party_id == party_id


async def test_letters_are_looked_for_while_one_of_the_words_is_rare(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar_names, "LARGE", -2)
    monkeypatch.setattr(similar_names, "VERY_COMMON", 50)
    await session.execute(LONGER)
    swallows = text(
        "insert into name_key select '1ласточка ' || n, id from party join generate_series(1, 60) n on n + 1000000 = number"
    )
    monkeypatch.setattr(similar_names, "_beside", _nobody)
    for word in ("Берёзка", "Ласточка"):
        party_id = await make(session, organisation_values(f"А Ромашка {word}"))
        (similar,) = await similar_parties(session, f"Ромашка {word}", "organisation")
        assert similar.party_id == party_id
    await session.execute(swallows)
    assert await similar_parties(session, "Ромашка Ласточка", "organisation") == []
    assert await similar_parties(session, "Ромашка Берёзка", "organisation")


async def _nobody(_session: AsyncSession, _key: str) -> list[int]:
    return []


async def test_an_edit_raises_the_version_and_a_stale_one_is_told_field_by_field(
    session: AsyncSession,
) -> None:
    party_id = await make(session)
    changed = PartyValues(type="organisation", short_name="ООО «Лютик»", inn="7707083893", kpp="770101001")
    assert await edit_party(session, COMMAND, party_id, changed, version=1) == 2
    card = await party_card(session, COMMAND, party_id)
    assert (card.name, card.city, card.version) == ("ООО «Лютик»", None, 2)
    with pytest.raises(Conflict) as conflict:
        await edit_party(session, COMMAND, party_id, FLOWERS, version=1)
    assert conflict.value.version == 2
    assert conflict.value.fields == {
        "short_name": ("ООО «Лютик»", "ООО «Ромашка»"),
        "city": (None, "Москва"),
    }
    # The same change twice, as by a repeated request, is no conflict and no new version.
    assert await edit_party(session, COMMAND, party_id, changed, version=1) == 2


async def test_a_party_keeps_its_type(session: AsyncSession) -> None:
    with pytest.raises(Invalid, match="stays"):
        await edit_party(session, COMMAND, await make(session), person_values("Анна"), version=1)


async def test_an_edit_cannot_take_anothers_inn(session: AsyncSession) -> None:
    await make(session)
    other = await make(session, organisation_values("Другая"))
    with pytest.raises(AlreadyExists) as refused:
        await edit_party(session, COMMAND, other, FLOWERS, version=1)
    assert refused.value.field == "inn"


async def test_kinds_end_with_a_date_and_begin_again(session: AsyncSession) -> None:
    party_id = await make(session)
    await set_kinds(session, COMMAND, party_id, ["supplier"])
    kinds = (await party_card(session, COMMAND, party_id)).kinds
    assert [(kind.code, kind.until is None) for kind in kinds] == [("supplier", True), ("client", False)]
    await set_kinds(session, COMMAND, party_id, ["supplier", "client"])
    with pytest.raises(Invalid):
        await set_kinds(session, COMMAND, party_id, [])


async def test_one_contact_is_primary_and_its_going_names_the_next(session: AsyncSession) -> None:
    firm = await make(session)
    people = [await make(session, person_values(name)) for name in ("Анна", "Борис")]
    ties = [await add_contact(session, COMMAND, firm, each, ContactValues()) for each in people]
    assert await add_contact(session, COMMAND, firm, people[0], ContactValues()) == ties[0]

    async def primary() -> list[int]:
        contacts = (await party_card(session, COMMAND, firm)).contacts
        return [contact.party_id for contact in contacts if contact.is_primary]

    assert await primary() == [people[0]]
    await make_primary_contact(session, COMMAND, ties[1])
    assert await primary() == [people[1]]
    await edit_contact(session, COMMAND, ties[1], ContactValues(position="Склад", contact_role="decides"))
    with pytest.raises(Invalid) as refused:
        await end_contact(session, COMMAND, ties[1])
    assert refused.value.field == "next_primary_id"
    await end_contact(session, COMMAND, ties[1], next_primary_id=ties[0])
    assert await primary() == [people[0]]
    await end_contact(session, COMMAND, ties[0])
    assert (await party_card(session, COMMAND, firm)).contacts == ()
    with pytest.raises(NotFound):
        await end_contact(session, COMMAND, ties[0])
    with pytest.raises(Invalid):
        await add_contact(session, COMMAND, firm, firm, ContactValues())


async def test_numbers_and_addresses_have_a_primary_one(session: AsyncSession) -> None:
    numbers = [NumberValues(presented=f"+7900000000{n}") for n in (1, 2)]
    party_id = await create_party(
        session, COMMAND, person_values("Анна"), numbers=numbers, emails=["Anna@Example.com", "a@example.org"]
    )
    card = await party_card(session, COMMAND, party_id)
    assert [phone.is_primary for phone in card.phones] == [True, False]
    assert [(email.address, email.is_primary) for email in card.emails] == [
        ("anna@example.com", True),
        ("a@example.org", False),
    ]
    await make_primary(session, COMMAND, card.phones[1].id)
    assert (await party_card(session, COMMAND, party_id)).phones[0].id == card.phones[1].id
    other = await make(session, person_values("Борис"))
    with pytest.raises(AlreadyExists):
        await attach_email(session, COMMAND, other, "ANNA@example.com")
    with pytest.raises(Invalid):
        await attach_email(session, COMMAND, other, "anna at example")
    assert await attach_email(session, COMMAND, party_id, "anna@example.com") == card.emails[0].id


async def test_a_merged_party_is_read_as_its_survivor(session: AsyncSession) -> None:
    survivor, merged = await make(session), await make(session, organisation_values("Дубль"))
    row = await session.get_one(Party, merged)
    row.merged_into_id, row.lifecycle = survivor, "merged"
    await session.flush()
    assert (await party_card(session, COMMAND, merged)).id == survivor


async def test_rights_narrow_cards_and_edits(session: AsyncSession) -> None:
    team = await make_team(session, "Sales")
    agent = await make_user(session, team_id=team)
    manager = await make_user(session, ("manager",), team_id=team)
    head = await make_user(session, ("head",), team_id=team, is_head=True)
    stranger = await make_user(session)
    party_id = await make(session, access=agent)
    assert (await party_card(session, manager, party_id)).may_edit is False
    assert (await party_card(session, head, party_id)).may_edit is True
    with pytest.raises(NotFound):
        await party_card(session, stranger, party_id)
    with pytest.raises(NotFound):
        await timeline(session, stranger, party_id)
    with pytest.raises(NotFound):
        await edit_party(session, manager, party_id, FLOWERS, version=1)
    with pytest.raises(NotAllowed):
        await change_owner(session, agent, party_id, stranger.user_id)
    await change_owner(session, head, party_id, stranger.user_id)
    assert (await party_card(session, stranger, party_id)).owner_name == stranger.name
    with pytest.raises(NotFound):
        await party_card(session, agent, party_id)


async def test_the_contacts_of_a_readable_organisation_are_readable(session: AsyncSession) -> None:
    agent = await make_user(session)
    firm = await make(session, access=agent)
    person = await make(session, person_values("Анна"))
    with pytest.raises(NotFound):
        await party_card(session, agent, person)
    await add_contact(session, COMMAND, firm, person, ContactValues())
    card = await party_card(session, agent, person)
    assert (card.name, card.may_edit) == ("Анна", False)


async def test_an_archived_party_keeps_its_card(session: AsyncSession) -> None:
    party_id = await make(session)
    await archive_party(session, COMMAND, party_id)
    assert (await party_card(session, COMMAND, party_id)).lifecycle == "archived"


async def test_the_timeline_is_paged_by_key_and_shows_calls_with_notes(session: AsyncSession) -> None:
    agent = await make_user(session)
    firm, person = await make(session), await make(session, person_values("Анна"))
    connection_id = await planting.connection(session, "Office")
    line_id = await planting.line(session, connection_id, "+74951234501")
    for n in range(7):
        communication = Communication(
            id=uuid7(),
            kind="call",
            direction="in",
            started_at=NOON + timedelta(minutes=n // 2),
            user_id=agent.user_id,
            party_id=firm,
            contact_id=person if n % 2 else None,
        )
        session.add(communication)
        await session.flush()
        session.add(
            Call(
                id=communication.id,
                connection_id=connection_id,
                external_id=str(n),
                direction="inbound",
                state="ended",
                started_at=communication.started_at,
                ended_at=communication.started_at,
                disposition="answered",
                talk_seconds=12.5,
                line_id=line_id,
            )
        )
        session.add(CallNote(id=uuid7(), call_id=communication.id, user_id=agent.user_id, text=f"note {n}"))
    await session.flush()
    pages = [await timeline(session, COMMAND, firm, limit=3)]
    while pages[-1].next:
        pages.append(await timeline(session, COMMAND, firm, cursor=pages[-1].next, limit=3))
    assert [len(page.items) for page in pages] == [3, 3, 1]
    items = [item for page in pages for item in page.items]
    assert [item.notes[0].text for item in items] == [f"note {n}" for n in (6, 5, 4, 3, 2, 1, 0)]
    assert (items[0].line_name, items[0].talk_seconds, items[0].user_name) == ("Sales", 12.5, agent.name)
    assert len((await timeline(session, COMMAND, person)).items) == 3
    for cursor in ("nonsense", "W10", pages[0].next + "x" if pages[0].next else ""):
        with pytest.raises(Invalid) as refused:
            await timeline(session, COMMAND, firm, cursor=cursor)
        assert refused.value.field == "cursor"


async def test_an_absorbed_call_left_the_timeline(session: AsyncSession) -> None:
    firm = await make(session)
    connection_id = await planting.connection(session, "Office")
    ids = [uuid7(), uuid7()]
    for n, call_id in enumerate(ids):
        session.add(Communication(id=call_id, kind="call", direction="in", started_at=NOON, party_id=firm))
        await session.flush()
        session.add(
            Call(
                id=call_id,
                connection_id=connection_id,
                external_id=str(n),
                direction="inbound",
                state="ended",
                started_at=NOON,
                ended_at=NOON,
                joined_into_id=ids[0] if n else None,
            )
        )
        await session.flush()
    assert [item.id for item in (await timeline(session, COMMAND, firm)).items] == ids[:1]
