"""The manner of the API: problem details for whatever goes wrong, and hostile input that breaks nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.web.api.company import Company

PARTIES, CALLS = "/api/v1/parties", "/api/v1/calls"
JSON = {"Content-Type": "application/json"}
DEEP = "[" * 100_000


async def status_of(answer: Any) -> int:
    """The status; an error is told as problem details, without a word of our insides."""
    told = await answer.json(content_type=None)
    assert answer.content_type == "application/problem+json"
    assert told["status"] == answer.status
    assert told["title"]
    assert "Traceback" not in json.dumps(told)
    status: int = answer.status
    return status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (PARTIES + "?limit=0", 422),
        (PARTIES + "?limit=201", 422),
        (PARTIES + "?limit=many", 422),
        (PARTIES + "?limit=" + "9" * 400, 422),
        (PARTIES + "?limit=10&limit=20", 400),
        (PARTIES + "?sort=created_by;drop", 400),
        (PARTIES + "?q=%00abc", 422),
        ("/api/v1/bin?q=%00", 422),
        ("/api/v1/lead-bin?q=%001", 422),
        (PARTIES + "?q=" + "a" * 101, 422),
        (PARTIES + "?q=%%%", 422),
        (PARTIES + "?kind=friend", 422),
        (PARTIES + "?kind=%00", 422),
        (PARTIES + "?type=alien", 422),
        (PARTIES + "?cursor=mine", 422),
        (PARTIES + "?cursor=WzFd", 422),
        (
            PARTIES + "?cursor=W251bGwsIDk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ",
            422,
        ),  # [null, 99999999999999999999999]
        (PARTIES + "?cursor=WyJcdTAwMDAiLCAxXQ", 422),  # ["\u0000", 1]
        (PARTIES + "?cursor=WyJcdWQ4MDAiLCAxXQ", 422),  # ["\ud800", 1]
        (PARTIES + "?cursor=" + "A" * 1001, 422),
        (PARTIES + "/0", 404),
        (PARTIES + "/" + "9" * 300, 404),
        (PARTIES + "/٣", 404),
        (PARTIES + "/1%00", 404),
        (PARTIES + "/../../etc/passwd", 404),
        (CALLS + "?from=yesterday", 422),
        (CALLS + "?from=2026-03-01T00:00:00", 422),
        (CALLS + "?to=0001-01-01T00:00:00%2B14:00", 422),
        (CALLS + "?to=9999-12-31T23:59:59-12:00", 422),
        (CALLS + "?direction=sideways", 422),
        (CALLS + "?disposition=lost", 422),
        (CALLS + "?party=-1", 422),
        (CALLS + "?party=999999999", 404),
        (CALLS + "?line=9223372036854775808", 422),
        (CALLS + "?number=12", 422),
        (CALLS + "?number=%2B%2B%2B", 422),
        (CALLS + "?number=abc%00", 422),
        (CALLS + "?cursor=WyJ5ZXN0ZXJkYXkiLCAieCJd", 422),  # ["yesterday", "x"]
        (
            CALLS
            + "?cursor=WyI5OTk5LTEyLTMxVDIzOjU5OjU5LTEyOjAwIiwgIjAxOWFhMGMyLTAwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMSJd",
            422,
        ),
        (CALLS + "/------------------------------------", 404),
        (CALLS + "/019aa0c2-0000-7000-8000-000000000001", 404),
        (CALLS + "/019aa0c2", 404),
        ("/api/v1/users?limit=5", 400),
        ("/api/v1/nothing", 404),
        ("/api/v2/parties", 404),
    ],
)
async def test_t12_odd_addresses(company: Company, path: str, status: int) -> None:
    assert await status_of(await company.get(path)) == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("{", 400),
        ("\xff", 400),
        (DEEP, 422),
        ('{"type": "person", "first_name": ' + DEEP, 422),
        ('{"type": "person", "custom": ' + DEEP, 422),
        ("[]", 422),
        ("null", 422),
        ("{}", 422),
        ('{"type": "robot"}', 422),
        ('{"type": 5}', 422),
        ('{"type": "person", "first_name": 5}', 422),
        ('{"type": "person", "first_name": "A", "surname": "B"}', 422),
        ('{"type": "person", "first_name": "A", "owner_id": 1e400}', 422),
        ('{"type": "person", "first_name": "A", "owner_id": 99999999999999999999}', 422),
        ('{"type": "person", "first_name": "A\\u0000"}', 422),
        ('{"type": "person", "first_name": "A\\ud800"}', 400),
        ('{"type": "person", "first_name": "A", "language": "\\u0000"}', 422),
        ('{"type": "person", "first_name": "A", "emails": ["a\\u0000@b.ru"]}', 422),
        ('{"type": "person", "first_name": "A", "numbers": [{"number": "\\u0000"}]}', 422),
        ('{"type": "person", "first_name": "A", "kinds": ["\\u0000"]}', 422),
        ('{"type": "person", "first_name": "A", "birth_date": "1990-02-31"}', 422),
        ('{"type": "person", "first_name": "' + "A" * 301 + '"}', 422),
        ('{"type": "person", "first_name": "\\u202e"}', 422),
        ('{"type": "quick", "person": "\\u0000"}', 422),
        (
            json.dumps({"type": "person", "first_name": "A", "numbers": [{"number": "+79161234567"}] * 21}),
            422,
        ),
        (json.dumps({"type": "person", "note": "A" * 300_000}), 413),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_odd_bodies(company: Company, body: str, status: int) -> None:
    before = await company.rows()
    sent = body.encode("latin-1") if body == "\xff" else body.encode()
    answer = await company.ask("POST", PARTIES, data=sent, headers=JSON)
    assert await status_of(answer) == status, await answer.text()
    assert await company.rows() == before


async def test_a_body_without_its_length_is_bounded_too(company: Company) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b" " * 10_000

    answer = await company.ask("POST", PARTIES, data=endless(), headers=JSON)
    assert await status_of(answer) == 413


@pytest.mark.parametrize(
    "type_", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json"]
)
async def test_t14_the_api_takes_json_only(company: Company, type_: str) -> None:
    answer = await company.ask("POST", PARTIES, data=b"{}", headers={"Content-Type": type_})
    assert await status_of(answer) == 415


async def test_json_with_a_charset_is_json(company: Company) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    answer = await company.ask("POST", PARTIES, data=b'{"type": "quick"}', headers=headers)
    assert await status_of(answer) == 422


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_a_method_that_is_not_there(company: Company, method: str) -> None:
    answer = await company.ask(method, PARTIES)
    assert await status_of(answer) == 405
    assert set(answer.headers["Allow"].split(",")) >= {"GET", "POST"}


async def test_a_session_works_too_but_not_for_another_site(company: Company) -> None:
    cookie = {"Cookie": await company.session_of("admin")}
    assert (await company.get("/api/v1/me", None, headers=cookie)).status == 200
    foreign = cookie | {"Sec-Fetch-Site": "cross-site"}
    body = {"type": "person", "first_name": "Чужая"}
    assert await status_of(await company.post(PARTIES, body, None, headers=foreign)) == 403
    own = cookie | {"Sec-Fetch-Site": "same-origin"}
    assert (await company.post(PARTIES, body, None, headers=own)).status == 201


async def test_errors_speak_the_users_language(company: Company) -> None:
    told = await (await company.get(PARTIES + "?q=ab")).json(content_type=None)
    assert (
        told["detail"] == "Для поиска введите не меньше трёх букв или цифр."
    )  # users are Russian unless they say so


async def test_the_answers_carry_the_security_headers(company: Company) -> None:
    answer = await company.get("/api/v1/me")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    head = await company.ask("HEAD", "/api/v1/me")
    assert (head.status, await head.text()) == (200, "")
