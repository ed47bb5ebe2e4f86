"""AMI message → what telephones and queues do. As `meanings` does for calls, but for the picture beside them.

A PBX tells the same of every queue that a telephone sits in, and most device states are those of its own counters.
So the bytes are looked at first, and what repeats the last word on its subject is not decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from ami_adapter.channels import known
from ami_adapter.framing import AmiMessage
from ami_adapter.meanings import PLAIN_DEVICE_KINDS
from cti.calls.presence_events import (
    CallerLeft,
    CallerReplaced,
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

Headers = Mapping[str, str]
Handler = Callable[[Headers, datetime | None], list[PresenceEvent]]

DND: Final = "Custom:DND"
WANTED_DEVICES: Final = (
    *(f"{kind}/".encode() for kind in sorted(PLAIN_DEVICE_KINDS)),
    DND.encode(),
)
MAX_LAST_WORDS: Final = 20_000
MAX_MEMBER_TEXT: Final = 100  # characters kept of a name or a reason

DEVICE_STATES: Final = {
    "NOT_INUSE": DeviceState.IDLE,
    "INUSE": DeviceState.IN_USE,
    "BUSY": DeviceState.BUSY,
    "INVALID": DeviceState.UNAVAILABLE,
    "UNAVAILABLE": DeviceState.UNAVAILABLE,
    "RINGING": DeviceState.RINGING,
    "RINGINUSE": DeviceState.IN_USE,
    "ONHOLD": DeviceState.ON_HOLD,
}
# Asterisk's AST_DEVICE_… as a queue numbers them (include/asterisk/devicestate.h).
MEMBER_STATES: Final = {
    "1": DeviceState.IDLE,
    "2": DeviceState.IN_USE,
    "3": DeviceState.BUSY,
    "4": DeviceState.UNAVAILABLE,
    "5": DeviceState.UNAVAILABLE,
    "6": DeviceState.RINGING,
    "7": DeviceState.IN_USE,
    "8": DeviceState.ON_HOLD,
}
REACHED: Final = {
    "Registered": True,
    "Reachable": True,
    "Lagged": True,
    "Unregistered": False,
    "Unreachable": False,
    "Rejected": False,
}


class PresenceTranslator:
    """Translates the messages of one connection; it keeps only the last word on each subject."""

    def __init__(self) -> None:
        self._last_words: dict[bytes, bytes] = {}

    def may_concern(self, message: AmiMessage) -> bool:
        """Whether `translate` would look at it: a glance, for every message of a busy PBX."""
        event = message.event
        return event in HANDLERS if event else b" will follow" in message.raw

    def translate(self, message: AmiMessage, at: datetime | None) -> list[PresenceEvent]:
        """What one message says of telephones and queues, mostly nothing. A moment of None stays None."""
        event = message.event
        if not event:
            return _begun(message.raw, at)
        handler = HANDLERS.get(event)
        if handler is None or (event in BY_SUBJECT and not self._is_news(event, message.raw)):
            return []
        return handler(message.headers, at)

    def _is_news(self, event: bytes, raw: bytes) -> bool:
        """Whether this is another word on its subject than the last one; lists are told whole."""
        if event == b"DeviceStateChange" and not _is_telephone(raw):
            return False
        if b"\r\nActionID: " in raw:
            return True
        subject = b"\0".join((event, *(_value(raw, header) for header in BY_SUBJECT[event])))
        if self._last_words.get(subject) == raw:
            return False
        if len(self._last_words) >= MAX_LAST_WORDS:
            self._last_words.clear()
        self._last_words[subject] = raw
        return True


def _is_telephone(raw: bytes) -> bool:
    start = raw.find(b"\r\nDevice: ")
    return raw.startswith(WANTED_DEVICES, start + 10)


def _value(raw: bytes, header: bytes) -> bytes:
    return raw.partition(header)[2].partition(b"\r\n")[0]


def _begun(raw: bytes, at: datetime | None) -> list[PresenceEvent]:
    """The answers that begin a list have no event; only their words tell them apart."""
    if b"Message: Queue status will follow" in raw:
        return [ListBegun(listing=Listing.QUEUES, at=at)]
    if b"Message: Device State Changes will follow" in raw:
        return [ListBegun(listing=Listing.DEVICES, at=at)]
    return []


def _device(headers: Headers, at: datetime | None) -> list[PresenceEvent]:
    device = headers.get("Device", "")
    state = DEVICE_STATES.get(headers.get("State", ""), DeviceState.UNKNOWN)
    if device.startswith(DND):
        extension = device.removeprefix(DND)
        is_on = state is not DeviceState.IDLE
        return [DoNotDisturb(extension=extension, is_on=is_on, at=at)] if extension.isalnum() else []
    return [DeviceChanged(device=device, state=state, at=at)]


def _hint(headers: Headers, at: datetime | None) -> list[PresenceEvent]:
    """A hint says whose telephone it is; its state may be that of a lamp, so the device tells its own."""
    devices = headers.get("Hint", "").partition(",")[0].split("&")
    plain = [device for device in devices if device.partition("/")[0] in PLAIN_DEVICE_KINDS]
    extension = headers.get("Exten", "")
    if not extension or len(plain) != 1:
        return []  # a group of telephones, a parking space, a conference
    return [DeviceNamed(device=plain[0], extension=extension, at=at)]


def _peer(headers: Headers, at: datetime | None) -> list[PresenceEvent]:
    is_reachable = REACHED.get(headers.get("PeerStatus", ""))
    device = headers.get("Peer", "")
    if is_reachable is None or not device:
        return []
    return [DeviceReached(device=device, is_reachable=is_reachable, at=at)]


def _queue(headers: Headers, at: datetime | None) -> list[PresenceEvent]:
    return [QueueSeen(queue=headers.get("Queue", ""), at=at)]


def _member(headers: Headers, at: datetime | None) -> list[PresenceEvent]:
    interface = headers.get("Interface") or headers.get("Location", "")
    queue, device = headers.get("Queue", ""), headers.get("StateInterface", "") or interface
    if not interface or not queue:
        return []
    is_paused = headers.get("Paused") == "1"
    reason = headers.get("PausedReason") or headers.get("Reason", "")  # Asterisk 16 has both
    member = QueueMember(
        queue=queue,
        interface=interface,
        device=device,
        extension=_extension(interface, device),
        name=(headers.get("MemberName") or headers.get("Name", ""))[:MAX_MEMBER_TEXT],
        state=MEMBER_STATES.get(headers.get("Status", ""), DeviceState.UNKNOWN),
        is_paused=is_paused,
        pause_reason=reason[:MAX_MEMBER_TEXT] if is_paused else "",
        is_in_call=headers.get("InCall") == "1",
        penalty=_number(headers.get("Penalty")),
        last_call_at=_epoch(headers.get("LastCall")),
        wrap_up_seconds=_number(headers.get("Wrapuptime")),
    )
    return [MemberSeen(member=member, at=at)]


def _extension(interface: str, device: str) -> str:
    """`Local/101@from-queue/n` and `hint:101@ext-local` name the extension, `PJSIP/101` the telephone."""
    if device.startswith("hint:"):
        return device.removeprefix("hint:").partition("@")[0]
    if interface.startswith("Local/"):
        return interface.removeprefix("Local/").partition("@")[0]
    return device.partition("/")[2]


def _member_left(headers: Headers, at: datetime | None) -> list[PresenceEvent]:
    interface = headers.get("Interface") or headers.get("Location", "")
    return [MemberLeft(queue=headers.get("Queue", ""), interface=interface, at=at)]


def _joins(headers: Headers, at: datetime | None) -> list[PresenceEvent]:
    return _waits(headers, at, at)


def _entry(headers: Headers, at: datetime | None) -> list[PresenceEvent]:
    """Of a caller in the list only the whole seconds of waiting are told."""
    since = at - timedelta(seconds=_number(headers.get("Wait"))) if at else None
    return _waits(headers, since, at)


def _waits(headers: Headers, since: datetime | None, at: datetime | None) -> list[PresenceEvent]:
    queue, channel_id = headers.get("Queue", ""), known(headers.get("Uniqueid", ""))
    if not queue or not channel_id:
        return []
    return [
        CallerWaits(
            queue=queue,
            channel_id=channel_id,
            linked_id=known(headers.get("Linkedid", "")),
            position=_number(headers.get("Position")) or 1,
            since=since,
            at=at,
        )
    ]


def _leaves(headers: Headers, at: datetime | None) -> list[PresenceEvent]:
    return [CallerLeft(queue=headers.get("Queue", ""), channel_id=headers.get("Uniqueid", ""), at=at)]


def _joined(headers: Headers, at: datetime | None) -> list[PresenceEvent]:
    """An attended transfer to an application: who is passed on takes the second channel's place in it."""
    second, other = headers.get("SecondTransfererUniqueid", ""), headers.get("TransfereeUniqueid", "")
    if (
        headers.get("DestType") != "App"
        or headers.get("Result") != "Success"
        or not known(second)
        or not known(other)
    ):
        return []
    linked_id = known(headers.get("TransfereeLinkedid", ""))
    return [CallerReplaced(channel_id=second, by_channel_id=other, linked_id=linked_id, at=at)]


def _queues_told(_headers: Headers, at: datetime | None) -> list[PresenceEvent]:
    return [ListEnded(listing=Listing.QUEUES, at=at)]


def _devices_told(_headers: Headers, at: datetime | None) -> list[PresenceEvent]:
    return [ListEnded(listing=Listing.DEVICES, at=at)]


def _number(text: str | None) -> int:
    """A whole number of up to nine digits, 0 for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _epoch(text: str | None) -> datetime | None:
    """Seconds since 1970 by the PBX's clock; 0 is "never"."""
    if not text or not text.isascii() or not text.isdigit() or not 0 < int(text[:12]) < 2**33:
        return None
    return datetime.fromtimestamp(int(text[:12]), UTC)


HANDLERS: Final[Mapping[bytes, Handler]] = {
    b"DeviceStateChange": _device,
    b"DeviceStateListComplete": _devices_told,
    b"ExtensionStatus": _hint,
    b"PeerStatus": _peer,
    b"QueueParams": _queue,
    b"QueueMember": _member,
    b"QueueMemberStatus": _member,
    b"QueueMemberAdded": _member,
    b"QueueMemberPause": _member,
    b"QueueMemberPaused": _member,  # its name before Asterisk 12
    b"QueueMemberRemoved": _member_left,
    b"QueueEntry": _entry,
    b"QueueCallerJoin": _joins,
    b"QueueCallerLeave": _leaves,
    b"QueueCallerAbandon": _leaves,
    b"AttendedTransfer": _joined,
    b"QueueStatusComplete": _queues_told,
}
# What is told again and again, and the headers that name its subject.
BY_SUBJECT: Final[Mapping[bytes, tuple[bytes, ...]]] = {
    b"DeviceStateChange": (b"\r\nDevice: ",),
    b"ExtensionStatus": (b"\r\nExten: ", b"\r\nContext: "),
    b"PeerStatus": (b"\r\nPeer: ",),
}
