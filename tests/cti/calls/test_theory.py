"""The table «Theory of operation» of docs/calls.md says what the tracker does, and the diagram says what the table says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import get_args

import pytest

from cti.calls import call_events
from cti.calls.channel_events import (
    Channel,
    ChannelEvent,
    ChannelHeld,
    ChannelState,
    SeenChannel,
)
from cti.calls.tracker import CallTracker
from tests.cti.calls.streams import NAMES, START
from tests.cti.calls.streams import channel_events as events_of

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| `(\w+)` \| (begins|passes|names none) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TABLE = {row[0]: row for row in ROW.findall((ROOT / "docs/calls.md").read_text(encoding="utf-8"))}
KINDS = {kind.__name__: kind for kind in get_args(ChannelEvent)}
ANYWHERE = {"CallArrived", "CallsJoined"}  # told whatever the event, as the page says above the table

CALLER = Channel("1.1", "PJSIP/line-1", "1.1", "PJSIP/line", "", ChannelState.CALLING, "89161234567")
CALLED = Channel("1.2", "PJSIP/101-2", "1.1", "PJSIP/101", "", ChannelState.DOWN, "101")
TOLD_OF_IT = {
    **dict.fromkeys(["channel", "caller", "transferer", "second", "robbed", "retriever"], CALLER),
    **dict.fromkeys(["transferee", "target", "cause", "sip_code"]),
    **dict.fromkeys(["status", "forwarded_to", "bridge_id", "from_bridge_id", "into_bridge_id", "did"], "b"),
    **dict.fromkeys(
        ["queue", "mailbox", "file", "channel_name", "endpoint", "extension", "to", "space"], "b"
    ),
    "called": CALLED,
    "number": "",
    "parker_name": "",
    "is_waiting_room": False,
    "succeeded": True,
    "channel_id": CALLER.channel_id,
    "at": START,
    "channels": (SeenChannel(channel=CALLER, bridge_id="", age_seconds=1.0, was_called=False),),
}


def test_every_channel_event_has_its_row_in_their_order() -> None:
    assert list(TABLE) == list(KINDS)
    words = {one for row in TABLE.values() for one in re.findall(r"`(\w+)`", row[3])}
    assert words <= {kind.__name__ for kind in get_args(call_events.CallEvent)}


@pytest.mark.parametrize("name", KINDS)
def test_a_channel_nobody_spoke_of_begins_or_passes_as_the_table_says(name: str) -> None:
    kind = KINDS[name]
    needed = {field: TOLD_OF_IT[field] for field in kind.__dataclass_fields__ if field in TOLD_OF_IT}
    tracker = CallTracker(lines=["line"], extensions=["101"])
    tracker.apply(kind(**needed))
    tracker.apply(ChannelHeld(channel=CALLER, at=START))  # passes, unless the channel is known by now
    named = any("Channel" in str(field.type) for field in kind.__dataclass_fields__.values())
    begins = "begins" if tracker.present() else "passes"
    assert TABLE[name][1] == (begins if named or name == "OriginateAnswered" else "names none")


def test_nothing_is_told_that_the_table_does_not_name() -> None:
    told: dict[str, set[str]] = defaultdict(set)
    for name in NAMES:
        tracker = CallTracker()
        for event in events_of(name):
            told[type(event).__name__] |= {type(news).__name__ for news in tracker.apply(event)}
    for name, seen in told.items():
        assert seen - ANYWHERE <= set(re.findall(r"`(\w+)`", TABLE[name][3])), name
    assert set.union(*told.values()) == {kind.__name__ for kind in get_args(call_events.CallEvent)}


def test_the_diagram_is_drawn_from_the_table() -> None:
    command = [sys.executable, str(ROOT / "tools/draw_calls.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
