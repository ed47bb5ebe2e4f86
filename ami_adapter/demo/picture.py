"""What a PBX would say of itself when asked: channels, bridges, queues and devices, kept from the events it played."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ami_adapter.framing import AmiMessage

CHANNEL_HEADERS = (
    "Channel", "ChannelState", "ChannelStateDesc", "CallerIDNum", "CallerIDName", "ConnectedLineNum",
    "ConnectedLineName", "Language", "AccountCode", "Context", "Exten", "Priority", "Uniqueid", "Linkedid",
)  # fmt: skip
BRIDGE_HEADERS = (
    "BridgeUniqueid", "BridgeType", "BridgeTechnology", "BridgeCreator", "BridgeName", "BridgeVideoSourceMode",
)  # fmt: skip
MEMBER_HEADERS = (
    "StateInterface", "Membership", "Penalty", "CallsTaken", "LastCall", "LastPause", "LoginTime", "InCall",
    "Status", "Paused", "PausedReason", "Wrapuptime",
)  # fmt: skip


@dataclass(slots=True)
class ChannelPicture:
    """One channel as last seen."""

    headers: dict[str, str]
    dnid: str
    since: float
    application: str = ""
    data: str = ""
    bridge_id: str = ""


@dataclass(slots=True)
class Picture:
    """The present state; `now` gives seconds of a monotonic clock, for durations."""

    now: Callable[[], float]
    channels: dict[str, ChannelPicture] = field(default_factory=dict)
    bridges: dict[str, dict[str, str]] = field(default_factory=dict)
    members: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    waiting: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    hints: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    processed_calls: int = 0

    def note(self, message: AmiMessage) -> None:
        """Keep what this event says; most events only freshen their channel."""
        handler = _HANDLERS.get(message.event)
        if handler is not None:
            handler(self, message)

    def members_of(self, bridge_id: str) -> list[ChannelPicture]:
        """The channels that hear one another in this bridge."""
        return [channel for channel in self.channels.values() if channel.bridge_id == bridge_id]

    def queues(self) -> list[str]:
        """The names of all queues anything is known about."""
        return sorted({queue for queue, _ in self.members} | {queue for queue, _ in self.waiting})

    def _freshen(self, message: AmiMessage) -> ChannelPicture | None:
        channel = self.channels.get(message.get("Uniqueid", ""))
        if channel is not None:
            channel.headers |= _of(message, CHANNEL_HEADERS)
        return channel

    def _born(self, message: AmiMessage) -> None:
        headers = dict.fromkeys(CHANNEL_HEADERS, "") | _of(message, CHANNEL_HEADERS)
        dnid = headers["Exten"] if headers["Exten"] not in ("s", "h") else ""
        self.channels[message.get("Uniqueid", "")] = ChannelPicture(headers, dnid, self.now())

    def _gone(self, message: AmiMessage) -> None:
        if self.channels.pop(message.get("Uniqueid", ""), None) and not self.channels:
            self.processed_calls += 1

    def _stepped(self, message: AmiMessage) -> None:
        if channel := self._freshen(message):
            channel.application, channel.data = message.get("Application", ""), message.get("AppData", "")

    def _dialled(self, message: AmiMessage) -> None:
        caller = self._freshen(message)
        called = self.channels.get(message.get("DestUniqueid", ""))
        if called is not None:
            is_queue = caller is not None and caller.application == "Queue"
            called.application, called.data = "AppQueue" if is_queue else "AppDial", "(Outgoing Line)"
            called.headers |= {
                name: message[f"Dest{name}"] for name in CHANNEL_HEADERS if f"Dest{name}" in message
            }

    def _bridge_made(self, message: AmiMessage) -> None:
        self.bridges[message.get("BridgeUniqueid", "")] = _of(message, BRIDGE_HEADERS)

    def _bridge_gone(self, message: AmiMessage) -> None:
        self.bridges.pop(message.get("BridgeUniqueid", ""), None)

    def _entered(self, message: AmiMessage) -> None:
        if channel := self._freshen(message):
            channel.bridge_id = message.get("BridgeUniqueid", "")

    def _left(self, message: AmiMessage) -> None:
        if channel := self._freshen(message):
            channel.bridge_id = ""

    def _member(self, message: AmiMessage) -> None:
        key = message.get("Queue", ""), message.get("Interface", "")
        name = {"Name": message["MemberName"]} if "MemberName" in message else {}
        self.members[key] = self.members.get(key, {}) | name | _of(message, MEMBER_HEADERS)

    def _member_gone(self, message: AmiMessage) -> None:
        self.members.pop((message.get("Queue", ""), message.get("Interface", "")), None)

    def _joined(self, message: AmiMessage) -> None:
        self._freshen(message)
        key = message.get("Queue", ""), message.get("Uniqueid", "")
        self.waiting[key] = dict(message) | {"Since": str(self.now())}

    def _left_queue(self, message: AmiMessage) -> None:
        self._freshen(message)
        self.waiting.pop((message.get("Queue", ""), message.get("Uniqueid", "")), None)

    def _device(self, message: AmiMessage) -> None:
        self.devices[message.get("Device", "")] = message.get("State", "")

    def _hint(self, message: AmiMessage) -> None:
        self.hints[message.get("Context", ""), message.get("Exten", "")] = dict(message)


def _of(message: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: message[name] for name in names if name in message}


_HANDLERS: dict[bytes, Callable[[Picture, AmiMessage], object]] = {
    b"Newchannel": Picture._born,
    b"Newstate": Picture._freshen,
    b"NewCallerid": Picture._freshen,
    b"NewConnectedLine": Picture._freshen,
    b"Newexten": Picture._stepped,
    b"Hangup": Picture._gone,
    b"DialBegin": Picture._dialled,
    b"DialState": Picture._dialled,
    b"BridgeCreate": Picture._bridge_made,
    b"BridgeDestroy": Picture._bridge_gone,
    b"BridgeEnter": Picture._entered,
    b"BridgeLeave": Picture._left,
    b"QueueMemberStatus": Picture._member,
    b"QueueMemberAdded": Picture._member,
    b"QueueMemberPause": Picture._member,
    b"QueueMemberRemoved": Picture._member_gone,
    b"QueueCallerJoin": Picture._joined,
    b"QueueCallerLeave": Picture._left_queue,
    b"DeviceStateChange": Picture._device,
    b"ExtensionStatus": Picture._hint,
}
