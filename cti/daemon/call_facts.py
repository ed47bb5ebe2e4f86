"""What a call's numbers mean on its connection: the other side, our number, our line."""

from __future__ import annotations

from crm.directory import ConnectionDirectory
from crm.journal_entries import CallFacts
from cti.calls.records import CallRecord, Direction
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


def customer_of(call: CallRecord, connection: ConnectionDirectory | None) -> Number | None:
    """The number of the other side as it is read on this connection; None for a call between colleagues."""
    if call.direction is Direction.INTERNAL:
        return None
    profile = connection.profile if connection else DEFAULT_PROFILE
    sent = to_e164(call.customer_number_sent, profile) if call.customer_number_sent else None
    # Of an outgoing call what went out on the line is surer than what was dialled.
    return sent if sent is not None and sent.e164 else to_e164(call.customer_number or "", profile)
