"""AMI messages → what telephones and queues do: header names, spellings, and what is not worth a word."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_adapter.framing import AmiFrames, AmiMessage
from ami_adapter.presence import HANDLERS, PresenceTranslator
from ami_adapter.translate import is_noise
from cti.calls.presence import PbxPresence
from cti.calls.presence_events import (
    CallerLeft,
    CallerWaits,
    DeviceChanged,
    DeviceNamed,
    DeviceReached,
    DeviceState,
    DoNotDisturb,
    ListBegun,
    ListEnded,
    Listing,
    MemberLeft,
    MemberSeen,
    PresenceEvent,
    QueueMember,
    QueueSeen,
)
from tests.captures import ALL, capture

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def message(event: str, **headers: str) -> AmiMessage:
    return AmiMessage(
        "\r\n".join([f"Event: {event}", *(f"{name}: {value}" for name, value in headers.items())]).encode()
    )


def told(event: str, **headers: str) -> list[PresenceEvent]:
    return PresenceTranslator().translate(message(event, **headers), AT)


MEMBER = {
    "Queue": "support",
    "MemberName": "Agent 104",
    "Interface": "PJSIP/104",
    "StateInterface": "PJSIP/104",
    "Penalty": "3",
    "LastCall": "1795294327",
    "InCall": "0",
    "Status": "1",
    "Paused": "1",
    "PausedReason": "Обед",
    "Wrapuptime": "15",
}


def test_a_member_is_told_whole() -> None:
    (event,) = told("QueueMemberPause", **MEMBER)
    assert event == MemberSeen(
        member=QueueMember(
            queue="support",
            interface="PJSIP/104",
            device="PJSIP/104",
            extension="104",
            name="Agent 104",
            state=DeviceState.IDLE,
            is_paused=True,
            pause_reason="Обед",
            penalty=3,
            last_call_at=datetime.fromtimestamp(1795294327, UTC),
            wrap_up_seconds=15,
        ),
        at=AT,
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"PausedReason": "", "Reason": "Lunch"}, "Lunch"),  # Asterisk 16 repeats it as Reason
        ({"Paused": "0", "PausedReason": "Lunch"}, ""),
    ],
)
def test_the_reason_of_a_pause(headers: dict[str, str], expected: str) -> None:
    (event,) = told("QueueMemberPause", **MEMBER | headers)
    assert isinstance(event, MemberSeen)
    assert event.member.pause_reason == expected


@pytest.mark.parametrize(
    ("interface", "device", "extension"),
    [
        ("PJSIP/104", "PJSIP/104", "104"),
        ("Local/104@from-queue/n", "PJSIP/104", "104"),
        ("Local/104@from-queue/n", "hint:104@ext-local", "104"),
        ("Local/104@from-queue/n", "", "104"),
    ],
)
def test_whose_place_it_is(interface: str, device: str, extension: str) -> None:
    (event,) = told("QueueMemberStatus", **MEMBER | {"Interface": interface, "StateInterface": device})
    assert isinstance(event, MemberSeen)
    assert (event.member.extension, event.member.device) == (extension, device or interface)


def test_lists_call_a_member_otherwise() -> None:
    headers = {"Queue": "sales", "Name": "Agent 1", "Location": "PJSIP/1", "Status": "6", "ActionID": "x"}
    (event,) = told("QueueMember", **headers)
    assert isinstance(event, MemberSeen)
    assert (event.member.interface, event.member.name) == ("PJSIP/1", "Agent 1")
    assert event.member.state is DeviceState.RINGING
    assert told("QueueMemberRemoved", **MEMBER) == [MemberLeft(queue="support", interface="PJSIP/104", at=AT)]
    assert told("QueueParams", Queue="sales") == [QueueSeen(queue="sales", at=AT)]


def test_callers_in_events_and_in_lists() -> None:
    headers = {"Queue": "sales", "Uniqueid": "1.5", "Position": "2"}
    assert told("QueueCallerJoin", **headers, Linkedid="1.4") == [
        CallerWaits(queue="sales", channel_id="1.5", linked_id="1.4", position=2, since=AT, at=AT)
    ]
    since = AT - timedelta(seconds=7)
    assert told("QueueEntry", **headers, Wait="7") == [
        CallerWaits(queue="sales", channel_id="1.5", linked_id="", position=2, since=since, at=AT)
    ]
    for event in ("QueueCallerLeave", "QueueCallerAbandon"):
        assert told(event, **headers) == [CallerLeft(queue="sales", channel_id="1.5", at=AT)]


def test_telephones() -> None:
    assert told("DeviceStateChange", Device="PJSIP/101", State="RINGINUSE") == [
        DeviceChanged(device="PJSIP/101", state=DeviceState.IN_USE, at=AT)
    ]
    assert told("DeviceStateChange", Device="Custom:DND106", State="INUSE") == [
        DoNotDisturb(extension="106", is_on=True, at=AT)
    ]
    hint = {"Exten": "201", "Context": "ext-local", "Hint": "PJSIP/ivanov&Custom:DND201,CustomPresence:201"}
    assert told("ExtensionStatus", **hint) == [DeviceNamed(device="PJSIP/ivanov", extension="201", at=AT)]
    assert told("PeerStatus", Peer="PJSIP/101", PeerStatus="Unreachable") == [
        DeviceReached(device="PJSIP/101", is_reachable=False, at=AT)
    ]


@pytest.mark.parametrize(
    "device", ["Queue:sales_avail", "MWI:101@default", "park:701@parkedcalls", "Local/1@x", "Custom:Lamp"]
)
def test_counters_of_the_pbx_are_no_telephones(device: str) -> None:
    translator, lamp = PresenceTranslator(), message("DeviceStateChange", Device=device, State="INUSE")
    assert translator.translate(lamp, AT) == []


def test_lists_begin_with_their_answer_and_end_with_their_last_event() -> None:
    for words, complete, listing in (
        ("Queue status will follow", "QueueStatusComplete", Listing.QUEUES),
        ("Device State Changes will follow", "DeviceStateListComplete", Listing.DEVICES),
    ):
        answer = AmiMessage(f"Response: Success\r\nEventList: start\r\nMessage: {words}".encode())
        assert PresenceTranslator().translate(answer, AT) == [ListBegun(listing=listing, at=AT)]
        assert told(complete) == [ListEnded(listing=listing, at=AT)]


def test_the_same_word_again_is_not_told_but_a_list_is_whole() -> None:
    translator = PresenceTranslator()
    changed = message("DeviceStateChange", Device="PJSIP/101", State="INUSE")
    assert translator.translate(changed, AT)
    assert translator.translate(changed, AT) == []
    assert translator.translate(message("DeviceStateChange", Device="PJSIP/101", State="RINGING"), AT)
    assert translator.translate(changed, AT)
    listed = message("DeviceStateChange", ActionID="x", Device="PJSIP/101", State="INUSE")
    assert translator.translate(listed, AT)
    assert translator.translate(listed, AT)


@pytest.mark.parametrize("name", ["asterisk22/29-agents-come-and-go", "freepbx16/06-queue-answered"])
def test_every_message_twice_changes_nothing(name: str) -> None:
    once, twice = PbxPresence(), PbxPresence()
    for presence, times in ((once, 1), (twice, 2)):
        translator = PresenceTranslator()
        for each in AmiFrames(is_noise=is_noise).feed(capture(name).stream):
            for event in translator.translate(each, AT):
                for _ in range(times):
                    presence.apply(event)
    assert once.extensions() == twice.extensions()
    for extension in once.extensions():
        assert once.telephones(extension) == twice.telephones(extension)
        assert once.places(extension) == twice.places(extension)
    assert [once.queue(queue) for queue in once.queues()] == [twice.queue(queue) for queue in twice.queues()]


def test_a_place_in_a_queue_may_be_handed_over() -> None:
    """An agent who waited there joins the customer with it: the PBX goes on with the customer's channel."""
    presence, translator = PbxPresence(), PresenceTranslator()
    told = [
        message("QueueCallerJoin", Queue="600", Uniqueid="7.1", Linkedid="7.1", Position="1"),
        message(
            "AttendedTransfer",
            Result="Success",
            DestType="App",
            SecondTransfererUniqueid="7.1",
            TransfereeUniqueid="7.2",
            TransfereeLinkedid="7.2",
        ),
    ]
    for one in told:
        for event in translator.translate(one, AT):
            presence.apply(event)
    assert (queue := presence.queue("600")) is not None
    assert [(one.channel_id, one.linked_id, one.since) for one in queue.waiting] == [("7.2", "7.2", AT)]
    for event in translator.translate(message("QueueCallerLeave", Queue="600", Uniqueid="7.2"), AT):
        presence.apply(event)
    assert (queue := presence.queue("600")) is not None
    assert queue.waiting == ()


def test_no_capture_leaves_a_caller_in_a_queue_or_a_telephone_ringing() -> None:
    """Recordings that end with the last call: whatever began there also ended there."""
    for one in ALL:
        if "before" in one.scenario:
            continue
        presence, translator = PbxPresence(), PresenceTranslator()
        for each in AmiFrames(is_noise=is_noise).feed(one.stream):
            for event in translator.translate(each, AT):
                presence.apply(event)
        pictures = [picture for queue in presence.queues() if (picture := presence.queue(queue))]
        assert Counter(caller for picture in pictures for caller in picture.waiting) == Counter(), one.name
        states = {
            phone.state for extension in presence.extensions() for phone in presence.telephones(extension)
        }
        assert DeviceState.RINGING not in states, one.name


NAMES = st.sampled_from([name.decode() for name in HANDLERS])
NAMED = (
    *("Queue", "Interface", "StateInterface", "Device", "State", "Status", "LastCall", "Wait", "Position"),
    *("Uniqueid", "Hint", "Exten", "Paused", "Wrapuptime", "Penalty", "Peer"),
)
ODD = ("PJSIP/1", "Local/", "hint:", "99999999999999999999", "-1", "²")
HEADERS = st.dictionaries(st.sampled_from(NAMED), st.text(max_size=30) | st.sampled_from(ODD))


@given(st.lists(st.tuples(NAMES, HEADERS), max_size=20))
def test_garbage_raises_nothing(stream: list[tuple[str, dict[str, str]]]) -> None:
    translator, presence = PresenceTranslator(), PbxPresence()
    for event, headers in stream:
        for each in translator.translate(message(event, **headers), AT):
            presence.apply(each)
    for extension in presence.extensions():
        presence.telephones(extension)
        presence.places(extension)
