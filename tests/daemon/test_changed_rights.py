"""G7 as a whole: database, listener, hub, socket and pages together; what changes is felt within a second everywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientWebSocketResponse, WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer

from crm import accounts, roles, teams
from crm.changes import ACCESS_CHANNEL
from crm.database import Database
from crm.rights import Access
from cti.daemon.listening import Listener
from cti.desk import Desk
from tests.crm.people import COMMAND, make_team, make_user
from tests.web.frame import FakeDirectory, FakeNotes
from web.app import create_app
from web.gate import CrmGate
from web.keys import LIVE, Services
from web.live_socket import CLOSED_SIGNED_OUT

PASSWORD = "correct horse battery"
Client = TestClient[web.Request, web.Application]


@pytest_asyncio.fixture(loop_scope="session")
async def client(database: Database) -> AsyncIterator[Client]:
    """The application, and what `serve` wires to it: whose rights changed is heard from the database."""
    services = Services(
        sessions=database.sessions,
        gate=CrmGate(database.sessions, lambda: datetime.now(UTC)),
        notes=FakeNotes(),
        desk=Desk(FakeDirectory(agents={}), epoch="test"),
        now=lambda: datetime.now(UTC),
        default_language="en",
    )
    app, listens = create_app(services), asyncio.Event()
    async with TestClient(TestServer(app)) as client:
        hear = {ACCESS_CHANNEL: lambda user_id: app[LIVE].rechecks.changed(int(user_id))}
        listening = asyncio.create_task(Listener(database, hear, listens.set).run())
        await asyncio.wait_for(listens.wait(), 5)
        yield client
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def person(database: Database, role: str, team_id: int | None = None) -> tuple[Access, dict[str, str]]:
    """A user who has signed in: their access, and the headers of their browser."""
    async with database.sessions.begin() as session:
        access = await make_user(session, (role,), password=PASSWORD, team_id=team_id, is_head=role == "head")
    at = datetime.now(UTC)
    came = await accounts.sign_in(database.sessions, access.login, PASSWORD, "127.0.0.1", "test", at)
    assert isinstance(came, accounts.SignedIn)
    return access, {"Cookie": f"ringcard={came.token}"}


async def socket_of(client: Client, headers: dict[str, str]) -> ClientWebSocketResponse:
    own = str(client.make_url("/")).rstrip("/")
    socket = await client.ws_connect("/live", headers=headers | {"Origin": own})
    assert (await heard(socket))["type"] == "hello"
    return socket


async def heard(socket: ClientWebSocketResponse) -> dict[str, Any]:
    """The next message, which must come within a second."""
    message: dict[str, Any] = json.loads(await socket.receive_str(timeout=1))
    return message


async def test_g07_a_blocked_users_sessions_sockets_and_tokens_end_within_a_second(
    client: Client, database: Database
) -> None:
    access, browser = await person(database, "agent")
    async with database.sessions.begin() as session:
        token = await accounts.create_token(session, COMMAND, access.user_id, "program")
    program = {"Authorization": f"Bearer {token}"}
    of_browser, of_program = await socket_of(client, browser), await socket_of(client, program)
    assert (await client.get("/me", headers=browser)).status == 200
    async with database.sessions.begin() as session:
        await accounts.block_user(session, COMMAND, access.user_id)
    for socket in (of_browser, of_program):
        closed = await socket.receive(timeout=1)
        assert (closed.type, closed.data) == (WSMsgType.CLOSE, CLOSED_SIGNED_OUT)
    page = await client.get("/me", headers=browser, allow_redirects=False)
    assert page.headers["Location"].startswith("/sign-in")
    assert (await client.get("/api/v1/me", headers=program)).status == 401


async def test_g07_a_changed_role_narrows_open_sockets_and_sessions_within_a_second(
    client: Client, database: Database
) -> None:
    async with database.sessions.begin() as session:
        team = await make_team(session, "Watched")
    _, browser = await person(database, "head", team)
    socket = await socket_of(client, browser)
    await socket.send_json({"type": "sub", "topics": ["agents"]})
    assert (await heard(socket))["type"] == "live.agents"
    async with database.sessions.begin() as session:
        head = next(role for role in await roles.list_roles(session, COMMAND) if role.code == "head")
        left = {"party.read": "own", "live.own": "all"}
        await roles.edit_role(session, COMMAND, head.id, version=head.version, name="", scopes=left)
    told = await heard(socket)
    assert (told["type"], told["data"]["right"]) == ("refused", "live.board")
    assert (await client.get("/live-calls", headers=browser)).status == 404
    assert (await client.get("/parties/new", headers=browser)).status == 404
    async with database.sessions.begin() as session:
        await roles.restore_role(session, COMMAND, head.id)
    assert (await client.get("/live-calls", headers=browser)).status == 200
    await socket.close()


@pytest.mark.parametrize("change", ["head", "moved"])
async def test_g07_another_place_in_the_tree_is_felt_within_a_second(
    client: Client, database: Database, change: str
) -> None:
    async with database.sessions.begin() as session:
        above, below = (
            await make_team(session, f"above {change}"),
            await make_team(session, f"below {change}"),
        )
        if change == "head":
            await teams.edit_team(session, COMMAND, below, version=1, name="below", parent_id=above)
    access, browser = await person(database, "head", above)
    socket = await socket_of(client, browser)
    await socket.send_json({"type": "sub", "topics": ["calls"]})
    assert (await heard(socket))["type"] == "live.calls"
    async with database.sessions.begin() as session:
        if change == "moved":
            await teams.edit_team(session, COMMAND, below, version=1, name="below", parent_id=above)
        else:
            stay = (await teams.members_of(session, COMMAND, above))[0]
            await teams.set_head(session, COMMAND, stay.membership_id, is_head=False)
        changed = await accounts.access_of(session, access.user_id)
    assert (await heard(socket))["type"] == "live.calls"  # judged anew
    assert changed is not None
    assert changed.team_ids == ({above, below} if change == "moved" else {above})
    await socket.close()
