"""The feed of changes: in the order of committing, nothing missed behind a transaction that is still running, within rights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import publish
from crm.database import Database
from crm.parties import change_owner, create_party, organisation_values
from crm.party_bin import bin_party
from crm.record_feed import Place, place_of, present_place, read_events, versions_within
from tests.crm.people import COMMAND, make_team, make_user


async def firm(session: AsyncSession, name: str) -> int:
    return await create_party(session, COMMAND, organisation_values(name), kinds=["client"])


async def told(database: Database, after: Place) -> list[int]:
    async with database.sessions() as session:
        return [int(event.record_id) for event in await read_events(session, after, 100)]


async def test_what_is_committed_late_is_not_missed(database: Database) -> None:
    async with database.sessions() as session:
        start = await present_place(session)
    async with database.sessions() as slow:
        await publish(slow, COMMAND, "party.changed", "party", 1, after={"city": "Тверь"})
        async with database.sessions.begin() as quick:
            await publish(quick, COMMAND, "party.changed", "party", 2, after={"city": "Псков", "note": None})
        assert await told(database, start) == []  # the slow one was first, and is told first
        await slow.commit()
    assert await told(database, start) == [1, 2]
    async with database.sessions() as session:
        (_, last) = await read_events(session, start, 100)
        assert await read_events(session, last.place, 100) == []
        assert last.fields == ("city", "note")


async def test_it_can_be_read_from_a_moment_on(database: Database) -> None:
    before = datetime.now(UTC)
    async with database.sessions.begin() as session:
        made = await firm(session, "Новая")
    async with database.sessions() as session:
        since = await place_of(session, before)
        later = await place_of(session, before + timedelta(days=1))
    assert made in await told(database, since)
    assert await told(database, later) == []


async def test_only_what_one_may_see_is_told_also_when_it_is_gone(session: AsyncSession) -> None:
    team = await make_team(session, "Feed")
    mine = await make_user(session, ("manager",), team_id=team)
    party, other = await firm(session, "Моя"), await firm(session, "Чужая")
    await change_owner(session, COMMAND, party, mine.user_id)
    seen = await versions_within(session, mine, "party", [party, other])
    assert {each: version.is_gone for each, version in seen.items()} == {party: False}
    await bin_party(session, COMMAND, party)
    assert (await versions_within(session, mine, "party", [party]))[party].is_gone
    telephony = await make_user(session, ("telephony",))
    assert await versions_within(session, telephony, "party", [party]) == {}
