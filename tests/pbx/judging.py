"""What our core told of a run, held against what the telephones of the run saw and heard.

Who talked with whom is what the customer's ear says: each voice is a tone of its own. Who rang, who hung up and when
are the telephones' notes. Only what no telephone can know (the word for the outcome, the kind of a transfer, the name
of a queue) comes from the script.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ami_adapter.replay import call_events, read_stream, read_timing, replay_calls, timed_chunks
from cti.calls.call_events import CallArrived, CallEnded, CallEvent, CallRinging
from cti.calls.tracker import CallTracker
from tests.pbx.asterisk_lab import OFFICE_PHONES
from tests.pbx.phones.line import Line

CLOSE = 1.0  # seconds between a telephone's note and the PBX's event, on a busy machine
KEYS_SECONDS = 0.5  # while keys are pressed nobody is heard, though the PBX counts it as talk
EAR_GAP = 0.35  # seconds without a voice that are no pause yet
EAR_SHORTEST = 0.15  # seconds; a shorter tone is a scrap of an announcement

Told = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A passing on, as the script did it."""

    by: str | None
    to: str
    kind: str  # blind, attended, blonde, park
    is_answered: bool = True


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A call with a customer, as the script went.

    Args:
        customer: the customer's end; None where nobody was called.
        placed_by: of an outgoing call.
        rang: where not every telephone that rang rang for this call.
        hung_up_by: where the telephones cannot tell.
        final_agent: where the customer did not hear the last of ours.
        is_timed: False where the customer hears what is no person, so that the ear cannot measure the talk.
    """

    customer: Line | None
    disposition: str
    direction: str = "inbound"
    number: str | None
    did: str | None = None
    queue: str | None = None
    placed_by: str | None = None
    passed: tuple[Passed, ...] = ()
    rang: frozenset[str] | None = None
    hung_up_by: str | None = None
    final_agent: str | None = None
    is_timed: bool = True


@dataclass(frozen=True, kw_only=True)
class Inside:
    """A call among colleagues."""

    by: str
    dialled: str
    is_answered: bool


@dataclass(frozen=True, kw_only=True)
class Run:
    """One recorded scenario: what was told, and the telephones' ends of it."""

    told: Sequence[Told]
    events: Sequence[CallEvent]
    lines: Sequence[Line]

    @classmethod
    def of(cls, recording: Path, lines: Sequence[Line]) -> Run:
        ami, timing = recording.with_suffix(".ami"), recording.with_suffix(".timing.json")
        events = call_events(timed_chunks(read_stream(ami), read_timing(timing)), CallTracker())
        return cls(told=replay_calls(ami, timing=timing), events=list(events), lines=lines)

    def stories(self) -> list[str]:
        return [f"  {line}" for call in self.told for line in (f"{call['key']}:", *call["story"])]

    def voices(self) -> dict[int, str]:
        """Whose tone is whose: the extension, or "outside"."""
        return {line.hz: self._name(line) for line in self.lines}

    def rang(self) -> frozenset[str]:
        """Telephones of ours that rang."""
        names = (line.phone.name for line in self.lines if line.notes.rang_at and not line.is_ours)
        return frozenset(names) & frozenset(OFFICE_PHONES)

    @staticmethod
    def _name(line: Line) -> str:
        return line.phone.name if line.phone.name in OFFICE_PHONES else "outside"


@dataclass(frozen=True, kw_only=True)
class Talk:
    """Somebody in the customer's ear, from and to in seconds of the monotonic clock."""

    name: str
    begins: float
    ends: float


def differences(run: Run, calls: Sequence[Expected], inside: Sequence[Inside]) -> list[str]:
    """Everything that was told otherwise than it happened, in words."""
    with_customers = [call for call in run.told if call["direction"] != "internal"]
    among_us = [call for call in run.told if call["direction"] == "internal"]
    found = list(_counts(run, with_customers, calls))
    for call, expected in zip(with_customers, calls, strict=False):
        found += [f"call {call['key']}: {text}" for text in _differences(run, call, expected)]
    told_inside = [(call["placed_by"], call["dialled"], call["answered"]) for call in among_us]
    was_inside = [(one.by, one.dialled, one.is_answered) for one in inside]
    if told_inside != was_inside:
        found.append(f"calls among colleagues: {told_inside}, not {was_inside}")
    return found


def _counts(run: Run, told: Sequence[Told], calls: Sequence[Expected]) -> Iterator[str]:
    if len(told) != len(calls):
        yield f"{len(told)} calls with customers, not {len(calls)}"
    keys = [call["key"] for call in run.told]
    for kind in (CallArrived, CallEnded):
        counted = Counter(event.call.key for event in run.events if isinstance(event, kind))
        if too_often := {key: count for key, count in counted.items() if count > 1}:
            yield f"{kind.__name__} told more than once: {too_often}"
        if kind is CallEnded and (missing := set(keys) - set(counted)):
            yield f"the end of {missing} was not told"
    for call in run.told:
        if call["open"]:
            yield f"call {call['key']} never ended"


def _differences(run: Run, call: Told, expected: Expected) -> Iterator[str]:
    talks = talks_of(run, expected.customer)
    ours = [talk.name for talk in talks if talk.name != "outside"]
    is_inbound = expected.direction == "inbound"
    seen = {
        "direction": expected.direction,
        "customer_number_raw": expected.number,
        "did_raw": expected.did,
        "queue": expected.queue,
        "placed_by": expected.placed_by,
        "disposition": expected.disposition,
        "answered": expected.disposition == "answered",
        "answered_by": next(iter(ours), None) if is_inbound else None,
        "final_agent": expected.final_agent or next(reversed(ours), expected.placed_by),
        "hung_up_by": expected.hung_up_by or who_hung_up(run, expected.customer),
    }
    for name, was in seen.items():
        if call[name] != was:
            yield f"{name}: {call[name]!r}, not {was!r}"
    rang = run.rang() if expected.rang is None else expected.rang
    if set(call["rang"]) != rang or len(call["rang"]) != len(rang):
        yield f"rang: {call['rang']}, not {sorted(rang)}"
    told = [(one["from"], one["to"], one["kind"], one["outcome"] == "answered") for one in call["transfers"]]
    was_passed = [(one.by, one.to, one.kind, one.is_answered) for one in expected.passed]
    if told != was_passed:
        yield f"transfers: {told}, not {was_passed}"
    talked, fair = seconds_of(talks), CLOSE + KEYS_SECONDS * sum(line.notes.presses for line in run.lines)
    if expected.is_timed and abs((call["talk_s"] or 0.0) - talked) > fair:
        yield f"talk_s: {call['talk_s']}, the customer heard somebody for {talked:.1f} s"
    yield from _pops(run, call, rang)


def _pops(run: Run, call: Told, rang: frozenset[str]) -> Iterator[str]:
    """A card for each telephone that rang, and for no other."""
    popped = {
        event.extension
        for event in run.events
        if isinstance(event, CallRinging) and event.call.key in call["linked_ids"]
    }
    if popped != rang:
        yield f"cards at {sorted(popped)}, not at {sorted(rang)}"


def talks_of(run: Run, customer: Line | None) -> list[Talk]:
    """Who was in this ear when, in order; two voices at once are two entries."""
    if customer is None:
        return []
    voices, talks, going = run.voices(), [], dict[int, Talk]()
    for at, tones in customer.notes.heard:
        for hz in tones & voices.keys():
            before = going.get(hz)
            is_new = before is None or at - before.ends > EAR_GAP
            if before is not None and is_new:
                talks.append(before)
            begins = at if before is None or is_new else before.begins
            going[hz] = Talk(name=voices[hz], begins=begins, ends=at)
    long = [talk for talk in [*talks, *going.values()] if talk.ends - talk.begins > EAR_SHORTEST]
    return sorted(long, key=lambda talk: talk.begins)


def seconds_of(talks: Sequence[Talk]) -> float:
    """How long anybody was heard."""
    total, until = 0.0, 0.0
    for talk in talks:
        total += max(0.0, talk.ends - max(talk.begins, until))
        until = max(until, talk.ends)
    return total


def who_hung_up(run: Run, customer: Line | None) -> str:
    """By the telephones' notes: whose request ended the customer's call."""
    if customer is not None and customer.notes.ended_by == "us":
        return "customer"
    ended = customer.notes.ended_at if customer is not None else None
    agents = [line.notes for line in run.lines if line.phone.name in OFFICE_PHONES and line.answered.is_set()]
    for notes in agents:
        is_just_before = (
            ended is not None and notes.ended_at is not None and 0 <= ended - notes.ended_at < CLOSE
        )
        if notes.ended_by == "us" and is_just_before:
            return "agent"
    return "pbx"
