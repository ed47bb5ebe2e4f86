"""What a connection hears is sorted by calls, waits for nobody, and leaves the memory."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from ami_adapter.framing import AmiMessage
from ami_adapter.stories import keeper as keeping
from ami_adapter.stories.entries import Heard, Noted
from ami_adapter.stories.steps import NOBODY_RANG, RINGS, UNUSED, tell_steps
from tests.ami_adapter.stories.listening import Listening, listening
from tests.captures import capture

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
ONE = UUID("019aa000-0000-7000-8000-000000000001")
OTHER = UUID("019aa000-0000-7000-8000-000000000002")


def message(event: str, unique_id: str = "", linked_id: str = "", **more: str) -> AmiMessage:
    headers = {"Event": event, "Privilege": "call,all", "Channel": f"PJSIP/101-{unique_id}"}
    headers |= {"Uniqueid": unique_id, "Linkedid": linked_id} if unique_id else {}
    return AmiMessage("\r\n".join(f"{name}: {value}" for name, value in (headers | more).items()).encode())


def events_of(office: Listening, call_id: UUID) -> list[str]:
    heard = (entry for entry in office.shelf.read(call_id) if isinstance(entry, Heard))
    return [AmiMessage(entry.raw).event.decode() for entry in heard]


async def over(office: Listening, *call_ids: UUID) -> None:
    for call_id in call_ids:
        office.keeper.end(call_id)
    await office.keeper.written()


async def test_each_call_keeps_its_own_messages_as_they_were_received(tmp_path: Path) -> None:
    async with listening(tmp_path, lambda: NOW) as office:
        ear = office.keeper.ear(1)
        first = message("Newchannel", "1.1", "1.1", CallerIDName="Ромашка")
        ear.heard(first, NOW)
        ear.heard(message("Newchannel", "2.1", "2.1"), NOW)
        ear.heard(message("Newstate", "1.1", "1.1"), NOW + timedelta(milliseconds=3))
        office.keeper.name(1, ("1.1",), ONE, NOW)
        office.keeper.name(1, ("2.1",), OTHER, NOW)
        await over(office, ONE, OTHER)
        assert events_of(office, ONE) == ["Newchannel", "Newstate"]
        assert events_of(office, OTHER) == ["Newchannel"]
        assert office.shelf.read(ONE)[0] == Heard(1000, NOW, first.raw)


async def test_channels_that_show_another_linked_id_join_their_stories(tmp_path: Path) -> None:
    async with listening(tmp_path, lambda: NOW) as office:
        ear = office.keeper.ear(1)
        for number in ("1.1", "2.1"):
            ear.heard(message("Newchannel", number, number), NOW)
        office.keeper.name(1, ("1.1",), ONE, NOW)
        office.keeper.name(1, ("2.1",), OTHER, NOW)
        ear.heard(message("BridgeEnter", "2.1", "1.1", BridgeUniqueid="b"), NOW)
        ear.heard(message("BridgeMerge", ToBridgeUniqueid="b", FromBridgeUniqueid="c"), NOW)
        office.keeper.note(OTHER, NOW, "told", {"user": "Anna"})
        await over(office, ONE)
        assert events_of(office, ONE) == ["Newchannel", "Newchannel", "BridgeEnter", "BridgeMerge"]
        assert [entry.what for entry in office.shelf.read(ONE) if isinstance(entry, Noted)][-1] == "told"
        assert office.shelf.read(OTHER) == []


async def test_a_call_named_anew_stays_with_its_later_story_when_the_earlier_is_joined(
    tmp_path: Path,
) -> None:
    async with listening(tmp_path, lambda: NOW) as office:
        ear = office.keeper.ear(1)
        for number in ("1.1", "2.1", "3.1"):
            ear.heard(message("Newchannel", number, number), NOW)
        office.keeper.name(1, ("2.1",), ONE, NOW)
        office.keeper.name(1, ("3.1",), ONE, NOW)
        ear.heard(message("BridgeEnter", "2.1", "1.1", BridgeUniqueid="b"), NOW)
        await over(office, ONE)
        assert events_of(office, ONE) == ["Newchannel"]


async def test_t26_answers_and_what_concerns_no_call_are_not_kept(tmp_path: Path) -> None:
    async with listening(tmp_path, lambda: NOW) as office:
        ear = office.keeper.ear(1)
        ear.heard(message("Newchannel", "1.1", "1.1"), NOW)
        office.keeper.name(1, ("1.1",), ONE, NOW)
        ear.heard(AmiMessage(b"Response: Success\r\nUniqueid: 1.1\r\nSecret: s3cr3t-canary"), NOW)
        ear.heard(AmiMessage(b"Event: SuccessfulAuth\r\nAccountID: s3cr3t-canary"), NOW)
        await over(office, ONE)
        assert events_of(office, ONE) == ["Newchannel"]
        assert not any(b"canary" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


async def test_late_messages_of_an_ended_call_begin_no_other(tmp_path: Path) -> None:
    async with listening(tmp_path, lambda: NOW) as office:
        ear = office.keeper.ear(1)
        ear.heard(message("Newchannel", "1.1", "1.1"), NOW)
        office.keeper.name(1, ("1.1",), ONE, NOW)
        await over(office, ONE)
        ear.heard(message("Hangup", "1.1", "1.1"), NOW)
        office.keeper.later.catch_up()
        assert office.keeper.of_ear(ear) == []
        assert ear.ids == {}


async def test_what_is_known_of_the_calls_telephones_goes_with_it(tmp_path: Path) -> None:
    async with listening(tmp_path, lambda: NOW) as office:
        ear = office.keeper.ear(1)
        ear.heard(AmiMessage(b"Event: ExtensionStatus\r\nExten: 101\r\nHint: PJSIP/101"), NOW)
        ear.heard(AmiMessage(b"Event: ExtensionStatus\r\nExten: 102\r\nHint: PJSIP/102"), NOW)
        later = NOW + timedelta(hours=1)
        ear.heard(message("Newchannel", "1.1", "1.1"), later)
        office.keeper.name(1, ("1.1",), ONE, later)
        await over(office, ONE)
        hint, first, *_ = office.shelf.read(ONE)
        assert isinstance(hint, Heard)
        assert b"PJSIP/101" in hint.raw
        assert hint.at == first.at


async def test_memory_and_time_stay_small_when_the_disk_does_not_keep_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MOST_LIVE", 50)
    async with listening(tmp_path, lambda: NOW) as office:
        ear = office.keeper.ear(1)
        long = "x" * 4000
        longest = 0.0
        for number in range(200):
            for _ in range(10):
                heard = message("Newchannel", f"{number}.1", f"{number}.1", Value=long)
                began = time.thread_time()
                ear.heard(heard, NOW)
                office.keeper.later.catch_up()
                longest = max(longest, time.thread_time() - began)
        stories = office.keeper.of_ear(ear)
        assert len(stories) == 50
        assert max(story.waiting_bytes for story in stories) <= keeping.BUFFER_BYTES + 5000
        assert longest < 0.05
        await office.keeper.written()


async def test_what_is_not_sorted_in_time_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MOST_UNSORTED", 3)
    async with listening(tmp_path, lambda: NOW) as office:
        ear = office.keeper.ear(1)
        ear.heard(message("Newchannel", "1.1", "1.1"), NOW)
        for _ in range(5):
            ear.heard(message("Newstate", "1.1", "1.1"), NOW)
        office.keeper.name(1, ("1.1",), ONE, NOW)
        await over(office, ONE)
        assert events_of(office, ONE) == ["Newchannel", "Newstate", "Newstate"]


async def test_sorting_goes_on_beside_everything_else(tmp_path: Path) -> None:
    async with listening(tmp_path, lambda: NOW) as office:
        ear = office.keeper.ear(1)
        for number in range(3000):
            ear.heard(message("Newchannel", f"{number}.1", f"{number}.1"), NOW)
        assert office.keeper.of_ear(ear) == []
        async with asyncio.timeout(10):
            while len(office.keeper.of_ear(ear)) < 3000:
                await asyncio.sleep(0.01)


async def test_a_call_in_words(tmp_path: Path) -> None:
    async with listening(tmp_path, lambda: NOW) as office:
        office.hear(capture("asterisk22/01-inbound-answered"))
        (call_id,) = office.ended
        office.keeper.note(call_id, NOW, "rings", {"why": "nobody", "extension": "101"})
        await office.keeper.written()
        steps = tell_steps(office.shelf.read(call_id))
    texts = [step.text for step in steps]
    assert texts[0] == "the PBX names the telephone of extension 101"
    assert "PJSIP/trunk-a-00000000: a channel is made" in texts
    assert "nobody is assigned to extension 101: no window" in texts
    assert "+0.1 s: 101 rings" in texts
    assert any(step.sentence == UNUSED for step in steps)
    assert not any(step.sentence == NOBODY_RANG for step in steps)
    assert texts.index("PJSIP/trunk-a-00000000 is hung up: Normal Clearing") > texts.index(
        "+0.1 s: 101 rings"
    )
    assert RINGS["nobody"] in {step.sentence for step in steps}


async def test_an_ended_call_is_packed_a_moment_later_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "FLUSH_SECONDS", 0.01)
    now = [NOW]
    async with listening(tmp_path, lambda: now[0]) as office:
        office.hear(capture("asterisk22/01-inbound-answered"))
        (call_id,) = office.ended
        await asyncio.sleep(0.05)
        assert office.shelf.read(call_id) == []
        now[0] += keeping.LINGER
        async with asyncio.timeout(5):
            while not office.shelf.read(call_id):
                await asyncio.sleep(0.01)
