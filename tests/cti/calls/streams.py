"""Recorded streams as channel events, and the calls that come of them: what the property tests vary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import cache

from ami_adapter.framing import AmiFrames, AmiMessage
from ami_adapter.translate import Translator
from cti.calls.call_events import CallEnded, CallEvent, CallsJoined, SnapshotApplied
from cti.calls.channel_events import Channel, ChannelEvent
from cti.calls.records import CallRecord
from cti.calls.tracker import CallTracker
from tests.captures import EVERY, Capture, capture

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

NAMES = [one.name for one in EVERY]
BURSTS = {one.name for one in EVERY if one.scenario == "28-burst"}  # two dozen calls at once


@cache
def timed_messages(name: str) -> tuple[tuple[AmiMessage, datetime], ...]:
    """Every message of a stream with its moment."""
    one: Capture = capture(name)
    frames, reached, messages = AmiFrames(), 0, []
    for seconds, size in one.timing:
        at = START + timedelta(seconds=seconds)
        messages += [(message, at) for message in frames.feed(one.stream[reached : reached + size])]
        reached += size
    return tuple(messages)


@cache
def channel_events(name: str) -> tuple[ChannelEvent, ...]:
    """Every channel event of a stream."""
    translator = Translator()
    return tuple(event for message, at in timed_messages(name) for event in translator.translate(message, at))


def channels_of(event: ChannelEvent) -> Iterator[Channel]:
    """Every channel that the event describes."""
    for field in fields(event):
        if isinstance(value := getattr(event, field.name), Channel):
            yield value


def tracked(events: Iterable[ChannelEvent], tracker: CallTracker | None = None) -> list[CallEvent]:
    """Everything that a tracker tells of these events."""
    tracker = tracker or CallTracker()
    return [news for event in events for news in tracker.apply(event)]


def told_calls(events: Iterable[CallEvent]) -> dict[str, CallRecord]:
    """The last state of each call, those joined to another one left out."""
    calls: dict[str, CallRecord] = {}
    for event in events:
        if isinstance(event, CallsJoined):
            calls.pop(event.absorbed_key, None)
        if not isinstance(event, SnapshotApplied):
            calls[event.call.key] = event.call
    return calls


def ended_calls(events: Iterable[CallEvent]) -> list[CallRecord]:
    """The calls that ended, in order of their end."""
    return [event.call for event in events if isinstance(event, CallEnded)]
