"""One function per AMI event: what it means as a channel event. The only place that knows their header names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from ami_adapter.channels import channel_of, dialled_number, known
from cti.calls.channel_events import (
    AttendedlyTransferred,
    BlindlyTransferred,
    BridgeEntered,
    BridgeLeft,
    BridgesMerged,
    CallerBlocked,
    CallParked,
    CallPickedUp,
    CallUnparked,
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
    DialledKnown,
    DialStarted,
    DidLearned,
    ExtensionKnown,
    HangupRequested,
    HoursChecked,
    MailboxReached,
    MenuReached,
    OriginateAnswered,
    PersonSought,
    QueueJoined,
    QueueLeft,
    RecordingStarted,
    SeenChannel,
    SourceStopped,
)

Headers = Mapping[str, str]
Handler = Callable[[dict[str, str], datetime | None], ChannelEvent | None]

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
PRESENTATION, RESTRICTED = 0x60, 0x20  # of the octet 3a of Q.931: allowed 0, restricted 32, not available 64
CONFERENCE_MAKERS = frozenset({"ConfBridge", "MeetMe"})
DID_VARIABLES = frozenset({"FROM_DID", "__FROM_DID"})
MENU_APPLICATIONS = frozenset({"BackGround", "WaitExten", "Read"})
SEEKING_APPLICATIONS = frozenset(
    {"Dial", "RetryDial", "Queue", "FollowMe", "Page", "Stasis", "AGI", "EAGI", "ExternalIVR", "ConfBridge"}
)  # whoever runs them looks for a person, or leaves the caller to a program that may
APPLICATIONS = frozenset({"VoiceMail", "GotoIfTime"}) | MENU_APPLICATIONS | SEEKING_APPLICATIONS
WAITING_ROOM_TECHNOLOGY = "holding_bridge"
PLAIN_DEVICE_KINDS = frozenset(
    {"PJSIP", "SIP", "IAX2", "SCCP", "DAHDI", "MGCP", "Skinny", "UniStim", "Console"}
)


def is_waiting_room(headers: Headers) -> bool:
    return (
        headers.get("BridgeType", "") in WAITING_ROOM_TYPES
        or headers.get("BridgeTechnology", "") == WAITING_ROOM_TECHNOLOGY
    )


def _integer(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 else None


def _created(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    return channel and ChannelCreated(channel=channel, at=at)


def _new_caller_id(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    """The only event that says whether the number may be shown: "35 (Presentation Prohibited, Network Number)"."""
    channel = channel_of(headers)
    presentation = _integer(headers.get("CID-CallingPres", "").partition(" ")[0]) or 0
    is_withheld = presentation & PRESENTATION == RESTRICTED
    return channel and ChannelChanged(channel=channel._replace(is_withheld=is_withheld), at=at)


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
        is_waiting_room=is_waiting_room(headers),
        is_conference=headers.get("BridgeCreator", "") in CONFERENCE_MAKERS,
        at=at,
    )


def _conference_join(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    """Told beside the entering of the room's bridge, but alone of whoever takes another one's place in it."""
    channel, bridge_id = channel_of(headers), headers.get("BridgeUniqueid", "")
    if channel is None or not bridge_id:
        return None
    return BridgeEntered(
        channel=channel, bridge_id=bridge_id, is_waiting_room=False, is_conference=True, at=at
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
    if (
        headers.get("Variable") == "VMSTATUS"
    ):  # set by a mailbox when it is done, also one that no Newexten told
        return MailboxReached(channel=channel, mailbox="", at=at)
    is_did = headers.get("Variable") in DID_VARIABLES
    return DidLearned(channel=channel, did=value, at=at) if is_did else None


def _new_exten(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    if channel is None:
        return None
    application = headers.get("Application", "")
    if application == "VoiceMail":
        mailbox = headers.get("AppData", "").partition(",")[0]
        return MailboxReached(channel=channel, mailbox=mailbox, at=at)
    if application in MENU_APPLICATIONS:
        return MenuReached(channel=channel, at=at)
    if application in SEEKING_APPLICATIONS:
        return PersonSought(channel=channel, at=at)
    if application == "GotoIfTime":
        return HoursChecked(channel=channel, at=at)
    jump = headers.get("AppData") if application == "GotoIf" else None
    if jump == "1?after-hours":
        return HoursChecked(channel=channel, at=at)
    return CallerBlocked(channel=channel, at=at) if jump == "1?blacklisted" else None


def _hangup_request(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    return channel and HangupRequested(channel=channel, at=at)


def _hangup(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel, cause = channel_of(headers), _integer(headers.get("Cause"))
    sip_code = _integer(headers.get("TechCause"))
    return channel and ChannelHungUp(channel=channel, cause=cause, sip_code=sip_code, at=at)


def _originate_response(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    return OriginateAnswered(
        channel_id=known(headers.get("Uniqueid", "")),
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
    channel, dialled = channel_of(headers), headers.get("DNID", "")
    if channel is None:
        return None
    if not dialled:
        return ChannelChanged(channel=channel, at=at)
    return DialledKnown(channel=channel, number=dialled, at=at)


def _queue_entry(headers: dict[str, str], at: datetime | None) -> ChannelEvent | None:
    channel = channel_of(headers)
    return channel and QueueJoined(channel=channel, queue=headers.get("Queue", ""), at=at)


def seen_channel(headers: dict[str, str]) -> SeenChannel | None:
    channel = channel_of(headers)
    if channel is None:
        return None
    application = headers.get("Application", "")
    # A called telephone may run a piece of the dialplan, "press 1 to accept": its place then tells more.
    is_unsure = application in ("", "Stasis") or (
        channel.dialled in ("", "s") and channel.linked_id not in ("", channel.channel_id)
    )
    return SeenChannel(
        channel=channel,
        bridge_id=headers.get("BridgeId", ""),
        age_seconds=_seconds(headers.get("Duration", "")),
        was_called=True if application in ("AppDial", "AppQueue") else None if is_unsure else False,
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
    b"NewCallerid": _new_caller_id,
    b"DialBegin": _dial_begin,
    b"DialState": _dial_state,
    b"DialEnd": _dial_end,
    b"BridgeEnter": _bridge_enter,
    b"BridgeLeave": _bridge_leave,
    b"ConfbridgeJoin": _conference_join,
    b"ConfbridgeLeave": _bridge_leave,
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
