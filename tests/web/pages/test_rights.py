"""Every route of the pages × every role: what is refused is answered 404 or 403 and changes nothing (G1, T11)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from aiohttp import ClientResponse
from sqlalchemy import insert, text, update

from crm.granted_rights import DEFAULT_PERMISSIONS, ROLE_CODES
from crm.schema.base import uuid7
from crm.schema.communications import Call, Communication, Participation
from tests.web.pages.office import Office
from web.pages import ROUTES
from web.routes import SIGNED_IN, Route

REFUSED = {403, 404}
LINES = [line for table in ROUTES for line in table]
UUID_TEXT = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TABLES = (
    "app_user", "role_assignment", "user_session", "api_token", "pbx_connection", "line", "extension",
    "extension_assignment", "party", "person", "organisation", "affiliation", "phone_number", "party_phone",
    "party_kind_assignment", "change_log", "outbox_event", "lead", "stage_visit", "hold",
    "role", "permission", "team", "team_membership", "party_kind",
    "directory_entry", "party_tag", "required_field", "custom_field", "bank_account", "address",
    "communication", "comment", "access_request", "meeting", "saved_view", "list_columns", "draft", "communication_kind",
    "task", "task_watcher", "reminder", "notification",
    "callback_case", "call_handling_rule", "wrap_up", "wrap_up_code", "wrap_up_line", "agent_wish",
    "subscriber", "subscriber_delivery",
)  # fmt: skip


def path_of(line: Route, office: Office) -> str:
    """The route's address with ids that exist; parties are those of a stranger."""
    path = line.path.replace("{area:[a-z_]+}", "clients")
    path = re.sub(r"\{\w+:" + re.escape(UUID_TEXT) + r"\}", str(office.letter_id), path)
    if path.startswith("/parties"):
        path = path.replace(r"{id:\d+}", str(office.foreign_id))
    if path.startswith("/leads"):
        path = path.replace(r"{id:\d+}", str(office.foreign_lead_id))
    if path.startswith("/admin/connections"):
        path = path.replace(r"{id:\d+}", str(office.connection_id))
    if path.startswith("/admin/lines"):
        path = path.replace(r"{id:\d+}", str(office.line_id))
    if path.startswith("/admin/subscribers"):
        path = path.replace(r"{id:\d+}", str(office.subscriber_id))
        path = path.replace(r"{delivery:\d+}", str(office.delivery_id))
    if path.startswith("/admin/users"):
        path = path.replace(r"{id:\d+}", str(office.people["stranger"].user_id))
    path = path.replace(r"{directory:[a-z_]+}", "tag")
    path = re.sub(r"\{call_id:.*?\}\)?\}|\{call_id:[^/]*", str(office.call_id), path)
    return re.sub(r"\{\w+:\\d\+\}", "1", path)


async def contents(office: Office) -> dict[str, str]:
    """All rows of all tables that pages write to, as one hash each."""
    found = {}
    async with office.database.sessions() as session:
        for table in TABLES:
            query = f"select coalesce(md5(string_agg(t::text, '' order by t::text)), '') from {table} t"
            found[table] = (await session.execute(text(query))).scalar_one()
    return found


async def ask(office: Office, line: Route, role: str) -> ClientResponse:
    path = path_of(line, office)
    assert "{" not in path, path
    return await office.get(path, role) if line.method == "GET" else await office.post(path, {}, role)


@pytest.mark.parametrize("role", ROLE_CODES)
async def test_t11_a_route_without_its_right_is_refused_and_changes_nothing(
    office: Office, role: str
) -> None:
    before = await contents(office)
    wrong = []
    for line in LINES:
        has_right = line.right == SIGNED_IN or DEFAULT_PERMISSIONS[role].get(line.right, "none") != "none"
        if has_right:
            continue
        response = await ask(office, line, role)
        if response.status not in REFUSED:
            wrong.append(f"{line.where} as {role}: {response.status}")
    assert wrong == []
    assert await contents(office) == before


@pytest.mark.parametrize("role", ["agent", "manager", "telephony"])
async def test_t11_a_strangers_party_is_not_there(office: Office, role: str) -> None:
    before = await contents(office)
    wrong = []
    for line in LINES:
        if not line.path.startswith(r"/parties/{id"):
            continue
        response = await ask(office, line, role)
        if response.status not in REFUSED:
            wrong.append(f"{line.where} as {role}: {response.status}")
    assert wrong == []
    assert await contents(office) == before


@pytest.mark.parametrize("role", ["agent", "manager", "head", "telephony"])
async def test_t11_a_strangers_lead_is_not_there(office: Office, role: str) -> None:
    before = await contents(office)
    wrong = []
    for line in LINES:
        if line.path.startswith(r"/leads/{id"):
            response = await ask(office, line, role)
            if response.status not in REFUSED:
                wrong.append(f"{line.where} as {role}: {response.status}")
    assert wrong == []
    assert await contents(office) == before


async def test_g02_without_a_session_every_page_leads_to_the_sign_in(office: Office) -> None:
    for line in LINES:
        response = await ask(office, line, "")
        assert response.status in {303, 403}, line.where
        if response.status == 303:
            assert response.headers["Location"].startswith("/sign-in"), line.where


async def test_lists_search_and_calls_hold_what_one_may_see(office: Office) -> None:
    for path in ("/parties", "/parties?q=чужое", "/parties?q=3092010", "/parties/suppliers"):
        assert "Чужое" in await (await office.get(path, "admin")).text(), path
        assert "АО «Чужое»" not in await (await office.get(path, "agent")).text(), path
    assert str(office.call_id) in await (await office.get("/calls", "agent")).text()
    assert str(office.call_id) in await (await office.get("/calls", "telephony")).text()
    assert str(office.call_id) not in await (await office.get("/calls", "stranger")).text()
    assert (await office.get(f"/calls/{office.call_id}", "stranger")).status == 404


async def test_a_strangers_card_opens_while_their_call_rings_here_and_only_then(office: Office) -> None:
    call_id, now = uuid7(), datetime.now(UTC)
    agent = office.people["agent"].user_id
    async with office.database.sessions.begin() as session:
        await session.execute(
            insert(Communication).values(id=call_id, kind="call", direction="in", started_at=now)
        )
        await session.execute(
            insert(Call).values(
                id=call_id,
                connection_id=office.connection_id,
                external_id=str(call_id),
                direction="inbound",
                state="ringing",
                customer_e164="+78123092010",
                started_at=now,
            )
        )
        part = {"id": uuid7(), "call_id": call_id, "user_id": agent, "extension": "101", "attempt": 1}
        await session.execute(insert(Participation).values(part | {"came_by": "ring", "rang_at": now}))
    card = f"/parties/{office.foreign_id}"
    assert (await office.get(card, "agent")).status == 200
    assert (await office.get(card, "manager")).status == 404
    assert (await office.post(f"{card}/edit", {"short_name": "x"}, "agent")).status == 404
    async with office.database.sessions.begin() as session:
        ended = {"state": "ended", "ended_at": now, "disposition": "abandoned"}
        await session.execute(update(Call).where(Call.id == call_id).values(ended))
        over = {"left_at": now, "result": "not_answered"}
        await session.execute(update(Participation).where(Participation.call_id == call_id).values(over))
    assert (await office.get(card, "agent")).status == 404


async def test_notes_are_not_for_the_telephony_administrator(office: Office) -> None:
    assert "прислать договор" in await (await office.get(f"/calls/{office.call_id}", "agent")).text()
    assert "прислать договор" not in await (await office.get(f"/calls/{office.call_id}", "telephony")).text()


async def test_t14_a_post_of_another_site_is_refused(office: Office) -> None:
    before = await contents(office)
    response = await office.post(
        "/parties/new",
        {"mode": "quick", "organisation": "ООО «Чужой сайт»"},
        "agent",
        **{"Sec-Fetch-Site": "cross-site"},
    )
    assert response.status == 403
    assert await contents(office) == before
