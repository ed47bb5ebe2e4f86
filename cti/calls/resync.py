"""After a (re)connect: the picture becomes the PBX's. Private to `cti.calls`."""

from __future__ import annotations

from datetime import datetime, timedelta

from cti.calls.call_events import CallEvent, SnapshotApplied
from cti.calls.channel_events import Channel, ChannelState, SeenChannel, SnapshotTaken, SourceStopped
from cti.calls.endpoints import is_same_number
from cti.calls.legs import LiveLeg, is_of_another
from cti.calls.live import LiveCall
from cti.calls.progress import News
from cti.calls.records import CallRecord, Origin
from cti.calls.registry import Registry, Remembered


class Resync:
    """Applies snapshots: restores calls found in mid-life, ends those that ended unseen."""

    def __init__(self, registry: Registry, waiting_rooms: Remembered) -> None:
        self._registry = registry
        self._waiting_rooms = waiting_rooms

    def present(self, at: datetime | None) -> list[CallRecord]:
        """Every call that is going on and was told of."""
        return [self._registry.progress.record(call, at) for call in self._registry.calls() if call.is_told]

    def stopped(self, event: SourceStopped) -> list[CallEvent]:
        """The PBX is shutting down."""
        return self._end_all_but(frozenset(), event.at)

    def apply(self, event: SnapshotTaken) -> list[CallEvent]:
        """What is in the snapshot lives, what is not ended while nobody listened."""
        for room in event.waiting_rooms:
            self._waiting_rooms.add(room)
        events = self._end_all_but(frozenset(seen.channel.channel_id for seen in event.channels), event.at)
        calls: dict[int, LiveCall] = {}
        for seen in sorted(event.channels, key=appearance):
            if leg := self._restore(seen, event.at):
                call = self._registry.call_of(leg)
                calls[id(call)] = call
        for queued, queue in event.queued:
            self._restore_queue(queued, queue)
        for call in [call for call in calls.values() if not call.has_ended]:
            self._note_lines(call)
            events += self._registry.settled(call, News(event.at, is_catching_up=True))
        return [*events, SnapshotApplied(present=tuple(self.present(event.at)), at=event.at)]

    def _end_all_but(self, living: frozenset[str], at: datetime | None) -> list[CallEvent]:
        events: list[CallEvent] = []
        for leg in [leg for leg in self._registry.legs.values() if leg.channel_id not in living]:
            call = self._registry.end_leg(leg, at)
            if call.open_legs == 0:
                call.ended_unseen = True
                events += self._registry.settled(call, News(at, is_catching_up=True))
        return events

    def _restore(self, seen: SeenChannel, at: datetime | None) -> LiveLeg | None:
        channel = seen.channel
        is_new = channel.channel_id not in self._registry.legs
        created_at = at - timedelta(seconds=seen.age_seconds or 0) if at else None
        leg = self._registry.leg(channel, created_at, was_called=seen.was_called)
        if leg is None:
            return None
        call = self._registry.call_of(leg)
        if is_new:
            leg.is_found = True
            call.origin = Origin.ATTACHED if not call.is_told else call.origin
            call.learned_did = call.learned_did or seen.did
        show_state(call, leg, channel, at)
        self._registry.bridges.leave(leg)
        if seen.bridge_id and seen.bridge_id not in self._waiting_rooms:
            self._registry.bridges.enter(leg, seen.bridge_id)
        elif seen.bridge_id:
            self._registry.note_duty(leg)
        return leg

    def _note_lines(self, call: LiveCall) -> None:
        """A called channel that shows what the first one dialled is a line, though nobody saw it dialled."""
        first = call.first
        if first is None or first.was_called:
            return
        for leg in call.live_legs():
            if leg.was_called and is_same_number(first.first_dialled, leg.caller_number):
                self._registry.endpoints.note_dialled(leg.endpoint, leg.caller_number)

    def _restore_queue(self, channel_id: str, queue: str) -> None:
        leg = self._registry.legs.get(channel_id)
        if leg is not None:
            call = self._registry.call_of(leg)
            call.is_in_queue, call.was_queued, call.queue = True, True, queue


def appearance(seen: SeenChannel) -> tuple[bool, float, bool]:
    """Callers before the called, oldest first: who called whom is then clear from the first channel on."""
    return bool(seen.was_called), -(seen.age_seconds or 0.0), is_of_another(seen.channel)


def show_state(call: LiveCall, leg: LiveLeg, channel: Channel, at: datetime | None) -> None:
    """What a channel found in mid-life does; a called one that is up must have rung, nobody knows when."""
    if channel.state is ChannelState.UP and not leg.is_up:
        leg.is_up = True
        call.note_ring(leg, None)
    if channel.state is ChannelState.RINGING:
        call.note_ring(leg, at)
