"""The PBX in the box: a real socket, recorded calls, new ids each round, and the whole line behind it."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ami_adapter.connection import AmiConnection
from ami_adapter.demo.pbx import DEMO_SECRET, DEMO_USER, DemoPbx, serve_demo_pbx
from ami_adapter.demo.recording import RecordedEvent, Recording, load_recording, packaged, packaged_names
from ami_adapter.demo.renaming import IdMint, Known
from ami_adapter.demo.storm import RingStorm
from ami_adapter.framing import AmiFrames, AmiMessage
from ami_adapter.link import AmiSettings, LinkStatus
from cti.calls.call_events import CallAnswered, CallEnded, CallEvent, CallRinging, SnapshotApplied
from cti.calls.presence import PbxPresence
from cti.calls.presence_events import ListBegun, ListEnded, PresenceEvent
from cti.calls.records import Direction, Disposition
from tests.ami_adapter.scripted import HASTY, eventually

CAPTURES = Path(__file__).parents[1] / "captures"
ANSWERED = "asterisk22-01-inbound-answered"


class RawClient:
    """A client that speaks in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.messages: list[AmiMessage] = []
        self.raw = b""
        self._frames = AmiFrames()
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while data := await self.reader.read(65_536):
                self.raw += data
                self.messages += self._frames.feed(data)
        except ConnectionError:
            pass

    async def ask(self, **headers: str) -> list[AmiMessage]:
        """Send one action; the messages of its answer."""
        asked = {"ActionID": f"ask-{len(self.messages)}"} | headers
        self.writer.write("".join(f"{name}: {value}\r\n" for name, value in asked.items()).encode() + b"\r\n")

        def answer() -> list[AmiMessage]:
            return [message for message in self.messages if message.get("ActionID") == asked["ActionID"]]

        def is_whole() -> bool:
            got = answer()
            return bool(got) and (
                got[0].get("EventList") != "start" or got[-1].get("EventList") == "Complete"
            )

        await eventually(is_whole)
        return answer()

    async def log_in(self, secret: str = DEMO_SECRET, **more: str) -> AmiMessage:
        (answer,) = await self.ask(Action="Login", Username=DEMO_USER, Secret=secret, **more)
        return answer

    def named(self, event: bytes) -> list[AmiMessage]:
        return [message for message in self.messages if message.event == event]

    async def gone(self) -> None:
        await asyncio.wait_for(self._task, 3)


@asynccontextmanager
async def client_of(pbx: DemoPbx) -> AsyncIterator[RawClient]:
    client = RawClient(*await asyncio.open_connection("127.0.0.1", pbx.port))
    try:
        yield client
    finally:
        client.writer.close()
        await client.gone()


def settings_of(pbx: DemoPbx) -> AmiSettings:
    return AmiSettings(host="127.0.0.1", port=pbx.port, user=DEMO_USER, secret=DEMO_SECRET, patience=HASTY)


@asynccontextmanager
async def listening(pbx: DemoPbx) -> AsyncIterator[list[CallEvent]]:
    """An AmiConnection to this PBX, up; what it tells."""
    told: list[CallEvent] = []
    connection = AmiConnection(settings_of(pbx), emit=told.extend)
    task = asyncio.create_task(connection.run())
    try:
        await eventually(lambda: connection.state.status is LinkStatus.UP)
        yield told
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_recorded_call_is_told_from_ringing_to_its_end() -> None:
    async with DemoPbx([packaged(ANSWERED)], speed=20) as pbx, listening(pbx) as told:
        await pbx.play(pbx.recordings[0])
        await eventually(lambda: any(isinstance(event, CallEnded) for event in told))
    kinds = [type(event) for event in told if isinstance(event, CallRinging | CallAnswered | CallEnded)]
    assert kinds == [CallRinging, CallAnswered, CallEnded]
    ended = next(event for event in told if isinstance(event, CallEnded)).call
    assert ended.direction is Direction.INBOUND
    assert ended.customer_number == "89161234501"
    assert ended.did == "+74951234501"
    assert ended.answered_by == "101"
    assert ended.disposition is Disposition.ANSWERED
    assert isinstance(told[0], SnapshotApplied)


async def test_two_rounds_are_two_calls() -> None:
    async with DemoPbx([packaged(ANSWERED)], speed=0) as pbx, listening(pbx) as told:
        await pbx.play_for_ever(rounds=2, gap_seconds=0)
        await eventually(lambda: sum(isinstance(event, CallEnded) for event in told) == 2)
    assert len({event.call.key for event in told if isinstance(event, CallEnded)}) == 2


async def test_i04_a_reconnect_in_mid_call_resyncs_and_the_call_ends_once() -> None:
    async with DemoPbx([packaged(ANSWERED)], speed=4) as pbx, listening(pbx) as told:
        playing = asyncio.create_task(pbx.play(pbx.recordings[0]))
        await eventually(lambda: any(isinstance(event, CallAnswered) for event in told))
        pbx.throw_everybody_out()
        await eventually(lambda: sum(isinstance(event, SnapshotApplied) for event in told) == 2)
        await playing
        await eventually(lambda: any(isinstance(event, CallEnded) for event in told))
    second = [event for event in told if isinstance(event, SnapshotApplied)][1]
    assert [record.talking for record in second.present] == [("101",)]
    (ended,) = [event for event in told if isinstance(event, CallEnded)]
    assert not ended.call.ended_unseen
    assert ended.call.disposition is Disposition.ANSWERED


async def test_i04_a_call_that_ended_while_nobody_listened_is_closed() -> None:
    async with DemoPbx([packaged(ANSWERED)], speed=4) as pbx, listening(pbx) as told:
        playing = asyncio.create_task(pbx.play(pbx.recordings[0]))
        await eventually(lambda: any(isinstance(event, CallAnswered) for event in told))
        playing.cancel()
        pbx.picture.channels.clear()
        pbx.throw_everybody_out()
        await eventually(lambda: any(isinstance(event, CallEnded) for event in told))
        await eventually(lambda: isinstance(told[-1], SnapshotApplied))
    (ended,) = [event for event in told if isinstance(event, CallEnded)]
    assert ended.call.ended_unseen


async def test_only_the_pbxs_own_events_are_played() -> None:
    for name in packaged_names():
        for event in packaged(name).events:
            message = AmiMessage(event.raw)
            assert message.event
            assert "ActionID" not in message
            assert ("Response" in message) == (message.event == b"OriginateResponse")
            assert b"\r\n\r\n" not in event.raw
            assert not event.raw.endswith(b"\r\n")


def test_each_packaged_recording_ends_every_channel_it_begins() -> None:
    assert len(packaged_names()) >= 12
    for name in packaged_names():
        messages = [AmiMessage(event.raw) for event in packaged(name).events]
        born = Counter(message["Uniqueid"] for message in messages if message.event == b"Newchannel")
        gone = Counter(message["Uniqueid"] for message in messages if message.event == b"Hangup")
        assert born == gone, name
        assert packaged(name).seconds > 3


@pytest.mark.parametrize("name", packaged_names())
def test_new_ids_keep_every_relation_and_the_framing(name: str) -> None:
    recording = packaged(name)
    known, mint = Known(recording), IdMint(lambda: 1_800_000_000.0, seed=1)
    first, second = mint.names_for(known), mint.names_for(known)
    assert not set(first.values()) & set(second.values())
    assert len(set(first.values())) == len(first)
    back = {new: old for old, new in first.items()}
    again = Known(Recording(name, tuple(renamed(recording, known, first))))
    for event in recording.events:
        new = known.rename(event.raw, first)
        assert new.count(b"\r\n") == event.raw.count(b"\r\n")
        assert len(AmiFrames().feed(new + b"\r\n\r\n")) == 1
        assert again.rename(new, back) == event.raw


def renamed(recording: Recording, known: Known, names: dict[bytes, bytes]) -> list[RecordedEvent]:
    return [
        RecordedEvent(event.seconds, event.event_class, known.rename(event.raw, names))
        for event in recording.events
    ]


def test_no_old_id_is_left_after_renaming() -> None:
    for name in packaged_names():
        recording = packaged(name)
        known = Known(recording)
        names = IdMint(lambda: 1_800_000_000.0, seed=1).names_for(known)
        text = b"\r\n".join(known.rename(event.raw, names) for event in recording.events)
        for old in (*known.unique_ids, *known.bridge_ids):
            assert re.search(rb"(?<![0-9])" + re.escape(old) + rb"(?![0-9])", text) is None, (name, old)


def test_a_recordings_file_name_holds_the_new_id() -> None:
    recording = packaged("freepbx16-05-group-ringall")
    known = Known(recording)
    names = IdMint(lambda: 1_800_000_000.0, seed=1).names_for(known)
    files = {
        AmiMessage(known.rename(event.raw, names))["Value"]
        for event in recording.events
        if b"MIXMONITOR_FILENAME" in event.raw
    }
    assert files
    assert all(any(new.decode() in file for new in names.values()) for file in files)


async def test_a_wrong_secret_is_refused_as_asterisk_does() -> None:
    async with DemoPbx([]) as pbx, client_of(pbx) as client:
        answer = await client.log_in("wrong")
        assert dict(answer)["Response"] == "Error"
        assert answer["Message"] == "Authentication failed"
        await client.gone()


async def test_nothing_is_told_or_answered_before_the_login() -> None:
    async with DemoPbx([packaged(ANSWERED)], speed=0) as pbx, client_of(pbx) as client:
        (answer,) = await client.ask(Action="CoreShowChannels")
        assert answer["Message"] == "Permission denied"
        await pbx.play(pbx.recordings[0])
        await asyncio.sleep(0.02)
        assert client.raw.startswith(b"Asterisk Call Manager/11.0.0\r\n")
        assert len(client.messages) == 1


async def test_a_client_hears_the_classes_it_asked_for() -> None:
    async with DemoPbx([packaged(ANSWERED)], speed=0) as pbx, client_of(pbx) as client:
        await client.log_in(Events="call")
        await pbx.play(pbx.recordings[0])
        await eventually(lambda: len(client.named(b"Hangup")) == 2)
        assert not client.named(b"VarSet")
        (answer,) = await client.ask(Action="Events", EventMask="off")
        assert answer["Events"] == "Off"


async def test_the_picture_in_mid_call_is_the_pbxs() -> None:
    recording = packaged(ANSWERED)
    talking = Recording("half", tuple(event for event in recording.events if event.seconds < 5))
    async with DemoPbx([recording], speed=0) as pbx, client_of(pbx) as client:
        await client.log_in()
        await pbx.play(talking)
        channels = (await client.ask(Action="CoreShowChannels"))[1:-1]
        bridge_ids = {channel["BridgeId"] for channel in channels}
        assert [channel["Channel"].partition("-")[0] for channel in channels] == ["PJSIP/trunk", "PJSIP/101"]
        assert [channel["Application"] for channel in channels] == ["Dial", "AppDial"]
        assert len(bridge_ids) == 1
        (listed,) = (await client.ask(Action="BridgeList"))[1:-1]
        assert {listed["BridgeUniqueid"]} == bridge_ids
        inside = await client.ask(Action="BridgeInfo", BridgeUniqueid=bridge_ids.pop())
        assert len([item for item in inside if item.event == b"BridgeInfoChannel"]) == 2
        status = (await client.ask(Action="Status"))[1:-1]
        assert [item["DNID"] for item in status] == ["+74951234501", ""]
        assert (await client.ask(Action="CoreStatus"))[0]["CoreCurrentCalls"] == "1"


async def test_queues_and_telephones_are_known_from_the_start() -> None:
    async with DemoPbx([packaged("asterisk22-05-queue-rrmemory")]) as pbx, client_of(pbx) as client:
        await client.log_in()
        queue = await client.ask(Action="QueueStatus")
        assert {item["Location"] for item in queue if item.event == b"QueueMember"} >= {
            "PJSIP/101",
            "PJSIP/102",
        }
        devices = {item["Device"] for item in (await client.ask(Action="DeviceStateList"))[1:-1]}
        assert {"PJSIP/101", "PJSIP/102"} <= devices
        hints = (await client.ask(Action="ExtensionStateList"))[1:-1]
        assert "101" in {item["Exten"] for item in hints}
        assert (await client.ask(Action="QueueSummary"))[1].event == b"QueueSummary"


async def test_what_it_cannot_do_it_says() -> None:
    async with DemoPbx([]) as pbx, client_of(pbx) as client:
        await client.log_in()
        (call,) = await client.ask(Action="Originate", Channel="PJSIP/101", Exten="102")
        (unknown,) = await client.ask(Action="Frobnicate")
        (bye,) = await client.ask(Action="Logoff")
        assert "only replays" in call["Message"]
        assert unknown["Message"].startswith("Invalid/unknown command: Frobnicate")
        assert bye["Response"] == "Goodbye"
        await client.gone()


async def test_i11_a_client_that_does_not_read_is_thrown_out_and_delays_nobody() -> None:
    async with DemoPbx([packaged(ANSWERED)], speed=1000, most_unsent_bytes=100_000) as pbx:
        reader, writer = await asyncio.open_connection("127.0.0.1", pbx.port, limit=1)
        writer.write(f"Action: Login\r\nUsername: {DEMO_USER}\r\nSecret: {DEMO_SECRET}\r\n\r\n".encode())
        await eventually(lambda: pbx.listeners == 1)
        for _ in range(400):
            await pbx.play(pbx.recordings[0])
            if not pbx.listeners:
                break
        assert pbx.listeners == 0
        writer.close()
        assert reader is not None


async def test_serving_ends_with_its_rounds_and_everything_was_sent() -> None:
    opened: list[DemoPbx] = []
    recordings = [load_recording(CAPTURES / "asterisk22" / "02-inbound-caller-gives-up.ami.xz")]
    serving = asyncio.create_task(
        serve_demo_pbx(
            "127.0.0.1",
            0,
            speed=0,
            rounds=3,
            gap_seconds=0,
            recordings=recordings,
            on_listening=opened.append,
        )
    )
    await eventually(lambda: opened)
    async with client_of(opened[0]) as client:
        await client.log_in()
        await asyncio.wait_for(serving, 5)
        await client.gone()
    assert len(client.named(b"Hangup")) == 3 * sum(
        event.raw.startswith(b"Event: Hangup\r") for event in recordings[0].events
    )


async def test_t31_the_well_known_secret_opens_no_public_address() -> None:
    with pytest.raises(ValueError, match="well-known secret"):
        await serve_demo_pbx("0.0.0.0", 0)


async def test_the_same_seed_plays_the_same_order() -> None:
    orders = []
    for _ in range(2):
        pbx = DemoPbx(seed=7)
        orders.append([recording.name for recording in pbx._order(2)])
    assert orders[0] == orders[1]
    assert len(orders[0]) == 2 * len(packaged_names())


async def test_a_storm_rings_each_extension_with_its_caller() -> None:
    callers = [f"+7916000{number:04}" for number in range(20)]
    extensions = [str(1000 + number) for number in range(10)]
    storm = RingStorm(calls_per_second=100, callers=callers, extensions=extensions, ring_seconds=0.1)
    async with DemoPbx([]) as pbx, listening(pbx) as told:
        calls = await storm.run(pbx, 0.2)
        await eventually(lambda: sum(isinstance(event, CallEnded) for event in told) == 20)
    rang = [(event.call.customer_number, event.extension) for event in told if isinstance(event, CallRinging)]
    assert sorted(rang) == sorted((call.caller, call.extension) for call in calls)
    assert sorted(rang) == sorted((callers[number], extensions[number % 10]) for number in range(20))
    ends = {event.call.disposition for event in told if isinstance(event, CallEnded)}
    assert ends == {Disposition.ABANDONED}


async def test_telephones_and_queues_are_told_beside_calls() -> None:
    """The lists first, then what moves: a queue with a caller, its members ringing, and nobody left at the end."""
    presence = PbxPresence()
    lists: list[object] = []
    most_waiting: list[int] = [0]

    def hear(events: Sequence[PresenceEvent]) -> None:
        for event in events:
            presence.apply(event)
            lists.extend([event] if isinstance(event, ListBegun | ListEnded) else [])
            pictures = map(presence.queue, presence.queues())
            most_waiting.append(sum(len(picture.waiting) for picture in pictures if picture))

    async with DemoPbx(
        [load_recording(CAPTURES / "asterisk22" / "07-queue-abandoned.ami.xz")], speed=20
    ) as pbx:
        connection = AmiConnection(settings_of(pbx), emit=lambda _events: None, on_presence=hear)
        task = asyncio.create_task(connection.run())
        await eventually(lambda: connection.state.status is LinkStatus.UP)
        assert [type(event) for event in lists] == [ListBegun, ListEnded] * 2
        await pbx.play(pbx.recordings[0])
        await eventually(lambda: max(most_waiting) == 1 and most_waiting[-1] == 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert {"101", "102", "103"} <= presence.extensions()


async def test_two_who_come_at_the_same_moment_both_hear() -> None:
    async with DemoPbx([]) as pbx:
        first, second = pbx._accept(), pbx._accept()
        assert {first, second} <= pbx._clients
