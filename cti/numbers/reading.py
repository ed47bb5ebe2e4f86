"""The eight steps from a presented text to a number. One path: `to_e164` and `explain` run the same steps.

Each step takes the reading as it is so far, may change its text, and may end it with a Number. The order carries the
meaning: an extension 101 is an extension before it is the fire brigade, and a "*" is noticed before a library drops it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from cti.numbers.parsing import Parsed, is_local_length, parse
from cti.numbers.values import (
    DEFAULT_PROFILE,
    Number,
    NumberingProfile,
    NumberKind,
    Problem,
    Step,
    StepOutcome,
)

MAX_CHARACTERS: Final = 256
MAX_DIGITS: Final = 15  # of an E.164 number; more cannot be one number
MIN_DIGITS_WITHOUT_PLUS: Final = 8  # a shorter one is never a foreign number that lost its "+"
MIN_DIGITS_IN_TEXT: Final = 7  # what may be picked out from between words
MIN_DIGITS_AFTER_PREFIX: Final = 5

HIDDEN_WORDS: Final = frozenset(
    {"anonymous", "unknown", "unavailable", "withheld", "private", "restricted", "asterisk"}
)
SERVICE_NUMBERS: Final = frozenset({"101", "102", "103", "104", "112"})

_SCHEME = re.compile(r"(?:tel|sips?):(?://)?", re.IGNORECASE)
_LABEL = re.compile(
    r"(?:телефон|тел|моб(?:ильный)?|раб(?:очий)?|дом(?:ашний)?|факс|т|telephone|phone|tel|mobile|mob|fax)"
    r"(?![^\W\d_])[.:\s]*",
    re.IGNORECASE,
)
_EXTENSION = re.compile(
    r"(?:"
    r",*\s*(?:доб(?:авочный|ав)?|внутр(?:енний)?|вн|extension|extn?)[.:=\s]*(?:no[.\s]*)?(?P<named>\d{1,9})"
    r"|(?:[xх]|,+|#)\s*(?P<marked>\d{1,6})"
    r")[\s).]*",
    re.IGNORECASE,
)
_EXTENSION_START = re.compile(r"доб|вн|ext|[xх]|,+|#", re.IGNORECASE)
_PUNCTUATION = re.compile(r"[\s()\[\].~/\u2010-\u2015\u2212-]+")  # what people put between digits
_RUN = re.compile(r"\+?\d[\d\s().\u2010-\u2015\u2212-]*")  # one number between words
_DIALLABLE = re.compile(r"\+?\d+")


@dataclass(slots=True)
class _Reading:
    """What is known while the steps run."""

    presented: str
    profile: NumberingProfile
    within_pbx: bool
    text: str
    outcome: StepOutcome = StepOutcome.UNCHANGED
    extension: str | None = None
    parsed: Parsed | None = None

    def become(self, text: str, outcome: StepOutcome) -> None:
        self.text, self.outcome = text, outcome

    def accept(self, parsed: Parsed, outcome: StepOutcome) -> None:
        self.parsed = parsed
        self.become(parsed.e164, outcome)

    def end(self, kind: NumberKind, outcome: StepOutcome, digits: str | None = None) -> Number:
        self.outcome = outcome
        return Number(kind=kind, presented=self.presented, extension=self.extension, digits=digits)

    def refuse(self, problem: Problem, sentence: str) -> Number:
        self.outcome = StepOutcome.REFUSED
        return Number(
            kind=NumberKind.NOT_A_NUMBER,
            presented=self.presented,
            problem=sentence.format(value=shown_safely(self.presented)),
            reason=problem,
        )


def to_e164(
    presented: str, profile: NumberingProfile = DEFAULT_PROFILE, *, within_pbx: bool = False
) -> Number:
    """Understand a presented number; never raises, reads at most 256 characters.

    Args:
        within_pbx: both ends are telephones of this PBX, so short digits are an extension and not a local number.
    """
    return _read(presented[:MAX_CHARACTERS], profile, within_pbx)


def explain(
    presented: str, profile: NumberingProfile = DEFAULT_PROFILE, *, within_pbx: bool = False
) -> tuple[Step, ...]:
    """The steps that `to_e164` takes with this text, up to the one that decided."""
    presented = presented[:MAX_CHARACTERS]
    taken: list[Step] = []
    _run(_Reading(presented, profile, within_pbx, presented), taken)
    return tuple(taken)


@lru_cache(maxsize=4096)
def _read(presented: str, profile: NumberingProfile, within_pbx: bool) -> Number:
    return _run(_Reading(presented, profile, within_pbx, presented), None)


def _run(reading: _Reading, taken: list[Step] | None) -> Number:
    """Step by step to the one that decides; `taken` notes them, if somebody wants to know."""
    for number, step in enumerate(_STEPS, start=1):
        before, reading.outcome = reading.text, StepOutcome.UNCHANGED
        result = step(reading)
        if taken is not None:
            taken.append(Step(number=number, outcome=reading.outcome, before=before, after=reading.text))
        if result is not None:
            return result
    raise AssertionError("step 8 always ends a reading")


def clean(text: str) -> str:
    """One spelling for one text: NFKC, ASCII digits, no invisible characters, single spaces."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    text = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS])[:MAX_CHARACTERS]
    return " ".join("".join(map(_plain, text)).split())


def _plain(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() else " "
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    # Direction marks and joiners come along when a number is copied from a messenger.
    return "" if unicodedata.category(character) in {"Cf", "Cc", "Cs", "Mn"} else character


def _normalise(reading: _Reading) -> Number | None:
    """Step 1: one spelling; the user part of tel: and sip:; a withheld number."""
    text = clean(reading.text).strip("<>\"' ")
    if scheme := _SCHEME.match(text):
        text = unquote(text[scheme.end() :])
    text = _without_parameters(text.partition("@")[0]).strip("<>\"' ")
    if label := _LABEL.match(text):
        text = text[label.end() :]
    if not text or text.lower() in HIDDEN_WORDS:
        reading.text = text
        return reading.end(NumberKind.HIDDEN, StepOutcome.HIDDEN)
    if text != reading.text:
        reading.become(text, StepOutcome.CLEANED)
    return None


def _without_parameters(text: str) -> str:
    number, *parameters = text.split(";")
    kept = next((each for each in parameters if each.strip().lower().startswith("ext=")), None)
    return number if kept is None else f"{number.rstrip()};{kept.strip()}"


def _known_extension(reading: _Reading) -> Number | None:
    """Step 2: an extension of this connection, even if it looks like an emergency number."""
    digits = _PUNCTUATION.sub("", reading.text)
    if digits in reading.profile.extensions:
        return reading.end(NumberKind.INTERNAL, StepOutcome.INTERNAL, digits)
    return None


def _service(reading: _Reading) -> Number | None:
    """Step 3: emergency and service numbers."""
    digits = _PUNCTUATION.sub("", reading.text)
    if digits in SERVICE_NUMBERS or digits in reading.profile.service_numbers:
        return reading.end(NumberKind.SERVICE, StepOutcome.SERVICE, digits)
    return None


def _strip_prefixes(reading: _Reading) -> Number | None:
    """Step 4: the prefixes that the profile names; a "*" or "#" that is left is dialled at a PBX, not called."""
    text = reading.text
    for prefixes in (reading.profile.feature_codes, reading.profile.outside_prefixes):
        text = _without_prefix(text, prefixes, reading.profile)
    if text != reading.text:
        reading.become(text, StepOutcome.PREFIX_STRIPPED)
        if service := _service(reading):  # 9-112 calls for help as 112 does
            return service
    significant = text.strip(" ().-")
    if significant.startswith(("*", "#")) or significant.endswith(("*", "#")):
        return reading.refuse(
            Problem.FEATURE_CODE,
            'The number "{value}" begins or ends with "*" or "#": that is a feature code. '
            "Give the number alone, or name the code in the numbering profile.",
        )
    return None


def _without_prefix(text: str, prefixes: tuple[str, ...], profile: NumberingProfile) -> str:
    for prefix in sorted(prefixes, key=len, reverse=True):
        if not prefix or not text.startswith(prefix):
            continue
        rest = text[len(prefix) :].lstrip(" -")
        digits = _digits(rest)
        if digits in SERVICE_NUMBERS or digits in profile.service_numbers:
            return rest
        is_prefix = not prefix.isdigit() or _reads_as_prefixed(text, rest, profile)
        if len(digits) >= MIN_DIGITS_AFTER_PREFIX and is_prefix:
            return rest
    return text


def _reads_as_prefixed(text: str, rest: str, profile: NumberingProfile) -> bool:
    """Whether a number's first digits get an outside line; with prefix 9, 900 123-45-67 is a mobile number as it is."""
    whole, without = _international(_compact(text)), _international(_compact(rest))
    if parse(whole, profile.region):
        return False
    if parse(without, profile.region) or is_local_length(without, profile.area_code, profile.region):
        return True
    return _with_plus(whole, profile) is None  # 998 90 123-45-67 is Tashkent, and not 9 and something


def _split_extension(reading: _Reading) -> Number | None:
    """Step 5: «доб. 101», "ext 101", ",101", "#101", ";ext=101" at the end."""
    for start in (mark.start() for mark in _EXTENSION_START.finditer(reading.text)):
        found = _EXTENSION.fullmatch(reading.text, start)
        if found and _digits(reading.text[:start]):
            reading.extension = found["named"] or found["marked"]
            reading.become(reading.text[:start].rstrip(" (,;"), StepOutcome.EXTENSION_SPLIT)
            break
    return None


def _parse_here(reading: _Reading) -> Number | None:
    """Step 6: "00" is "+"; then as dialled in the profile's country."""
    dialled = _international(_compact(reading.text))
    if not _DIALLABLE.fullmatch(dialled):
        reading.outcome = StepOutcome.NOT_YET_VALID
    elif valid := parse(dialled, reading.profile.region):
        reading.accept(valid, StepOutcome.VALID)
    else:
        reading.become(dialled, StepOutcome.NOT_YET_VALID)
    return None


def _parse_again(reading: _Reading) -> Number | None:
    """Step 7: a "+" that was lost, an area code that was left out, a number between words."""
    if reading.parsed is not None:
        return None
    reading.outcome = StepOutcome.NOT_YET_VALID
    if not _DIALLABLE.fullmatch(reading.text):
        return _pick_from_text(reading) if _digits(reading.text) else None
    if not reading.text.startswith("+"):
        _complete(reading, reading.text)
    return None


def _complete(reading: _Reading, digits: str) -> None:
    profile = reading.profile
    if reading.within_pbx and profile.is_internal_length(digits):
        return
    # The line's own town comes before a far island: 290-81-23 in Moscow is not +290 8123 on Saint Helena.
    if is_local_length(digits, profile.area_code, profile.region) and (
        valid := parse(profile.area_code + digits, profile.region)
    ):
        reading.accept(valid, StepOutcome.VALID_WITH_AREA_CODE)
    elif valid := _with_plus(digits, profile):
        reading.accept(valid, StepOutcome.VALID_WITH_PLUS)


def _with_plus(digits: str, profile: NumberingProfile) -> Parsed | None:
    return parse("+" + digits, profile.region) if len(digits) >= MIN_DIGITS_WITHOUT_PLUS else None


def _pick_from_text(reading: _Reading) -> Number | None:
    """Words around: take the one complete number among them; letters are never turned into digits."""
    runs = [run for run in _RUN.findall(reading.text) if len(_digits(run)) >= MIN_DIGITS_IN_TEXT]
    if len(runs) > 1:
        return reading.refuse(
            Problem.SEVERAL, 'There are several numbers in "{value}". Enter each in a field of its own.'
        )
    if runs and (valid := _complete_number(runs[0], reading.profile)):
        reading.accept(valid, StepOutcome.VALID_IN_TEXT)
        return None
    return reading.refuse(
        Problem.LETTERS,
        'There are letters or signs in "{value}" where digits belong. Enter the digits alone.',
    )


def _complete_number(run: str, profile: NumberingProfile) -> Parsed | None:
    """A number that says its own area: between words, "123-45-67" may belong to any town."""
    dialled = _international(_compact(run))
    if not _DIALLABLE.fullmatch(dialled):
        return None
    return parse(dialled, profile.region) or (None if "+" in dialled else _with_plus(dialled, profile))


def _conclude(reading: _Reading) -> Number | None:
    """Step 8: E.164, or digits that mean something here only, or nothing at all."""
    if parsed := reading.parsed:
        reading.outcome = StepOutcome.ACCEPTED
        return Number(
            kind=NumberKind.E164,
            presented=reading.presented,
            e164=parsed.e164,
            extension=reading.extension,
            country=parsed.country,
            type=parsed.type,
        )
    digits = _digits(reading.text)
    if not digits:
        return reading.refuse(
            Problem.NO_DIGITS, 'There are no digits in "{value}". Enter a telephone number.'
        )
    if len(digits) > MAX_DIGITS:
        return reading.refuse(
            Problem.TOO_LONG,
            'There are more than 15 digits in "{value}", and no number has so many. '
            "Enter one number; several go into fields of their own.",
        )
    if reading.within_pbx and reading.profile.is_internal_length(digits):
        return reading.end(NumberKind.INTERNAL, StepOutcome.INTERNAL, digits)
    return reading.end(NumberKind.LOCAL, StepOutcome.LOCAL, digits)


_STEPS: Final[tuple[Callable[[_Reading], Number | None], ...]] = (
    _normalise,
    _known_extension,
    _service,
    _strip_prefixes,
    _split_extension,
    _parse_here,
    _parse_again,
    _conclude,
)


def _compact(text: str) -> str:
    return _PUNCTUATION.sub("", text)


def _international(dialled: str) -> str:
    return "+" + dialled[2:] if dialled.startswith("00") else dialled


def _digits(text: str) -> str:
    return "".join(character for character in text if "0" <= character <= "9")


def shown_safely(text: str) -> str:
    """A presented text fit for one line of a message: invisible characters are shown, long ones cut."""
    visible = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)
    return visible if len(visible) <= 60 else visible[:59] + "…"
