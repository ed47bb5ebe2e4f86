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
from crm.call_attempts import Numbered, number_on, passed_on_before
from crm.call_joins import agree_over_runs, drop_untold, join_calls, move_notes, set_apart
from crm.call_rows import COLUMNS, CallRow, Word, adds_nothing, is_other_run, merged, row_of
from crm.call_statements import as_json, to_json
from crm.journal_entries import CallEntry
from crm.lead_links import note_responses
from crm.mirrors import link_mirrors, lock_numbers
from crm.schema.base import uuid7_texts
from cti.calls.records import Direction, Origin, Participation

ACCESS_AFTER_CALL = timedelta(hours=24)
ENTRIES_AT_A_TIME = 8  # worked on before calls that ring have their turn of the event loop
_DIRECTIONS = {Direction.INBOUND: "in", Direction.OUTBOUND: "out", Direction.INTERNAL: "none"}
Person = tuple[int | None, int | None]  # user, team
Moment = tuple[int, str, datetime]  # connection, extension, when
Talk = tuple[int, datetime, int | None]  # lead, when its call began, who talked


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCall:
    """Where a call was stored: under `id`, which need not be the `told_id` it was told by."""

    told_id: UUID
    id: UUID
    party_id: int | None
    contact_id: int | None


@dataclass(frozen=True, slots=True)
class Telling:
    """One entry on its way: the row as stored before (if any) and as it becomes."""

    entry: CallEntry
    before: CallRow | None
    row: CallRow

    @property
    def is_last_word(self) -> bool:
        """The call is over, and one run told all of it: what its last record does not name was taken back."""
        is_told_by_one = self.row.story.keys() <= {self.entry.run}
        return self.before is not None and self.row.ended_at is not None and is_told_by_one

    @property
    def has_seen_a_restart(self) -> bool:
        """Several runs of the program told of this call, and none all of it."""
        return self.before is not None and (len(self.row.story) > 1 or is_other_run(self.before, self.row))

    @property
    def goes_on(self) -> bool:
        """Another run heard the beginning of this call, this one the rest."""
        return self.has_seen_a_restart and self.entry.record.origin is not Origin.BACK_FILLED


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


def keys_of(entry: CallEntry) -> list[str]:
    """The linked ids of an entry, its own key first."""
    key, others = entry.record.key, entry.record.linked_ids
    return [key] if others in ((key,), ()) else list(dict.fromkeys((key, *others)))


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
        _participation_rows(tellings, people, numbers),
        _leg_rows(tellings),
        _transfer_rows(tellings, passed_on),
    )
    written: dict[str, Sequence[Any]] = {
        "calls": [telling.row for telling in tellings],
        "keys": _key_rows(tellings),
        "parts": parts,
        "transfers": transfers,
        "parties": _party_rows(tellings, links),
        "grants": _grant_rows(tellings, parts, links, access),
        "outbox": _outbox_rows(tellings, links),
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
    asked = {_moment(telling, part) for telling in tellings for part in telling.entry.record.participations}
    asked |= {moment for telling in tellings if (moment := _speaker(telling)) is not None}
    if not asked:
        return {}
    rows = [{"connection_id": connection_id, "extension": ext, "at": at} for connection_id, ext, at in asked]
    found = await connection.execute(statements.PEOPLE, as_json(rows))
    return {(row.connection_id, row.extension, row.at): (row.user_id, row.team_id) for row in found}


def _moment(telling: Telling, part: Participation) -> Moment:
    return (
        telling.entry.connection_id,
        part.extension,
        part.rang_at or part.answered_at or telling.row.started_at,
    )


def _speaker(telling: Telling) -> Moment | None:
    """Whose call this is in lists: who answered it, or who placed it."""
    row = telling.row
    extension = row.answered_by or row.placed_by
    return (row.connection_id, extension, row.answered_at or row.started_at) if extension else None


async def _store_communications(
    connection: AsyncConnection, tellings: Sequence[Telling], people: Mapping[Moment, Person]
) -> tuple[dict[str, Person], dict[str, int]]:
    """Upsert the communications and give (party, contact) of each, and its lead, as it is now linked."""
    rows = []
    for telling in tellings:
        row, facts, speaker = telling.row, telling.entry.facts, _speaker(telling)
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
        for speaker in (_speaker(telling),)
        if telling.row.id in leads and telling.row.answered_at is not None
    ]


def _key_rows(tellings: Sequence[Telling]) -> list[dict[str, Any]]:
    return [
        {"connection_id": t.row.connection_id, "linked_id": linked_id, "call_id": t.row.id}
        for t in tellings
        for linked_id in keys_of(t.entry)
    ]


def _participation_rows(
    tellings: Sequence[Telling], people: Mapping[Moment, Person], numbers: Mapping[str, Numbered]
) -> list[dict[str, Any]]:
    rows = []
    ids = iter(uuid7_texts(sum(len(telling.entry.record.participations) for telling in tellings)))
    for telling in tellings:
        told = numbers.get(telling.row.id) or Numbered(telling.entry.record.participations)
        for part, row in told.rows():
            user_id, team_id = people.get(_moment(telling, part), (None, None))
            rows.append(
                {
                    "id": next(ids),
                    "call_id": telling.row.id,
                    "user_id": user_id,
                    "team_id": team_id,
                    **row,
                }
            )
    return rows


def _leg_rows(tellings: Sequence[Telling]) -> list[dict[str, Any]]:
    ids = iter(uuid7_texts(sum(len(telling.entry.record.legs) for telling in tellings)))
    return [
        {
            "id": next(ids),
            "call_id": telling.row.id,
            "channel_id": leg.channel_id,
            "channel_name": leg.channel_name,
            "extension": leg.extension,
            "started_at": leg.started_at,
            "answered_at": leg.answered_at,
            "ended_at": leg.ended_at,
            "hangup_cause": leg.hangup_cause,
        }
        for telling in tellings
        for leg in telling.entry.record.legs
    ]


def _transfer_rows(tellings: Sequence[Telling], before: Mapping[str, int]) -> list[dict[str, Any]]:
    ids = iter(uuid7_texts(sum(len(telling.entry.record.transfers) for telling in tellings)))
    return [
        {
            "id": next(ids),
            "call_id": telling.row.id,
            "position": position,
            "from_extension": transfer.from_extension,
            "to_target": transfer.to,
            "kind": transfer.kind,
            "at": transfer.at,
            "outcome": transfer.outcome,
        }
        for telling in tellings
        for position, transfer in enumerate(
            telling.entry.record.transfers, start=before.get(telling.row.id, 0)
        )
    ]


def _party_rows(tellings: Sequence[Telling], links: Mapping[str, Person]) -> list[dict[str, Any]]:
    """When we were last in touch, and last talked; abandoned calls count as touch, too."""
    return [
        {"id": party_id, "started_at": telling.row.started_at, "answered_at": telling.row.answered_at}
        for telling in tellings
        for party_id in links[telling.row.id]
        if party_id is not None
    ]


def _grant_rows(
    tellings: Sequence[Telling],
    parts: Sequence[Mapping[str, Any]],
    links: Mapping[str, Person],
    access: timedelta,
) -> list[dict[str, Any]]:
    """Whoever answered goes on reading the caller's cards for a day (crm-model 11)."""
    until = {t.row.id: (t.row.ended_at or t.row.answered_at or t.entry.at) + access for t in tellings}
    return [
        {
            "user_id": part["user_id"],
            "party_id": party_id,
            "call_id": part["call_id"],
            "until": until[part["call_id"]],
        }
        for part in parts
        if part["answered_at"] is not None and part["user_id"] is not None
        for party_id in links[part["call_id"]]
        if party_id is not None
    ]


def _outbox_rows(tellings: Sequence[Telling], links: Mapping[str, Person]) -> list[dict[str, Any]]:
    """call.started, call.answered, call.ended: each once, when the row first says so."""
    rows = []
    for telling in tellings:
        row, before = telling.row, telling.before
        happened: dict[str, datetime | None] = {
            "call.started": row.started_at if before is None else None,
            "call.answered": row.answered_at if before is None or before.answered_at is None else None,
            "call.ended": row.ended_at if before is None or before.ended_at is None else None,
        }
        after = _outbox_facts(row, links[row.id])
        rows += [
            {"type": type_, "record_id": row.id, "after": after, "at": at}
            for type_, at in happened.items()
            if at is not None
        ]
    return rows


def _outbox_facts(row: CallRow, link: Person) -> dict[str, Any]:
    names = (
        "direction",
        "customer_e164",
        "line_id",
        "queue",
        "answered_by",
        "disposition",
        "started_at",
        "ended_at",
    )
    return {name: getattr(row, name) for name in names} | {"party_id": link[0], "contact_id": link[1]}


def _stored(telling: Telling, links: Mapping[str, Person]) -> StoredCall:
    party_id, contact_id = links[telling.row.id]
    return StoredCall(
        told_id=telling.entry.call_id, id=UUID(telling.row.id), party_id=party_id, contact_id=contact_id
    )
