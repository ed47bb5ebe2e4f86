"""The shift: what every agent does now and who waits in which queue. A state machine without clock or I/O.

Made of what the PBX tells of telephones and queues and of the seats of present calls. An agent's state is derived anew
from these whenever one of them moved, and only differences are told. Queues move several times at each ring, so what
they look like is told once a tick (`expire`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from cti.calls.presence import PbxPresence, wraps_up_until
from cti.calls.presence_events import DeviceState, ListEnded, PresenceEvent, QueueMember
from cti.desk.directory import Agent, Directory
from cti.desk.messages import (
    TALK_STATES,
    AgentRef,
    AgentsSnapshot,
    AgentState,
    AgentStateChange,
    AgentView,
    Data,
    Message,
    OwnAgent,
    QueuesSnapshot,
    QueueView,
    SeatState,
    Sight,
)
from cti.desk.pauses import PauseEar, PauseTurn, QueuePlace, place_of
from cti.desk.queue_views import is_agent_seen, queue_view
from cti.desk.seats import PresentCall
from cti.desk.shift_views import (
    NO_LINK,
    Now,
    OwnStates,
    Watch,
    agent_news,
    agent_view,
    is_reachable,
    message_to,
    own_agent,
    queue_news,
)
from cti.desk.wishes import Wish

AGENTS, QUEUES = "agents", "queues"
DND, UNREACHABLE, OFF_SHIFT = "dnd", "unreachable", "off_shift"
ENGAGED = frozenset({DeviceState.IN_USE, DeviceState.BUSY, DeviceState.ON_HOLD})
ENGAGED_SEATS = TALK_STATES | {SeatState.DIALLING}
RINGING_SEATS = frozenset({SeatState.RINGING, SeatState.LIFT})
Place = tuple[int, str]  # connection and extension, or connection and queue


class Shift:
    """What the board shows beside calls.

    Args:
        seat_states: in which states a user sits in present calls.
        call_of: the call that a connection knows by a linked id.
        on_change: takes every change of an agent's state, in order; it must not wait.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        seat_states: Callable[[int], AbstractSet[SeatState]],
        call_of: Callable[[int, str], PresentCall | None],
        on_change: Callable[[AgentStateChange], None],
    ) -> None:
        self._directory = directory
        self._seat_states = seat_states
        self._call_of = call_of
        self._on_change = on_change
        self._presence: dict[int, PbxPresence] = {}
        self._up: set[int] = set()
        self._agents: dict[int, Now] = {}
        self._places: defaultdict[int, set[Place]] = defaultdict(set)  # under every name the PBX has
        self._wrapping: dict[int, datetime] = {}  # users and when their wrap-up ends
        self._wrap_ups: dict[int, datetime] = {}  # after talks of ours, beside what queues leave them
        self._wishes: dict[int, Wish] = {}  # what users want to be
        self._moved_queues: set[Place] = set()
        self._watches: dict[str, dict[int, Watch]] = {AGENTS: {}, QUEUES: {}}
        self._latest: datetime | None = None
        self._pauses = PauseEar()
        self.own_states = OwnStates(self.own)
        self.on_pause: Callable[[PauseTurn], None] = lambda _turn: None
        # told when the members of a PBX's queues are to be looked at anew
        self.on_queues: Callable[[int], None] = lambda _connection_id: None

    # What happened

    def hear(self, connection_id: int, events: Sequence[PresenceEvent]) -> list[Message]:
        """What one PBX tells of its telephones and queues, in order."""
        presence = self._presence.setdefault(connection_id, PbxPresence())
        moved: set[str] = set()
        at = self._latest
        turned: list[QueueMember] = []
        is_new = False
        for event in events:
            turns, joins = self._pauses.turned(connection_id, presence, (event,))
            turned, is_new = turned + turns, is_new or joins
            at = event.at or at
            self._note_moment(event.at)
            change = presence.apply(event)
            moved |= change.extensions
            self._moved_queues.update((connection_id, name) for name in change.queues)
        found = [self._user_at(connection_id, extension) for extension in sorted(moved)]
        users = [user for user in found if user is not None]
        if any(isinstance(event, ListEnded) for event in events):
            users += self.users_at(connection_id)  # also of those whom the list did not name
        messages = self._judge(users, at)
        self._tell_pauses(connection_id, turned, is_new=is_new)
        return messages

    def calls_moved(self, messages: Iterable[Message], at: datetime | None) -> list[Message]:
        """Windows of calls changed: those who were told may do something else now."""
        self._note_moment(at)
        users = {message.user_id for message in messages if message.topic is None}
        return self._judge(sorted(users & self._agents.keys()), at or self._latest)

    def wrap_up(self, user_id: int, until: datetime | None, at: datetime | None) -> list[Message]:
        """A user wraps a talk up until then, or (None) is ready with it."""
        self._note_moment(at)
        if until is None:
            self._wrap_ups.pop(user_id, None)
        else:
            self._wrap_ups[user_id] = until
        return self._judge([user_id] if user_id in self._agents else [], at or self._latest)

    def set_wishes(self, wishes: Mapping[int, Wish], at: datetime | None) -> list[Message]:
        """What users want to be from now on; who said nothing is as the PBX sees them."""
        self._note_moment(at)
        changed = {
            user_id
            for user_id in wishes.keys() | self._wishes.keys()
            if wishes.get(user_id) != self._wishes.get(user_id)
        }
        self._wishes = dict(wishes)
        self.own_states.moved(changed)
        return self._judge(sorted(changed & self._agents.keys()), at or self._latest)

    def touch_queue(self, connection_id: int, queue: str | None) -> None:
        """A call that waits in this queue is known better."""
        if queue and self._watches[QUEUES]:
            self._moved_queues.add((connection_id, queue))

    def link_changed(self, connection_id: int, *, is_up: bool, at: datetime | None) -> list[Message]:
        """A PBX is heard, or is not any more: then nobody knows what its telephones do."""
        if is_up == (connection_id in self._up):
            return []
        self._note_moment(at)
        (self._up.add if is_up else self._up.discard)(connection_id)
        self._touch_all_queues(connection_id)
        messages = self._judge(self.users_at(connection_id), at or self._latest)
        self._pauses.link_changed(connection_id, is_up=is_up)
        self._tell_pauses(connection_id, (), is_new=is_up)
        return messages

    def forget_connection(self, connection_id: int, at: datetime | None) -> list[Message]:
        """A connection was removed, and with it its telephones and queues."""
        self._note_moment(at)
        self._touch_all_queues(connection_id)
        self._presence.pop(connection_id, None)
        self._up.discard(connection_id)
        return self._judge(self.users_at(connection_id), at or self._latest)

    def set_directory(self, directory: Directory, at: datetime | None) -> list[Message]:
        """Extensions were assigned anew."""
        self._directory = directory
        self._note_moment(at)
        seated = {agent.user_id: agent for agent in directory.seated_agents()}
        gone = [user_id for user_id in self._agents if user_id not in seated]
        messages = [message for user_id in gone for message in self._dismiss(user_id, at or self._latest)]
        self._places.clear()
        for agent in seated.values():
            self._seat(agent)
        for connection_id, presence in self._presence.items():
            for extension in presence.extensions():
                self._user_at(connection_id, extension)
            self._touch_all_queues(connection_id)
        messages += self._judge(seated, at or self._latest, is_asked=True)
        for connection_id in self._presence:
            self._tell_pauses(connection_id, (), is_new=True)
        return messages

    def expire(self, now: datetime) -> list[Message]:
        """End wrap-ups that are over and tell how queues stand; to be called about every second."""
        self._note_moment(now)
        over = [user_id for user_id, until in self._wrapping.items() if until <= now]
        return self._judge(over, now) + self._tell_queues(now)

    # What is asked

    def agents(self, sight: Sight) -> list[AgentView]:
        """Every agent within a watcher's rights, by name."""
        views = [agent_view(now) for now in self._agents.values() if is_agent_seen(now.agent, sight)]
        return sorted(views, key=lambda view: (view.name.casefold(), view.id))

    def agent(self, user_id: int) -> AgentView | None:
        """One agent as they are now; None: they sit at no telephone."""
        now = self._agents.get(user_id)
        return None if now is None else agent_view(now)

    def own(self, user_id: int) -> OwnAgent:
        """What a user does now and wants to be, as their own pages show it."""
        return own_agent(user_id, self._agents.get(user_id), self._wishes.get(user_id))

    def queues(self, sight: Sight) -> list[QueueView]:
        """Every queue within a watcher's rights."""
        places = (
            (id_, name) for id_, presence in sorted(self._presence.items()) for name in presence.queues()
        )
        return [view for place in places if (view := self._queue_view(place, sight))]

    def places_in_queues(self, user_id: int) -> list[QueuePlace]:
        """Where queues call a user now, at the PBXs whose queues are known."""
        found = [
            place_of(id_, member)
            for id_, extension in sorted(self._places.get(user_id, ()))
            if id_ in self._up and self._pauses.is_whole(id_)
            for member in self._presence_of(id_).places(extension)
        ]
        return list(dict.fromkeys(found))

    def users_at(self, connection_id: int) -> list[int]:
        """Who sits at a telephone of this PBX."""
        return sorted(
            user_id
            for user_id, places in self._places.items()
            if any(place[0] == connection_id for place in places)
        )

    def watch_agents(self, watcher: int, user_id: int, sight: Sight) -> AgentsSnapshot:
        views = self.agents(sight)
        self._watches[AGENTS][watcher] = Watch(user_id, sight, {view.id: view for view in views})
        return AgentsSnapshot(agents=tuple(views))

    def watch_queues(self, watcher: int, user_id: int, sight: Sight) -> QueuesSnapshot:
        views = self.queues(sight)
        told: dict[object, Data] = {(view.connection_id, view.name): view for view in views}
        self._watches[QUEUES][watcher] = Watch(user_id, sight, told)
        return QueuesSnapshot(queues=tuple(views))

    def unwatch(self, watcher: int, topic: str) -> None:
        self._watches[topic].pop(watcher, None)

    # Agents

    def _note_moment(self, at: datetime | None) -> None:
        if at is not None and (self._latest is None or at > self._latest):
            self._latest = at

    def _seat(self, agent: Agent) -> None:
        places = self._directory.extensions_of(agent.user_id)
        self._places[agent.user_id].update(places)
        extensions = tuple(extension for _, extension in places)
        now = self._agents.get(agent.user_id)
        if now is None:
            self._agents[agent.user_id] = Now(agent, extensions)
        else:
            now.agent, now.extensions = agent, extensions

    def _user_at(self, connection_id: int, extension: str) -> int | None:
        """Whose telephone it is; the PBX may call it otherwise than we do."""
        agent = self._directory.agent_at(connection_id, extension) if extension else None
        if agent is None or agent.user_id not in self._agents:
            return None
        self._places[agent.user_id].add((connection_id, extension))
        return agent.user_id

    def _tell_pauses(self, connection_id: int, turned: Iterable[QueueMember], *, is_new: bool) -> None:
        for member in turned:
            user_id = self._user_at(connection_id, member.extension)
            if user_id is not None:
                self.on_pause(PauseTurn(user_id=user_id, place=place_of(connection_id, member)))
        if is_new and connection_id in self._up and self._pauses.is_whole(connection_id):
            self.on_queues(connection_id)

    def _judge(self, users: Iterable[int], at: datetime | None, *, is_asked: bool = False) -> list[Message]:
        """Derive the states of these users anew; tell what changed, and of `is_asked` also what is only new to us."""
        messages: list[Message] = []
        for user_id in dict.fromkeys(users):
            now = self._agents.get(user_id)
            if now is None:
                continue
            self.own_states.moved((user_id,))
            state, reason = self._state_of(user_id, at)
            if (state, reason) != (now.state, now.reason) or now.since is None:
                now.state, now.reason, now.since = state, reason, at
                if at is not None:
                    self._on_change(AgentStateChange(user_id=user_id, state=state, reason=reason, at=at))
            elif not is_asked:
                continue
            messages += self._tell_agent(now, at)
        return messages

    def _state_of(self, user_id: int, at: datetime | None) -> tuple[AgentState, str | None]:
        self._wrapping.pop(user_id, None)
        heard = [place for place in self._places[user_id] if place[0] in self._up]
        if not heard:
            return AgentState.OFFLINE, NO_LINK
        if (engaged := self._engaged(user_id, heard)) is not None:
            return engaged, None
        if not any(self._answers(*place) for place in heard):
            return AgentState.OFFLINE, UNREACHABLE
        wish = self._wishes.get(user_id)
        if wish is not None and wish.state is AgentState.OFFLINE:
            return AgentState.OFFLINE, OFF_SHIFT
        if any(self._presence_of(id_).is_quiet(extension) for id_, extension in heard):
            return AgentState.PAUSED, DND
        members = [one for id_, extension in heard for one in self._presence_of(id_).places(extension)]
        paused = [member for member in members if member.is_paused]
        if paused:
            return AgentState.PAUSED, next((one.pause_reason for one in paused if one.pause_reason), None)
        if wish is not None and wish.state is AgentState.PAUSED:
            return AgentState.PAUSED, wish.reason
        return self._wrap_up(user_id, members, at), None

    def _engaged(self, user_id: int, heard: Sequence[Place]) -> AgentState | None:
        """Ringing or talking: what calls say wins over what telephones say, which come a moment sooner or later."""
        seats = self._seat_states(user_id)
        if seats & ENGAGED_SEATS:
            return AgentState.TALKING
        if seats & RINGING_SEATS:
            return AgentState.RINGING
        states = {phone.state for id_, ext in heard for phone in self._presence_of(id_).telephones(ext)}
        if states & ENGAGED:
            return AgentState.TALKING
        return AgentState.RINGING if DeviceState.RINGING in states else None

    def _answers(self, connection_id: int, extension: str) -> bool:
        """Whether a telephone could ring. A PBX that lists its telephones lists all; of one that does not, we trust."""
        presence = self._presence_of(connection_id)
        telephones = presence.telephones(extension)
        return any(map(is_reachable, telephones)) if telephones else not presence.lists_devices

    def _wrap_up(self, user_id: int, members: Iterable[QueueMember], at: datetime | None) -> AgentState:
        ends = [moment for member in members if (moment := wraps_up_until(member))]
        if user_id in self._wrap_ups:
            ends.append(self._wrap_ups[user_id])
        until = max(ends, default=None)
        if until is None or at is None or until <= at:
            return AgentState.AVAILABLE
        self._wrapping[user_id] = until
        return AgentState.WRAP_UP

    def _presence_of(self, connection_id: int) -> PbxPresence:
        return self._presence.setdefault(connection_id, PbxPresence())

    def _dismiss(self, user_id: int, at: datetime | None) -> list[Message]:
        """A user sits at no telephone any more."""
        del self._agents[user_id]
        self._wrapping.pop(user_id, None)
        self.own_states.moved((user_id,))
        if at is not None:
            self._on_change(AgentStateChange(user_id=user_id, state=None, reason=None, at=at))
        gone = AgentRef(id=user_id)
        return [
            message_to(AGENTS, watcher, watch, "agent.gone", gone, at)
            for watcher, watch in self._watches[AGENTS].items()
            if watch.told.pop(user_id, None) is not None
        ]

    def _tell_agent(self, now: Now, at: datetime | None) -> list[Message]:
        return [
            message
            for watcher, watch in self._watches[AGENTS].items()
            for message in agent_news(AGENTS, watcher, watch, now, at)
        ]

    # Queues

    def _touch_all_queues(self, connection_id: int) -> None:
        self._moved_queues.update((connection_id, name) for name in self._presence_of(connection_id).queues())

    def _tell_queues(self, at: datetime) -> list[Message]:
        moved, self._moved_queues = sorted(self._moved_queues), set()
        return [
            message
            for watcher, watch in self._watches[QUEUES].items()
            for place in moved
            for message in queue_news(QUEUES, watcher, watch, place, self._queue_view(place, watch.sight), at)
        ]

    def _queue_view(self, place: Place, sight: Sight) -> QueueView | None:
        connection_id, name = place
        presence = self._presence.get(connection_id)
        queue = presence.queue(name) if presence else None
        if queue is None:
            return None
        calls = [self._call_of(connection_id, caller.linked_id) for caller in queue.waiting]
        is_current = connection_id in self._up
        return queue_view(connection_id, queue, calls, self._directory, sight, is_current=is_current)
