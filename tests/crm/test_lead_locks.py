"""Whoever touches a lead locks in one order, parties before leads: nobody of those who come at one moment is ended by a deadlock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.call_store import store
from crm.database import Database
from crm.errors import CrmError
from crm.journal_entries import CallEntry, CallFacts
from crm.lead_conversion import Conversion, convert_lead
from crm.lead_intake import CreatedLead
from crm.lead_locks import parties_then_lead
from crm.leads import assign_lead, edit_lead, take_lead
from crm.rights import Access
from crm.schema import uuid7
from crm.schema.leads import Lead
from crm.schema.parties import Party
from tests.crm import planting, telling
from tests.crm.enquiries import automatic, lead_row
from tests.crm.people import COMMAND, make_user
from tests.crm.planting import NOON

Act = Callable[[AsyncSession], Awaitable[object]]


def numbers(first: int, count: int) -> list[str]:
    return [f"+7900100{first + n:04d}" for n in range(count)]


async def together(database: Database, acts: Sequence[Act]) -> list[BaseException]:
    """All acts at one moment, each in a transaction of its own; what came of them but refusals by a rule."""
    places = asyncio.Semaphore(5)

    async def one(act: Act) -> None:
        for attempt in range(
            4
        ):  # a slow machine's statement may take its two seconds; a deadlock is told at once
            try:
                async with places, database.sessions.begin() as session:
                    await act(session)
                    return
            except TimeoutError:
                if attempt == 3:
                    raise

    came = await asyncio.gather(*map(one, acts), return_exceptions=True)
    return [each for each in came if isinstance(each, BaseException) and not isinstance(each, CrmError)]


def calls_of(office: int, leads: Sequence[CreatedLead], key: str) -> list[CallEntry]:
    """An answered call of each of them, as the journal is told a batch of them."""
    return [
        CallEntry(
            call_id=uuid7(),
            connection_id=office,
            record=telling.life(f"{key}.{n}")[-1],
            facts=CallFacts(match_status="matched", party_id=lead.party_id, contact_id=None),
            at=telling.after(70),
        )
        for n, lead in enumerate(leads)
    ]


async def planted(database: Database, count: int, first: int) -> tuple[int, Access, list[CreatedLead]]:
    """An office, one of its people, and open leads from before its calls."""
    async with database.sessions.begin() as session:
        office = await planting.connection(session, f"Office {uuid7()}")
        user = await make_user(session, ("admin",))
        await planting.extension(session, office, "101", user.user_id)
        leads = [await automatic(session, COMMAND, number) for number in numbers(first, count)]
        ids = [lead.id for lead in leads]
        await session.execute(
            update(Lead).where(Lead.id.in_(ids)).values(created_at=NOON - timedelta(hours=1))
        )
    return office, user, leads


async def test_journal_enquiries_and_people_at_the_same_leads_at_once(database: Database) -> None:
    office, user, leads = await planted(database, 5, 0)
    chance = random.Random(7)

    def tell(key: str) -> Act:
        entries = calls_of(office, chance.sample(leads, len(leads)), key)

        async def act(session: AsyncSession) -> None:
            await store(await session.connection(), entries)

        return act

    def people(lead: CreatedLead, number: str) -> list[Act]:
        return [
            lambda session: automatic(session, COMMAND, number),
            lambda session: take_lead(session, user, lead.id),
            lambda session: assign_lead(session, COMMAND, lead.id, user.user_id),
            lambda session: edit_lead(session, user, lead.id, {"need": "Окна"}),
        ]

    acts = [
        act for lead, number in zip(leads, numbers(0, 5), strict=True) for act in people(lead, number) * 2
    ]
    acts += [tell(str(round_)) for round_ in range(8)]
    chance.shuffle(acts)
    assert await together(database, acts) == []
    async with database.sessions() as session:
        for lead in leads:
            row = await lead_row(session, lead.id)
            assert (row.first_response_at, row.owner_id, row.need) == (NOON, user.user_id, "Окна")


async def test_the_journal_and_conversions_at_once(database: Database) -> None:
    office, user, leads = await planted(database, 4, 50)

    def tell(key: str) -> Act:
        async def act(session: AsyncSession) -> None:
            await store(await session.connection(), calls_of(office, leads[::-1], key))

        return act

    def convert(lead: CreatedLead) -> Act:
        return lambda session: convert_lead(session, user, lead.id, Conversion())

    acts = [tell(f"c{n}") for n in range(5)] + [convert(lead) for lead in leads]
    random.Random(11).shuffle(acts)
    assert await together(database, acts) == []
    async with database.sessions() as session:
        for lead in leads:
            row = await lead_row(session, lead.id)
            assert (row.state, row.first_response_at) == ("converted", NOON)


async def test_the_journal_waits_at_the_party_not_at_the_lead(database: Database) -> None:
    """The moment that used to end in a deadlock, step by step: somebody holds the party and is about to lock its lead."""
    office, user, (lead,) = await planted(database, 1, 90)
    has_begun = asyncio.Event()

    async def tell() -> None:
        async with database.sessions.begin() as session:
            has_begun.set()
            await store(await session.connection(), calls_of(office, [lead], "w"))

    async with database.sessions.begin() as session:
        await session.execute(select(Party.id).where(Party.id == lead.party_id).with_for_update())
        telling_ = asyncio.create_task(tell())
        await has_begun.wait()
        await asyncio.sleep(0.1)
        assert not telling_.done()
        assert (await parties_then_lead(session, user, lead.id)).id == lead.id
    await asyncio.wait_for(telling_, 5)
