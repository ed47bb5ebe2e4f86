"""A whole day's desk at once: 300 agents with three sockets each, two of them in Chromium, 50 ringing calls a second.

The floor is the bare relay of the `pop` benchmark with as many sockets. The figures of drawn windows are those that the
pages acknowledge and the program stores; memory is what the program tells of itself.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from playwright.async_api import async_playwright
from sqlalchemy import insert, select

from ami_adapter.demo.pbx import DemoPbx
from ami_adapter.demo.storm import RingStorm
from bench.agents import Agents, Delays, delays_of, percentile
from bench.company import Company, furnish
from bench.pop import CALLS_PER_SECOND, SETTLE_SECONDS, relay, server
from bench.rows import Row
from crm.database import open_database
from crm.schema.access import User, UserSession
from crm.schema.windows import PopDelay
from crm.sign_in import token_hash

SECONDS = float(os.environ.get("BENCH_SECONDS", "600"))
FLOOR_SECONDS = max(20.0, SECONDS / 20)  # before us, and after us
SOCKETS_EACH = 3  # a browser without shared workers, with three tabs
CHROMIUMS = 2
CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
DRAWN_MS = 150.0
SOCKET_KB = 50.0
MOST_GROWTH = 1.1  # last quarter of the run against its first
MEMORY, PROCESSOR = "process_resident_memory_bytes", "process_cpu_seconds_total"
STORED_SECONDS = 7.0  # until the program has written down what the pages acknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run: milliseconds, kilobytes of each further socket, bytes of the process in order of time, share of a core."""

    delays: Delays
    drawn: tuple[float, ...]
    socket_kb: float
    memory: tuple[float, ...]
    processor: float


async def run() -> list[Row]:
    """The floor, the program, the floor again."""
    with tempfile.TemporaryDirectory(prefix="ringcard-bench-") as folder:
        async with DemoPbx([]) as pbx:
            company = await furnish(Path(folder), ami_port=pbx.port)
            try:
                before = await _floor(pbx, company)
                ours = await _ours(pbx, company)
                after = await _floor(pbx, company)
            finally:
                await company.close()
    return _rows((before, after), ours)


def _rows(floors: Sequence[Delays], ours: Measured) -> list[Row]:
    floor = statistics.mean(percentile(each.ringing, 99) for each in floors)
    own = percentile(ours.delays.ringing, 99)
    drawn = percentile(ours.drawn, 95)
    quarter = max(1, len(ours.memory) // 4)
    first, last = statistics.mean(ours.memory[:quarter]), statistics.mean(ours.memory[-quarter:])
    missing = sum(each.missing for each in (*floors, ours.delays))
    return [
        Row(
            name="desk: frame received p99",
            ours=f"{own:.2f} ms",
            floor=f"{floor:.2f} ms",
            ratio=own / floor,
            wanted="≤ 4",
        ),
        _bound(f"desk: window drawn p95 of {len(ours.drawn)}", drawn, DRAWN_MS, "ms"),
        _bound("desk: memory of a socket", ours.socket_kb, SOCKET_KB, "KB"),
        Row(
            name="desk: memory, last quarter to first",
            ours=f"{last / 2**20:.0f} MB",
            floor=f"{first / 2**20:.0f} MB",
            ratio=last / first,
            wanted=f"≤ {MOST_GROWTH}",
        ),
        Row(name="desk: frames missing", ours=str(missing), floor="0", ratio=float(missing), wanted="≤ 0"),
        Row(
            name="desk: processor",
            ours=f"{ours.processor:.0%}",
            floor="a core",
            ratio=ours.processor,
        ),
    ]


def _bound(name: str, figure: float, most: float, unit: str) -> Row:
    return Row(
        name=name,
        ours=f"{figure:.1f} {unit}",
        floor=f"{most:.0f} {unit}",
        ratio=figure / most,
        wanted="≤ 1",
    )


async def _floor(pbx: DemoPbx, company: Company) -> Delays:
    serving = relay(pbx, company)
    url = f"ws://127.0.0.1:{await anext(serving)}/live"
    try:
        async with Agents(url, company.tokens, each=SOCKETS_EACH) as agents:
            return await _ring(pbx, company, agents, FLOOR_SECONDS)
    finally:
        await anext(serving, None)


async def _ours(pbx: DemoPbx, company: Company) -> Measured:
    serving = server(company)
    port = await anext(serving)
    try:
        async with AsyncExitStack() as stack:
            at_screens = await stack.enter_async_context(_screens(company, port))
            agents, socket_kb = await _seated(stack, company, port)
            memory: list[float] = []
            watching = asyncio.create_task(_watch(port, memory))
            began, worked = time.perf_counter(), await _told(port, PROCESSOR)
            delays = await _ring(pbx, company, agents, SECONDS)
            processor = (await _told(port, PROCESSOR) - worked) / (time.perf_counter() - began)
            watching.cancel()
            await asyncio.sleep(STORED_SECONDS)
            drawn = await _drawn(company, at_screens)
    finally:
        await anext(serving, None)
    return Measured(
        delays=delays, drawn=drawn, socket_kb=socket_kb, memory=tuple(memory), processor=processor
    )


async def _seated(stack: AsyncExitStack, company: Company, port: int) -> tuple[Agents, float]:
    """Everybody's sockets. The first one of each pays for what all of them share; the others are weighed."""
    url = f"ws://127.0.0.1:{port}/live"
    agents = await stack.enter_async_context(Agents(url, company.tokens))
    await asyncio.sleep(SETTLE_SECONDS)
    before = await _told(port, MEMORY)
    more = Agents(url, company.tokens, each=SOCKETS_EACH - 1, seen=agents.seen)
    await stack.enter_async_context(more)
    await asyncio.sleep(SETTLE_SECONDS)
    weighed = len(company.tokens) * (SOCKETS_EACH - 1)
    return agents, (await _told(port, MEMORY) - before) / 1024 / weighed


async def _ring(pbx: DemoPbx, company: Company, agents: Agents, seconds: float) -> Delays:
    while not pbx.listeners:
        await asyncio.sleep(0.1)
    await asyncio.sleep(SETTLE_SECONDS)
    storm = RingStorm(
        calls_per_second=CALLS_PER_SECOND,
        callers=company.callers,
        extensions=list(company.tokens),
        ring_seconds=3.0,
    )
    calls = await storm.run(pbx, seconds)
    await asyncio.sleep(SETTLE_SECONDS)
    return delays_of(calls, agents.seen, sockets=SOCKETS_EACH)


@asynccontextmanager
async def _screens(company: Company, port: int) -> AsyncIterator[list[int]]:
    """Chromiums of the first agents, a process each, with a page open; gives the users who sit there."""
    url = f"http://127.0.0.1:{port}"
    async with async_playwright() as playwright, AsyncExitStack() as stack:
        users = []
        for extension in list(company.tokens)[:CHROMIUMS]:
            user_id, cookie = await _signed_in(company, extension)
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            stack.push_async_callback(browser.close)
            context = await browser.new_context(locale="ru-RU", viewport={"width": 1440, "height": 900})
            await context.add_cookies([{"name": "ringcard", "value": cookie, "url": url}])
            page = await context.new_page()
            await page.goto(f"{url}/parties")
            await page.locator("line-state[data-state=up]").first.wait_for(state="attached", timeout=60_000)
            users.append(user_id)
        yield users


async def _signed_in(company: Company, extension: str) -> tuple[int, str]:
    """A session of this agent: the user's id, and what the cookie holds."""
    cookie = secrets.token_urlsafe(16)
    database = await open_database(await company.cluster.start())
    try:
        async with database.sessions.begin() as session:
            find = select(User.id).where(User.login == f"agent-{extension}")
            user_id = (await session.execute(find)).scalar_one()
            row = {"user_id": user_id, "token_hash": token_hash(cookie)}
            await session.execute(insert(UserSession).values(row))
    finally:
        await database.close()
    return user_id, cookie


async def _drawn(company: Company, users: Sequence[int]) -> tuple[float, ...]:
    """Milliseconds from the PBX's event to the window, as the pages acknowledged them."""
    database = await open_database(await company.cluster.start())
    try:
        async with database.sessions() as session:
            found = await session.scalars(select(PopDelay.milliseconds).where(PopDelay.user_id.in_(users)))
            return tuple(map(float, found)) or (float("inf"),)
    finally:
        await database.close()


async def _watch(port: int, memory: list[float]) -> None:
    """Memory over the run, a hundred times."""
    while True:
        memory.append(await _told(port, MEMORY))
        await asyncio.sleep(max(0.5, SECONDS / 100))


async def _told(port: int, figure: str) -> float:
    """A figure of the program's process, as it tells it itself."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{figure} ")))
