"""What a stream may lack, or hold besides, without any call being told otherwise: the class `dialplan`, strange events,
strange headers, cuts of the network."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ami_adapter.framing import AmiFrames, AmiMessage
from ami_adapter.meanings import HANDLERS
from ami_adapter.translate import SNAPSHOT_EVENTS, Translator, is_noise
from cti.calls.call_events import CallEvent
from cti.calls.records import CallRecord, Disposition
from cti.calls.tracker import CallTracker
from tests.captures import capture
from tests.cti.calls.streams import BURSTS, NAMES, timed_messages, told_calls, tracked

DIALPLAN = frozenset({b"VarSet", b"Newexten"})
SHORT = [name for name in NAMES if name not in BURSTS]
BROKEN = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# What the class `dialplan` alone tells, and what a call's outcome is without it.
ONLY_DIALPLAN = frozenset({"recording_file", "story"})
AFTER_MAILBOX = frozenset(
    {"disposition", "ring_seconds", "wait_seconds"}
)  # the caller's waiting ends at the mailbox
AFTER_MENU = frozenset({"disposition"})
TOLD_BY_DIALPLAN = frozenset({Disposition.MENU_ONLY, Disposition.AFTER_HOURS, Disposition.BLOCKED})

Timed = tuple[AmiMessage, datetime]


def told(messages: Iterable[Timed]) -> list[CallEvent]:
    translator = Translator()
    return tracked(event for message, at in messages for event in translator.translate(message, at))


def calls_of(messages: Iterable[Timed]) -> dict[str, CallRecord]:
    return told_calls(told(messages))


# -- the class dialplan --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_without_the_class_dialplan_only_what_it_alone_tells_is_missed(name: str) -> None:
    messages = timed_messages(name)
    whole, less = calls_of(messages), calls_of(pair for pair in messages if pair[0].event not in DIALPLAN)
    assert less.keys() == whole.keys()
    for key, call in whole.items():
        assert differing(call, less[key]) <= missed_in(call)
        assert less[key].recording_file is None
        assert less[key].disposition not in (Disposition.VOICEMAIL, Disposition.MENU_ONLY)


def missed_in(call: CallRecord) -> frozenset[str]:
    """The fields that may differ. No DID is among them: every recorded line sends the number that was called."""
    if call.disposition is Disposition.VOICEMAIL:
        return ONLY_DIALPLAN | AFTER_MAILBOX
    return ONLY_DIALPLAN | AFTER_MENU if call.disposition in TOLD_BY_DIALPLAN else ONLY_DIALPLAN


def differing(one: CallRecord, other: CallRecord) -> set[str]:
    names = (field.name for field in fields(one))
    return {name for name in names if getattr(one, name) != getattr(other, name)}


def test_our_number_is_missed_only_where_nothing_but_the_dialplan_tells_it() -> None:
    """A line that delivers no number enters the dialplan at "s"; a FreePBX then notes FROM_DID."""
    messages = [
        (AmiMessage(message.raw.replace(b"Exten: 74951234510", b"Exten: s")), at)
        if message.event == b"Newchannel"
        else (message, at)
        for message, at in timed_messages("freepbx16/05-group-ringall")
    ]
    (call,) = calls_of(messages).values()
    (less,) = calls_of(pair for pair in messages if pair[0].event not in DIALPLAN).values()
    assert call.did == "74951234510"
    assert (less.did, differing(call, less)) == (None, {"did", "recording_file"})


def test_the_class_dialplan_does_tell_something() -> None:
    missed: set[str] = set()
    for name in NAMES:
        messages = timed_messages(name)
        less = calls_of(pair for pair in messages if pair[0].event not in DIALPLAN)
        for key, call in calls_of(messages).items():
            missed |= differing(call, less[key])
    assert missed == ONLY_DIALPLAN | AFTER_MAILBOX


# -- strange events and headers ------------------------------------------------------------------------------------

PLAIN = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=20)
WORDS = st.sampled_from(
    ["", "6", "5", "Up", "Ringing", "<unknown>", "101", "89161234567", "PJSIP/101-00000001"]
)
A_STREAM = st.sampled_from(SHORT)
OUR_EVENTS = HANDLERS.keys() | SNAPSHOT_EVENTS
MISLEADING = (
    *("Uniqueid", "Linkedid", "Channel", "ChannelState", "DestUniqueid", "DestLinkedid", "DestChannel"),
    *("BridgeUniqueid", "Variable", "Value", "Application", "DialStatus", "Cause", "Timestamp", "Message"),
)
FORGED = [header for header in MISLEADING if header not in ("Variable", "Application")]
STRANGE_EVENTS = st.one_of(
    st.just("UserEvent"),
    st.sampled_from(
        ["newchannel", "HANGUP", "Hangup2", "HangupHandlerRun", "SoftHangupRequest", "LocalBridge"]
    ),
    st.sampled_from(
        ["VarSetAll", "NewConnectedLine", "FullyBooted", "Cdr", "CEL", "PeerStatus", "QueueSummary"]
    ),
    st.text("ABCDEFXYZabcdefxyz", min_size=1, max_size=12),
).filter(lambda name: name.encode() not in OUR_EVENTS)


@st.composite
def strange_messages(draw: st.DrawFn) -> AmiMessage:
    """An event nobody knows, or one that a dialplan made up, whose headers name real channels and moments."""
    headers = draw(st.lists(st.tuples(st.sampled_from(MISLEADING), WORDS | PLAIN), max_size=8))
    name = draw(STRANGE_EVENTS)
    lines = [f"Event: {name}", *(f"{header}: {value}" for header, value in headers)]
    if name == "UserEvent":
        lines.append(f"UserEvent: {draw(st.sampled_from(['Hangup', 'Newchannel', 'X']))}")
        lines.append(f"Event: {draw(st.sampled_from(['Hangup', 'Newchannel', 'Shutdown']))}")
    return AmiMessage("\r\n".join(lines).encode())


@BROKEN
@given(A_STREAM, st.lists(strange_messages(), min_size=1, max_size=10), st.integers(0, 2**32))
def test_events_that_nobody_knows_change_nothing(name: str, strange: list[AmiMessage], seed: int) -> None:
    chance = random.Random(seed)
    messages = timed_messages(name)
    mixed: list[Timed] = []
    for pair in messages:
        mixed.append(pair)
        if chance.random() < 0.5:
            mixed.append((about(chance.choice(strange), pair[0]), pair[1]))
    assert told(mixed) == told(messages)


def about(strange: AmiMessage, real: AmiMessage) -> AmiMessage:
    """The strange event with the real one's headers after its own: it names the same channel."""
    return AmiMessage(strange.raw + b"\r\n" + real.raw.partition(b"\r\n")[2])


STRANGE_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["X-Custom", "ChanVariable(PJSIP/101-00000001)", "SystemName", "File", "Uniqueid2", "Dest"]
        ),
        WORDS | PLAIN,
    ),
    min_size=1,
    max_size=4,
)


@BROKEN
@given(A_STREAM, STRANGE_HEADERS, st.integers(0, 2**32))
def test_headers_that_nobody_knows_change_nothing(
    name: str, headers: list[tuple[str, str]], seed: int
) -> None:
    chance = random.Random(seed)
    lines = [f"{header}: {value}".encode() for header, value in headers]
    messages = timed_messages(name)
    assert told((with_header(one, chance.choice(lines), chance), at) for one, at in messages) == told(
        messages
    )


def with_header(message: AmiMessage, line: bytes, chance: random.Random) -> AmiMessage:
    lines = message.raw.split(b"\r\n")
    lines.insert(chance.randint(1, len(lines)), line)
    return AmiMessage(b"\r\n".join(lines))


@BROKEN
@given(A_STREAM, st.integers(0, 2**32))
def test_of_a_header_that_comes_twice_the_first_counts(name: str, seed: int) -> None:
    """A name or a value that somebody outside chose must not be able to speak for the PBX further down.

    Of VarSet and Newexten the quick look at the bytes sees the last Variable and Application, and may then pass the
    message over (`test_translate`).
    """
    chance = random.Random(seed)
    messages = timed_messages(name)
    forged = [f"{header}: {chance.choice(['6', '101', 'x'])}".encode() for header in FORGED]
    mixed = [(with_forged(one, forged), at) if chance.random() < 0.3 else (one, at) for one, at in messages]
    assert told(mixed) == told(messages)


def with_forged(message: AmiMessage, forged: list[bytes]) -> AmiMessage:
    known = {line.partition(b":")[0] for line in message.raw.split(b"\r\n")}
    again = [line for line in forged if line.partition(b":")[0] in known]
    return AmiMessage(b"\r\n".join([message.raw, *again]))


# -- cuts of the network -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_wherever_the_network_cuts_the_bytes_the_same_is_told(name: str) -> None:
    stream, chance = capture(name).stream, random.Random(name)
    sizes = (1, 7, 1460) if len(stream) < 60_000 else (61, 1460)
    whole = told_of_chunks([stream])
    for size in sizes:
        assert told_of_chunks(stream[at : at + size] for at in range(0, len(stream), size)) == whole
    cuts = sorted(chance.sample(range(len(stream)), 200))
    pieces = zip([0, *cuts], [*cuts, len(stream)], strict=True)
    assert told_of_chunks(stream[start:end] for start, end in pieces) == whole


def told_of_chunks(chunks: Iterable[bytes]) -> list[CallEvent]:
    """Of the bytes alone; what times a message has depends on the chunk that it ends in."""
    frames, translator, tracker = AmiFrames(is_noise=is_noise), Translator(), CallTracker()
    events: list[CallEvent] = []
    for chunk in chunks:
        for message in frames.feed(chunk):
            for event in translator.translate(message, None):
                events += tracker.apply(event)
    return events
