"""The live channel: one WebSocket per browser (or program), a bounded queue and one writer each.

Nothing here waits for a browser: `deliver` encodes a message once, puts it into the queues of its user's sockets and
returns. A socket whose queue is full is closed; its client comes back and resumes (invariant I11). The protocol is
described in `docs/live.md`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec
import structlog
from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from crm.pop_delays import DrawnWindow
from crm.record_feed import RecordEvent, RecordVersion
from crm.rights import Access
from cti.desk import AgentsSnapshot, BoardSnapshot, Desk, Message, QueuesSnapshot
from web.auth import credential_of
from web.bell import ringing_bell
from web.gate import Gate
from web.keys import ACCESS, LIVE, SESSIONS
from web.last_seen import LastSeen
from web.live_callbacks import CallbackNews
from web.live_records import RecordFollowers
from web.live_socket import CLOSED_SIGNED_OUT, CLOSED_TOO_SLOW, LiveSocket
from web.routes import SIGNED_IN, RouteKind, Routes
from web.security import is_own_origin

log = structlog.get_logger(__name__)
routes = Routes()
routes.message("/live", "resume", right=SIGNED_IN)
routes.message("/live", "sub", right=SIGNED_IN)
routes.message("/live", "sub:calls", right="live.board")
routes.message("/live", "sub:agents", right="live.board")
routes.message("/live", "sub:queues", right="live.board")
routes.message("/live", "unsub", right=SIGNED_IN)
routes.message("/live", "follow", right=SIGNED_IN)
routes.message("/live", "follow:parties", right="party.read")
routes.message("/live", "follow:leads", right="lead.read")
routes.message("/live", "dismiss", right=SIGNED_IN)
routes.message("/live", "drawn", right=SIGNED_IN)
routes.message("/live", "bell", right=SIGNED_IN)
routes.message("/live", "ping", right=SIGNED_IN)

TOPICS: Final = ("calls", "agents", "queues")
HEARTBEAT_SECONDS: Final = 20.0
MOST_MESSAGE_BYTES: Final = 4096
MOST_SOCKETS_OF_A_USER: Final = 20
TICK_SECONDS: Final = 1.0
RECHECK_ALL: Final = timedelta(seconds=60)  # changes are told at once; this finds sessions that ran out
RECHECK_PAUSE_SECONDS: Final = 0.1  # between two users: no ringing call waits for a round
CLOSE_SECONDS: Final = 2.0

_encoder = msgspec.json.Encoder()


class FromClient(msgspec.Struct):
    """Any message a client may send; what a type does not use is ignored, as are unknown types and fields."""

    type: str
    epoch: str = ""
    seq: int = -1
    topics: list[str] = msgspec.field(default_factory=list)
    parties: list[int] = msgspec.field(default_factory=list)
    leads: list[int] = msgspec.field(default_factory=list)
    id: str = ""
    ms: float = 0.0
    sound: bool = False
    chosen: bool = False


_decoder = msgspec.json.Decoder(FromClient)


class BoardSight:
    """How far a user sees on the live board."""

    def __init__(self, access: Access) -> None:
        self._access = access

    @property
    def shows_parties(self) -> bool:
        return self._access.may("party.read")

    def covers(self, *, users: Iterable[int | None], teams: Iterable[int | None]) -> bool:
        return self._access.covers("live.board", users=users, teams=teams)


class Envelope(msgspec.Struct, omit_defaults=True):
    """What goes over the wire, in this order of fields."""

    v: int | None  # no default on purpose: always written
    type: str
    seq: int | None = None
    at: datetime | None = None
    topic: str | None = None
    replayed: bool = False
    data: Any = None


def encode(message: Message, *, replayed: bool = False) -> bytes:
    return _encoder.encode(
        Envelope(
            1, message.type, message.seq, message.at, message.topic, replayed=replayed, data=message.data
        )
    )


class OnRefused(Protocol):
    """Takes down that a message was refused for want of a right."""

    def __call__(self, access: Access, address: str, **detail: object) -> None: ...


class LiveHub:
    """All live sockets. Called from the event loop only; `deliver` never waits."""

    def __init__(
        self, desk: Desk, gate: Gate, now: Callable[[], datetime], *, on_refused: OnRefused | None = None
    ) -> None:
        self._desk = desk
        self._gate = gate
        self._now = now
        self._on_refused = on_refused
        self.records = RecordFollowers(self._tell_record)
        self.last_seen = LastSeen()
        self.callbacks = CallbackNews(self._encode_cases, self._put, self._everyone)
        self._sockets: defaultdict[int, list[LiveSocket]] = defaultdict(list)
        self._closing: set[asyncio.Task[None]] = set()
        self._to_recheck: set[int] = set()
        self._recheck_due = asyncio.Event()
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
            frame = encode(message)
            for socket in tuple(sockets):
                if message.watcher is None or message.watcher == socket.watcher:
                    self._put(socket, frame)

    def notice(self, user_id: int, notice_id: int) -> None:
        """A notification was written, or (0) some were seen: the user's pages look at the bell again."""
        envelope = Envelope(1, "notification", at=self._now(), data={"id": notice_id})
        for socket in tuple(self._sockets.get(user_id, ())):
            self._put(socket, _encoder.encode(envelope))

    def tell(self, user_id: int, kind: str, data: Mapping[str, Any]) -> None:
        """Something of one user's own, besides their calls: not numbered, not replayed."""
        envelope = Envelope(1, kind, at=self._now(), data=data)
        for socket in tuple(self._sockets.get(user_id, ())):
            self._put(socket, _encoder.encode(envelope))

    def recheck(self, user_id: int) -> None:
        """The user was blocked, signed out somewhere, or got other rights: look at their sockets now."""
        self.last_seen.forget_user(user_id)
        self._look_again(user_id)

    def _look_again(self, user_id: int) -> None:
        self._to_recheck.add(user_id)
        self._recheck_due.set()

    def recheck_everybody(self) -> None:
        """What was said meanwhile may not have been heard."""
        self.last_seen.forget_everybody()
        self._to_recheck.update(self._sockets)
        self._recheck_due.set()

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
        self._look_again(socket.access.user_id)

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
        try:
            message = _decoder.decode(text)
        except msgspec.DecodeError:
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
                self._put(socket, _encoder.encode(Envelope(1, "pong", at=self._now())))
            case "drawn" if 0 <= message.ms < 60_000:
                self._drawn(socket, message)
            case "bell" if message.ms >= 0:
                self._hear_bell(socket, message)

    # How

    def _everyone(self) -> list[LiveSocket]:
        return [socket for sockets in self._sockets.values() for socket in sockets]

    def _put(self, socket: LiveSocket, frame: bytes) -> None:
        if not socket.put(frame):
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
        self._put(socket, _encoder.encode(Envelope(1, "hello", hello.seq, now, data=hello)))

    def _resume(self, socket: LiveSocket, epoch: str, seq: int) -> None:
        """Tell what the client missed before this socket's hello; a new hello if that is not kept."""
        missed = self._desk.since(socket.access.user_id, epoch, seq)
        if missed is None:
            self._greet(socket)
            return
        for message in missed:
            if message.seq is not None and message.seq <= socket.hello_seq:
                self._put(socket, encode(message, replayed=True))
        self._put(socket, _encoder.encode(Envelope(1, "resumed", socket.hello_seq, self._now())))

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
        answer = Envelope(1, f"live.{topic}", at=self._now(), topic=topic, data=snapshot)
        self._put(socket, _encoder.encode(answer))

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
        self._put(socket, _encoder.encode(Envelope(1, "refused", at=self._now(), data=refusal)))
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
        self._put(socket, _encoder.encode(Envelope(1, "record.changed", at=event.at, data=data)))

    def _encode_cases(self, what: str, cases: Sequence[int]) -> bytes:
        return _encoder.encode(Envelope(1, f"callback.{what}", at=self._now(), data={"ids": cases}))

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
                self._put(
                    socket, _encoder.encode(Envelope(1, "bell", at=self._now(), data={"here": is_here}))
                )

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
            tasks.create_task(self._recheck_for_ever())

    async def _expire_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                self.deliver(self._desk.expire(self._now()))
            except Exception:  # one call that cannot be dropped must not keep the others
                log.exception("live_expire_failed")

    async def _recheck_for_ever(self) -> None:
        """Whoever was named goes first, also in the middle of a round through everybody."""
        next_round = self._now() + RECHECK_ALL
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._recheck_due.wait()
            self._recheck_due.clear()
            if await self._recheck_named() and self._now() >= next_round:
                next_round = self._now() + RECHECK_ALL
                await self._recheck_everybody()

    async def _recheck_everybody(self) -> None:
        """One round; whoever is named meanwhile goes first. When nobody can be asked, the next round tries again."""
        for user_id in tuple(self._sockets):
            if not (await self._recheck_named() and await self._recheck_user(user_id)):
                return
            await asyncio.sleep(RECHECK_PAUSE_SECONDS)

    async def _recheck_named(self) -> bool:
        """False when nobody can be asked: with the next tick we ask again."""
        while self._to_recheck:
            user_id = self._to_recheck.pop()
            if not await self._recheck_user(user_id):
                self._to_recheck.add(user_id)
                return False
        return True

    async def _recheck_user(self, user_id: int) -> bool:
        """Close or narrow this user's sockets; False if nobody could be asked."""
        for socket in tuple(self._sockets.get(user_id, ())):
            try:
                access = await self._gate.access(socket.credential)
            except Exception as error:  # the database is away: pops go on (invariant I13), and we ask again
                log.warning("live_recheck_failed", user_id=user_id, error=type(error).__name__)
                return False
            self.last_seen.note(socket.credential, access)
            if access is None:
                self._hang_up(socket, CLOSED_SIGNED_OUT, "signed out")
            elif access != socket.access or access.scopes != socket.access.scopes:
                self._narrow(socket, access)
        return True

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


async def watched(app: web.Application) -> AsyncIterator[None]:
    """The hub's watching lives as long as the application."""
    hub = app[LIVE]
    watching = (hub.watch(), hub.records.watch(app[SESSIONS]), hub.callbacks.watch())
    tasks = [asyncio.create_task(each) for each in watching]
    yield
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def close_sockets(app: web.Application) -> None:
    await app[LIVE].close_all()


@routes.get("/live", right=SIGNED_IN, kind=RouteKind.SOCKET)
async def open_live(request: web.Request) -> web.StreamResponse:
    """The handshake. A session needs our own Origin (browsers always send one), a token needs none."""
    credential = credential_of(request)
    origin = request.headers.get(hdrs.ORIGIN)
    is_foreign = origin is not None and not is_own_origin(request, origin)
    if credential is None or is_foreign or (origin is None and not credential.is_token):
        raise web.HTTPForbidden(text="The Origin of a socket opened with a session must be ours.")
    hub = request.app[LIVE]
    if not hub.has_room(request[ACCESS].user_id):
        raise web.HTTPTooManyRequests(text=f"More than {MOST_SOCKETS_OF_A_USER} sockets of one user.")
    ws = web.WebSocketResponse(
        timeout=CLOSE_SECONDS,
        heartbeat=HEARTBEAT_SECONDS,
        compress=False,  # 113 KB of memory a socket against 22
        max_msg_size=MOST_MESSAGE_BYTES,
        writer_limit=16_384,
    )
    await ws.prepare(request)
    await _serve(hub, LiveSocket(ws, request[ACCESS], credential, request.transport), ws)
    return ws


async def _serve(hub: LiveHub, socket: LiveSocket, ws: web.WebSocketResponse) -> None:
    hub.add(socket)
    writer = asyncio.create_task(socket.write())
    try:
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                hub.receive(socket, message.data)
    finally:
        hub.remove(socket)
        writer.cancel()
