"""What the dialplan does with a caller: queues, menus, mailboxes, the clock, numbers of ours, recordings. Private to
`cti.calls`."""

from __future__ import annotations

from datetime import datetime

from cti.calls.call_events import CallEvent, CallUpdated
from cti.calls.channel_events import (
    CallerBlocked,
    Channel,
    DialledKnown,
    DidLearned,
    HoursChecked,
    MailboxReached,
    MenuReached,
    PersonSought,
    QueueJoined,
    QueueLeft,
    RecordingStarted,
)
from cti.calls.legs import LiveLeg
from cti.calls.live import LiveCall, Recording
from cti.calls.passing_on import PassingOn
from cti.calls.progress import News
from cti.calls.registry import Registry


class Dialplan:
    """What is seen of the way that calls take through the dialplan."""

    def __init__(self, registry: Registry, passing_on: PassingOn) -> None:
        self._registry = registry
        self._passing_on = passing_on

    def queue_joined(self, event: QueueJoined) -> list[CallEvent] | None:
        """The caller waits in a queue."""
        leg = self._registry.leg(event.channel, event.at)
        if leg is None:
            return None
        call, news = self._registry.call_of(leg), News(event.at)
        is_repeat = call.is_in_queue and call.queue == event.queue
        # A member of the caller's queue may be a queue itself.
        is_nested = call.is_in_queue and not is_callers(leg, call)
        if not is_repeat and not is_nested and not call.is_connected:
            call.is_in_queue = call.was_queued = True
            call.queue = event.queue
            call.queued_at = call.queued_at or event.at
            news.add(CallUpdated, what="queue")
            call.tell(event.at, f"the call waits in queue {event.queue}")
        return [*self._passing_on.goes_on(call, leg, event.at), *self._registry.settled(call, news)]

    def queue_left(self, event: QueueLeft) -> LiveCall | None:
        """The caller waits there no longer."""
        leg = self._registry.legs.get(event.channel.channel_id)
        if leg is None:
            return None
        call = self._registry.call_of(leg)
        call.is_in_queue = call.is_in_queue and call.queue != event.queue
        return call

    def mailbox_reached(self, event: MailboxReached) -> LiveCall | None:
        """A mailbox talks to the caller."""
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

    def menu_reached(self, event: MenuReached) -> LiveCall | None:
        """A voice menu talks to the caller."""
        leg = self._registry.leg(event.channel, event.at)
        if leg is None:
            return None
        call = self._registry.call_of(leg)
        if not call.saw_menu and is_callers(leg, call):
            call.saw_menu, call.is_by_the_clock = True, False
            call.tell(event.at, "a voice menu answers")
        return call

    def hours_checked(self, event: HoursChecked) -> LiveCall | None:
        """The way was chosen by the clock; who is sought after that is not closed."""
        return self._note_of_caller(event.channel, event.at, is_by_the_clock=True)

    def person_sought(self, event: PersonSought) -> LiveCall | None:
        """Somebody is looked for, found or not."""
        return self._note_of_caller(event.channel, event.at, is_by_the_clock=False)

    def caller_blocked(self, event: CallerBlocked) -> LiveCall | None:
        """The caller is not let in."""
        return self._note_of_caller(event.channel, event.at, is_blocked=True)

    def _note_of_caller(self, channel: Channel, at: datetime | None, **noted: bool) -> LiveCall | None:
        """What the dialplan does with the caller; it explains how the call comes out, should nobody talk."""
        leg = self._registry.known_leg(channel, at)
        if leg is None:
            return None
        call = self._registry.call_of(leg)
        if is_callers(leg, call):
            for name, value in noted.items():
                setattr(call, name, value)
        return self._registry.unless_told(leg)

    def did_learned(self, event: DidLearned) -> LiveCall | None:
        """The number of ours that was called."""
        leg = self._registry.known_leg(event.channel, event.at)
        if leg is None:
            return None
        call = self._registry.call_of(leg)
        call.learned_did = call.learned_did or event.did
        if leg is call.first and leg.is_real and not leg.was_called and leg.first_dialled == event.did:
            self._registry.endpoints.note_did(leg.endpoint)
        return self._registry.unless_told(leg)

    def dialled_known(self, event: DialledKnown) -> LiveCall | list[CallEvent] | None:
        """A channel found in mid-life may stand anywhere in the dialplan by now: this is what it dialled."""
        leg = self._registry.known_leg(event.channel, event.at)
        if leg is None:
            return None
        call, news = self._registry.call_of(leg), News(event.at)
        call.learned_did = call.learned_did or event.number
        if not leg.is_found or leg.was_called or leg.first_dialled == event.number:
            return self._registry.unless_told(leg)
        before, leg.first_dialled = call.did(), event.number
        if call.is_told and call.did() != before:
            news.add(CallUpdated, what="number")
        return self._registry.settled(call, news)

    def recording_started(self, event: RecordingStarted) -> LiveCall | None:
        """A file was begun; whether it holds sound, talk tells."""
        leg = self._registry.known_leg(event.channel, event.at)
        if leg is None:
            return None
        call, file = self._registry.call_of(leg), event.file.rpartition("/")[2]
        if file and all(recording.file != file for recording in call.recordings):
            call.recordings.append(Recording(leg, file))
        return call if call.is_connected else self._registry.unless_told(leg)


def is_callers(leg: LiveLeg, call: LiveCall) -> bool:
    """Whether whoever called is at this channel: a called mobile that is asked to press 1 hears a menu as well."""
    return leg is call.first or (leg.is_real and not leg.was_called)
