"""A call that two connections saw: one in lists and counts, whatever is told when, and two at the same moment too."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.call_store import store
from crm.calls_read import CallFilter, call_card, export_calls, list_calls, told_call
from crm.database import Database
from crm.granted_rights import RIGHTS
from crm.journal import store_entries
from crm.journal_entries import CallEntry, CallFacts, SnapshotEntry
from crm.matching import find_by_number
from crm.notes import save_note
from crm.rights import Access, Scope
from crm.schema.base import uuid7
from crm.schema.communications import Call
from crm.timeline import timeline
from cti.calls import records
from cti.calls.records import CallRecord, CallState, CameBy, Direction
from cti.numbers import E164, Number, NumberKind
from tests.crm import planting
from tests.crm.planting import NOON
from tests.crm.telling import has_ended, is_answered, life, rings

CALLER, LINE, BRANCH = "+79000000001", "+74950000001", "+78120000001"
EVERYTHING = Access(user_id=0, login="", name="", scopes=dict.fromkeys(RIGHTS, Scope.ALL))
_steps = itertools.count(1)


def own(user_id: int) -> Access:
    return Access(user_id=user_id, login="", name="", scopes=dict.fromkeys(RIGHTS, Scope.OWN))


def told_at(record: CallRecord, seconds: float) -> CallRecord:
    assert record.started_at is not None
    return replace(record, started_at=record.started_at + timedelta(seconds=seconds))


@dataclass(slots=True)
class Company:
    """A PBX, its carrier, a branch; a person at 101 and one at 102 of the PBX, one at 101 of the branch."""

    session: AsyncSession
    pbx: int
    carrier: int
    branch: int
    agents: tuple[int, int]
    client: int

    def entry(
        self, connection: int, record: CallRecord, call_id: UUID | None = None, **facts: Any
    ) -> CallEntry:
        known = CallFacts(customer_e164=CALLER, did_e164=LINE, match_status="matched", party_id=self.client)
        return CallEntry(
            connection_id=connection,
            call_id=call_id or uuid7(),
            record=record,
            facts=replace(known, **facts),
            at=NOON,
            run="1",
            step=next(_steps),
        )

    async def tell(self, *entries: CallEntry) -> None:
        await store(await self.session.connection(), entries)
        self.session.expire_all()

    async def links(self) -> dict[str, str | None]:
        """Whose mirror each call is, by the keys of the source."""
        calls = {call.id: call for call in await self.session.scalars(select(Call))}
        return {
            call.external_id: calls[call.mirror_of_id].external_id if call.mirror_of_id else None
            for call in calls.values()
        }


@pytest_asyncio.fixture(loop_scope="session")
async def company(session: AsyncSession) -> Company:
    return await _found(session)


async def _found(session: AsyncSession, suffix: str = "") -> Company:
    pbx, carrier, branch = [
        await planting.connection(session, name + suffix) for name in ("Office", "Carrier", "Branch")
    ]
    first, second = [await planting.user(session, login + suffix) for login in ("first", "second")]
    await planting.extension(session, pbx, "101", first)
    await planting.extension(session, pbx, "102", second)
    await planting.extension(session, branch, "101", second)
    client = await planting.organisation(session, "Invented Ltd")
    return Company(session, pbx, carrier, branch, (first, second), client)


def unanswered(key: str = "200.1") -> CallRecord:
    """As a carrier sees it: it hands the call over, and nobody of ours is there."""
    return replace(rings(key), state=CallState.ARRIVED, ringing=(), participations=(), legs=())


async def test_the_carriers_view_of_a_call_is_a_mirror_of_the_pbxs(company: Company) -> None:
    carriers, pbxs = company.entry(company.carrier, unanswered()), uuid7()
    await company.tell(carriers)
    assert await company.links() == {"200.1": None}
    for record in life("100.1"):
        await company.tell(company.entry(company.pbx, told_at(record, 0.4), pbxs))
        assert await company.links() == {"200.1": "100.1", "100.1": None}
    page = await list_calls(company.session, EVERYTHING)
    assert [call.id for call in page.items] == [pbxs]
    both = await list_calls(company.session, EVERYTHING, CallFilter(with_mirrors=True))
    assert {(call.id, call.mirror_of_id) for call in both.items} == {(pbxs, None), (carriers.call_id, pbxs)}


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::3])
async def test_i02_any_order_and_repeats_leave_the_same_links(
    company: Company, order: tuple[int, ...]
) -> None:
    ids = uuid7(), uuid7()
    told = [
        company.entry(company.carrier, unanswered(), ids[0]),
        company.entry(company.carrier, replace(unanswered(), state=CallState.ENDED, ended_at=NOON), ids[0]),
        company.entry(company.pbx, told_at(rings("100.1"), 1), ids[1]),
        company.entry(company.pbx, told_at(has_ended(is_answered(rings("100.1"))), 1), ids[1]),
    ]
    for index in (*order, *order[:2]):
        await company.tell(told[index])
    assert await company.links() == {"200.1": "100.1", "100.1": None}


async def test_the_richer_one_turns_out_later_and_nobody_mirrors_a_mirror(company: Company) -> None:
    pbx, carrier, branch = uuid7(), uuid7(), uuid7()
    await company.tell(
        company.entry(company.pbx, rings("100.1"), pbx),
        company.entry(company.carrier, unanswered(), carrier),
        company.entry(company.branch, told_at(rings("300.1"), 2), branch),
    )
    assert await company.links() == {"100.1": None, "200.1": "100.1", "300.1": "100.1"}
    await company.tell(company.entry(company.branch, told_at(is_answered(rings("300.1")), 2), branch))
    assert await company.links() == {"100.1": "300.1", "200.1": "300.1", "300.1": None}


async def test_a_number_corrected_undoes_the_link(company: Company) -> None:
    pbx, carrier = uuid7(), uuid7()
    await company.tell(
        company.entry(company.pbx, rings("100.1"), pbx), company.entry(company.carrier, unanswered(), carrier)
    )
    assert (await company.links())["200.1"] == "100.1"
    corrected = replace(rings("100.1"), customer_number="89000000002")
    await company.tell(company.entry(company.pbx, corrected, pbx, customer_e164="+79000000002"))
    assert await company.links() == {"100.1": None, "200.1": None}


async def test_a_number_taken_back_undoes_the_link(company: Company) -> None:
    pbx, carrier = uuid7(), uuid7()
    await company.tell(
        company.entry(company.pbx, rings("100.1"), pbx), company.entry(company.carrier, unanswered(), carrier)
    )
    withheld = replace(rings("100.1"), customer_number=None)
    await company.tell(company.entry(company.pbx, withheld, pbx, customer_e164=None))
    assert await company.links() == {"100.1": None, "200.1": None}


async def test_two_agents_who_talk_at_one_time_had_two_calls(company: Company) -> None:
    first, second = is_answered(rings("100.1")), is_answered(rings("300.1"))
    await company.tell(company.entry(company.pbx, first), company.entry(company.branch, second))
    assert await company.links() == {"100.1": None, "300.1": None}


async def test_two_calls_of_one_connection_and_calls_far_apart_are_two(company: Company) -> None:
    await company.tell(
        company.entry(company.pbx, rings("100.1")),
        company.entry(company.pbx, told_at(rings("101.1"), 1)),
        company.entry(company.carrier, told_at(unanswered("200.1"), 7)),
    )
    assert set((await company.links()).values()) == {None}


async def test_hidden_numbers_are_never_linked(company: Company) -> None:
    hidden: dict[str, Any] = {"customer_e164": None, "match_status": "hidden", "party_id": None}
    for connection, key in ((company.pbx, "100.1"), (company.carrier, "200.1")):
        record = replace(rings(key), customer_number=None)
        await company.tell(company.entry(connection, record, **hidden))
    assert await company.links() == {"100.1": None, "200.1": None}


def placed(key: str = "100.1") -> CallRecord:
    part = records.Participation(extension="101", attempt=1, came_by=CameBy.DIALLED)
    return replace(
        rings(key),
        direction=Direction.OUTBOUND,
        did=None,
        placed_by="101",
        ringing=(),
        participations=(part,),
    )


@pytest.mark.parametrize("is_placed_first", [True, False])
async def test_a_call_from_one_office_to_the_other_is_one(company: Company, is_placed_first: bool) -> None:
    await planting.line(company.session, company.pbx, LINE)
    there = company.entry(company.pbx, placed(), customer_e164=BRANCH, did_e164=None)
    here = company.entry(
        company.branch, told_at(rings("300.1"), 1), customer_e164=LINE, did_e164=BRANCH, party_id=None
    )
    for entry in (there, here) if is_placed_first else (here, there):
        await company.tell(entry)
    assert await company.links() == {"100.1": None, "300.1": "100.1"}


async def test_a_consultation_that_ends_in_another_call_mirrors_nothing_any_more(company: Company) -> None:
    await company.tell(
        company.entry(company.pbx, rings("100.1")),
        company.entry(company.pbx, told_at(rings("102.1"), 20)),
        company.entry(company.carrier, told_at(unanswered("200.1"), 21)),
    )
    assert (await company.links())["200.1"] == "102.1"
    joined = replace(is_answered(rings("100.1")), linked_ids=("100.1", "102.1"))
    await company.tell(company.entry(company.pbx, joined))
    assert (await company.links())["200.1"] is None


async def test_lists_exports_timeline_and_earlier_calls_have_it_once(company: Company) -> None:
    pbx, carrier = uuid7(), uuid7()
    for record in life("100.1"):
        await company.tell(company.entry(company.pbx, record, pbx))
    await company.tell(company.entry(company.carrier, told_at(unanswered(), -0.5), carrier))
    session = company.session
    (exported,) = [call async for call in export_calls(session, EVERYTHING)]
    assert (exported["id"], exported["linked_ids"]) == (str(pbx), ["100.1", "200.1"])
    assert (exported["mirror_of"], exported["mirrors"]) == (None, [str(carrier)])
    assert [item.id for item in (await timeline(session, EVERYTHING, company.client)).items] == [pbx]
    number = Number(kind=NumberKind.E164, presented=CALLER, e164=E164(CALLER))
    later = NOON + timedelta(minutes=5)
    assert (await find_by_number(session, number, at=later)).earlier_calls == 1
    for present in (pbx, carrier):
        assert (await find_by_number(session, number, at=later, present_call=present)).earlier_calls == 0
    assert (await told_call(session, EVERYTHING, carrier))["mirror_of"] == str(pbx)
    card = await call_card(session, EVERYTHING, pbx)
    assert [(mirror.id, mirror.connection_name) for mirror in card.mirrors] == [(carrier, "Carrier")]


async def test_whom_it_rang_at_the_other_connection_sees_the_call_and_their_note(company: Company) -> None:
    pbx, branch = uuid7(), uuid7()
    first, second = company.agents
    await company.tell(
        company.entry(company.pbx, is_answered(rings("100.1")), pbx),
        company.entry(company.branch, told_at(rings("300.1"), 1), branch),
    )
    assert await company.links() == {"100.1": None, "300.1": "100.1"}
    for agent in (first, second):
        page = await list_calls(company.session, own(agent))
        assert [call.id for call in page.items] == [pbx]
    await save_note(company.session, own(second), branch, "Called about the invoice", version=0)
    assert [note.text for note in (await call_card(company.session, own(second), pbx)).notes] == [
        "Called about the invoice"
    ]
    (item,) = (await timeline(company.session, EVERYTHING, company.client)).items
    assert [note.text for note in item.notes] == ["Called about the invoice"]
    stranger = await planting.user(company.session, "stranger")
    assert (await list_calls(company.session, own(stranger))).items == ()


@pytest_asyncio.fixture(loop_scope="session")
async def shared(database: Database) -> AsyncIterator[Company]:
    """Committed, so that several transactions see it."""
    async with database.sessions() as session:
        company = await _found(session, f" {next(_steps)}")
        await session.commit()
        yield company
        for table in ("leg", "participation", "call_key", "access_grant", "call", "communication"):
            await session.execute(text(f"delete from {table}"))
        await session.commit()


async def _write(database: Database, *entries: CallEntry | SnapshotEntry) -> None:
    async with database.engine.begin() as connection:
        await store_entries(connection, entries)


async def test_stored_at_the_same_moment_they_are_one(database: Database, shared: Company) -> None:
    """Twenty callers, three connections, six writers with the entries of each in another order."""
    entries = [
        shared.entry(
            connection,
            told_at(rings(f"{connection}.{caller}"), connection - shared.pbx),
            customer_e164=f"+790000000{caller:02}",
        )
        for caller in range(20)
        for connection in (shared.pbx, shared.carrier, shared.branch)
    ]
    writers = [entries[index::6] for index in range(6)]
    await asyncio.gather(*(_write(database, *writer) for writer in writers))
    links = await shared.links()
    assert len(links) == 60
    for key, root in links.items():
        connection, _, caller = key.partition(".")
        assert root == (None if connection == str(shared.pbx) else f"{shared.pbx}.{caller}")


async def test_a_snapshot_among_the_calls_changes_nothing(database: Database, shared: Company) -> None:
    moment = NOON + timedelta(seconds=30)
    await _write(
        database,
        shared.entry(shared.carrier, unanswered()),
        SnapshotEntry(connection_id=shared.carrier, present=(), at=moment),
        shared.entry(shared.pbx, rings("100.1")),
    )
    assert await shared.links() == {"100.1": None, "200.1": "100.1"}
