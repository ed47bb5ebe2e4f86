"""A PBX reports different channels from different threads: whatever order they come in, the calls are the same.

Two events may change places when they come within 50 ms of each other and share neither a channel nor a bridge. That
a channel was made is said before any other channel names it as its linked id, by every Asterisk: the maker's thread
publishes it first. An originate that failed names its channel by the endpoint alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest

from cti.calls.channel_events import (
    BlindlyTransferred,
    BridgeEntered,
    Channel,
    ChannelCreated,
    ChannelEvent,
    OriginateAnswered,
    SnapshotTaken,
    SourceStopped,
)
from cti.calls.records import CallRecord, Leg, Participation, Transfer
from tests.cti.calls.streams import BURSTS, NAMES, channel_events, channels_of, told_calls, tracked

NAMING = ("channel_id", "bridge_id", "from_bridge_id", "into_bridge_id")
RACE = timedelta(milliseconds=50)
WHOLE_PICTURE = (SnapshotTaken, SourceStopped)
ORDER_OF_REPORTS = frozenset({"participations", "legs"})  # of what rang, or began, at one moment

Final = dict[str, Any]


@cache
def shared(event: ChannelEvent) -> frozenset[str]:
    """Everything by which this event hangs together with others: channels, pairs of helpers, bridges."""
    names: set[str] = set()
    for channel in channels_of(event):
        names |= {channel.channel_id, channel.pair}
    for name in NAMING:
        names.add(getattr(event, name, ""))
    if isinstance(event, ChannelCreated):
        names.add(event.channel.linked_id)
    if isinstance(event, OriginateAnswered) and not event.channel_id:
        names |= endpoints_named(event.channel_name)
    return frozenset(names - {""})


def endpoints_named(dialled: str) -> set[str]:
    """PJSIP/trunk of PJSIP/79161234567@trunk; Local/203 of Local/203@main."""
    kind, _, rest = dialled.partition("/")
    user, _, host = rest.partition("@")
    return {f"{kind}/{name}" for name in (user, host, user.partition("/")[0]) if name}


def endpoints_of(event: ChannelEvent) -> set[str]:
    return {channel.endpoint for channel in channels_of(event)}


def may_swap(one: ChannelEvent, other: ChannelEvent) -> bool:
    """Whether nothing but the moment ties these events."""
    if isinstance(one, WHOLE_PICTURE) or isinstance(other, WHOLE_PICTURE) or shared(one) & shared(other):
        return False
    return not (shared(one) & endpoints_of(other) or shared(other) & endpoints_of(one))


def is_race(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and abs(one - other) <= RACE


# -- two ways of deciding races otherwise --------------------------------------------------------------------------


def with_one_moved(events: tuple[ChannelEvent, ...]) -> Iterator[list[ChannelEvent]]:
    """Each event in turn as early, and as late, as it may come."""
    for index in range(len(events)):
        for step, end in ((-1, -1), (1, len(events))):
            place = index
            while place + step != end and is_movable(events, index, place + step):
                place += step
            if abs(place - index) > (step == 1):  # a step to the right is the next one's step to the left
                yield in_order(events, moved(range(len(events)), index, place))


def is_movable(events: tuple[ChannelEvent, ...], index: int, past: int) -> bool:
    return is_race(events[index].at, events[past].at) and may_swap(events[index], events[past])


def moved(order: range, index: int, place: int) -> list[int]:
    rest = [number for number in order if number != index]
    return [*rest[:place], index, *rest[place:]]


def shuffled(events: tuple[ChannelEvent, ...], chance: random.Random) -> list[ChannelEvent]:
    """Many races decided otherwise at once; nothing leaves its 50 ms."""
    order = list(range(len(events)))
    for _ in range(6):
        for place in range(len(order) - 1):
            one, other = (events[number] for number in order[place : place + 2])
            is_near = is_race(one.at, events[place + 1].at) and is_race(other.at, events[place].at)
            if is_near and chance.random() < 0.5 and may_swap(one, other):
                order[place : place + 2] = order[place + 1], order[place]
    return in_order(events, order)


def in_order(events: tuple[ChannelEvent, ...], order: list[int]) -> list[ChannelEvent]:
    """The events in this order, at the moments at which something came."""
    return [replace(events[number], at=slot.at) for slot, number in zip(events, order, strict=True)]


def with_late_reports(events: tuple[ChannelEvent, ...]) -> Iterator[list[ChannelEvent]]:
    """Blind transfers told later and later, and all that their makers' channels do then.

    Asterisk sends the customer on first, whose thread reports for itself.
    """
    for index, event in enumerate(events):
        if not isinstance(event, BlindlyTransferred):
            continue
        near = [n for n in range(index, len(events)) if is_race(event.at, events[n].at)]
        late = [n for n in near if n == index or is_of(event.transferer, events[n])]
        others = [n for n in near if n not in late]
        for place in range(1, len(others) + 1):
            order = [*others[:place], *late, *others[place:]]
            yield in_order(events, [*range(index), *order, *range(near[-1] + 1, len(events))])


def is_of(channel: Channel, event: ChannelEvent) -> bool:
    return {each.channel_id for each in channels_of(event)} == {channel.channel_id}


# -- what must be equal --------------------------------------------------------------------------------------------


def finals(events: Iterable[ChannelEvent]) -> dict[str, Final]:
    """Every call at its end, without times and without the lines for people."""
    return {key: final(call) for key, call in told_calls(tracked(events)).items()}


def final(call: CallRecord) -> Final:
    found = {name: without_times(value) for name, value in timeless(call).items() if name != "story"}
    for name in ORDER_OF_REPORTS:
        found[name] = sorted(str(one) for one in found[name])
    return found


def without_times(value: object) -> Any:
    if not isinstance(value, tuple):
        return value
    return [timeless(one) if isinstance(one, Participation | Leg | Transfer) else one for one in value]


def timeless(value: CallRecord | Participation | Leg | Transfer) -> dict[str, Any]:
    """Of a time only whether it is known."""
    return {
        field.name: getattr(value, field.name) is not None
        if is_time(field.name)
        else getattr(value, field.name)
        for field in fields(value)
    }


def is_time(name: str) -> bool:
    return name == "at" or name.endswith(("_at", "_seconds"))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BURSTS])
def test_any_event_may_come_as_early_or_as_late_as_its_channels_and_bridges_let_it(name: str) -> None:
    events = channel_events(name)
    told = finals(events)
    for otherwise in with_one_moved(events):
        assert finals(otherwise) == told


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BURSTS])
def test_a_blind_transfer_may_be_reported_after_the_customer_went_on(name: str) -> None:
    events = channel_events(name)
    told = finals(events)
    for late in with_late_reports(events):
        assert finals(late) == told


@pytest.mark.parametrize("name", NAMES)
def test_many_races_decided_otherwise_give_the_same_calls(name: str) -> None:
    assert_races_do_not_matter(name, seeds=range(1 if name in BURSTS else 3))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_races_decided_in_very_many_ways_give_the_same_calls(name: str) -> None:
    assert_races_do_not_matter(name, seeds=range(100, 105 if name in BURSTS else 140))


def assert_races_do_not_matter(name: str, seeds: range) -> None:
    events = channel_events(name)
    told = finals(events)
    for seed in seeds:
        assert finals(shuffled(events, random.Random(seed))) == told, f"seed {seed}"


def test_the_law_bites() -> None:
    """Were a law to compare nothing, or to swap nothing, it would always hold."""
    events = channel_events("asterisk22/04-ring-group")
    ways = list(with_one_moved(events))
    assert len(ways) > 20
    assert all(sorted(map(type_and_channels, way)) == sorted(map(type_and_channels, events)) for way in ways)
    (call,) = finals(events).values()
    assert (call["answered_at"], call["queued_at"]) == (True, False)
    assert len(call["participations"]) == 3
    ended_first = sorted(events, key=lambda event: isinstance(event, BridgeEntered))
    assert finals(ended_first) != finals(events)


def type_and_channels(event: ChannelEvent) -> tuple[str, list[str]]:
    return type(event).__name__, sorted(shared(event))
