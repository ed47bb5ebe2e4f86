"""G9: whoever is refused leaves a row in the access log, beside the answer and only so many a minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from crm.schema.journals import AccessLog
from tests.web.frame import access_with
from tests.web.pages.office import Office
from web import refused_log
from web.keys import REFUSED_LOG
from web.refused_log import RefusedLog


async def rows_of(office: Office) -> list[AccessLog]:
    """The refusals written so far, oldest first."""
    assert office.server is not None
    await office.server.app[REFUSED_LOG].idle()
    async with office.database.sessions() as session:
        query = select(AccessLog).where(AccessLog.event == "access_refused").order_by(AccessLog.id)
        return list(await session.scalars(query))


async def test_g09_a_missing_right_leaves_a_row(office: Office) -> None:
    before = len(await rows_of(office))
    assert (await office.get("/admin/users", "agent")).status == 404
    [row] = (await rows_of(office))[before:]
    assert (row.actor_id, row.login) == (office.people["agent"].user_id, "agent.login")
    assert row.from_address == "127.0.0.1"
    wanted = {"right": "user.read", "why": "right", "method": "GET", "path": "/admin/users"}
    assert row.detail == wanted


async def test_g09_a_record_outside_ones_rights_leaves_a_row(office: Office) -> None:
    before = len(await rows_of(office))
    assert (await office.get(f"/parties/{office.foreign_id}", "agent")).status == 404
    [row] = (await rows_of(office))[before:]
    assert (row.detail["why"], row.detail["right"]) == ("record", "party.read")
    assert row.detail["asked"] == {"id": str(office.foreign_id)}


async def test_g09_a_request_of_another_site_leaves_a_row(office: Office) -> None:
    before = len(await rows_of(office))
    answer = await office.post("/parties/new", {}, "agent", **{"Sec-Fetch-Site": "cross-site"})
    assert answer.status == 403
    [row] = (await rows_of(office))[before:]
    assert (row.actor_id, row.detail["why"]) == (None, "origin")


async def test_g09_a_socket_message_without_its_right_leaves_a_row(office: Office) -> None:
    before = len(await rows_of(office))
    assert office.client is not None
    assert office.server is not None
    headers = {"Cookie": "ringcard=agent", "Origin": f"http://{office.server.host}:{office.server.port}"}
    async with office.client.ws_connect("/live", headers=headers) as ws:
        await ws.receive_json(timeout=2)
        await ws.send_json({"type": "sub", "topics": ["calls"]})
        assert (await ws.receive_json(timeout=2))["type"] == "refused"
    [row] = (await rows_of(office))[before:]
    assert (row.detail["right"], row.detail["path"]) == ("live.board", "/live#sub:calls")


async def test_what_is_no_refusal_leaves_none(office: Office) -> None:
    before = len(await rows_of(office))
    assert (await office.get("/nowhere", "agent")).status == 404
    assert (await office.get("/admin/users", "")).status == 303
    assert (await office.get(f"/calls/{office.call_id}/pop", "agent")).status == 404  # a window that is over
    assert (await office.get("/parties", "agent")).status == 200
    assert len(await rows_of(office)) == before


async def test_i10_only_so_many_of_one_user_a_minute(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused_log, "MOST_OF_ONE", 2)
    assert office.server is not None
    book: RefusedLog = office.server.app[REFUSED_LOG]
    now = book._now()
    monkeypatch.setattr(book, "_now", lambda: now + timedelta(minutes=5))
    before = len(await rows_of(office))
    for _ in range(5):
        await office.get("/admin/users", "manager")
    await office.get("/admin/users", "head")
    assert len(await rows_of(office)) - before == 3  # each of the two on their own account
    monkeypatch.setattr(book, "_now", lambda: now + timedelta(minutes=7))
    await office.get("/admin/users", "manager")
    assert (await rows_of(office))[-1].detail["unwritten_before"] == 3


async def test_i10_whoever_asks_is_remembered_within_bounds(office: Office) -> None:
    book = RefusedLog(office.database.sessions, lambda: datetime(2026, 11, 20, tzinfo=UTC))  # no writer runs
    for number in range(5000):
        book.note(None, f"192.0.2.{number}", why="origin")
        book.note(access_with("agent", number), "", why="right")
    assert len(book._of_one) <= refused_log.MOST_KNOWN
    assert book._waiting.qsize() <= refused_log.MOST_OF_ALL
