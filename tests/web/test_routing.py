"""`/route` over HTTP: one line that a dialplan reads, for whoever holds the right, shown as CURL() can show it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from crm.database import Database
from crm.direct_reading import DirectReaders
from tests.crm import planting
from tests.cti.desk.calls import desk
from tests.web.frame import FakeGate, access_with, services_with
from web import routing
from web.app import create_app

Client = TestClient[web.Request, web.Application]
ASKED = "/route?connection=office&caller=89161234567&did=74951234500"


def password(token: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"pbx:{token}".encode()).decode()}


@pytest.fixture(scope="module")
async def office(database: Database) -> None:
    async with database.sessions.begin() as session:
        office = await planting.connection(session, "office")
        agent = await planting.user(session, "responsible")
        await planting.extension(session, office, "102", agent)
        firm = await planting.organisation(session, "Цветы & Ко, опт", kind="client", owner_id=agent)
        await planting.owns(session, firm, await planting.number(session, "+79161234567"))


@pytest.fixture
async def readers(database: Database) -> AsyncIterator[DirectReaders]:
    readers = DirectReaders(database, 2)
    yield readers
    readers.close()


@pytest_asyncio.fixture
async def client(
    database: Database, office: None, readers: DirectReaders, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Client]:
    monkeypatch.setattr(routing, "PATIENCE_SECONDS", 10)  # of a busy machine
    tokens = {"rc_pbx": access_with("telephony"), "rc_agent": access_with("agent")}
    gate = FakeGate(people={"s": access_with("telephony")}, tokens=tokens)
    services = replace(services_with(gate, desk(), sessions=database.sessions), readers=readers)
    app = create_app(services)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_the_answer_is_one_line_that_a_dialplan_reads(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for headers in (password("rc_pbx"), {"Authorization": "Bearer rc_pbx"}):
        answer = await client.get(ASKED, headers=headers)
        told = await answer.text()
        assert (answer.status, "\n" in told, "+" in told) == (200, False, False)
        assert {name: value for name, (value,) in parse_qs(told).items()} == {
            "action": "dial",
            "reason": "responsible",
            "extensions": "102",
            "extension": "102",
            "name": "Цветы & Ко, опт",
        }
    monkeypatch.setattr(routing, "PATIENCE_SECONDS", 0)
    late = parse_qs(await (await client.get(ASKED, headers=password("rc_pbx"))).text())
    assert (late["action"], late["reason"]) == (["fallback"], ["too_late"])


async def test_what_is_asked_wrongly_is_told_and_goes_the_usual_way(client: Client) -> None:
    answer = await client.get("/route?connection=nowhere" + "x" * 3000, headers=password("rc_pbx"))
    told = parse_qs(await answer.text())
    assert (answer.status, told["action"]) == (404, ["fallback"])
    assert "nowhere" in told["problem"][0]
    for odd in ("%00", "%FF", "%F0%9F%93%9E", "'; drop table party; --"):
        query = f"/route?connection={odd}&caller={odd}&did={odd}"
        assert (await client.get(query, headers=password("rc_pbx"))).status == 404
        query = f"/route?connection=office&caller={odd}&did={odd}"
        assert (await client.get(query, headers=password("rc_pbx"))).status == 200


async def test_only_tokens_with_the_right_are_answered_and_passwords_count_here_alone(client: Client) -> None:
    assert (await client.get(ASKED)).status == 401
    for refused in ("rc_wrong", "", "x" * 500):
        assert (await client.get(ASKED, headers=password(refused))).status == 401
    assert (await client.get(ASKED, headers={"Authorization": "Basic !!!"})).status == 401
    assert (await client.get(ASKED, headers=password("rc_agent"))).status == 404
    assert (await client.get("/api/v1/live", headers=password("rc_pbx"))).status == 401
