"""Present calls that are one call, seen by two connections: one leads and has the windows, the others stand behind it.

The rule is that of `cti.calls.mirrors`, which the journal goes by, too. Who was heard of first leads, so that the window
that is open stays the same whatever becomes known later.
"""

from __future__ import annotations

from collections import defaultdict

from cti.calls.mirrors import Sighting, Talk, is_one_call
from cti.calls.records import CallState, Direction, Participation
from cti.desk.directory import Directory
from cti.desk.seats import PresentCall


class Twins:
    """Finds the twins of present calls by number; a call is kept here until it is forgotten."""

    def __init__(self) -> None:
        self._by_number: defaultdict[str, list[PresentCall]] = defaultdict(list)
        self._numbers: dict[PresentCall, frozenset[str]] = {}

    def place(self, call: PresentCall) -> None:
        """Find it by the numbers it has now."""
        numbers = _numbers(call)
        if numbers == self._numbers.get(call):
            return
        self.forget(call)
        self._numbers[call] = numbers
        for number in numbers:
            self._by_number[number].append(call)

    def forget(self, call: PresentCall) -> None:
        for number in self._numbers.pop(call, frozenset()):
            self._by_number[number].remove(call)
            if not self._by_number[number]:
                del self._by_number[number]

    def find(self, call: PresentCall, directory: Directory) -> PresentCall | None:
        """The present call that this one, which stands alone, is another view of; the nearest in time."""
        if call.lead or call.mirrors or call.is_ended:
            return None
        found = [
            other
            for number in self._numbers.get(call, frozenset())
            for other in self._by_number[number]
            if other.connection_id != call.connection_id
            and not other.shown.is_ended
            and _are_one(call, other.shown, directory)
        ]
        return min(found, key=lambda other: _seconds_apart(call, other), default=None)


def join(one: PresentCall, other: PresentCall) -> tuple[PresentCall, PresentCall]:
    """Make `other`, which stands alone, stand behind `one`, or the reverse where only `other` has windows: (lead, mirror)."""
    lead, mirror = one.shown, other
    if other.seats and not lead.seats and not lead.mirrors:
        lead, mirror = mirror, lead
    mirror.lead = lead
    lead.mirrors.append(mirror)
    return lead, mirror


def part(call: PresentCall) -> list[PresentCall]:
    """Let it stand alone again. Returns the others of its group, whose windows have to be set right."""
    if call.lead is not None:
        lead, call.lead = call.lead, None
        lead.mirrors.remove(call)
        return [lead]
    others, call.mirrors = call.mirrors, []
    for other in others:
        other.lead = None
    return others


def is_contradicted(call: PresentCall, directory: Directory) -> bool:
    """Whether what is known now says that the call is not one with those it was taken for."""
    others = [other for other in call.shown.sightings if other is not call]
    return bool(others) and not all(
        is_one_call(sighting_of(call, directory), sighting_of(other, directory)) for other in others
    )


def sighting_of(call: PresentCall, directory: Directory) -> Sighting:
    record = call.record
    talks = (_talk(call, one, directory) for one in record.participations)
    return Sighting(
        id=call.id,
        connection_id=call.connection_id,
        direction=record.direction,
        customer=call.number.e164 if call.number else None,
        ours=call.ours,
        started_at=record.started_at,
        talks=tuple(talk for talk in talks if talk is not None),
    )


def _are_one(call: PresentCall, lead: PresentCall, directory: Directory) -> bool:
    seen = sighting_of(call, directory)
    return all(is_one_call(seen, sighting_of(other, directory)) for other in lead.sightings)


def _talk(call: PresentCall, part: Participation, directory: Directory) -> Talk | None:
    agent = directory.agent_at(call.connection_id, part.extension)
    if agent is None or part.answered_at is None:
        return None
    end = call.record.ended_at if call.record.state is CallState.ENDED else None
    return Talk(user_id=agent.user_id, since=part.answered_at, until=part.left_at or end)


def _numbers(call: PresentCall) -> frozenset[str]:
    """The numbers by which another connection's call may be found to be this one."""
    customer = call.number.e164 if call.number else None
    if customer is None or call.record.direction is Direction.INTERNAL:
        return frozenset()
    return call.ours | {customer} if call.record.direction is Direction.INBOUND else frozenset({customer})


def _seconds_apart(one: PresentCall, other: PresentCall) -> float:
    if one.record.started_at is None or other.record.started_at is None:
        return 0.0
    return abs(one.record.started_at - other.record.started_at).total_seconds()
