"""Requests that another site made in our user's name, and text that wants to be more than text."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from markupsafe import Markup

from tests.cti.desk.calls import desk
from tests.web.frame import FakeGate, access_with, services_with
from tests.web.test_app import pages
from web.app import create_app
from web.formats import visible_output

Client = TestClient[web.Request, web.Application]


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    agent = access_with("agent")
    gate = FakeGate(people={}, sessions={"s": agent}, tokens={"rc_t": agent})
    services = services_with(gate, desk(), public_origins=frozenset({"https://crm.example"}))
    async with TestClient(TestServer(create_app(services, [pages]))) as client:
        yield client


COOKIE = {"Cookie": "ringcard=s"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "OWN"}, 403),
        ({"Origin": "OWN"}, 200),
        ({"Origin": "https://crm.example"}, 200),
        ({"Origin": "https://crm.example.evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.test"}, 403),
        ({}, 403),
    ],
)
async def test_t14_unsafe_requests_come_from_our_own_pages(
    client: Client, headers: dict[str, str], status: int
) -> None:
    own = f"http://{client.host}:{client.port}"
    sent = {name: own if value == "OWN" else value for name, value in headers.items()}
    answer = await client.post("/test/write", headers=COOKIE | sent)
    assert answer.status == status


async def test_t14_a_program_with_a_token_sends_no_origin(client: Client) -> None:
    answer = await client.post("/test/write", headers={"Authorization": "Bearer rc_t"})
    assert answer.status == 200


async def test_t14_a_token_does_not_open_a_foreign_page_the_door(client: Client) -> None:
    headers = COOKIE | {"Authorization": "Bearer wrong", "Sec-Fetch-Site": "cross-site"}
    assert (await client.post("/test/write", headers=headers)).status == 403


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ООО «Пример»", "ООО «Пример»"),
        ("a\nb\tc", "a\nb\tc"),
        ("invoice\u202efdp.exe", "invoice\u2426fdp.exe"),
        ("a\x00b\x1b[31m", "a\u2426b\u2426[31m"),
        ("\ufeffx\u2066y\u2069", "\u2426x\u2426y\u2426"),
    ],
)
def test_t13_hidden_characters_are_shown(text: str, shown: str) -> None:
    assert visible_output(text) == shown


def test_our_own_markup_passes() -> None:
    assert visible_output(Markup("<b>\u202e</b>")) == "<b>\u202e</b>"
    assert visible_output(None) == ""
    assert visible_output(7) == 7
