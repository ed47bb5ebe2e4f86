"""Channel events of one connection in, call events out. Pure: no I/O, no clock.

A call is every channel whose linked ids belong together, merged transitively (`registry`). What its channels mean to
people is derived anew after every event (`progress`). State is bounded, and repeats add nothing: a finished call never
lives again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any

from cti.calls.call_events import CallEvent, CallUpdated
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
    SnapshotTaken,
    SourceStopped,
)
from cti.calls.endpoints import Endpoints, is_same_number
from cti.calls.legs import LiveLeg
from cti.calls.live import LiveCall, Recording, SentAway
from cti.calls.passing_on import PassingOn
from cti.calls.progress import News
from cti.calls.records import CallRecord
from cti.calls.registry import Registry, Remembered
from cti.calls.resync import Resync

Handled = LiveCall | list[CallEvent] | None  # the call to settle, or all there is to tell, or nothing


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

        Raises:
            re.error: the pattern is no regular expression.
        """
        self._endpoints = Endpoints(extensions=extensions, lines=lines, internal_pattern=internal_pattern)
        self._registry = Registry(self._endpoints)
        self._bridges = self._registry.bridges
        self._waiting_rooms = Remembered(1000)
        self._resync = Resync(self._registry, self._waiting_rooms)
        self._passing_on = PassingOn(self._registry)
        self._handlers = self._all_handlers()
        self._last_at: datetime | None = None

    def apply(self, event: ChannelEvent) -> list[CallEvent]:
        """One channel event; what it means to people, in order. Repeats and events of ended calls mean nothing."""
        self._registry.joined = []
        self._last_at = event.at or self._last_at
        handled = self._handlers[type(event)](event)
        if handled is None:
            return self._registry.joined
        events = handled if isinstance(handled, list) else self._registry.settled(handled, News(event.at))
        return [*self._registry.joined, *events] if self._registry.joined else events

    def present(self) -> list[CallRecord]:
        """Every call that is going on, oldest first; its seconds run up to the last event."""
        return self._resync.present(self._last_at)

    # -- channels ------------------------------------------------------------------------------------------------

    def _created(self, event: ChannelCreated) -> LiveCall | None:
        leg = self._registry.leg(event.channel, event.at)
        return self._unless_told(leg) if leg else None

    def _changed(self, event: ChannelChanged) -> LiveCall | None:
        """Begins no leg: Asterisk renames numbers of a channel even after its hangup."""
        leg = self._known_leg(event.channel, event.at)
        if leg is None:
            return None
        call = self._registry.call_of(leg)
        return call if leg is call.customer or call.is_originated else self._unless_told(leg)

    def _known_leg(self, channel: Channel, at: datetime | None) -> LiveLeg | None:
        return self._registry.leg(channel, at) if channel.channel_id in self._registry.legs else None

    def _unless_told(self, leg: LiveLeg) -> LiveCall | None:
        """What is seen of this leg cannot change the picture of a call that is told already."""
        call = self._registry.call_of(leg)
        return call if not call.is_told or self._registry.joined else None

    def _ringing(self, event: ChannelRinging) -> LiveCall | None:
        leg = self._registry.leg(event.channel, event.at)
        if leg is None:
            return None
        if not leg.was_called or leg.has_rung or leg.is_up:
            return self._unless_told(leg)
        call = self._registry.call_of(leg)
        call.note_ring(leg, event.at)
        return call if leg.is_real else self._unless_told(leg)

    def _answered(self, event: ChannelAnswered) -> LiveCall | None:
        leg = self._registry.leg(event.channel, event.at)
        if leg is None:
            return None
        if leg.is_up:
            return self._unless_told(leg)
        leg.is_up, leg.up_at = True, event.at
        return self._registry.call_of(leg) if leg.is_real else self._unless_told(leg)

    def _hung_up(self, event: ChannelHungUp) -> LiveCall | None:
        if event.channel.channel_id not in self._registry.legs:
            self._registry.gone.add(
                event.channel.channel_id
            )  # it was there before us: nothing of it may begin now
            return None
        leg = self._registry.leg(event.channel, event.at)
        if leg is None:
            return None
        leg.cause, leg.sip_code = event.cause, event.sip_code
        was_heard = bool(leg.bridge_id)
        call = self._registry.end_leg(leg, event.at)
        self._registry.progress.note_unrung(call, leg, event.at)
        return call if leg.is_real or was_heard or call.open_legs == 0 else None

    def _hangup_requested(self, event: HangupRequested) -> None:
        leg = self._registry.legs.get(event.channel.channel_id)
        is_refused = (
            event.channel.state is ChannelState.BUSY
        )  # the PBX said busy, the far end only takes note
        if leg is None or not leg.is_real or is_refused or (leg.was_called and not leg.is_up):
            return
        leg.is_leaving = True
        self._registry.call_of(leg).request_hangup(leg)  # it only explains what follows

    # -- dialling ------------------------------------------------------------------------------------------------

    def _dial_started(self, event: DialStarted) -> Handled:
        leg = self._registry.leg(event.called, event.at, was_called=True)
        if leg is None:
            return None
        leg.was_called = True
        call = self._registry.call_of(leg)
        if leg.is_real:
            self._endpoints.note_dialled(leg.endpoint, event.number)
            leg.number_sent = leg.number_sent or event.number
            self._note_going_out(call, event.number)
        caller = self._registry.leg(event.caller, event.at) if event.caller else None
        if caller is not None and (events := self._passing_on.goes_on(call, caller, event.at)):
            return events
        return self._registry.call_of(leg) if leg.is_real else self._unless_told(leg)

    def _note_going_out(self, call: LiveCall, number: str) -> None:
        """What was dialled on the first channel is handed to a line: a telephone calls out there."""
        first = call.first
        if number and first is not None and first.is_real and is_same_number(first.first_dialled, number):
            self._endpoints.note_number_went_out(first.endpoint)

    def _dial_ended(self, event: DialEnded) -> LiveCall | None:
        leg = self._registry.legs.get(event.called.channel_id)
        if leg is None:
            return None
        leg.see(event.called)
        leg.dial_status = leg.dial_status or event.status
        leg.forwarded_to = leg.forwarded_to or event.forwarded_to
        return self._unless_told(leg)

    def _originated(self, event: OriginateAnswered) -> LiveCall | None:
        leg = self._registry.legs.get(event.channel_id)
        if leg is None and not event.succeeded:
            leg = self._failed_originate(event.channel_name)
        if leg is None:
            return None
        call = self._registry.call_of(leg)
        if event.number:
            call.requested_number = event.number
        return call

    def _failed_originate(self, channel_name: str) -> LiveLeg | None:
        """A failed one is named by its endpoint alone: the first channel of the latest call made on it."""
        kind, _, rest = channel_name.partition("/")
        number, _, at_line = rest.partition("@")
        endpoints = [f"{kind}/{name}" for name in (at_line, number, number.partition("/")[0]) if name]
        firsts = (call.first for call in reversed(self._registry.calls()))
        return next((leg for leg in firsts if leg and leg.was_called and leg.endpoint in endpoints), None)

    # -- bridges -------------------------------------------------------------------------------------------------

    def _entered(self, event: BridgeEntered) -> list[CallEvent] | None:
        leg = self._registry.leg(event.channel, event.at)
        if leg is None:
            return None
        if event.is_waiting_room:
            self._waiting_rooms.add(event.bridge_id)
            self._bridges.leave(leg)
        else:
            self._bridges.enter(leg, event.bridge_id)
            leg.place = (event.channel.dialled, event.channel.context)
            call = self._registry.call_of(leg)
            call.sent_away = None if leg is call.customer else call.sent_away
            call.is_parked = False
            call.is_in_conference = event.is_conference and leg is call.customer
        return self._all_settled({leg} | self._bridges.conversation(leg), event.at)

    def _left(self, event: BridgeLeft) -> list[CallEvent] | None:
        leg = self._registry.legs.get(event.channel.channel_id)
        if leg is None:
            return None
        heard = self._bridges.conversation(leg)
        self._note_sent_away(leg, event)
        if leg.bridge_id == event.bridge_id:
            leg.holds = False  # whoever goes takes their hold along: no event tells its end
        # Bridges are merged before their members have moved: who hangs up meanwhile leaves the one by the other's name.
        self._bridges.leave(leg, "" if leg.is_leaving else event.bridge_id)
        return self._all_settled({leg} | heard, event.at)

    def _note_sent_away(self, leg: LiveLeg, event: BridgeLeft) -> None:
        """Who leaves a talk at another place in the dialplan than they entered it was sent there, by a program."""
        call, place = self._registry.call_of(leg), (event.channel.dialled, event.channel.context)
        is_sent = leg.bridge_id == event.bridge_id and place[0] not in ("", "h") and place != leg.place
        if is_sent and leg is call.customer and call.talking and call.pending_transfer() is None:
            call.sent_away = SentAway(call.talking[-1], place[0], event.at)

    def _all_settled(self, legs: Iterable[LiveLeg], at: datetime | None) -> list[CallEvent]:
        """Calls meet in a bridge: what changes for one may change for all who hear it."""
        calls = {call.order: call for call in map(self._registry.call_of, legs)}
        return [news for _, call in sorted(calls.items()) for news in self._registry.settled(call, News(at))]

    def _merged(self, event: BridgesMerged) -> list[CallEvent]:
        return self._all_settled(self._bridges.merge(event.from_bridge_id, event.into_bridge_id), event.at)

    def _held(self, event: ChannelHeld) -> LiveCall | None:
        return self._set_hold(event.channel, event.at, holds=True)

    def _resumed(self, event: ChannelResumed) -> LiveCall | None:
        return self._set_hold(event.channel, event.at, holds=False)

    def _set_hold(self, channel: Channel, at: datetime | None, *, holds: bool) -> LiveCall | None:
        leg = self._known_leg(channel, at)
        if leg is None:
            return None
        leg.holds = holds
        return self._registry.call_of(leg)

    # -- what the dialplan does ----------------------------------------------------------------------------------

    def _queue_joined(self, event: QueueJoined) -> list[CallEvent] | None:
        leg = self._registry.leg(event.channel, event.at)
        if leg is None:
            return None
        call, news = self._registry.call_of(leg), News(event.at)
        is_repeat = call.is_in_queue and call.queue == event.queue
        if not is_repeat and not call.is_connected:
            call.is_in_queue = call.was_queued = True
            call.queue = event.queue
            call.queued_at = call.queued_at or event.at
            news.add(CallUpdated, what="queue")
            call.tell(event.at, f"the call waits in queue {event.queue}")
        return [*self._passing_on.goes_on(call, leg, event.at), *self._registry.settled(call, news)]

    def _queue_left(self, event: QueueLeft) -> LiveCall | None:
        leg = self._registry.legs.get(event.channel.channel_id)
        if leg is None:
            return None
        self._registry.call_of(leg).is_in_queue = False
        return self._registry.call_of(leg)

    def _mailbox_reached(self, event: MailboxReached) -> LiveCall | None:
        leg = self._registry.leg(event.channel, event.at)
        if leg is None:
            return None
        call = self._registry.call_of(leg)
        if call.mailbox is None and is_callers(leg, call):
            call.mailbox, call.mailbox_at = event.mailbox, event.at
            call.tell(
                event.at,
                f"mailbox {event.mailbox} takes the call" if event.mailbox else "a mailbox took the call",
            )
        return call

    def _menu_reached(self, event: MenuReached) -> LiveCall | None:
        leg = self._registry.leg(event.channel, event.at)
        if leg is None:
            return None
        call = self._registry.call_of(leg)
        if not call.saw_menu and is_callers(leg, call):
            call.saw_menu = True
            call.tell(event.at, "a voice menu answers")
        return call

    def _did_learned(self, event: DidLearned) -> LiveCall | None:
        leg = self._known_leg(event.channel, event.at)
        if leg is None:
            return None
        call = self._registry.call_of(leg)
        call.learned_did = call.learned_did or event.did
        if leg is call.first and leg.is_real and not leg.was_called and leg.first_dialled == event.did:
            self._endpoints.note_did(leg.endpoint)
        return self._unless_told(leg)

    def _recording_started(self, event: RecordingStarted) -> LiveCall | None:
        leg = self._known_leg(event.channel, event.at)
        if leg is None:
            return None
        call, file = self._registry.call_of(leg), event.file.rpartition("/")[2]
        if file and all(recording.file != file for recording in call.recordings):
            call.recordings.append(Recording(leg, file))
        return call if call.is_connected else self._unless_told(leg)

    def _extension_known(self, event: ExtensionKnown) -> None:
        self._endpoints.note_known(event.endpoint, event.extension)

    def _all_handlers(self) -> dict[type, Callable[[Any], Handled]]:
        passing_on = self._passing_on
        return {
            ChannelCreated: self._created,
            ChannelChanged: self._changed,
            ChannelRinging: self._ringing,
            ChannelAnswered: self._answered,
            ChannelHungUp: self._hung_up,
            HangupRequested: self._hangup_requested,
            DialStarted: self._dial_started,
            DialEnded: self._dial_ended,
            OriginateAnswered: self._originated,
            BridgeEntered: self._entered,
            BridgeLeft: self._left,
            BridgesMerged: self._merged,
            ChannelHeld: self._held,
            ChannelResumed: self._resumed,
            QueueJoined: self._queue_joined,
            QueueLeft: self._queue_left,
            MailboxReached: self._mailbox_reached,
            MenuReached: self._menu_reached,
            DidLearned: self._did_learned,
            RecordingStarted: self._recording_started,
            ExtensionKnown: self._extension_known,
            BlindlyTransferred: passing_on.blindly,
            AttendedlyTransferred: passing_on.attendedly,
            CallPickedUp: passing_on.picked_up,
            CallParked: passing_on.parked,
            CallUnparked: passing_on.unparked,
            SourceStopped: self._resync.stopped,
            SnapshotTaken: self._resync.apply,
        }


def is_callers(leg: LiveLeg, call: LiveCall) -> bool:
    """Whether whoever called is at this channel: a called mobile that is asked to press 1 hears a menu as well."""
    return leg is call.first or (leg.is_real and not leg.was_called)
