"""What any telephony source can report: a channel is created, rings, is answered, is bridged, hangs up.

The vocabulary between a source (Asterisk's manager interface, a cloud PBX's webhooks) and `CallTracker`. A source that
cannot report something leaves it out; one that knows only "rings" and "ended" makes up a channel id per telephone.
`at` is an aware UTC moment, None when the source tells no time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple


class ChannelState(Enum):
    """What a channel itself is doing; UP says nothing about a person."""

    UNKNOWN = "unknown"
    DOWN = "down"  # made by the PBX to call somebody, nothing heard yet
    CALLING = "calling"  # somebody calls the PBX on it
    RINGING = "ringing"  # the PBX calls somebody on it, and it rings there
    UP = "up"
    BUSY = "busy"


class Channel(NamedTuple):
    """One channel as its source shows it at some moment; "" where nothing is known."""

    channel_id: str
    name: str
    linked_id: str  # the key all channels of a call share; it may change when calls are joined
    endpoint: str = ""  # the telephone or line it belongs to: "PJSIP/101"
    pair: str = ""  # helper channels come in pairs, both bear the pair's name; "" for a real channel
    state: ChannelState = ChannelState.UNKNOWN
    caller_number: str = ""  # the number of whoever is at this channel
    caller_name: str = ""
    connected_number: str = ""  # the number of whoever they are connected to
    connected_name: str = ""
    dialled: str = ""  # where in the dialplan it is: at its birth, the number it called
    context: str = ""
    is_withheld: bool = False  # whoever is at this channel asked that the number be shown to nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCreated:
    """A channel came to be."""

    channel: Channel
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelChanged:
    """The channel's numbers, names, or linked id may have changed."""

    channel: Channel
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRinging:
    """It rings at the other end of this channel. That the PBX began to dial is not ringing."""

    channel: Channel
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAnswered:
    """The channel is up; whether a person talks, only bridges tell."""

    channel: Channel
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DialStarted:
    """The PBX began to call somebody on `called`, for `caller` if there is one."""

    caller: Channel | None
    called: Channel
    number: str  # the number handed to a line; "" when the endpoint itself is called
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DialEnded:
    """An attempt to call somebody is over; sources repeat this and err in the status."""

    called: Channel
    status: str  # answer, busy, no_answer, cancel, unreachable, failed, "" if not told
    forwarded_to: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeEntered:
    """The channel hears everybody else in this bridge from now on."""

    channel: Channel
    bridge_id: str
    is_waiting_room: bool  # music and announcements only: nobody in it talks
    at: datetime | None
    is_conference: bool = False  # a room one may enter alone, and wait in


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeLeft:
    """The channel is no longer in this bridge."""

    channel: Channel
    bridge_id: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgesMerged:
    """Everybody of one bridge is moved into another."""

    from_bridge_id: str
    into_bridge_id: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelHeld:
    """Whoever is at this channel put the others on hold."""

    channel: Channel
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelResumed:
    """The hold is over."""

    channel: Channel
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueJoined:
    """The channel waits in a queue."""

    channel: Channel
    queue: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLeft:
    """The channel is no longer in the queue: answered, timed out or gone."""

    channel: Channel
    queue: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxReached:
    """A mailbox talks to the channel."""

    channel: Channel
    mailbox: str  # "" if not told
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuReached:
    """A voice menu talks to the channel and waits for digits."""

    channel: Channel
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursChecked:
    """The dialplan looked at the clock for whoever called on this channel, and chose the way by it."""

    channel: Channel
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSought:
    """The dialplan looks for somebody to talk to this channel; nobody need be found, no telephone need be called."""

    channel: Channel
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerBlocked:
    """The dialplan found whoever called on this channel on its list of callers who are not let in."""

    channel: Channel
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DidLearned:
    """The dialplan noted which number of ours was called; copies of this reach every leg of the call."""

    channel: Channel
    did: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DialledKnown:
    """What whoever calls on this channel dialled at first, wherever in the dialplan it is now."""

    channel: Channel
    number: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingStarted:
    """A recording of what this channel hears and says begins; whether it holds sound is not known yet."""

    channel: Channel
    file: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HangupRequested:
    """Whoever is at this channel hung up."""

    channel: Channel
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelHungUp:
    """The channel is gone."""

    channel: Channel
    cause: int | None  # Q.850, and Asterisk's own 0 and 127
    sip_code: int | None  # what the far end said, where the source tells it
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginateAnswered:
    """What became of a call that a program asked for: the first leg answered, or not."""

    channel_id: str  # "" when the PBX does not say
    channel_name: str  # the channel, or for a failed one only its endpoint
    number: str  # where the first leg was to be connected to
    succeeded: bool
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindlyTransferred:
    """Passed on without talking first."""

    transferer: Channel
    transferee: Channel | None
    to: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttendedlyTransferred:
    """Passed on after talking to the target first; the transferer may have used one channel or two."""

    transferer: Channel
    second: Channel
    transferee: Channel | None
    target: Channel | None
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPickedUp:
    """Somebody takes a call that rings at another telephone."""

    channel: Channel  # the one who takes it
    robbed: Channel  # the leg that rang
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParked:
    """The channel waits in a parking space."""

    channel: Channel
    parker_name: str  # channel name of whoever parked it, "" if not told
    space: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallUnparked:
    """Somebody fetches the channel from its parking space."""

    channel: Channel
    retriever: Channel
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionKnown:
    """The source itself says that this endpoint is a telephone, and under which extension."""

    endpoint: str
    extension: str  # "" when it is a telephone of unknown extension
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStopped:
    """The PBX shuts down: no channel survives."""

    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenChannel:
    """One channel in a snapshot."""

    channel: Channel
    bridge_id: str  # "" outside of bridges
    age_seconds: float | None
    was_called: bool | None  # the PBX called it; None when the source cannot tell
    did: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTaken:
    """Every channel that exists now: what is not in here is gone."""

    channels: tuple[SeenChannel, ...]
    at: datetime | None
    waiting_rooms: frozenset[str] = field(default_factory=frozenset)  # bridges in which nobody talks
    queued: tuple[tuple[str, str], ...] = ()  # (channel id or name, queue)


ChannelEvent = (
    ChannelCreated
    | ChannelChanged
    | ChannelRinging
    | ChannelAnswered
    | DialStarted
    | DialEnded
    | BridgeEntered
    | BridgeLeft
    | BridgesMerged
    | ChannelHeld
    | ChannelResumed
    | QueueJoined
    | QueueLeft
    | MailboxReached
    | MenuReached
    | HoursChecked
    | PersonSought
    | CallerBlocked
    | DidLearned
    | DialledKnown
    | RecordingStarted
    | HangupRequested
    | ChannelHungUp
    | OriginateAnswered
    | BlindlyTransferred
    | AttendedlyTransferred
    | CallPickedUp
    | CallParked
    | CallUnparked
    | ExtensionKnown
    | SourceStopped
    | SnapshotTaken
)
