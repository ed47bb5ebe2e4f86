"""`GET /live`: the handshake of a socket, which messages it may send with which right, and the hub's life beside the application's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import WSMsgType, hdrs, web

from web.auth import credential_of
from web.keys import ACCESS, LIVE, SESSIONS
from web.live import CLOSE_SECONDS, MOST_SOCKETS_OF_A_USER, LiveHub
from web.live_socket import LiveSocket
from web.routes import SIGNED_IN, RouteKind, Routes
from web.security import is_own_origin

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

HEARTBEAT_SECONDS: Final = 20.0
MOST_MESSAGE_BYTES: Final = 4096


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
