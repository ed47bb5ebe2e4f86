"""Recorded calls of real PBXs in the journal: told back as `ringcard replay` tells them, in whatever order they came."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ami_adapter.replay import call_events, read_timing, timed_chunks, track
from crm.call_store import store
from crm.calls_read import export_calls
from crm.granted_rights import RIGHTS
from crm.journal_entries import CallEntry, CallFacts
from crm.rights import Access, Scope
from crm.schema.base import uuid7
from cti.calls.call_events import SnapshotApplied
from cti.calls.records import CallRecord
from cti.calls.telling import customer_e164, tell_call
from cti.calls.tracker import CallTracker
from cti.numbers import DEFAULT_PROFILE, to_e164
from tests.captures import ALL, OTHER, Capture
from tests.crm import planting
from tests.crm.planting import NOON

EVERYTHING = Access(user_id=0, login="", name="", scopes=dict.fromkeys(RIGHTS, Scope.ALL))
PICTURE = (
    """
    select p.extension, p.attempt, p.came_by, p.rang_at, p.answered_at, p.left_at, p.result from participation p
    join call on call.id = p.call_id where joined_into_id is null order by external_id, 1, 2
    """,
    "select channel_id, started_at, answered_at, ended_at, hangup_cause from leg order by 1",
)


def normalise(number: str) -> str | None:
    return to_e164(number, DEFAULT_PROFILE).e164


def entries_of(capture: Capture, connection: int) -> list[CallEntry]:
    """Every record that an event or a snapshot brings, and how the open calls stand when the recording stops."""
    chunks, tracker = timed_chunks(capture.stream, read_timing(capture.timing_path)), CallTracker()
    records: list[CallRecord] = []
    for event in call_events(chunks, tracker):
        records += event.present if isinstance(event, SnapshotApplied) else [event.call]
    return [_entry(connection, record, step) for step, record in enumerate([*records, *tracker.present()])]


def _entry(connection: int, record: CallRecord, step: int) -> CallEntry:
    facts = CallFacts(
        customer_e164=customer_e164(record, normalise), did_e164=normalise(record.did) if record.did else None
    )
    return CallEntry(
        connection_id=connection,
        call_id=uuid7(),
        record=record,
        facts=facts,
        at=record.started_at or NOON,
        run="1",
        step=step,
    )


def expected_of(capture: Capture) -> list[dict[str, Any]]:
    chunks = timed_chunks(capture.stream, read_timing(capture.timing_path))
    return [tell_call(call, normalise) for call in track(chunks, CallTracker())]


async def told(session: AsyncSession) -> list[dict[str, Any]]:
    return [call async for call in export_calls(session, EVERYTHING)]


async def picture(session: AsyncSession) -> list[Sequence[Any]]:
    return [tuple(map(tuple, await session.execute(text(query)))) for query in PICTURE]


@pytest.mark.slow
@pytest.mark.parametrize(
    "capture", [one for one in [*ALL, *OTHER] if one.pbx.endswith("22")], ids=lambda one: one.name
)
async def test_i02_recorded_calls_in_order_and_shuffled(session: AsyncSession, capture: Capture) -> None:
    connection = await planting.connection(session, "Office")
    entries = entries_of(capture, connection)
    expected = sorted(expected_of(capture), key=lambda call: str(call["key"]))
    pictures = []
    for seed in (None, 1, 2):
        async with session.begin_nested() as trial:
            await store(await session.connection(), shuffled(entries, seed))
            stored = sorted(await told(session), key=lambda call: str(call["key"]))
            pictures.append(await picture(session))
            await trial.rollback()
        session.expunge_all()
        assert [call["key"] for call in stored] == [call["key"] for call in expected]
        for ours, theirs in zip(stored, expected, strict=True):
            assert {name: ours[name] for name in theirs} == theirs
    assert pictures[1:] == pictures[:1] * 2


def shuffled(entries: Sequence[CallEntry], seed: int | None) -> list[CallEntry]:
    """In order, or in any order with repeats."""
    if seed is None:
        return list(entries)
    chance = random.Random(seed)
    mixed = [*entries, *chance.choices(entries, k=len(entries) // 4)]
    chance.shuffle(mixed)
    return mixed
