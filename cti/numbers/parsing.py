"""The one place that asks the phonenumbers library whether digits are a telephone number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberType

from cti.numbers.values import E164, NumberType

_TYPES: Final = {
    PhoneNumberType.MOBILE: NumberType.MOBILE,
    PhoneNumberType.FIXED_LINE: NumberType.FIXED,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: NumberType.FIXED_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: NumberType.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: NumberType.PREMIUM,
    PhoneNumberType.SHARED_COST: NumberType.SHARED_COST,
    PhoneNumberType.VOIP: NumberType.VOIP,
    PhoneNumberType.PERSONAL_NUMBER: NumberType.PERSONAL,
    PhoneNumberType.PAGER: NumberType.PAGER,
    PhoneNumberType.UAN: NumberType.COMPANY,
    PhoneNumberType.VOICEMAIL: NumberType.VOICEMAIL,
}

_LONGEST_LOCAL: Final = 8  # digits; no town has longer numbers
MOST_RECENT: Final = 1_000
# Whoever reads a number of a ringing call shows it in the next moment: it is not taken apart twice.
_RECENT: Final[dict[str, phonenumbers.PhoneNumber]] = {}


@dataclass(frozen=True, slots=True)
class Parsed:
    """A valid number: its E.164 form and what its digits tell."""

    e164: E164
    country: str | None
    type: NumberType | None


def of_e164(e164: str) -> phonenumbers.PhoneNumber | None:
    """The library's value of an E.164 number; of one that was just read it is still here."""
    if known := _RECENT.get(e164):
        return known
    try:
        return phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return None


def parse(dialled: str, region: str) -> Parsed | None:
    """The valid number that these digits (perhaps with a leading "+") dial from a region, or None."""
    try:
        number = phonenumbers.parse(dialled, region)
    except phonenumbers.NumberParseException:
        return None
    return parsed(number)


def parsed(number: phonenumbers.PhoneNumber) -> Parsed | None:
    """What the library read, as our value; None when no such number can exist."""
    country = phonenumbers.region_code_for_number(number)
    kind = phonenumbers.number_type(number) if country is not None else PhoneNumberType.UNKNOWN
    if kind == PhoneNumberType.UNKNOWN:  # what the library means by "not valid in its own country"
        return None
    e164 = E164(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    if len(_RECENT) >= MOST_RECENT:
        _RECENT.clear()
    _RECENT[e164] = number
    return Parsed(
        e164,
        None if country == "001" else country,  # 001: satellites, international freephone
        _TYPES.get(kind),
    )


def is_local_length(digits: str, area_code: str, region: str) -> bool:
    """Whether digits behind the area code are as long as this country's landline numbers (RU: ten digits)."""
    if not area_code or len(digits) > _LONGEST_LOCAL:
        return False
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    if metadata is None or metadata.fixed_line is None:
        return False
    return len(area_code) + len(digits) in (metadata.fixed_line.possible_length or ())
