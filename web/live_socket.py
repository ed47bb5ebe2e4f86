"""One live socket: what its client can take at once is written at once, the rest waits in a bounded queue for one writer.

Whoever puts never waits. A frame goes out on the spot only while nothing waits before it, so the order is kept.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import Final

import structlog
from aiohttp import WSMsgType, web

from crm.rights import Access
from web.bell import Bell
from web.gate import Credential

log = structlog.get_logger(__name__)

QUEUE_MESSAGES: Final = 100
# The kernel would take four megabytes for a client that does not read, and hide it from us all the while.
KERNEL_BYTES: Final = 65_536
CLOSED_SIGNED_OUT: Final = 4401
CLOSED_TOO_SLOW: Final = 4408


_watchers = itertools.count(1)


class LiveSocket:
    """What the hub knows of one connected browser or program."""

    def __init__(
        self,
        ws: web.WebSocketResponse,
        access: Access,
        credential: Credential,
        transport: asyncio.WriteTransport | None = None,
    ) -> None:
        self.access = access
        self.credential = credential
        self.watcher = next(_watchers)  # names this socket as a follower of the live board
        self.topics: set[str] = set()
        self.bell = Bell()
        self.hello_seq = 0
        self.is_closing = False
        self._ws = ws
        self._transport = transport
        self._is_writing = False  # the writer has a frame in hand
        if transport is not None and (tcp := transport.get_extra_info("socket")) is not None:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE_MESSAGES)

    def put(self, frame: bytes) -> bool:
        """Write or queue one message; False when the client does not keep up and must go."""
        if self.is_closing or self._is_written_at_once(frame):
            return True
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            return False
        return True

    def _is_written_at_once(self, frame: bytes) -> bool:
        """Spares a ringing call the writer's turn in the event loop. Only for a client that has read all it was sent."""
        is_free = self._transport is not None and self._transport.get_write_buffer_size() == 0
        if not is_free or self._is_writing or not self._queue.empty():
            return False
        # An empty buffer is not paused, so aiohttp has nothing to wait for: the first step is the whole way.
        sending = self._ws.send_frame(frame, WSMsgType.TEXT)
        try:
            sending.send(None)
        except StopIteration:
            return True
        except ConnectionError:
            log.debug("live_socket_gone", user_id=self.access.user_id)
            return True
        raise RuntimeError("aiohttp waits although the socket's buffer is empty")

    async def write(self) -> None:
        """Send what is queued, in order, until the socket goes."""
        try:
            while True:
                frame = await self._queue.get()
                self._is_writing = True
                await self._ws.send_frame(frame, WSMsgType.TEXT)
                self._is_writing = False
        except ConnectionError:
            log.debug("live_socket_gone", user_id=self.access.user_id)

    async def close(self, code: int, reason: str) -> None:
        """Say why, and hang up; does not wait for a client that no longer reads."""
        self.is_closing = True
        await self._ws.close(code=code, message=reason.encode(), drain=False)
