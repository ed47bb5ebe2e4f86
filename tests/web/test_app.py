"""The frame: every route has a right, full page or part, headers, compression, errors, assets."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.exc import TimeoutError as PoolTimeout

from crm.errors import Conflict, Invalid, NotAllowed, NotFound
from tests.cti.desk.calls import desk
from tests.web.frame import FakeGate, access_with, services_with
from web.app import create_app, route_table
from web.keys import ACCESS
from web.routes import (
    OPEN,
    SIGNED_IN,
    RouteKind,
    Routes,
    RouteWithoutRight,
    UnknownRight,
    add_routes,
    check_complete,
    check_rights,
)

Client = TestClient[web.Request, web.Application]
pages = Routes()


@pages.get("/test/page", right="party.read")
async def show_page(request: web.Request) -> web.Response:
    return web.Response(text=f"hello {request[ACCESS].login} " + "x" * 2000, content_type="text/html")


@pages.get("/test/admin", right="user.manage")
async def show_admin(request: web.Request) -> web.Response:
    return web.Response(text="secret")


@pages.get("/test/raise/{what}", right=SIGNED_IN)
@pages.get("/api/test/raise/{what}", right=SIGNED_IN, kind=RouteKind.API)
async def raise_it(request: web.Request) -> web.Response:
    raise {
        "bug": RuntimeError("the database password is hunter2"),
        "not-found": NotFound("party", 7),
        "not-allowed": NotAllowed("party.read"),
        "invalid": Invalid("name", "", "Give a name."),
        "conflict": Conflict({"name": ("a", "b")}, 2, "Someone"),
        "text": web.HTTPNotFound(text="There is no <b>such</b> party."),
        "away": ConnectionRefusedError("db.internal:5432 refused user crm"),
        "frozen": PoolTimeout("QueuePool limit"),
        "role": Invalid("roles", "boss", "There is no role “%(role)s”.", role="boss"),
    }[request.match_info["what"]]


@pages.post("/test/write", right=SIGNED_IN)
async def write(request: web.Request) -> web.Response:
    return web.Response(text="written")


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    gate = FakeGate(
        people={},
        sessions={
            "s-agent": access_with("agent"),
            "s-admin": access_with("admin", 2),
            "s-russian": access_with("agent", 3, language="ru"),
        },
    )
    async with TestClient(TestServer(create_app(services_with(gate, desk()), [pages]))) as client:
        client.session.headers["Cookie"] = "ringcard=s-agent"
        yield client


def test_g02_every_route_names_a_right_that_exists() -> None:
    lines = route_table()
    check_rights(lines)
    open_ones = {line.path for line in lines if line.right == OPEN}
    assert "/sign-in" in open_ones
    assert not any(path.startswith(("/parties", "/admin", "/calls")) for path in open_ones)


def test_g02_an_unknown_right_stops_the_start() -> None:
    routes = Routes()
    routes.get("/x", right="party.reed")(show_page)
    with pytest.raises(UnknownRight, match=r"GET /x needs the right 'party.reed'"):
        check_rights(routes)


def test_g02_a_route_past_the_table_stops_the_start() -> None:
    app = web.Application()
    behind = add_routes(app.router, [])
    app.router.add_get("/side-door", show_page)
    with pytest.raises(RouteWithoutRight, match="/side-door"):
        check_complete(app.router, behind)


def test_the_table_tells_socket_messages_too() -> None:
    lines = [line.as_json() for line in route_table()]
    assert {"method": "SEND", "path": "/live#sub:calls", "right": "live.board", "kind": "message"} in lines
    assert {"method": "GET", "path": "/live", "right": "signed_in", "kind": "socket"} in lines


async def test_a_right_that_is_missing_is_refused(client: Client) -> None:
    refused = await client.get("/test/admin")
    assert refused.status == HTTPStatus.NOT_FOUND
    assert "secret" not in await refused.text()
    allowed = await client.get("/test/admin", headers={"Cookie": "ringcard=s-admin"})
    assert allowed.status == HTTPStatus.OK


async def test_security_headers_stand_on_every_answer(client: Client) -> None:
    for path in ("/sign-in", "/test/page", "/nowhere", "/test/raise/bug", "/s/000000000000/theme.js"):
        headers = (await client.get(path)).headers
        assert headers["Content-Security-Policy"].startswith(
            "default-src 'none'; script-src 'self'; style-src 'self'"
        )
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


async def test_pages_are_not_kept_and_vary(client: Client) -> None:
    headers = (await client.get("/sign-in")).headers
    assert (headers["Cache-Control"], headers["Vary"]) == ("no-store", "HX-Request, HX-Request-Type")


async def test_large_answers_are_compressed(client: Client) -> None:
    answer = await client.get("/test/page", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert (await answer.text()).startswith("hello agent")


async def test_a_part_is_the_content_of_main_and_a_title(client: Client) -> None:
    whole = await (await client.get("/nowhere")).text()
    part = await (
        await client.get("/nowhere", headers={"HX-Request": "true", "HX-Request-Type": "partial"})
    ).text()
    assert whole.startswith("<!doctype html>")
    assert "<call-stack>" in whole
    assert re.match(r"<title>.* · ringcard</title>", part)
    assert "<html" not in part
    assert "module-bar" not in part


async def test_no_page_holds_what_the_policy_forbids(client: Client) -> None:
    for path in ("/sign-in", "/nowhere"):
        text = await (await client.get(path)).text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|hx-on|javascript:|js:", text)


async def test_t29_a_bug_tells_a_number_and_nothing_else(client: Client) -> None:
    answer = await client.get("/test/raise/bug")
    text = await answer.text()
    assert answer.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "hunter2" not in text
    assert "RuntimeError" not in text
    assert re.search(r"<code>[0-9a-f]{8}</code>", text)


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ("not-found", 404),
        ("not-allowed", 404),
        ("invalid", 422),
        ("conflict", 409),
        ("text", 404),
        ("bug", 500),
    ],
)
async def test_errors_of_the_crm_are_told_to_people_and_to_programs(
    client: Client, what: str, status: int
) -> None:
    page = await client.get(f"/test/raise/{what}")
    assert (page.status, page.content_type) == (status, "text/html")
    told = await client.get(f"/api/test/raise/{what}")
    assert (told.status, told.content_type) == (status, "application/problem+json")
    body = await told.json(content_type=None)
    assert body["status"] == status
    assert {"type", "title"} <= set(body)


@pytest.mark.parametrize("what", ["away", "frozen"])
async def test_i13_without_the_database_one_is_told_so_and_when_to_come_back(
    client: Client, what: str
) -> None:
    page = await client.get(f"/test/raise/{what}")
    assert (page.status, page.headers["Retry-After"]) == (503, "5")
    text = await page.text()
    assert "The database does not answer" in text
    assert "<code>" not in text  # no incident: nobody has to be told
    told = await client.get(f"/api/test/raise/{what}")
    assert (told.status, told.headers["Retry-After"]) == (503, "5")
    body = await told.json(content_type="application/problem+json")
    assert body["detail"] == "Calls go on. Try again in a few seconds."
    assert "db.internal" not in text + str(body)


async def test_a_rule_is_told_in_the_readers_language(client: Client) -> None:
    """`why` is a sentence of its own in the catalogues, values and all."""
    russian = {"Cookie": "ringcard=s-russian"}
    page = await (await client.get("/test/raise/role", headers=russian)).text()
    assert "Роли «boss» нет." in page
    assert "There is no role" not in page
    told = await (await client.get("/api/test/raise/role", headers=russian)).json(content_type=None)
    assert told["detail"] == "Роли «boss» нет."


async def test_t13_a_text_of_an_error_is_escaped(client: Client) -> None:
    text = await (await client.get("/test/raise/text")).text()
    assert "&lt;b&gt;such&lt;/b&gt;" in text


async def test_unknown_api_addresses_answer_in_json(client: Client) -> None:
    answer = await client.get("/api/v1/nowhere")
    assert (answer.status, answer.content_type) == (404, "application/problem+json")


async def test_a_wrong_method_says_which_are_right(client: Client) -> None:
    answer = await client.get("/test/write")
    assert answer.status == HTTPStatus.METHOD_NOT_ALLOWED
    assert answer.headers["Allow"] == "POST"


async def test_assets_are_kept_for_ever_under_their_build(client: Client) -> None:
    page = await (await client.get("/sign-in")).text()
    [address] = re.findall(r'href="(/s/[0-9a-f]{12}/css/ringcard\.css)"', page)
    answer = await client.get(address)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    older = await client.get(re.sub("/s/[0-9a-f]{12}/", "/s/000000000000/", address))
    assert older.headers["Cache-Control"] == "no-cache"
    assert await older.read() == await answer.read()


async def test_what_no_page_frames_has_an_icon_as_well(client: Client) -> None:
    answer = await client.get("/favicon.ico")
    assert (answer.status, answer.content_type) == (200, "image/svg+xml")


async def test_assets_are_sent_compressed_to_who_can_read_it(client: Client) -> None:
    answer = await client.get("/s/000000000000/css/frame.css", auto_decompress=False)
    assert answer.headers["Content-Encoding"] == "gzip"
    plain = await client.get("/s/000000000000/css/frame.css", headers={"Accept-Encoding": "identity"})
    assert gzip.decompress(await answer.read()) == await plain.read()


@pytest.mark.parametrize(
    "path", ["../keys.py", "%2e%2e/keys.py", "..%2fkeys.py", "/etc/passwd", "css", "nothing.css"]
)
async def test_g05_only_our_own_files_are_served(client: Client, path: str) -> None:
    answer = await client.get(f"/s/000000000000/{path}")
    assert answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}
