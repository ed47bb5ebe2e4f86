"""Calls told afterwards, by records of the PBX itself: added where nobody heard them, completed where nobody saw the end.

What was heard live is never overwritten, and telling the same again adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from crm.call_statements import as_json
from crm.call_store import store
from crm.call_tellings import keys_of
from crm.callback_following import follow_calls
from crm.journal_entries import CallEntry
from cti.calls.records import CallRecord, ParticipationResult

# It sorts before every live run, whose telling so wins wherever it says something (`crm.call_rows`).
RUN: Final = "00-back-fill"
LONGEST_CALL: Final = timedelta(days=1)
# By a linked id; or by a channel's id, for records that know no linked ids.
_STORED: Final = text(
    """
    with asked as (
        select * from jsonb_to_recordset(cast(:rows as jsonb)) as a (connection_id bigint, key text)
    ),
    found as (
        select a.connection_id, a.key, k.call_id from asked a
        join call_key k on k.connection_id = a.connection_id and k.linked_id = a.key
        union
        select a.connection_id, a.key, c.id from asked a
        join leg l on l.channel_id = a.key
        join call c on c.id = l.call_id and c.connection_id = a.connection_id
        where c.started_at between :since and :until
    )
    select found.key, c.external_id, c.ended_unseen, c.started_at, c.answered_at, c.disposition
    from found join call told on told.id = found.call_id
    join call c on c.id = coalesce(told.joined_into_id, told.id)
    order by c.id for update of c
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackFilled:
    """What became of the calls that were told."""

    added: int = 0
    completed: int = 0
    known: int = 0  # heard live, or told before

    def __add__(self, other: BackFilled) -> BackFilled:
        return BackFilled(
            added=self.added + other.added,
            completed=self.completed + other.completed,
            known=self.known + other.known,
        )


async def store_back_filled(connection: AsyncConnection, entries: Sequence[CallEntry]) -> BackFilled:
    """Store what these tell; the caller owns the transaction.

    Raises:
        sqlalchemy.exc.IntegrityError: another program stored one of them at this very moment: roll back, try again.
    """
    if not entries:
        return BackFilled()
    stored = await _stored(connection, entries)
    new: list[CallEntry] = []
    completing: list[CallEntry] = []
    for entry in entries:
        rows = [row for key in keys_of(entry) if (row := stored.get(key)) is not None]
        if not rows:
            new.append(entry)
        elif rows[0].ended_unseen:
            completing.append(_completing(entry, rows[0]))
    told = [msgspec.structs.replace(entry, run=RUN) for entry in (*new, *completing)]
    stored_calls = await store(connection, told)
    await follow_calls(connection, [call.id for call in stored_calls])
    return BackFilled(
        added=len(new), completed=len(completing), known=len(entries) - len(new) - len(completing)
    )


async def _stored(connection: AsyncConnection, entries: Sequence[CallEntry]) -> dict[str, Any]:
    """What is stored of these calls by each of their keys, locked. All entries are of one connection."""
    asked = [
        {"connection_id": entry.connection_id, "key": key} for entry in entries for key in keys_of(entry)
    ]
    starts = [entry.record.started_at or entry.at for entry in entries]
    near = {"since": min(starts) - LONGEST_CALL, "until": max(starts) + LONGEST_CALL}
    rows = await connection.execute(_STORED, as_json(asked) | near)
    return {row.key: row for row in rows}


def _completing(entry: CallEntry, stored: Any) -> CallEntry:
    """The end of a call whose beginning was heard: what was heard of it stays as it is."""
    record = entry.record
    heard_answer = stored.answered_at is not None
    answers = (
        ()
        if heard_answer
        else tuple(part for part in record.participations if part.result is ParticipationResult.ANSWERED)
    )
    told = CallRecord(
        key=stored.external_id,
        linked_ids=tuple(dict.fromkeys((stored.external_id, *record.linked_ids))),
        direction=record.direction,
        state=record.state,
        origin=record.origin,
        customer_number=record.customer_number,
        did=record.did,
        queue=record.queue,
        answered_by=record.answered_by,
        final_agent=record.final_agent,
        is_answered=record.is_answered,
        disposition=record.disposition,
        hung_up_by=record.hung_up_by,
        answered_at=None if heard_answer else record.answered_at,
        ended_at=_end(record, stored),
        talk_seconds=record.talk_seconds,
        recording_file=record.recording_file,
        participations=answers,
        story=record.story,
    )
    if stored.disposition is not None:  # an answer that was heard is not argued away
        told = replace(told, disposition=stored.disposition)
    return msgspec.structs.replace(entry, record=told)


def _end(record: CallRecord, stored: Any) -> datetime:
    """By the answer that was heard and the seconds talked, where both are known: surer than a time cut to a second."""
    known: list[datetime | None] = [record.ended_at, stored.started_at, stored.answered_at]
    if stored.answered_at is not None and record.answered_at is not None and record.talk_seconds:
        known.append(stored.answered_at + timedelta(seconds=record.talk_seconds))
    return max(at for at in known if at is not None)
