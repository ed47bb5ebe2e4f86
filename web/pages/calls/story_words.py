"""The lines of a call's story in the reader's language. They are stored in the English of `cti.calls.story`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from web.i18n import current_language
from web.i18n import gettext as _
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker

_WHEN: Final = re.compile(r"\+(?P<seconds>[\d.]+) s: (?P<line>.*)")
_ENGLISH: Final = "en"

# What stands in the place of a name or number.
_PLACES: Final = (
    N_("a hidden number"),
    N_("a program"),
    N_("somebody"),
    N_("withheld"),
    N_("us"),
)
_OUTCOMES: Final = (
    N_("answered"),
    N_("a mailbox took it"),
    N_("the caller gave up waiting"),
    N_("nobody served the caller"),
    N_("outside of working hours"),
    N_("the caller left in the voice menu"),
    N_("the caller is blocked"),
    N_("busy"),
    N_("no answer"),
    N_("declined"),
    N_("failed"),
    N_("given up before it rang"),
    N_("nobody saw how"),
    N_("not known"),
)
# Each is the pattern and the message at once: `%(who)s` matches anything there. The first that fits counts.
_LINES: Final = (
    N_("a program calls %(who)s to connect them with %(whom)s"),
    N_("%(who)s passes the call on to %(whom)s without asking"),
    N_("%(who)s passes the call on to %(whom)s after talking to them"),
    N_("%(who)s passes the call on to %(whom)s while it still rings there"),
    N_("%(who)s parks the call"),
    N_("the call waits in parking space %(name)s"),
    N_("the call waits in queue %(name)s"),
    N_("mailbox %(name)s takes the call"),
    N_("a mailbox took the call"),
    N_("a voice menu answers"),
    N_("the customer's number is %(name)s"),
    N_("%(who)s outside talks with the customer"),
    N_("the call is put on hold"),
    N_("the call is taken off hold"),
    N_("it rings at the other side"),
    N_("the call ended while nobody listened (%(outcome)s)"),
    N_("told afterwards from channel event logging"),
    N_("told afterwards from %(count)s call detail records: %(outcome)s"),
    N_("the customer hangs up: %(outcome)s"),
    N_("the agent hangs up: %(outcome)s"),
    N_("the PBX ends the call: %(outcome)s"),
    N_("the call ends: %(outcome)s"),
    N_("%(who)s stops ringing: answered elsewhere by %(whom)s"),
    N_("%(who)s stops ringing: answered elsewhere"),
    N_("%(who)s stops ringing: the caller is gone"),
    N_("%(who)s declines the call"),
    N_("%(who)s is busy"),
    N_("%(who)s does not answer"),
    N_("%(who)s cannot be reached"),
    N_("%(who)s is back"),
    N_("%(who)s is consulted"),
    N_("%(who)s talks"),
    N_("%(who)s answers"),
    N_("%(who)s leaves"),
    N_("%(who)s rings"),
    N_("%(who)s dials outside number %(whom)s"),
    N_("%(who)s dials %(whom)s"),
    N_("%(who)s calls %(whom)s"),
)


def _pattern(message: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+)", re.escape(message)))


_PATTERNS: Final = tuple((_pattern(message), message) for message in _LINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLine:
    """One line as the page shows it. `language` is set where it is not in the reader's own."""

    text: str
    language: str | None = None


def told_story(story: tuple[str, ...]) -> list[StoryLine]:
    """A line that this version does not know stays as it was written."""
    return [_told(line) for line in story]


def _told(line: str) -> StoryLine:
    if current_language() == _ENGLISH:
        return StoryLine(text=line)
    depth = len(line) - len(line.lstrip("("))  # brackets around what came from a call that joined this one
    inner = line[depth : len(line) - depth]
    when = _WHEN.fullmatch(inner)
    told = _sentence(when["line"] if when else inner)
    if told is None:
        return StoryLine(text=line, language=_ENGLISH)
    if when:
        told = _("+%(seconds)s s: %(line)s") % {"seconds": when["seconds"].replace(".", ","), "line": told}
    return StoryLine(text=f"({told})" if depth else told)


def _sentence(line: str) -> str | None:
    for pattern, message in _PATTERNS:
        if found := pattern.fullmatch(line):
            return _(message) % {name: _value(value) for name, value in found.groupdict().items()}
    return None


def _value(value: str) -> str:
    return _(value) if value in _PLACES or value in _OUTCOMES else value
