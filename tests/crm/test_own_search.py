"""Whoever reads little finds the same by every way a search may take: among all, among their own, by the rule."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from crm import own_search
from crm.affiliations import ContactValues, add_contact
from crm.emails import attach_email
from crm.merging import merge_parties
from crm.numbers import NumberValues
from crm.parties import PartyValues, archive_party, create_party, organisation_values, person_values
from crm.party_bin import bin_party
from crm.party_search import search_parties
from crm.rights import Access
from crm.schema.parties import Party
from tests.crm.people import COMMAND, make_team, make_user

TYPED = (
    "ромашк",
    "ромашка",
    "маш",
    "+7 900 123-45-67",
    "123",
    "4567",
    "7707083893",
    "770",
    "@ourfirm.example",
    "прежняя",
    "нет такой",
)


async def an_agents_world(session: AsyncSession) -> tuple[Access, set[str]]:
    """An agent with parties of every sort among other people's like them, and the names of what they may find."""
    agent = await make_user(session, ("agent",), team_id=await make_team(session, "Отдел поиска"))
    for access, name, digits, inn in (
        (agent, "Наша", "4567", "7707083893"),
        (COMMAND, "Чужая", "4568", "7704217370"),
    ):
        values = PartyValues(type="organisation", short_name=f"Ромашка {name}", inn=inn)
        numbers = [NumberValues(presented=f"+7 900 123-{digits[:2]}-{digits[2:]}")]
        firm = await create_party(session, access, values, kinds=["client"], numbers=numbers)
        await attach_email(session, COMMAND, firm, f"box-{inn}@ourfirm.example")
        contact = await create_party(session, COMMAND, person_values(f"Ромашкина {name}"))
        await add_contact(session, COMMAND, firm, contact, ContactValues())
        gone = await create_party(session, access, organisation_values(f"Прежняя {name}"), kinds=["client"])
        await merge_parties(session, COMMAND, firm, [gone])
        old = await create_party(
            session, access, organisation_values(f"Ромашка Старая {name}"), kinds=["client"]
        )
        await archive_party(session, COMMAND, old)
        binned = await create_party(
            session, access, organisation_values(f"Ромашка Лишняя {name}"), kinds=["client"]
        )
        await bin_party(session, COMMAND, binned)
    return agent, {"Ромашка Наша", "Ромашкина Наша", "Ромашка Старая Наша"}


async def found(session: AsyncSession, access: Access, typed: str) -> list[tuple[str, str, str]]:
    everything = await search_parties(session, access, typed)
    active = await search_parties(session, access, typed, condition=Party.lifecycle == "active")
    hits = [(hit.party.name, hit.found_by.value, hit.shown) for hit in everything.hits]
    assert [hit.party.id for hit in active.hits] == [
        hit.party.id for hit in everything.hits if hit.party.lifecycle == "active"
    ]
    return hits


async def test_every_way_finds_the_same(session: AsyncSession, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, own = await an_agents_world(session)
    among_all = {typed: await found(session, agent, typed) for typed in TYPED}
    assert {name for name, *_rest in among_all["ромашк"]} == own
    assert among_all["+7 900 123-45-67"] == among_all["4567"] == [("Ромашка Наша", "number", "+79001234567")]
    assert [hit[:2] for hit in among_all["прежняя"]] == [("Ромашка Наша", "merged")]
    for most in ("CANDIDATES", "OF_MANY"):
        monkeypatch.setattr(own_search, most, 0)
    among_own = {typed: await found(session, agent, typed) for typed in TYPED}
    monkeypatch.setattr(own_search, "FEW", -1)
    by_the_rule = {typed: await found(session, agent, typed) for typed in TYPED}
    assert among_all == among_own == by_the_rule


async def test_it_is_told_that_there_are_more(session: AsyncSession, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, _own = await an_agents_world(session)
    assert not (await search_parties(session, agent, "ромашка")).is_cut
    monkeypatch.setattr(own_search, "OF_MANY", 1)
    assert not (await search_parties(session, agent, "ромашка")).is_cut
    monkeypatch.setattr(own_search, "MOST_OWN", 1)
    result = await search_parties(session, agent, "ромашка")
    assert result.is_cut
    assert result.hits
