"""How long a dialplan waits for the answer who should get a call: over HTTP, among a million parties, 50 calls a second."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

import aiohttp
from sqlalchemy import insert, select, update

from bench.agents import percentile
from bench.company import Company, furnish
from bench.pop import free_port, server
from bench.rows import Row
from crm.database import open_database
from crm.rights import command_access
from crm.schema.access import Role, RoleAssignment, User
from crm.schema.parties import Party
from crm.tokens import create_token

SECONDS: Final = float(os.environ.get("BENCH_SECONDS", "60"))
CALLS_PER_SECOND: Final = 50
ASKED_FOR: Final = 1_000  # callers, in turn by chance
WARM_UP: Final = 50  # questions to a server that has just started, not counted
KNOWN: Final = 0.8  # of the callers
WANTED_MS: Final = 100.0


async def run() -> list[Row]:
    """The 99th percentile against what a caller may wait; questions come at random moments, not one after another."""
    with tempfile.TemporaryDirectory(prefix="ringcard-bench-") as folder:
        company = await furnish(Path(folder), ami_port=free_port())
        try:
            token = await _prepare(company)
            async for port in server(company):
                milliseconds = await _questions(
                    f"http://127.0.0.1:{port}/route", token, company.callers[:ASKED_FOR]
                )
        finally:
            await company.close()
    worst = percentile(milliseconds, 99)
    return [
        Row(
            name=f"route p99: {len(milliseconds):,} questions",
            ours=f"{worst:.1f} ms",
            floor=f"{WANTED_MS:.0f} ms",
            ratio=worst / WANTED_MS,
            wanted="≤ 1",
        )
    ]


async def _prepare(company: Company) -> str:
    """Every caller has a responsible, who is away: no PBX tells of them. Returns the token of the PBX."""
    database = await open_database(company.url)
    try:
        async with database.sessions.begin() as session:
            user_id = (
                await session.scalars(select(User.id).where(User.login.like("agent-%")).limit(1))
            ).one()
            owned = update(Party).where(Party.id <= 2 * ASKED_FOR).values(owner_id=user_id)
            await session.execute(owned)
            role_id = (await session.scalars(select(Role.id).where(Role.code == "telephony"))).one()
            row = {"login": "bench-pbx", "name": "PBX"}
            pbx_id = (await session.scalars(insert(User).values(row).returning(User.id))).one()
            await session.execute(insert(RoleAssignment).values(user_id=pbx_id, role_id=role_id))
            return await create_token(session, command_access(), pbx_id, "pbx", rights={"call.route": "all"})
    finally:
        await database.close()


async def _questions(url: str, token: str, callers: Sequence[str]) -> list[float]:
    choose = random.Random(0)
    credentials = aiohttp.BasicAuth("pbx", token)
    async with aiohttp.ClientSession(auth=credentials, connector=aiohttp.TCPConnector(limit=0)) as client:
        asked: list[asyncio.Task[float]] = []
        ends = time.perf_counter() + SECONDS
        while time.perf_counter() < ends:
            is_known = choose.random() < KNOWN
            caller = choose.choice(callers) if is_known else f"+78{choose.randint(0, 10**9 - 1):09d}"
            asked.append(asyncio.create_task(_ask(client, url, caller, is_known=is_known)))
            await asyncio.sleep(choose.expovariate(CALLS_PER_SECOND))
        return (await asyncio.gather(*asked))[WARM_UP:]


async def _ask(client: aiohttp.ClientSession, url: str, caller: str, *, is_known: bool) -> float:
    """Milliseconds. Raises AssertionError on a wrong answer."""
    began = time.perf_counter()
    query = {"connection": "bench", "caller": caller, "did": "74951234500"}
    async with client.get(url, params=query) as answer:
        told = parse_qs(await answer.text())
    milliseconds = (time.perf_counter() - began) * 1000
    if ("name" in told) is not is_known:
        raise AssertionError(f"{caller} is routed to {told}")
    return milliseconds
