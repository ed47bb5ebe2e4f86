"""A PBX of a few rooms: it connects people, says so in channel events, and knows by itself who hears whom.

It shares nothing with the tracker but the vocabulary: its truth is looked up in its own channels and bridges.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from cti.calls.call_events import CallEvent
from cti.calls.channel_events import (
    AttendedlyTransferred,
    BlindlyTransferred,
    BridgeEntered,
    BridgeLeft,
    CallParked,
    CallUnparked,
    ChannelAnswered,
    ChannelCreated,
    ChannelEvent,
    ChannelHeld,
    ChannelHungUp,
    ChannelResumed,
    ChannelRinging,
    ChannelState,
    DialStarted,
    HangupRequested,
    OriginateAnswered,
    SeenChannel,
    SnapshotTaken,
)
from cti.calls.tracker import CallTracker
from tests.cti.calls.people import LINE, Party, Talk
from tests.cti.calls.streams import START

EXTENSIONS = ("101", "102", "103", "104")
DID = "74951234501"
CUSTOMER = "89161234567"
DECLINED, ELSEWHERE, NORMAL = 21, 26, 16
SPACE, ROOM = "701", "parking"


class SmallPbx:
    """Every event takes a second; while nobody listens nothing is heard of them."""

    def __init__(self, tracker: CallTracker) -> None:
        self.tracker = tracker
        self.told: list[CallEvent] = []
        self.talks: list[Talk] = []
        self.is_heard = True
        self._now = START
        self._count = 0

    # -- the truth -----------------------------------------------------------------------------------------------

    def parties(self) -> list[Party]:
        return [party for talk in self.talks for party in talk.parties]

    def free_extensions(self) -> list[str]:
        taken = {party.extension for party in self.parties() if party.is_phone}
        return [extension for extension in EXTENSIONS if extension not in taken]

    def hearing(self, party: Party) -> list[Party]:
        """Everybody who hears this one, themselves included, helpers too."""
        found, waiting = [], [party]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.append(one)
                waiting += [other for other in self.parties() if self._is_joined(one, other)]
        return found

    @staticmethod
    def _is_joined(one: Party, other: Party) -> bool:
        is_same_bridge = bool(one.bridge) and one.bridge == other.bridge
        return is_same_bridge or (
            bool(one.pair) and one.pair == other.pair and bool(one.bridge and other.bridge)
        )

    def partner(self, party: Party) -> Party | None:
        """The other person in a conversation of two."""
        others = [one for one in self.hearing(party) if one is not party and not one.is_helper]
        return others[0] if len(others) == 1 else None

    def ringing(self, talk: Talk) -> set[str]:
        return {phone.extension for phone in talk.phones() if phone.state is ChannelState.RINGING}

    def talking(self, talk: Talk) -> set[str]:
        """Who of ours hears the customer; of a call among colleagues, who hears a colleague."""
        if lines := talk.lines():
            return {one.extension for line in lines for one in self.hearing(line) if one.is_phone}
        return {one.extension for one in talk.phones() if self.partner(one) is not None}

    def waiting_callers(self) -> list[Party]:
        """People in the dialplan: nobody hears them, whoever is called is called for them."""
        idle = [one for one in self.parties() if not one.is_helper and not one.bridge and not one.is_parked]
        return [one for one in idle if not one.was_called or one.state is ChannelState.UP]

    def pending(self) -> list[Party]:
        """Those who are called and have not answered."""
        return [
            one
            for one in self.parties()
            if one.was_called and one.state is not ChannelState.UP and one.caller
        ]

    def talkers(self) -> list[Party]:
        """Telephones in a plain conversation of two with a customer, helpers gone."""
        found = [one for one in self.parties() if one.is_phone and len(self.hearing(one)) == 2]
        return [one for one in found if (other := self.partner(one)) is not None and other.endpoint == LINE]

    # -- what people do ------------------------------------------------------------------------------------------

    def call_in(self) -> Party:
        return self._appear(LINE, CUSTOMER, dialled=DID)

    def dial(self, extension: str, number: str) -> Party:
        return self._appear(f"PJSIP/{extension}", extension, dialled=number)

    def reach(self, caller: Party, extension: str, *, through_helper: bool = False) -> Party:
        """The dialplan calls a colleague for whoever waits."""
        helpers = self._helpers_for(caller, extension) if through_helper else ()
        phone = self._called(caller, f"PJSIP/{extension}", extension)
        phone.helpers = helpers
        by = helpers[1] if helpers else caller
        self._say(DialStarted, caller=by.shown(), called=phone.shown(), number="")
        return phone

    def reach_outside(self, caller: Party) -> Party:
        line = self._called(caller, LINE, "")
        self._say(DialStarted, caller=caller.shown(), called=line.shown(), number=CUSTOMER)
        return line

    def click(self, extension: str) -> Party:
        """A program has a telephone called; once it is picked up, the customer."""
        phone = self._appear(f"PJSIP/{extension}", extension, was_called=True, connected=CUSTOMER)
        self._say(DialStarted, caller=None, called=phone.shown(), number="")
        return phone

    def pick_up_click(self, phone: Party) -> None:
        self._up(phone)
        self._say(
            OriginateAnswered,
            channel_id=phone.channel_id,
            channel_name=phone.shown().name,
            number=CUSTOMER,
            succeeded=True,
        )
        self.reach_outside(phone)

    def ring(self, party: Party) -> None:
        party.state = ChannelState.RINGING
        self._say(ChannelRinging, channel=party.shown())
        for helper in party.helpers[:1]:
            helper.state = ChannelState.RINGING
            self._say(ChannelRinging, channel=helper.shown())

    def answer(self, party: Party) -> None:
        """Those who were called along are hung up."""
        caller = party.caller
        assert caller is not None
        others = [one for one in self.pending() if one.caller is caller and one is not party]
        self._up(party)
        for helper in reversed(party.helpers):
            self._up(helper)
        if caller.state is not ChannelState.UP:
            self._up(caller)
        near, far = (party.helpers[0], party.helpers[1]) if party.helpers else (party, caller)
        if party.helpers:
            self._connect(party, far)
            self._connect(near, caller)
        else:
            self._connect(party, caller)
        for other in others:
            self.give_up(other, ELSEWHERE)

    def take_out_helpers(self, phone: Party) -> None:
        """Asterisk joins both ends of a Local channel as soon as it can."""
        near, far = phone.helpers
        caller = next(one for one in self.parties() if one.bridge == near.bridge and one is not near)
        self._leave(caller)
        self._leave(far)
        self._enter(caller, phone.bridge)
        self._leave(near)
        for helper in (near, far):
            self._vanish(helper, NORMAL)
        phone.helpers = ()

    def give_up(self, party: Party, cause: int) -> None:
        """The called one refuses, or is called no longer."""
        self._vanish(party, cause)
        for helper in party.helpers:
            self._vanish(helper, cause)

    def hold(self, phone: Party) -> None:
        self._say(ChannelHeld, channel=phone.shown())

    def resume(self, phone: Party) -> None:
        self._say(ChannelResumed, channel=phone.shown())

    def pass_on(self, phone: Party, extension: str) -> None:
        """A blind transfer."""
        customer = self._partner_of(phone)
        details = {"transferer": phone.shown(), "transferee": customer.shown(), "to": extension}
        self._say(BlindlyTransferred, **details)
        self._leave(customer)
        self._vanish(phone, NORMAL)
        self.reach(customer, extension)

    def consult(self, phone: Party, extension: str) -> None:
        """On a second channel of the same telephone."""
        self.hold(phone)
        phone.consults_on = self.dial(phone.extension, extension)
        self.reach(phone.consults_on, extension)

    def complete(self, phone: Party) -> None:
        """The consulted colleague gets the customer."""
        second = phone.consults_on
        assert second is not None
        customer, target = self._partner_of(phone), self._partner_of(second)
        self._say(
            AttendedlyTransferred,
            transferer=phone.shown(),
            second=second.shown(),
            transferee=customer.shown(),
            target=target.shown(),
        )
        self._leave(customer)
        self._join(customer, target)
        self._enter(customer, second.bridge)
        for gone in (phone, second):
            self._vanish(gone, NORMAL)

    def park(self, phone: Party) -> None:
        customer = self._partner_of(phone)
        self._leave(customer)
        customer.is_parked = True
        self._say(BridgeEntered, channel=customer.shown(), bridge_id=ROOM, is_waiting_room=True)
        self._say(CallParked, channel=customer.shown(), parker_name=phone.endpoint, space=SPACE)
        self._vanish(phone, NORMAL)

    def fetch(self, customer: Party, extension: str) -> None:
        retriever = self.dial(extension, SPACE)
        self._up(retriever)
        self._say(CallUnparked, channel=customer.shown(), retriever=retriever.shown())
        self._say(BridgeLeft, channel=customer.shown(), bridge_id=ROOM)
        customer.is_parked = False
        self._join(customer, retriever)
        self._connect(retriever, customer)

    def hang_up(self, party: Party) -> None:
        """A person hangs up: whoever they talked to, or had called, is gone too."""
        self._say(HangupRequested, channel=party.shown())
        called = [one for one in self.pending() if one.caller is party]
        for one in self.hearing(party):
            self._vanish(one, NORMAL)
        for one in called:
            self.give_up(one, ELSEWHERE)

    # -- the connection ------------------------------------------------------------------------------------------

    def break_link(self) -> None:
        self.is_heard = False

    def restore_link(self) -> None:
        """Whoever listens again is told every channel there is."""
        self.is_heard = True
        seen = tuple(
            SeenChannel(
                channel=one.shown(),
                bridge_id=ROOM if one.is_parked else one.bridge,
                age_seconds=float(self._count - int(one.channel_id.partition(".")[2])),
                was_called=one.was_called,
            )
            for one in self.parties()
        )
        for talk in self.talks:
            talk.was_reported = True
        self._say(SnapshotTaken, channels=seen, waiting_rooms=frozenset({ROOM}))

    # -- one step at a time --------------------------------------------------------------------------------------

    def _say(self, event_type: type, **details: object) -> None:
        self._now += timedelta(seconds=1)
        event: ChannelEvent = event_type(at=self._now, **details)
        if self.is_heard:
            self.told += self.tracker.apply(event)

    def _appear(
        self, endpoint: str, number: str, *, dialled: str = "", was_called: bool = False, connected: str = ""
    ) -> Party:
        talk = Talk(f"1795294000.{self._count + 1}")
        self.talks.append(talk)
        state = ChannelState.DOWN if was_called else ChannelState.CALLING
        return self._made(
            talk, endpoint, number, dialled=dialled, was_called=was_called, connected=connected, state=state
        )

    def _called(self, caller: Party, endpoint: str, number: str) -> Party:
        talk = caller.conversation_of
        party = self._made(talk, endpoint, number, was_called=True, state=ChannelState.DOWN)
        party.caller = caller
        return party

    def _made(self, talk: Talk, endpoint: str, number: str, **details: object) -> Party:
        self._count += 1
        party = Party(f"1795294000.{self._count}", endpoint, talk, number, **details)  # type: ignore[arg-type]
        talk.parties.append(party)
        talk.was_reported = talk.was_reported or self.is_heard
        self._say(ChannelCreated, channel=party.shown())
        return party

    def _helpers_for(self, caller: Party, extension: str) -> tuple[Party, ...]:
        name = f"Local/{extension}@inside-{self._count:08x}"
        near, far = (
            self._made(
                caller.conversation_of,
                f"Local/{extension}",
                extension if half == "1" else caller.number,
                was_called=half == "1",
                pair=name,
                half=half,
                state=ChannelState.DOWN if half == "1" else ChannelState.CALLING,
                dialled="" if half == "1" else extension,
            )
            for half in ("1", "2")
        )
        self._say(DialStarted, caller=caller.shown(), called=near.shown(), number="")
        return near, far

    def _up(self, party: Party) -> None:
        party.state = ChannelState.UP
        party.dialled = "" if party.was_called else party.dialled
        self._say(ChannelAnswered, channel=party.shown())

    def _connect(self, *parties: Party) -> None:
        self._count += 1
        for party in parties:
            self._enter(party, f"bridge-{self._count}")

    def _enter(self, party: Party, bridge: str) -> None:
        party.bridge = bridge
        self._say(BridgeEntered, channel=party.shown(), bridge_id=bridge, is_waiting_room=False)

    def _leave(self, party: Party) -> None:
        bridge, party.bridge = party.bridge, ""
        if bridge:
            self._say(BridgeLeft, channel=party.shown(), bridge_id=bridge)

    def _vanish(self, party: Party, cause: int) -> None:
        self._leave(party)
        talk = party.conversation_of
        talk.parties.remove(party)
        self._say(ChannelHungUp, channel=party.shown(), cause=cause, sip_code=None)
        if not talk.parties:
            self.talks.remove(talk)

    def _join(self, one: Party, other: Party) -> None:
        """Both calls are one from now on; the oldest linked id is everybody's."""
        older, younger = sorted(
            (one.conversation_of, other.conversation_of),
            key=lambda talk: int(talk.linked_id.partition(".")[2]),
        )
        for party in younger.parties:
            party.conversation_of = older
        older.parties += younger.parties
        older.was_reported = older.was_reported or younger.was_reported
        self.talks.remove(younger)

    def _partner_of(self, party: Party) -> Party:
        partner = self.partner(party)
        assert partner is not None
        return partner

    def everyone(self) -> Iterator[Party]:
        """All people there are, for as long as there are any."""
        while found := [one for one in self.parties() if not one.is_helper]:
            yield found[0]
