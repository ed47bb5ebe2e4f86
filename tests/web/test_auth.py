"""Signing in and out, and what someone who is not signed in is told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from tests.cti.desk.calls import desk
from tests.web.frame import FakeGate, access_with, services_with
from tests.web.test_app import pages
from web.app import create_app

Client = TestClient[web.Request, web.Application]
SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def gate() -> FakeGate:
    return FakeGate(people={"agent": access_with("agent"), "telephony": access_with("telephony", 2)})


@pytest_asyncio.fixture
async def client(gate: FakeGate) -> AsyncIterator[Client]:
    async with TestClient(TestServer(create_app(services_with(gate, desk()), [pages]))) as client:
        yield client


async def sign_in(
    client: Client, login: str = "agent", password: str = "correct horse", next_path: str = ""
) -> ClientResponse:
    form = {"login": login, "password": password, "next": next_path}
    return await client.post("/sign-in", data=form, headers=SAME, allow_redirects=False)


async def test_the_right_password_opens_a_session(client: Client) -> None:
    answer = await sign_in(client)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("ringcard=session-1;")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


async def test_over_https_the_cookie_is_bound_to_the_host(gate: FakeGate) -> None:
    app = create_app(services_with(gate, desk(), secure_cookies=True))
    async with TestClient(TestServer(app)) as client:
        cookie = (await sign_in(client)).headers["Set-Cookie"]
    assert cookie.startswith("__Host-ringcard=")
    assert "Secure" in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize(
    ("login", "password"), [("agent", "wrong"), ("nobody", "x"), ("", ""), ("agent", "x" * 200)]
)
async def test_t16_a_refusal_never_says_what_was_wrong(client: Client, login: str, password: str) -> None:
    answer = await sign_in(client, login, password)
    assert answer.status == 422
    assert "Wrong login or password." in await answer.text()
    assert "Set-Cookie" not in answer.headers


async def test_t16_after_too_many_failures_one_has_to_wait(client: Client, gate: FakeGate) -> None:
    gate.wait_seconds = 7.4
    answer = await sign_in(client)
    assert answer.status == 429
    assert "Try again in 7 seconds." in await answer.text()


async def test_t15_signing_in_again_makes_a_new_session_and_ends_the_former(
    client: Client, gate: FakeGate
) -> None:
    await sign_in(client)
    await sign_in(client, "telephony")
    assert list(gate.sessions.values()) == [gate.people["telephony"]]


async def test_signing_out_ends_the_session(client: Client, gate: FakeGate) -> None:
    await sign_in(client)
    answer = await client.post("/sign-out", headers=SAME, allow_redirects=False)
    assert answer.headers["Location"] == "/sign-in"
    assert gate.sessions == {}
    assert (await client.get("/test/page", allow_redirects=False)).status == 303


@pytest.mark.parametrize(
    ("wanted", "lands"),
    [
        ("/parties?q=a", "/parties?q=a"),
        ("//evil.test", "/"),
        ("/\\evil.test", "/"),
        ("https://evil.test", "/"),
        ("/sign-out", "/"),
        ("", "/"),
        ("/x\r\nSet-Cookie: a=b", "/x%0D%0ASet-Cookie:%20a=b"),
    ],
)
async def test_one_lands_on_our_own_pages_only(client: Client, wanted: str, lands: str) -> None:
    assert (await sign_in(client, next_path=wanted)).headers["Location"] == lands


async def test_the_home_page_is_the_first_module_of_the_role(client: Client) -> None:
    await sign_in(client)
    assert (await client.get("/", allow_redirects=False)).headers["Location"] == "/desk"
    await sign_in(client, "telephony")
    assert (await client.get("/", allow_redirects=False)).headers["Location"] == "/desk"


async def test_a_visitor_is_asked_to_sign_in_and_brought_back(client: Client) -> None:
    answer = await client.get("/test/page?a=1", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in?next=/test/page?a%3D1")


async def test_htmx_takes_the_whole_page_to_the_sign_in(client: Client) -> None:
    answer = await client.get("/test/page", headers={"HX-Request": "true"}, allow_redirects=False)
    assert (answer.status, answer.headers["HX-Redirect"]) == (204, "/sign-in?next=/test/page")


async def test_a_program_gets_401(client: Client) -> None:
    answer = await client.get("/api/test/raise/bug")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.content_type == "application/problem+json"


async def test_an_overlong_secret_is_not_looked_up(client: Client, gate: FakeGate) -> None:
    gate.tokens["x" * 5000] = access_with("admin")
    answer = await client.get("/api/test/raise/bug", headers={"Authorization": "Bearer " + "x" * 5000})
    assert answer.status == 401
