"""Filters of the lists of parties: each by itself, combined, and within one's rights."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.directories import TAG, add_entry
from crm.numbers import NumberValues
from crm.owners import colleagues
from crm.parties import create_party, organisation_values
from crm.party_filters import PartyFilter, known_cities, known_sources
from crm.party_lists import count_parties, list_parties, party_ids
from crm.rights import Access
from crm.schema.parties import Party
from crm.tags import put_tags
from tests.crm.people import COMMAND, make_team, make_user
from tests.crm.planting import NOON


async def plant(session: AsyncSession, name: str, owner: Access = COMMAND, **columns: Any) -> int:
    number = columns.pop("number", "")
    numbers = [NumberValues(presented=number)] if number else []
    values = organisation_values(name)
    party = await create_party(session, owner, values, kinds=["client"], numbers=numbers)
    if columns:
        await session.execute(update(Party).where(Party.id == party).values(**columns))
    return party


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["Восток", "Запад", "Север"]),
        ({"owner_id": 0}, ["Восток", "Запад"]),
        ({"has_phone": True}, ["Север"]),
        ({"has_phone": False}, ["Восток", "Запад"]),
        ({"source": "Сайт"}, ["Запад", "Север"]),
        ({"spoken_since": NOON, "spoken_until": NOON + timedelta(hours=1)}, ["Север"]),
        ({"spoken_until": NOON}, ["Запад"]),
        ({"silent_since": NOON}, ["Восток", "Запад"]),
        ({"source": "Сайт", "has_phone": False, "silent_since": NOON}, ["Запад"]),
        ({"source": "Сайт", "has_phone": False, "spoken_since": NOON}, []),
    ],
)
async def test_filters_narrow_alone_and_together(
    session: AsyncSession, wanted: dict[str, Any], found: list[str]
) -> None:
    vera = await make_user(session)
    await plant(
        session,
        "Север",
        vera,
        number="+7 495 120-33-44",
        source="Сайт",
        last_communication_at=NOON,
    )
    await plant(session, "Запад", source="Сайт", last_communication_at=NOON - timedelta(days=40))
    await plant(session, "Восток", source="Выставка")
    filtered = PartyFilter(kind="client", **wanted)
    page = await list_parties(session, COMMAND, filtered)
    assert [row.name for row in page.items] == found
    assert (await count_parties(session, COMMAND, filtered)).value == len(found)
    assert await party_ids(session, COMMAND, filtered, 2) == [row.id for row in page.items][:2]


async def test_sources_are_known_each_once(session: AsyncSession) -> None:
    assert await known_sources(session) == []
    for name, source in (("а", "Сайт"), ("б", "Сайт"), ("в", "Выставка"), ("г", None)):
        await plant(session, name, source=source)
    gone = await plant(session, "д", source="Радио")
    await session.execute(update(Party).where(Party.id == gone).values(deleted_at=NOON))
    assert await known_sources(session) == ["Выставка", "Сайт"]


async def test_a_list_is_narrowed_by_city_and_tag(session: AsyncSession) -> None:
    tag_id = await add_entry(session, COMMAND, TAG, "Важный")
    tver = [await plant(session, name, city="Тверь") for name in ("Альфа", "Бета")]
    pskov = await plant(session, "Гамма", city="Псков")
    for party_id in (tver[1], pskov):
        await put_tags(session, COMMAND, party_id, [tag_id])
    assert await known_cities(session) == ["Псков", "Тверь"]

    async def found(**wanted: Any) -> list[int]:
        filtered = PartyFilter(kind="client", **wanted)
        page = await list_parties(session, COMMAND, filtered)
        assert (await count_parties(session, COMMAND, filtered)).value == len(page.items)
        return [row.id for row in page.items]

    assert await found(city="Тверь") == tver
    assert await found(tag_id=tag_id) == [tver[1], pskov]
    assert await found(tag_id=tag_id, city="Тверь") == [tver[1]]
    assert await found(tag_id=tag_id + 1) == []


async def test_t11_a_list_is_filtered_by_those_whose_records_one_may_see(session: AsyncSession) -> None:
    team, other = await make_team(session, "Ours"), await make_team(session, "Theirs")
    agent = await make_user(session, team_id=team)
    manager = await make_user(session, ("manager",), team_id=team)
    stranger = await make_user(session, team_id=other)
    assert await colleagues(session, agent) == [(agent.user_id, agent.name)]
    assert {user_id for user_id, _ in await colleagues(session, manager)} == {agent.user_id, manager.user_id}
    everybody = {user_id for user_id, _ in await colleagues(session, COMMAND)}
    assert {agent.user_id, manager.user_id, stranger.user_id} <= everybody
    await plant(session, "Чужое", stranger)
    foreign = PartyFilter(owner_id=stranger.user_id)
    assert (await list_parties(session, manager, foreign)).items == ()
    assert await party_ids(session, manager, foreign, 10) == []
