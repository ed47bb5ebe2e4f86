"""Several numbers in one text: a cell of a price list, the footer of a letter."""

from __future__ import annotations

import re
from typing import Final

import phonenumbers

from cti.numbers.parsing import parsed
from cti.numbers.reading import clean, to_e164
from cti.numbers.values import DEFAULT_PROFILE, Number, NumberingProfile, NumberKind

MAX_TEXT: Final = 2048  # characters read of one text
MAX_FOUND: Final = 50

_OUR_EXTENSION_WORDS = re.compile(r"\b(?:вн|внутр|внутренний)\b[.:\s]*(?=\d)", re.IGNORECASE)
_SEPARATORS = re.compile(r"[;\n|]")


def find_numbers(text: str, profile: NumberingProfile = DEFAULT_PROFILE) -> list[Number]:
    """Every E.164 number in a text with its extension, in order, each once; at most 50 of 2,048 characters."""
    found: dict[tuple[str | None, str | None], Number] = {}
    for piece in _SEPARATORS.split(text[:MAX_TEXT]):
        for number in _in_piece(piece, profile):
            found.setdefault((number.e164, number.extension), number)
    return list(found.values())[:MAX_FOUND]


def _in_piece(piece: str, profile: NumberingProfile) -> list[Number]:
    whole = to_e164(piece, profile)
    if whole.kind is NumberKind.E164:
        return [whole]
    # The library's matcher knows «доб.» and "ext"; it has to be told «вн.».
    readable = _OUR_EXTENSION_WORDS.sub("доб. ", clean(piece))
    return [
        _from_match(match)
        for match in phonenumbers.PhoneNumberMatcher(readable, profile.region, max_tries=MAX_FOUND)
    ]


def _from_match(match: phonenumbers.PhoneNumberMatch) -> Number:
    value = parsed(match.number)
    assert value is not None, "the matcher yields valid numbers only"
    return Number(
        kind=NumberKind.E164,
        presented=match.raw_string,
        e164=value.e164,
        extension=match.number.extension,
        country=value.country,
        type=value.type,
    )
