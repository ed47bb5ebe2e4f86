"""One present call and the seats around it: who sees it, in which state. Pure; the desk turns changes into messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from cti.calls.call_events import CallEvent, RingingStopped
from cti.calls.records import CallRecord, CallState, Direction, Transfer
from cti.desk.controls import controls_of
from cti.desk.directory import Directory, OwnLine
from cti.desk.messages import (
    OPEN_STATES,
    TALK_STATES,
    CallView,
    HandOver,
    HandOverCard,
    Match,
    NoteView,
    SeatState,
)
from cti.numbers import Number, NumberKind, format_number

# How long an ended window still belongs to the picture, so that a reload shows the same (crm-model 13.1).
SHOWN_AFTERWARDS: Final = {
    SeatState.ELSEWHERE: timedelta(seconds=3),
    SeatState.CALLER_LEFT: timedelta(seconds=10),
    SeatState.STOPPED: timedelta(0),
    SeatState.ENDED: timedelta(seconds=60),
}
# A page may still ask for the details of what it showed a moment ago.
LINGERS: Final = timedelta(seconds=10)


@dataclass(slots=True)
class Seat:
    """One user's view of one call. `sent` is the picture they were last told."""

    user_id: int
    sighting: PresentCall = field(repr=False)  # the call as the PBX sees it at which this user sits
    extension: str
    state: SeatState
    ringing_since: datetime | None = None
    answered_at: datetime | None = None
    closed_at: datetime | None = None
    reason: str | None = None
    answered_by: str | None = None
    note: NoteView | None = None
    is_dismissed: bool = False
    is_muted: bool = False  # with the channel it was asked for
    wrap_up_until: datetime | None = None
    sent: CallView | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    def is_over(self, now: datetime) -> bool:
        """Whether this seat no longer belongs to the picture. A close at an unknown moment counts from now."""
        if self.is_open:
            return False
        return self.is_dismissed or not SHOWN_AFTERWARDS[self.state] or now >= self._shown_until(now)

    def is_gone(self, now: datetime) -> bool:
        """Whether nobody can be asking about it any more; until then it is remembered that it was closed."""
        return not self.is_open and now >= self._shown_until(now) + LINGERS

    def _shown_until(self, now: datetime) -> datetime:
        if self.closed_at is None:
            self.closed_at = now
        usual = self.closed_at + SHOWN_AFTERWARDS[self.state]
        return max(usual, self.wrap_up_until) if self.wrap_up_until else usual


@dataclass(slots=True, eq=False)
class PresentCall:
    """A call as it stands, with everything windows show of it.

    Where several connections see one call, one of them leads and has the seats; `mirrors` are what the others see.
    """

    id: UUID
    connection_id: int
    record: CallRecord
    line: OwnLine | None
    number: Number | None = None
    phone: str | None = None
    phone_text: str = ""
    match: Match | None = None
    was: UUID | None = None
    seats: dict[int, Seat] = field(default_factory=dict)
    ours: frozenset[str] = frozenset()  # the number of ours it came by, in E.164; untold: all it may be
    lead: PresentCall | None = field(default=None, repr=False)
    mirrors: list[PresentCall] = field(default_factory=list, repr=False)
    is_on_board: bool = False  # watchers were told of it
    abilities: frozenset[str] = frozenset()  # of the dialling account at its PBX
    cards: list[HandOverCard] = field(default_factory=list)  # written when it was passed on, oldest first
    is_recording_paused: bool = False

    @property
    def shown(self) -> PresentCall:
        """The call that has the windows: this one, or that which leads it."""
        return self.lead or self

    @property
    def sightings(self) -> tuple[PresentCall, ...]:
        return (self, *self.mirrors)

    @property
    def is_ended(self) -> bool:
        """Over for every connection that saw it."""
        return all(each.record.state is CallState.ENDED for each in self.sightings)

    def set_number(self, number: Number | None) -> None:
        """What to show as the customer's number; without a reading of it, the presented text."""
        self.number = number
        self.phone, self.phone_text = _shown(number, self.record.customer_number)

    def involved(self, directory: Directory) -> tuple[set[int], set[int | None]]:
        """(users, teams) that have to do with this call, for the rights of watchers."""
        users: set[int] = set()
        teams: set[int | None] = set()
        for seen in self.sightings:
            agents = [directory.agent_at(seen.connection_id, extension) for extension in _extensions(seen)]
            users |= {agent.user_id for agent in agents if agent}
            teams |= {agent.team_id for agent in agents if agent}
            teams.add(seen.line.team_id if seen.line else None)
        return users, teams

    def view(self, seat: Seat, directory: Directory) -> CallView:
        """The call as the holder of this seat sees it."""
        seen = seat.sighting
        record, line = seen.record, seen.line or self._first_line(seen)
        other = _other_extension(seat)
        colleague = directory.agent_at(seen.connection_id, other) if other else None
        passed_on = handed_over(seen, directory, to=seat.extension)
        return CallView(
            id=self.id,
            connection_id=seen.connection_id,
            line=line.name if line else record.did,
            line_colour=line.colour if line else None,
            direction=record.direction,
            number_kind=seen.number.kind.value if seen.number else None,
            phone=seen.phone,
            phone_text=seen.phone_text,
            colleague=colleague.name if colleague else other,
            colleague_extension=other,
            colleague_team=colleague.team if colleague else None,
            queue=record.queue,
            extension=seat.extension,
            state=seat.state,
            reason=seat.reason,
            answered_by=seat.answered_by,
            ringing_since=seat.ringing_since,
            answered_at=seat.answered_at,
            ended_at=seat.closed_at,
            match=self.match_for(seen),
            note=seat.note,
            was=self.was,
            handed_over=passed_on,
            card=self._card_for(seat.extension, passed_on),
            controls=controls_of(record, seat.extension, seat.state, seen.abilities),
            is_recording_paused=seen.is_recording_paused,
            is_muted=seat.is_muted and seat.state in TALK_STATES,
            wrap_up_until=None if seat.is_open else seat.wrap_up_until,
        )

    def _card_for(self, extension: str, passed_on: HandOver | None) -> HandOverCard | None:
        """The latest card for this extension: it names it, or its writer's transfer brought the call here."""
        by = passed_on.extension if passed_on else None
        mine = [
            card
            for card in self.cards
            if card.extension != extension and (card.to == extension or card.extension == by)
        ]
        return mine[-1] if mine else None

    def match_for(self, seen: PresentCall) -> Match | None:
        """Who calls, as soon as it is known of one sighting."""
        return seen.match or next((each.match for each in self._alike(seen) if each.match), None)

    def _first_line(self, seen: PresentCall) -> OwnLine | None:
        return next((each.line for each in self._alike(seen) if each.line), None)

    def _alike(self, seen: PresentCall) -> list[PresentCall]:
        """The sightings from the same side: between two offices of ours each has the other for its customer."""
        return [each for each in self.sightings if each.record.direction is seen.record.direction]


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkOver:
    """One user's talk that is over, as it was stored. `until`: their time to wrap it up."""

    call_id: UUID
    connection_id: int
    record: CallRecord
    number: Number | None
    user_id: int
    extension: str
    answered_at: datetime | None
    until: datetime


def handed_over(seen: PresentCall, directory: Directory, to: str | None = None) -> HandOver | None:
    """The last time the call was passed on; with `to`, only if that brought it to this extension."""
    transfer = next(reversed(seen.record.transfers), None)
    if transfer is None or (to is not None and not _brought_to(seen.record, transfer, to)):
        return None
    return HandOver(
        by=name_of(directory, seen.connection_id, transfer.from_extension),
        extension=transfer.from_extension,
        to=transfer.to,
        kind=transfer.kind,
        at=transfer.at,
    )


def _brought_to(record: CallRecord, transfer: Transfer, extension: str) -> bool:
    """It names this extension, or a queue or group that tried it afterwards. To its maker it only comes back."""
    if extension == transfer.from_extension:
        return False
    rang = [part.rang_at for part in record.participations if part.extension == extension and part.rang_at]
    return transfer.to == extension or (transfer.at is not None and bool(rang) and max(rang) >= transfer.at)


def _extensions(call: PresentCall) -> set[str]:
    record = call.record
    found = {part.extension for part in record.participations}
    found.update(record.ringing, record.talking)
    return found | {record.placed_by} if record.placed_by else found


def _other_extension(seat: Seat) -> str | None:
    """The other side of an internal call."""
    record = seat.sighting.record
    if record.direction is not Direction.INTERNAL:
        return None
    others = (record.placed_by, *record.talking, *record.ringing, record.dialled)
    return next((extension for extension in others if extension and extension != seat.extension), None)


def _shown(number: Number | None, presented: str | None) -> tuple[str | None, str]:
    """The number for programs, and as a person reads it."""
    if number is None:
        return presented, _visible(presented or "")
    if number.kind is NumberKind.HIDDEN:
        return None, ""
    if number.e164 is not None:
        return number.e164, format_number(number.e164)
    text = number.digits or number.presented
    return text, _visible(text)


def _visible(text: str) -> str:
    """A presented text with control and direction characters shown as a mark (threat T13)."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "\u2426" for each in text)


def name_of(directory: Directory, connection_id: int, extension: str | None) -> str | None:
    """The person at an extension, else the extension itself."""
    if extension is None:
        return None
    agent = directory.agent_at(connection_id, extension)
    return agent.name if agent else extension


Place = tuple[int, PresentCall, str, SeatState]  # user, sighting, extension, state


def places(call: PresentCall, directory: Directory) -> list[Place]:
    """Where everyone is who is in the call now; who talks is told before who rings.

    For whoever consults a colleague, or is consulted, the call is on hold.
    """
    found = [place for seen in call.sightings for place in _places(seen, directory)]
    return sorted(found, key=lambda place: place[3] not in TALK_STATES) if call.mirrors else found


def _places(seen: PresentCall, directory: Directory) -> Iterator[Place]:
    record = seen.record
    if record.state is CallState.ENDED:
        return
    for extension in record.talking:
        if agent := directory.agent_at(seen.connection_id, extension):
            state = SeatState.HELD if record.state is CallState.HELD else SeatState.TALKING
            yield agent.user_id, seen, extension, state
    for extension in record.consulting:
        if agent := directory.agent_at(seen.connection_id, extension):
            yield agent.user_id, seen, extension, SeatState.HELD
    for extension in record.ringing:
        if agent := directory.agent_at(seen.connection_id, extension):
            yield agent.user_id, seen, extension, _ringing(record, extension)
    placing = record.placed_by if not record.talking else None
    if placing and (agent := directory.agent_at(seen.connection_id, placing)):
        yield agent.user_id, seen, placing, SeatState.DIALLING


def _ringing(record: CallRecord, extension: str) -> SeatState:
    return SeatState.LIFT if extension == record.placed_by else SeatState.RINGING


def close(
    seat: Seat, call: PresentCall, event: CallEvent | None, at: datetime | None, directory: Directory
) -> str:
    """The user is no longer in the call: what their window says now; the type of the message that tells it.

    Args:
        event: what happened, if it was told of the sighting at which this user sat.
    """
    seat.closed_at, seat.is_muted = at, False
    if seat.sighting not in call.sightings:  # it turned out to be another call, which has a window of its own
        seat.state, seat.reason = SeatState.STOPPED, "joined"
        return "call.ended"
    if seat.state is not SeatState.RINGING:
        disposition = seat.sighting.record.disposition
        seat.reason = disposition.value if disposition else None
        seat.state = SeatState.ENDED
        return "call.ended"
    seat.reason, seat.answered_by = _why_stopped(seat, call, event, directory)
    seat.state = {"elsewhere": SeatState.ELSEWHERE, "caller_left": SeatState.CALLER_LEFT}.get(
        seat.reason, SeatState.STOPPED
    )
    return "call.ringing_stopped"


def _why_stopped(
    seat: Seat, call: PresentCall, event: CallEvent | None, directory: Directory
) -> tuple[str, str | None]:
    """(reason, name of whoever answered). The event knows best; without one for us, the record tells.

    A caller whom this PBX lost may have been answered at the other one.
    """
    reason, taken_by = _why_stopped_here(seat, event)
    there = _taken_by_twin(seat, call, directory) if reason in ("caller_left", "no_answer") else None
    if there is not None:
        return "elsewhere", there
    return reason, name_of(directory, seat.sighting.connection_id, taken_by)


def _why_stopped_here(seat: Seat, event: CallEvent | None) -> tuple[str, str | None]:
    """(reason, extension of whoever answered), as the PBX of this seat tells it."""
    record = seat.sighting.record
    if isinstance(event, RingingStopped) and event.extension == seat.extension:
        return event.reason, event.answered_by if event.reason == "elsewhere" else None
    others = [extension for extension in record.talking if extension != seat.extension]
    if others:
        return "elsewhere", others[-1]
    if record.state is CallState.ENDED:
        if record.answered_by and record.answered_by != seat.extension:
            return "elsewhere", record.answered_by
        return "caller_left", None
    return "no_answer", None


def _taken_by_twin(seat: Seat, call: PresentCall, directory: Directory) -> str | None:
    """The person who talks, or answered, at another connection."""
    for seen in call.sightings:
        taken = (*seen.record.talking, seen.record.answered_by) if seen is not seat.sighting else ()
        for agent in [directory.agent_at(seen.connection_id, extension) for extension in taken if extension]:
            if agent is not None and agent.user_id != seat.user_id:
                return agent.name
    return None


def move(seat: Seat, extension: str, state: SeatState, seen: PresentCall, at: datetime | None) -> str:
    """The user is in the call in this state; the type of the message that tells the change."""
    before, seat.state, seat.extension, seat.sighting = seat.state, state, extension, seen
    if state in TALK_STATES:
        if before in TALK_STATES and seat.answered_at is not None:
            return "call.updated"
        seat.answered_at = _answered_at(seen.record, extension) or at
        return "call.answered"
    if state is SeatState.RINGING and (before is not SeatState.RINGING or seat.ringing_since is None):
        seat.ringing_since = at
        return "call.ringing"
    return "call.updated"


def _answered_at(record: CallRecord, extension: str) -> datetime | None:
    """When this extension joined, which after a restart lies before the event that tells us."""
    times = [part.answered_at for part in record.participations if part.extension == extension]
    known = [moment for moment in times if moment is not None]
    return known[-1] if known else None
