"""Which endpoint is a colleague's telephone, and which is a line to the outside: learned from the stream itself.

An endpoint's name need not be its extension, and nothing in a stream says "trunk". What does tell:

- the PBX itself: hints and queue members are telephones; what we were told (lines, extensions) is certain;
- how it is called: a line is handed a number (`+79161234567@trunk-b`), a telephone is called by its own name;
- who calls on it: a telephone always presents the same short number, a line presents outside numbers, many of them;
- where it enters the dialplan: telephones share a context, lines share another.

Every piece of evidence counts once for an endpoint, however often it is seen, so a repeated stream changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum

MAX_ENDPOINTS = 20_000  # the oldest is forgotten beyond that: hostile names cannot fill the memory
MAX_EXTENSION_DIGITS = 6
MIN_OUTSIDE_DIGITS = 7
STRONG = 20  # from here on an endpoint tells what its context is for

LINE_WORDS = re.compile(
    r"trunk|gateway|\bgw|provider|pstn|goip|gsm|\bdid\b|incoming|inbound|external|outside", re.I
)
PHONE_WORDS = re.compile(
    r"internal|\blocal|phone|office|users?\b|agents?\b|extensions?\b|employee|staff", re.I
)
NOT_OUTSIDE = re.compile(r"[*#]")
SEPARATORS = re.compile(r"[ ()-]")
NON_NUMBER = re.compile(r"[^0-9]")


class Role(Enum):
    """What an endpoint is."""

    PHONE = "phone"
    LINE = "line"
    UNKNOWN = "unknown"


def is_outside_number(number: str) -> bool:
    """Long enough to be reached over a line only; `*72…` is a feature code, whatever follows."""
    if not number or NOT_OUTSIDE.search(number):
        return False
    plain = number.removeprefix("+")
    if not plain.isdigit():
        plain = SEPARATORS.sub("", plain)  # +7(916)123-45-67
    return plain.isdigit() and len(plain) >= MIN_OUTSIDE_DIGITS


def is_short_number(number: str) -> bool:
    """It may be an extension: two to six digits."""
    return number.isascii() and number.isdigit() and 2 <= len(number) <= MAX_EXTENSION_DIGITS


def is_same_number(one: str, other: str) -> bool:
    """Equal but for prefixes: 89161234567, +79161234567, 9161234567."""
    tails = NON_NUMBER.sub("", one)[-MIN_OUTSIDE_DIGITS:], NON_NUMBER.sub("", other)[-MIN_OUTSIDE_DIGITS:]
    return tails[0] == tails[1] and len(tails[0]) == MIN_OUTSIDE_DIGITS


@dataclass(slots=True)
class Endpoint:
    """What is known of one endpoint; positive evidence says line, negative says telephone."""

    name: str
    evidence: dict[str, int] = field(default_factory=dict)
    score: int = 0
    told_extension: str = ""  # by a hint, a queue member, or an administrator
    own_number: str = ""  # the short number it bears when it is called: configured on the PBX
    presented: str = ""  # the short number it presents when it calls
    presented_outside: str = ""  # the last outside number it presented
    context: str = ""
    is_counted: bool = False  # among the endpoints that tell what a context is for

    @property
    def resource(self) -> str:
        """The name without its technology: "101" of "PJSIP/101"."""
        return self.name.partition("/")[2]

    def note(self, what: str, weight: int) -> None:
        """Add a piece of evidence, once."""
        if what not in self.evidence:
            self.evidence[what] = weight
            self.score += weight


class Endpoints:
    """All endpoints of one PBX, and what they are."""

    def __init__(
        self,
        *,
        extensions: Collection[str] = (),
        lines: Collection[str] = (),
        internal_pattern: str | None = None,
    ) -> None:
        """Extensions are numbers of telephones; lines are endpoint names ("PJSIP/trunk-a", "trunk-a") or our numbers.

        A pattern, matched against the whole extension, decides alone.
        """
        self._endpoints: dict[str, Endpoint] = {}
        self._told_extensions: set[str] = set()
        self._contexts: dict[str, set[Role]] = {}
        self._judged: dict[str, tuple[Role, str]] = {}
        self.version = 0  # of all judgements together
        self._seen_at, self._seen_extensions = 0, frozenset[str]()  # of telephones, at that version
        self._extensions = frozenset(extensions)
        self._lines = frozenset(lines)
        self._internal = re.compile(internal_pattern) if internal_pattern else None

    # -- what is seen --------------------------------------------------------------------------------------------

    def note_known(self, endpoint: str, extension: str) -> None:
        """The PBX says that this is a telephone."""
        known = self._named(endpoint)
        is_lamp = (
            known.evidence.get("is named like a line") and not known.own_number
        )  # it may show a line's state
        known.note("named as a telephone", -20 if is_lamp else -100 if extension else -60)
        known.told_extension = known.told_extension or extension
        if len(self._told_extensions) < MAX_ENDPOINTS:
            self._told_extensions.add(extension)
        self._judge(known)

    def note_called(self, endpoint: str, own_number: str, context: str) -> None:
        """The PBX made a channel to call it; the number it bears at birth is its configured one."""
        known = self._named(endpoint)
        self._note_context(known, context)
        if is_short_number(own_number) and not known.own_number:
            known.own_number = own_number
            known.note("bears a short number", -15)
        self._judge(known)

    def note_dialled(self, endpoint: str, number: str) -> None:
        """The PBX began to dial it, handing it this number or none."""
        known = self._named(endpoint)
        if number and number != known.resource:
            known.note("was handed a number", 50)
        else:
            known.note("was called by its own name", -30)
        self._judge(known)

    def note_caller(self, endpoint: str, presented: str, dialled: str, context: str) -> None:
        """It called the PBX, presenting one number and dialling another."""
        known = self._named(endpoint)
        self._note_context(known, context)
        if is_outside_number(presented):
            known.note("presents an outside number", 12)
            if known.presented_outside not in ("", presented):
                known.note("presents several outside numbers", 40)
            known.presented_outside = presented
        elif is_short_number(presented):
            # Five and six digits may also be a telephone in the same small town.
            known.note("presents a short number", -10 if len(presented) <= 4 else -4)
            if known.presented not in ("", presented):
                known.note("presents several short numbers", 25)  # another PBX behind a line: colleagues afar
            known.presented = known.presented or presented
        elif is_outside_number(dialled):
            known.note("presents no number but dials one", 8 if presented else 12)
        elif not presented and len(dialled) != 3 and len(dialled) != 4:
            known.note("presents no number", 6)  # a telephone has at least its name
        if presented and presented == known.resource and not is_outside_number(presented):
            known.note("presents its own name", -15)
        if dialled.startswith("*") or is_short_number(dialled):
            known.note("dials short numbers", -5 if len(dialled) <= 4 else -1)
        if NON_NUMBER.sub("", dialled) and dialled in self._lines:
            known.note("delivers a number of ours", 60)
        self._judge(known)

    def note_did(self, endpoint: str) -> None:
        """The dialplan noted what it dialled as a number of ours that was called: a line delivers such."""
        known = self._named(endpoint)
        known.note("delivers what the dialplan calls a DID", 20)
        self._judge(known)

    def note_led_inside(self, endpoint: str) -> None:
        """The long number it dialled led to us, not out: it is one of ours, and lines deliver such."""
        known = self._named(endpoint)
        known.note("dialled a number of ours", 10)
        self._judge(known)

    def note_number_went_out(self, endpoint: str) -> None:
        """The number it dialled was handed to a line: it is a telephone that called out."""
        known = self._named(endpoint)
        known.note("dialled out", -40)
        self._judge(known)

    def _note_context(self, known: Endpoint, context: str) -> None:
        if context and not known.context:
            known.context = context
            if LINE_WORDS.search(context):
                known.note("enters where lines do", 8)
            elif PHONE_WORDS.search(context):
                known.note("enters where telephones do", -8)

    def is_outside(self, number: str) -> bool:
        """Whether this dialled number leaves the house: long enough, and nobody's extension."""
        if self._internal is not None and self._internal.fullmatch(number):
            return False
        return (
            is_outside_number(number)
            and number not in self._extensions
            and number not in self._told_extensions
        )

    def is_extension(self, number: str) -> bool:
        """Whether it is known to be a colleague's, by what we were told, a hint, or a telephone that was seen."""
        if self._seen_at != self.version:
            seen = (extension for role, extension in self._judged.values() if role is Role.PHONE)
            self._seen_at, self._seen_extensions = self.version, frozenset(seen)
        return (
            number in self._extensions or number in self._told_extensions or number in self._seen_extensions
        )

    def is_ours(self, number: str) -> bool:
        """Whether it is one of the numbers that we were told are ours."""
        return any(is_same_number(number, line) for line in self._lines)

    # -- what it is ----------------------------------------------------------------------------------------------

    def role_of(self, endpoint: str) -> Role:
        """Telephone or line, as far as is known by now."""
        judged = self._judged.get(endpoint)
        return judged[0] if judged else Role.UNKNOWN

    def extension_of(self, endpoint: str) -> str:
        """The extension of a telephone: as told, as configured on it, its name, or as it presents itself."""
        judged = self._judged.get(endpoint)
        return judged[1] if judged else endpoint.partition("/")[2]

    def _role(self, known: Endpoint) -> Role:
        if self._internal is not None:
            return Role.PHONE if any(map(self._internal.fullmatch, self._numbers(known))) else Role.LINE
        score = self._told(known) or known.score + self._by_neighbours(known)
        if score == 0:
            return Role.UNKNOWN
        return Role.LINE if score > 0 else Role.PHONE

    def _extension(self, known: Endpoint) -> str:
        numbers = self._numbers(known)
        if self._internal is not None:
            numbers = [number for number in numbers if self._internal.fullmatch(number)] or numbers
        return numbers[0]

    def _numbers(self, known: Endpoint) -> list[str]:
        """Everything that may be the extension, likeliest first; never empty."""
        own_name = known.resource if is_short_number(known.resource) else ""
        candidates = (known.told_extension, known.own_number, own_name, known.presented, known.resource)
        return [candidate for candidate in candidates if candidate] or [known.name]

    def _told(self, known: Endpoint) -> int:
        if known.name in self._lines or known.resource in self._lines:
            return 1000
        return -1000 if self._extensions and self._numbers(known)[0] in self._extensions else 0

    def _by_neighbours(self, known: Endpoint) -> int:
        """Endpoints that enter the dialplan at the same place are of one kind, unless some there are seen to differ."""
        kinds = self._contexts.get(known.context, ())
        if known.is_counted or len(kinds) != 1:
            return 0
        return 6 if Role.LINE in kinds else -6

    def _judge(self, known: Endpoint) -> None:
        """Judge anew; whoever built on the old judgement sees by the version that it changed."""
        self._count(known)
        judged = self._role(known), self._extension(known)
        if self._judged.get(known.name) != judged:
            self._judged[known.name] = judged
            self.version += 1

    def _count(self, known: Endpoint) -> None:
        """Once its kind is clear, an endpoint tells what its context is for."""
        if (
            known.context
            and not known.is_counted
            and abs(known.score) >= STRONG
            and len(self._contexts) < 1000
        ):
            known.is_counted = True
            kind = Role.LINE if known.score > 0 else Role.PHONE
            self._contexts.setdefault(known.context, set()).add(kind)
            for neighbour in self._endpoints.values():
                if neighbour.context == known.context and not neighbour.is_counted:
                    self._judged[neighbour.name] = self._role(neighbour), self._extension(neighbour)
            self.version += 1

    def _named(self, endpoint: str) -> Endpoint:
        known = self._endpoints.get(endpoint)
        if known is None:
            if len(self._endpoints) >= MAX_ENDPOINTS:
                oldest = next(iter(self._endpoints))
                del self._endpoints[oldest]
                self._judged.pop(oldest, None)
            known = self._endpoints[endpoint] = Endpoint(endpoint)
            if is_short_number(known.resource):
                # Five and six digits may also be an account at a provider.
                known.note("is named like an extension", -20 if len(known.resource) <= 4 else -8)
            elif is_outside_number(known.resource) or LINE_WORDS.search(known.resource):
                known.note("is named like a line", 14)
        return known
