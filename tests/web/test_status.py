"""Health: named to anybody, with addresses and accounts only to this machine and to bearers of a token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.cti.desk.calls import desk
from tests.web.frame import FakeGate, access_with, services_with
from web.app import create_app
from web.gate import Credential
from web.proxies import networks
from web.status import FIND_TROUBLES, Trouble

Client = TestClient[web.Request, web.Application]
STRANGER = {"X-Forwarded-For": "203.0.113.9"}
TROUBLE = Trouble(
    what="connection",
    detail="Office: Asterisk at 192.0.2.5:5038 refused AMI user 'canary'.",
    outline="Office: login_refused",
    is_fatal=False,
)


class AwayGate(FakeGate):
    """The database is away."""

    async def access(self, credential: Credential) -> None:
        raise ConnectionRefusedError


@pytest_asyncio.fixture(params=[(), ("127.0.0.1", "::1")], ids=["unknown proxy", "trusted proxy"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    gate = FakeGate(people={}, tokens={"rc_t": access_with("agent")})
    app = create_app(services_with(gate, desk(), trusted_proxies=networks(request.param)))

    async def find() -> list[Trouble]:
        return [TROUBLE]

    app[FIND_TROUBLES] = find
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_readiness_names_what_is_wrong(client: Client) -> None:
    told = await (await client.get("/readyz")).json()
    wanted = {"what": "connection", "detail": TROUBLE.detail, "is_fatal": False}
    assert told == {"status": "degraded", "troubles": [wanted]}


async def test_t29_strangers_are_told_no_addresses_and_accounts(client: Client) -> None:
    answer = await client.get("/readyz", headers=STRANGER)
    told = await answer.json()
    assert (answer.status, told["status"]) == (200, "degraded")
    assert told["troubles"][0]["detail"] == "Office: login_refused"
    assert "canary" not in await answer.text()


async def test_t30_a_request_that_a_proxy_passed_on_is_not_of_this_machine(client: Client) -> None:
    assert (await client.get("/metrics")).status == 200
    assert (await client.get("/metrics", headers=STRANGER)).status == 404
    bearer = STRANGER | {"Authorization": "Bearer rc_t"}
    assert (await client.get("/metrics", headers=bearer)).status == 200
    assert (await client.get("/readyz", headers=bearer)).status == 200


async def test_i13_health_is_told_while_the_database_is_away() -> None:
    app = create_app(services_with(AwayGate(people={}), desk()))

    async def find() -> list[Trouble]:
        return [Trouble(what="database", detail="gone", outline="gone", is_fatal=True)]

    app[FIND_TROUBLES] = find
    async with TestClient(TestServer(app)) as client:
        bearer = STRANGER | {"Authorization": "Bearer rc_t"}
        answer = await client.get("/readyz", headers=bearer)
        assert (answer.status, (await answer.json())["status"]) == (503, "not_ready")
        assert (await client.get("/healthz")).status == 200
        assert (await client.get("/metrics", headers=bearer)).status == 404
