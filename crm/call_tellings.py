"""One entry on its way into the journal, and the rows that it makes beside the call's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crm.call_attempts import Numbered
from crm.call_rows import CallRow, is_other_run
from crm.journal_entries import CallEntry
from crm.schema.base import uuid7_texts
from cti.calls.records import Origin, Participation

Person = tuple[int | None, int | None]  # user, team
Moment = tuple[int, str, datetime]  # connection, extension, when


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


def keys_of(entry: CallEntry) -> list[str]:
    """The linked ids of an entry, its own key first."""
    key, others = entry.record.key, entry.record.linked_ids
    return [key] if others in ((key,), ()) else list(dict.fromkeys((key, *others)))


def moment_of(telling: Telling, part: Participation) -> Moment:
    return (
        telling.entry.connection_id,
        part.extension,
        part.rang_at or part.answered_at or telling.row.started_at,
    )


def speaker_of(telling: Telling) -> Moment | None:
    """Whose call this is in lists: who answered it, or who placed it."""
    row = telling.row
    extension = row.answered_by or row.placed_by
    return (row.connection_id, extension, row.answered_at or row.started_at) if extension else None


def key_rows(tellings: Sequence[Telling]) -> list[dict[str, Any]]:
    return [
        {"connection_id": t.row.connection_id, "linked_id": linked_id, "call_id": t.row.id}
        for t in tellings
        for linked_id in keys_of(t.entry)
    ]


def participation_rows(
    tellings: Sequence[Telling], people: Mapping[Moment, Person], numbers: Mapping[str, Numbered]
) -> list[dict[str, Any]]:
    rows = []
    ids = iter(uuid7_texts(sum(len(telling.entry.record.participations) for telling in tellings)))
    for telling in tellings:
        told = numbers.get(telling.row.id) or Numbered(telling.entry.record.participations)
        for part, row in told.rows():
            user_id, team_id = people.get(moment_of(telling, part), (None, None))
            rows.append(
                {
                    "id": next(ids),
                    "call_id": telling.row.id,
                    "started_at": telling.row.started_at,
                    "user_id": user_id,
                    "team_id": team_id,
                    **row,
                }
            )
    return rows


def leg_rows(tellings: Sequence[Telling]) -> list[dict[str, Any]]:
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


def transfer_rows(tellings: Sequence[Telling], before: Mapping[str, int]) -> list[dict[str, Any]]:
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


def party_rows(tellings: Sequence[Telling], links: Mapping[str, Person]) -> list[dict[str, Any]]:
    """When we were last in touch, and last talked; abandoned calls count as touch, too."""
    return [
        {"id": party_id, "started_at": telling.row.started_at, "answered_at": telling.row.answered_at}
        for telling in tellings
        for party_id in links[telling.row.id]
        if party_id is not None
    ]


def grant_rows(
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


def outbox_rows(tellings: Sequence[Telling], links: Mapping[str, Person]) -> list[dict[str, Any]]:
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
