"""The live board's picture of a call, and the words under which an event is told there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

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
from cti.calls.records import CallRecord, CallState, Direction
from cti.desk.directory import Directory
from cti.desk.messages import BoardAgent, BoardCall, Sight
from cti.desk.seats import PresentCall, handed_over

_STATES: Final = (CallState.ENDED, CallState.ARRIVED, CallState.RINGING, CallState.HELD, CallState.TALKING)

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
    seen = _foremost(call)
    record, line = seen.record, seen.line or call.line
    return BoardCall(
        id=call.id,
        connection_id=seen.connection_id,
        line=line.name if line else record.did,
        line_colour=line.colour if line else None,
        direction=record.direction,
        number_kind=seen.number.kind.value if seen.number else None,
        phone=seen.phone,
        phone_text=seen.phone_text,
        queue=record.queue,
        state=record.state,
        extension=extension,
        reason=None,
        placed_by=_agent(seen, record.placed_by, directory) if record.placed_by else None,
        ringing=_agents(call, seen, directory, lambda each: each.ringing),
        talking=_agents(call, seen, directory, lambda each: each.talking),
        started_at=record.started_at,
        queued_at=record.queued_at,
        answered_at=record.answered_at,
        ended_at=record.ended_at,
        disposition=record.disposition.value if record.disposition else None,
        match=call.match_for(seen) if sight.shows_parties else None,
        handed_over=handed_over(seen, directory),
    )


def _foremost(call: PresentCall) -> PresentCall:
    """The sighting that tells most of the call now; of equals the leading one."""
    return max(call.sightings, key=lambda seen: _STATES.index(seen.record.state))


def _agent(seen: PresentCall, digits: str, directory: Directory) -> BoardAgent:
    known = directory.agent_at(seen.connection_id, digits)
    return BoardAgent(extension=digits, name=known.name if known else None)


def _agents(
    call: PresentCall,
    foremost: PresentCall,
    directory: Directory,
    extensions: Callable[[CallRecord], tuple[str, ...]],
) -> tuple[BoardAgent, ...]:
    """Everybody of this sighting, and whom the others see besides: an extension without a person there may be the PBX."""
    found = {digits: _agent(foremost, digits, directory) for digits in extensions(foremost.record)}
    agents, names = list(found.values()), {agent.name for agent in found.values()}
    for seen in call.sightings:
        for agent in (_agent(seen, digits, directory) for digits in extensions(seen.record)):
            if seen is not foremost and agent.name is not None and agent.name not in names:
                names.add(agent.name)
                agents.append(agent)
    return tuple(agents)
