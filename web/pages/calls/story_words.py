"""The lines of a call's story in the reader's language. They are stored in the English of `cti.calls.story`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from ami_adapter.stories.steps import Step
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


_KINDS: Final = {
    "heard": N_("the PBX"),
    "set_aside": N_("the PBX"),
    "concluded": N_("conclusion"),
    "told": N_("told"),
    "why": N_("reason"),
}
# The sentences of `ami_adapter.stories.steps`.
STEP_SENTENCES: Final = (
    N_("%(channel)s: a channel is made"),
    N_("%(channel)s: its state is %(state)s"),
    N_("%(channel)s: the number shown there is %(number)s"),
    N_("the PBX begins to dial %(channel)s"),
    N_("dialling %(channel)s came to its end: %(state)s"),
    N_("%(channel)s enters a bridge"),
    N_("%(channel)s leaves a bridge"),
    N_("two bridges become one"),
    N_("%(channel)s puts the other side on hold"),
    N_("%(channel)s takes the other side off hold"),
    N_("%(channel)s enters queue %(name)s"),
    N_("%(channel)s leaves queue %(name)s"),
    N_("%(channel)s: the dialplan notes %(name)s"),
    N_("%(channel)s: the dialplan runs %(name)s"),
    N_("%(channel)s: somebody asks to hang up"),
    N_("%(channel)s is hung up: %(state)s"),
    N_("the call that a program asked for: %(state)s"),
    N_("the call is passed on to %(name)s without asking"),
    N_("the call is passed on after asking"),
    N_("%(channel)s picks up what rings elsewhere"),
    N_("the call is put into parking space %(name)s"),
    N_("the call is fetched from its parking space"),
    N_("%(channel)s is in the list of present channels"),
    N_("the list of present channels is complete"),
    N_("the PBX shuts down"),
    N_("the PBX names the telephone of extension %(name)s"),
    N_("the PBX names a telephone of queue %(name)s"),
    N_("set aside, says nothing of who rings or talks: %(names)s"),
    N_(
        "extension %(extension)s is the telephone of %(user)s: the window goes to open pages, %(pages)s of them"
    ),
    N_("extension %(extension)s is the telephone of %(user)s, who has no page open: no window"),
    N_("nobody is assigned to extension %(extension)s: no window"),
    N_("extension %(extension)s is not known here: no window"),
    N_("told to %(user)s: it rings"),
    N_("told to %(user)s: it no longer rings"),
    N_("told to %(user)s: who calls"),
    N_("told to %(user)s: the call is answered"),
    N_("told to %(user)s: the call as it stands now"),
    N_("told to %(user)s: the call is over"),
    N_("the page of %(user)s drew the window, %(milliseconds)s ms after the event"),
    N_("who calls: one client has this number"),
    N_("who calls: several clients have this number, the agent chooses"),
    N_("who calls: no client has this number"),
    N_("who calls: the number is withheld, nobody can be looked up"),
    N_("who calls: a colleague"),
    N_("who calls: the number is one that is to be ignored"),
    N_("the call stays among colleagues: no client is looked up"),
    N_("no telephone of ours rang: there was nobody to show a window to"),
)


def _pattern(message: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+)", re.escape(message)))


_PATTERNS: Final = tuple((_pattern(message), message) for message in _LINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLine:
    """One line as the page shows it. `language` is set where it is not in the reader's own."""

    text: str
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryStep:
    """One kept step as the page shows it: when, what kind of step, the sentence."""

    clock: str
    kind: str
    text: str
    language: str | None = None


def told_story(story: tuple[str, ...]) -> list[StoryLine]:
    """A line that this version does not know stays as it was written."""
    return [_told(line) for line in story]


def told_steps(steps: Sequence[Step], zone: tzinfo) -> list[StoryStep]:
    """What is kept of a call, with the reader's clock."""
    return [_told_step(step, zone) for step in steps]


def _told_step(step: Step, zone: tzinfo) -> StoryStep:
    at = step.at.astimezone(zone)
    clock, kind = f"{at:%H:%M:%S}.{at.microsecond // 1000:03}", _(_KINDS[step.kind])
    if step.kind == "concluded":
        line = _told(step.sentence)
        return StoryStep(clock=clock, kind=kind, text=line.text, language=line.language)
    return StoryStep(clock=clock, kind=kind, text=_(step.sentence) % step.values)


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
