"""Agents at their browsers: sockets of an independent implementation, and how quickly each call came to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ami_adapter.demo.storm import StormCall

OPEN_SECONDS = 60.0


@dataclass(slots=True)
class Seen:
    """When frames came: (extension, type, phone) → perf_counter of each, in order."""

    frames: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)

    def note(self, extension: str, text: str | bytes) -> None:
        """Note the time first, and only then look what it is."""
        at = time.perf_counter()
        message = json.loads(text)
        data = message.get("data") or {}
        key = (extension, message.get("type", ""), data.get("phone") or "")
        self.frames.setdefault(key, []).append(at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """Milliseconds of one run, a figure for each frame; `missing` frames never came."""

    ringing: tuple[float, ...]
    matched: tuple[float, ...]
    missing: int


class Agents:
    """Opens sockets for each agent and listens to all of them.

    Args:
        tokens: extension → API token.
        each: how many sockets of one agent.
        seen: where to note what comes, if other sockets note there, too.
    """

    def __init__(self, url: str, tokens: dict[str, str], *, each: int = 1, seen: Seen | None = None) -> None:
        self._url = url
        self._tokens = tokens
        self._each = each
        self.seen = seen or Seen()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Agents:
        extensions = list(self._tokens) * self._each
        for start in range(0, len(extensions), 50):
            sockets = await asyncio.gather(
                *(self._open(extension) for extension in extensions[start : start + 50])
            )
            for extension, socket in zip(extensions[start : start + 50], sockets, strict=True):
                self._tasks.append(asyncio.create_task(self._listen(extension, socket)))
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _open(self, extension: str) -> ClientConnection:
        """Hundreds come at once: whoever is told to come later does, as browsers do."""
        deadline = time.perf_counter() + OPEN_SECONDS
        while True:
            try:
                return await self._connect(extension)
            except (InvalidStatus, TimeoutError):
                if time.perf_counter() > deadline:
                    raise
                await asyncio.sleep(0.5)

    async def _connect(self, extension: str) -> ClientConnection:
        headers = {"Authorization": f"Bearer {self._tokens[extension]}"}
        url = f"{self._url}?extension={extension}"
        socket = await connect(
            url, additional_headers=headers, compression=None, ping_interval=None, open_timeout=30
        )
        await socket.recv()  # hello
        return socket

    async def _listen(self, extension: str, socket: ClientConnection) -> None:
        try:
            with contextlib.suppress(ConnectionClosed):
                async for message in socket:
                    self.seen.note(extension, message)
        finally:
            await socket.close()


def delays_of(calls: Sequence[StormCall], seen: Seen, *, sockets: int = 1) -> Delays:
    """From the moment each call rang to the frames in its agent's sockets."""
    ringing: list[float] = []
    matched: list[float] = []
    missing = 0
    for call in calls:
        rang = _frames(seen, call, "call.ringing", sockets)
        missing += sockets - len(rang)
        ringing += rang
        matched += _frames(seen, call, "call.matched", sockets) if rang else []
    return Delays(ringing=tuple(ringing), matched=tuple(matched or (float("inf"),)), missing=missing)


def _frames(seen: Seen, call: StormCall, kind: str, most: int) -> list[float]:
    """Milliseconds until the first frames of this kind after the call rang; a bare relay's frames name no phone."""
    for phone in (call.caller, ""):
        came = seen.frames.get((call.extension, kind, phone), [])
        first = bisect_left(came, call.rang_at)
        if first < len(came):
            return [(at - call.rang_at) * 1000 for at in came[first : first + most]]
    return []


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that this many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
