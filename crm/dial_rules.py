"""What may be dialled from the screen: one rule for clicks, transfers to outside and programs. Pure values in, a word out.

The default is no: numbers abroad, premium ones and short codes are dialled only where an administrator said so. Emergency
numbers can always be dialled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from crm.errors import CrmError
from cti.numbers import Number, NumberKind, NumberType

EMERGENCY: Final = frozenset({"101", "102", "103", "104", "112"})
DEAR_TYPES: Final = frozenset({NumberType.PREMIUM, NumberType.SHARED_COST, NumberType.PERSONAL})
SHORT_KINDS: Final = frozenset({NumberKind.SERVICE, NumberKind.LOCAL})


class DialVerdict(StrEnum):
    """Why a number is not dialled; ALLOWED if it is."""

    ALLOWED = "allowed"
    STOPPED = "stopped"
    NOT_A_NUMBER = "not_a_number"
    NOBODY_THERE = "nobody_there"
    OWN_EXTENSION = "own_extension"
    OWN_NUMBER = "own_number"
    COUNTRY = "country"
    PREMIUM = "premium"
    SHORT = "short"
    PER_HOUR = "per_hour"
    PER_DAY = "per_day"
    OF_ALL = "of_all"
    DO_NOT_CALL = "do_not_call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an administrator allows; the limits count clicks that were sent."""

    is_stopped: bool = False
    countries: frozenset[str] = frozenset()  # ISO 3166 codes
    allows_premium: bool = False
    allows_short: bool = False
    most_per_hour: int = 60  # of one user
    most_per_day: int = 300  # of one user
    most_of_all: int = 5000  # a day, of all users
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled:
    """How often was dialled already."""

    last_hour: int = 0  # by this user
    last_day: int = 0  # by this user
    of_all: int = 0  # by everybody within a day


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """What is known of a number before it is dialled."""

    is_ours: bool = False  # a line of ours, or noted as ours
    is_emergency: bool = False  # noted as such
    is_colleague: bool = False  # an extension of this connection
    is_own_extension: bool = False
    do_not_call: bool = False  # whoever answers to it asked not to be called


REASONS: Final[dict[DialVerdict, str]] = {
    DialVerdict.STOPPED: "Dialling from the screen is switched off. Ask your administrator.",
    DialVerdict.NOT_A_NUMBER: "“%(number)s” is not a number that can be dialled. Write it as +7 495 123-45-67.",
    DialVerdict.NOBODY_THERE: "There is no extension %(number)s here. Look it up among your colleagues.",
    DialVerdict.OWN_EXTENSION: "%(number)s is your own extension.",
    DialVerdict.OWN_NUMBER: "%(number)s is a number of ours: the call would come back to us. Dial an extension instead.",
    DialVerdict.COUNTRY: "Numbers of the country %(country)s are not dialled (%(number)s). Ask your administrator to allow it.",
    DialVerdict.PREMIUM: "%(number)s costs extra, such numbers are not dialled. Ask your administrator to allow them.",
    DialVerdict.SHORT: "%(number)s is a short number, such numbers are not dialled. Ask your administrator to allow them.",
    DialVerdict.PER_HOUR: "You have dialled %(most)d times within an hour, that is the limit. Wait, or ask your administrator.",
    DialVerdict.PER_DAY: "You have dialled %(most)d times within a day, that is the limit. Ask your administrator.",
    DialVerdict.OF_ALL: "Everybody together has dialled %(most)d times within a day, that is the limit. Ask your administrator.",
    DialVerdict.DO_NOT_CALL: "Whoever answers at %(number)s asked not to be called.",
}


class DialRefused(CrmError):
    """The number is not dialled; nothing was sent. `verdict` is the reason as a code."""

    field = "number"

    def __init__(self, verdict: DialVerdict, number: str, *, country: str = "", most: int = 0) -> None:
        self.verdict = verdict
        self.template = REASONS[verdict]
        super().__init__(number=number, country=country or "?", most=most)

    @property
    def code(self) -> str:
        return f"DialRefused.{self.verdict.value}"


def target_of(number: Number) -> str:
    """What would be dialled; "" where nothing can be."""
    return number.e164 or (number.digits or "" if number.kind is not NumberKind.NOT_A_NUMBER else "")


def judge(number: Number, policy: Policy, dialled: Dialled, facts: TargetFacts) -> DialVerdict:
    """The first rule that speaks against dialling this number; do-not-call comes last, since a reason overrides it."""
    if facts.is_emergency or (number.kind is NumberKind.SERVICE and number.digits in EMERGENCY):
        return DialVerdict.ALLOWED
    if policy.is_stopped:
        return DialVerdict.STOPPED
    rules: tuple[Callable[[], DialVerdict], ...] = (
        lambda: _judge_target(number, facts),
        lambda: _judge_cost(number, policy),
        lambda: _judge_amount(policy, dialled),
        lambda: DialVerdict.DO_NOT_CALL if facts.do_not_call else DialVerdict.ALLOWED,
    )
    return next((said for rule in rules if (said := rule()) is not DialVerdict.ALLOWED), DialVerdict.ALLOWED)


def refusal(verdict: DialVerdict, number: Number, policy: Policy) -> DialRefused:
    """The verdict as an error that names the values."""
    limits = {
        DialVerdict.PER_HOUR: policy.most_per_hour,
        DialVerdict.PER_DAY: policy.most_per_day,
        DialVerdict.OF_ALL: policy.most_of_all,
    }
    shown = target_of(number) or number.presented[:40]
    return DialRefused(verdict, shown, country=number.country or "", most=limits.get(verdict, 0))


def _judge_target(number: Number, facts: TargetFacts) -> DialVerdict:
    if not target_of(number):
        return DialVerdict.NOT_A_NUMBER
    if facts.is_own_extension:
        return DialVerdict.OWN_EXTENSION
    if number.kind is NumberKind.INTERNAL and not facts.is_colleague:
        return DialVerdict.NOBODY_THERE
    return DialVerdict.OWN_NUMBER if facts.is_ours else DialVerdict.ALLOWED


def _judge_cost(number: Number, policy: Policy) -> DialVerdict:
    if number.kind in SHORT_KINDS:
        return DialVerdict.ALLOWED if policy.allows_short else DialVerdict.SHORT
    if number.kind is not NumberKind.E164:
        return DialVerdict.ALLOWED
    if number.country not in policy.countries:
        return DialVerdict.COUNTRY
    is_dear = number.type in DEAR_TYPES and not policy.allows_premium
    return DialVerdict.PREMIUM if is_dear else DialVerdict.ALLOWED


def _judge_amount(policy: Policy, dialled: Dialled) -> DialVerdict:
    if dialled.last_hour >= policy.most_per_hour:
        return DialVerdict.PER_HOUR
    if dialled.last_day >= policy.most_per_day:
        return DialVerdict.PER_DAY
    return DialVerdict.OF_ALL if dialled.of_all >= policy.most_of_all else DialVerdict.ALLOWED
