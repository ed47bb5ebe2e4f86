"""What an agent wants to be, beside what the PBX sees of them."""

from __future__ import annotations

from dataclasses import dataclass

from cti.desk.messages import AgentState


@dataclass(frozen=True, slots=True)
class Wish:
    """Available, paused for a reason, or offline: off the shift."""

    state: AgentState
    reason: str | None = None

    @property
    def is_away(self) -> bool:
        """Whether queues are to leave the agent alone."""
        return self.state is not AgentState.AVAILABLE
