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
from cti.calls.endpoints import Endpoints, Role, is_outside_number
from cti.calls.legs import Bridges, LiveLeg
from cti.calls.live import LiveCall
from cti.calls.records import CallRecord, CameBy, Direction, Disposition, Participation, ParticipationResult


@dataclass(slots=True)
class News:
    """What is to be told of one call after one channel event, in order."""

    at: datetime | None
    told: list[tuple[type[Any], dict[str, Any]]] = field(default_factory=list)

    def add(self, kind: type[Any], **details: Any) -> None:
        """Tell this; the record is filled in when the whole picture is known."""
        self.told.append((kind, details))

    def events(self, record: CallRecord) -> list[CallEvent]:
        """All of it, with the call as it stands now."""
        return [kind(call=record, at=self.at, **details) for kind, details in self.told]


class Progress:
    """Derives the picture of calls from their channels; one per connection."""

    def __init__(self, endpoints: Endpoints, bridges: Bridges) -> None:
        self._endpoints = endpoints
        self._bridges = bridges

    def settle(self, call: LiveCall, news: News) -> list[CallEvent]:
        """Bring the call's picture up to date with its channels, and say what changed."""
        if call.has_ended:
            return []
        self._direct(call, news)
        self._listen(call, news)
        self._hear_rings(call, news)
        if call.open_legs == 0:
            self._end(call, news)
        if call.direction is None or not self._is_worth_telling(call, news):
            return []
        if not call.is_told:
            call.is_told = True
            news.told.insert(0, (CallArrived, {}))
        return news.events(self.record(call, news.at)) if news.told else []

    def record(self, call: LiveCall, now: datetime | None) -> CallRecord:
        """The call as everyone outside sees it."""
        legs = [leg.record(self._agent_at(leg)) for leg in call.real_legs()]
        return call.with_legs((*call.leg_records, *legs), now)

    def is_phone(self, leg: LiveLeg) -> bool:
        """Whether a colleague's telephone is at this channel; a called one is, unless something speaks for a line."""
        role = self._endpoints.role_of(leg.endpoint)
        return role is Role.PHONE or (role is Role.UNKNOWN and leg.was_called)

    def extension_of(self, leg: LiveLeg) -> str:
        """The extension of the telephone at this channel."""
        return self._endpoints.extension_of(leg.endpoint)

    def _agent_at(self, leg: LiveLeg) -> str | None:
        return self.extension_of(leg) if self.is_phone(leg) else None

    # -- who reaches for whom ------------------------------------------------------------------------------------

    def _direct(self, call: LiveCall, news: News) -> None:
        """Decide the direction; what is learned of an endpoint later may still correct it until somebody talks."""
        if call.is_answered:
            return
        origin = self._origin(call)
        if origin is None:
            self._direct_without_legs(call)
            return
        before = call.direction
        if origin.was_called:
            self._direct_originated(call, origin)
        elif self._is_from_outside(origin):
            call.direction, call.customer = Direction.INBOUND, origin
        else:
            self._direct_dialled(call, origin)
        if before is not call.direction:
            if call.is_told:
                news.add(CallUpdated, what="direction")
            elif call.direction is not Direction.INTERNAL:
                call.tell(call.started_at, story.arrival(call))

    def _direct_without_legs(self, call: LiveCall) -> None:
        """A program's call that died before any telephone was called."""
        if call.open_legs or not call.requested_number or call.first is None:
            return
        call.is_originated = True
        call.direction = (
            Direction.OUTBOUND if is_outside_number(call.requested_number) else Direction.INTERNAL
        )
        call.placed_by = call.placed_by or call.first.endpoint.partition("/")[2] or None

    def _origin(self, call: LiveCall) -> LiveLeg | None:
        """The real leg the call began with; of a call found in mid-life, the one that calls."""
        legs = list(call.real_legs())
        named = call.legs.get(call.linked_ids[0])
        if not legs or (named is not None and named.is_real):
            return named if legs else None
        if named is None:
            return next((leg for leg in legs if not leg.was_called), legs[0])
        return legs[0]

    def _is_from_outside(self, origin: LiveLeg) -> bool:
        role = self._endpoints.role_of(origin.endpoint)
        if role is not Role.UNKNOWN:
            return role is Role.LINE
        return is_outside_number(origin.first_caller or origin.first_dialled)

    def _direct_dialled(self, call: LiveCall, origin: LiveLeg) -> None:
        """A colleague dialled: outside if a line was called or the number is long enough, else inside."""
        call.placed_by = self.extension_of(origin)
        lines = self._called_lines(call)
        if lines or is_outside_number(origin.first_dialled):
            call.direction, call.customer = Direction.OUTBOUND, self._far_end(lines)
        else:
            call.direction = Direction.INTERNAL

    def _direct_originated(self, call: LiveCall, origin: LiveLeg) -> None:
        """A program had the first leg called, then connects it: click to call."""
        call.is_originated = True
        lines = self._called_lines(call)
        if self.is_phone(origin):
            call.placed_by = self.extension_of(origin)
            lines = [line for line in lines if line is not origin]
            shown = (origin.connected_number, origin.caller_number)
            outside = next((number for number in shown if is_outside_number(number)), "")
            if not origin.is_up:  # later the telephone shows the office's own number
                call.requested_number = call.requested_number or outside
        if lines or is_outside_number(call.requested_number):
            call.direction, call.customer = Direction.OUTBOUND, self._far_end(lines)
        else:
            call.direction = Direction.INTERNAL

    def _called_lines(self, call: LiveCall) -> list[LiveLeg]:
        return [leg for leg in call.real_legs() if leg.was_called and not self.is_phone(leg)]

    def _far_end(self, lines: list[LiveLeg]) -> LiveLeg | None:
        """Of several lines tried one after another, the one that was answered, else the last."""
        return next((line for line in lines if line.bridge_id), lines[-1] if lines else None)

    # -- who talks -----------------------------------------------------------------------------------------------

    def _listen(self, call: LiveCall, news: News) -> None:
        """Who hears the customer now (or, inside, whom): that and nothing else is an answer."""
        heard = self._heard(call)
        phones = [leg for leg in heard if leg.is_real and leg is not call.customer and self.is_phone(leg)]
        lines = [leg for leg in heard if leg.is_real and leg is not call.customer and not self.is_phone(leg)]
        call.is_connected = bool(phones or lines)
        extensions = [self.extension_of(leg) for leg in sorted(phones, key=lambda leg: leg.order)]
        self._join_and_leave(call, extensions, news)
        if call.is_connected:
            self._note_talk(call, heard, lines, news)
        self._hold(call, any(leg.holds for leg in heard), news)

    def _heard(self, call: LiveCall) -> set[LiveLeg]:
        if call.direction is not Direction.INTERNAL:
            if call.customer is None or not call.customer.bridge_id:
                return set()
            return self._bridges.conversation(call.customer)
        for leg in call.live_legs():
            heard = self._bridges.conversation(leg) if leg.bridge_id else set()
            if sum(member.is_real for member in heard) > 1:
                return heard
        return set()

    def _note_talk(self, call: LiveCall, heard: set[LiveLeg], lines: list[LiveLeg], news: News) -> None:
        for leg in heard:
            leg.has_talked = True
        for recording in call.recordings:
            recording.has_sound = recording.has_sound or recording.leg in heard
        if call.talking:
            is_still_there = call.final_agent in call.talking
            call.final_agent = call.final_agent if is_still_there else call.talking[-1]
        if lines and not call.talking and not call.is_answered:
            call.outside = lines[0].caller_number or lines[0].number_sent
            news.add(CallUpdated, what="answered")
            call.tell(news.at, f"{call.outside} outside talks with the customer")
        if not call.is_answered:
            call.is_answered, call.answered_at = True, news.at
        if call.answered_by is None:
            call.answered_by = next((who for who in call.talking if who != call.placed_by), None)

    def _join_and_leave(self, call: LiveCall, extensions: Iterable[str], news: News) -> None:
        now = list(dict.fromkeys(extensions))
        joined = [who for who in now if who not in call.talking]
        left = [who for who in call.talking if who not in now]
        call.talking = now
        for who in sorted(joined, key=lambda extension: extension == call.placed_by):
            self._join(call, who, news)
        if left:
            news.add(CallUpdated, what="agents")
        self._note_departures(call, news.at)

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
        call.amend(index, result=answered, answered_at=news.at, is_first_answer=is_first)
        call.hung_up_first = None
        news.add(CallAnswered, extension=extension)
        call.tell(news.at, f"{extension} talks" if call.is_answered else f"{extension} answers")

    def _came_by(self, call: LiveCall, extension: str) -> CameBy:
        if extension == call.placed_by and call.direction is not Direction.INBOUND:
            return CameBy.DIALLED
        if call.transfers:
            return CameBy.TRANSFER
        return CameBy.QUEUE if call.is_in_queue else CameBy.RING

    def _note_departures(self, call: LiveCall, at: datetime | None) -> None:
        """Whoever talked has left once none of their telephones is on the call."""
        for index, part in enumerate(call.participations):
            if part.result is ParticipationResult.ANSWERED and part.left_at is None:
                if part.extension in call.talking or self._is_on_call(call, part.extension):
                    continue
                call.participations[index] = replace(part, left_at=at)
                call.tell(at, f"{part.extension} leaves")

    def _is_on_call(self, call: LiveCall, extension: str) -> bool:
        return any(self._agent_at(leg) == extension for leg in call.live_legs())

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
        else:
            call.clock.turn("hold" if call.is_answered and is_there and call.open_legs else "", news.at)

    # -- where it rings ------------------------------------------------------------------------------------------

    def _hear_rings(self, call: LiveCall, news: News) -> None:
        """Telephones that ring now; one that is picked up rings on until the customer hears it."""
        now: dict[str, LiveLeg] = {}
        for leg in call.live_legs():
            if leg.was_called and leg.has_rung and not leg.has_talked and self.is_phone(leg):
                is_own = leg.is_up and dispositions.is_own_first_leg(call, leg)
                if not is_own and self.extension_of(leg) not in call.talking:
                    now.setdefault(self.extension_of(leg), leg)
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
        call.hung_up_first = None
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
        leg = self._last_leg(call, extension)
        result, reason, taker = self._why_stopped(call, leg, extension)
        call.amend(index, result=result, left_at=news.at)
        news.add(RingingStopped, extension=extension, reason=reason, answered_by=taker)
        call.tell(news.at, story.stopped(extension, reason, taker))

    def _is_own_answer(self, call: LiveCall, extension: str) -> bool:
        """The one who asked for the call picked up and now hears the other side ring."""
        leg = self._last_leg(call, extension)
        return leg is not None and leg.is_up and dispositions.is_own_first_leg(call, leg)

    def _last_leg(self, call: LiveCall, extension: str) -> LiveLeg | None:
        legs = [leg for leg in call.real_legs() if leg.was_called and self._agent_at(leg) == extension]
        return legs[-1] if legs else None

    def _why_stopped(
        self, call: LiveCall, leg: LiveLeg | None, extension: str
    ) -> tuple[ParticipationResult, str, str | None]:
        """Result of the part, reason in words, and who took the call instead."""
        taker = (leg.robbed_by if leg else "") or self._taker(call, extension)
        is_taken = taker is not None or call.is_connected
        result = dispositions.part_result(leg, is_taken=is_taken) if leg else ParticipationResult.NOT_ANSWERED
        reason = dispositions.REASONS[result]
        if result is ParticipationResult.NOT_ANSWERED and self._has_caller_left(call):
            reason = "caller_left"
        return result, reason, taker if result is ParticipationResult.ELSEWHERE else None

    def _taker(self, call: LiveCall, extension: str) -> str | None:
        """Whoever talks, or has picked up and is about to."""
        up = (
            self.extension_of(leg)
            for leg in call.live_legs()
            if leg.is_up and leg.was_called and self.is_phone(leg)
        )
        others = (who for who in (*call.talking, *up) if who not in (extension, call.placed_by))
        return next(others, None)

    def _has_caller_left(self, call: LiveCall) -> bool:
        caller = call.customer if call.direction is Direction.INBOUND else self._origin(call)
        return caller is not None and (caller.has_ended or call.hung_up_first is caller)

    def note_unrung(self, call: LiveCall, leg: LiveLeg, news: News) -> None:
        """A telephone refused or could not be reached without ever ringing: it had a part, though it was silent."""
        if not leg.was_called or leg.has_rung or leg.is_up or not leg.is_real or not self.is_phone(leg):
            return
        result = dispositions.part_result(leg, is_taken=call.is_connected)
        silent = (ParticipationResult.NOT_ANSWERED, ParticipationResult.ELSEWHERE)
        extension = self.extension_of(leg)
        if result in silent or call.open_participation(extension) is not None:
            return
        index = call.participate(extension, self._came_by(call, extension))
        call.amend(index, result=result, left_at=news.at)
        call.tell(news.at, story.stopped(extension, dispositions.REASONS[result], None))

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
        call.talking, call.ringing = [], []
        call.hung_up_by = None if call.ended_unseen else self._who_hung_up(call)
        call.disposition = dispositions.disposition_of(call)
        call.participations = [self._closed(call, part) for part in call.participations]
        if call.direction is not None:
            news.add(CallEnded)
            call.tell(news.at, story.ending(call.with_legs((), news.at)))

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
        return replace(part, result=result, left_at=part.left_at or call.ended_at)
