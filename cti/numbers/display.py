"""A number for people: its international form, and where and by whom it is served."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import phonenumbers

from cti.numbers.parsing import of_e164, parsed
from cti.numbers.values import NumberType

_UNKNOWN_ZONE: Final = "Etc/Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberInfo:
    """What a number's digits tell about the place of its owner; "" where they tell nothing."""

    country: str | None  # ISO 3166
    country_name: str
    region: str
    carrier: str  # who was given the range; the owner may have moved on
    time_zones: tuple[str, ...]  # IANA names
    type: NumberType | None


@lru_cache(maxsize=4096)
def format_number(e164: str) -> str:
    """The international form, "+7 495 123-45-67"; a text that is no E.164 number comes back unchanged."""
    number = of_e164(e164)
    if number is None:
        return e164
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


@lru_cache(maxsize=4096)
def describe(e164: str, language: str) -> NumberInfo:
    """Country, region, carrier and time zones of a number in a language ("ru", "en").

    The first call in a process reads the library's tables: half a second and 90 MB. `warm_up` in a thread at start
    keeps that away from a ringing call; later calls take well under a millisecond.
    """
    from phonenumbers import carrier, geocoder, timezone

    number = of_e164(e164)
    value = number and parsed(number)
    if not number or not value:
        return NumberInfo(country=None, country_name="", region="", carrier="", time_zones=(), type=None)
    country_name = geocoder.country_name_for_number(number, language)
    region = geocoder.description_for_valid_number(number, language)
    return NumberInfo(
        country=value.country,
        country_name=country_name,
        region="" if region == country_name else region,
        carrier=carrier.name_for_valid_number(number, language),
        time_zones=tuple(zone for zone in timezone.time_zones_for_number(number) if zone != _UNKNOWN_ZONE),
        type=value.type,
    )


def warm_up() -> None:
    """Read the library's tables now, so that the first ringing call does not wait for them (half a second)."""
    describe("+74951234567", "ru")
