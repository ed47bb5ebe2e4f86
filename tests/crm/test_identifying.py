"""«Кто звонит?»: what an agent says of a call stays, and creates one party however many say it at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select

from crm.accounts import create_user
from crm.database import Database
from crm.errors import AlreadyExists, Invalid, NotAllowed, NotFound
from crm.identifying import CallNotStored, SaidCall, create_caller, open_lead, say_who, stored_call
from crm.lead_errors import OpenLeads
from crm.matching import MatchOutcome, MatchResult, as_agent_said, find_by_number
from crm.number_notes import mark_spam, unmark_spam
from crm.numbers import NumberValues
from crm.parties import create_party, organisation_values, person_values, quick_create
from crm.party_search import search_parties
from crm.rights import Access, access_of
from crm.schema.base import uuid7
from crm.schema.communications import Communication
from crm.schema.leads import Lead
from crm.schema.parties import Party
from cti.numbers import to_e164
from tests.crm.people import COMMAND

UNKNOWN = MatchResult(outcome=MatchOutcome.UNKNOWN)


async def agent(database: Database, login: str) -> Access:
    async with database.sessions.begin() as session:
        user_id = await create_user(session, COMMAND, login=login, name=login.title(), role_codes=["agent"])
        access = await access_of(session, user_id)
    assert access is not None
    return access


async def call(database: Database, number: str = "", *, is_stored: bool = True) -> SaidCall:
    call_id = uuid7()
    if is_stored:
        async with database.sessions.begin() as session:
            row = {"id": call_id, "kind": "call", "direction": "in", "started_at": datetime.now(UTC)}
            await session.execute(insert(Communication).values(row))
    return SaidCall(id=call_id, number=number, is_present=True)


async def link(database: Database, call_id: UUID) -> tuple[int | None, int | None, str | None]:
    async with database.sessions() as session:
        row = (
            await session.execute(
                select(Communication.party_id, Communication.contact_id, Communication.link_source).where(
                    Communication.id == call_id
                )
            )
        ).one()
    return row.party_id, row.contact_id, row.link_source


async def test_client_a_calls_from_an_unknown_number_the_agent_types_the_inn_and_the_next_call_shows_a(
    database: Database,
) -> None:
    async with database.sessions.begin() as session:
        values = organisation_values("Клиент А", inn="7707083893")
        client = await create_party(session, COMMAND, values, kinds=["client"])
        before = await session.scalar(select(func.count()).select_from(Party))
        assert (await find_by_number(session, to_e164("+79000000002"))).outcome is MatchOutcome.UNKNOWN
        (hit,) = (await search_parties(session, COMMAND, "7707083893")).hits
        assert hit.party.id == client
    said = await call(database, "+79000000002")
    async with database.sessions.begin() as session:
        await say_who(session, COMMAND, said, hit.party.id, keeps_number=True)
    assert (await link(database, said.id))[0] == client
    async with database.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Party)) == before
        found = await find_by_number(session, to_e164("+79000000002"))
        assert (found.outcome, [each.id for each in found.parties]) == (MatchOutcome.MATCHED, [client])


async def test_a_contact_links_its_organisation_and_keeps_the_number(database: Database) -> None:
    me, talk = await agent(database, "links"), await call(database, "+79010000001")
    async with database.sessions.begin() as session:
        made = await quick_create(session, me, organisation="ООО «Связь»", person="Контакт", number="")
    async with database.sessions.begin() as session:
        assert made.person_id is not None
        await say_who(session, me, talk, made.person_id, keeps_number=True)
    assert await link(database, talk.id) == (made.organisation_id, made.person_id, "agent")
    async with database.sessions() as session:
        found = await find_by_number(session, to_e164("+79010000001"))
    assert [party.contact_id for party in found.parties] == [made.person_id]


async def test_only_this_call_is_what_the_agent_said_and_the_number_stays_unknown(database: Database) -> None:
    me, talk = await agent(database, "only"), await call(database, "+79010000002")
    async with database.sessions.begin() as session:
        party_id = await create_party(session, me, person_values("Только Этот"))
        await say_who(session, me, talk, party_id, keeps_number=False)
    async with database.sessions() as session:
        found = await find_by_number(session, to_e164("+79010000002"))
        said = await as_agent_said(session, talk.id, found)
        other = await as_agent_said(session, uuid7(), UNKNOWN)
    assert (found.outcome, said.outcome, other) == (MatchOutcome.UNKNOWN, MatchOutcome.MATCHED, UNKNOWN)
    assert [party.id for party in said.parties] == [party_id]


async def test_two_agents_at_one_moment_make_one_party(database: Database) -> None:
    people = [await agent(database, f"fast-{n}") for n in range(2)]
    talks = [await call(database, "+79010000003") for _ in people]

    async def create(me: Access, talk: SaidCall, name: str) -> int:
        async with database.sessions.begin() as session:
            return await create_caller(session, me, talk, person=name)

    told = await asyncio.gather(
        *(create(me, talk, f"Звонящий {me.login}") for me, talk in zip(people, talks, strict=True)),
        return_exceptions=True,
    )
    assert [type(one) for one in told if not isinstance(one, int)] == [AlreadyExists]
    assert sum(isinstance(one, int) for one in told) == 1


async def test_sixteen_agents_create_the_caller_of_one_call_at_once_one_party_one_call_one_link(
    database: Database,
) -> None:
    people = [await agent(database, f"ring-{n}") for n in range(16)]
    talk = await call(database, "+79010000016")

    async def create(me: Access) -> int:
        for _ in range(8):  # whoever meets a busy server presses again
            with suppress(TimeoutError):
                async with database.sessions.begin() as session:
                    return await create_caller(session, me, talk, person=f"Звонящий шестнадцати {me.login}")
        raise TimeoutError

    told = await asyncio.gather(*(create(me) for me in people), return_exceptions=True)
    made = [one for one in told if isinstance(one, int)]
    late = [one for one in told if isinstance(one, AlreadyExists)]
    assert (len(made), len(late)) == (1, 15), told
    assert {one.party_id for one in late} == set(made)  # each is shown who was faster
    assert await link(database, talk.id) == (made[0], None, "agent")
    async with database.sessions() as session:
        parties = select(func.count()).where(Party.display_name.like("Звонящий шестнадцати%"))
        calls = select(func.count()).where(Communication.party_id == made[0])
        assert (await session.scalar(parties), await session.scalar(calls)) == (1, 1)


async def test_a_card_of_a_colleague_takes_the_call_but_no_number(database: Database) -> None:
    me, talk = await agent(database, "narrow"), await call(database, "+79010000004")
    async with database.sessions.begin() as session:
        foreign = await create_party(
            session, COMMAND, organisation_values("ООО «Чужой сад»"), kinds=["client"]
        )
    with pytest.raises(NotFound):
        async with database.sessions.begin() as session:
            await say_who(session, me, talk, foreign, keeps_number=True)
    assert (await link(database, talk.id))[0] is None


async def test_a_lead_is_called_by_its_number_and_the_second_one_is_warned_of(database: Database) -> None:
    me, talk = await agent(database, "leads"), await call(database, "+79010000005")
    async with database.sessions.begin() as session:
        made = await open_lead(session, me, talk, person="", need="Десять окон")
        lead = await session.get(Lead, made.id)
        assert lead is not None
        assert lead.need == "Десять окон"
        assert (
            await session.scalar(select(Communication.lead_id).where(Communication.id == talk.id)) == made.id
        )
    with pytest.raises((AlreadyExists, OpenLeads)):
        async with database.sessions.begin() as session:
            await open_lead(session, me, await call(database, "+79010000005"), person="Другой", need="")


async def test_what_cannot_be_said(database: Database) -> None:
    me = await agent(database, "refused")
    nobody = Access(user_id=me.user_id, login="nobody", name="Nobody")
    async with database.sessions.begin() as session:
        party_id = await create_party(session, me, person_values("Кто-то"))
    talk, unwritten = await call(database), await call(database, is_stored=False)
    foreign = SaidCall(id=talk.id, number="", is_present=False)
    for who, said, refusal in (
        (nobody, talk, NotAllowed),
        (me, foreign, NotFound),
        (me, unwritten, CallNotStored),
    ):
        with pytest.raises(refusal):
            async with database.sessions.begin() as session:
                await say_who(session, who, said, party_id, keeps_number=False)
    with pytest.raises(NotFound):
        async with database.sessions() as session:
            await stored_call(session, me, talk.id)


async def test_spam_is_a_note_on_a_number_that_is_nobodys(database: Database) -> None:
    me = await agent(database, "spam")
    async with database.sessions.begin() as session:
        for _ in range(2):
            await mark_spam(session, me, "+79010000007")
        assert (await find_by_number(session, to_e164("+79010000007"))).is_spam
        await unmark_spam(session, me, "+79010000007")
        assert not (await find_by_number(session, to_e164("+79010000007"))).is_spam
        values = [NumberValues(presented="+79010000008")]
        await create_party(session, me, person_values("Не спам"), numbers=values)
        with pytest.raises(Invalid, match="Не спам"):
            await mark_spam(session, me, "+79010000008")
