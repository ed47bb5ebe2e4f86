"""Three hundred agents at their browsers, for the `pop` benchmark: sockets of an independent implementation."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed


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


class Agents:
    """Opens a socket for each agent and listens to all of them."""

    def __init__(self, url: str, tokens: dict[str, str]) -> None:
        self._url = url
        self._tokens = tokens
        self.seen = Seen()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Agents:
        extensions = list(self._tokens)
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


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that this many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
