"""A call as outside programs read it: the JSON object of `ringcard replay` and `ringcard export calls --json`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from cti.calls.records import CallRecord, CallState, Direction, Disposition

Normalise = Callable[[str], str | None]  # a presented number → E.164, None where there is none


def tell_call(call: CallRecord, normalise: Normalise) -> dict[str, Any]:
    """The call in plain JSON values; times are ISO 8601 in UTC, seconds are numbers, null is "not known"."""
    return {
        "key": call.key,
        "direction": call.direction.value,
        "customer_number_raw": call.customer_number,
        "customer_e164": customer_e164(call, normalise),
        "customer_name": call.customer_name,
        "did": normalise(call.did) if call.did else None,
        "did_raw": call.did,
        "queue": call.queue,
        "rang": list(call.rang),
        "answered": call.is_answered
        or call.disposition is Disposition.ANSWERED
        or call.answered_at is not None,
        "answered_by": call.answered_by,
        "placed_by": call.placed_by,
        "dialled": call.dialled,
        "disposition": call.disposition.value if call.disposition else None,
        "transfers": [
            {"from": one.from_extension, "to": one.to, "kind": one.kind, "outcome": one.outcome}
            for one in call.transfers
        ],
        "final_agent": call.final_agent,
        "hung_up_by": call.hung_up_by,
        "ended_unseen": call.ended_unseen,
        "ring_s": call.ring_seconds,
        "wait_s": call.wait_seconds,
        "talk_s": call.talk_seconds,
        "hold_s": call.hold_seconds,
        "recording_file": call.recording_file,
        "linked_ids": list(call.linked_ids),
        "started_at": moment(call.started_at),
        "answered_at": moment(call.answered_at),
        "ended_at": moment(call.ended_at),
        "open": call.state is not CallState.ENDED,
        "story": list(call.story),
    }


def customer_e164(call: CallRecord, normalise: Normalise) -> str | None:
    """Of an outgoing call what went out on the line is surer than what was dialled: our prefixes are gone from it."""
    if call.direction is Direction.INTERNAL:
        return None
    for number in (call.customer_number_sent, call.customer_number):
        if number and (e164 := normalise(number)):
            return e164
    return None


def moment(at: datetime | None) -> str | None:
    """ISO 8601 with milliseconds."""
    return at.isoformat(timespec="milliseconds") if at else None
