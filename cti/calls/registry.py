"""Which channels exist and which calls they make up; what ended is forgotten but for its ids. Private to `cti.calls`."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

from cti.calls.call_events import CallArrived, CallEvent, CallsJoined
from cti.calls.channel_events import Channel, ChannelState
from cti.calls.endpoints import Endpoints
from cti.calls.legs import Bridges, LiveLeg, is_first_and_silent, looks_called, new_leg, presented
from cti.calls.live import MAX_LEGS, LiveCall
from cti.calls.parties import Parties
from cti.calls.progress import News, Progress

MAX_REMEMBERED = 50_000  # ids of channels and calls that ended: beyond that the oldest are forgotten

MAX_LIVE_LEGS = (
    20_000  # of one connection; beyond that the oldest counts as gone unseen: a leak must not fill the memory
)
MAX_LINKED_IDS = 300  # of one call; beyond that a channel's new linked id is not believed


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


class Registry:
    """The live channels and calls of one connection."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self.bridges = Bridges()
        self.parties = Parties(endpoints)
        self.progress = Progress(self.parties, self.bridges)
        self.legs: dict[str, LiveLeg] = {}
        self.joined: list[CallEvent] = []  # said while one channel event is applied, before all else
        self.gone = Remembered()  # channels
        self._over = Remembered()  # linked ids of ended calls
        self._calls: dict[str, LiveCall] = {}  # by every linked id of every live call
        # Whose channels bear the linked id of somebody on duty meanwhile.
        self._lent: dict[str, LiveCall] = {}
        self.newest = 0  # the order of the newest channel

    def calls(self) -> list[LiveCall]:
        """Every live call once, oldest first."""
        return sorted({id(call): call for call in self._calls.values()}.values(), key=lambda call: call.order)

    def call_of(self, leg: LiveLeg) -> LiveCall:
        """The call this channel belongs to."""
        return self._calls[leg.linked_id]

    def leg(self, channel: Channel, at: datetime | None, *, was_called: bool | None = None) -> LiveLeg | None:
        """The leg of this channel, with what the channel shows now; None for one that ended."""
        leg = self.legs.get(channel.channel_id)
        if leg is None:
            if channel.channel_id in self.gone or not channel.channel_id:
                return None
            return self._begin(channel, at, was_called)
        leg.see(channel)
        if leg.was_called and channel.state is ChannelState.CALLING and not leg.was_dialled:
            self.decide_caller(leg, channel)
        if channel.linked_id and channel.linked_id != leg.linked_id:
            self._relink(leg, channel.linked_id, at)
        return leg

    def known_leg(self, channel: Channel, at: datetime | None) -> LiveLeg | None:
        """The leg of this channel, None if nobody spoke of it before."""
        return self.leg(channel, at) if channel.channel_id in self.legs else None

    def unless_told(self, leg: LiveLeg) -> LiveCall | None:
        """What is seen of this leg cannot change the picture of a call that is told already."""
        call = self.call_of(leg)
        return call if not call.is_told or self.joined else None

    def _begin(self, channel: Channel, at: datetime | None, was_called: bool | None) -> LiveLeg | None:
        if len(self.legs) >= MAX_LIVE_LEGS:
            self._make_room(at)
        linked_id = channel.linked_id or channel.channel_id
        if linked_id in self._over:
            return None
        self.newest += 1
        called = looks_called(channel) if was_called is None else was_called
        leg = new_leg(channel, at, self.newest, was_called=called)
        if guest := self._lent.get(linked_id):
            leg.linked_id = linked_id = guest.linked_ids[0]
        leg.is_undecided = was_called is None and is_first_and_silent(channel)
        leg.was_dialled = was_called is True
        call = self._calls.get(linked_id)
        if call is None:
            call = LiveCall(key=linked_id, order=self.newest, linked_ids=[linked_id], started_at=at)
            self._calls[linked_id] = call
        self._admit(call, leg, channel)
        return leg

    def _make_room(self, at: datetime | None) -> None:
        """Let the oldest channel go; nobody hangs up twenty thousand that all still exist."""
        call = self.end_leg(next(iter(self.legs.values())), at)
        call.ended_unseen = call.open_legs == 0
        self.joined += self.settled(call, News(at, is_catching_up=True))

    def _admit(self, call: LiveCall, leg: LiveLeg, channel: Channel) -> None:
        self.legs[leg.channel_id] = leg
        call.legs[leg.channel_id] = leg
        call.open_legs += 1
        call.first = call.first or leg
        number = presented(channel.caller_number)
        if not leg.is_real:
            self.bridges.add_helper(leg)
        elif leg.was_called:
            self.endpoints.note_called(leg.endpoint, number, channel.context)
            call.has_tried = True
        else:
            self.endpoints.note_caller(leg.endpoint, number, channel.dialled, channel.context)

    def decide_caller(self, leg: LiveLeg, channel: Channel) -> None:
        """Nobody had it called, and now somebody calls on it: its driver makes channels before it says what for."""
        leg.is_undecided = False
        if not leg.was_called or leg.was_dialled or leg.is_up or not leg.is_real or leg.has_rung:
            return
        call = self.call_of(leg)
        leg.was_called, leg.first_dialled = False, channel.dialled
        call.has_tried = any(one.was_called for one in call.real_legs())
        self.endpoints.note_caller(leg.endpoint, leg.first_caller, channel.dialled, channel.context)

    def _relink(self, leg: LiveLeg, linked_id: str, at: datetime | None) -> None:
        """The channel shows another linked id: its call and the one of that id are one, and nobody says so."""
        call, other = self.call_of(leg), self._calls.get(linked_id)
        if other is not None and other is not call and (call.is_on_duty or other.is_on_duty):
            self._lent[linked_id] = call if other.is_on_duty else other
        elif other is not None:
            leg.linked_id = linked_id
            if other is not call:
                self.join(call, other, at)
        elif linked_id not in self._over and len(call.linked_ids) < MAX_LINKED_IDS:
            call.linked_ids.append(linked_id)
            self._calls[linked_id] = call
            leg.linked_id = linked_id

    def note_duty(self, leg: LiveLeg) -> None:
        """A colleague who called nobody and waits in a room of the PBX is there for the calls of others (AgentLogin)."""
        call = self.call_of(leg)
        is_own = leg is call.first and not leg.was_called and self.parties.is_phone(leg)
        if is_own and not call.is_parked and sum(1 for _ in call.real_legs()) == 1:
            call.is_on_duty = True

    def join(self, one: LiveCall, other: LiveCall, at: datetime | None) -> LiveCall:
        """Two calls turned out to be one: the older lives on, and whoever heard of the younger is told."""
        if one is other:
            return one
        older, younger = sorted((one, other), key=lambda call: call.order)
        older.absorb(younger)
        older.is_on_duty = False
        self._lent = {id_: older if guest is younger else guest for id_, guest in self._lent.items()}
        for linked_id in younger.linked_ids:
            self._calls[linked_id] = older
        if younger.is_told:
            record = self.progress.record(older, at)
            if not older.is_told:
                older.is_told = True
                self.joined.append(CallArrived(call=record, at=at))
            self.joined.append(CallsJoined(call=record, absorbed_key=younger.key, at=at))
        return older

    def end_leg(self, leg: LiveLeg, at: datetime | None) -> LiveCall:
        """The channel is gone; its call, which may have others."""
        call = self.call_of(leg)
        leg.has_ended, leg.ended_at = True, at
        call.open_legs -= 1
        if leg in call.rung:
            call.rung.remove(leg)
        self.bridges.forget(leg)
        del self.legs[leg.channel_id]
        self.gone.add(leg.channel_id)
        if not leg.is_real and leg is not call.first:
            del call.legs[leg.channel_id]
        elif len(call.legs) > MAX_LEGS:
            call.drop_oldest_leg()
        return call

    def settled(self, call: LiveCall, news: News) -> list[CallEvent]:
        """What changed for people; a call that ended is forgotten."""
        events = self.progress.settle(call, news)
        if call.has_ended:
            for linked_id in call.linked_ids:
                self._calls.pop(linked_id, None)
                self._over.add(linked_id)
            self._lent = {id_: guest for id_, guest in self._lent.items() if guest is not call}
        return events
