"""A recording without people: numbers, names, addresses, accounts and file names replaced, everything else as it was.

Each replacement is as long as what it replaces, in bytes, and always the same: equal things stay equal, a number stays the
same number in every spelling, and a replay tells the same call. What is not known to be harmless is replaced.

Digits are replaced from the right, each depending on those right of it (the way of Crypto-PAn): numbers with a common
ending keep a common ending, so that 8…, +7…, 7…, ten digits and a local spelling stay one number. The leading digits, which
tell country and area, stay. Two to four digits are extensions, menus and counters: they stay.
"""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
from collections.abc import Iterator
from itertools import count
from typing import Final

CHANGED_DIGITS: Final = 6  # the last ones of a number: a subscriber, not a town
FEWEST_DIGITS: Final = 5  # of a number
FEWEST_LETTERS: Final = 3  # of a word that is replaced wherever it stands
MOST_WEIGHED: Final = 500  # numbers; of more, some invented one may be another's
TRIES: Final = 100  # for numbers of which none is an original one

# What Asterisk itself writes there, from a closed vocabulary.
_HARMLESS: Final = (
    "Event Privilege Response ChannelState ChannelStateDesc Cause Cause-txt TechCause DialStatus BridgeType"
    " BridgeTechnology BridgeCreator BridgeNumChannels BridgeVideoSourceMode Priority Variable Application"
    " Result EventList ListItems CID-CallingPres Language Count Position Paused InCall Penalty"
    " Duration EventTV SessionTV EventVersion IsExternal TransferMethod DestType Timestamp"
    " AsteriskVersion"
)
_HARMLESS_HEADERS: Final = frozenset(_HARMLESS.split())
_HARMLESS_ANSWERS: Final = frozenset({"Channels will follow", "Authentication accepted"})
_PREFIXES: Final = re.compile(
    r"^(?:Dest|Transferer|Transferee|OrigTransferer|SecondTransferer|TransferTarget|Target|Parkee|Parker|Retriever"
    r"|OrigBridge|SecondBridge|FromBridge|ToBridge|Local(?:One|Two)|Source|Spy(?:er|ee))(?=[A-Z])"
)
_NAME_HEADERS: Final = frozenset(
    {"CallerIDName", "ConnectedLineName", "EffectiveConnectedLineName", "MemberName", "Name", "CallerIDname"}
)
_ID_HEADER: Final = re.compile(
    r"^\w*(?:Uniqueid|Linkedid): (?:[^\r\n]*-)?([0-9]{9,11}\.[0-9]+)\r?$", re.MULTILINE
)
_COUNTER_HEADER: Final = re.compile(r"^\w*Channel: [^\r\n]*-([0-9a-f]{8})(?:;[12])?\r?$", re.MULTILINE)
_NOBODY: Final = frozenset(
    {"", "<unknown>", "<null>", "unknown", "anonymous", "unavailable", "withheld", "private"}
)
# Words that a reader of channels, devices and numbers looks for (`ami_adapter.channels`, `cti.calls.legs`).
_READ_WORDS: Final = (
    "pjsip sip sips tel iax2 iax dahdi local sccp mgcp skinny unistim console message custom queue park conf confbridge"
    " meetme cbann cbrec announcer recorder surrogate asyncgoto snoop unicastrtp multicastrtp bridge null zombie masq"
    " from did trunk internal external default ext macro sub dial hangup anonymous unknown unavailable withheld private"
    " restricted asterisk none null wav gsm ulaw alaw mp3 from-did appdial appqueue vmstatus voicemail success failure"
    " answer busy noanswer cancel chanunavail congestion"
)
_VOCABULARY: Final = frozenset(_READ_WORDS.split())
_UUID: Final = r"(?<![0-9a-f-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f-])"
_COUNTER: Final = r"(?<=-)[0-9a-f]{8}(?![0-9a-zA-Z-])"
_ID: Final = r"(?<![\d.])\d{9,11}\.\d+"
_IPV4: Final = r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])"
_IPV6: Final = r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}(?![\w:])"
_GROUPED: Final = r"(?<!\d)(?:\+?\d{1,3}[ .(-]{1,2})?\(?\d{3,5}\)?[ .-]{1,2}\d{1,3}(?:[ .-]\d{2}[ .-]\d{2}|[ .-]\d{4})(?!\d)"
_LETTERS: Final = r"(?:[^\W\d_]|[\udc80-\udcff])+"
_WORD: Final = re.compile(_LETTERS)
_TOKEN: Final = re.compile(
    rf"(?P<id>{_ID}|{_COUNTER})|(?P<uuid>{_UUID})|(?P<address>{_IPV4}|{_IPV6})"
    rf"|(?P<number>{_GROUPED}|\d+)|(?P<word>{_LETTERS})"
)
_ANY_ID: Final = re.compile(rf"{_ID}|{_UUID}|{_COUNTER}")
_NUMBER: Final = re.compile(rf"\d{{{FEWEST_DIGITS},}}")
_IN_NAME: Final = re.compile(rf"(?P<digits>\d(?:[ ().-]{{0,2}}\d)*)|(?P<word>{_LETTERS})")
_LATIN, _CYRILLIC = "abcdefghijklmnopqrstuvwxyz", "абвгдежзиклмнопрстуфхцчшщэюя"


class Anonymiser:
    """Replaces what it finds in one stream, and in what is told of it.

    Args:
        stream: the whole recording: its ids are left alone, and no invented number is one that occurs in it.
        key: makes the replacements; by default nobody knows it, and nobody can find out afterwards.
    """

    def __init__(self, stream: bytes, *, key: bytes | None = None) -> None:
        text = _text_of(stream)
        self._ids = {*_ID_HEADER.findall(text), *_COUNTER_HEADER.findall(text)}
        self._words: dict[str, tuple[str, ...]] = {}
        self._taken = {word.lower() for word in _WORD.findall(text)} | _VOCABULARY
        self._addresses: dict[str, str] = {}
        self._lines: dict[tuple[str, bool], str] = {}  # most lines of a stream are repeated many times
        self._key = _best_key(set(_NUMBER.findall(_ANY_ID.sub("", text))), key or secrets.token_bytes(16))

    def stream(self, raw: bytes) -> bytes:
        """The bytes of a stream, or of whole messages of one; as long as before."""
        blocks = _text_of(raw).split("\r\n\r\n")
        return _bytes_of("\r\n\r\n".join(map(self._message, blocks)))

    def value(self, text: str) -> str:
        """A number, an extension, a file, an address, or text that holds such."""
        return _TOKEN.sub(self._replaced, text)

    def name(self, text: str) -> str:
        """A person's or a company's name, wherever it comes from: every word of it."""
        return text if text.strip('"').lower() in _NOBODY else _IN_NAME.sub(self._named, text)

    def _message(self, block: str) -> str:
        lines = block.split("\r\n")
        is_ours = "Event: UserEvent" not in lines  # headers of those are anybody's
        return "\r\n".join(self._line(line, trusts_headers=is_ours) for line in lines)

    def _line(self, line: str, *, trusts_headers: bool) -> str:
        key = (line, trusts_headers)
        if key not in self._lines:
            self._lines[key] = self._anonymous_line(line, trusts_headers=trusts_headers)
        return self._lines[key]

    def _anonymous_line(self, line: str, *, trusts_headers: bool) -> str:
        header, separator, value = line.partition(": ")
        if not separator:
            return line if line.startswith("Asterisk Call Manager/") else self.value(line)
        plain = _PREFIXES.sub("", header)
        if header == "Event" or (trusts_headers and _is_harmless(plain, value)):
            return line
        return f"{header}: {self.name(value) if plain in _NAME_HEADERS else self.value(value)}"

    def _replaced(self, found: re.Match[str]) -> str:
        text = found.group()
        match found.lastgroup:
            case "id" if text not in self._ids:
                return re.sub(r"\d+", lambda part: _shifted(part.group(), self._key), text)
            case "number":
                return _shifted(text, self._key)
            case "address":
                return self._address(text)
            case "word" if self._is_replaced(text):
                return self._word(text)
        return text

    def _is_replaced(self, word: str) -> bool:
        """Short ones only where they are a name that is no abbreviation of a dialplan: «Ли»."""
        if len(word) >= FEWEST_LETTERS:
            return word.lower() not in _VOCABULARY
        return not word.isascii() and len(word) > 1

    def _named(self, found: re.Match[str]) -> str:
        text = found.group()
        return self._word(text) if found.lastgroup == "word" else _shifted(text, self._key)

    def _word(self, text: str) -> str:
        folded = text.lower()
        if len(_bytes_of(folded)) != len(_bytes_of(text)):
            folded = text
        if folded not in self._words:
            self._words[folded] = self._invented_word(folded)
        return "".join(map(_as_in, text, self._words[folded]))

    def _invented_word(self, word: str) -> tuple[str, ...]:
        """For each letter as many bytes; a word that stands nowhere in the stream, if there is one left."""
        for salt in range(TRIES):
            seed = hashlib.sha256(self._key + b"word %d " % salt + _bytes_of(word)).digest()
            invented = tuple(map(_letter, word, _endless(seed)))
            if "".join(invented) not in self._taken:
                break
        self._taken.add("".join(invented))
        return invented

    def _address(self, text: str) -> str:
        """An address of the same form; another one for each."""
        for salt in range(TRIES if text not in self._addresses else 0):
            seed = hashlib.sha256(self._key + b"address %d " % salt + text.encode()).digest()
            invented = "".join(map(_digit_of, text, _endless(seed)))
            if invented != text and invented not in self._addresses.values():
                self._addresses[text] = invented
                break
        return self._addresses.setdefault(text, text)


def _is_harmless(header: str, value: str) -> bool:
    return header in _HARMLESS_HEADERS or (header == "Message" and value in _HARMLESS_ANSWERS)


def _text_of(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _best_key(numbers: set[str], key: bytes) -> bytes:
    """A key with which no invented number is an original one, nor begins as only others do; of many numbers, the best."""
    keys = [hashlib.sha256(key + b"%d" % turn).digest() for turn in range(TRIES)]
    if len(numbers) > MOST_WEIGHED:
        return keys[0]
    faults_of = functools.partial(_faults, numbers, {number[-7:] for number in numbers})
    return next((one for one in keys if not faults_of(one)), None) or min(keys, key=faults_of)


def _faults(numbers: set[str], endings: set[str], key: bytes) -> int:
    changed = {number: _shifted(number, key) for number in numbers}
    same = sum(new[-7:] in endings for new in changed.values())
    return 10 * same + sum((old[0] in "089") != (new[0] in "089") for old, new in changed.items())


def _shifted(text: str, key: bytes) -> str:
    """The digits of a number as other digits; what stands between them stays. Too few digits are no number."""
    digits = [character for character in text if character.isdecimal()]
    if len(digits) < FEWEST_DIGITS or not "".join(digits).isascii():
        return text
    ending = ""
    for place in range(min(CHANGED_DIGITS, len(digits))):
        old = digits[-1 - place]
        shift = hashlib.sha256(key + ending.encode()).digest()[0]
        # The last digit always changes, so that no number stays what it was.
        digits[-1 - place] = str((int(old) + (1 + shift % 9 if place == 0 else shift % 10)) % 10)
        ending = old + ending
    fresh = iter(digits)
    return "".join(next(fresh) if character.isdecimal() else character for character in text)


def _endless(seed: bytes) -> Iterator[int]:
    for block in count():
        yield from hashlib.sha256(seed + b"%d" % block).digest()


def _letter(old: str, new: int) -> str:
    if old.isascii():
        return _LATIN[new % len(_LATIN)]
    if "\udc80" <= old <= "\udcff":
        return "x"
    size = len(old.encode())
    return _CYRILLIC[new % len(_CYRILLIC)] if size == 2 else "x" * size


def _as_in(old: str, new: str) -> str:
    return new.upper() if old.isupper() else new


def _digit_of(old: str, new: int) -> str:
    if old.isdecimal():
        return str(1 + new % 2) if old in "12" else str(new % 10) if old != "0" else old
    return "abcdef"[new % 6] if old.isalpha() else old
