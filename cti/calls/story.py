"""The lines of a call's story: plain English, a step each, for whoever asks "why did this pop, or not?"."""

from __future__ import annotations

from cti.calls.live import LiveCall
from cti.calls.records import Direction, Disposition, Transfer

OUTCOMES = {
    Disposition.ANSWERED: "answered",
    Disposition.VOICEMAIL: "a mailbox took it",
    Disposition.ABANDONED: "the caller gave up waiting",
    Disposition.NOT_SERVED: "nobody served the caller",
    Disposition.AFTER_HOURS: "outside of working hours",
    Disposition.MENU_ONLY: "the caller left in the voice menu",
    Disposition.BLOCKED: "the caller is blocked",
    Disposition.BUSY: "busy",
    Disposition.NO_ANSWER: "no answer",
    Disposition.DECLINED: "declined",
    Disposition.FAILED: "failed",
    Disposition.CANCELLED: "given up before it rang",
}
STOPPED = {
    "elsewhere": "stops ringing: answered elsewhere",
    "caller_left": "stops ringing: the caller is gone",
    "declined": "declines the call",
    "busy": "is busy",
    "no_answer": "does not answer",
    "unreachable": "cannot be reached",
}


def arrival(call: LiveCall) -> str:
    """How the call began."""
    if call.direction is Direction.INBOUND:
        caller = call.customer_number() or "a hidden number"
        name = call.customer_name()
        who = f"{caller} ({name})" if name and name != caller else caller
        return f"{who} calls {call.did() or 'us'}"
    who = call.placed_by or "a program"
    if call.is_originated:
        return f"a program calls {who} to connect them with {call.dialled() or 'somebody'}"
    kind = "outside number " if call.direction is Direction.OUTBOUND else ""
    return f"{who} dials {kind}{call.dialled() or 'somebody'}"


def stopped(extension: str, reason: str, answered_by: str | None) -> str:
    """A telephone stops ringing, or never rang."""
    line = f"{extension} {STOPPED[reason]}"
    return f"{line} by {answered_by}" if reason == "elsewhere" and answered_by else line


def transfer_line(transfer: Transfer) -> str:
    """The call is passed on."""
    who = transfer.from_extension or "somebody"
    verbs = {
        "park": f"{who} parks the call",
        "blind": f"{who} passes the call on to {transfer.to} without asking",
        "blonde": f"{who} passes the call on to {transfer.to} while it still rings there",
    }
    return verbs.get(transfer.kind, f"{who} passes the call on to {transfer.to} after talking to them")


def ending(call: LiveCall) -> str:
    """How the call ended."""
    outcome = OUTCOMES[call.disposition] if call.disposition else "nobody saw how"
    if call.ended_unseen:
        return f"the call ended while nobody listened ({outcome})"
    who = {"customer": "the customer hangs up", "agent": "the agent hangs up", "pbx": "the PBX ends the call"}
    return f"{who.get(call.hung_up_by or '', 'the call ends')}: {outcome}"
