"""AMI message → channel events. Nobody above this module says "AMI".

Most of a stream carries nothing for us: VarSet and Newexten alone are nine tenths of a FreePBX's bytes. So the event's
name, and of those two the variable or application, is looked at as bytes; only what matters is decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ami_adapter.framing import AmiMessage
from ami_adapter.meanings import APPLICATIONS, HANDLERS, is_waiting_room, seen_channel
from cti.calls.channel_events import ChannelEvent, SeenChannel, SnapshotTaken

Headers = Mapping[str, str]

MAX_HELD_BACK = 20_000  # messages during one snapshot; beyond that the snapshot is given up, no event is lost
SNAPSHOT_EVENTS = frozenset({b"CoreShowChannel", b"CoreShowChannelsComplete", b"BridgeListItem"})
FLOODS = frozenset({b"VarSet", b"Newexten"})
# Of these only a handful of variables and applications are worth decoding.
WANTED_VARIABLES = (b"FROM_DID\r", b"__FROM_DID\r", b"MIXMONITOR_FILENAME\r", b"VMSTATUS\r")
WANTED_APPLICATIONS = tuple(name.encode() + b"\r" for name in APPLICATIONS)
# The last header of a GotoIf that jumps: FreePBX found the caller on its list, or ringcard told the dialplan so.
TOLD_BY_JUMPS = (b"\r\nAppData: 1?blacklisted", b"\r\nAppData: 1?after-hours")
NEVER_WANTED = (
    *(b"Event: RTCPSent\r", b"Event: RTCPReceived\r", b"Event: TestEvent\r", b"Event: NewConnectedLine\r"),
    *(b"Event: AGIExecStart\r", b"Event: AGIExecEnd\r"),
)
REPEATED = {
    b"ExtensionStatus": (b"\r\nExten: ", b"\r\nHint: "),
    b"QueueMemberStatus": (b"\r\nInterface: ", b"\r\nStateInterface: "),
}
MAX_KNOWN = 10_000


class Translator:
    """Translates the messages of one connection; it keeps only what an unfinished snapshot needs."""

    def __init__(self) -> None:
        self._seen: list[SeenChannel] | None = None  # the snapshot being collected
        self._held_back: list[tuple[AmiMessage, datetime | None]] = []
        self._waiting_rooms: set[str] = set()
        self._known: set[tuple[bytes, bytes]] = set()

    def translate(self, message: AmiMessage, at: datetime | None) -> list[ChannelEvent]:
        """The channel events of one message, mostly none; while a snapshot is collected all others wait for its end.

        A moment of None stays None: times come from the caller.
        """
        event = message.event
        if event in FLOODS and is_noise(message.raw):
            return []
        handler = HANDLERS.get(event)
        if handler is None:
            return self._answer(message, at) if not event or event in SNAPSHOT_EVENTS else []
        if self._seen is not None:
            return self._hold_back(message, at)
        if event in REPEATED and self._is_known(event, message.raw):
            return []
        if event == b"VarSet" and self._is_inherited(message.raw):
            return []
        translated = handler(message.headers, at)
        return [] if translated is None else [translated]

    def _is_inherited(self, raw: bytes) -> bool:
        """A variable of the first channel comes again on each channel of the call."""
        return b"FROM_DID\r" in raw and self._is_repeated(
            _value(raw, b"\r\nLinkedid: "), _value(raw, b"\r\nValue: ")
        )

    def _is_known(self, event: bytes, raw: bytes) -> bool:
        """Whose telephone an extension is, is repeated at every change of its state; once is enough."""
        named, device = REPEATED[event]
        return self._is_repeated(_value(raw, named), _value(raw, device))

    def _is_repeated(self, subject: bytes, value: bytes) -> bool:
        key = (subject, value)
        if key in self._known:
            return True
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known.add(key)
        return False

    def _answer(self, message: AmiMessage, at: datetime | None) -> list[ChannelEvent]:
        return self._collect(message, at) if message.event else self._begin_snapshot(message)

    def _begin_snapshot(self, message: AmiMessage) -> list[ChannelEvent]:
        if b"Message: Channels will follow" in message.raw:
            self._seen = []
        return []

    def _hold_back(self, message: AmiMessage, at: datetime | None) -> list[ChannelEvent]:
        self._held_back.append((message, at))
        return [] if len(self._held_back) <= MAX_HELD_BACK else self._release()

    def _release(self) -> list[ChannelEvent]:
        held_back, self._held_back, self._seen = self._held_back, [], None
        return [event for message, at in held_back for event in self.translate(message, at)]

    def _collect(self, message: AmiMessage, at: datetime | None) -> list[ChannelEvent]:
        """Snapshot answers: the list of channels is the snapshot, the others only add to it."""
        headers = message.headers
        match message.event:
            case b"BridgeListItem":
                self._note_waiting_room(headers)
            case b"CoreShowChannel":
                self._seen = self._seen or []
                if seen := seen_channel(headers):
                    self._seen.append(seen)
            case b"CoreShowChannelsComplete":
                seen_channels = tuple(self._seen or ())
                snapshot = SnapshotTaken(
                    channels=seen_channels, at=at, waiting_rooms=frozenset(self._waiting_rooms)
                )
                return [snapshot, *self._release()]
        return []

    def _note_waiting_room(self, headers: Headers) -> None:
        if len(self._waiting_rooms) < 1000 and is_waiting_room(headers):
            self._waiting_rooms.add(headers.get("BridgeUniqueid", ""))


def is_noise(raw: bytes) -> bool:
    """Whether no translation can come of these bytes and no action waits for them: nine tenths of a busy stream."""
    head = raw[:14]
    if head == b"Event: VarSet\r":
        start = raw.rfind(b"\r\nVariable: ")
        return not raw.startswith(WANTED_VARIABLES, start + 12)
    if head == b"Event: Newexte":
        start = raw.rfind(b"\r\nApplication: ")
        return not (raw.startswith(WANTED_APPLICATIONS, start + 15) or raw.endswith(TOLD_BY_JUMPS))
    return raw.startswith(NEVER_WANTED)


def _value(raw: bytes, header: bytes) -> bytes:
    start = raw.find(header)
    if start < 0:
        return b""
    start += len(header)
    end = raw.find(b"\r\n", start)
    return raw[start:] if end < 0 else raw[start:end]
