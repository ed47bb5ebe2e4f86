"""The live channel: one WebSocket per browser (or program), a bounded queue and one writer each.

Nothing here waits for a browser: `deliver` encodes a message once, puts it into the queues of its user's sockets and
returns. A socket whose queue is full is closed; its client comes back and resumes (invariant I11). The protocol is
described in `docs/live.md`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import structlog
from aiohttp import WSCloseCode

from crm.pop_delays import DrawnWindow
from crm.record_feed import RecordEvent, RecordVersion
from crm.rights import Access
from cti.desk import AgentsSnapshot, BoardSnapshot, Desk, Message, QueuesSnapshot
from web.bell import ringing_bell
from web.board_sight import BoardSight
from web.gate import Gate
from web.live_callbacks import CallbackNews
from web.live_frames import FromClient, decode, encode, frame
from web.live_rechecks import Rechecks
from web.live_records import RecordFollowers
from web.live_socket import CLOSED_SIGNED_OUT, CLOSED_TOO_SLOW, LiveSocket

log = structlog.get_logger(__name__)

TOPICS: Final = ("calls", "agents", "queues")
MOST_SOCKETS_OF_A_USER: Final = 20
TICK_SECONDS: Final = 1.0
TOLD_AT_ONCE: Final = 16  # users told of their own state in one turn of the event loop
CLOSE_SECONDS: Final = 2.0


class OnRefused(Protocol):
    """Takes down that a message was refused for want of a right."""

    def __call__(self, access: Access, address: str, **detail: object) -> None: ...


class LiveHub:
    """All live sockets. Called from the event loop only; `deliver` never waits."""

    def __init__(
        self, desk: Desk, gate: Gate, now: Callable[[], datetime], *, on_refused: OnRefused | None = None
    ) -> None:
        self._desk = desk
        self._now = now
        self._on_refused = on_refused
        self.records = RecordFollowers(self._tell_record)
        self.callbacks = CallbackNews(self._encode_cases, self._put, self._everyone)
        self._sockets: defaultdict[int, list[LiveSocket]] = defaultdict(list)
        self._closing: set[asyncio.Task[None]] = set()
        self._is_database_away = False
        self.rechecks = Rechecks(
            gate,
            now,
            users=self._sockets.keys,
            sockets_of=lambda user_id: self._sockets.get(user_id, ()),
            judge=self._judge,
        )
        self.drawn_ms: deque[float] = deque(maxlen=1000)
        self.on_drawn: Callable[[str, UUID, float], None] = lambda _name, _call_id, _ms: None
        self.on_measured: Callable[[DrawnWindow], None] = lambda _drawn: None

    # For the rest of the program

    def deliver(self, messages: Iterable[Message]) -> None:
        """Pass on what the desk tells: encoded once, put into each of the user's sockets."""
        for message in messages:
            sockets = self._sockets.get(message.user_id)
            if not sockets:
                continue
            told = encode(message)
            for socket in tuple(sockets):
                if message.watcher is None or message.watcher == socket.watcher:
                    self._put(socket, told)

    def notice(self, user_id: int, notice_id: int) -> None:
        """A notification was written, or (0) some were seen: the user's pages look at the bell again."""
        self.tell(user_id, "notification", {"id": notice_id})

    def tell(self, user_id: int, kind: str, data: Mapping[str, Any]) -> None:
        """Something of one user's own, besides their calls: not numbered, not replayed."""
        told = frame(kind, self._now(), data)
        for socket in tuple(self._sockets.get(user_id, ())):
            self._put(socket, told)

    def set_database_away(self, is_away: bool) -> None:
        """Pages say so, once, for as long as it lasts (invariant I13)."""
        if is_away == self._is_database_away:
            return
        self._is_database_away = is_away
        told = self._database_state()
        for socket in self._everyone():
            self._put(socket, told)

    def count(self) -> int:
        return sum(map(len, self._sockets.values()))

    def pages_of(self, user_id: int) -> int:
        """How many pages and programs of this user are connected."""
        return len(self._sockets.get(user_id, ()))

    # For the handler

    def has_room(self, user_id: int) -> bool:
        return len(self._sockets.get(user_id, ())) < MOST_SOCKETS_OF_A_USER

    def add(self, socket: LiveSocket) -> None:
        """From now on the socket hears everything; the first it hears is the whole picture."""
        self._sockets[socket.access.user_id].append(socket)
        self._greet(socket)
        # What changed between the handshake's check and now was told to nobody.
        self.rechecks.name(socket.access.user_id)

    def remove(self, socket: LiveSocket) -> None:
        user_id = socket.access.user_id
        sockets = self._sockets.get(user_id, [])
        if socket in sockets:
            sockets.remove(socket)
        for topic in TOPICS:
            self._unwatch(socket, topic)
        self.records.forget(socket)
        if not sockets:
            self._sockets.pop(user_id, None)
        elif socket.bell.is_here:
            self._place_bell(user_id)

    def receive(self, socket: LiveSocket, text: str) -> None:
        """One message of a client. What is not understood is ignored: clients may be newer than we are."""
        message = decode(text)
        if message is None:
            return
        match message.type:
            case "resume":
                self._resume(socket, message.epoch, message.seq)
            case "sub":
                self._subscribe(socket, message.topics)
            case "unsub":
                self._unsubscribe(socket, message.topics)
            case "follow":
                self._follow_records(socket, message)
            case "dismiss":
                self._dismiss(socket, message.id)
            case "ping":
                self._put(socket, frame("pong", self._now()))
            case "drawn" if 0 <= message.ms < 60_000:
                self._drawn(socket, message)
            case "bell" if message.ms >= 0:
                self._hear_bell(socket, message)

    # How

    def _everyone(self) -> list[LiveSocket]:
        return [socket for sockets in self._sockets.values() for socket in sockets]

    def _put(self, socket: LiveSocket, told: bytes) -> None:
        if not socket.put(told):
            log.warning("live_socket_too_slow", user_id=socket.access.user_id)
            self._hang_up(socket, CLOSED_TOO_SLOW, "too slow")

    def _hang_up(self, socket: LiveSocket, code: int, reason: str) -> None:
        self.remove(socket)
        task = asyncio.create_task(socket.close(code, reason))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _greet(self, socket: LiveSocket) -> None:
        now = self._now()
        hello = self._desk.hello(socket.access.user_id, now)
        socket.hello_seq = hello.seq
        self._put(socket, frame("hello", now, hello, seq=hello.seq))
        if self._is_database_away:
            self._put(socket, self._database_state())

    def _database_state(self) -> bytes:
        return frame("database.state", self._now(), {"is_away": self._is_database_away})

    def _resume(self, socket: LiveSocket, epoch: str, seq: int) -> None:
        """Tell what the client missed before this socket's hello; a new hello if that is not kept."""
        missed = self._desk.since(socket.access.user_id, epoch, seq)
        if missed is None:
            self._greet(socket)
            return
        for message in missed:
            if message.seq is not None and message.seq <= socket.hello_seq:
                self._put(socket, encode(message, replayed=True))
        self._put(socket, frame("resumed", self._now(), seq=socket.hello_seq))

    def _subscribe(self, socket: LiveSocket, topics: Sequence[str]) -> None:
        for topic in TOPICS:
            if topic in topics:
                self._follow(socket, topic)

    def _follow(self, socket: LiveSocket, topic: str) -> None:
        if not socket.access.may("live.board"):
            self._refuse(socket, topic)
            return
        socket.topics.add(topic)
        snapshot = self._watch(socket, topic)
        self._put(socket, frame(f"live.{topic}", self._now(), snapshot, topic=topic))

    def _watch(self, socket: LiveSocket, topic: str) -> BoardSnapshot | AgentsSnapshot | QueuesSnapshot:
        watcher, user_id, sight = socket.watcher, socket.access.user_id, BoardSight(socket.access)
        match topic:
            case "agents":
                return self._desk.shift.watch_agents(watcher, user_id, sight)
            case "queues":
                return self._desk.shift.watch_queues(watcher, user_id, sight)
            case _:
                return self._desk.watch(watcher, user_id, sight)

    def _refuse(
        self, socket: LiveSocket, topic: str, right: str = "live.board", message: str = "sub"
    ) -> None:
        refusal = {"topics": [topic], "right": right}
        self._put(socket, frame("refused", self._now(), refusal))
        if self._on_refused is not None:
            path = f"/live#{message}:{topic}"
            self._on_refused(socket.access, "", right=right, why="right", method="SEND", path=path)

    def _follow_records(self, socket: LiveSocket, message: FromClient) -> None:
        wanted = {"party": message.parties, "lead": message.leads}
        for kind in self.records.follow(socket, wanted):
            self._refuse(socket, {"party": "parties", "lead": "leads"}[kind], f"{kind}.read", "follow")

    def _tell_record(
        self, socket: LiveSocket, event: RecordEvent, record_id: int, now: RecordVersion
    ) -> None:
        data = {
            "kind": event.record_kind,
            "id": record_id,
            "version": now.version,
            "is_gone": now.is_gone,
            "fields": event.fields,
            "by_id": event.actor_id,
            "by": event.actor_name,
        }
        self._put(socket, frame("record.changed", event.at, data))

    def _encode_cases(self, what: str, cases: Sequence[int]) -> bytes:
        return frame(f"callback.{what}", self._now(), {"ids": cases})

    def _unsubscribe(self, socket: LiveSocket, topics: Iterable[str]) -> None:
        socket.topics.difference_update(topics)
        for topic in topics:
            self._unwatch(socket, topic)

    def _unwatch(self, socket: LiveSocket, topic: str) -> None:
        if topic == "calls":
            self._desk.unwatch(socket.watcher)
        elif topic in TOPICS:
            self._desk.shift.unwatch(socket.watcher, topic)

    def _drawn(self, socket: LiveSocket, message: FromClient) -> None:
        self.drawn_ms.append(message.ms)
        with contextlib.suppress(ValueError):
            if self._desk.has_seat(socket.access.user_id, call_id := UUID(message.id)):
                self.on_drawn(socket.access.name, call_id, message.ms)
                self._measured(socket.access.user_id, call_id, message.ms)

    def _measured(self, user_id: int, call_id: UUID, milliseconds: float) -> None:
        view = self._desk.view(user_id, call_id)
        if view is not None:
            self.on_measured(
                DrawnWindow(
                    call_id=view.id,
                    user_id=user_id,
                    connection_id=view.connection_id,
                    at=self._now(),
                    milliseconds=round(milliseconds),
                )
            )

    def _hear_bell(self, socket: LiveSocket, message: FromClient) -> None:
        now = asyncio.get_running_loop().time()
        socket.bell.tell(sound=message.sound, chosen=message.chosen, ago_seconds=message.ms / 1000, now=now)
        self._place_bell(socket.access.user_id)

    def _place_bell(self, user_id: int) -> None:
        """One browser of this user rings. The other falls silent first."""
        sockets = self._sockets.get(user_id, ())
        ringing = ringing_bell(socket.bell for socket in sockets)
        for socket in sorted(sockets, key=lambda each: each.bell is ringing):
            is_here = socket.bell is ringing
            if socket.bell.is_here is not is_here:
                socket.bell.is_here = is_here
                self._put(socket, frame("bell", self._now(), {"here": is_here}))

    def _dismiss(self, socket: LiveSocket, call_id: str) -> None:
        try:
            self.deliver(self._desk.dismiss(socket.access.user_id, UUID(call_id), self._now()))
        except ValueError:
            return

    # Watching

    async def watch(self) -> None:
        """Let the desk's time pass, and look again at the rights of whoever is connected; for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._expire_for_ever())
            tasks.create_task(self.rechecks.watch())

    async def _expire_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                self.deliver(self._desk.expire(self._now()))
                await self._tell_own_states()
            except Exception:  # one call that cannot be dropped must not keep the others
                log.exception("live_expire_failed")

    async def _tell_own_states(self) -> None:
        """A few at a time: a telephone that begins to ring must not wait until everybody was told."""
        own_states = self._desk.shift.own_states
        while own_states.are_moved:
            await asyncio.sleep(0)
            self.deliver(own_states.tell(self._now(), TOLD_AT_ONCE))

    def _judge(self, socket: LiveSocket, access: Access | None) -> None:
        if socket not in self._sockets.get(socket.access.user_id, ()):
            return  # it closed while the database was asked
        if access is None:
            self._hang_up(socket, CLOSED_SIGNED_OUT, "signed out")
        elif access != socket.access or access.scopes != socket.access.scopes:
            self._narrow(socket, access)

    def _narrow(self, socket: LiveSocket, access: Access) -> None:
        """Other rights than before: what the socket follows is judged anew."""
        socket.access = access
        followed = tuple(socket.topics)
        self._unsubscribe(socket, followed)
        self._subscribe(socket, followed)

    async def close_all(self) -> None:
        """The program stops: browsers come back to the next one."""
        for socket in self._everyone():
            self._hang_up(socket, WSCloseCode.GOING_AWAY, "restart")
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_SECONDS + 1)
