"""Hangup causes and what went before → the outcome of a leg, of an agent's part, of the whole call. Pure.

Causes are Q.850 numbers, with two of Asterisk's own: 0 (nothing said) and 127 (the other side gave up).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cti.calls.legs import LiveLeg
from cti.calls.live import LiveCall
from cti.calls.records import Direction, Disposition, ParticipationResult

BUSY_CAUSES = frozenset({17})
DECLINED_CAUSES = frozenset({21})
ELSEWHERE_CAUSE = 26
FORWARDED_CAUSE = 23  # it was redirected to a new destination
NO_ANSWER_CAUSES = frozenset({18, 19})
UNREACHABLE_CAUSES = frozenset({1, 2, 3, 20, 22, 25, 27, 28, 38, 41, 42, 44})
CONGESTION_CAUSES = frozenset({34, 38, 41, 42, 44, 47, 58})
BUSY_SIP = frozenset({486, 600})
DECLINED_SIP = frozenset({603, 607, 608})
FORBIDDEN_SIP = frozenset(
    {401, 402, 403, 407}
)  # the line refuses us, not the person; Asterisk calls it rejected, 21
NO_ANSWER_SIP = frozenset({408, 480, 487})

REASONS = {
    ParticipationResult.ELSEWHERE: "elsewhere",
    ParticipationResult.DECLINED: "declined",
    ParticipationResult.BUSY: "busy",
    ParticipationResult.UNREACHABLE: "unreachable",
    ParticipationResult.NOT_ANSWERED: "no_answer",
    ParticipationResult.ANSWERED: "elsewhere",
}


# What people call the places of their dialplan where a caller is told that nobody works now, or is not let in.
AFTER_HOURS_PLACE = re.compile(
    r"(?<![a-z])(closed|after[-_]?hours?|off[-_]?hours?|out[-_]?of[-_]?(hours|office)|no[nt]?[-_]?work(ing)?|night|holidays?"
    r"|weekends?|no[ct]h|nerab\w*|zakryt\w*|v[yi][hk]{1,2}odn\w*|prazdni\w*)(?![a-z])|нерабоч|закрыт|выходн|празднич|(?<!\w)ноч",
    re.I,
)
BLOCKED_PLACE = re.compile(r"black[-_]?list|(?<![a-z])(blocked|banned|spam(mers?)?)(?![a-z])|ч[её]рный", re.I)


def leg_outcome(leg: LiveLeg) -> Disposition:
    """What became of one called leg that was not answered.

    The status of the dial is no help for 404, 480 and 603, all of which it calls "no answer": the cause decides, and
    the SIP code where the PBX tells it.
    """
    if leg.sip_code in FORBIDDEN_SIP:
        return Disposition.FAILED
    if leg.cause in DECLINED_CAUSES or leg.sip_code in DECLINED_SIP:
        return Disposition.DECLINED
    if leg.cause in BUSY_CAUSES or leg.sip_code in BUSY_SIP or (leg.dial_status == "busy" and not leg.cause):
        return Disposition.BUSY
    if leg.has_rung or leg.cause in NO_ANSWER_CAUSES or leg.sip_code in NO_ANSWER_SIP:
        return Disposition.NO_ANSWER
    if leg.cause in UNREACHABLE_CAUSES | CONGESTION_CAUSES or leg.dial_status in ("failed", "unreachable"):
        return Disposition.FAILED
    return Disposition.CANCELLED if leg.dial_status == "cancel" or leg.cause == 127 else Disposition.NO_ANSWER


def part_result(leg: LiveLeg, *, is_taken: bool) -> ParticipationResult:
    """What became of a telephone that was called and did not get to talk."""
    outcome = leg_outcome(leg)
    if outcome is Disposition.DECLINED:
        return ParticipationResult.DECLINED
    if outcome is Disposition.BUSY:
        return ParticipationResult.BUSY
    if leg.cause == ELSEWHERE_CAUSE or leg.robbed_by or is_taken:
        return ParticipationResult.ELSEWHERE
    if outcome is Disposition.FAILED and not leg.has_rung:
        return ParticipationResult.UNREACHABLE
    return ParticipationResult.NOT_ANSWERED


def disposition_of(call: LiveCall) -> Disposition | None:
    """How the whole call came out; None when its end was not seen and nothing tells."""
    if call.is_answered:
        return Disposition.ANSWERED
    if call.mailbox is not None and call.direction is not Direction.OUTBOUND:
        return Disposition.VOICEMAIL
    if call.ended_unseen:
        return None
    if call.direction is Direction.INBOUND:
        return inbound_disposition(call)
    return outgoing_disposition(call)


def inbound_disposition(call: LiveCall) -> Disposition:
    """Nobody talked to the caller, and no mailbox did."""
    customer = call.customer
    has_caller_left = customer is not None and call.hung_up_by == "customer"
    has_waited = call.has_tried or call.was_queued
    if not has_waited and (reason := why_not_let_in(call, has_caller_left=has_caller_left)):
        return reason
    if has_caller_left:
        return Disposition.MENU_ONLY if call.saw_menu and not has_waited else Disposition.ABANDONED
    if call.was_queued:
        return Disposition.NOT_SERVED
    outcomes = {leg_outcome(leg) for leg in called_telephones(call) if not has_forwarded(leg)}
    if outcomes and outcomes <= {Disposition.BUSY, Disposition.DECLINED}:
        return Disposition.BUSY
    if not outcomes and customer is not None and customer.cause in BUSY_CAUSES:
        return Disposition.BUSY
    return Disposition.NO_ANSWER


def why_not_let_in(call: LiveCall, *, has_caller_left: bool) -> Disposition | None:
    """Nobody was called for this caller, by the dialplan's own will: it says so, or the place is named for it. After a
    look at the clock it is certain only if the PBX let the caller go having sought nobody."""
    if call.is_blocked or BLOCKED_PLACE.search(call.last_place):
        return Disposition.BLOCKED
    is_over_by_clock = call.is_by_the_clock and not has_caller_left
    return Disposition.AFTER_HOURS if is_over_by_clock or AFTER_HOURS_PLACE.search(call.last_place) else None


def outgoing_disposition(call: LiveCall) -> Disposition:
    """An outgoing or internal call that nobody answered: the last one called tells."""
    called = [leg for leg in call.real_legs() if leg.was_called and not is_own_first_leg(call, leg)]
    if call.direction is Direction.OUTBOUND and call.customer is not None:
        called = [call.customer]
        if call.customer.is_up and has_no_agent(call):
            return Disposition.FAILED  # a mailbox took the agent's part
    if not called:
        if call.is_originated:
            return Disposition.FAILED  # the one who asked for the call did not pick up: nobody was dialled
        is_given_up = call.hung_up_by == "agent" and call.direction is Direction.INTERNAL
        return (
            Disposition.CANCELLED if is_given_up else Disposition.FAILED
        )  # an announcement instead of a line
    return leg_outcome(called[-1])


def has_no_agent(call: LiveCall) -> bool:
    """A program connected the customer with somebody of ours, and nobody of ours picked up."""
    others = (leg for leg in call.real_legs() if leg is not call.customer)
    return call.is_originated and not any(leg.is_up for leg in others)


def is_own_first_leg(call: LiveCall, leg: LiveLeg) -> bool:
    """The leg to the agent who asked for the call."""
    return call.is_originated and leg is next(iter(call.real_legs()), None)


def has_forwarded(leg: LiveLeg) -> bool:
    """It sent the call on by itself: what became of that, another leg tells."""
    return leg.cause == FORWARDED_CAUSE or bool(leg.forwarded_to)


def called_telephones(call: LiveCall) -> Iterable[LiveLeg]:
    """Every real leg that was called for this call."""
    return (leg for leg in call.real_legs() if leg.was_called)
