"""What an agent wants to be, beside what the PBX sees of them."""

from __future__ import annotations

from dataclasses import dataclass

from cti.calls.presence import PbxPresence
from cti.calls.presence_events import MemberSeen, PresenceEvent
from cti.desk.messages import AgentState


@dataclass(frozen=True, slots=True)
class Wish:
    """Available, paused for a reason, or offline: off the shift."""

    state: AgentState
    reason: str | None = None


def pause_of(presence: PbxPresence, event: PresenceEvent) -> bool | None:
    """Whether the member that an event tells of was paused so far; None where it tells of none that we knew."""
    if not isinstance(event, MemberSeen):
        return None
    told = event.member
    known = (
        member.is_paused
        for member in presence.places(told.extension)
        if (member.queue, member.interface) == (told.queue, told.interface)
    )
    return next(known, None)
