"""Lists and search: fixed conditions, pages by key, rights, the cut of 500."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.affiliations import ContactValues, add_contact
from crm.errors import Invalid, NotAllowed
from crm.kind_stays import end_kind, pause_kind, resume_kind
from crm.numbers import NumberValues
from crm.parties import (
    PartyValues,
    archive_party,
    create_party,
    organisation_values,
    person_values,
    set_kinds,
)
from crm.party_cards import party_card
from crm.party_lists import MOST_COUNTED, Count, PartyFilter, Sort, Which, count_parties, list_parties
from crm.party_search import FoundBy, search_parties
from crm.rights import Access
from crm.schema.parties import Party
from tests.crm.people import COMMAND, make_team, make_user
from tests.crm.planting import NOON


async def firm(session: AsyncSession, name: str, kind: str = "client", access: Access = COMMAND) -> int:
    return await create_party(session, access, organisation_values(name), kinds=[kind])


async def human(session: AsyncSession, name: str, *kinds: str, number: str = "") -> int:
    numbers = [NumberValues(presented=number)] if number else []
    return await create_party(session, COMMAND, person_values(name), kinds=kinds, numbers=numbers)


async def names(session: AsyncSession, wanted: PartyFilter, access: Access = COMMAND) -> list[str]:
    return [row.name for row in (await list_parties(session, access, wanted)).items]


async def test_each_list_has_its_own_condition(session: AsyncSession) -> None:
    await firm(session, "Клиент")
    await firm(session, "Поставщик", "supplier")
    former = await firm(session, "Бывший клиент")
    await set_kinds(session, COMMAND, former, ["other"])
    gone = await firm(session, "Совсем бывший")
    await session.execute(update(Party).where(Party.id == gone).values(deleted_at=NOON))
    archived = await firm(session, "Архив")
    await archive_party(session, COMMAND, archived)
    await human(session, "Частник", "client")
    alone = await human(session, "Одиночка")
    contact = await human(session, "Контакт")
    await add_contact(session, COMMAND, former, contact, ContactValues(position="Закупки"))
    assert await names(session, PartyFilter()) == ["Бывший клиент", "Клиент", "Поставщик", "Частник"]
    assert await names(session, PartyFilter(kind="client")) == ["Клиент", "Частник"]
    assert await names(session, PartyFilter(kind="supplier")) == ["Поставщик"]
    assert await names(session, PartyFilter(which=Which.FORMER_CLIENTS)) == []
    assert await names(session, PartyFilter(which=Which.CONTACTS)) == ["Контакт", "Одиночка", "Частник"]
    assert await names(session, PartyFilter(which=Which.CONTACTS_ALONE)) == ["Одиночка"]
    assert len(await names(session, PartyFilter(which=Which.EVERYBODY))) == 6
    assert await count_parties(session, COMMAND, PartyFilter()) == Count(value=4, is_more=False)
    await set_kinds(session, COMMAND, alone, ["client"])
    await set_kinds(session, COMMAND, alone, [])
    assert await names(session, PartyFilter(which=Which.FORMER_CLIENTS)) == ["Одиночка"]
    other = await human(session, "Бывший поставщик", "supplier")
    for party_id, kinds in ((alone, ["supplier"]), (alone, []), (other, [])):
        await set_kinds(session, COMMAND, party_id, kinds)
    were_both = PartyFilter(which=Which.FORMER_CLIENTS, kind="supplier", kind_status="ended")
    assert await names(session, were_both) == ["Одиночка"]
    assert (await count_parties(session, COMMAND, were_both)).value == 1


async def test_a_paused_or_ended_kind_leaves_the_lists_and_is_found_by_its_state(
    session: AsyncSession,
) -> None:
    resting, over = await firm(session, "Отдыхает"), await firm(session, "Рассталось")
    (paused,), (ended,) = [(await party_card(session, COMMAND, each)).kinds for each in (resting, over)]
    await pause_kind(session, COMMAND, resting, paused.assignment_id)
    await end_kind(session, COMMAND, over, ended.assignment_id, "moved")
    await set_kinds(session, COMMAND, over, ["client"])  # a second stay, which ends as well
    (again, _first) = (await party_card(session, COMMAND, over)).kinds
    await end_kind(session, COMMAND, over, again.assignment_id, "")
    narrow = await make_user(session, ("manager",))
    await session.execute(update(Party).values(owner_id=narrow.user_id))
    for access in (COMMAND, narrow):
        for kind in (None, "client"):
            for status, found in (("active", []), ("paused", ["Отдыхает"]), ("ended", ["Рассталось"])):
                wanted = PartyFilter(kind=kind, kind_status=status)
                for sort in Sort:
                    page = await list_parties(session, access, wanted, sort=sort)
                    assert [row.name for row in page.items] == found, (kind, status, sort)
                assert (await count_parties(session, access, wanted)).value == len(found)
        assert await names(session, PartyFilter(which=Which.FORMER_CLIENTS), access) == ["Рассталось"]
    await resume_kind(session, COMMAND, resting, paused.assignment_id)
    assert await names(session, PartyFilter(kind="client")) == ["Отдыхает"]


async def test_a_row_shows_the_primary_contact_and_a_number_to_call(session: AsyncSession) -> None:
    owner = await make_user(session, login="vera")
    company = await firm(session, "Пример", access=owner)
    person = await human(session, "Примерова Анна", number="+79000000001")
    await add_contact(session, COMMAND, company, person, ContactValues(position="Закупки"))
    (row,) = (await list_parties(session, COMMAND, PartyFilter())).items
    assert (row.contact_id, row.contact_name, row.contact_position) == (person, "Примерова Анна", "Закупки")
    assert (row.phone, row.owner_name, [kind.code for kind in row.kinds]) == (
        "+79000000001",
        "Vera",
        ["client"],
    )
    (row,) = (await list_parties(session, COMMAND, PartyFilter(which=Which.CONTACTS))).items
    assert (row.organisation_id, row.organisation_name) == (company, "Пример")


PLENTY = text(
    """
    insert into party (number, type, display_name, sort_name, last_communication_at, owner_id, team_id)
    select 1000000 + n, 'person', 'Имя ' || lpad(n::text, 5, '0'), 'имя ' || lpad((n / 3)::text, 5, '0'),
        case when n % 5 > 0 then cast(:noon as timestamptz) + n / 2 * interval '1 minute' end,
        cast(:owner_id as bigint), cast(:team_id as bigint)
    from generate_series(cast(:first as int), cast(:last as int)) n
    """
)


async def plenty(
    session: AsyncSession, count: int, *, owner_id: int | None = None, team_id: int | None = None
) -> None:
    of = {"noon": NOON, "owner_id": owner_id, "team_id": team_id}
    for first in range(0, count, 500):
        await session.execute(PLENTY, {**of, "first": first, "last": min(first + 500, count) - 1})


@pytest.mark.parametrize("sort", list(Sort))
async def test_pages_meet_without_gap_or_overlap(session: AsyncSession, sort: Sort) -> None:
    await plenty(session, 103)
    wanted = PartyFilter(which=Which.CONTACTS)
    pages = [await list_parties(session, COMMAND, wanted, sort=sort, limit=10)]
    while pages[-1].next:
        pages.append(await list_parties(session, COMMAND, wanted, sort=sort, cursor=pages[-1].next, limit=10))
    assert [len(page.items) for page in pages] == [10] * 10 + [3]
    rows = [row for page in pages for row in page.items]
    assert len({row.id for row in rows}) == 103
    if sort is Sort.NAME:
        assert [row.id for row in rows] == sorted(row.id for row in rows)
    elif sort is Sort.CREATED:
        assert [row.id for row in rows] == sorted((row.id for row in rows), reverse=True)
    else:
        spoken = [row.last_communication_at for row in rows if row.last_communication_at]
        assert spoken == sorted(spoken, reverse=True)
        assert all(row.last_communication_at is None for row in rows[len(spoken) :])


async def test_a_list_of_one_page_has_no_next(session: AsyncSession) -> None:
    await plenty(session, 50)
    page = await list_parties(session, COMMAND, PartyFilter(which=Which.CONTACTS))
    assert (len(page.items), page.next) == (50, None)
    assert (await list_parties(session, COMMAND, PartyFilter(kind="client"))).items == ()


@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize("role", ["admin", "manager", "agent"])
async def test_a_page_of_a_long_list_is_read_from_an_index(
    session: AsyncSession, sort: Sort, role: str
) -> None:
    """At 20,000 rows the plan is the one of a million: no statement of a page reads the whole table."""
    team = await make_team(session, f"Plans {role} {sort}")
    access = await make_user(session, (role,), team_id=team)
    other = await make_user(session)
    await plenty(session, 20_000, owner_id=other.user_id, team_id=team)
    await session.execute(update(Party).where(Party.number % 400 == 0).values(owner_id=access.user_id))
    await session.execute(text("analyze party"))
    connection = await session.connection()
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(connection.sync_connection, "before_cursor_execute", note)
    page = await list_parties(session, access, PartyFilter(which=Which.CONTACTS), sort=sort)
    event.remove(connection.sync_connection, "before_cursor_execute", note)
    assert len(page.items) == 50
    for statement, parameters in asked:
        if "FROM party" in statement and "LIMIT" in statement:
            plan = await connection.exec_driver_sql("explain " + statement, parameters)
            assert "Seq Scan on party" not in "\n".join(plan.scalars())


async def test_counting_stops_at_a_thousand(session: AsyncSession) -> None:
    await plenty(session, MOST_COUNTED + 1)
    counted = await count_parties(session, COMMAND, PartyFilter(which=Which.CONTACTS))
    assert counted == Count(value=MOST_COUNTED, is_more=True)


async def test_t11_lists_counts_and_search_are_narrowed_alike(session: AsyncSession) -> None:
    team, other = await make_team(session, "Ours"), await make_team(session, "Theirs")
    agent = await make_user(session, team_id=team)
    head = await make_user(session, ("head",), team_id=team, is_head=True)
    stranger = await make_user(session, ("manager",), team_id=other)
    telephony = await make_user(session, ("telephony",))
    await firm(session, "Ромашка наша", access=agent)
    await firm(session, "Ромашка отдела", access=head)
    await firm(session, "Ромашка чужая", access=stranger)
    seen = {
        agent: ["Ромашка наша"],
        head: ["Ромашка наша", "Ромашка отдела"],
        stranger: ["Ромашка чужая"],
        COMMAND: ["Ромашка наша", "Ромашка отдела", "Ромашка чужая"],
    }
    for access, expected in seen.items():
        assert await names(session, PartyFilter(), access) == expected
        assert (await count_parties(session, access, PartyFilter())).value == len(expected)
        found = await search_parties(session, access, "ромашка")
        assert sorted(hit.party.name for hit in found.hits) == expected
    for refused in (list_parties, count_parties):
        with pytest.raises(NotAllowed):
            await refused(session, telephony, PartyFilter())
    with pytest.raises(NotAllowed):
        await search_parties(session, telephony, "ромашка")


@pytest.mark.parametrize("cursor", ["%%%", "W10", "bnVsbA", "WzEsMl0", "x" * 2000, "é"])
async def test_a_cursor_of_another_list_is_refused(session: AsyncSession, cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        await list_parties(session, COMMAND, PartyFilter(), cursor=cursor)
    assert refused.value.field == "cursor"


async def test_unknown_lists_and_kinds_are_refused(session: AsyncSession) -> None:
    with pytest.raises(Invalid):
        PartyFilter.from_text("select 1")
    with pytest.raises(Invalid):
        await list_parties(session, COMMAND, PartyFilter(kind="enemy"))
    assert PartyFilter.from_text("contacts", "client", 5) == PartyFilter(
        which=Which.CONTACTS, kind="client", owner_id=5
    )


@pytest.mark.parametrize(
    ("typed", "found_by"),
    [
        ("ромаш", FoundBy.NAME),
        ("РОМАШКА", FoundBy.NAME),
        ("«ромашка-трейд»", FoundBy.NAME),
        ("ооо ромашка", FoundBy.NAME),
        ("трейд ромашка", FoundBy.NAME),
        ("8 (900) 123-45-67", FoundBy.NUMBER),
        ("+7 900 123", FoundBy.NUMBER),
        ("8900123", FoundBy.NUMBER),
        ("123-45-67", FoundBy.NUMBER),
        ("4567", FoundBy.NUMBER),
        ("7707083893", FoundBy.INN),
        ("770708", FoundBy.INN),
    ],
)
async def test_a_party_is_found_by_what_people_type(
    session: AsyncSession, typed: str, found_by: FoundBy
) -> None:
    values = PartyValues(type="organisation", short_name="ООО «Ромашка Трейд»", inn="7707083893")
    numbers = [NumberValues(presented="+7 900 123-45-67")]
    party_id = await create_party(session, COMMAND, values, kinds=["client"], numbers=numbers)
    await firm(session, "Лютик")
    result = await search_parties(session, COMMAND, typed)
    assert [(hit.party.id, hit.found_by) for hit in result.hits] == [(party_id, found_by)]
    assert not result.is_cut


@pytest.mark.parametrize("typed", ["", "ро", "12", "  a ", "%%%", "___", "'; drop table party; --"])
async def test_search_begins_at_three_characters_and_takes_text_as_text(
    session: AsyncSession, typed: str
) -> None:
    await firm(session, "Ромашка")
    result = await search_parties(session, COMMAND, typed)
    assert result.hits == ()


async def test_archived_and_former_owners_numbers_are_told_apart(session: AsyncSession) -> None:
    archived = await firm(session, "Ромашка архив")
    await archive_party(session, COMMAND, archived)
    present = await firm(session, "Ромашка сегодня и завтра")
    result = await search_parties(session, COMMAND, "ромашка")
    assert [hit.party.id for hit in result.hits] == [present, archived]
    within = await search_parties(session, COMMAND, "ромашка", condition=Party.lifecycle == "active")
    assert [hit.party.id for hit in within.hits] == [present]


async def test_a_common_syllable_is_cut_and_says_so(session: AsyncSession) -> None:
    await plenty(session, 700)
    result = await search_parties(session, COMMAND, "имя")
    assert (len(result.hits), result.is_cut) == (50, True)
