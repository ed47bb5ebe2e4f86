"""AMI message → channel events. Nobody above this module says "AMI".

Most of a stream carries nothing for us: VarSet and Newexten alone are nine tenths of a FreePBX's bytes. So the event's
name, and of those two the variable or application, is looked at as bytes; only what matters is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache

from ami_adapter.framing import AmiMessage
from cti.calls.channel_events import (
    AttendedlyTransferred,
    BlindlyTransferred,
    BridgeEntered,
    BridgeLeft,
    BridgesMerged,
    CallParked,
    CallPickedUp,
    CallUnparked,
    Channel,
    ChannelAnswered,
    ChannelChanged,
    ChannelCreated,
    ChannelEvent,
    ChannelHeld,
    ChannelHungUp,
    ChannelResumed,
    ChannelRinging,
    ChannelState,
    DialEnded,
    DialStarted,
    DidLearned,
    ExtensionKnown,
    HangupRequested,
    MailboxReached,
    MenuReached,
    OriginateAnswered,
    QueueJoined,
    QueueLeft,
    RecordingStarted,
    SeenChannel,
    SnapshotTaken,
    SourceStopped,
)

Headers = Mapping[str, str]
Handler = Callable[[dict[str, str], datetime | None], ChannelEvent | None]

MAX_HELD_BACK = 20_000  # messages during one snapshot; beyond that the snapshot is given up, no event is lost
UNKNOWN = frozenset({"", "<unknown>", "unknown", "<null>"})
STATES = {
    "0": ChannelState.DOWN,
    "1": ChannelState.DOWN,
    "2": ChannelState.CALLING,
    "3": ChannelState.CALLING,
    "4": ChannelState.CALLING,
    "5": ChannelState.RINGING,
    "6": ChannelState.UP,
    "7": ChannelState.BUSY,
}
DIAL_STATUSES = {
    "ANSWER": "answer",
    "BUSY": "busy",
    "NOANSWER": "no_answer",
    "CANCEL": "cancel",
    "CHANUNAVAIL": "unreachable",
    "CONGESTION": "failed",
    "ABORT": "cancel",
    "GOTO": "answer",
    "CONTINUE": "answer",
}
WAITING_ROOM_TYPES = frozenset({"holding", "parking"})
CONFERENCE_MAKERS = frozenset({"ConfBridge", "MeetMe"})
WAITING_ROOM_TECHNOLOGY = "holding_bridge"
PLAIN_DEVICE_KINDS = frozenset(
    {"PJSIP", "SIP", "IAX2", "SCCP", "DAHDI", "MGCP", "Skinny", "UniStim", "Console"}
)
# Channels behind which nobody sits.
HELPER_KINDS = frozenset(
    {"Local", "CBAnn", "CBRec", "Announcer", "Recorder", "Surrogate", "Message", "AsyncGoto"}
) | {
    *("Snoop", "UnicastRTP", "MulticastRTP", "Bridge", "Null"),
}
FLOODS = frozenset({b"VarSet", b"Newexten"})
# Of these only a handful of variables and applications are worth decoding.
WANTED_VARIABLES = (b"FROM_DID\r", b"__FROM_DID\r", b"MIXMONITOR_FILENAME\r")
WANTED_APPLICATIONS = (b"BackGround\r", b"WaitExten\r", b"Read\r", b"VoiceMail\r")
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
        translated = handler(message.headers, at)
        return [] if translated is None else [translated]

    def _is_known(self, event: bytes, raw: bytes) -> bool:
        """Whose telephone an extension is, is repeated at every change of its state; once is enough."""
        named, device = REPEATED[event]
        key = (_value(raw, named), _value(raw, device))
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
                if seen := _seen_channel(headers):
                    self._seen.append(seen)
            case b"CoreShowChannelsComplete":
                seen_channels = tuple(self._seen or ())
                snapshot = SnapshotTaken(
                    channels=seen_channels, at=at, waiting_rooms=frozenset(self._waiting_rooms)
                )
                return [snapshot, *self._release()]
        return []

    def _note_waiting_room(self, headers: Headers) -> None:
        if len(self._waiting_rooms) < 1000 and _is_waiting_room(headers):
            self._waiting_rooms.add(headers.get("BridgeUniqueid", ""))


def is_noise(raw: bytes) -> bool:
    """Whether no translation can come of these bytes and no action waits for them: nine tenths of a busy stream."""
    if raw.startswith(b"Event: VarSet\r"):
        start = raw.rfind(b"\r\nVariable: ")
        return not raw.startswith(WANTED_VARIABLES, start + 12)
    if raw.startswith(b"Event: Newexten\r"):
        start = raw.rfind(b"\r\nApplication: ")
        return not raw.startswith(WANTED_APPLICATIONS, start + 15)
    return raw.startswith(NEVER_WANTED)


def _value(raw: bytes, header: bytes) -> bytes:
    start = raw.find(header)
    if start < 0:
        return b""
    start += len(header)
    end = raw.find(b"\r\n", start)
    return raw[start:] if end < 0 else raw[start:end]


# -- what a channel is -------------------------------------------------------------------------------------------


def _keys(prefix: str) -> tuple[str, ...]:
    names = (
        "Uniqueid Channel Linkedid ChannelState CallerIDNum CallerIDName ConnectedLineNum ConnectedLineName"
    )
    return tuple(prefix + name for name in [*names.split(), "Exten", "Context"])


KEYS = {
    prefix: _keys(prefix)
    for prefix in (
        *("", "Dest", "Transferer", "Transferee", "OrigTransferer", "SecondTransferer", "TransferTarget"),
        *("Target", "Parkee", "Retriever"),
    )
}


def channel_of(headers: dict[str, str], prefix: str = "") -> Channel | None:
    """The channel that the headers with this prefix describe, None when they name none."""
    get = headers.get
    uniqueid, name, linked, state, number, caller, connected, connected_name, exten, context = KEYS[prefix]
    channel_id, channel_name = get(uniqueid, ""), get(name, "")
    if channel_id in UNKNOWN or not channel_name:
        return None
    endpoint, pair = parts_of(channel_name)
    return Channel(
        channel_id,
        channel_name,
        _known(get(linked, "")),
        endpoint,
        pair,
        STATES.get(get(state, ""), ChannelState.UNKNOWN),
        _known(get(number, "")),
        _name(get(caller, "")),
        _known(get(connected, "")),
        _name(get(connected_name, "")),
        get(exten, ""),
        get(context, ""),
    )


@lru_cache(maxsize=4096)
def parts_of(channel_name: str) -> tuple[str, str]:
    """Endpoint and pair of a channel name: ("PJSIP/101", "") of PJSIP/101-0000002a, ("Local/101", "Local/101@q-7") of a helper.

    Only what follows the last "-" is the unique part; endpoints hold dashes, helpers also "*", "#" and "-".
    """
    name = channel_name.partition("<")[0]  # <ZOMBIE>, <MASQ>: a channel that changes places with another
    kind, _, rest = name.partition("/")
    if kind in HELPER_KINDS:
        return f"{kind}/{rest.partition('@')[0]}", name[:-2] if name.endswith((";1", ";2")) else name
    rest = rest.rpartition("-")[0] or rest
    if kind == "DAHDI":  # DAHDI/i1/84951234567-2a: a span, the number is no part of it
        rest = rest.partition("/")[0]
    return f"{kind}/{rest}", ""


def _known(value: str) -> str:
    return "" if value in UNKNOWN else value


def _name(value: str) -> str:
    """AMI escapes quotes and backslashes of names, SIP did so before: a person reads neither."""
    if value in UNKNOWN:
        return ""
    if "\\" not in value:
        return value
    return _unescaped(_unescaped(value))


def _unescaped(value: str) -> str:
    return value.replace("\\\\", "\0").replace('\\"', '"').replace("\\'", "'").replace("\0", "\\")


def _is_waiting_room(headers: Headers) -> bool:
    return (
        headers.get("BridgeType", "") in WAITING_ROOM_TYPES
        or headers.get("BridgeTechnology", "") == WAITING_ROOM_TECHNOLOGY
    )


def _integer(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 else None


# -- one function per event --------------------------------------------------------------------------------------


def _created(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    return channel and ChannelCreated(channel=channel, at=at)


def _changed(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    return channel and ChannelChanged(channel=channel, at=at)


def _new_state(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    if channel is None:
        return None
    if channel.state is ChannelState.RINGING:
        return ChannelRinging(channel=channel, at=at)
    if channel.state is ChannelState.UP:
        return ChannelAnswered(channel=channel, at=at)
    return ChannelChanged(channel=channel, at=at)


def _dial_begin(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    called = channel_of(headers, "Dest")
    if called is None:
        return None
    number = dialled_number(called.endpoint, headers.get("DialString", ""))
    return DialStarted(caller=channel_of(headers), called=called, number=number, at=at)


def dialled_number(endpoint: str, dial_string: str) -> str:
    """The number that a dial string hands to an endpoint, "" when the endpoint itself is called.

    "+79161234567@trunk-b" and "trunk-b/79161234567" dial a number over a line; "101" and
    "101/sip:101@10.0.0.5:5060" call a telephone.
    """
    resource = endpoint.partition("/")[2]
    number, separator, at_endpoint = dial_string.partition("@")
    peer, _, after_peer = at_endpoint.partition("/")
    if separator and peer == resource:
        return after_peer or number  # IAX2: user:secret@peer/number
    first, separator, rest = dial_string.partition("/")
    if not separator or not resource:
        return ""
    if rest.startswith(("sip:", "sips:")):
        user = rest.partition(":")[2].partition("@")[0]
        digits = user.removeprefix("+")
        return user if digits.isdigit() and len(digits) >= 7 and user != resource else ""
    return rest if first == resource or endpoint.startswith("DAHDI/") else ""


def _dial_state(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    called = channel_of(headers, "Dest")
    if called is None:
        return None
    if headers.get("DialStatus") == "RINGING":
        return ChannelRinging(channel=called, at=at)
    return ChannelChanged(channel=called, at=at)


def _dial_end(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    called = channel_of(headers, "Dest")
    status = DIAL_STATUSES.get(headers.get("DialStatus", ""), "")
    return called and DialEnded(called=called, status=status, forwarded_to=headers.get("Forward", ""), at=at)


def _bridge_enter(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel, bridge_id = channel_of(headers), headers.get("BridgeUniqueid", "")
    if channel is None or not bridge_id:
        return None
    return BridgeEntered(
        channel=channel,
        bridge_id=bridge_id,
        is_waiting_room=_is_waiting_room(headers),
        is_conference=headers.get("BridgeCreator", "") in CONFERENCE_MAKERS,
        at=at,
    )


def _bridge_leave(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel, bridge_id = channel_of(headers), headers.get("BridgeUniqueid", "")
    return channel and BridgeLeft(channel=channel, bridge_id=bridge_id, at=at)


def _bridge_merge(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    source, into = headers.get("FromBridgeUniqueid", ""), headers.get("ToBridgeUniqueid", "")
    return BridgesMerged(from_bridge_id=source, into_bridge_id=into, at=at) if source and into else None


def _hold(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    return channel and ChannelHeld(channel=channel, at=at)


def _unhold(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    return channel and ChannelResumed(channel=channel, at=at)


def _queue_join(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    return channel and QueueJoined(channel=channel, queue=headers.get("Queue", ""), at=at)


def _queue_leave(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    return channel and QueueLeft(channel=channel, queue=headers.get("Queue", ""), at=at)


def _var_set(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel, value = channel_of(headers), headers.get("Value", "")
    if channel is None or not value:
        return None
    if headers.get("Variable") == "MIXMONITOR_FILENAME":
        return RecordingStarted(channel=channel, file=value, at=at)
    return DidLearned(channel=channel, did=value, at=at)


def _new_exten(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    if channel is None:
        return None
    if headers.get("Application") == "VoiceMail":
        mailbox = headers.get("AppData", "").partition(",")[0]
        return MailboxReached(channel=channel, mailbox=mailbox, at=at)
    return MenuReached(channel=channel, at=at)


def _hangup_request(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    return channel and HangupRequested(channel=channel, at=at)


def _hangup(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel, cause = channel_of(headers), _integer(headers.get("Cause"))
    sip_code = _integer(headers.get("TechCause"))
    return channel and ChannelHungUp(channel=channel, cause=cause, sip_code=sip_code, at=at)


def _originate_response(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    return OriginateAnswered(
        channel_id=_known(headers.get("Uniqueid", "")),
        channel_name=headers.get("Channel", ""),
        number=headers.get("Exten", ""),
        succeeded=headers.get("Response") == "Success",
        at=at,
    )


def _blind_transfer(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    transferer, transferee = channel_of(headers, "Transferer"), channel_of(headers, "Transferee")
    if transferer is None or headers.get("Result", "Success") != "Success":
        return None
    to = headers.get("Extension", "")
    return BlindlyTransferred(transferer=transferer, transferee=transferee, to=to, at=at)


def _attended_transfer(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    transferer, second = channel_of(headers, "OrigTransferer"), channel_of(headers, "SecondTransferer")
    if transferer is None or second is None or headers.get("Result", "Success") != "Success":
        return None
    return AttendedlyTransferred(
        transferer=transferer,
        second=second,
        transferee=channel_of(headers, "Transferee"),
        target=channel_of(headers, "TransferTarget"),
        at=at,
    )


def _pickup(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel, robbed = channel_of(headers), channel_of(headers, "Target")
    return CallPickedUp(channel=channel, robbed=robbed, at=at) if channel and robbed else None


def _parked(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel, space = channel_of(headers, "Parkee"), headers.get("ParkingSpace", "")
    parker = headers.get("ParkerDialString", "")
    return channel and CallParked(channel=channel, parker_name=parker, space=space, at=at)


def _unparked(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel, retriever = channel_of(headers, "Parkee"), channel_of(headers, "Retriever")
    return CallUnparked(channel=channel, retriever=retriever, at=at) if channel and retriever else None


def _extension_status(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    """A hint says which telephone an extension is: PJSIP/101&Custom:DND101,CustomPresence:101."""
    devices = headers.get("Hint", "").partition(",")[0].split("&")
    plain = [device for device in devices if device.partition("/")[0] in PLAIN_DEVICE_KINDS]
    extension = headers.get("Exten", "")
    if len(plain) != 1 or not extension:
        return None  # a group of telephones, a parking space, a conference
    return ExtensionKnown(endpoint=plain[0], extension=extension, at=at)


def _queue_member(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    """A member is a telephone; behind Local/101@from-queue/n stands the device whose state the queue watches."""
    interface = headers.get("Interface") or headers.get("Location", "")
    device = headers.get("StateInterface", "") or interface
    if device.partition("/")[0] not in PLAIN_DEVICE_KINDS:
        return None
    extension = ""
    if interface.startswith("Local/"):
        extension = interface.removeprefix("Local/").partition("@")[0]
    return ExtensionKnown(endpoint=device, extension=extension, at=at)


def _shutdown(_headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    return SourceStopped(at=at)


def _status(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel, did = channel_of(headers), headers.get("DNID", "")
    if channel is None:
        return None
    return DidLearned(channel=channel, did=did, at=at) if did else ChannelChanged(channel=channel, at=at)


def _queue_entry(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    return channel and QueueJoined(channel=channel, queue=headers.get("Queue", ""), at=at)


def _seen_channel(headers: dict[str, str]) -> SeenChannel | None:
    channel = channel_of(headers)
    if channel is None:
        return None
    application = headers.get("Application", "")
    return SeenChannel(
        channel=channel,
        bridge_id=headers.get("BridgeId", ""),
        age_seconds=_seconds(headers.get("Duration", "")),
        was_called=application in ("AppDial", "AppQueue") if application else None,
    )


def _seconds(duration: str) -> float | None:
    """Seconds of "00:01:11", None when it is something else."""
    parts = [_integer(part) for part in duration.split(":")]
    if len(parts) != 3 or None in parts:
        return None
    hours, minutes, seconds = (part or 0 for part in parts)
    return float(hours * 3600 + minutes * 60 + seconds)


HANDLERS: dict[bytes, Handler] = {
    b"Newchannel": _created,
    b"Newstate": _new_state,
    b"NewCallerid": _changed,
    b"DialBegin": _dial_begin,
    b"DialState": _dial_state,
    b"DialEnd": _dial_end,
    b"BridgeEnter": _bridge_enter,
    b"BridgeLeave": _bridge_leave,
    b"BridgeMerge": _bridge_merge,
    b"Hold": _hold,
    b"Unhold": _unhold,
    b"QueueCallerJoin": _queue_join,
    b"QueueCallerLeave": _queue_leave,
    b"VarSet": _var_set,
    b"Newexten": _new_exten,
    b"HangupRequest": _hangup_request,
    b"Hangup": _hangup,
    b"OriginateResponse": _originate_response,
    b"BlindTransfer": _blind_transfer,
    b"AttendedTransfer": _attended_transfer,
    b"Pickup": _pickup,
    b"ParkedCall": _parked,
    b"UnParkedCall": _unparked,
    b"ExtensionStatus": _extension_status,
    b"QueueMemberStatus": _queue_member,
    b"QueueMemberAdded": _queue_member,
    b"QueueMember": _queue_member,
    b"Shutdown": _shutdown,
    b"Status": _status,
    b"QueueEntry": _queue_entry,
}
SNAPSHOT_EVENTS = frozenset({b"CoreShowChannel", b"CoreShowChannelsComplete", b"BridgeListItem"})
