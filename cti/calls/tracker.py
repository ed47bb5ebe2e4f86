"""Channel events of one connection in, call events out. Pure: no I/O, no clock.

A call is every channel whose linked ids belong together, merged transitively (`registry`). What its channels mean to
people is derived anew after every event (`progress`). State is bounded, and repeats add nothing: a finished call never
lives again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any

from cti.calls.call_events import CallEvent
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
    SnapshotTaken,
    SourceStopped,
)
from cti.calls.dialplan import Dialplan, is_callers
from cti.calls.endpoints import Endpoints, is_same_number
from cti.calls.legs import LiveLeg
from cti.calls.live import LiveCall, SentAway
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
        self._dialplan = Dialplan(self._registry, self._passing_on)
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

    @property
    def is_idle(self) -> bool:
        """Whether no channel lives, and so no call."""
        return not self._registry.legs

    def present(self) -> list[CallRecord]:
        """Every call that is going on, oldest first; its seconds run up to the last event."""
        return self._resync.present(self._last_at)

    # -- channels ------------------------------------------------------------------------------------------------

    def _created(self, event: ChannelCreated) -> LiveCall | None:
        leg = self._registry.leg(event.channel, event.at)
        return self._registry.unless_told(leg) if leg else None

    def _changed(self, event: ChannelChanged) -> LiveCall | None:
        """Begins no leg: Asterisk renames numbers of a channel even after its hangup."""
        leg = self._registry.known_leg(event.channel, event.at)
        if leg is None:
            return None
        call = self._registry.call_of(leg)
        return call if leg is call.customer or call.is_originated else self._registry.unless_told(leg)

    def _ringing(self, event: ChannelRinging) -> LiveCall | None:
        leg = self._registry.leg(event.channel, event.at)
        if leg is None:
            return None
        leg.is_undecided = False
        if not leg.was_called or leg.has_rung or leg.is_up:
            return self._registry.unless_told(leg)
        call = self._registry.call_of(leg)
        call.note_ring(leg, event.at)
        return call if leg.is_real else self._registry.unless_told(leg)

    def _answered(self, event: ChannelAnswered) -> LiveCall | None:
        leg = self._registry.leg(event.channel, event.at)
        if leg is None:
            return None
        if leg.is_up:
            return self._registry.unless_told(leg)
        leg.is_up, leg.up_at, leg.is_undecided = True, event.at, False
        return self._registry.call_of(leg) if leg.is_real else self._registry.unless_told(leg)

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
        call = self._registry.call_of(leg)
        if is_callers(leg, call):
            call.last_place = f"{event.channel.context} {event.channel.dialled}"
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
        leg.was_called = leg.was_dialled = True
        leg.is_undecided = False
        call = self._registry.call_of(leg)
        if leg.is_real:
            self._endpoints.note_dialled(leg.endpoint, event.number)
            leg.number_sent = leg.number_sent or event.number
            self._note_where_it_leads(call, leg, event.number)
        caller = self._registry.leg(event.caller, event.at) if event.caller else None
        if caller is not None and event.caller is not None:
            self._registry.decide_caller(caller, event.caller)
        if caller is not None and (events := self._passing_on.goes_on(call, caller, event.at)):
            return events
        return self._registry.call_of(leg) if leg.is_real else self._registry.unless_told(leg)

    def _note_where_it_leads(self, call: LiveCall, called: LiveLeg, number: str) -> None:
        """What was dialled on the first channel is handed to a line: a telephone calls out there. If it leads to a
        telephone, or a line is handed another number, then it is a number of ours, and a line delivered it."""
        first = call.first
        if first is None or not first.is_real or first.was_called or call.is_answered:
            return
        if number and is_same_number(first.first_dialled, number):
            self._endpoints.note_number_went_out(first.endpoint)
        elif first is not called and self._endpoints.is_outside(first.first_dialled):
            self._endpoints.note_led_inside(first.endpoint)

    def _dial_ended(self, event: DialEnded) -> LiveCall | None:
        leg = self._registry.legs.get(event.called.channel_id)
        if leg is None:
            return None
        leg.see(event.called)
        leg.dial_status = leg.dial_status or event.status
        leg.forwarded_to = leg.forwarded_to or event.forwarded_to
        return self._registry.unless_told(leg)

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
            self._registry.note_duty(leg)
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
        leg = self._registry.known_leg(channel, at)
        if leg is None:
            return None
        leg.holds = holds
        return self._registry.call_of(leg)

    def _extension_known(self, event: ExtensionKnown) -> None:
        self._endpoints.note_known(event.endpoint, event.extension)

    def _all_handlers(self) -> dict[type, Callable[[Any], Handled]]:
        passing_on, dialplan = self._passing_on, self._dialplan
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
            QueueJoined: dialplan.queue_joined,
            QueueLeft: dialplan.queue_left,
            MailboxReached: dialplan.mailbox_reached,
            MenuReached: dialplan.menu_reached,
            HoursChecked: dialplan.hours_checked,
            PersonSought: dialplan.person_sought,
            CallerBlocked: dialplan.caller_blocked,
            DidLearned: dialplan.did_learned,
            DialledKnown: dialplan.dialled_known,
            RecordingStarted: dialplan.recording_started,
            ExtensionKnown: self._extension_known,
            BlindlyTransferred: passing_on.blindly,
            AttendedlyTransferred: passing_on.attendedly,
            CallPickedUp: passing_on.picked_up,
            CallParked: passing_on.parked,
            CallUnparked: passing_on.unparked,
            SourceStopped: self._resync.stopped,
            SnapshotTaken: self._resync.apply,
        }
