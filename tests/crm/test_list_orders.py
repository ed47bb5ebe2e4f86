"""What lists are read from is kept by triggers: it says at every moment what the rows themselves say."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm import party_keys
from crm.affiliations import ContactValues, add_contact, end_contact
from crm.database import Database
from crm.duplicates import list_pairs
from crm.kind_stays import end_kind
from crm.merging import merge_parties
from crm.numbers import NumberValues, attach_number, end_ownership
from crm.parties import PartyValues, create_party, edit_party, organisation_values, person_values, set_kinds
from crm.party_bin import bin_party, restore_party
from crm.party_cards import party_card
from crm.party_filters import PartyFilter, Which
from crm.party_lists import Sort, list_parties
from crm.party_search import search_parties
from crm.schema.merging import DuplicatePair, DuplicateRun
from crm.schema.parties import Party
from tests.crm.people import COMMAND, make_team, make_user
from tests.crm.planting import NOON

WRONG_LACKS = text(
    """
    with due as (select * from lacks_of(array(select id from party)))
    select * from ((select * from due except select party_id, lack from party_lack)
        union all (select party_id, lack from party_lack except select * from due)) wrong
    """
)
WRONG_COPIES = text(
    """
    select k.id from party_kind_assignment k join party p on p.id = k.party_id
    where (k.sort_name, k.last_communication_at, k.party_created_at, k.owner_id, k.keeper_id, k.team_id, k.party_type)
        is distinct from (p.sort_name, p.last_communication_at, p.created_at, p.owner_id, coalesce(p.owner_id, p.created_by),
            p.team_id, p.type)
    union all
    select l.party_id from party_lack l join party p on p.id = l.party_id
    where (l.sort_name, l.last_communication_at, l.party_created_at, l.keeper_id, l.team_id)
        is distinct from (p.sort_name, p.last_communication_at, p.created_at, coalesce(p.owner_id, p.created_by), p.team_id)
    union all
    select r.party_id from party_region r join party p on p.id = r.party_id
    where (r.sort_name, r.last_communication_at, r.party_created_at, r.keeper_id, r.team_id)
        is distinct from (p.sort_name, p.last_communication_at, p.created_at, coalesce(p.owner_id, p.created_by), p.team_id)
    union all
    select d.id from duplicate_pair d join party low on low.id = d.low_id join party high on high.id = d.high_id
    where (d.low_keeper_id, d.low_team_id, d.high_keeper_id, d.high_team_id) is distinct from
        (coalesce(low.owner_id, low.created_by), low.team_id, coalesce(high.owner_id, high.created_by), high.team_id)
    """
)


async def is_kept(session: AsyncSession) -> bool:
    wrong = [*await session.execute(WRONG_LACKS), *await session.execute(WRONG_COPIES)]
    return not wrong


async def alone(session: AsyncSession) -> list[str]:
    page = await list_parties(session, COMMAND, PartyFilter(which=Which.CONTACTS_ALONE))
    return [row.name for row in page.items]


async def test_a_person_alone_is_found_until_a_firm_or_a_kind_has_them(session: AsyncSession) -> None:
    firm = await create_party(session, COMMAND, organisation_values("Пример"), kinds=["client"])
    person = await create_party(session, COMMAND, person_values("Примерова Анна"))
    assert await alone(session) == ["Примерова Анна"]
    tie = await add_contact(session, COMMAND, firm, person, ContactValues())
    assert (await alone(session), await is_kept(session)) == ([], True)
    await end_contact(session, COMMAND, tie)
    assert (await alone(session), await is_kept(session)) == (["Примерова Анна"], True)
    await set_kinds(session, COMMAND, person, ["client"])
    assert (await alone(session), await is_kept(session)) == ([], True)
    (kind,) = (await party_card(session, COMMAND, person)).kinds
    await end_kind(session, COMMAND, person, kind.assignment_id, "")
    assert (await alone(session), await is_kept(session)) == (["Примерова Анна"], True)


async def test_a_party_without_a_number_is_found_until_it_has_one(session: AsyncSession) -> None:
    firm = await create_party(session, COMMAND, organisation_values("Пример"), kinds=["client"])
    wanted = PartyFilter(has_phone=False)
    assert len((await list_parties(session, COMMAND, wanted)).items) == 1
    await attach_number(session, COMMAND, firm, NumberValues(presented="+7 900 000-00-01"))
    assert (await list_parties(session, COMMAND, wanted)).items == ()
    assert len((await list_parties(session, COMMAND, PartyFilter(has_phone=True))).items) == 1
    (phone,) = (await party_card(session, COMMAND, firm)).phones
    await end_ownership(session, COMMAND, phone.id)
    assert len((await list_parties(session, COMMAND, wanted)).items) == 1
    assert await is_kept(session)


async def test_the_bin_and_a_merge_keep_them_too(session: AsyncSession) -> None:
    numbers = [NumberValues(presented="+7 900 000-00-01")]
    one = await create_party(
        session, COMMAND, organisation_values("Пример"), kinds=["client"], numbers=numbers
    )
    other = await create_party(session, COMMAND, organisation_values("Пример два"), kinds=["supplier"])
    await bin_party(session, COMMAND, one)
    assert await is_kept(session)
    await restore_party(session, COMMAND, one)
    assert await is_kept(session)
    await merge_parties(session, COMMAND, one, [other])
    assert await is_kept(session)


async def test_a_kind_follows_its_party_in_every_order(session: AsyncSession) -> None:
    first = await create_party(session, COMMAND, organisation_values("Альфа"), kinds=["client", "supplier"])
    last = await create_party(session, COMMAND, organisation_values("Омега"), kinds=["client"])
    both = PartyFilter()
    await session.execute(update(Party).where(Party.id == last).values(last_communication_at=NOON))
    newest = await list_parties(session, COMMAND, both, sort=Sort.LAST_COMMUNICATION)
    assert [row.id for row in newest.items] == [last, first]
    later = NOON + timedelta(days=1)
    await session.execute(update(Party).where(Party.id == first).values(last_communication_at=later))
    newest = await list_parties(session, COMMAND, both, sort=Sort.LAST_COMMUNICATION)
    assert [row.id for row in newest.items] == [first, last]
    values = PartyValues(type="organisation", short_name="Япония")
    await edit_party(session, COMMAND, first, values, version=1)
    assert [row.id for row in (await list_parties(session, COMMAND, both)).items] == [last, first]
    assert await is_kept(session)


async def test_a_head_finds_the_same_as_who_may_see_everything(session: AsyncSession) -> None:
    """Of a team, of one's own and of persons, lists are read from indexes of their own."""
    team_id = await make_team(session, "Отдел списков")
    head = await make_user(session, ("head",), team_id=team_id, is_head=True)
    owned = await create_party(session, head, organisation_values("Своя"), kinds=["client", "supplier"])
    person = await create_party(session, head, person_values("Свой Человек"), kinds=["client"])
    await end_kind(
        session, COMMAND, owned, (await party_card(session, COMMAND, owned)).kinds[1].assignment_id, ""
    )
    await create_party(session, COMMAND, organisation_values("Чужая"), kinds=["client"])
    nobodys = await create_party(session, COMMAND, organisation_values("Ничья"), kinds=["agent"])
    await session.execute(update(Party).where(Party.id == person).values(owner_id=None, team_id=team_id))
    assert await is_kept(session)
    for sort in Sort:
        for wanted, expected in (
            (PartyFilter(), {owned, person}),
            (PartyFilter(kind="client"), {owned, person}),
            (PartyFilter(kind="client", type="person"), {person}),
            (PartyFilter(which=Which.CONTACTS, kind="client"), {person}),
            (PartyFilter(owner_id=head.user_id, kind="client"), {owned}),
            (PartyFilter(which=Which.FORMER_CLIENTS), set()),
        ):
            page = await list_parties(session, head, wanted, sort=sort)
            assert {row.id for row in page.items} == expected, (sort, wanted)
        page = await list_parties(session, COMMAND, PartyFilter(owner_id=0, kind="agent"), sort=sort)
        assert [row.id for row in page.items] == [nobodys]


async def test_what_nobody_answers_for_is_the_own_of_whoever_entered_it(session: AsyncSession) -> None:
    """In every list that is read from something of its own: kinds, lacks, persons, sources."""
    team_id = await make_team(session, "Отдел ничьих")
    head = await make_user(session, ("head",), team_id=team_id, is_head=True)
    agent = await make_user(session, ("agent",), team_id=team_id)
    made = {}
    for name, owner_id, entered_by, team in (
        ("Своя", head.user_id, head.user_id, None),
        ("Отдела", agent.user_id, head.user_id, team_id),
        ("Ничья своя", None, head.user_id, None),
        ("Ничья чужая", None, agent.user_id, None),
        ("Отданная", agent.user_id, head.user_id, None),
    ):
        for values in (organisation_values(name), person_values(name)):
            kinds = ["client"] if values.type == "organisation" else []
            party_id = await create_party(session, COMMAND, values, kinds=kinds)
            placed = {"owner_id": owner_id, "created_by": entered_by, "team_id": team, "source": "site"}
            await session.execute(update(Party).where(Party.id == party_id).values(placed))
            made[party_id] = name
    assert await is_kept(session)
    seen = {head: {"Своя", "Отдела", "Ничья своя"}, agent: {"Отдела", "Ничья чужая", "Отданная"}}
    for access, names in seen.items():
        for wanted, expected in (
            (PartyFilter(), names),
            (PartyFilter(has_phone=False), names),
            (PartyFilter(source="site"), names),
            (PartyFilter(owner_id=0), {name for name in names if name.startswith("Ничья")}),
            (PartyFilter(owner_id=agent.user_id), names & {"Отдела", "Отданная"}),
            (PartyFilter(which=Which.CONTACTS), names),
            (PartyFilter(which=Which.CONTACTS_ALONE), names),
            (PartyFilter(which=Which.CONTACTS_ALONE, has_phone=False), names),
            (PartyFilter(which=Which.CONTACTS, owner_id=0, has_phone=True), set()),
        ):
            for sort in Sort:
                page = await list_parties(session, access, wanted, sort=sort)
                assert sorted(made[row.id] for row in page.items) == sorted(expected), (sort, wanted)
        everybody = await list_parties(session, access, PartyFilter(which=Which.EVERYBODY))
        assert sorted(made[row.id] for row in everybody.items) == sorted([*names, *names])
        found = await search_parties(session, access, "нич")
        assert {made[hit.party.id] for hit in found.hits} == {
            name for name in names if name.startswith("Нич")
        }


async def test_many_without_a_number_are_found_among_what_else_is_listed(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(party_keys, "FEW", 1)
    numbers = [NumberValues(presented="+7 900 000-00-01")]
    await create_party(session, COMMAND, organisation_values("С номером"), kinds=["client"], numbers=numbers)
    without = [
        await create_party(session, COMMAND, organisation_values(name), kinds=["client"])
        for name in ("Без", "Без него")
    ]
    for sort in Sort:
        page = await list_parties(session, COMMAND, PartyFilter(has_phone=False), sort=sort)
        assert {row.id for row in page.items} == set(without)


async def test_a_pair_is_of_a_head_while_both_are(session: AsyncSession) -> None:
    team_id = await make_team(session, "Отдел двойников")
    head = await make_user(session, ("head",), team_id=team_id, is_head=True)
    own = await create_party(session, head, organisation_values("Двойник"), kinds=["client"])
    other = await create_party(session, COMMAND, organisation_values("Двойники"), kinds=["client"])
    run_id = await session.scalar(insert(DuplicateRun).values(stage="number").returning(DuplicateRun.id))
    pair = {"low_id": own, "high_id": other, "reason": "name", "shown": "", "likeness": 800, "run_id": run_id}
    await session.execute(insert(DuplicatePair).values(pair))
    for team, expected in ((None, 0), (team_id, 1), (None, 0)):
        await session.execute(update(Party).where(Party.id == other).values(team_id=team))
        await session.execute(text("set constraints all immediate"))
        assert await is_kept(session)
        assert len((await list_pairs(session, head)).items) == expected
        assert len((await list_pairs(session, COMMAND)).items) == 1


async def test_two_who_end_and_add_at_one_moment_leave_no_false_lack(
    session: AsyncSession, database: Database
) -> None:
    """The one waits for the other and sees what it did, whoever comes first."""
    async with database.sessions.begin() as setup:
        numbers = [NumberValues(presented="+7 900 000-00-02")]
        firm = await create_party(
            setup, COMMAND, organisation_values("Двое"), kinds=["client"], numbers=numbers
        )
        (phone,) = (await party_card(setup, COMMAND, firm)).phones
    async with database.sessions() as one, database.sessions() as other:
        await end_ownership(one, COMMAND, phone.id)
        value = NumberValues(presented="+7 900 000-00-03")
        adding = asyncio.create_task(attach_number(other, COMMAND, firm, value))
        await asyncio.sleep(0.2)
        await one.commit()
        await adding
        await other.commit()
    assert await is_kept(session)
