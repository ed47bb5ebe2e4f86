"""What a call's channels mean to people: who calls whom, where it rings, who talks. The rules of `docs/calls.md`.

After every channel event the picture is derived anew from the channels as they stand, and what differs from the picture
before is told. So the order in which a PBX reports different channels, a race in Asterisk, does not change the story.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cti.calls import dispositions, story
from cti.calls.call_events import (
    CallAnswered,
    CallArrived,
    CallEnded,
    CallEvent,
    CallRinging,
    CallUpdated,
    RingingStopped,
)
from cti.calls.legs import Bridges, LiveLeg
from cti.calls.live import LiveCall
from cti.calls.parties import Parties
from cti.calls.records import CallRecord, CameBy, Direction, Disposition, Participation, ParticipationResult

SAME_MOMENT = 0.5  # seconds: whoever stops ringing just before an answer lost the race


@dataclass(slots=True)
class News:
    """What is to be told of one call after one channel event, in order."""

    at: datetime | None
    is_catching_up: bool = False  # it happened some time before: nobody knows when
    told: list[tuple[type[Any], dict[str, Any]]] = field(default_factory=list)

    def add(self, kind: type[Any], **details: Any) -> None:
        """Tell this; the record is filled in when the whole picture is known. The same change is told once."""
        if kind is not CallUpdated or (kind, details) not in self.told:
            self.told.append((kind, details))

    def events(self, record: CallRecord) -> list[CallEvent]:
        """All of it, with the call as it stands now."""
        return [kind(call=record, at=self.at, **details) for kind, details in self.told]


class Progress:
    """Derives the picture of calls from their channels; one per connection."""

    def __init__(self, parties: Parties, bridges: Bridges) -> None:
        self._parties = parties
        self._bridges = bridges

    def settle(self, call: LiveCall, news: News) -> list[CallEvent]:
        """Bring the call's picture up to date with its channels, and say what changed."""
        if call.has_ended:
            return []
        if self._parties.direct(call):
            news.add(CallUpdated, what="direction")
        self._listen(call, news)
        self._hear_consultations(call, news)
        self._hear_rings(call, news)
        if call.open_legs == 0:
            self._end(call, news)
        self._note_number(call, news)
        if call.direction is None or not self._is_worth_telling(call, news):
            return []
        if not call.is_told:
            call.is_told = True
            news.told.insert(0, (CallArrived, {}))
        return news.events(self.record(call, news.at)) if news.told else []

    def _note_number(self, call: LiveCall, news: News) -> None:
        """A number that the source learns late, say on an analogue line after the first ring, is told late; so is
        that it is withheld, and then nobody is to read it in the story either."""
        number = call.customer_number()
        if number != call.told_number:
            if call.told_number and call.is_from_hidden():
                call.story = [line.replace(call.told_number, "a hidden number") for line in call.story]
            if call.is_told:
                news.add(CallUpdated, what="number")
                if number or call.is_from_hidden():
                    call.tell(news.at, f"the customer's number is {number or 'withheld'}")
        call.told_number = number

    def record(self, call: LiveCall, now: datetime | None) -> CallRecord:
        """The call as everyone outside sees it."""
        legs = [leg.recorded or leg.record(self._parties.agent_at(leg)) for leg in call.real_legs()]
        return call.with_legs((*call.leg_records, *legs), now)

    # -- who talks -----------------------------------------------------------------------------------------------

    def _listen(self, call: LiveCall, news: News) -> None:
        """Who hears the customer now (or, inside, whom): that and nothing else is an answer."""
        heard = self._heard(call)
        if not heard and not call.is_answered:
            return  # nobody talks, nobody did
        phones = [
            leg for leg in heard if leg.is_real and leg is not call.customer and self._parties.is_phone(leg)
        ]
        lines = [
            leg
            for leg in heard
            if leg.is_real and leg is not call.customer and not self._parties.is_phone(leg)
        ]
        call.is_connected = bool(phones or lines)
        extensions = [self._parties.extension_of(leg) for leg in sorted(phones, key=lambda leg: leg.order)]
        self._join_and_leave(call, extensions, news)
        if call.is_connected:
            self._note_talk(call, heard, lines, news)
        self._hold(call, any(leg.holds for leg in heard), news)

    def _heard(self, call: LiveCall) -> set[LiveLeg]:
        if call.direction is not Direction.INTERNAL:
            customer = call.customer
            if customer is None or not customer.bridge_id or (customer.is_leaving and not call.is_answered):
                return set()  # nobody talks to who hung up before
            return self._bridges.conversation(customer)
        for leg in call.live_legs():
            heard = self._bridges.conversation(leg) if leg.bridge_id else set()
            if call.is_on_duty:
                heard &= set(call.legs.values())
            if sum(member.is_real for member in heard) > 1:
                return heard
        return set()

    def _note_talk(self, call: LiveCall, heard: set[LiveLeg], lines: list[LiveLeg], news: News) -> None:
        for leg in heard:
            leg.is_past_ringing = True
        for recording in call.recordings:
            recording.has_sound = recording.has_sound or recording.leg in heard
        if call.talking:
            is_still_there = call.final_agent in call.talking
            others = [
                who for who in call.talking if who != call.placed_by
            ]  # two may enter a room in any order
            call.final_agent = call.final_agent if is_still_there else (others or call.talking)[-1]
        if lines and not call.talking and not call.is_answered:
            call.outside = lines[0].caller_number or lines[0].number_sent
            news.add(CallUpdated, what="answered")
            call.tell(news.at, f"{call.outside} outside talks with the customer")
        if not call.is_answered:
            call.is_answered, call.answered_at = True, None if news.is_catching_up else news.at
        self._settle_transfer(call, heard, lines, news)
        if call.answered_by is None:
            call.answered_by = next((who for who in call.talking if who != call.placed_by), None)

    def _settle_transfer(self, call: LiveCall, heard: set[LiveLeg], lines: list[LiveLeg], news: News) -> None:
        """Somebody else than whoever passed the call on talks to the customer: the transfer was answered.

        Called back by the PBX, its maker got the call again. Having dialled the same place themselves, a conference,
        they did not pass the call on at all.
        """
        pending = call.pending_transfer()
        if pending is None:
            return
        transfer = call.transfers[pending]
        agents = {leg: self._parties.agent_at(leg) for leg in heard if leg.order > call.transferred_after}
        makers = [leg for leg, agent in agents.items() if agent == transfer.from_extension]
        if transfer.kind == "blind" and any(not leg.was_called for leg in makers):
            del call.transfers[pending]
            news.add(CallUpdated, what="agents")
        elif lines or any(who != transfer.from_extension for who in call.talking):
            call.transfers[pending] = replace(transfer, outcome="answered")
        elif makers:
            call.transfers[pending] = replace(transfer, outcome="not_answered")

    def _join_and_leave(self, call: LiveCall, extensions: Iterable[str], news: News) -> None:
        now = list(dict.fromkeys(extensions))
        joined = [who for who in now if who not in call.talking]
        left = [who for who in call.talking if who not in now]
        call.talking = now
        for who in sorted(joined, key=lambda extension: extension == call.placed_by):
            self._join(call, who, news)
        if left:
            news.add(CallUpdated, what="agents")
        self._note_departures(call, news)

    def _join(self, call: LiveCall, extension: str, news: News) -> None:
        """Somebody of ours talks; if they did before, they only come back."""
        index = call.participate(extension, self._came_by(call, extension))
        if call.participations[index].result is ParticipationResult.ANSWERED:
            news.add(CallUpdated, what="agents")
            call.tell(news.at, f"{extension} is back")
            return
        is_first = not any(part.is_first_answer for part in call.participations) and (
            extension != call.placed_by or call.direction is Direction.OUTBOUND
        )
        answered = ParticipationResult.ANSWERED
        has_rung = call.participations[index].has_rung or self._has_rung(call, extension)
        call.amend(index, result=answered, has_rung=has_rung, answered_at=news.at, is_first_answer=is_first)
        call.go_on()
        for leg in call.rung:  # its other telephones are hung up one by one, and the sound may change bridges
            leg.is_past_ringing = leg.is_past_ringing or self._parties.extension_of(leg) == extension
        news.add(CallAnswered, extension=extension)
        call.tell(news.at, f"{extension} talks" if call.is_answered else f"{extension} answers")

    def _has_rung(self, call: LiveCall, extension: str) -> bool:
        """Known even for a call found in mid-life: a called telephone that was picked up did ring."""
        legs = (leg for leg in call.live_legs() if self._parties.agent_at(leg) == extension)
        return any(leg.has_rung and leg.was_called for leg in legs)

    def _came_by(self, call: LiveCall, extension: str) -> CameBy:
        if extension == call.placed_by and call.direction is not Direction.INBOUND:
            return CameBy.DIALLED
        if any(leg.has_picked_up for leg in call.live_legs() if self._parties.agent_at(leg) == extension):
            return CameBy.PICKUP
        if call.transfers:
            return CameBy.TRANSFER
        return CameBy.QUEUE if call.is_in_queue else CameBy.RING

    def _note_departures(self, call: LiveCall, news: News) -> None:
        """Whoever talked has left once none of their telephones is on the call; told while it goes on: their work after it begins."""
        for index, part in enumerate(call.participations):
            seat = part.extension, part.attempt
            if (
                part.result is not ParticipationResult.ANSWERED
                or part.left_at is not None
                or seat in call.left
            ):
                continue
            if part.extension in call.talking or self._is_on_call(call, part.extension):
                continue
            call.left.add(seat)
            call.participations[index] = replace(part, left_at=news.at)
            call.tell(news.at, f"{part.extension} leaves")
            if call.open_legs:
                news.add(CallUpdated, what="agents")

    def _is_on_call(self, call: LiveCall, extension: str) -> bool:
        return any(
            self._parties.agent_at(leg) == extension and (leg.bridge_id or not leg.is_leaving)
            for leg in call.live_legs()
        )

    def _hold(self, call: LiveCall, is_held: bool, news: News) -> None:
        """Turn the clock; after the answer every second is talk or hold, until a mailbox or the end."""
        is_change = call.is_connected and call.is_held is not is_held
        call.is_held = is_held and call.is_connected
        if is_change:
            news.add(CallUpdated, what="hold" if is_held else "resume")
            call.tell(news.at, "the call is put on hold" if is_held else "the call is taken off hold")
        is_there = call.customer is not None and not call.customer.has_ended and call.mailbox is None
        if call.is_connected:
            call.clock.turn("hold" if call.is_held else "talk", news.at)
            call.clock.move("gap", "hold")
        elif call.is_in_conference and call.customer is not None and call.customer.bridge_id:
            call.clock.turn("hold", news.at)
        else:
            call.clock.turn("gap" if call.is_answered and is_there and call.open_legs else "", news.at)

    def _hear_consultations(self, call: LiveCall, news: News) -> None:
        """A colleague who was called about the customer picks up and talks to ours, while the customer waits apart."""
        customer = call.customer
        call.consulting = []
        if (
            not call.is_answered
            or customer is None
            or not customer.bridge_id
            or customer is call.hung_up_first
        ):
            return
        for leg in call.rung:
            if leg.is_up and leg.bridge_id and not leg.is_past_ringing and self._is_consulted(call, leg):
                leg.is_past_ringing = True
                extension = self._parties.extension_of(leg)
                index = call.participate(extension, CameBy.TRANSFER)
                call.amend(index, result=ParticipationResult.ANSWERED, has_rung=True, answered_at=news.at)
                news.add(CallAnswered, extension=extension)
                call.tell(news.at, f"{extension} is consulted")
        if len(call.talking) < len(call.participations):
            call.consulting = [part.extension for part in call.participations if self._is_apart(call, part)]

    def _is_apart(self, call: LiveCall, part: Participation) -> bool:
        if part.result is not ParticipationResult.ANSWERED or part.left_at or part.extension in call.talking:
            return False
        phones = (leg for leg in call.live_legs() if self._parties.agent_at(leg) == part.extension)
        return not all(leg.is_leaving for leg in phones)

    def _is_consulted(self, call: LiveCall, leg: LiveLeg) -> bool:
        heard = self._bridges.conversation(leg)
        colleagues = (other for other in heard if other is not leg and other.is_real)
        is_apart = call.customer is not None and call.customer not in heard
        return is_apart and self._parties.is_phone(leg) and any(map(self._parties.is_phone, colleagues))

    # -- where it rings ------------------------------------------------------------------------------------------

    def _hear_rings(self, call: LiveCall, news: News) -> None:
        """Telephones that ring now; one that is picked up rings on until the customer hears it."""
        if not call.rung and not call.ringing:
            return
        now: dict[str, LiveLeg] = {}
        for leg in call.rung:
            if not leg.is_past_ringing and self._parties.may_ring(leg):
                is_own = leg.is_up and dispositions.is_own_first_leg(call, leg)
                if not is_own and self._parties.extension_of(leg) not in call.talking:
                    now.setdefault(self._parties.extension_of(leg), leg)
        before, call.ringing = call.ringing, list(now)
        for extension in now:
            if extension not in before:
                self._ring(call, extension, news)
        for extension in before:
            if extension not in now:
                self._stop(call, extension, news)
        self._hear_far_end(call, news)

    def _ring(self, call: LiveCall, extension: str, news: News) -> None:
        index = call.participate(extension, self._came_by(call, extension))
        if call.participations[index].rang_at is None:
            # Without times a ring is still a ring: the earliest moment stands for "yes".
            call.amend(index, rang_at=news.at, has_rung=True)
        call.first_rang_at = call.first_rang_at or news.at
        call.go_on()
        news.add(CallRinging, extension=extension)
        call.tell(news.at, f"{extension} rings")

    def _hear_far_end(self, call: LiveCall, news: News) -> None:
        customer = call.customer
        is_outgoing = call.direction is Direction.OUTBOUND
        if is_outgoing and customer is not None and customer.has_rung and not call.far_end_rang:
            call.far_end_rang = True
            news.add(CallUpdated, what="ringing")
            call.tell(news.at, "it rings at the other side")

    def _stop(self, call: LiveCall, extension: str, news: News) -> None:
        """It rings no longer; unless it was answered, say why."""
        index = call.open_participation(extension)
        if extension in call.talking or index is None or self._is_own_answer(call, extension):
            return
        if call.participations[index].result is ParticipationResult.ANSWERED:
            return  # consulted: the customer does not hear them yet
        leg = self._last_leg(call, extension)
        result, reason, taker = self._why_stopped(call, leg, call.participations[index])
        call.amend(index, result=result, left_at=news.at)
        news.add(RingingStopped, extension=extension, reason=reason, answered_by=taker)
        call.tell(news.at, story.stopped(extension, reason, taker))

    def _is_own_answer(self, call: LiveCall, extension: str) -> bool:
        """The one who asked for the call picked up and now hears the other side ring."""
        leg = self._last_leg(call, extension)
        return leg is not None and leg.is_up and dispositions.is_own_first_leg(call, leg)

    def _last_leg(self, call: LiveCall, extension: str) -> LiveLeg | None:
        legs = [
            leg for leg in call.real_legs() if leg.was_called and self._parties.agent_at(leg) == extension
        ]
        return legs[-1] if legs else None

    def _why_stopped(
        self, call: LiveCall, leg: LiveLeg | None, part: Participation
    ) -> tuple[ParticipationResult, str, str | None]:
        """Result of the part, reason in words, and who took the call instead."""
        taker = (leg.robbed_by if leg else "") or self._taker(call, part.extension)
        is_taken = taker is not None or call.is_connected or rang_at_answer(part, call.answered_at)
        result = dispositions.part_result(leg, is_taken=is_taken) if leg else ParticipationResult.NOT_ANSWERED
        reason = dispositions.REASONS[result]
        if result is ParticipationResult.NOT_ANSWERED and self._has_caller_left(call):
            reason = "caller_left"
        return result, reason, taker if result is ParticipationResult.ELSEWHERE else None

    def _taker(self, call: LiveCall, extension: str) -> str | None:
        """Whoever talks, or has picked up and is about to."""
        up = (
            self._parties.extension_of(leg)
            for leg in call.live_legs()
            if leg.is_up and leg.was_called and self._parties.is_phone(leg)
        )
        others = (who for who in (*call.talking, *up) if who not in (extension, call.placed_by))
        return next(others, None)

    def _has_caller_left(self, call: LiveCall) -> bool:
        caller = call.customer if call.direction is Direction.INBOUND else self._parties.origin(call)
        return caller is not None and (caller.has_ended or call.hung_up_first is caller)

    def note_unrung(self, call: LiveCall, leg: LiveLeg, at: datetime | None) -> None:
        """A telephone refused or could not be reached without ever ringing: it had a part, though it was silent."""
        if (
            not leg.was_called
            or leg.has_rung
            or leg.is_up
            or not leg.is_real
            or not self._parties.is_phone(leg)
        ):
            return
        result = dispositions.part_result(leg, is_taken=call.is_connected)
        silent = (ParticipationResult.NOT_ANSWERED, ParticipationResult.ELSEWHERE)
        extension = self._parties.extension_of(leg)
        if result in silent or call.open_participation(extension) is not None:
            return
        index = call.participate(extension, self._came_by(call, extension))
        call.amend(index, result=result, left_at=at)
        call.tell(at, story.stopped(extension, dispositions.REASONS[result], None))

    # -- the end -------------------------------------------------------------------------------------------------

    def _is_worth_telling(self, call: LiveCall, news: News) -> bool:
        """An inside call is told once it goes somewhere: until then it may still turn out to go outside."""
        if call.is_told or call.direction is not Direction.INTERNAL:
            return True
        is_somewhere = bool(news.told) or call.was_queued or sum(1 for _ in call.real_legs()) > 1
        if is_somewhere or call.has_ended:
            call.story.insert(0, story.arrival(call))
            return True
        return False

    def _end(self, call: LiveCall, news: News) -> None:
        call.has_ended, call.ended_at = True, news.at
        call.talking, call.ringing, call.consulting = [], [], []
        call.clock.turn("", news.at)
        call.hung_up_by = None if call.ended_unseen else self._who_hung_up(call)
        call.disposition = dispositions.disposition_of(call)
        if (pending := call.pending_transfer()) is not None:
            call.transfers[pending] = replace(call.transfers[pending], outcome="not_answered")
            call.clock.move("gap", "hold")  # the customer waited for the next one to the end
        call.participations = [self._closed(call, part) for part in call.participations]
        if call.direction is not None:
            news.add(CallEnded)
            call.tell(news.at, story.ending(call))

    def _who_hung_up(self, call: LiveCall) -> str:
        leg, customer = call.hung_up_first, call.customer
        if leg is not None:
            return "customer" if leg is customer else "agent"
        if customer is None or call.is_answered:
            return "pbx"
        if call.direction is Direction.INBOUND:
            return "customer" if customer.cause == 127 or customer.sip_code == 487 else "pbx"
        refused = dispositions.leg_outcome(customer) in (
            Disposition.BUSY,
            Disposition.DECLINED,
        )
        return "customer" if refused else "pbx"

    def _closed(self, call: LiveCall, part: Participation) -> Participation:
        result = part.result or ParticipationResult.NOT_ANSWERED
        if result is ParticipationResult.ELSEWHERE and not call.is_answered:
            result = ParticipationResult.NOT_ANSWERED
        elif result is ParticipationResult.NOT_ANSWERED and has_just_lost(part, call.answered_at):
            result = ParticipationResult.ELSEWHERE
        return replace(part, result=result, left_at=part.left_at or call.ended_at)


def rang_at_answer(part: Participation, answered_at: datetime | None) -> bool:
    """It rang when somebody answered: so that one took the call, even if the sound changes bridges just now."""
    return part.rang_at is not None and answered_at is not None and part.rang_at <= answered_at


def has_just_lost(part: Participation, answered_at: datetime | None) -> bool:
    """It stopped ringing in the moment somebody else's answer went through."""
    if part.left_at is None or answered_at is None or part.left_at > answered_at:
        return False
    return (answered_at - part.left_at).total_seconds() < SAME_MOMENT
