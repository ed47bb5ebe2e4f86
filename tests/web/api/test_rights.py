"""T11: every endpoint by every role, over records of one's own, of one's team, of others; refused is 404 and writes nothing."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from crm.granted_rights import DEFAULT_PERMISSIONS, ROLE_CODES
from crm.rights import narrow
from crm.schema.communications import Communication
from crm.tokens import create_token, end_token, list_tokens
from tests.crm.people import COMMAND
from tests.web.api.company import OWNERS, Company
from web.api import ROUTES
from web.api.contract import Endpoint
from web.api.describing import PATH as DOCUMENT
from web.routes import OPEN, SIGNED_IN

ENDPOINTS = [endpoint for table in ROUTES for endpoint in table.endpoints]
NOT_PLANTED = (
    "/callbacks/{",
    "/dials/{",
    "/subscribers/{",
    "/deliveries/{",
)  # this company has none; their own tests go further
TEAM = {who for who in OWNERS if who != "stranger"}
PARTIES_OF = {"agent": {"agent"}, "manager": TEAM, "head": TEAM, "telephony": set(), "admin": {*OWNERS}}
LEADS_OF = {"agent": {"agent"}, "manager": {"manager"}, "head": TEAM, "telephony": set(), "admin": {*OWNERS}}
CALLS_OF = {
    "agent": {"agent"},
    "manager": {"manager"},
    "head": TEAM,
    "telephony": {*OWNERS},
    "admin": {*OWNERS},
}


def address(endpoint: Endpoint, company: Company, of: str) -> str:
    """The endpoint's path, with the record of this person where it names one."""
    before, brace, rest = endpoint.path.partition("{")
    kept = before.removeprefix("/api/v1/").rstrip("/")
    if kept in company.entries:
        record: object = company.entries[kept]
    elif kept in {"lead-schemes", "lead-stages"}:
        record = company.scheme_id if kept == "lead-schemes" else company.stage_id
    elif "/connections/" in before:
        record = company.connection_id
    elif "/leads/" in before:
        record = company.leads[of]
    elif "/comments/" in before:
        record = company.comments.get(of, company.comments["admin"])
    elif "/views/" in before:
        record = company.views[of]
    elif "/tasks/" in before:
        record = company.tasks[of]
    elif "/imports/" in before:
        record = company.import_id
    elif "/dials/" in before or "/live/" in before:
        record = company.calls[of]
    else:
        is_call = "/calls/" in before or "/communications/" in before
        record = company.calls[of] if is_call else company.parties[of]
    return before + (f"{record}{rest.rpartition('}')[2]}" if brace else "")


def has(role: str, right: str) -> bool:
    return right in {OPEN, SIGNED_IN} or right in DEFAULT_PERMISSIONS[role]


@pytest.mark.parametrize("role", ROLE_CODES)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
async def test_t11_an_endpoint_answers_those_with_its_right(
    company: Company, endpoint: Endpoint, role: str
) -> None:
    before = await company.rows()
    body = {"json": {"type": "quick"}} if endpoint.body else {}
    is_views = endpoint.method == "GET" and endpoint.path == "/api/v1/views"
    query = "?area=clients" if is_views else ""
    path, is_removing = address(endpoint, company, role) + query, endpoint.method == "DELETE"
    stale = {"If-Match": '"999"'} if is_removing else {}  # it would be gone for the tests after this one
    answer = await company.ask(endpoint.method, path, role, headers=stale, **body)
    # The right is checked before the body is.
    good = 422 if endpoint.body or endpoint.takes else 409 if is_removing else 200
    if good != 422 and any(kind in endpoint.path for kind in NOT_PLANTED):
        good = 404  # of the record: whoever lacks the right is told of no record
        assert ("detail" in await answer.json(content_type=None)) is has(role, endpoint.right)
    assert answer.status == (good if has(role, endpoint.right) else 404), await answer.text()
    assert await company.rows() == before


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
@pytest.mark.parametrize("who", [None, "rc_unknown", "x" * 5000, "агент"])
async def test_nobody_is_asked_for_a_token(company: Company, endpoint: Endpoint, who: str | None) -> None:
    answer = await company.ask(endpoint.method, address(endpoint, company, "admin"), who)
    assert answer.status == (200 if endpoint.path == DOCUMENT else 401)
    if answer.status == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("role", ROLE_CODES)
@pytest.mark.parametrize("of", OWNERS)
async def test_t11_a_party_is_read_within_ones_rights(company: Company, role: str, of: str) -> None:
    answer = await company.get(f"/api/v1/parties/{company.parties[of]}", role)
    assert answer.status == (200 if of in PARTIES_OF[role] else 404)
    if answer.status == 404 and role != "telephony":
        unknown = await (await company.get("/api/v1/parties/999999999", role)).json(content_type=None)
        refused = await answer.json(content_type=None)
        assert refused["detail"].replace(str(company.parties[of]), "…") == unknown["detail"].replace(
            "999999999", "…"
        )


@pytest.mark.parametrize("role", ROLE_CODES)
@pytest.mark.parametrize("of", OWNERS)
async def test_t11_a_lead_is_read_within_ones_rights(company: Company, role: str, of: str) -> None:
    answer = await company.get(f"/api/v1/leads/{company.leads[of]}", role)
    assert answer.status == (200 if of in LEADS_OF[role] else 404)
    listed = await company.get(f"/api/v1/leads?owner={company.people[of].user_id}", role)
    if role != "telephony":
        assert len((await listed.json())["items"]) == (1 if of in LEADS_OF[role] else 0)


@pytest.mark.parametrize("role", ROLE_CODES)
@pytest.mark.parametrize("of", OWNERS)
async def test_t11_a_call_is_read_within_ones_rights(company: Company, role: str, of: str) -> None:
    answer = await company.get(f"/api/v1/calls/{company.calls[of]}", role)
    assert answer.status == (200 if of in CALLS_OF[role] else 404)


@pytest.mark.parametrize("role", ROLE_CODES)
@pytest.mark.parametrize("of", OWNERS)
@pytest.mark.parametrize("action", ["edit", "owner", "numbers", "archive"])
async def test_t11_a_party_is_changed_within_ones_rights(
    company: Company, role: str, of: str, action: str
) -> None:
    """Whoever may change it is told what is wrong with what was sent; others, that it is not there."""
    right = "party.change_owner" if action == "owner" else "party.edit"
    reach = {"none": set(), "own": {role}, "team": TEAM, "all": {*OWNERS}}
    may = of in reach[DEFAULT_PERMISSIONS[role].get(right, "none")]
    if may and action in {"archive", "numbers"}:
        return  # it would fit
    before = await company.contents(company.parties[of])
    answer = await company.ask(
        "POST", f"/parties/{company.parties[of]}/{action}", role, data={"number": "+74951209999"}
    )
    nobody = action == "owner"  # an owner that does not exist is not found either
    assert answer.status == (422 if may and not nobody else 404), await answer.text()
    assert await company.contents(company.parties[of]) == before


@pytest.mark.parametrize("role", ROLE_CODES)
async def test_t11_communications_are_narrowed_like_calls(company: Company, role: str) -> None:
    access = company.people[role]
    async with company.database.sessions() as session:
        found = set(
            await session.scalars(narrow(select(Communication.id), access, "call.read", Communication))
        )
    assert found == {company.calls[of] for of in CALLS_OF[role]}


@pytest.mark.parametrize("role", [role for role in ROLE_CODES if PARTIES_OF[role]])
@pytest.mark.parametrize(
    "query", ["", "?q=example", "?q=84951203340", "?q=1203", "?kind=client", "?type=organisation"]
)
async def test_t11_lists_and_searches_of_parties_are_narrowed(
    company: Company, role: str, query: str
) -> None:
    answer = await company.told("/api/v1/parties" + query, role)
    allowed = {company.parties[of] for of in PARTIES_OF[role]}
    assert {item["id"] for item in answer["items"]} <= allowed
    if query in {"", "?q=example"}:
        assert {item["id"] for item in answer["items"]} == allowed


@pytest.mark.parametrize("role", ROLE_CODES)
async def test_t11_the_list_of_calls_is_narrowed(company: Company, role: str) -> None:
    for query in ("", "?disposition=answered", "?direction=inbound"):
        answer = await company.told("/api/v1/calls" + query, role)
        assert {item["id"] for item in answer["items"]} == {str(company.calls[of]) for of in CALLS_OF[role]}


@pytest.mark.parametrize("role", ROLE_CODES)
async def test_t11_a_filter_by_a_foreign_party_tells_nothing(company: Company, role: str) -> None:
    answer = await company.get(f"/api/v1/calls?party={company.parties['stranger']}", role)
    assert answer.status == (200 if role == "admin" else 404)


async def test_t11_telephony_reads_calls_without_notes_and_clients(company: Company) -> None:
    path = f"/api/v1/calls/{company.calls['agent']}"
    call = await company.told(path, "telephony")
    assert call["notes"] == []
    assert (call["party_id"], call["party_name"], call["contact_name"]) == (None, None, None)
    assert [note["text"] for note in (await company.told(path, "agent"))["notes"]] == ["Call back"]


async def test_t18_a_token_is_narrower_than_its_user(company: Company) -> None:
    async with company.database.sessions.begin() as session:
        admin = company.people["admin"].user_id
        token = await create_token(session, COMMAND, admin, "calls only", rights={"call.read": "own"})
    assert (await company.get("/api/v1/parties", token)).status == 404
    assert (await company.get("/api/v1/users", token)).status == 404
    calls = await company.told("/api/v1/calls", token)
    assert [item["id"] for item in calls["items"]] == [str(company.calls["admin"])]
    assert (await company.told("/api/v1/me", token))["rights"] == {"call.read": "own"}


async def test_g07_an_ended_token_ends_at_once(company: Company) -> None:
    async with company.database.sessions.begin() as session:
        token = await create_token(session, COMMAND, company.people["agent"].user_id, "for a while")
    assert (await company.get("/api/v1/me", token)).status == 200
    async with company.database.sessions.begin() as session:
        mine = next(one for one in await list_tokens(session, COMMAND) if one.name == "for a while")
        await end_token(session, COMMAND, mine.id)
    assert (await company.get("/api/v1/me", token)).status == 401
