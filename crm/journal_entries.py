"""What the journal is told, in a form that also fits on disk: a call as it stands, or the picture after a reconnect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from crm.matching import MatchOutcome, MatchResult
from cti.calls.call_events import CallEvent, SnapshotApplied
from cti.calls.records import CallRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What we know of a call beyond the source's record: its numbers in E.164, our line, and who calls."""

    customer_e164: str | None = None
    did_e164: str | None = None
    line_id: int | None = None
    match_status: str | None = None  # None: not looked up yet
    party_id: int | None = None
    contact_id: int | None = None
    number_note_id: int | None = None

    @classmethod
    def of(
        cls,
        match: MatchResult | None,
        *,
        customer_e164: str | None = None,
        did_e164: str | None = None,
        line_id: int | None = None,
    ) -> CallFacts:
        if match is None:
            return cls(customer_e164=customer_e164, did_e164=did_e164, line_id=line_id)
        party_id, contact_id = match.link
        return cls(
            customer_e164=customer_e164,
            did_e164=did_e164,
            line_id=line_id,
            match_status=match.outcome,
            party_id=party_id,
            contact_id=contact_id,
            number_note_id=match.number_note_id if match.outcome is MatchOutcome.IGNORED else None,
        )


class CallEntry(msgspec.Struct, frozen=True, kw_only=True, tag="call"):
    """One call as it stands now. Of several entries of one call only the latest counts."""

    connection_id: int
    call_id: UUID  # ours; if the call is stored under another id already, that one stays
    record: CallRecord
    facts: CallFacts = CallFacts()
    at: datetime
    run: str = (
        ""  # the run of the program that tells it, and a number that grows with every entry of that run:
    )
    step: int = 0  # the journal fills both in


class SnapshotEntry(msgspec.Struct, frozen=True, kw_only=True, tag="snapshot"):
    """After a (re)connect: whatever this connection has open that is not named here is over."""

    connection_id: int
    present: tuple[str, ...]  # every linked id of every call that is present
    at: datetime


Entry = CallEntry | SnapshotEntry

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    return _encoder.encode(entry)


def decode(data: bytes) -> Entry:
    """The entry again.

    Raises:
        msgspec.MsgspecError: not an entry (of this version).
    """
    return _decoder.decode(data)


def entry_of(
    connection_id: int,
    event: CallEvent,
    ids: Mapping[str, UUID],
    facts: CallFacts,
    at: datetime,
) -> Entry:
    """The entry that an event makes. `ids` names the calls by their key; `at` counts when the event has no time."""
    moment = event.at or at
    if isinstance(event, SnapshotApplied):
        keys = tuple(linked_id for call in event.present for linked_id in call.linked_ids)
        return SnapshotEntry(connection_id=connection_id, present=keys, at=moment)
    record = event.call
    return CallEntry(
        connection_id=connection_id, call_id=ids[record.key], record=record, facts=facts, at=moment
    )
