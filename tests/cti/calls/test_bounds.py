"""I10: whatever a PBX sends or forgets to send, what is kept of it has a limit and ends in order."""

from __future__ import annotations

import pytest

from cti.calls import registry
from cti.calls.channel_events import (
    Channel,
    ChannelChanged,
    ChannelCreated,
    ChannelEvent,
    ChannelRinging,
    ChannelState,
    DialStarted,
)
from cti.calls.records import CallRecord
from cti.calls.tracker import CallTracker
from tests.cti.calls.streams import START, ended_calls, tracked


def line(number: int, linked_id: str | None = None) -> Channel:
    return Channel(
        channel_id=f"{number}.1",
        name=f"PJSIP/trunk-{number:08x}",
        linked_id=linked_id or f"{number}.1",
        endpoint="PJSIP/trunk",
        state=ChannelState.CALLING,
        caller_number=f"8916{number:07d}",
        dialled="74951234501",
        context="from-trunk",
    )


def telephone(number: int) -> Channel:
    return Channel(
        channel_id=f"{number}.2",
        name=f"PJSIP/101-{number:08x}",
        linked_id=f"{number}.1",
        endpoint="PJSIP/101",
        state=ChannelState.RINGING,
    )


def rings(number: int) -> list[ChannelEvent]:
    """A call that rings at 101, and of which nothing is heard after that."""
    caller, called = line(number), telephone(number)
    return [
        ChannelCreated(channel=caller, at=START),
        ChannelCreated(channel=called, at=START),
        DialStarted(caller=caller, called=called, number="", at=START),
        ChannelRinging(channel=called, at=START),
    ]


def tracker() -> CallTracker:
    return CallTracker(extensions=["101"], lines=["PJSIP/trunk"])


def test_i10_channels_that_nobody_hangs_up_end_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MAX_LIVE_LEGS", 20)
    tracking = tracker()
    events = tracked((event for number in range(100) for event in rings(number)), tracking)
    over = ended_calls(events)
    assert len(tracking.present()) == 10
    assert [call.key for call in over] == [f"{number}.1" for number in range(90)]
    assert all(call.ended_unseen for call in over)


def test_i10_a_call_has_only_so_many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MAX_LINKED_IDS", 5)
    tracking = tracker()
    events = tracked(
        [*rings(1), *(ChannelChanged(channel=line(1, f"{number}.9"), at=START) for number in range(100))],
        tracking,
    )
    calls: list[CallRecord] = tracking.present()
    assert len(calls) == 1
    assert len(calls[0].linked_ids) == 5
    assert ended_calls(events) == []
