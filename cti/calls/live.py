"""One call in progress: what was seen of it, and the record everyone outside sees. Mutable, private to `cti.calls`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cti.calls.clock import Clock, seconds_between
from cti.calls.endpoints import is_same_number
from cti.calls.legs import LiveLeg, presented
from cti.calls.records import (
    CallRecord,
    CallState,
    CameBy,
    Direction,
    Disposition,
    Leg,
    Origin,
    Participation,
    ParticipationResult,
    Transfer,
)

MAX_LEGS = 300  # of one call; the oldest ended ones are forgotten beyond that
MAX_STORY = 400  # lines; a queue that rings for hours is cut in the middle
MAX_PARTICIPATIONS = 400  # beyond that a new attempt continues the last one of the same extension


@dataclass(slots=True)
class Recording:
    """A recording that began on a channel of this call."""

    leg: LiveLeg
    file: str
    has_sound: bool = False  # the channel heard a person while it ran


@dataclass(frozen=True, slots=True)
class SentAway:
    """The customer was taken from an agent to another place in the dialplan; nobody said why."""

    by: str | None
    to: str
    at: datetime | None


@dataclass(slots=True, eq=False)
class LiveCall:
    """Everything known of a call by now."""

    key: str
    order: int  # of appearance on this connection
    linked_ids: list[str]
    started_at: datetime | None
    origin: Origin = Origin.LIVE
    legs: dict[str, LiveLeg] = field(default_factory=dict)
    open_legs: int = 0
    direction: Direction | None = None
    directed_on: tuple[int, int] = (0, 0)  # what the direction was last judged on
    rung: list[LiveLeg] = field(default_factory=list)  # called channels that rang and still exist
    is_told: bool = False  # CallArrived was said
    first: LiveLeg | None = None  # the channel the call began with
    customer: LiveLeg | None = None
    placed_by: str | None = None
    is_originated: bool = False  # a program asked for it: the first channel was called, nobody called on it
    is_customer_first: bool = False  # and that channel went to the customer, not to one of us
    told_number: str | None = None  # the customer's, as last told
    requested_number: str = ""  # where an originated call was to go
    learned_did: str = ""  # from the dialplan; a copy of it reaches every leg
    queue: str = ""
    is_in_queue: bool = False
    was_queued: bool = False
    queued_at: datetime | None = None
    saw_menu: bool = False
    is_by_the_clock: bool = False  # the dialplan chose the way by the time of day, and sought nobody since
    is_blocked: bool = False  # the dialplan does not let this caller in
    last_place: str = ""  # where in the dialplan the caller was at the end
    mailbox: str | None = None
    mailbox_at: datetime | None = None
    is_answered: bool = False
    answered_at: datetime | None = None
    answered_by: str | None = None
    final_agent: str | None = None
    has_tried: bool = False  # somebody was dialled
    is_connected: bool = False
    is_held: bool = False
    is_parked: bool = False
    is_in_conference: bool = False  # the customer entered a room where others may come and go
    is_on_duty: bool = False  # a colleague called in to wait for calls, which are calls of their own
    ringing: list[str] = field(default_factory=list)
    talking: list[str] = field(default_factory=list)
    consulting: list[str] = field(default_factory=list)
    outside: str | None = None  # number of an outside party that talks with the customer
    first_rang_at: datetime | None = None
    far_end_rang: bool = False
    clock: Clock = field(default_factory=Clock)
    hung_up_first: LiveLeg | None = None
    hung_up_by: str | None = None
    recordings: list[Recording] = field(default_factory=list)
    participations: list[Participation] = field(default_factory=list)
    left: set[tuple[str, int]] = field(
        default_factory=set
    )  # extensions and attempts, also where no time says so
    transferred_after: int = 0  # the order of the newest channel when the call was last passed on
    sent_away: SentAway | None = None
    is_transfer_guessed: bool = (
        False  # the last one is read from where the customer went; its own event may follow
    )
    transfers_seen: set[tuple[str, str]] = field(default_factory=set)
    transfers: list[Transfer] = field(default_factory=list)
    leg_records: list[Leg] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    disposition: Disposition | None = None
    has_ended: bool = False
    ended_at: datetime | None = None
    ended_unseen: bool = False

    def tell(self, at: datetime | None, line: str) -> None:
        """Add a line to the story, with the seconds since the call began."""
        since = seconds_between(self.started_at, at)
        if len(self.story) == MAX_STORY:
            del self.story[MAX_STORY // 2]
        self.story.append(line if since is None else f"+{since:.1f} s: {line}")

    def real_legs(self) -> Iterable[LiveLeg]:
        """Telephones and lines, ended ones included, in order of appearance."""
        return (leg for leg in self.legs.values() if leg.is_real)

    def live_legs(self) -> Iterable[LiveLeg]:
        """Telephones and lines that still exist."""
        return (leg for leg in self.legs.values() if leg.is_real and not leg.has_ended)

    def absorb(self, younger: LiveCall) -> None:
        """The other call is this one: everything of it moves here. Of a customer's call and a call among colleagues
        the customer's tells who called whom, whichever was first."""
        if self.direction in (None, Direction.INTERNAL) and younger.direction not in (
            None,
            Direction.INTERNAL,
        ):
            for name in WHO_CALLED_WHOM:
                setattr(self, name, getattr(younger, name))
        for name in ("legs", "linked_ids", "recordings", "transfers", "leg_records"):
            mine, theirs = getattr(self, name), getattr(younger, name)
            setattr(self, name, mine | theirs if isinstance(mine, dict) else [*mine, *theirs])
        self.rung += younger.rung
        self.transfers_seen |= younger.transfers_seen
        for part in younger.participations:
            self._absorb_part(part)
        self.story += [f"({line})" for line in younger.story]
        self.open_legs += younger.open_legs
        self.ringing = list(dict.fromkeys([*self.ringing, *younger.ringing]))
        self.has_tried = self.has_tried or younger.has_tried

    def _absorb_part(self, part: Participation) -> None:
        """Who has a part here already keeps it; the others came by being transferred to."""
        index = self.open_participation(part.extension)
        if index is None:
            came_by = CameBy.TRANSFER if part.came_by is CameBy.RING else part.came_by
            attempt = 1 + max(
                (one.attempt for one in self.participations if one.extension == part.extension), default=0
            )
            is_first = part.is_first_answer and not any(one.is_first_answer for one in self.participations)
            self.participations.append(
                replace(part, attempt=attempt, came_by=came_by, is_first_answer=is_first)
            )
        elif part.has_rung:
            mine = self.participations[index]
            self.amend(index, has_rung=True, rang_at=mine.rang_at or part.rang_at)

    def note_ring(self, leg: LiveLeg, at: datetime | None) -> None:
        """It rings, or must have rung, at the other end of this called channel."""
        if leg.was_called and not leg.has_rung:
            leg.has_rung, leg.rang_at = True, at
            if leg.is_real:
                self.rung.append(leg)

    def request_hangup(self, leg: LiveLeg) -> None:
        """Whoever asks last ends the call; after the customer colleagues may talk on among themselves."""
        if self.hung_up_first is None or self.hung_up_first is not self.customer:
            self.hung_up_first = leg

    def go_on(self) -> None:
        """Somebody else is reached: who hung up before did not end the call, unless it was the customer."""
        if self.hung_up_first is not self.customer:
            self.hung_up_first = None

    def pending_transfer(self) -> int | None:
        """Index of the last transfer, while nobody knows what comes of it."""
        last = len(self.transfers) - 1
        return last if last >= 0 and self.transfers[last].outcome is None else None

    def drop_oldest_leg(self) -> None:
        """Forget one ended channel."""
        for leg in self.legs.values():
            if leg.has_ended and leg is not self.first and leg is not self.customer:
                del self.legs[leg.channel_id]
                return

    # -- participations ------------------------------------------------------------------------------------------

    def open_participation(self, extension: str) -> int | None:
        """Index of the part this extension has in the call now: it rings, or talks and has not left."""
        for index in range(len(self.participations) - 1, -1, -1):
            part = self.participations[index]
            if part.extension == extension:
                has_left = part.left_at is not None or (extension, part.attempt) in self.left
                return index if not has_left and part.result in OPEN_RESULTS else None
        return None

    def participate(self, extension: str, came_by: CameBy) -> int:
        """The open part of this extension, a new attempt if there is none."""
        index = self.open_participation(extension)
        if index is not None:
            return index
        attempts = [i for i, part in enumerate(self.participations) if part.extension == extension]
        if attempts and len(self.participations) >= MAX_PARTICIPATIONS:
            last = self.participations[attempts[-1]]
            self.participations[attempts[-1]] = replace(
                last, attempt=last.attempt + 1, result=None, left_at=None
            )
            return attempts[-1]
        attempt = self.participations[attempts[-1]].attempt + 1 if attempts else 1
        self.participations.append(Participation(extension=extension, attempt=attempt, came_by=came_by))
        return len(self.participations) - 1

    def amend(self, index: int, **changes: Any) -> None:
        """Fill in what became known of a part."""
        self.participations[index] = replace(self.participations[index], **changes)

    # -- the record ----------------------------------------------------------------------------------------------

    @property
    def state(self) -> CallState:
        """Where the call stands."""
        if self.has_ended:
            return CallState.ENDED
        if self.is_connected:
            return CallState.HELD if self.is_held else CallState.TALKING
        if self.ringing or (self.far_end_rang and not self.is_answered):
            return CallState.RINGING
        return CallState.HELD if self.is_answered else CallState.ARRIVED  # who was answered now waits

    def recording_file(self) -> str | None:
        """The file with the customer's talk; a file without sound is none."""
        with_sound = [recording for recording in self.recordings if recording.has_sound]
        with_sound.sort(
            key=lambda recording: recording.leg is not self.customer and recording.leg is not self.first
        )
        return with_sound[0].file if with_sound else None

    def with_legs(self, legs: tuple[Leg, ...], now: datetime | None) -> CallRecord:
        """The call as everyone outside sees it, as of now."""
        end = self.ended_at if self.has_ended else now
        return CallRecord(
            key=self.key,
            linked_ids=tuple(self.linked_ids),
            direction=self.direction or Direction.INTERNAL,
            state=self.state,
            origin=self.origin,
            customer_number=self.customer_number(),
            customer_number_sent=self.customer_number_sent(),
            customer_name=self.customer_name(),
            did=self.did(),
            queue=self.queue or None,
            placed_by=None if self.direction is Direction.INBOUND else self.placed_by,
            dialled=self.dialled(),
            answered_by=None if self.direction is Direction.OUTBOUND else self.answered_by,
            final_agent=self.last_agent(),
            ringing=tuple(self.ringing),
            talking=tuple(self.talking),
            consulting=tuple(self.consulting),
            is_answered=self.is_answered,
            disposition=self.disposition,
            hung_up_by=self.hung_up_by,
            ended_unseen=self.ended_unseen,
            started_at=self.started_at,
            queued_at=self.queued_at,
            answered_at=self.answered_at,
            ended_at=self.ended_at,
            ring_seconds=self.ring_seconds(end),
            wait_seconds=self.wait_seconds(end),
            talk_seconds=self.talk_or_hold("talk", end),
            hold_seconds=self.talk_or_hold("hold", end),
            recording_file=self.recording_file(),
            participations=tuple(self.participations),
            legs=legs,
            transfers=tuple(self.transfers),
            story=tuple(self.story),
        )

    def customer_number(self) -> str | None:
        """As presented by the caller, or as dialled by us; None when withheld or internal."""
        if self.direction is Direction.INBOUND:
            known = self.customer.first_caller if self.customer else self.requested_number
            return None if self.is_from_hidden() else known or None
        if self.direction is Direction.OUTBOUND:
            return self.dialled_outside() or None
        return None

    def is_from_hidden(self) -> bool:
        """The caller asked that the number be shown to nobody; the PBX may know it all the same."""
        return self.direction is Direction.INBOUND and self.customer is not None and self.customer.is_withheld

    def customer_number_sent(self) -> str | None:
        """What went out on the line, if that is known; not where the network then sent the call (302)."""
        if self.direction is not Direction.OUTBOUND or self.customer is None:
            return None
        dialled = self.dialled_outside()
        handed = [self.customer.number_sent, *(leg.number_sent for leg in self.real_legs() if leg.was_called)]
        return next((number for number in handed if is_same_number(dialled, number)), handed[0]) or None

    def did(self) -> str | None:
        """Our number as the provider sent it; where the line delivers none, as the dialplan noted it."""
        if self.direction is not Direction.INBOUND:
            return None
        sent = presented(self.customer.first_dialled) if self.customer else ""
        is_number = sent.removeprefix("+").isdigit()
        return (sent if is_number else self.learned_did or sent) or None

    def dialled_outside(self) -> str:
        """The outside number of an outgoing call, in the form the agent dialled it if that is known."""
        is_connected_to_us = self.is_customer_first and self.placed_by is None
        if self.requested_number and not is_connected_to_us:
            return self.requested_number
        if self.first is not None and not self.first.was_called and self.first.first_dialled:
            return self.first.first_dialled
        return (self.customer.number_sent or self.customer.caller_number) if self.customer else ""

    def dialled(self) -> str | None:
        """What the placing agent dialled."""
        if self.direction is Direction.OUTBOUND:
            return self.dialled_outside() or None
        is_internal = self.direction is Direction.INTERNAL
        return (
            (self.first.first_dialled or self.requested_number or None)
            if is_internal and self.first
            else None
        )

    def customer_name(self) -> str | None:
        """What the network says the caller is called; our own number's name on an outgoing leg is not it."""
        if self.direction is not Direction.INBOUND or self.customer is None:
            return None
        name = self.customer.caller_name  # FreePBX puts the number there when the network sends no name
        return None if self.is_from_hidden() or name == self.customer.first_caller else name or None

    def last_agent(self) -> str | None:
        """The last of ours on the call; an outgoing call that nobody answered stays with whoever placed it."""
        if self.final_agent or self.direction is Direction.INBOUND:
            return self.final_agent
        return self.placed_by

    def ring_seconds(self, end: datetime | None) -> float | None:
        """From the caller's first sign, or from our dialling, to the answer, the mailbox or the end."""
        if self.is_answered and self.answered_at is None:
            return None  # answered while nobody listened
        start = self.started_at
        if self.is_originated and not self.is_customer_first:
            agents = [leg for leg in self.real_legs() if leg.is_up and leg is not self.customer]
            if not agents:
                return None if start is None else 0.0
            start = agents[0].up_at
        return seconds_between(start, self.answered_at or self.mailbox_at or end)

    def wait_seconds(self, end: datetime | None) -> float | None:
        """From entering the queue, or the first ring, to the answer, the mailbox or hanging up."""
        if self.is_answered and self.answered_at is None:
            return None
        starts = [moment for moment in (self.queued_at, self.first_rang_at) if moment is not None]
        return seconds_between(min(starts), self.answered_at or self.mailbox_at or end) if starts else None

    def talk_or_hold(self, mode: str, end: datetime | None) -> float | None:
        """Seconds of talk, or of waiting after the answer; None while nobody has answered or times are unknown."""
        if self.started_at is None:
            return None
        if not self.is_answered:
            return 0.0 if self.has_ended else None
        return self.clock.read(mode, end)


WHO_CALLED_WHOM = (
    *(
        "direction",
        "first",
        "customer",
        "placed_by",
        "is_originated",
        "is_customer_first",
        "requested_number",
        "learned_did",
        "queue",
    ),
    *(
        "is_in_queue",
        "was_queued",
        "queued_at",
        *("saw_menu", "is_by_the_clock", "is_blocked", "last_place"),
        "mailbox",
        "mailbox_at",
        "is_answered",
        "answered_at",
    ),
    *("answered_by", "final_agent", "first_rang_at", "far_end_rang", "talking", "clock", "started_at"),
)
OPEN_RESULTS = (None, ParticipationResult.ANSWERED)
