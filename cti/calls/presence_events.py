"""What a source can report of telephones and queues beside its calls: pure values, whatever the source is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DeviceState(StrEnum):
    """How a telephone stands, in the words of all PBXs."""

    UNKNOWN = "unknown"
    IDLE = "idle"
    RINGING = "ringing"
    IN_USE = "in_use"
    BUSY = "busy"
    ON_HOLD = "on_hold"
    UNAVAILABLE = "unavailable"


class Listing(StrEnum):
    """What a list of the present picture is about; after its end nothing else is there."""

    QUEUES = "queues"
    DEVICES = "devices"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListBegun:
    """A list of everything present begins: what it does not name is gone once it ends."""

    listing: Listing
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEnded:
    listing: Listing
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChanged:
    """A telephone (`PJSIP/101`) has this state now."""

    device: str
    state: DeviceState
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReached:
    """A telephone answers or does not, whatever its calls are."""

    device: str
    is_reachable: bool
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNamed:
    """A telephone is the one of this extension."""

    device: str
    extension: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoNotDisturb:
    """An extension asked not to be rung, or took that back."""

    extension: str
    is_on: bool
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSeen:
    queue: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMember:
    """A place in a queue. `device` is the telephone whose state the queue watches.

    `interface` names the place within its queue; `last_call_at` is the end of the last call the queue gave it,
    `wrap_up_seconds` how long the queue then leaves it alone.
    """

    queue: str
    interface: str
    device: str
    extension: str
    name: str = ""
    state: DeviceState = DeviceState.UNKNOWN
    is_paused: bool = False
    pause_reason: str = ""
    is_in_call: bool = False
    penalty: int = 0
    last_call_at: datetime | None = None
    wrap_up_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSeen:
    """A member is in a queue, and this is all of it."""

    member: QueueMember
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLeft:
    queue: str
    interface: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerWaits:
    """A caller stands in a queue, at this place counted from 1. `linked_id` is "" where the source does not say."""

    queue: str
    channel_id: str
    linked_id: str
    position: int
    since: datetime | None
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerLeft:
    """A caller is no longer in the queue: answered, given up or sent on."""

    queue: str
    channel_id: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerReplaced:
    """Whoever waited on this channel handed their place in the queue to another one."""

    channel_id: str
    by_channel_id: str
    linked_id: str
    at: datetime | None


PresenceEvent = (
    ListBegun
    | ListEnded
    | DeviceChanged
    | DeviceReached
    | DeviceNamed
    | DoNotDisturb
    | QueueSeen
    | MemberSeen
    | MemberLeft
    | CallerWaits
    | CallerLeft
    | CallerReplaced
)
