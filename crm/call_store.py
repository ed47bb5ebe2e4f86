"""Calls as rows: what the source told becomes communication, call, keys, participations, legs, transfers.

The same entries, any number of times and in any order, leave the same rows (threats I2, I3). A handful of statements
serves one call or a hundred.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from crm import call_statements as statements
from crm.call_attempts import number_on, passed_on_before
from crm.call_joins import agree_over_runs, drop_untold, join_calls, move_notes, set_apart
from crm.call_rows import COLUMNS, CallRow, Word, adds_nothing, is_other_run, merged, row_of
from crm.call_statements import as_json, to_json
from crm.call_tellings import (
    Moment,
    Person,
    Telling,
    grant_rows,
    key_rows,
    keys_of,
    leg_rows,
    moment_of,
    outbox_rows,
    participation_rows,
    party_rows,
    speaker_of,
    transfer_rows,
)
from crm.journal_entries import CallEntry
from crm.lead_links import note_responses
from crm.mirrors import link_mirrors, lock_numbers
from cti.calls.records import Direction

ACCESS_AFTER_CALL = timedelta(hours=24)
ENTRIES_AT_A_TIME = 8  # worked on before calls that ring have their turn of the event loop
_DIRECTIONS = {Direction.INBOUND: "in", Direction.OUTBOUND: "out", Direction.INTERNAL: "none"}
Talk = tuple[int, datetime, int | None]  # lead, when its call began, who talked


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCall:
    """Where a call was stored: under `id`, which need not be the `told_id` it was told by."""

    told_id: UUID
    id: UUID
    party_id: int | None
    contact_id: int | None


async def store(
    connection: AsyncConnection,
    entries: Sequence[CallEntry],
    *,
    access: timedelta = ACCESS_AFTER_CALL,
    has_mirrors: bool | None = None,
) -> list[StoredCall]:
    """Store calls; the caller owns the transaction.

    Args:
        has_mirrors: what `lock_numbers` said, if it was called for these entries already.

    Returns:
        for each entry that said something new, where its call is.

    Raises:
        sqlalchemy.exc.IntegrityError: another program stored one of them at this very moment: roll back, try again.
    """
    if not entries:
        return []
    if has_mirrors is None:
        has_mirrors = await lock_numbers(connection, entries)
    batches = list(without_overlaps(entries))
    if len(batches) > 1:
        await _lock_parties(connection, entries)
    stored: list[StoredCall] = []
    talks: list[Talk] = []
    for batch in batches:
        stored += await _store_batch(connection, batch, access, talks)
    if talks:
        await note_responses(connection, talks)
    if stored and has_mirrors:
        await link_mirrors(connection, [call.id for call in stored])
    return stored


def without_overlaps(entries: Iterable[CallEntry]) -> Iterable[list[CallEntry]]:
    """Cut the entries, in order, so that no two of one batch can mean the same call."""
    batch: list[CallEntry] = []
    seen: set[tuple[int, str]] = set()
    for entry in entries:
        keys = {(entry.connection_id, linked_id) for linked_id in keys_of(entry)}
        if keys & seen:
            yield batch
            batch, seen = [], set()
        batch.append(entry)
        seen |= keys
    if batch:
        yield batch


async def _lock_parties(connection: AsyncConnection, entries: Sequence[CallEntry]) -> None:
    """Of all batches at once; of a single one the statement that stores its communications does it."""
    parties = [
        {"party_id": entry.facts.party_id, "contact_id": entry.facts.contact_id}
        for entry in entries
        if entry.facts.party_id is not None or entry.facts.contact_id is not None
    ]
    if parties:
        await connection.execute(statements.LOCK_PARTIES, as_json(parties))


async def _store_batch(
    connection: AsyncConnection, batch: list[CallEntry], access: timedelta, talks: list[Talk]
) -> list[StoredCall]:
    """`talks` grows by what was said about leads."""
    known = await _known_calls(connection, batch)
    tellings: list[Telling] = []
    for number, entry in enumerate(batch, start=1):
        if (telling := await _telling(connection, entry, known)) is not None:
            tellings.append(telling)
        if number % ENTRIES_AT_A_TIME == 0:
            await asyncio.sleep(0)
    if not tellings:
        return []
    people = await _people(connection, tellings)
    links, leads = await _store_communications(connection, tellings, people)
    going_on = {t.row.id: t.entry.record for t in tellings if t.goes_on}
    numbers = await number_on(connection, {id_: told.participations for id_, told in going_on.items()})
    passed_on = await passed_on_before(connection, {id_: told.transfers for id_, told in going_on.items()})
    parts, legs, transfers = (
        participation_rows(tellings, people, numbers),
        leg_rows(tellings),
        transfer_rows(tellings, passed_on),
    )
    written: dict[str, Sequence[Any]] = {
        "calls": [telling.row for telling in tellings],
        "keys": key_rows(tellings),
        "parts": parts,
        "transfers": transfers,
        "parties": party_rows(tellings, links),
        "grants": grant_rows(tellings, parts, links, access),
        "outbox": outbox_rows(tellings, links),
    }
    await asyncio.sleep(0)  # the rows took their time, and so will their JSON
    await connection.execute(statements.WRITE, {name: to_json(rows) for name, rows in written.items()})
    if whole := [telling.row.id for telling in tellings if telling.is_last_word]:
        await drop_untold(connection, whole, parts, legs, transfers)
    if legs:
        await connection.execute(statements.UPSERT_LEGS, as_json(legs))
    talks += _talks_about_leads(tellings, leads, people)
    if restarted := [t.row.id for t in tellings if t.has_seen_a_restart]:
        await agree_over_runs(connection, restarted)
    return [_stored(telling, links) for telling in tellings]


async def _known_calls(
    connection: AsyncConnection, batch: Sequence[CallEntry]
) -> dict[tuple[int, str], CallRow]:
    """The stored calls behind the linked ids of these entries, locked."""
    asked = [
        {"connection_id": entry.connection_id, "linked_id": key} for entry in batch for key in keys_of(entry)
    ]
    rows = await connection.execute(statements.KNOWN_CALLS, as_json(asked))
    known: dict[tuple[int, str], CallRow] = {}
    for linked_id, *values in rows:
        row = CallRow(**dict(zip(COLUMNS, values, strict=True)))
        row.id = str(row.id)
        row.words = msgspec.convert(row.words, dict[str, Word] | None)
        known[row.connection_id, linked_id] = row
    return known


async def _telling(
    connection: AsyncConnection, entry: CallEntry, known: Mapping[tuple[int, str], CallRow]
) -> Telling | None:
    """What this entry makes of its call; None if it says nothing new."""
    found = {
        row.id: row for key in keys_of(entry) if (row := known.get((entry.connection_id, key))) is not None
    }
    new = row_of(entry)
    if not found:
        return Telling(entry, None, new)
    record = entry.record
    before = min(found.values(), key=lambda row: (row.external_id != record.key, row.started_at, row.id))
    if before.id != new.id:
        await move_notes(connection, new.id, before.id)
    is_part = before.external_id != record.key and before.external_id not in record.linked_ids
    if is_part and not (is_other_run(before, new) and new.told > before.told):
        return None  # a call told before it was joined to this one; the joined record holds all of it
    if before.external_id != record.key and before.story.keys() <= {entry.run}:
        await set_apart(connection, before.id, record.participations)
    absorbed = [row for row in found.values() if row.id != before.id]
    for row in absorbed:
        await join_calls(connection, row.id, before.id, record.participations)
        before.story |= {run: lines for run, lines in row.story.items() if run not in before.story}
    if not absorbed and adds_nothing(before, new):
        return None
    after = merged(before, new)
    return None if after == before and not absorbed else Telling(entry, before, after)


async def _people(connection: AsyncConnection, tellings: Sequence[Telling]) -> dict[Moment, Person]:
    """Who sat at each extension at its moment."""
    asked = {moment_of(telling, part) for telling in tellings for part in telling.entry.record.participations}
    asked |= {moment for telling in tellings if (moment := speaker_of(telling)) is not None}
    if not asked:
        return {}
    rows = [{"connection_id": connection_id, "extension": ext, "at": at} for connection_id, ext, at in asked]
    found = await connection.execute(statements.PEOPLE, as_json(rows))
    return {(row.connection_id, row.extension, row.at): (row.user_id, row.team_id) for row in found}


async def _store_communications(
    connection: AsyncConnection, tellings: Sequence[Telling], people: Mapping[Moment, Person]
) -> tuple[dict[str, Person], dict[str, int]]:
    """Upsert the communications and give (party, contact) of each, and its lead, as it is now linked."""
    rows = []
    for telling in tellings:
        row, facts, speaker = telling.row, telling.entry.facts, speaker_of(telling)
        user_id, team_id = people.get(speaker, (None, None)) if speaker else (None, None)
        rows.append(
            {
                "id": row.id,
                "direction": _DIRECTIONS[Direction(row.direction)],
                "started_at": row.started_at,
                "ended_at": row.ended_at,
                "user_id": user_id,
                "team_id": team_id,
                "party_id": facts.party_id,
                "contact_id": facts.contact_id,
                "is_internal": row.direction == Direction.INTERNAL,
            }
        )
    linked = (await connection.execute(statements.UPSERT_COMMUNICATIONS, as_json(rows))).all()
    leads = {str(row.id): row.lead_id for row in linked if row.lead_id is not None}
    return {str(row.id): (row.party_id, row.contact_id) for row in linked}, leads


def _talks_about_leads(
    tellings: Sequence[Telling], leads: Mapping[str, int], people: Mapping[Moment, Person]
) -> list[Talk]:
    """Lead, begin of the call and who talked, for every answered call that belongs to one."""
    return [
        (
            leads[telling.row.id],
            telling.row.started_at,
            people.get(speaker, (None, None))[0] if speaker else None,
        )
        for telling in tellings
        for speaker in (speaker_of(telling),)
        if telling.row.id in leads and telling.row.answered_at is not None
    ]


def _stored(telling: Telling, links: Mapping[str, Person]) -> StoredCall:
    party_id, contact_id = links[telling.row.id]
    return StoredCall(
        told_id=telling.entry.call_id, id=UUID(telling.row.id), party_id=party_id, contact_id=contact_id
    )
