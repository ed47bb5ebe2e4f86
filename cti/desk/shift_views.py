"""What the shift remembers of agents and watchers, and how it tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from cti.calls.presence import Telephone
from cti.calls.presence_events import DeviceState
from cti.desk.directory import Agent
from cti.desk.messages import (
    AgentRef,
    AgentState,
    AgentView,
    Data,
    Message,
    OwnAgent,
    QueueRef,
    QueueView,
    Sight,
)
from cti.desk.queue_views import is_agent_seen
from cti.desk.wishes import Wish

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


def own_agent(user_id: int, now: Now | None, wish: Wish | None) -> OwnAgent:
    return OwnAgent(
        id=user_id,
        state=now.state if now else None,
        reason=now.reason if now else None,
        since=now.since if now else None,
        wish=wish.state if wish else None,
        wish_reason=wish.reason if wish else None,
    )


class OwnStates:
    """Tells users what they do themselves, once a tick: a state that lasts a moment only is nothing to look at."""

    def __init__(self, of: Callable[[int], OwnAgent]) -> None:
        self._of = of
        self._moved: set[int] = set()
        self._told: dict[int, OwnAgent] = {}

    def moved(self, users: Iterable[int]) -> None:
        self._moved.update(users)

    @property
    def are_moved(self) -> bool:
        """Somebody's state is to be looked at."""
        return bool(self._moved)

    def tell(self, at: datetime | None, most: int | None = None) -> list[Message]:
        """To each user whose state is another one than was told last; at most so many are looked at."""
        moved = sorted(self._moved)[:most]
        self._moved.difference_update(moved)
        messages: list[Message] = []
        for user_id in moved:
            own = self._of(user_id)
            if own != self._told.get(user_id):
                self._told[user_id] = own
                messages.append(Message(user_id=user_id, type="agent.state", data=own, at=at, seq=None))
        return messages


def agent_news(topic: str, watcher: int, watch: Watch, now: Now, at: datetime | None) -> Iterable[Message]:
    """What one watcher is told of an agent, if it is another thing than before."""
    view = agent_view(now)
    if not is_agent_seen(now.agent, watch.sight):
        if watch.told.pop(view.id, None) is not None:
            yield message_to(topic, watcher, watch, "agent.gone", AgentRef(id=view.id), at)
    elif watch.told.get(view.id) != view:
        watch.told[view.id] = view
        yield message_to(topic, watcher, watch, "agent.state", view, at)


def queue_news(
    topic: str,
    watcher: int,
    watch: Watch,
    place: tuple[int, str],
    view: QueueView | None,
    at: datetime,
) -> Iterable[Message]:
    """What one watcher is told of a queue, by its connection and name; None: it is out of their sight."""
    if watch.told.get(place) == view:
        return
    if view is None:
        del watch.told[place]
        gone = QueueRef(connection_id=place[0], name=place[1])
        yield message_to(topic, watcher, watch, "queue.gone", gone, at)
    else:
        watch.told[place] = view
        yield message_to(topic, watcher, watch, "queue.state", view, at)


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
