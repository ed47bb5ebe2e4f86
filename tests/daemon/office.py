"""A small office for tests of the whole program: one installation, one demo PBX, one agent at each extension."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from ami_adapter.demo.pbx import DemoPbx
from crm.accounts import create_user
from crm.database import migrate, open_database
from crm.embedded import EmbeddedCluster
from crm.extensions import assign_extension
from crm.lines import add_line
from crm.rights import command_access
from crm.sealing import open_seal
from crm.telephony import AsteriskSettings, add_connection
from crm.tokens import create_token
from tests.pbx.ringcard_process import Ringcard

AGENTS = ("101", "102", "103")


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
async def open_office(
    *, speed: float = 4.0, extensions: Sequence[str] = AGENTS, role: str = "agent"
) -> AsyncIterator[Office]:
    """Everything but `serve`, which a test starts (and kills) itself."""
    folder = Path(tempfile.mkdtemp(prefix="ringcard-office-"))
    try:
        async with DemoPbx([], speed=speed) as pbx:
            office = Office(Ringcard(folder), pbx)
            await _furnish(office, extensions, role)
            try:
                yield office
            finally:
                await office.ringcard.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _furnish(office: Office, extensions: Sequence[str], role: str) -> None:
    """By the functions below the commands: a dozen processes would cost half a minute."""
    cluster = EmbeddedCluster(office.ringcard.data)
    url = await cluster.start()
    await migrate(url)
    database = await open_database(url)
    try:
        async with database.sessions.begin() as session:
            await _write(session, office, extensions, role)
    finally:
        await database.close()
        await cluster.stop()


async def _write(session: AsyncSession, office: Office, extensions: Sequence[str], role: str) -> None:
    access, pbx = command_access(), office.pbx
    settings = AsteriskSettings(host="127.0.0.1", port=pbx.port, user=pbx.user)
    seal = open_seal(office.ringcard.data / "key")
    connection_id = await add_connection(
        session, access, name="lab", settings=settings, secret=pbx.secret, seal=seal
    )
    await add_line(session, access, connection_id, "+74951234501", "Direct")
    for extension in extensions:
        user_id = await create_user(
            session, access, login=f"agent{extension}", name=f"Agent {extension}", role_codes=[role]
        )
        await assign_extension(session, access, connection_id, extension, user_id)
        office.tokens[extension] = await create_token(session, access, user_id, "test")
