"""T13: a caller chooses their name and number. From the bytes of the PBX to windows, journal and log it stays text."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
import structlog
from sqlalchemy import select

from ami_adapter.framing import AmiFrames
from ami_adapter.translate import Translator
from crm.call_store import store
from crm.database import Database
from crm.schema.communications import Call
from cti.calls.tracker import CallTracker
from cti.daemon.logs import set_up_logs
from cti.desk import Message
from tests.crm import planting
from tests.daemon.test_switchboard import Line
from web.formats import visible_output
from web.live_frames import encode

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MOST_WINDOW_BYTES = 16_384
HOSTILE = {
    "markup": "<img src=x onerror=alert(1)>",
    "jinja": "{{ 7*7 }}{% raw %}",
    "turned round": "\u202e+7 495\u2066\u200f",
    "control": "\x1b[2J\x07\x08\x7f\x9b",
    "nul": "\x00\x00drop",
    "sql": "'; drop table call; --",
    "ten thousand": "Ё" * 10_000,
    "dots": "." * 10_000,
    "digits": "8" * 10_000,
    "lone line feeds": "a\nEvent: Hangup\nb\rc",
    "format": "%s%n%(name)s {0}",
}


def stream(caller: str) -> bytes:
    """One call in: the trunk's channel, the telephone's, which rings, and the end."""
    sent = caller.encode("utf-8", "surrogatepass")
    trunk = [b"Channel: PJSIP/trunk-00000001", b"Uniqueid: 1.1", b"Linkedid: 1.1"]
    phone = [b"Channel: PJSIP/101-00000002", b"Uniqueid: 1.2", b"Linkedid: 1.1"]
    who = [b"CallerIDNum: " + sent, b"CallerIDName: from " + sent]
    dial = [b"Dest" + line for line in phone]
    messages = [
        [
            b"Event: Newchannel",
            b"ChannelState: 4",
            b"Exten: 74951234501",
            b"Context: from-trunk",
            *trunk,
            *who,
        ],
        [b"Event: Newchannel", b"ChannelState: 0", b"Exten: s", b"Context: from-internal", *phone],
        [b"Event: DialBegin", *trunk, *who, *dial, b"DialString: 101"],
        [b"Event: DialState", *trunk, *who, *dial, b"DestChannelState: 5", b"DialStatus: RINGING"],
        [b"Event: Hangup", *phone, b"Cause: 26"],
        [b"Event: Hangup", *trunk, *who, b"Cause: 16"],
    ]
    return b"".join(b"\r\n".join(message) + b"\r\n\r\n" for message in messages)


def told(caller: str) -> Line:
    """What windows and journal hear of that call."""
    line = Line()
    translator, tracker = Translator(), CallTracker(extensions=["101"], lines=["PJSIP/trunk"])
    for message in AmiFrames().feed(stream(caller)):
        for event in translator.translate(message, AT):
            line.board.receive(1, tracker.apply(event))
    return line


@pytest.mark.parametrize("caller", HOSTILE.values(), ids=HOSTILE)
async def test_t13_the_call_rings_and_is_stored_whatever_the_caller_is_called(
    database: Database, caller: str
) -> None:
    line = told(caller)
    windows = [value for _kind, value in line.told if isinstance(value, Message)]
    assert windows[0].type == "call.ringing"
    for message in windows:
        frame = encode(message)
        assert len(frame) < MOST_WINDOW_BYTES
        assert b"\n" not in frame
        data = json.loads(frame)["data"]
        assert data["extension"] == "101"
        assert data["phone_text"].isprintable()  # the page writes it as it is
    async with database.sessions() as session:  # rolled back at the end
        connection = await planting.connection(session, "Hostile")
        entries = [
            msgspec.structs.replace(
                entry,
                connection_id=connection,
                run="run",
                step=step,
                facts=replace(entry.facts, line_id=None),
            )
            for step, entry in enumerate(line.entries())
        ]
        stored = await store(await session.connection(), entries)
        row = await session.get_one(Call, stored[-1].id)
        assert (row.state, row.answered_at) == ("ended", None)
        assert row.presented_name is not None
        assert "\x00" not in row.presented_name
        assert len(row.presented_name) <= 1000
        shown = visible_output(row.presented_name)
        assert not any(hidden in shown for hidden in "\u202e\u2066\u200f\x1b\x9b\x07")
        assert await session.scalar(select(Call.presented_from).where(Call.id == row.id)) is not None


def test_g03_a_log_line_stays_one_line_that_reads_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        set_up_logs("info")
        for caller in HOSTILE.values():
            structlog.get_logger("hostile").info("seen", path=caller)
            logging.getLogger("hostile").warning(caller.replace("%", "%%"))
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
    logged = capfd.readouterr().err.rstrip("\n")
    assert all(json.loads(line)["event"] for line in logged.split("\n"))
    assert not any(hidden in logged for hidden in "\u202e\u2066\u200f\x1b\x9b\x07")
