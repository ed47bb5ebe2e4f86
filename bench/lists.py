"""Every list of a million parties and five million calls, searches, a card, hints: in the database, and as the whole page.

Beside each figure stands the wanted one; then how many times the work in the database grew from a hundredth of the base.
"""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import delete, insert, select

from bench.asks import Ask, Asked, asked
from bench.names import keep_names
from bench.population import PARTIES, populated_server
from bench.rows import Row
from crm.database import Database, open_database
from crm.rights import command_access
from crm.schema.access import ApiToken, Role, RoleAssignment, User
from crm.schema.base import uuid7
from crm.sign_in import token_hash
from cti.desk import Desk, EmptyDirectory
from web.app import create_app
from web.crm_notes import CrmNotes
from web.gate import CrmGate
from web.keys import Services

TIMES = 15
FEWER = 100  # times
GROWTH = 2.0
ACCESS = command_access()
Browser = TestClient[web.Request, web.Application]


async def run() -> list[Row]:
    """Medians of fifteen, after two that warm up."""
    rows: list[Row] = []
    async with (
        populated_server(PARTIES // FEWER) as few_url,
        populated_server(PARTIES) as url,
        opened(few_url) as few,
        opened(url) as many,
        browser(many) as client,
    ):
        for base in (few_url, url):
            await keep_names(base)
        fewer = asked(PARTIES // FEWER)
        for name, each in asked(PARTIES).items():
            rows += await _rows(name, each, fewer[name].ask, few, many, client)
    return rows


async def _rows(
    name: str, each: Asked, ask_few: Ask, few: Database, many: Database, client: Browser
) -> list[Row]:
    of_few = await _median(partial(_ask, few, ask_few))
    of_many = await _median(partial(_ask, many, each.ask))
    rows = [_row(f"{name}: database", of_many, each.wanted)]
    if each.path:
        rows.append(_row(f"{name}: page", await _median(partial(_get, client, each.path)), each.wanted_page))
    grown = Row(
        name=f"{name}: {PARTIES:,} against {PARTIES // FEWER:,}",
        ours=f"{of_many:.1f} ms",
        floor=f"{of_few:.1f} ms",
        ratio=of_many / of_few,
        wanted=f"≤ {GROWTH:.0f}",
    )
    return [*rows, grown]


def _row(name: str, milliseconds: float, wanted: float) -> Row:
    return Row(
        name=name,
        ours=f"{milliseconds:.1f} ms",
        floor=f"{wanted:.0f} ms",
        ratio=milliseconds / wanted,
        wanted="≤ 1",
    )


async def _median(act: Callable[[], Awaitable[None]]) -> float:
    for _ in range(2):
        await act()
    milliseconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        await act()
        milliseconds.append((time.perf_counter() - began) * 1000)
    return statistics.median(milliseconds)


async def _ask(database: Database, ask: Ask) -> None:
    async with database.sessions() as session:
        await ask(session, ACCESS)


async def _get(client: Browser, path: str) -> None:
    async with client.get(path) as response:
        response.raise_for_status()
        await response.read()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The database for the length of the block."""
    database = await open_database(url)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def browser(database: Database) -> AsyncIterator[Browser]:
    """The pages over loopback HTTP, for an administrator."""
    token = f"rc_{secrets.token_urlsafe(32)}"
    async with database.sessions.begin() as session:
        row = {"login": f"bench-{token[3:11]}", "name": "Bench"}
        user_id = (await session.execute(insert(User).values(row).returning(User.id))).scalar_one()
        role_id = (await session.execute(select(Role.id).where(Role.code == "admin"))).scalar_one()
        await session.execute(insert(RoleAssignment).values(user_id=user_id, role_id=role_id))
        values = {"user_id": user_id, "name": "bench", "prefix": token[:10], "token_hash": token_hash(token)}
        await session.execute(insert(ApiToken).values(values))
    services = Services(
        sessions=database.sessions,
        gate=CrmGate(database.sessions, _now),
        notes=CrmNotes(),
        desk=Desk(EmptyDirectory(), epoch=uuid7().hex),
        now=_now,
    )
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with TestClient(TestServer(create_app(services)), headers=headers) as client:
            yield client
    finally:
        async with database.sessions.begin() as session:
            await session.execute(delete(ApiToken).where(ApiToken.user_id == user_id))
            await session.execute(delete(RoleAssignment).where(RoleAssignment.user_id == user_id))


def _now() -> datetime:
    return datetime.now(UTC)
