"""The journal as it is read: within one's rights, page by page, and as outside programs see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.call_store import store
from crm.calls_read import CallFilter, call_card, export_calls, list_calls, told_call
from crm.errors import Invalid, NotFound
from crm.journal_entries import CallEntry, CallFacts
from crm.open_calls import close_unseen
from crm.rights import Access, access_of
from crm.schema.access import Role, RoleAssignment, Team
from crm.schema.base import uuid7
from crm.schema.communications import CallNote
from cti.calls.records import CallRecord
from cti.calls.telling import tell_call
from tests.crm import planting
from tests.crm.planting import NOON
from tests.crm.telling import life

CALLER = "+79000000001"


class Office:
    def __init__(self, session: AsyncSession, connection: int, users: dict[str, int]) -> None:
        self.session, self.connection, self.users = session, connection, users

    async def tell(self, record: CallRecord, call_id: UUID | None = None, **facts: Any) -> UUID:
        entry = CallEntry(
            connection_id=self.connection,
            call_id=call_id or uuid7(),
            record=record,
            facts=CallFacts(**{"customer_e164": CALLER} | facts),
            at=NOON,
            run="1",
        )
        (stored,) = await store(await self.session.connection(), [entry])
        return stored.id

    async def access(self, login: str) -> Access:
        access = await access_of(self.session, self.users[login])
        assert access is not None
        return access


@pytest_asyncio.fixture(loop_scope="session")
async def office(session: AsyncSession) -> Office:
    connection = await planting.connection(session, "Office")
    team = await planting.add(session, Team, name="Sales")
    users = {}
    for login, role, extension in (
        ("agent", "agent", "101"),
        ("other", "agent", "102"),
        ("boss", "head", None),
        ("wires", "telephony", None),
    ):
        user_id = users[login] = await planting.user(session, login, team_id=team)
        await planting.in_team(session, user_id, team)
        role_id = (await session.execute(select(Role.id).where(Role.code == role))).scalar_one()
        await session.execute(insert(RoleAssignment).values(user_id=user_id, role_id=role_id))
        if extension:
            await planting.extension(session, connection, extension, user_id)
    return Office(session, connection, users)


async def test_everybody_reads_what_the_role_allows(office: Office) -> None:
    call_id = await office.tell(life()[-1])
    for login, expected in (("agent", [call_id]), ("other", []), ("boss", [call_id]), ("wires", [call_id])):
        page = await list_calls(office.session, await office.access(login))
        assert [call.id for call in page.items] == expected, login
    with pytest.raises(NotFound):
        await call_card(office.session, await office.access("other"), call_id)


async def test_the_telephony_administrator_reads_no_notes(office: Office) -> None:
    call_id = await office.tell(life()[-1])
    note = {"id": uuid7(), "call_id": call_id, "user_id": office.users["agent"], "text": "wants a price"}
    await office.session.execute(insert(CallNote).values(note))
    card = await call_card(office.session, await office.access("agent"), call_id)
    assert [(note.user_name, note.text) for note in card.notes] == [("Agent", "wants a price")]
    assert (await call_card(office.session, await office.access("wires"), call_id)).notes == ()


async def test_a_card_with_its_parts(office: Office) -> None:
    client = await planting.organisation(office.session, "Invented Ltd")
    line = await planting.line(office.session, office.connection, "+74950000001")
    call_id = await office.tell(life()[-1], party_id=client, line_id=line, match_status="matched")
    card = await call_card(office.session, await office.access("agent"), call_id)
    assert (card.call.party_name, card.call.line_name, card.call.user_name) == (
        "Invented Ltd",
        "Sales",
        "Agent",
    )
    (part,) = card.participations
    assert (part.user_name, part.team_name, part.talk_seconds) == ("Agent", "Sales", 60)
    assert [leg.channel_name for leg in part.legs] == ["PJSIP/101-2"]
    assert card.story[0] == "a call comes in"


async def test_pages_join_without_a_seam(office: Office) -> None:
    told = [await office.tell(life(f"{key}.1")[-1]) for key in range(7)]  # all began in the same millisecond
    access, seen, cursor = await office.access("agent"), [], None
    while True:
        page = await list_calls(office.session, access, cursor=cursor, limit=3)
        seen += [call.id for call in page.items]
        if (cursor := page.next) is None:
            break
    assert seen == sorted(told, reverse=True)


async def test_a_call_that_rang_twice_at_an_agents_is_one_of_their_calls(office: Office) -> None:
    ended = life()[-1]
    again = replace(ended.participations[0], attempt=2, answered_at=None, is_first_answer=False)
    twice = await office.tell(replace(ended, participations=(*ended.participations, again)))
    once = await office.tell(life("200.1")[-1])
    access = await office.access("agent")
    first = await list_calls(office.session, access, limit=1)
    rest = await list_calls(office.session, access, limit=1, cursor=first.next)
    assert [call.id for call in (*first.items, *rest.items)] == sorted((twice, once), reverse=True)
    assert rest.next is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CallFilter(direction="inbound"), 1),
        (CallFilter(direction="outbound"), 0),
        (CallFilter(disposition="answered"), 1),
        (CallFilter(disposition="missed"), 0),
        (CallFilter(disposition="open"), 0),
        (CallFilter(number=CALLER), 1),
        (CallFilter(number="000-00-01"), 1),
        (CallFilter(number="000-00-02"), 0),
        (CallFilter(since=NOON, until=NOON + timedelta(seconds=1)), 1),
        (CallFilter(since=NOON - timedelta(seconds=1), until=NOON), 0),
        (CallFilter(line_id=1), 0),
        (CallFilter(queue="sales"), 0),
    ],
)
async def test_filters(office: Office, wanted: CallFilter, found: int) -> None:
    await office.tell(life()[-1])
    assert len((await list_calls(office.session, await office.access("boss"), wanted)).items) == found


async def test_of_one_party_as_counterparty_or_contact(office: Office) -> None:
    firm, contact = [await planting.person(office.session, name) for name in ("Firm", "Contact")]
    call_id = await office.tell(life()[-1], party_id=firm, contact_id=contact)
    await office.tell(life("200.1")[-1])
    for party in (firm, contact):
        page = await list_calls(office.session, await office.access("boss"), CallFilter(party_id=party))
        assert [call.id for call in page.items] == [call_id]


@pytest.mark.parametrize("wanted", [CallFilter(number="7"), CallFilter(disposition="'; drop table call; --")])
async def test_a_senseless_filter_is_refused(office: Office, wanted: CallFilter) -> None:
    with pytest.raises(Invalid):
        await list_calls(office.session, await office.access("boss"), wanted)


async def test_a_stored_call_is_told_as_replay_tells_it(office: Office) -> None:
    record = life()[-1]
    call_id = await office.tell(record, did_e164="+74950000001")
    numbers = {"89000000001": CALLER, "84950000001": "+74950000001"}
    expected = tell_call(record, numbers.get)
    told = await told_call(office.session, await office.access("boss"), call_id)
    assert told.items() >= (expected | {"id": str(call_id)}).items()


async def test_the_export_is_oldest_first_and_within_rights(office: Office) -> None:
    for key in range(3):
        await office.tell(life(f"{key}.1")[-1])
    await office.session.execute(
        text("update call set started_at = started_at - interval '1 day' where external_id = '2.1'")
    )
    told = [call["key"] async for call in export_calls(office.session, await office.access("boss"))]
    assert told == ["2.1", "0.1", "1.1"]
    assert [call async for call in export_calls(office.session, await office.access("other"))] == []


async def test_a_call_that_went_into_another_shows_that_one(office: Office) -> None:
    first, second = await office.tell(life("1.1")[0]), await office.tell(life("2.1")[0])
    await office.session.execute(text("update call set joined_into_id = :into, state = 'ended', ended_at = started_at "
                                      "where id = :id"), {"into": first, "id": second})  # fmt: skip
    access = await office.access("boss")
    assert (await call_card(office.session, access, second)).call.id == first
    assert [call.id for call in (await list_calls(office.session, access)).items] == [first]


async def test_an_unseen_end_is_found(office: Office) -> None:
    call_id = await office.tell(life()[0])
    await close_unseen(await office.session.connection(), office.connection, [], NOON + timedelta(hours=1))
    page = await list_calls(office.session, await office.access("boss"), CallFilter(disposition="unseen"))
    assert [call.id for call in page.items] == [call_id]
