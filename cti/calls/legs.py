"""The channels of live calls, and who of them hears whom. Mutable, private to `cti.calls`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from cti.calls.channel_events import Channel, ChannelState
from cti.calls.records import Leg

HIDDEN_CALLERS = frozenset(
    {"anonymous", "unknown", "unavailable", "withheld", "private", "restricted", "asterisk", "<unknown>", "s"}
)
NOWHERE = (
    "",
    "s",
)  # the places in the dialplan of a channel that nobody dialled on, or whose line told no number
WITHHELD_CALLERS = frozenset({"anonymous", "withheld", "private", "restricted"})


def presented(number: str) -> str:
    """The number, "" when the word in its place only says that there is none."""
    return "" if number.casefold() in HIDDEN_CALLERS else number


@dataclass(slots=True, eq=False)
class LiveLeg:
    """One channel as far as it is known by now."""

    channel_id: str
    name: str
    endpoint: str
    pair: str  # "" for a real channel; both halves of a helper bear the same
    linked_id: str
    was_called: bool  # the PBX calls somebody on it, rather than somebody calling the PBX
    created_at: datetime | None
    order: int  # of appearance on this connection
    first_caller: str = ""  # the first number it presented
    first_dialled: str = ""  # the number it called, for a calling leg
    is_withheld: bool = False  # its number is to be shown to nobody, though it may be known
    caller_name: str = ""
    caller_number: str = ""  # the number it presents now
    connected_number: str = ""
    is_found: bool = False  # in mid-life: what it showed first was not seen
    is_undecided: bool = False  # whether somebody calls on it or is called is only guessed
    was_dialled: bool = False  # the PBX said itself that it calls somebody on it
    number_sent: str = ""  # the number handed to a line
    rang_at: datetime | None = None
    has_rung: bool = False
    is_up: bool = False
    up_at: datetime | None = None
    ended_at: datetime | None = None
    has_ended: bool = False
    cause: int | None = None
    sip_code: int | None = None
    dial_status: str = ""
    forwarded_to: str = ""
    bridge_id: str = ""
    place: tuple[str, str] = ("", "")  # in the dialplan, when it entered its bridge: number, context
    is_leaving: bool = False  # whoever was there hung up; the PBX may keep the channel for a while
    is_past_ringing: bool = False  # somebody talked on it, or at another telephone of its extension
    holds: bool = False
    recorded: Leg | None = None  # once it has ended
    has_picked_up: bool = False  # took a call that rang elsewhere
    robbed_by: str = ""  # extension of whoever picked up what rang here

    @property
    def is_real(self) -> bool:
        """Somebody's telephone or a line; a helper is nobody's."""
        return not self.pair

    def see(self, channel: Channel) -> None:
        """Take over what the channel shows now; what it showed first stays known."""
        if channel.caller_number != self.caller_number and (number := presented(channel.caller_number)):
            self.caller_number = number
            self.first_caller = self.first_caller or number
        if channel.is_withheld or channel.caller_number.casefold() in WITHHELD_CALLERS:
            self.is_withheld = True  # also when the number came before the word that hides it
        if channel.state is ChannelState.CALLING and not self.first_dialled and not self.was_called:
            self.first_dialled = channel.dialled  # dialled digit by digit
        if self.is_undecided and channel.state not in (ChannelState.DOWN, ChannelState.UNKNOWN):
            self.is_undecided = False
        if channel.connected_number:
            self.connected_number = channel.connected_number
        self.caller_name = self.caller_name or channel.caller_name
        if not channel.name.endswith(">") and channel.name != self.name:
            self.name, self.endpoint, self.pair = channel.name, channel.endpoint, channel.pair

    def record(self, extension: str | None) -> Leg:
        """The leg as everyone outside sees it."""
        record = Leg(
            channel_id=self.channel_id,
            channel_name=self.name,
            extension=extension,
            started_at=self.created_at,
            answered_at=self.up_at,
            ended_at=self.ended_at,
            hangup_cause=self.cause,
        )
        if self.has_ended:
            self.recorded = record
        return record


def new_leg(channel: Channel, at: datetime | None, order: int, *, was_called: bool) -> LiveLeg:
    """A leg that is seen for the first time."""
    leg = LiveLeg(
        channel_id=channel.channel_id,
        name=channel.name,
        endpoint=channel.endpoint,
        pair=channel.pair,
        linked_id=channel.linked_id or channel.channel_id,
        was_called=was_called,
        created_at=at,
        order=order,
        first_dialled="" if was_called or channel.state is ChannelState.UNKNOWN else channel.dialled,
    )
    leg.see(channel)
    return leg


def looks_called(channel: Channel) -> bool:
    """Whether the PBX calls somebody on this channel; for one seen in the middle of its life, a fair guess.

    Asterisk empties the extension of a called channel when it answers, or leaves it at "s"; a calling one stands in the
    dialplan, and its call is named after it. Some
    drivers (chan_sip, chan_sccp) make a caller's channel before they call it one: it has a number that it dialled.
    """
    if channel.state is ChannelState.UP:
        return channel.dialled == "" or (channel.dialled in NOWHERE and is_of_another(channel))
    if channel.state is ChannelState.UNKNOWN:
        return is_of_another(channel)
    if is_first_and_silent(channel):
        return channel.dialled in NOWHERE
    return channel.state in (ChannelState.DOWN, ChannelState.RINGING)


def is_of_another(channel: Channel) -> bool:
    """Its call began with another channel."""
    return channel.linked_id not in ("", channel.channel_id)


def is_first_and_silent(channel: Channel) -> bool:
    """The first channel of its call, before anything is heard on it: a caller's, or one that a program has called."""
    return channel.state is ChannelState.DOWN and not is_of_another(channel)


@dataclass(slots=True)
class Bridges:
    """Who is in which bridge. A waiting room has no entry: nobody hears anybody there."""

    members: dict[str, set[LiveLeg]] = field(default_factory=dict)
    _helpers: dict[str, list[LiveLeg]] = field(default_factory=dict)

    def enter(self, leg: LiveLeg, bridge_id: str) -> None:
        """Move the leg into this bridge."""
        if leg.bridge_id != bridge_id:
            self.leave(leg)
            leg.bridge_id = bridge_id
            self.members.setdefault(bridge_id, set()).add(leg)

    def leave(self, leg: LiveLeg, bridge_id: str = "") -> None:
        """Take the leg out; with a bridge named, only if it is still in that one."""
        if not leg.bridge_id or (bridge_id and leg.bridge_id != bridge_id):
            return
        members = self.members.get(leg.bridge_id, set())
        members.discard(leg)
        if not members:
            self.members.pop(leg.bridge_id, None)
        leg.bridge_id = ""

    def merge(self, from_bridge_id: str, into_bridge_id: str) -> list[LiveLeg]:
        """Move everybody of one bridge into another."""
        moved = list(self.members.get(from_bridge_id, ()))
        for leg in moved:
            self.enter(leg, into_bridge_id)
        return moved

    def add_helper(self, leg: LiveLeg) -> None:
        """Remember a helper, so that its other half finds it."""
        halves = self._helpers.setdefault(leg.pair, [])
        if leg not in halves:
            halves.append(leg)

    def forget(self, leg: LiveLeg) -> None:
        """The channel is gone."""
        self.leave(leg)
        halves = self._helpers.get(leg.pair)
        if halves and leg in halves:
            halves.remove(leg)
            if not halves:
                del self._helpers[leg.pair]

    def conversation(self, leg: LiveLeg) -> set[LiveLeg]:
        """Everybody who hears this leg, itself included, and the helpers that pass the sound on to their other half."""
        heard: set[LiveLeg] = set()
        waiting, seen = [leg.bridge_id], set()
        while waiting:
            bridge_id = waiting.pop()
            if not bridge_id or bridge_id in seen:
                continue
            seen.add(bridge_id)
            for member in self.members.get(bridge_id, ()):
                heard.add(member)
                if not member.is_real:
                    waiting.extend(self._beyond(member))
        return heard

    def halves_heard(self, helper: LiveLeg) -> set[LiveLeg]:
        """Everybody beyond a helper, also while the helper itself is in no bridge."""
        halves = self._helpers.get(helper.pair, ()) if helper.pair else ()
        return {leg for half in halves if half.bridge_id for leg in self.conversation(half)}

    def _beyond(self, helper: LiveLeg) -> Iterator[str]:
        for half in self._helpers.get(helper.pair, ()):
            if half is not helper:
                yield half.bridge_id
