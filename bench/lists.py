"""The list of a million parties: its first page and a page of search, in the database and as the whole answer.

Shown beside the wanted 20 ms and 100 ms of the first page; for searches, which do more, the same bounds are shown.
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
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from bench.population import PARTIES, number_of, populated_server
from bench.rows import Row
from crm.database import Database, open_database
from crm.party_lists import PartyFilter, Sort, list_parties
from crm.party_search import search_parties
from crm.rights import command_access
from crm.schema.access import ApiToken, Role, RoleAssignment, User
from crm.schema.base import uuid7
from crm.sign_in import token_hash
from cti.desk import Desk, EmptyDirectory
from web.app import create_app
from web.crm_notes import CrmNotes
from web.gate import CrmGate
from web.keys import Services

TIMES = 30
DATABASE_MS = 20.0
PAGE_MS = 100.0
ACCESS = command_access()
Ask = Callable[[AsyncSession], Awaitable[object]]
Browser = TestClient[web.Request, web.Application]


async def run() -> list[Row]:
    """Medians of thirty, after three that warm up."""
    digits = number_of(PARTIES // 2)[-7:]
    asked: dict[str, tuple[Ask, str]] = {
        "list by name": (lambda session: list_parties(session, ACCESS, PartyFilter()), "/parties"),
        "list by last communication": (
            lambda session: list_parties(session, ACCESS, PartyFilter(), sort=Sort.LAST_COMMUNICATION),
            "/parties?sort=last_communication",
        ),
        "search by name": (lambda session: search_parties(session, ACCESS, "ромашка"), "/parties?q=ромашка"),
        "search by digits": (lambda session: search_parties(session, ACCESS, digits), f"/parties?q={digits}"),
    }
    rows: list[Row] = []
    async with populated_server(PARTIES) as url, opened(url) as database, browser(database) as client:
        for name, (ask, path) in asked.items():
            in_database = await _median(partial(_ask, database, ask))
            in_all = await _median(partial(_get, client, path))
            rows.append(_row(f"{name}: database", in_database, DATABASE_MS))
            rows.append(_row(f"{name}: page", in_all, PAGE_MS))
    return rows


def _row(name: str, milliseconds: float, wanted: float) -> Row:
    return Row(
        name=name,
        ours=f"{milliseconds:.1f} ms",
        floor=f"{wanted:.0f} ms",
        ratio=milliseconds / wanted,
        wanted="≤ 1",
    )


async def _median(act: Callable[[], Awaitable[None]]) -> float:
    for _ in range(3):
        await act()
    milliseconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        await act()
        milliseconds.append((time.perf_counter() - began) * 1000)
    return statistics.median(milliseconds)


async def _ask(database: Database, ask: Ask) -> None:
    async with database.sessions() as session:
        await ask(session)


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
    async with TestClient(TestServer(create_app(services)), headers=headers) as client:
        yield client


def _now() -> datetime:
    return datetime.now(UTC)
