"""The live board's picture of a call, and the words under which an event is told there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cti.calls.call_events import (
    CallAnswered,
    CallArrived,
    CallEnded,
    CallEvent,
    CallRinging,
    CallsJoined,
    CallTransferred,
    CallUpdated,
    RingingStopped,
    SnapshotApplied,
)
from cti.calls.records import CallState, Direction
from cti.desk.directory import Directory
from cti.desk.messages import BoardAgent, BoardCall, Sight
from cti.desk.seats import PresentCall

WAITING = frozenset({CallState.ARRIVED, CallState.RINGING})
ANY_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingLine:
    """Callers of one line whom nobody has answered yet; `since` is that of the first."""

    name: str | None
    colour: str | None
    count: int
    since: datetime | None


def waiting_by_line(calls: Iterable[BoardCall]) -> list[WaitingLine]:
    """Unanswered incoming calls by our line, whoever waits longest first."""
    lines: dict[str | None, list[BoardCall]] = {}
    for call in calls:
        is_waiting = call.direction is Direction.INBOUND and call.state in WAITING and not call.answered_at
        if is_waiting:
            lines.setdefault(call.line, []).append(call)
    found = [
        WaitingLine(
            name=name,
            colour=waiting[0].line_colour,
            count=len(waiting),
            since=min((call.started_at for call in waiting if call.started_at), default=None),
        )
        for name, waiting in lines.items()
    ]
    return sorted(found, key=lambda line: (line.since is None, line.since or ANY_TIME, line.name or ""))


def told_as(event: CallEvent) -> str:
    match event:
        case CallRinging():
            return "call.ringing"
        case RingingStopped():
            return "call.ringing_stopped"
        case CallAnswered():
            return "call.answered"
        case CallEnded():
            return "call.ended"
        case CallArrived() | CallUpdated() | CallTransferred() | CallsJoined() | SnapshotApplied():
            return "call.updated"


def concerns(event: CallEvent) -> str | None:
    """The extension that the event is about."""
    return event.extension if isinstance(event, CallRinging | RingingStopped | CallAnswered) else None


def is_seen(call: PresentCall, directory: Directory, sight: Sight) -> bool:
    users, teams = call.involved(directory)
    return sight.covers(users=users, teams=teams)


def picture(call: PresentCall, directory: Directory, sight: Sight, extension: str | None = None) -> BoardCall:
    """The call for one watcher; the client's name only for those who may read clients."""
    record, line = call.record, call.line

    def agent(digits: str) -> BoardAgent:
        known = directory.agent_at(call.connection_id, digits)
        return BoardAgent(extension=digits, name=known.name if known else None)

    return BoardCall(
        id=call.id,
        connection_id=call.connection_id,
        line=line.name if line else record.did,
        line_colour=line.colour if line else None,
        direction=record.direction,
        number_kind=call.number.kind.value if call.number else None,
        phone=call.phone,
        phone_text=call.phone_text,
        queue=record.queue,
        state=record.state,
        extension=extension,
        reason=None,
        placed_by=agent(record.placed_by) if record.placed_by else None,
        ringing=tuple(map(agent, record.ringing)),
        talking=tuple(map(agent, record.talking)),
        started_at=record.started_at,
        queued_at=record.queued_at,
        answered_at=record.answered_at,
        ended_at=record.ended_at,
        disposition=record.disposition.value if record.disposition else None,
        match=call.match if sight.shows_parties else None,
    )
