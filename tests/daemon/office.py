"""A small office for tests of the whole program: one installation, one demo PBX, one agent at each extension."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from ami_adapter.demo.pbx import DemoPbx
from tests.pbx.ringcard_process import Ringcard

AGENTS = ("101", "102", "103")
PASSWORD = "a-long-enough-password"


@dataclass(slots=True)
class Office:
    """`tokens` by extension."""

    ringcard: Ringcard
    pbx: DemoPbx
    tokens: dict[str, str] = field(default_factory=dict)

    async def calls(self) -> list[dict[str, Any]]:
        """The journal, oldest first."""
        return [
            json.loads(line) for line in (await self.ringcard.run("export", "calls", "--json")).splitlines()
        ]

    async def ended_calls(self, count: int, seconds: float = 20) -> list[dict[str, Any]]:
        """The journal once it holds so many calls, all of them over."""
        async with asyncio.timeout(seconds):
            while True:
                calls = await self.calls()
                if len(calls) >= count and not any(call["open"] for call in calls):
                    return calls
                await asyncio.sleep(0.3)

    @asynccontextmanager
    async def listening(self, extension: str) -> AsyncIterator[Screen]:
        """What the agent at this extension is told, by an implementation of the protocol that is not ours."""
        url = self.ringcard.url.replace("http://", "ws://") + "/live"
        headers = {"Authorization": f"Bearer {self.tokens[extension]}"}
        async with connect(url, additional_headers=headers, compression=None) as socket:
            screen = Screen()
            reading = asyncio.create_task(screen.read(socket))
            try:
                await screen.until(lambda message: message["type"] == "hello")
                yield screen
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


class Screen:
    """Messages of one socket, in order."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._arrived = asyncio.Condition()

    async def read(self, socket: Any) -> None:
        try:
            async for text in socket:
                async with self._arrived:
                    self.messages.append(json.loads(text))
                    self._arrived.notify_all()
        except ConnectionClosed:
            return

    async def until(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 15) -> dict[str, Any]:
        """The first message that is wanted, waiting for it if need be."""
        async with asyncio.timeout(seconds), self._arrived:
            while True:
                for message in self.messages:
                    if wanted(message):
                        return message
                await self._arrived.wait()

    async def until_type(self, kind: str, seconds: float = 15) -> dict[str, Any]:
        return await self.until(lambda message: message["type"] == kind, seconds)

    def types(self) -> list[str]:
        return [message["type"] for message in self.messages]


@asynccontextmanager
async def open_office(*, speed: float = 4.0) -> AsyncIterator[Office]:
    """Everything but `serve`, which a test starts (and kills) itself."""
    folder = Path(tempfile.mkdtemp(prefix="ringcard-office-"))
    try:
        async with DemoPbx([], speed=speed) as pbx:
            office = Office(Ringcard(folder), pbx)
            await _furnish(office)
            try:
                yield office
            finally:
                await office.ringcard.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _furnish(office: Office) -> None:
    run, pbx = office.ringcard.run, office.pbx
    async with office.ringcard.serving():  # commands join its database instead of starting one each
        where = ("--host", "127.0.0.1", "--port", str(pbx.port), "--user", pbx.user, "--secret-stdin")
        await run("connection", "add", "lab", "--kind", "asterisk", *where, stdin=pbx.secret)
        await run("line", "add", "lab", "+74951234501", "--name", "Direct")
        for extension in AGENTS:
            login = f"agent{extension}"
            await run(
                "user",
                "add",
                login,
                "--name",
                f"Agent {extension}",
                "--role",
                "agent",
                "--password-stdin",
                stdin=PASSWORD,
            )
            await run("extension", "assign", "lab", extension, login)
            office.tokens[extension] = (await run("token", "create", login, "--name", "test")).strip()
