"""The same calls on other people's PBXs: other names, other drivers, fewer rights. The truth stays the same.

No rule may rest on what a capture happens to call its telephones, trunks and contexts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import accumulate

import pytest

from ami_adapter.replay import track
from cti.calls.telling import tell_call
from cti.calls.tracker import CallTracker
from cti.numbers import NumberingProfile, to_e164
from tests.ami_adapter.test_replay import WHOLE, Told, differences, matched, with_customers
from tests.captures import OTHER, Capture
from tests.cti.calls.streams import START

Change = Callable[[bytes], bytes]

TELEPHONES = {
    b"101": b"ivanov",
    b"102": b"petrova",
    b"103": b"0004F2AABB01",
    b"104": b"sales-desk",
    b"105": b"e7f3",
    b"106": b"phone_6",
}
TRUNKS = {b"trunk-a": b"mango", b"trunk-b": b"itsp7", b"mango-in": b"alfa", b"mtt-out": b"beta9"}
HINTS = (b"Event: ExtensionStatus\r", b"Event: QueueMember")
TOLD_BY_DIALPLAN = frozenset({"voicemail", "menu_only", "after_hours", "blocked"})
DIALPLAN = (b"Event: VarSet\r", b"Event: Newexten\r")


def other_telephones(message: bytes) -> bytes:
    """Endpoints are named after people, places and hardware addresses."""
    for extension, name in TELEPHONES.items():
        message = message.replace(b"PJSIP/%s-" % extension, b"PJSIP/%s-" % name)
        message = re.sub(rb"PJSIP/%s(?=[\r&,/'\"])" % extension, b"PJSIP/" + name, message)
        message = re.sub(rb"(DialString: )%s(?=[\r/])" % extension, rb"\g<1>" + name, message)
    return message


def other_trunks(message: bytes) -> bytes:
    """Nothing in a trunk's name says so."""
    for trunk, name in TRUNKS.items():
        message = message.replace(trunk, name)
    return message


def one_context(message: bytes) -> bytes:
    """Contexts say nothing either."""
    return re.sub(rb"Context: [^\r]*", b"Context: x", message)


def without_hints(message: bytes) -> bytes:
    """No hints, no queue members: the PBX names no telephone."""
    return b"" if message.startswith(HINTS) else message


def with_chan_sip(message: bytes) -> bytes:
    """The older driver, whose dial strings have the number behind the trunk."""
    message = re.sub(rb"DialString: ([^\r@/]+)@(itsp7|beta9)", rb"DialString: \g<2>/\g<1>", message)
    return message.replace(b"PJSIP/", b"SIP/")


def without_caller_ids(message: bytes) -> bytes:
    """Telephones with no number configured: a called channel is born without one."""
    is_called = message.startswith(b"Event: Newchannel") and b"ChannelState: 0" in message
    return re.sub(rb"CallerIDNum: [^\r]*", b"CallerIDNum: <unknown>", message) if is_called else message


def without_dialplan(message: bytes) -> bytes:
    """An account without the class dialplan: no variables, no applications."""
    return b"" if message.startswith(DIALPLAN) else message


def retold(one: Capture, *changes: Change) -> list[Told]:
    profile = NumberingProfile(region="RU")
    calls = track(changed_chunks(one, changes), CallTracker())
    return with_customers([tell_call(call, lambda number: to_e164(number, profile).e164) for call in calls])


def changed_chunks(one: Capture, changes: tuple[Change, ...]) -> Iterator[tuple[bytes, datetime]]:
    """Every message changed, at the moment of its last byte."""
    sizes = accumulate(size for _, size in one.timing)
    ends = list(zip(sizes, (seconds for seconds, _ in one.timing), strict=True))
    reached, index = 0, 0
    for message in one.stream.split(b"\r\n\r\n")[:-1]:
        reached += len(message) + 4
        while index < len(ends) - 1 and ends[index][0] < reached:
            index += 1
        changed = message.lstrip(b"\r\n")
        for change in changes:
            changed = change(changed)
        if changed:
            yield changed + b"\r\n\r\n", START + timedelta(seconds=ends[index][1])


def assert_truth(one: Capture, told: list[Told], *, forgiven: tuple[str, ...] = ()) -> None:
    assert len(told) == len(one.truth["calls"])
    pairs = matched(told, one.truth["calls"])
    found = [
        text for call, truth in pairs for text in differences(call, truth) if not text.startswith(forgiven)
    ]
    assert found == []


@pytest.mark.parametrize("one", WHOLE, ids=lambda one: one.name)
def test_names_contexts_and_drivers_tell_nothing(one: Capture) -> None:
    told = retold(one, other_telephones, other_trunks, one_context, without_hints, with_chan_sip)
    assert_truth(one, told)


@pytest.mark.parametrize("one", WHOLE, ids=lambda one: one.name)
def test_telephones_without_a_configured_number(one: Capture) -> None:
    assert_truth(one, retold(one, other_trunks, one_context, without_hints, without_caller_ids))


@pytest.mark.parametrize("one", WHOLE, ids=lambda one: one.name)
def test_without_the_dialplan_class_only_recordings_and_mailboxes_are_missed(one: Capture) -> None:
    forgiven: tuple[str, ...] = ("recording_file",)
    if any(truth["disposition"] == "voicemail" for truth in one.truth["calls"]):
        forgiven += ("disposition", "ring_s")
    assert_truth(one, retold(one, other_trunks, without_dialplan), forgiven=forgiven)


@pytest.mark.parametrize("one", OTHER, ids=lambda one: one.name)
def test_an_installation_with_other_habits(one: Capture) -> None:
    """One context for all, endpoints named after people and addresses, a trunk named like a number, two telephones
    of one extension, failover, confirmation, programs that call either side first: a real Asterisk 22 again."""
    assert_truth(one, retold(one))


@pytest.mark.parametrize("one", OTHER, ids=lambda one: one.name)
def test_it_needs_no_hints_nor_the_dialplan_class(one: Capture) -> None:
    forgiven: tuple[str, ...] = ("recording_file",)
    if any(truth["disposition"] in TOLD_BY_DIALPLAN for truth in one.truth["calls"]):
        forgiven += ("disposition", "ring_s")
    assert_truth(one, retold(one, without_dialplan, without_hints), forgiven=forgiven)
