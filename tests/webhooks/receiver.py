"""A receiver of events as another program would be: a real server on loopback that keeps what came and answers as it is told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Answer = Callable[[dict[str, Any]], int | web.Response]


@dataclass
class Receiver:
    """What came, in order. `answer` gives the status, or the whole answer; `seconds`: how long it thinks."""

    answer: Answer = lambda _event: 200
    seconds: float = 0.0
    events: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    url: str = ""

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]

    def records(self) -> list[tuple[str, str]]:
        return [(event["type"], event["record"]["id"]) for event in self.events]

    async def hear(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        event = json.loads(body)
        self.events.append(event)
        await asyncio.sleep(self.seconds)
        answer = self.answer(event)
        return answer if isinstance(answer, web.Response) else web.Response(status=answer, text="noted")

    async def heard(self, count: int, *, seconds: float = 20) -> None:
        """Wait until so many requests came."""
        async with asyncio.timeout(seconds):
            while len(self.events) < count:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def receiving(answer: Answer = lambda _event: 200, seconds: float = 0.0) -> AsyncIterator[Receiver]:
    receiver = Receiver(answer, seconds)
    app = web.Application()
    app.router.add_post("/hook", receiver.hear)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/hook"))
        yield receiver


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """As the documentation tells receivers to check, written anew."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    good = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    offered = headers["webhook-signature"].split(" ")
    return any(hmac.compare_digest(each.partition(",")[2].encode(), good.encode()) for each in offered)
