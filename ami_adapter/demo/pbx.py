"""The PBX in the box: one clock plays recordings, every logged-in client hears what happens from then on."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from types import TracebackType

from ami_adapter.demo.client import Account, DemoClient
from ami_adapter.demo.picture import Picture
from ami_adapter.demo.recording import Recording, packaged, packaged_names
from ami_adapter.demo.renaming import IdMint, Known
from ami_adapter.framing import AmiMessage

DEMO_USER = "ringcard-demo"
DEMO_SECRET = "ringcard-demo"  # noqa: S105 - no secret: it opens a PBX that has no calls but recorded ones
DRAINED_BYTES = 262_144
PATIENCE_SECONDS = 5.0  # how long flat-out playing waits for a client that does not read


class DemoPbx:
    """An AMI server. `async with DemoPbx(...) as pbx:` listens; `await pbx.play(...)` makes calls happen.

    Args:
        recordings: what `play_for_ever` chooses from; those that come with us if not given.
        speed: 2.0 plays twice as fast; 0 plays flat out.
        seed: of the order of recordings and the gaps between them.
        most_unsent_bytes: for one client that does not read; then it is thrown out.
    """

    def __init__(
        self,
        recordings: Sequence[Recording] | None = None,
        *,
        user: str = DEMO_USER,
        secret: str = DEMO_SECRET,
        speed: float = 1.0,
        seed: int = 0,
        most_unsent_bytes: int = 4_194_304,
    ) -> None:
        if speed < 0:
            raise ValueError(f"speed must not be negative, got {speed}")
        self.recordings = (
            list(recordings) if recordings is not None else list(map(packaged, packaged_names()))
        )
        self.speed = speed
        self.picture = Picture(now=time.monotonic)
        self.port = 0
        self.listened_to = asyncio.Event()  # somebody has logged in at least once
        self.user = user
        self.secret = secret
        self._account = Account(user, secret)
        self._most_unsent_bytes = most_unsent_bytes
        self._random = random.Random(seed)  # noqa: S311 - an order, not a secret
        self._mint = IdMint(time.time, seed)
        self._known: dict[Recording, Known] = {}
        self._clients: set[DemoClient] = set()
        self._server: asyncio.Server | None = None
        self._learn_telephones()

    async def __aenter__(self) -> DemoPbx:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `port` then says where."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the door, then throw everybody out, as a killed PBX does."""
        if self._server is not None:
            self._server.close()
            self.throw_everybody_out()
            await self._server.wait_closed()
            self._server = None

    def throw_everybody_out(self) -> None:
        """Cut all links; whoever wants may come back."""
        for client in list(self._clients):
            client.throw_out()
        self._clients.clear()

    @property
    def listeners(self) -> int:
        """How many clients are logged in."""
        return sum(client.is_logged_in for client in self._clients)

    def new_names(self, known: Known) -> dict[bytes, bytes]:
        """Ids that nothing played so far has."""
        return self._mint.names_for(known)

    async def play(self, recording: Recording) -> None:
        """Play one recording from its first to its last event, with new ids. Several may play at once."""
        known = self._known.get(recording)
        if known is None:
            known = self._known[recording] = Known(recording)
        names = self.new_names(known)
        start = time.monotonic()
        for event in recording.events:
            await self._wait_until(start, event.seconds)
            self.tell(event.event_class, known.rename(event.raw, names))

    async def play_for_ever(
        self, *, rounds: int | None = None, lanes: int = 1, gap_seconds: float = 3.0
    ) -> None:
        """Play the recordings in a seeded order, round after round.

        Args:
            rounds: how often each recording is played; None is for ever.
            lanes: how many recordings overlap.
            gap_seconds: the mean silence between two of one lane.
        """
        order = self._order(rounds)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(lanes):
                tasks.create_task(self._play_lane(order, gap_seconds))

    async def drain(self) -> None:
        """Wait until everybody has read everything, but not for ever."""
        await self._wait_for_readers(left_bytes=0)

    def tell(self, event_class: str, raw: bytes) -> None:
        """Let something happen: it changes the picture, and all who listen hear it."""
        self.picture.note(AmiMessage(raw))
        message = raw + b"\r\n\r\n"
        for client in self._clients:
            client.tell(event_class, message)

    def _accept(self) -> DemoClient:
        self._clients = {client for client in self._clients if client.is_open}
        client = DemoClient(
            self._account,
            self.picture,
            most_unsent_bytes=self._most_unsent_bytes,
            clock=time.time,
            on_login=self.listened_to.set,
        )
        self._clients.add(client)
        return client

    def _order(self, rounds: int | None) -> Iterator[Recording]:
        played = 0
        while self.recordings and (rounds is None or played < rounds):
            played += 1
            yield from self._random.sample(self.recordings, len(self.recordings))

    async def _play_lane(self, order: Iterator[Recording], gap_seconds: float) -> None:
        for recording in order:
            await self.play(recording)
            await self._wait_until(time.monotonic(), self._random.uniform(0.5, 1.5) * gap_seconds)

    async def _wait_until(self, start: float, seconds: float) -> None:
        if self.speed:
            ahead = start + seconds / self.speed - time.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
        else:
            await self._wait_for_readers()

    async def _wait_for_readers(self, left_bytes: int = DRAINED_BYTES) -> None:
        """Let the slowest reader catch up; who does not in `PATIENCE_SECONDS` is thrown out."""
        await asyncio.sleep(0)
        slow = [client for client in self._clients if client.unsent_bytes > left_bytes]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while slow and time.monotonic() < deadline:
            await asyncio.sleep(0.002)
            slow = [client for client in slow if client.unsent_bytes > left_bytes]
        for client in slow:
            client.throw_out()

    def _learn_telephones(self) -> None:
        """A PBX knows its devices, hints and queue members from its configuration: before anything happens."""
        for recording in self.recordings:
            for event in recording.events:
                if event.raw.startswith(_TELEPHONE_EVENTS):
                    self.picture.note(AmiMessage(event.raw))
        for device in self.picture.devices:
            self.picture.devices[device] = "NOT_INUSE"
        for member in self.picture.members.values():
            member |= {"Status": "1", "InCall": "0", "Paused": "0"}
        for hint in self.picture.hints.values():
            hint |= {"Status": "0", "StatusText": "Idle"}


_TELEPHONE_EVENTS = (
    b"Event: QueueMemberStatus\r\n",
    b"Event: DeviceStateChange\r\n",
    b"Event: ExtensionStatus\r\n",
)


async def serve_demo_pbx(
    host: str,
    port: int,
    *,
    speed: float = 1.0,
    rounds: int | None = None,
    user: str = DEMO_USER,
    secret: str = DEMO_SECRET,
    seed: int = 0,
    lanes: int = 1,
    gap_seconds: float = 3.0,
    recordings: Sequence[Recording] | None = None,
    on_listening: Callable[[DemoPbx], Awaitable[None] | None] | None = None,
) -> None:
    """Listen and play until cancelled, or until the rounds are over. Playing starts with the first listener.

    Args:
        on_listening: called once the port is open; the port is `pbx.port` (host and port may be "127.0.0.1", 0).

    Raises:
        OSError: the address is taken or not ours.
        ValueError: the well-known secret on an address that others reach.
    """
    if secret == DEMO_SECRET and host not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError(f"The demo PBX has a well-known secret; on {host} it needs one of its own.")
    pbx = DemoPbx(recordings, user=user, secret=secret, speed=speed, seed=seed)
    await pbx.start(host, port)
    try:
        if on_listening is not None and (told := on_listening(pbx)) is not None:
            await told
        await pbx.listened_to.wait()
        await pbx.play_for_ever(rounds=rounds, lanes=lanes, gap_seconds=gap_seconds)
        await pbx.drain()
    finally:
        await pbx.stop()
