"""A kept story step by step: what arrived, what we concluded, who was told, why a window came up or did not.

Each step is a sentence with places for names, so that a page can say it in the reader's language: `SENTENCES` are all
there are. The lines that we concluded are those of `cti.calls.story`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ami_adapter.framing import AmiMessage
from ami_adapter.stories.entries import Entry, Heard, Noted

HEARD: Final[Mapping[bytes, str]] = {
    b"Newchannel": "%(channel)s: a channel is made",
    b"Newstate": "%(channel)s: its state is %(state)s",
    b"NewCallerid": "%(channel)s: the number shown there is %(number)s",
    b"DialBegin": "the PBX begins to dial %(channel)s",
    b"DialState": "%(channel)s: its state is %(state)s",
    b"DialEnd": "dialling %(channel)s came to its end: %(state)s",
    b"BridgeEnter": "%(channel)s enters a bridge",
    b"BridgeLeave": "%(channel)s leaves a bridge",
    b"BridgeMerge": "two bridges become one",
    b"Hold": "%(channel)s puts the other side on hold",
    b"Unhold": "%(channel)s takes the other side off hold",
    b"QueueCallerJoin": "%(channel)s enters queue %(name)s",
    b"QueueCallerLeave": "%(channel)s leaves queue %(name)s",
    b"VarSet": "%(channel)s: the dialplan notes %(name)s",
    b"Newexten": "%(channel)s: the dialplan runs %(name)s",
    b"HangupRequest": "%(channel)s: somebody asks to hang up",
    b"Hangup": "%(channel)s is hung up: %(state)s",
    b"OriginateResponse": "the call that a program asked for: %(state)s",
    b"BlindTransfer": "the call is passed on to %(name)s without asking",
    b"AttendedTransfer": "the call is passed on after asking",
    b"Pickup": "%(channel)s picks up what rings elsewhere",
    b"ParkedCall": "the call is put into parking space %(name)s",
    b"UnParkedCall": "the call is fetched from its parking space",
    b"CoreShowChannel": "%(channel)s is in the list of present channels",
    b"CoreShowChannelsComplete": "the list of present channels is complete",
    b"Shutdown": "the PBX shuts down",
    b"ExtensionStatus": "the PBX names the telephone of extension %(name)s",
    b"QueueMember": "the PBX names a telephone of queue %(name)s",
    b"QueueMemberStatus": "the PBX names a telephone of queue %(name)s",
    b"QueueMemberAdded": "the PBX names a telephone of queue %(name)s",
}  # fmt: skip
UNUSED: Final = "set aside, says nothing of who rings or talks: %(names)s"
RINGS: Final[Mapping[str, str]] = {
    "shown": "extension %(extension)s is the telephone of %(user)s: the window goes to open pages, %(pages)s of them",
    "no_page": "extension %(extension)s is the telephone of %(user)s, who has no page open: no window",
    "nobody": "nobody is assigned to extension %(extension)s: no window",
    "unknown_extension": "extension %(extension)s is not known here: no window",
}
TOLD: Final[Mapping[str, str]] = {
    "call.ringing": "told to %(user)s: it rings",
    "call.ringing_stopped": "told to %(user)s: it no longer rings",
    "call.matched": "told to %(user)s: who calls",
    "call.answered": "told to %(user)s: the call is answered",
    "call.updated": "told to %(user)s: the call as it stands now",
    "call.ended": "told to %(user)s: the call is over",
}
DRAWN: Final = "the page of %(user)s drew the window, %(milliseconds)s ms after the event"
WHO: Final[Mapping[str, str]] = {
    "matched": "who calls: one client has this number",
    "ambiguous": "who calls: several clients have this number, the agent chooses",
    "unknown": "who calls: no client has this number",
    "hidden": "who calls: the number is withheld, nobody can be looked up",
    "internal": "who calls: a colleague",
    "ignored": "who calls: the number is one that is to be ignored",
}
BETWEEN_COLLEAGUES: Final = "the call stays among colleagues: no client is looked up"
NOBODY_RANG: Final = "no telephone of ours rang: there was nobody to show a window to"
SENTENCES: Final = (
    *dict.fromkeys(HEARD.values()),
    UNUSED,
    *RINGS.values(),
    *TOLD.values(),
    DRAWN,
    *WHO.values(),
    BETWEEN_COLLEAGUES,
    NOBODY_RANG,
)

ROUNDED: Final = timedelta(seconds=0.051)
_LINE: Final = re.compile(r"\+(?P<seconds>[\d.]+) s: ")
_CHANNELS: Final = ("Channel", "DestChannel", "ParkeeChannel", "TransfererChannel")
_STATES: Final = ("ChannelStateDesc", "DialStatus", "Cause-txt", "Response")
_NAMES: Final = ("Queue", "Variable", "Application", "Extension", "ParkingSpace", "Exten")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`kind`: heard, set_aside, concluded, told, why. Of what was concluded, `sentence` is the whole line."""

    at: datetime
    kind: str
    sentence: str
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.sentence if self.kind == "concluded" else self.sentence % self.values

    def as_json(self) -> dict[str, str]:
        return {"at": self.at.isoformat(timespec="milliseconds"), "kind": self.kind, "text": self.text}


def tell_steps(entries: Sequence[Entry]) -> list[Step]:
    """All steps in order; what says nothing is gathered between two that say something."""
    steps = sorted([*_heard_steps(entries), *_noted_steps(entries)], key=_place)
    return list(_gathered(steps))


def _place(step: Step) -> datetime:
    """What we concluded follows what it was concluded from, though its lines tell tenths of seconds only."""
    return step.at + ROUNDED if step.kind == "concluded" else step.at


def _heard_steps(entries: Sequence[Entry]) -> Iterator[Step]:
    for entry in entries:
        if isinstance(entry, Heard):
            message = AmiMessage(entry.raw)
            sentence = HEARD.get(message.event)
            if sentence is None:
                name = message.event.decode("utf-8", "replace")
                yield Step(at=entry.at, kind="set_aside", sentence=UNUSED, values={"names": name})
            else:
                yield Step(at=entry.at, kind="heard", sentence=sentence, values=_places(message))


def _places(message: AmiMessage) -> dict[str, str]:
    """What stands in the places of a sentence: the first of these headers that the message has."""

    def first(names: Sequence[str]) -> str:
        return next((message[name] for name in names if message.get(name)), "?")

    is_dial = message.event.startswith(b"Dial")
    return {
        "channel": first(_CHANNELS[1:] if is_dial else _CHANNELS),
        "state": first(_STATES[1:2] if is_dial else _STATES[2:] if message.event == b"Hangup" else _STATES),
        "number": first(("CallerIDNum",)),
        "name": first(_NAMES),
    }


def _noted_steps(entries: Sequence[Entry]) -> Iterator[Step]:
    notes = [entry for entry in entries if isinstance(entry, Noted)]
    for note in notes:
        if note.what == "concluded":
            yield from _concluded_steps(note)
        elif step := _step_of(note):
            yield step
    if notes and not any(note.what == "rings" for note in notes):
        yield Step(at=notes[-1].at, kind="why", sentence=NOBODY_RANG)


def _step_of(note: Noted) -> Step | None:
    """A note that this version does not know tells nothing."""
    values = {name: str(value) for name, value in note.values.items()}
    known: Mapping[str, tuple[str, str | None]] = {
        "rings": ("why", RINGS.get(values.get("why", ""))),
        "told": ("told", TOLD.get(values.get("type", ""))),
        "drawn": ("told", DRAWN),
        "recognised": ("why", WHO.get(values.get("outcome", ""))),
        "between_colleagues": ("why", BETWEEN_COLLEAGUES),
    }
    kind, sentence = known.get(note.what, ("", None))
    return Step(at=note.at, kind=kind, sentence=sentence, values=values) if sentence else None


def _concluded_steps(note: Noted) -> Iterator[Step]:
    """The lines of the record at their moments; without times, at the call's end."""
    started_at = _moment(note.values.get("started_at"))
    for line in note.values.get("story", ()):
        found = _LINE.search(line)
        at = started_at + timedelta(seconds=float(found["seconds"])) if found and started_at else note.at
        yield Step(at=at, kind="concluded", sentence=line)


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if value else None
    except ValueError:
        return None


def _gathered(steps: Sequence[Step]) -> Iterator[Step]:
    aside: list[Step] = []
    for step in steps:
        if step.kind == "set_aside":
            aside.append(step)
            continue
        yield from _one_of(aside)
        aside = []
        yield step
    yield from _one_of(aside)


def _one_of(aside: Sequence[Step]) -> Iterator[Step]:
    if aside:
        names = Counter(step.values["names"] for step in aside)
        told = ", ".join(f"{name} ×{times}" if times > 1 else name for name, times in names.items())
        yield Step(at=aside[0].at, kind="set_aside", sentence=UNUSED, values={"names": told})
