"""The values that reading a presented number takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

E164 = NewType("E164", str)
"""A number as the whole world dials it: "+" and 7 to 15 digits, nothing else."""


class NumberKind(StrEnum):
    """What a presented text turned out to be."""

    E164 = "e164"
    HIDDEN = "hidden"  # the caller withheld the number
    INTERNAL = "internal"  # an extension of this PBX
    SERVICE = "service"  # emergency and service numbers: 101, 112
    LOCAL = "local"  # digits that mean something on this profile only
    NOT_A_NUMBER = "not_a_number"


class NumberType(StrEnum):
    """What kind of telephone answers at an E.164 number, as far as its digits tell."""

    MOBILE = "mobile"
    FIXED = "fixed"
    FIXED_OR_MOBILE = "fixed_or_mobile"
    TOLL_FREE = "toll_free"
    PREMIUM = "premium"
    SHARED_COST = "shared_cost"
    VOIP = "voip"
    PERSONAL = "personal"
    PAGER = "pager"
    COMPANY = "company"  # one number for a whole company (UAN)
    VOICEMAIL = "voicemail"


class Problem(StrEnum):
    """Why a text is not a number."""

    FEATURE_CODE = "feature_code"
    LETTERS = "letters"
    SEVERAL = "several"
    TOO_LONG = "too_long"
    NO_DIGITS = "no_digits"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberingProfile:
    """How numbers are written on one connection or line. Hashable: it is part of a cache key."""

    region: str = "RU"  # ISO 3166 code of the country whose dialling habits apply
    area_code: str = ""  # put before numbers as short as a local one: "495"
    outside_prefixes: tuple[str, ...] = ()  # dialled to get an outside line: "9"
    feature_codes: tuple[str, ...] = ()  # dialled before a number: "*67"
    extensions: frozenset[str] = frozenset()  # this connection's own, as digits
    internal_lengths: tuple[int, int] = (2, 6)  # fewest and most digits of an extension
    service_numbers: frozenset[str] = frozenset()  # in addition to 101-104 and 112

    def is_internal_length(self, digits: str) -> bool:
        """Whether digits are as long as an extension of this PBX may be."""
        fewest, most = self.internal_lengths
        return fewest <= len(digits) <= most


DEFAULT_PROFILE = NumberingProfile()


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A presented text understood. `e164` is there exactly when `kind` is E164, `problem` when it is NOT_A_NUMBER."""

    kind: NumberKind
    presented: str  # as received, cut at 256 characters
    e164: E164 | None = None
    extension: str | None = None  # the digits after «доб.», "ext"
    digits: str | None = None  # of an internal, service or local number
    country: str | None = None  # ISO 3166; None for satellites and international freephone
    type: NumberType | None = None
    problem: str | None = None  # an English sentence: the value, what is wrong, what to try
    reason: Problem | None = None  # the same as a code, for catalogues of other languages


class StepOutcome(StrEnum):
    """What one step of reading did."""

    UNCHANGED = "unchanged"
    CLEANED = "cleaned"
    HIDDEN = "hidden"
    INTERNAL = "internal"
    SERVICE = "service"
    PREFIX_STRIPPED = "prefix_stripped"
    EXTENSION_SPLIT = "extension_split"
    VALID = "valid"
    NOT_YET_VALID = "not_yet_valid"
    VALID_WITH_PLUS = "valid_with_plus"
    VALID_WITH_AREA_CODE = "valid_with_area_code"
    VALID_IN_TEXT = "valid_in_text"
    ACCEPTED = "accepted"
    LOCAL = "local"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One of the eight steps, as it went: its number, what it did, the text before and after it."""

    number: int
    outcome: StepOutcome
    before: str
    after: str
