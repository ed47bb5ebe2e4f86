"""Windows while a colleague is asked about the customer (`*2`): nobody's closes that still has a part in the call."""

from __future__ import annotations

from typing import Any

import pytest

from cti.calls.records import CallRecord, Disposition, ParticipationResult
from cti.calls.tracker import CallTracker
from cti.desk import Desk, Message
from tests.captures import capture
from tests.cti.calls.streams import channel_events, ended_calls, tracked
from tests.cti.desk.calls import CALL, Office

PBXS = ("passing16", "passing22")


def windows(name: str) -> list[tuple[str, str, str]]:
    """(extension, message, state) of every change of a window, in order."""
    desk, tracker = Desk(Office(), epoch="test"), CallTracker()
    told: list[Message] = []
    for event in channel_events(name):
        for call_event in tracker.apply(event):
            told += desk.apply(1, CALL, call_event)
    return [view_of(message.data, message.type) for message in told]


def view_of(data: Any, message_type: str) -> tuple[str, str, str]:
    return data.extension, message_type, data.state.value


def the_call(name: str) -> CallRecord:
    (call,) = ended_calls(tracked(channel_events(name)))
    return call


@pytest.mark.parametrize("pbx", PBXS)
def test_the_one_who_asks_keeps_the_window_and_the_one_asked_talks(pbx: str) -> None:
    changes = windows(f"{pbx}/atx-target-hangs-up-first")
    mine = [state for extension, _, state in changes if extension == "101"]
    assert mine == ["ringing", "talking", "held", "talking", "ended"]
    theirs = [(kind, state) for extension, kind, state in changes if extension == "102"]
    assert theirs[0] == ("call.ringing", "ringing")
    assert [state for _, state in theirs[1:]] == ["held", "ended"]


@pytest.mark.parametrize("pbx", PBXS)
def test_who_is_consulted_has_answered_but_did_not_take_the_customer(pbx: str) -> None:
    call = the_call(f"{pbx}/atx-target-hangs-up-first")
    (asked,) = [part for part in call.participations if part.extension == "102"]
    assert (asked.result, asked.is_first_answer) == (ParticipationResult.ANSWERED, False)
    assert asked.answered_at is not None
    assert asked.left_at is not None
    assert (call.answered_by, call.final_agent, call.transfers) == ("101", "101", ())
    assert any(line.endswith("102 is consulted") for line in call.story)


@pytest.mark.parametrize("pbx", PBXS)
def test_colleagues_who_talk_on_did_not_hang_up_on_the_customer(pbx: str) -> None:
    call = the_call(f"{pbx}/customer-leaves-during-consult")
    assert (call.hung_up_by, call.disposition) == ("customer", Disposition.ANSWERED)


@pytest.mark.parametrize("pbx", PBXS)
def test_a_hold_ends_when_its_maker_leaves_the_bridge(pbx: str) -> None:
    """Three talk after `*3`; Asterisk never says that the hold of the consultation is over."""
    call, truth = the_call(f"{pbx}/threeway"), capture(f"{pbx}/threeway").truth["calls"][0]
    assert call.talk_seconds is not None
    assert call.hold_seconds is not None
    assert call.talk_seconds + call.hold_seconds == pytest.approx(truth["approx_talk_s"], abs=0.6)
    assert call.hold_seconds < 5.5
