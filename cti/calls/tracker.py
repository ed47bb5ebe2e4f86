"""Channel events of one connection in, call events out: the one place that knows which channels are which call.

Pure: no I/O, no clock. A call is every channel whose linked ids belong together, merged transitively. State is bounded:
what ended is forgotten but for its ids, so that repeats add nothing and a finished call never lives again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from cti.calls import story
from cti.calls.call_events import CallEvent, CallsJoined, CallTransferred, CallUpdated, SnapshotApplied
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
from cti.calls.endpoints import Endpoints, is_same_number
from cti.calls.legs import Bridges, LiveLeg, looks_called, new_leg, presented
from cti.calls.live import MAX_LEGS, LiveCall, Recording
from cti.calls.progress import News, Progress
from cti.calls.records import CallRecord, Origin, Transfer

MAX_REMEMBERED = 50_000  # ids of channels and calls that ended: beyond that the oldest are forgotten


class Remembered:
    """A bounded set of ids; the oldest are forgotten first."""

    def __init__(self, limit: int = MAX_REMEMBERED) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._limit = limit

    def add(self, key: str) -> None:
        """Remember this id as the newest."""
        self._ids[key] = None
        self._ids.move_to_end(key)
        if len(self._ids) > self._limit:
            self._ids.popitem(last=False)

    def __contains__(self, key: str) -> bool:
        return key in self._ids

    def __len__(self) -> int:
        return len(self._ids)


class CallTracker:
    """Tracks the calls of one connection."""

    def __init__(
        self,
        *,
        extensions: Collection[str] = (),
        lines: Collection[str] = (),
        internal_pattern: str | None = None,
    ) -> None:
        """What the administrator told is certain, the rest is learned from the stream (`cti.calls.endpoints`).

        Args:
            extensions: numbers of colleagues' telephones.
            lines: endpoints that are lines ("PJSIP/trunk-a" or "trunk-a"), or our own outside numbers.
            internal_pattern: a regular expression that every extension, and nothing else, matches as a whole.
        """
        self._endpoints = Endpoints(extensions=extensions, lines=lines, internal_pattern=internal_pattern)
        self._bridges = Bridges()
        self._progress = Progress(self._endpoints, self._bridges)
        self._legs: dict[str, LiveLeg] = {}
        self._calls: dict[str, LiveCall] = {}  # by every linked id of every live call
        self._waiting_rooms = Remembered(1000)
        self._gone = Remembered()  # channels
        self._over = Remembered()  # linked ids of ended calls
        self._order = 0
        self._joined: list[CallEvent] = []

    def apply(self, event: ChannelEvent) -> list[CallEvent]:
        """One channel event; what it means to people, in order. Repeats and events of ended calls mean nothing."""
        self._joined = []
        call = HANDLERS[type(event)](self, event)
        if call is None:
            return self._joined
        if isinstance(call, list):
            return [*self._joined, *call]
        return [*self._joined, *self._settled(call, News(event.at))]

    def present(self) -> list[CallRecord]:
        """Every call that is going on, oldest first; times run up to the last event."""
        calls = {id(call): call for call in self._calls.values()}
        told = sorted((call for call in calls.values() if call.is_told), key=lambda call: call.order)
        return [self._progress.record(call, None) for call in told]

    # -- legs and calls ------------------------------------------------------------------------------------------

    def _leg(
        self, channel: Channel, at: datetime | None, *, was_called: bool | None = None
    ) -> LiveLeg | None:
        """The leg of this channel with its call up to date; None for one that ended."""
        leg = self._legs.get(channel.channel_id)
        if leg is None:
            if channel.channel_id in self._gone or not channel.channel_id:
                return None
            return self._begin(channel, at, was_called)
        leg.see(channel)
        if channel.linked_id and channel.linked_id != leg.linked_id:
            self._relink(leg, channel.linked_id, at)
        return leg

    def _begin(self, channel: Channel, at: datetime | None, was_called: bool | None) -> LiveLeg | None:
        linked_id = channel.linked_id or channel.channel_id
        if linked_id in self._over:
            return None
        self._order += 1
        called = looks_called(channel) if was_called is None else was_called
        leg = new_leg(channel, at, self._order, was_called=called)
        call = self._calls.get(linked_id)
        if call is None:
            call = LiveCall(key=linked_id, order=self._order, linked_ids=[linked_id], started_at=at)
            self._calls[linked_id] = call
        self._admit(call, leg, channel)
        return leg

    def _admit(self, call: LiveCall, leg: LiveLeg, channel: Channel) -> None:
        self._legs[leg.channel_id] = leg
        call.legs[leg.channel_id] = leg
        call.open_legs += 1
        call.first = call.first or leg
        if not leg.is_real:
            self._bridges.add_helper(leg)
        elif leg.was_called:
            number = presented(channel.caller_number)
            self._endpoints.note_called(leg.endpoint, number, channel.context)
            call.has_tried = True
        else:
            number = presented(channel.caller_number)
            self._endpoints.note_caller(leg.endpoint, number, channel.dialled, channel.context)

    def _call_of(self, leg: LiveLeg) -> LiveCall:
        return self._calls[leg.linked_id]

    def _settled(self, call: LiveCall, news: News) -> list[CallEvent]:
        events = self._progress.settle(call, news)
        if call.has_ended:
            self._forget(call)
        return events

    def _forget(self, call: LiveCall) -> None:
        for linked_id in call.linked_ids:
            self._calls.pop(linked_id, None)
            self._over.add(linked_id)

    def _relink(self, leg: LiveLeg, linked_id: str, at: datetime | None) -> None:
        """The channel shows another linked id: its call and the one of that id are one, and nobody says so."""
        call = self._call_of(leg)
        other = self._calls.get(linked_id)
        if other is None:
            if linked_id not in self._over and linked_id not in call.linked_ids:
                call.linked_ids.append(linked_id)
                self._calls[linked_id] = call
            return
        leg.linked_id = linked_id
        if other is not call:
            self._join(call, other, at)

    def _join(self, one: LiveCall, other: LiveCall, at: datetime | None) -> LiveCall:
        """Two calls turned out to be one: the older lives on."""
        older, younger = sorted((one, other), key=lambda call: call.order)
        was_told = younger.is_told
        older.absorb(younger)
        for linked_id in younger.linked_ids:
            self._calls[linked_id] = older
        if was_told:
            record = self._progress.record(older, at)
            self._joined.append(CallsJoined(call=record, absorbed_key=younger.key, at=at))
        return older

    def _end_leg(self, leg: LiveLeg, at: datetime | None) -> LiveCall:
        call = self._call_of(leg)
        leg.has_ended, leg.ended_at = True, at
        call.open_legs -= 1
        self._bridges.forget(leg)
        del self._legs[leg.channel_id]
        self._gone.add(leg.channel_id)
        if not leg.is_real and leg is not call.first:
            del call.legs[leg.channel_id]
        if len(call.legs) > MAX_LEGS:
            self._drop_oldest(call)
        return call

    def _drop_oldest(self, call: LiveCall) -> None:
        for leg in call.legs.values():
            if leg.has_ended and leg not in (call.first, call.customer):
                del call.legs[leg.channel_id]
                return

    # -- channels ------------------------------------------------------------------------------------------------

    def _created(self, event: ChannelCreated) -> LiveCall | None:
        leg = self._leg(event.channel, event.at)
        return self._call_of(leg) if leg else None

    def _changed(self, event: ChannelChanged) -> LiveCall | None:
        leg = self._leg(event.channel, event.at)
        return self._call_of(leg) if leg else None

    def _ringing(self, event: ChannelRinging) -> LiveCall | None:
        leg = self._leg(event.channel, event.at)
        if leg is None:
            return None
        if leg.was_called and not leg.has_rung and not leg.is_up:
            leg.has_rung, leg.rang_at = True, event.at
        return self._call_of(leg)

    def _answered(self, event: ChannelAnswered) -> LiveCall | None:
        leg = self._leg(event.channel, event.at)
        if leg is None:
            return None
        if not leg.is_up:
            leg.is_up, leg.up_at = True, event.at
        return self._call_of(leg)

    def _hung_up(self, event: ChannelHungUp) -> LiveCall | None:
        if event.channel.channel_id not in self._legs:
            self._gone.add(event.channel.channel_id)  # it was there before us: nothing of it may begin now
            return None
        leg = self._leg(event.channel, event.at)
        if leg is None:
            return None
        leg.cause, leg.sip_code = event.cause, event.sip_code
        call = self._end_leg(leg, event.at)
        news = News(event.at)
        self._progress.note_unrung(call, leg, news)
        return call

    def _hangup_requested(self, event: HangupRequested) -> LiveCall | None:
        leg = self._legs.get(event.channel.channel_id)
        if leg is None:
            return None
        call = self._call_of(leg)
        if leg.is_real and (leg.is_up or not leg.was_called):
            call.hung_up_first = leg
        return call

    # -- dialling ------------------------------------------------------------------------------------------------

    def _dial_started(self, event: DialStarted) -> LiveCall | None:
        leg = self._leg(event.called, event.at, was_called=True)
        if leg is None:
            return None
        leg.was_called = True
        call = self._call_of(leg)
        if leg.is_real:
            self._endpoints.note_dialled(leg.endpoint, event.number)
            leg.number_sent = leg.number_sent or event.number
            self._note_going_out(call, event.number)
        if event.caller is not None:
            self._leg(event.caller, event.at, was_called=None)
        return self._call_of(leg)

    def _note_going_out(self, call: LiveCall, number: str) -> None:
        """What was dialled on the first channel is handed to a line: a telephone calls out there."""
        first = call.first
        if number and first is not None and first.is_real and is_same_number(first.first_dialled, number):
            self._endpoints.note_number_went_out(first.endpoint)

    def _dial_ended(self, event: DialEnded) -> LiveCall | None:
        leg = self._legs.get(event.called.channel_id)
        if leg is None:
            return None
        leg.see(event.called)
        leg.dial_status = leg.dial_status or event.status
        leg.forwarded_to = leg.forwarded_to or event.forwarded_to
        return self._call_of(leg)

    def _originated(self, event: OriginateAnswered) -> LiveCall | None:
        leg = self._legs.get(event.channel_id)
        if leg is None and not event.succeeded:
            leg = self._failed_originate(event.channel_name)
        if leg is None:
            return None
        call = self._call_of(leg)
        if event.number:
            call.requested_number = event.number
        return call

    def _failed_originate(self, channel_name: str) -> LiveLeg | None:
        """A failed one is named by its endpoint alone: the first channel of the latest call made on it."""
        endpoint = channel_name.partition("@")[0]
        calls = sorted(
            {id(call): call for call in self._calls.values()}.values(), key=lambda call: -call.order
        )
        firsts = (call.first for call in calls)
        return next((leg for leg in firsts if leg and leg.was_called and leg.endpoint == endpoint), None)

    # -- bridges -------------------------------------------------------------------------------------------------

    def _entered(self, event: BridgeEntered) -> LiveCall | None:
        leg = self._leg(event.channel, event.at)
        if leg is None:
            return None
        if event.is_waiting_room:
            self._waiting_rooms.add(event.bridge_id)
            self._bridges.leave(leg)
        else:
            self._bridges.enter(leg, event.bridge_id)
            self._call_of(leg).is_parked = False
        return self._call_of(leg)

    def _left(self, event: BridgeLeft) -> LiveCall | None:
        leg = self._legs.get(event.channel.channel_id)
        if leg is None:
            return None
        self._bridges.leave(leg, event.bridge_id)
        return self._call_of(leg)

    def _merged(self, event: BridgesMerged) -> list[CallEvent]:
        moved = self._bridges.merge(event.from_bridge_id, event.into_bridge_id)
        calls = {id(call): call for call in map(self._call_of, moved)}
        return [news for call in calls.values() for news in self._settled(call, News(event.at))]

    def _held(self, event: ChannelHeld) -> LiveCall | None:
        return self._set_hold(event.channel, event.at, holds=True)

    def _resumed(self, event: ChannelResumed) -> LiveCall | None:
        return self._set_hold(event.channel, event.at, holds=False)

    def _set_hold(self, channel: Channel, at: datetime | None, *, holds: bool) -> LiveCall | None:
        leg = self._leg(channel, at)
        if leg is None:
            return None
        leg.holds = holds
        return self._call_of(leg)

    # -- what the dialplan does ----------------------------------------------------------------------------------

    def _queue_joined(self, event: QueueJoined) -> list[CallEvent] | None:
        leg = self._leg(event.channel, event.at)
        if leg is None:
            return None
        call, news = self._call_of(leg), News(event.at)
        is_repeat = call.is_in_queue and call.queue == event.queue
        if not is_repeat and not call.is_connected:
            call.is_in_queue = call.was_queued = True
            call.queue = event.queue
            call.queued_at = call.queued_at or event.at
            news.add(CallUpdated, what="queue")
            call.tell(event.at, f"the call waits in queue {event.queue}")
        return self._settled(call, news)

    def _queue_left(self, event: QueueLeft) -> LiveCall | None:
        leg = self._legs.get(event.channel.channel_id)
        if leg is None:
            return None
        self._call_of(leg).is_in_queue = False
        return self._call_of(leg)

    def _mailbox_reached(self, event: MailboxReached) -> LiveCall | None:
        leg = self._leg(event.channel, event.at)
        if leg is None:
            return None
        call = self._call_of(leg)
        if call.mailbox is None:
            call.mailbox, call.mailbox_at = event.mailbox, event.at
            call.tell(event.at, f"mailbox {event.mailbox} takes the call")
        return call

    def _menu_reached(self, event: MenuReached) -> LiveCall | None:
        leg = self._leg(event.channel, event.at)
        if leg is None:
            return None
        call = self._call_of(leg)
        if not call.saw_menu:
            call.saw_menu = True
            call.tell(event.at, "a voice menu answers")
        return call

    def _did_learned(self, event: DidLearned) -> LiveCall | None:
        leg = self._leg(event.channel, event.at)
        if leg is None:
            return None
        call = self._call_of(leg)
        call.learned_did = call.learned_did or event.did
        return call

    def _recording_started(self, event: RecordingStarted) -> LiveCall | None:
        leg = self._leg(event.channel, event.at)
        if leg is None:
            return None
        call, file = self._call_of(leg), event.file.rpartition("/")[2]
        if file and all(recording.file != file for recording in call.recordings):
            call.recordings.append(Recording(leg, file))
        return call

    def _extension_known(self, event: ExtensionKnown) -> None:
        self._endpoints.note_known(event.endpoint, event.extension)

    # -- passing on ----------------------------------------------------------------------------------------------

    def _blindly_transferred(self, event: BlindlyTransferred) -> list[CallEvent] | None:
        leg = self._leg(event.transferer, event.at)
        if leg is None:
            return None
        return self._transferred(self._call_of(leg), leg, event.to, "blind", event.at)

    def _transferred(
        self, call: LiveCall, transferer: LiveLeg, to: str, kind: str, at: datetime | None
    ) -> list[CallEvent]:
        transfer = Transfer(from_extension=self._progress.extension_of(transferer), to=to, kind=kind, at=at)
        news = News(at)
        is_repeat = any(
            (old.from_extension, old.to, old.kind, old.outcome) == (transfer.from_extension, to, kind, None)
            for old in call.transfers
        )
        if not is_repeat:
            call.transfers.append(transfer)
            call.hung_up_first = None
            news.add(CallTransferred, transfer=transfer)
            call.tell(at, story.transfer_line(transfer))
        return self._settled(call, news)

    def _attendedly_transferred(self, event: AttendedlyTransferred) -> list[CallEvent] | None:
        first, second = self._leg(event.transferer, event.at), self._leg(event.second, event.at)
        if first is None or second is None:
            return None
        call = self._call_of(first)
        if self._call_of(second) is not call:
            call = self._join(call, self._call_of(second), event.at)
        target = self._leg(event.target, event.at) if event.target else None
        to = self._progress.extension_of(target) if target and target.is_real else event.second.dialled
        return self._transferred(call, first, to, "attended", event.at)

    def _picked_up(self, event: CallPickedUp) -> LiveCall | None:
        leg, robbed = self._leg(event.channel, event.at), self._leg(event.robbed, event.at)
        if leg is None or robbed is None:
            return None
        robbed.robbed_by = self._progress.extension_of(leg)
        if self._call_of(leg) is not self._call_of(robbed):
            return self._join(self._call_of(leg), self._call_of(robbed), event.at)
        return self._call_of(robbed)

    def _parked(self, event: CallParked) -> LiveCall | None:
        leg = self._leg(event.channel, event.at)
        if leg is None:
            return None
        call = self._call_of(leg)
        if not call.is_parked:
            call.is_parked = True
            call.tell(event.at, f"the call is parked at {event.space}")
        return call

    def _unparked(self, event: CallUnparked) -> LiveCall | None:
        leg, retriever = self._leg(event.channel, event.at), self._leg(event.retriever, event.at)
        if leg is None or retriever is None:
            return None
        self._call_of(leg).is_parked = False
        if self._call_of(leg) is not self._call_of(retriever):
            return self._join(self._call_of(leg), self._call_of(retriever), event.at)
        return self._call_of(leg)

    # -- the whole picture ---------------------------------------------------------------------------------------

    def _stopped(self, event: SourceStopped) -> list[CallEvent]:
        return self._end_all_but(frozenset(), event.at)

    def _end_all_but(self, living: frozenset[str], at: datetime | None) -> list[CallEvent]:
        """Channels that are no more ended while nobody listened."""
        events: list[CallEvent] = []
        for leg in [leg for leg in self._legs.values() if leg.channel_id not in living]:
            call = self._end_leg(leg, at)
            call.ended_unseen = call.ended_unseen or call.open_legs == 0
            events += self._settled(call, News(at)) if call.open_legs == 0 else []
        return events

    def _snapshot(self, event: SnapshotTaken) -> list[CallEvent]:
        for room in event.waiting_rooms:
            self._waiting_rooms.add(room)
        living = frozenset(seen.channel.channel_id for seen in event.channels)
        events = self._end_all_but(living, event.at)
        # Callers before the called: who called whom is then clear from the first channel on.
        calls: dict[int, LiveCall] = {}
        for seen in sorted(
            event.channels, key=lambda seen: (bool(seen.was_called), -(seen.age_seconds or 0))
        ):
            if leg := self._restore(seen, event.at):
                call = self._call_of(leg)
                calls[id(call)] = call
        for call in calls.values():
            events += self._settled(call, News(event.at))
        return [*events, SnapshotApplied(present=tuple(self.present()), at=event.at)]

    def _restore(self, seen: SeenChannel, at: datetime | None) -> LiveLeg | None:
        channel = seen.channel
        is_new = channel.channel_id not in self._legs
        age = timedelta(seconds=seen.age_seconds or 0)
        leg = self._leg(channel, at - age if at else None, was_called=seen.was_called)
        if leg is None:
            return None
        if is_new:
            self._call_of(leg).origin = Origin.ATTACHED
        show_state(leg, channel, at)
        self._bridges.leave(leg)
        if seen.bridge_id and seen.bridge_id not in self._waiting_rooms:
            self._bridges.enter(leg, seen.bridge_id)
        return leg


def show_state(leg: LiveLeg, channel: Channel, at: datetime | None) -> None:
    """A channel found in mid-life: it is up, or rings, since we cannot know when."""
    name = channel.state.value
    if name == "up" and not leg.is_up:
        leg.is_up, leg.up_at = True, at
    if name == "ringing" and leg.was_called and not leg.has_rung:
        leg.has_rung, leg.rang_at = True, at


Handler = Callable[[CallTracker, Any], "LiveCall | list[CallEvent] | None"]
HANDLERS: dict[type, Handler] = {
    ChannelCreated: CallTracker._created,
    ChannelChanged: CallTracker._changed,
    ChannelRinging: CallTracker._ringing,
    ChannelAnswered: CallTracker._answered,
    ChannelHungUp: CallTracker._hung_up,
    HangupRequested: CallTracker._hangup_requested,
    DialStarted: CallTracker._dial_started,
    DialEnded: CallTracker._dial_ended,
    OriginateAnswered: CallTracker._originated,
    BridgeEntered: CallTracker._entered,
    BridgeLeft: CallTracker._left,
    BridgesMerged: CallTracker._merged,
    ChannelHeld: CallTracker._held,
    ChannelResumed: CallTracker._resumed,
    QueueJoined: CallTracker._queue_joined,
    QueueLeft: CallTracker._queue_left,
    MailboxReached: CallTracker._mailbox_reached,
    MenuReached: CallTracker._menu_reached,
    DidLearned: CallTracker._did_learned,
    RecordingStarted: CallTracker._recording_started,
    ExtensionKnown: CallTracker._extension_known,
    BlindlyTransferred: CallTracker._blindly_transferred,
    AttendedlyTransferred: CallTracker._attendedly_transferred,
    CallPickedUp: CallTracker._picked_up,
    CallParked: CallTracker._parked,
    CallUnparked: CallTracker._unparked,
    SourceStopped: CallTracker._stopped,
    SnapshotTaken: CallTracker._snapshot,
}
