"""What a call's numbers mean on its connection: the other side, our number, our line."""

from __future__ import annotations

from crm.directory import ConnectionDirectory
from crm.journal_entries import CallFacts
from crm.schema.communications import Call
from cti.calls.records import CallRecord, CallState, Direction, Disposition
from cti.numbers import DEFAULT_PROFILE, Number, to_e164


def facts_of(call: CallRecord, connection: ConnectionDirectory | None) -> CallFacts:
    """The facts before anybody was asked who calls."""
    customer = customer_of(call, connection)
    line = connection.line(call.did) if connection else None
    profile = connection.profile if connection else DEFAULT_PROFILE
    did = to_e164(call.did, profile).e164 if call.did else None
    return CallFacts(
        customer_e164=customer.e164 if customer else None,
        did_e164=line.e164 if line else did,
        line_id=line.id if line else None,
        match_status="internal" if call.direction is Direction.INTERNAL else None,
    )


def record_of(stored: Call) -> CallRecord:
    """What windows show of a stored call that is over; the rest of it is the journal's."""
    direction = Direction(stored.direction)
    is_inbound = direction is Direction.INBOUND
    return CallRecord(
        key=stored.external_id,
        linked_ids=(stored.external_id,),
        direction=direction,
        state=CallState.ENDED,
        customer_number=stored.presented_from if is_inbound else stored.presented_to,
        customer_number_sent=None if is_inbound else stored.customer_e164,
        did=stored.presented_to if is_inbound else stored.presented_from,
        queue=stored.queue,
        placed_by=stored.placed_by,
        answered_by=stored.answered_by,
        disposition=Disposition(stored.disposition) if stored.disposition else None,
        started_at=stored.started_at,
        answered_at=stored.answered_at,
        ended_at=stored.ended_at,
    )


def customer_of(call: CallRecord, connection: ConnectionDirectory | None) -> Number | None:
    """The number of the other side as it is read on this connection; None for a call between colleagues."""
    if call.direction is Direction.INTERNAL:
        return None
    profile = connection.profile if connection else DEFAULT_PROFILE
    sent = to_e164(call.customer_number_sent, profile) if call.customer_number_sent else None
    # Of an outgoing call what went out on the line is surer than what was dialled.
    return sent if sent is not None and sent.e164 else to_e164(call.customer_number or "", profile)
