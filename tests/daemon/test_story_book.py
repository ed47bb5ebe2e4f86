"""A live call over a real socket: what was heard, who was told, why not; and its export, which is a capture like ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from ami_adapter.connection import AmiConnection
from ami_adapter.demo.pbx import DEMO_SECRET, DEMO_USER, DemoPbx
from ami_adapter.demo.recording import load_recording
from ami_adapter.link import AmiSettings
from ami_adapter.replay import replay_calls
from ami_adapter.stories.entries import Noted
from ami_adapter.stories.export import NothingToExport, anonymous_capture
from ami_adapter.stories.keeper import StoryKeeper
from ami_adapter.stories.shelf import KeptStory, StoryShelf
from ami_adapter.stories.steps import RINGS, TOLD, WHO, tell_steps
from crm.journal_entries import CallEntry, Entry
from cti.calls.records import CallRecord, CallState
from cti.daemon.call_ids import CallIds
from cti.daemon.command import main
from cti.daemon.recognition import Question
from cti.daemon.story_book import StoryBook
from cti.daemon.switchboard import Switchboard
from cti.desk import Desk, EmptyDirectory, Message
from tests.ami_adapter.scripted import eventually
from tests.ami_adapter.test_replay import differences
from tests.captures import Capture, capture
from tests.daemon.test_switchboard import MATCHED, directory

CAPTURES = [
    capture(f"asterisk22/{name}")
    for name in (
        "01-inbound-answered",
        "04-ring-group",
        "10-outbound-answered",
        "15-blind-transfer",
        "21-internal",
    )
]


class House:
    """The part of the daemon from the socket to the windows; the journal only remembers who ended."""

    def __init__(self, folder: Path) -> None:
        self.shelf = StoryShelf(folder, days=14, megabytes=64)
        self.keeper = StoryKeeper(self.shelf, lambda: datetime.now(UTC))
        self.ended: dict[UUID, CallRecord] = {}
        self.pages = {5: 2}
        self.board = Switchboard(
            desk=Desk(EmptyDirectory(), epoch="e"),
            journal=self,
            ask=self._answer,
            deliver=self._deliver,
            now=lambda: datetime.now(UTC),
            ids=CallIds(),
            story=StoryBook(
                self.keeper,
                pages_of=lambda user_id: self.pages.get(user_id, 0),
                now=lambda: datetime.now(UTC),
            ),
        )
        self.board.set_directory(directory())

    def put(self, entry: Entry) -> None:
        if isinstance(entry, CallEntry) and entry.record.state is CallState.ENDED:
            self.ended[entry.call_id] = entry.record

    def _deliver(self, messages: Iterable[Message]) -> None:
        del messages

    def _answer(self, question: Question) -> None:
        asyncio.get_running_loop().call_soon(self.board.recognised, question, MATCHED)

    async def hear(self, one: Capture) -> None:
        """Play a recorded call on the demo PBX, a link of ours listening, until it is over."""
        async with DemoPbx(speed=20) as pbx:
            settings = AmiSettings(host="127.0.0.1", port=pbx.port, user=DEMO_USER, secret=DEMO_SECRET)
            link = AmiConnection(
                settings, emit=lambda events: self.board.receive(1, events), ear=self.keeper.ear(1)
            )
            running = asyncio.create_task(link.run())
            await pbx.listened_to.wait()
            await pbx.play(load_recording(one.path, one.timing_path))
            await eventually(lambda: self.ended, within=10)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        await self.keeper.written()


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    opened = House(folder)
    keeping = asyncio.create_task(opened.keeper.run())
    await asyncio.sleep(0)
    yield opened
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


@pytest.mark.parametrize("one", CAPTURES, ids=lambda one: one.name)
async def test_a_live_call_exported_is_a_capture_with_its_truth(one: Capture, tmp_path: Path) -> None:
    """What CONTRIBUTING asks of a capture: the stream and its timing give the truth that stands beside them."""
    async with house(tmp_path / "story") as opened:
        await opened.hear(one)
        (call_id,) = opened.ended
        record = opened.ended[call_id]
        exported = anonymous_capture(opened.shelf.read(call_id))
    stream, timing, truth = exported.write(tmp_path / "captures", one.scenario)
    told = json.loads(truth.read_text())
    assert "replay_differs_in" not in told
    (call,) = replay_calls(stream, timing=timing)
    assert list(differences(call, told["calls"][0])) == []
    assert (call["direction"], call["disposition"], call["rang"]) == (
        record.direction,
        record.disposition,
        list(record.rang),
    )
    assert (call["ring_s"], call["talk_s"]) == (
        pytest.approx(record.ring_seconds, abs=0.01),
        pytest.approx(record.talk_seconds, abs=0.01),
    )
    number = record.customer_number or "no number"
    assert number not in exported.stream.decode()
    assert number[-10:] not in truth.read_text()


async def test_the_story_says_who_was_told_and_why_a_window_did_not_come_up(tmp_path: Path) -> None:
    async with house(tmp_path) as opened:
        await opened.hear(capture("asterisk22/04-ring-group"))
        (call_id,) = opened.ended
        entries = opened.shelf.read(call_id)
    texts = [step.text for step in tell_steps(entries)]
    for sentence in (
        RINGS["shown"] % {"extension": "101", "user": "Anna", "pages": "2"},
        RINGS["unknown_extension"] % {"extension": "102"},
        TOLD["call.ringing"] % {"user": "Anna"},
        TOLD["call.ringing_stopped"] % {"user": "Anna"},
        WHO["matched"],
    ):
        assert sentence in texts, sentence
    record = KeptStory(entries).record
    assert record is not None
    assert record["customer_e164"] == "+79161234504"


async def test_whoever_has_no_page_open_is_named(tmp_path: Path) -> None:
    async with house(tmp_path) as opened:
        opened.pages.clear()
        await opened.hear(capture("asterisk22/01-inbound-answered"))
        (call_id,) = opened.ended
        entries = opened.shelf.read(call_id)
    notes = [entry.values for entry in entries if isinstance(entry, Noted) and entry.what == "rings"]
    assert notes == [{"why": "no_page", "extension": "101", "user": "Anna", "pages": 0}]


def test_of_a_call_that_was_not_kept_nothing_is_exported() -> None:
    with pytest.raises(NothingToExport, match="Nothing was kept of this call"):
        anonymous_capture([])


def test_a_whole_recording_is_anonymised_by_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, out = capture("asterisk22/01-inbound-answered"), tmp_path / "shared.ami.xz"
    options = ["replay", str(one.path), "--timing", str(one.timing_path), "--region", "RU"]
    assert main([*options, "--anonymise", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["customer_number_raw"] != "89161234501"
    (again,) = replay_calls(out, timing=tmp_path / "shared.timing.json")
    assert again == told
    assert (again["talk_s"], again["disposition"]) == (6.001, "answered")


def test_an_anonymous_recording_overwrites_no_original(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "own.ami"
    path.write_bytes(b"Event: FullyBooted\r\n\r\n")
    assert main(["replay", str(path), "--anonymise", str(path)]) != 0
    assert "would overwrite the recording" in capsys.readouterr().err
    assert path.read_bytes() == b"Event: FullyBooted\r\n\r\n"
