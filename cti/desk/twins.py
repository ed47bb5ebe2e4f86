"""Present calls that are one call, seen by two connections: one leads and has the windows, the others stand behind it.

The rule is that of `cti.calls.mirrors`, which the journal goes by, too. Who was heard of first leads, so that the window
that is open stays the same whatever becomes known later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from cti.calls.mirrors import Sighting, Talk, is_one_call
from cti.calls.records import CallState, Direction, Participation
from cti.desk.directory import Directory
from cti.desk.seats import PresentCall


class Twins:
    """Finds the twins of present calls by number; a call is kept here until it is forgotten.

    Two views of one call have the other side's number in common, or each shows the other's customer as a number of ours
    (`cti.calls.mirrors`). That both came by one number of ours says nothing: half of the company's calls do.
    """

    def __init__(self) -> None:
        self._by_customer = _Index()
        self._by_ours = _Index()  # calls that came in
        self._numbers: dict[PresentCall, tuple[frozenset[str], frozenset[str]]] = {}

    @property
    def is_empty(self) -> bool:
        return not (self._numbers or self._by_customer.calls or self._by_ours.calls)

    def place(self, call: PresentCall) -> None:
        """Find it by the numbers it has now."""
        numbers = customer, ours = _numbers(call)
        if numbers == self._numbers.get(call):
            return
        self.forget(call)
        self._numbers[call] = numbers
        self._by_customer.add(call, customer)
        self._by_ours.add(call, ours)

    def forget(self, call: PresentCall) -> None:
        customer, ours = self._numbers.pop(call, (frozenset(), frozenset()))
        self._by_customer.remove(call, customer)
        self._by_ours.remove(call, ours)

    def find(self, call: PresentCall, directory: Directory) -> PresentCall | None:
        """The present call that this one, which stands alone, is another view of; the nearest in time."""
        if call.lead or call.mirrors or call.is_ended:
            return None
        found = [
            other
            for other in self._candidates(call)
            if other.connection_id != call.connection_id
            and not other.shown.is_ended
            and _are_one(call, other.shown, directory)
        ]
        return min(found, key=lambda other: _seconds_apart(call, other), default=None)

    def _candidates(self, call: PresentCall) -> Iterator[PresentCall]:
        customer, ours = self._numbers.get(call, (frozenset(), frozenset()))
        yield from self._by_customer.of(customer | ours)
        if call.record.direction is Direction.OUTBOUND:
            yield from self._by_ours.of(customer)


class _Index:
    """Calls by number, in the order they came."""

    def __init__(self) -> None:
        self.calls: defaultdict[str, dict[PresentCall, None]] = defaultdict(dict)

    def add(self, call: PresentCall, numbers: Iterable[str]) -> None:
        for number in numbers:
            self.calls[number][call] = None

    def remove(self, call: PresentCall, numbers: Iterable[str]) -> None:
        for number in numbers:
            del self.calls[number][call]
            if not self.calls[number]:
                del self.calls[number]

    def of(self, numbers: Iterable[str]) -> Iterator[PresentCall]:
        for number in numbers:
            yield from self.calls.get(number, ())


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


def _numbers(call: PresentCall) -> tuple[frozenset[str], frozenset[str]]:
    """The customer's number and, of a call that came in, ours: by these another connection's call may be found to be this one."""
    customer = call.number.e164 if call.number else None
    if customer is None or call.record.direction is Direction.INTERNAL:
        return frozenset(), frozenset()
    is_inbound = call.record.direction is Direction.INBOUND
    return frozenset({customer}), call.ours if is_inbound else frozenset()


def _seconds_apart(one: PresentCall, other: PresentCall) -> float:
    if one.record.started_at is None or other.record.started_at is None:
        return 0.0
    return abs(one.record.started_at - other.record.started_at).total_seconds()
