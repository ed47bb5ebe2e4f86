"""Calls become rows: once, whatever is repeated, in whatever order (threats I2, I3)."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.call_rows import merged, row_of, told_lines
from crm.call_store import StoredCall, store
from crm.journal_entries import CallEntry, CallFacts
from crm.schema.access import AccessGrant, Team
from crm.schema.base import uuid7
from crm.schema.communications import Call, CallKey, CallNote, Communication, Leg, Participation, Transfer
from crm.schema.journals import OutboxEvent
from crm.schema.parties import Party
from cti.calls import records
from cti.calls.records import CallRecord, CallState, CameBy, Direction, Disposition
from tests.crm import planting
from tests.crm.planting import NOON
from tests.crm.telling import after, is_answered, life, rings

RUN, NEXT_RUN = str(uuid7(1_700_000_000_000)), str(uuid7(1_800_000_000_000))
CALLER = "+79000000001"
ONE_CALL = uuid7()


def entry_of(
    record: CallRecord, run: str, connection: int = 1, call_id: UUID = ONE_CALL, **facts: Any
) -> CallEntry:
    return CallEntry(
        connection_id=connection,
        call_id=call_id,
        record=record,
        facts=CallFacts(**facts),
        at=NOON,
        run=run,
        step=len(record.story),
    )


class Office:
    """A connection with two agents, and what the tests tell and ask of it."""

    def __init__(self, session: AsyncSession, connection: int, agents: Sequence[int]) -> None:
        self.session, self.connection, self.agents = session, connection, agents

    def entry(
        self, record: CallRecord, call_id: UUID | None = None, run: str = RUN, **facts: Any
    ) -> CallEntry:
        return entry_of(record, run, self.connection, call_id or uuid7(), **facts)

    async def tell(self, *entries: CallEntry) -> list[StoredCall]:
        stored = await store(await self.session.connection(), entries)
        self.session.expire_all()
        return stored

    async def rows(self, model: Any) -> Sequence[Any]:
        return (await self.session.scalars(select(model))).all()

    async def only(self, model: Any) -> Any:
        (row,) = await self.rows(model)
        return row

    async def count(self, model: Any) -> int:
        return (await self.session.execute(select(func.count()).select_from(model))).scalar_one()

    async def picture(self) -> list[Sequence[Any]]:
        """Everything stored but ids made by chance."""
        queries = (
            """
            select external_id, state, origin, presented_from, customer_e164, answered_by, started_at, answered_at,
                ended_at, disposition, talk_seconds, told, story::text from call order by 1
            """,
            """
            select extension, attempt, user_id, came_by, rang_at, answered_at, left_at, result, is_first_answer
            from participation order by 1, 2
            """,
            "select channel_id, started_at, ended_at, hangup_cause, participation_id is null from leg order by 1",
            "select direction, started_at, ended_at, user_id, party_id, link_source from communication order by 2",
            "select linked_id from call_key order by 1",
            "select last_talk_at, last_communication_at from party order by id",
            "select user_id, party_id, until from access_grant order by 1, 2",
            "select type, count(*) from outbox_event group by type order by 1",
        )
        return [tuple(map(tuple, await self.session.execute(text(query)))) for query in queries]


@pytest_asyncio.fixture(loop_scope="session")
async def office(session: AsyncSession) -> Office:
    connection = await planting.connection(session, "Office")
    agents = [await planting.user(session, login) for login in ("first", "second")]
    for digits, agent in zip(("101", "102"), agents, strict=True):
        await planting.extension(session, connection, digits, agent)
    return Office(session, connection, agents)


async def test_a_call_with_all_its_rows(office: Office) -> None:
    client = await planting.organisation(office.session, "Invented Ltd")
    facts: dict[str, Any] = {"customer_e164": CALLER, "match_status": "matched", "party_id": client}
    call_id = uuid7()
    for record in life():
        stored = await office.tell(office.entry(record, call_id, **facts))
        assert [(call.id, call.told_id, call.party_id) for call in stored] == [(call_id, call_id, client)]
    call: Call = await office.only(Call)
    assert (call.id, call.state, call.disposition) == (call_id, "ended", "answered")
    assert (call.presented_from, call.presented_to, call.customer_e164) == (
        "89000000001",
        "84950000001",
        CALLER,
    )
    assert (call.started_at, call.answered_at, call.ended_at) == (NOON, after(6), after(66))
    assert told_lines(call.story)[-1] == "the customer hangs up"
    part: Participation = await office.only(Participation)
    assert (part.user_id, part.result, part.left_at) == (office.agents[0], "answered", after(66))
    talk: Communication = await office.only(Communication)
    assert (talk.id, talk.party_id, talk.link_source, talk.user_id) == (
        call_id,
        client,
        "auto",
        office.agents[0],
    )
    legs: Sequence[Leg] = await office.rows(Leg)
    assert {leg.channel_name: leg.participation_id for leg in legs} == {
        "PJSIP/trunk-1": None,
        "PJSIP/101-2": part.id,
    }
    party = await office.session.get_one(Party, client)
    assert (party.last_talk_at, party.last_communication_at) == (after(6), NOON)
    assert [event.type for event in await office.rows(OutboxEvent)] == [
        "call.started",
        "call.answered",
        "call.ended",
    ]


async def test_answering_gives_a_day_with_the_card(office: Office) -> None:
    client = await planting.organisation(office.session, "Invented Ltd")
    contact = await planting.person(office.session, "A contact")
    ringing, talking, ended = life()
    call_id = uuid7()
    link: dict[str, Any] = {"party_id": client, "contact_id": contact}
    await office.tell(office.entry(ringing, call_id, **link))
    assert await office.count(AccessGrant) == 0
    await office.tell(office.entry(talking, call_id, **link))
    await office.tell(office.entry(ended, call_id, **link))
    grants = await office.rows(AccessGrant)
    assert {(grant.user_id, grant.party_id, grant.until) for grant in grants} == {
        (office.agents[0], party, after(66) + timedelta(hours=24)) for party in (client, contact)
    }


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_i02_any_order_and_any_repeats_leave_the_same_rows(
    office: Office, order: tuple[int, ...]
) -> None:
    client, call_id = await planting.organisation(office.session, "Invented Ltd"), uuid7()
    entries = [office.entry(record, call_id, customer_e164=CALLER, party_id=client) for record in life()]
    async with office.session.begin_nested() as trial:
        await office.tell(*entries)
        expected = await office.picture()
        await trial.rollback()
    for entry in [entries[index] for index in order] + random.Random(sum(order)).choices(entries, k=6):
        await office.tell(entry)
    # An event that a later telling overtook is not news any more; the rest is the same to the last field.
    assert (await office.picture())[:-1] == expected[:-1]


async def test_i03_a_finished_call_never_lives_again(office: Office) -> None:
    ringing, talking, ended = life()
    call_id = uuid7()
    await office.tell(office.entry(ended, call_id))
    assert await office.tell(office.entry(talking, call_id), office.entry(ringing, call_id)) == []
    call: Call = await office.only(Call)
    assert (call.state, call.answered_at, call.ended_at) == ("ended", after(6), after(66))
    assert await office.count(Participation) == 1


async def test_a_repeat_says_nothing_new(office: Office) -> None:
    entry = office.entry(life()[-1])
    assert len(await office.tell(entry)) == 1
    assert await office.tell(entry) == []
    assert await office.count(OutboxEvent) == 3


async def test_the_id_stored_first_stays_and_notes_follow(office: Office) -> None:
    ringing, talking, _ = life()
    first, second = uuid7(), uuid7()
    await office.tell(office.entry(ringing, first))
    for call_id, words in ((first, "typed before"), (second, "typed after")):
        note = {"id": uuid7(), "call_id": call_id, "user_id": office.agents[0], "text": words}
        await office.session.execute(insert(CallNote).values(note))
    (stored,) = await office.tell(office.entry(talking, second, run=NEXT_RUN))
    assert (stored.told_id, stored.id) == (second, first)
    note = await office.only(CallNote)
    assert (note.call_id, note.text) == (first, "typed before\ntyped after")


async def test_a_restart_in_mid_call_goes_on_with_the_same_row(office: Office) -> None:
    await office.tell(office.entry(life()[1]))
    attached = CallRecord(
        key="100.1",
        linked_ids=("100.1",),
        direction=Direction.INBOUND,
        state=CallState.ENDED,
        origin=records.Origin.ATTACHED,
        disposition=Disposition.ANSWERED,
        ended_at=after(66),
        story=("found in progress", "over"),
    )
    await office.tell(office.entry(attached, run=NEXT_RUN))
    call: Call = await office.only(Call)
    assert (call.started_at, call.answered_at, call.ended_at) == (NOON, after(6), after(66))
    assert (call.state, call.origin, call.answered_by, call.disposition) == (
        "ended",
        "live",
        "101",
        "answered",
    )
    assert told_lines(call.story) == [
        "a call comes in",
        "101 rings",
        "101 answers",
        "found in progress",
        "over",
    ]
    part: Participation = await office.only(Participation)
    assert (part.left_at, part.result) == (after(66), "answered")


async def test_a_part_whose_end_no_run_saw_ends_with_its_call(office: Office) -> None:
    """Told on the way, the new run is the one that told last; the end closes what the earlier one left open all the same."""
    await office.tell(office.entry(life()[1]))
    theirs = records.Participation(extension="102", attempt=1, came_by=CameBy.TRANSFER, answered_at=after(40))
    found = replace(life()[1], talking=("102",), participations=(theirs,), story=("found in progress",))
    ended = replace(found, state=CallState.ENDED, ended_at=after(66), story=("found in progress", "over"))
    for record in (found, ended):
        await office.tell(office.entry(record, run=NEXT_RUN))
    parts = {part.extension: part.left_at for part in await office.rows(Participation)}
    assert parts == {"101": after(66), "102": after(66)}


def over_a_restart() -> tuple[list[CallRecord], list[CallRecord]]:
    """Answered by 101 and passed on to 102; then another run finds it in progress: 102 passes it on to 103."""
    talking = replace(life()[1], queue="sales", recording_file="call.wav", hold_seconds=4.0)
    to_102 = records.Participation(extension="102", attempt=1, came_by=CameBy.TRANSFER, answered_at=after(20))
    sent = replace(
        talking,
        final_agent="102",
        participations=(replace(talking.participations[0], left_at=after(19)), to_102),
        transfers=(records.Transfer(from_extension="101", to="102", kind="blind", at=after(18)),),
        story=(*talking.story, "101 passes the call on to 102"),
    )
    to_103 = records.Participation(
        extension="103", attempt=1, came_by=CameBy.TRANSFER, rang_at=after(41), answered_at=after(44)
    )
    found = CallRecord(
        key="100.1",
        linked_ids=("100.1",),
        direction=Direction.INBOUND,
        state=CallState.TALKING,
        origin=records.Origin.ATTACHED,
        answered_by="102",
        final_agent="102",
        participations=(replace(to_102, answered_at=after(30), is_first_answer=True),),
        story=("found in progress",),
    )
    passed = replace(
        found,
        final_agent="103",
        hold_seconds=2.0,
        participations=(replace(found.participations[0], left_at=after(43)), to_103),
        transfers=(
            records.Transfer(from_extension="102", to="103", kind="blind", at=after(40), outcome="answered"),
        ),
        story=("found in progress", "102 passes the call on to 103"),
    )
    ended = replace(
        passed,
        state=CallState.ENDED,
        disposition=Disposition.ANSWERED,
        hung_up_by="customer",
        ended_at=after(66),
        story=(*passed.story, "over"),
    )
    return [talking, sent], [found, passed, ended]


async def test_what_only_the_earlier_run_knew_stays(office: Office) -> None:
    before, since = over_a_restart()
    told = [office.entry(record) for record in before] + [
        office.entry(record, run=NEXT_RUN) for record in since
    ]
    for entry in told + told[2:]:  # what stood in the spool is told again
        await office.tell(entry)
    call: Call = await office.only(Call)
    assert (call.answered_by, call.final_agent, call.queue, call.recording_file) == (
        "101",
        "103",
        "sales",
        "call.wav",
    )
    assert (call.presented_from, call.hung_up_by, call.ring_seconds) == ("89000000001", "customer", 5.0)
    assert (call.hold_seconds, call.talk_seconds) == (6.0, 54.0)
    passed = [(t.position, t.from_extension, t.to_target, t.outcome) for t in await office.rows(Transfer)]
    assert sorted(passed) == [(0, "101", "102", "answered"), (1, "102", "103", "answered")]
    first = [part.extension for part in await office.rows(Participation) if part.is_first_answer]
    assert first == ["101"]


async def test_a_transfer_without_a_time_is_counted_on_once(office: Office) -> None:
    before, (found, passed, ended) = over_a_restart()
    timeless = replace(passed.transfers[0], at=None, to="104")
    ended = replace(ended, transfers=(timeless, *passed.transfers))
    for record, run in ((before[-1], RUN), (found, NEXT_RUN), (ended, NEXT_RUN)):
        await office.tell(office.entry(record, run=run))
    again = replace(ended, story=(*ended.story, "told again"))
    await office.tell(office.entry(again, run=NEXT_RUN))
    passed_to = {one.position: one.to_target for one in await office.rows(Transfer)}
    assert passed_to == {0: "102", 1: "104", 2: "103"}


def test_i02_runs_agree_in_whatever_order_they_are_heard() -> None:
    before, since = over_a_restart()
    rows = [row_of(entry_of(record, RUN)) for record in before]
    rows += [row_of(entry_of(record, NEXT_RUN)) for record in since]
    pictures = {str(functools.reduce(merged, order)) for order in itertools.permutations(rows)}
    assert len(pictures) == 1


async def test_the_user_of_the_moment_not_of_today(office: Office) -> None:
    team = await planting.add(office.session, Team, name="Sales")
    await planting.in_team(office.session, office.agents[0], team)
    await office.session.execute(
        text("update extension_assignment set valid_to = :at where user_id = :user"),
        {"at": after(3600), "user": office.agents[0]},
    )
    await office.session.execute(
        text(
            "insert into extension_assignment (extension_id, user_id, valid_from) "
            "select id, :user, :at from extension where digits = '101'"
        ),
        {"at": after(3600), "user": office.agents[1]},
    )
    await office.tell(office.entry(life()[-1]))
    part: Participation = await office.only(Participation)
    assert (part.user_id, part.team_id) == (office.agents[0], team)


async def test_the_agents_choice_is_never_overwritten(office: Office) -> None:
    chosen, guessed = [await planting.organisation(office.session, name) for name in ("Chosen", "Guessed")]
    ringing, _, ended = life()
    call_id = uuid7()
    await office.tell(office.entry(ringing, call_id))
    await office.session.execute(
        text("update communication set party_id = :party, link_source = 'agent'"), {"party": chosen}
    )
    (stored,) = await office.tell(office.entry(ended, call_id, party_id=guessed))
    talk: Communication = await office.only(Communication)
    assert (talk.party_id, talk.link_source, stored.party_id) == (chosen, "agent", chosen)


async def test_a_party_merged_or_gone_meanwhile(office: Office) -> None:
    survivor = await planting.organisation(office.session, "Survivor")
    merged = await planting.organisation(
        office.session, "Merged", lifecycle="merged", merged_into_id=survivor
    )
    await office.tell(office.entry(life("1.1")[-1], party_id=merged))
    assert (await office.only(Communication)).party_id == survivor
    await office.tell(
        office.entry(life("1.2")[-1], party_id=999_999_999, line_id=999_999, number_note_id=99_999)
    )
    assert await office.count(Call) == 2


def consultation() -> tuple[CallRecord, CallRecord, CallRecord]:
    """A call, a second one by which its agent asks a colleague, and both joined by the transfer."""
    first, second = (
        is_answered(rings("100.1")),
        replace(rings("200.1"), direction=Direction.INTERNAL, placed_by="101"),
    )
    asked = records.Participation(extension="102", attempt=1, came_by=CameBy.RING, rang_at=after(30))
    second = replace(second, started_at=after(29), participations=(asked,), customer_number=None)
    asked = replace(asked, answered_at=after(32))
    joined = replace(
        first,
        linked_ids=("100.1", "200.1"),
        final_agent="102",
        talking=("102",),
        participations=(*first.participations, asked),
        legs=first.legs + second.legs,
        transfers=(records.Transfer(from_extension="101", to="102", kind="attended", at=after(40)),),
        story=(*first.story, "101 passes the call on to 102"),
    )
    return first, second, joined


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_two_calls_that_are_one(office: Office, order: tuple[int, ...]) -> None:
    told = consultation()
    for index in order:
        await office.tell(office.entry(told[index]))
    alive = [call for call in await office.rows(Call) if call.joined_into_id is None]
    (call,) = alive
    assert (call.external_id, call.final_agent) == ("100.1", "102")
    keys = {key.linked_id: key.call_id for key in await office.rows(CallKey)}
    assert keys == {"100.1": call.id, "200.1": call.id}
    parts = [(part.call_id, part.extension, part.attempt) for part in await office.rows(Participation)]
    assert sorted(parts) == [(call.id, "101", 1), (call.id, "102", 1)]
    assert {leg.call_id for leg in await office.rows(Leg)} == {call.id}
    assert await office.count(Transfer) == 1
    assert not [row for row in await office.rows(Call) if row.ended_at is None and row is not call]


async def test_the_notes_of_a_joined_call_move(office: Office) -> None:
    first, second, joined = consultation()
    ids = uuid7(), uuid7()
    await office.tell(office.entry(first, ids[0]), office.entry(second, ids[1]))
    note = {"id": uuid7(), "call_id": ids[1], "user_id": office.agents[1], "text": "asked me"}
    await office.session.execute(insert(CallNote).values(note))
    await office.tell(office.entry(joined, ids[0]))
    assert (await office.only(CallNote)).call_id == ids[0]
    absorbed = await office.session.get_one(Call, ids[1])
    assert (absorbed.joined_into_id, absorbed.state) == (ids[0], "ended")


async def test_a_hundred_calls_at_once(office: Office) -> None:
    entries = [office.entry(record) for key in range(100) for record in life(f"{key}.1")]
    await office.tell(*entries)
    assert await office.count(Call) == 100
    assert {call.state for call in await office.rows(Call)} == {"ended"}


async def test_odd_text_is_stored(office: Office) -> None:
    odd = replace(rings(), customer_name="a\x00b\ud800c", customer_number="\x00", story=("\x00",))
    await office.tell(office.entry(odd))
    assert (await office.only(Call)).presented_name == "a\N{REPLACEMENT CHARACTER}b?c"
