"""Recorded streams as channel events, and the calls that come of them: what the property tests vary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from ami_adapter.framing import AmiFrames, AmiMessage
from ami_adapter.translate import Translator
from cti.calls.call_events import CallEnded, CallEvent, CallsJoined, SnapshotApplied
from cti.calls.channel_events import ChannelEvent
from cti.calls.records import CallRecord
from cti.calls.tracker import CallTracker
from tests.captures import Capture, capture

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

# A stream of each kind, none of them long.
VARIETY = (
    "asterisk22/01-inbound-answered",
    "asterisk16/04-ring-group",
    "asterisk22/05-queue-rrmemory",
    "asterisk16/06-queue-local-members",
    "asterisk22/08-queue-timeout-voicemail",
    "asterisk16/11-outbound-failed",
    "asterisk22/12-click-to-call-answered",
    "asterisk22/16-attended-transfer",
    "asterisk16/17-atxfer-dtmf-completed",
    "asterisk22/19-pickup",
    "asterisk22/20-park-retrieve",
    "asterisk16/23-conference",
    "asterisk22/27-link-drop-after",
    "asterisk16/35-busy-minute",
    "freepbx16/05-group-mobile-confirmed",
    "freepbx16/13-click-local",
    "freepbx16/18-transfer-to-ring-group",
)


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


def outline(call: CallRecord) -> dict[str, Any]:
    """What must not depend on the order in which a PBX reports different channels."""
    return {
        "direction": call.direction,
        "customer": call.customer_number,
        "did": call.did,
        "queue": call.queue,
        "rang": sorted(call.rang),
        "placed_by": call.placed_by,
        "answered_by": call.answered_by,
        "final_agent": call.final_agent,
        "disposition": call.disposition,
        "transfers": [replace(one, at=None) for one in call.transfers],
        "recording": call.recording_file,
        "hung_up_by": call.hung_up_by,
    }
