"""What is known of one call, as everyone outside `cti.calls` sees it: frozen values, complete at every moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Direction(StrEnum):
    """Seen from the company: who reached for whom."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


class CallState(StrEnum):
    """Where a call stands; ENDED is final."""

    ARRIVED = "arrived"
    RINGING = "ringing"
    TALKING = "talking"
    HELD = "held"
    ENDED = "ended"


class Disposition(StrEnum):
    """How a call came out, judged for the whole call and not for one leg (`docs/calls.md`)."""

    ANSWERED = "answered"
    VOICEMAIL = "voicemail"
    ABANDONED = "abandoned"
    NOT_SERVED = "not_served"
    AFTER_HOURS = "after_hours"
    MENU_ONLY = "menu_only"
    BLOCKED = "blocked"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CameBy(StrEnum):
    """How a call reached an agent."""

    RING = "ring"
    QUEUE = "queue"
    PICKUP = "pickup"
    TRANSFER = "transfer"
    DIALLED = "dialled"


class ParticipationResult(StrEnum):
    """What became of one agent's part in a call."""

    ANSWERED = "answered"
    NOT_ANSWERED = "not_answered"
    DECLINED = "declined"
    ELSEWHERE = "elsewhere"
    BUSY = "busy"
    UNREACHABLE = "unreachable"


class Origin(StrEnum):
    """How we came to know of a call."""

    LIVE = "live"
    ATTACHED = "attached"
    BACK_FILLED = "back_filled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Participation:
    """One agent's part in a call. Two telephones ringing on one extension are one participation."""

    extension: str
    attempt: int  # 1 for the first time this extension was tried in this call
    came_by: CameBy
    rang_at: datetime | None = None
    answered_at: datetime | None = None
    left_at: datetime | None = None
    result: ParticipationResult | None = None  # None while it is still open
    is_first_answer: bool = False
    has_rung: bool = False  # its telephone rang; known also where the source tells no times


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One channel of a call, as the PBX reported it; Local channels are not legs."""

    channel_id: str
    channel_name: str
    extension: str | None  # the agent's, None for a trunk
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    hangup_cause: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """The call passed on: by whom, to whom, how, and what came of it."""

    from_extension: str | None
    to: str
    kind: str  # blind, attended, blonde, park
    at: datetime | None
    outcome: str | None = None  # answered, not_answered, cancelled, None while open


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One call as it stands now. Times are aware UTC, None where the source cannot know; seconds are floats."""

    key: str  # the oldest Linkedid: with the connection, the call's outside identity
    linked_ids: tuple[str, ...]  # every linked id the call was ever known by, oldest first
    direction: Direction
    state: CallState
    origin: Origin = Origin.LIVE
    customer_number: str | None = None  # as presented or dialled; None when withheld or internal
    customer_number_sent: str | None = (
        None  # outbound: as handed to the line, without our own dialling prefixes
    )
    customer_name: str | None = None  # the network's text, never trusted
    did: str | None = None  # our number that was called, as the provider sent it
    queue: str | None = None
    placed_by: str | None = None  # extension (outbound, internal)
    dialled: str | None = None  # what the placing agent dialled, as dialled
    answered_by: str | None = None  # extension of the first person of ours who answered
    final_agent: str | None = None
    ringing: tuple[str, ...] = ()  # extensions ringing at this moment
    talking: tuple[str, ...] = ()  # extensions talking (or holding) at this moment
    consulting: tuple[
        str, ...
    ] = ()  # extensions on the call that talk apart, while the customer waits for them
    is_answered: bool = False  # a person answered at some moment; known also where the moment is not
    disposition: Disposition | None = None
    hung_up_by: str | None = None  # customer, agent, pbx
    ended_unseen: bool = False
    started_at: datetime | None = None
    queued_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    ring_seconds: float | None = (
        None  # the caller's first sign (or our dialling) to the answer, mailbox or end
    )
    wait_seconds: float | None = None  # entering the queue, or first ring, to the answer or hanging up
    talk_seconds: float | None = None  # bridged time without hold
    hold_seconds: float | None = (
        None  # after the answer nobody talked to the customer: hold, transfer, parking
    )
    recording_file: str | None = None
    participations: tuple[Participation, ...] = ()
    legs: tuple[Leg, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    story: tuple[str, ...] = field(default=(), repr=False)  # English lines a person reads

    @property
    def rang(self) -> tuple[str, ...]:
        """Every extension whose telephone rang at some moment, in order, each once."""
        return tuple(
            dict.fromkeys(part.extension for part in self.participations if part.has_rung or part.rang_at)
        )
