"""Calls as literals, for tests of the desk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cti.calls.call_events import CallAnswered, CallArrived, CallEnded, CallEvent, CallRinging, RingingStopped
from cti.calls.records import CallRecord, CallState, Direction, Disposition
from cti.desk import Agent, Desk, Directory, OwnLine

START = datetime(2026, 11, 20, 11, 32, tzinfo=UTC)
CALL = UUID("019aa0c2-0000-7000-8000-000000000001")
OTHER = UUID("019aa0c2-0000-7000-8000-000000000002")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Office:
    """Three people at 101, 102, 103 of connection 1, in teams 1, 1, 2; nobody at 199."""

    def __init__(self, **seats: int) -> None:
        self.users = {"101": 1, "102": 2, "103": 3} | {
            key.removeprefix("e"): user for key, user in seats.items()
        }

    def agent_at(self, connection_id: int, extension: str) -> Agent | None:
        user_id = self.users.get(extension)
        if user_id is None or connection_id != 1:
            return None
        return Agent(user_id=user_id, name=f"Agent {user_id}", team_id=2 if user_id == 3 else 1)

    def own_line(self, connection_id: int, did: str | None) -> OwnLine | None:
        return OwnLine(id=7, name="Sales", colour="#1665d8") if did == "84950000001" else None

    def extensions_of(self, user_id: int) -> list[tuple[int, str]]:
        return [(1, extension) for extension, user in self.users.items() if user == user_id]

    def seated_agents(self) -> list[Agent]:
        seated = (self.agent_at(1, extension) for extension in self.users)
        return list({agent.user_id: agent for agent in seated if agent}.values())


def desk(directory: Directory | None = None) -> Desk:
    return Desk(directory or Office(), epoch="test")


def record(**changes: Any) -> CallRecord:
    values: dict[str, Any] = {
        "key": "1.1",
        "linked_ids": ("1.1",),
        "direction": Direction.INBOUND,
        "state": CallState.ARRIVED,
        "customer_number": "+74951203344",
        "did": "84950000001",
        "started_at": at(0),
    }
    return CallRecord(**values | changes)


def arrived(**changes: Any) -> CallEvent:
    return CallArrived(call=record(**changes), at=at(0))


def rings(extension: str, *also: str, seconds: float = 1, **changes: Any) -> CallEvent:
    call = record(state=CallState.RINGING, ringing=(*also, extension), **changes)
    return CallRinging(call=call, extension=extension, at=at(seconds))


def answers(extension: str, *, still: tuple[str, ...] = (), seconds: float = 5, **changes: Any) -> CallEvent:
    call = record(
        state=CallState.TALKING,
        talking=(extension,),
        ringing=still,
        answered_by=extension,
        answered_at=at(seconds),
        **changes,
    )
    return CallAnswered(call=call, extension=extension, at=at(seconds))


def stops(
    extension: str, reason: str, *, by: str | None = None, seconds: float = 5, **changes: Any
) -> CallEvent:
    return RingingStopped(
        call=record(**changes), extension=extension, reason=reason, answered_by=by, at=at(seconds)
    )


def ends(seconds: float = 60, disposition: Disposition = Disposition.ANSWERED, **changes: Any) -> CallEvent:
    call = record(state=CallState.ENDED, disposition=disposition, ended_at=at(seconds), **changes)
    return CallEnded(call=call, at=at(seconds))
