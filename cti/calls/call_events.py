"""What happened to a call, in words that everybody speaks: desk, journal, watchers.

Every event carries the whole call as it stood right after the event, so that no consumer keeps a second copy of the
truth. Events of one connection are delivered in order; `CallEnded` is the last one of its call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cti.calls.records import CallRecord, Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class CallArrived:
    """A call exists and its direction is known: time for the journal to open it."""

    call: CallRecord
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRinging:
    """A call started to ring at an agent's extension: time for a screen pop."""

    call: CallRecord
    extension: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RingingStopped:
    """The call no longer rings at this extension, and the extension did not answer it."""

    call: CallRecord
    extension: str
    reason: str  # elsewhere, caller_left, declined, busy, no_answer, unreachable
    answered_by: str | None  # extension of whoever took it, when the reason is elsewhere
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered:
    """A person of ours and the customer (or two colleagues) talk; extension is ours who joined just now."""

    call: CallRecord
    extension: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallUpdated:
    """Something shown changed: queue, number, name, hold, an agent left or joined."""

    call: CallRecord
    what: str  # queue, number, hold, resume, agents, recording
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTransferred:
    """The call was passed on."""

    call: CallRecord
    transfer: Transfer
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsJoined:
    """Two calls turned out to be one: `call` lives on, the one named `absorbed_key` is gone into it."""

    call: CallRecord
    absorbed_key: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """The call is over, for ever."""

    call: CallRecord
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotApplied:
    """After a (re)connect the picture equals the PBX's: whatever is open elsewhere and not in `present` is over.

    Calls that vanished while nobody listened were told as `CallEnded` with `ended_unseen` before this event.
    """

    present: tuple[CallRecord, ...]
    at: datetime | None


CallEvent = (
    CallArrived
    | CallRinging
    | RingingStopped
    | CallAnswered
    | CallUpdated
    | CallTransferred
    | CallsJoined
    | CallEnded
    | SnapshotApplied
)
