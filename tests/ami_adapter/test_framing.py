"""Bytes → messages: however the network cut them, whatever the other end sends."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ami_adapter.errors import AmiMessageTooLong
from ami_adapter.framing import MAX_VALUE, AmiFrames, AmiMessage
from tests.captures import capture

NAMES = st.text("ABCDEFabcdef-", min_size=1, max_size=12)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=30)


def encode(headers: dict[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n"


@given(st.lists(st.dictionaries(NAMES, VALUES, min_size=1)), st.integers(1, 40))
def test_the_network_may_cut_anywhere(messages: list[dict[str, str]], size: int) -> None:
    stream = b"".join(map(encode, messages))
    frames = AmiFrames()
    received = [frames.feed(stream[start : start + size]) for start in range(0, len(stream), size)]
    assert list(chain.from_iterable(received)) == AmiFrames().feed(stream)
    assert [dict(message) for message in chain.from_iterable(received)] == messages


@pytest.mark.parametrize("size", [1, 7, 1460])
def test_a_real_stream_cut_into_pieces_gives_the_same_messages(size: int) -> None:
    stream = capture("asterisk22/26-odd-display-names").stream[:60_000]
    frames = AmiFrames()
    received = [frames.feed(stream[start : start + size]) for start in range(0, len(stream), size)]
    assert list(chain.from_iterable(received)) == AmiFrames().feed(stream)


def test_the_banner_is_cut_off_wherever_it_ends() -> None:
    frames = AmiFrames()
    assert frames.feed(b"Asterisk Call Ma") == []
    assert frames.banner is None
    assert frames.feed(b"nager/11.0.0\r") == []
    (answer,) = frames.feed(b"\nResponse: Success\r\nActionID: 1\r\n\r\n")
    assert frames.banner == "Asterisk Call Manager/11.0.0"
    assert dict(answer) == {"Response": "Success", "ActionID": "1"}


def test_empty_lines_between_messages_are_skipped() -> None:
    stream = b"Event: TestEvent\r\nState: MIXMONITOR_END\r\n\r\n\r\nEvent: Hangup\r\nCause: 16\r\n\r\n"
    assert [message.event for message in AmiFrames().feed(stream)] == [b"TestEvent", b"Hangup"]


def test_t05_the_first_header_wins_and_repeats_are_counted() -> None:
    (message,) = AmiFrames().feed(b"Event: TestEvent\r\nState: one\r\nState: two\r\nState: three\r\n\r\n")
    assert message["State"] == "one"
    assert message.repeated == 2


def test_t05_bytes_that_are_not_utf8_do_not_break_the_reader() -> None:
    (message,) = AmiFrames().feed(b"Event: Newchannel\r\nCallerIDName: \xc8\xe2\xe0\xed\r\n\r\n")
    assert message["CallerIDName"] == "\ufffd" * 4


def test_t05_nul_and_endless_values_go_no_further() -> None:
    """A caller chooses the name, and SIP carries ten thousand characters of it."""
    name = b"\x00" + "Ё".encode() * 10_000
    [message] = AmiFrames().feed(b"Event: Newchannel\r\nCallerIDName: " + name + b"\r\nUniqueid: 1.1\r\n\r\n")
    assert message["CallerIDName"] == "\N{REPLACEMENT CHARACTER}" + "Ё" * (MAX_VALUE - 1)
    assert (message.event, message["Uniqueid"]) == (b"Newchannel", "1.1")


def test_a_letter_split_between_two_chunks_is_whole() -> None:
    stream = encode({"CallerIDName": "Мария"})
    frames = AmiFrames()
    frames.feed(stream[:15])
    (message,) = frames.feed(stream[15:])
    assert message["CallerIDName"] == "Мария"


@pytest.mark.parametrize("ends", [b"", b"\r\n\r\n"])
def test_t05_an_endless_message_is_refused(ends: bytes) -> None:
    frames = AmiFrames(max_bytes=1000)
    with pytest.raises(AmiMessageTooLong, match="1000"):
        frames.feed(b"Event: X\r\nValue: " + b"a" * 2000 + ends)


def test_only_the_first_colon_separates() -> None:
    (message,) = AmiFrames().feed(
        b"Event: VarSet\r\nValue: sip:101@10.0.0.1: 5060\r\nEmpty:\r\nno header\r\n\r\n"
    )
    assert message["Value"] == "sip:101@10.0.0.1: 5060"
    assert message["Empty"] == ""
    assert len(message) == 3


def test_a_message_is_a_value() -> None:
    one, same = AmiMessage(b"Response: Success"), AmiMessage(b"Response: Success")
    assert one == same
    assert hash(one) == hash(same)
    assert one.event == b""
    assert one != AmiMessage(b"Response: Error")
    assert "Success" in repr(one)
    assert AmiMessage(b"Privilege: call\r\nEvent: Hangup").event == b"Hangup"


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data: bytes) -> None:
    for message in AmiFrames().feed(data + b"\r\n\r\n"):
        assert dict(message) is not None
