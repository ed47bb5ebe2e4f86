"""What an administrator does on the first day, as the tests at a real PBX need it."""

from __future__ import annotations

import asyncio

import aiohttp

from tests.pbx.asterisk_lab import READER, AsteriskLab
from tests.pbx.ringcard_process import Ringcard

PASSWORD = "for the people of this test"


async def add_connection(ringcard: Ringcard, pbx: AsteriskLab, name: str) -> None:
    address = ("--host", pbx.host, "--port", str(pbx.ami_port), "--user", READER)
    secret = ("--kind", "asterisk", *address, "--secret-stdin")
    await ringcard.run("connection", "add", name, *secret, stdin=pbx.secret_of(READER))


async def add_user(ringcard: Ringcard, login: str, role: str) -> None:
    name = login.replace("agent", "Agent ")
    await ringcard.run(
        "user", "add", login, "--name", name, "--role", role, "--password-stdin", stdin=PASSWORD
    )


async def api_of(ringcard: Ringcard, login: str) -> aiohttp.ClientSession:
    """A client of the API with this user's rights, to be closed by whoever asked for it."""
    token = await ringcard.run("token", "create", login, "--name", "test")
    return aiohttp.ClientSession(ringcard.url, headers={"Authorization": f"Bearer {token.split()[-1]}"})


async def until_up(api: aiohttp.ClientSession) -> None:
    """A running server takes a new connection up within five seconds."""
    async with asyncio.timeout(10):
        while True:
            async with api.get("/api/v1/connections") as answer:
                if [item["state"] for item in (await answer.json())["items"]] == ["up"]:
                    return
            await asyncio.sleep(0.2)
