"""What the shift remembers of agents and watchers, and how it tells them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cti.calls.presence import Telephone
from cti.calls.presence_events import DeviceState
from cti.desk.directory import Agent
from cti.desk.messages import AgentState, AgentView, Data, Message, Sight

NO_LINK = "no_link"


@dataclass(slots=True)
class Now:
    """An agent's state as it was told last."""

    agent: Agent
    extensions: tuple[str, ...]
    state: AgentState = AgentState.OFFLINE
    reason: str | None = NO_LINK
    since: datetime | None = None


@dataclass(slots=True)
class Watch:
    """One socket that follows a topic, and what it was told of each thing last."""

    user_id: int
    sight: Sight
    told: dict[object, Data] = field(default_factory=dict)


def is_reachable(telephone: Telephone) -> bool:
    return telephone.state is not DeviceState.UNAVAILABLE and telephone.is_reachable is not False


def agent_view(now: Now) -> AgentView:
    return AgentView(
        id=now.agent.user_id,
        name=now.agent.name,
        team_id=now.agent.team_id,
        team=now.agent.team,
        extensions=now.extensions,
        state=now.state,
        reason=now.reason,
        since=now.since,
    )


def message_to(
    topic: str, watcher: int, watch: Watch, message_type: str, data: Data, at: datetime | None
) -> Message:
    return Message(
        user_id=watch.user_id,
        type=message_type,
        data=data,
        at=at,
        seq=None,
        topic=topic,
        watcher=watcher,
    )
