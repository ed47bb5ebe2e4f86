"""One live socket: a bounded queue and its single writer. Whoever puts never waits."""

from __future__ import annotations

import asyncio
import itertools
from typing import Final

import structlog
from aiohttp import ClientConnectionResetError, WSMsgType, web

from crm.rights import Access
from web.gate import Credential

log = structlog.get_logger(__name__)

QUEUE_MESSAGES: Final = 100
CLOSED_SIGNED_OUT: Final = 4401
CLOSED_TOO_SLOW: Final = 4408


_watchers = itertools.count(1)


class LiveSocket:
    """What the hub knows of one connected browser or program."""

    def __init__(self, ws: web.WebSocketResponse, access: Access, credential: Credential) -> None:
        self.access = access
        self.credential = credential
        self.watcher = next(_watchers)  # names this socket as a follower of the live board
        self.topics: set[str] = set()
        self.hello_seq = 0
        self.is_closing = False
        self._ws = ws
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE_MESSAGES)

    def put(self, frame: bytes) -> bool:
        """Queue one message; False when the client does not keep up and must go."""
        if self.is_closing:
            return True
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            return False
        return True

    async def write(self) -> None:
        """Send what is queued, in order, until the socket goes."""
        send, get = self._ws.send_frame, self._queue.get
        try:
            while True:
                await send(await get(), WSMsgType.TEXT)
        except (ClientConnectionResetError, ConnectionError):
            log.debug("live_socket_gone", user_id=self.access.user_id)

    async def close(self, code: int, reason: str) -> None:
        """Say why, and hang up; does not wait for a client that no longer reads."""
        self.is_closing = True
        await self._ws.close(code=code, message=reason.encode(), drain=False)
