"""Every list of a million parties and five million calls, searches, a card, hints: in the database, and as the whole page.

Beside each figure stands the wanted one; then how many times the work in the database grew from a hundredth of the base.
"""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from bench.asks import Ask, Asked, asked
from bench.names import keep_names
from bench.plans import read_whole
from bench.population import PARTIES, populated_server
from bench.rows import Row
from crm.database import Database, open_database
from crm.errors import NotAllowed, NotFound
from crm.rights import Access, access_of, command_access
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
WHO = {"": None, ", a head": 1, ", an agent": 100}  # ids of the filled base
Browser = TestClient[web.Request, web.Application]


async def run() -> list[Row]:
    """Medians of fifteen, after two that warm up: of whoever may see everything, of a head's team, of an agent's own."""
    rows: list[Row] = []
    async with (
        populated_server(PARTIES // FEWER) as few_url,
        populated_server(PARTIES) as url,
        opened(few_url) as few,
        opened(url) as many,
    ):
        for base in (few_url, url):
            await keep_names(base)
        fewer = asked(PARTIES // FEWER)
        for who, user_id in WHO.items():
            async with many.sessions() as session:
                access = await access_of(session, user_id) if user_id else command_access()
            if access is None:
                raise LookupError(f"There is no user {user_id}.")
            async with browser(many, user_id) as client:
                for name, each in asked(PARTIES).items():
                    asks = Asks(access=access, few=few, many=many, client=client)
                    rows += await asks.rows(f"{name}{who}", each, fewer[name].ask)
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Asks:
    """Where one user asks."""

    access: Access
    few: Database
    many: Database
    client: Browser

    async def rows(self, name: str, each: Asked, ask_few: Ask) -> list[Row]:
        """Nothing, if it is outside this user's rights."""
        try:
            whole = await self._whole(each.ask)
            of_few = await _median(partial(self._ask, self.few, ask_few))
            of_many = await _median(partial(self._ask, self.many, each.ask))
        except (NotAllowed, NotFound):
            return []
        rows = [whole_row(name, whole), _row(f"{name}: database", of_many, each.wanted)]
        if each.path:
            page = await _median(partial(_get, self.client, each.path))
            rows.append(_row(f"{name}: page", page, each.wanted_page))
        grown = Row(
            name=f"{name}: {PARTIES:,} against {PARTIES // FEWER:,}",
            ours=f"{of_many:.1f} ms",
            floor=f"{of_few:.1f} ms",
            ratio=of_many / of_few,
            wanted=f"≤ {GROWTH:.0f}",
        )
        return [*rows, grown]

    async def _ask(self, database: Database, ask: Ask) -> None:
        async with database.sessions() as session:
            await ask(session, self.access)

    async def _whole(self, ask: Ask) -> int:
        async with self.many.sessions() as session:
            return len(await read_whole(session, self.access, ask))


def whole_row(name: str, whole: int) -> Row:
    return Row(
        name=f"{name}: growing tables read whole", ours=str(whole), floor="0", ratio=whole, wanted="≤ 0"
    )


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
async def browser(database: Database, user_id: int | None = None) -> AsyncIterator[Browser]:
    """The pages over loopback HTTP, for a user; for an administrator of its own, if none is named."""
    token = f"rc_{secrets.token_urlsafe(32)}"
    async with database.sessions.begin() as session:
        asking = user_id or await _administrator(session, token[3:11])
        values = {"user_id": asking, "name": "bench", "prefix": token[:10], "token_hash": token_hash(token)}
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
            await session.execute(delete(ApiToken).where(ApiToken.user_id == asking))
            if user_id is None:
                await session.execute(delete(RoleAssignment).where(RoleAssignment.user_id == asking))


async def _administrator(session: AsyncSession, login: str) -> int:
    row = {"login": f"bench-{login}", "name": "Bench"}
    user_id = (await session.execute(insert(User).values(row).returning(User.id))).scalar_one()
    role_id = (await session.execute(select(Role.id).where(Role.code == "admin"))).scalar_one()
    await session.execute(insert(RoleAssignment).values(user_id=user_id, role_id=role_id))
    return user_id


def _now() -> datetime:
    return datetime.now(UTC)
