"""Communications, comments, notifications and views over the API, within one's rights."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from crm.saved_views import ViewContent, save_view
from crm.schema.communications import Communication
from tests.web.api.company import OWNERS, Company
from tests.web.api.test_rights import LEADS_OF, PARTIES_OF

PATH = "/api/v1/communications"
LETTER = {"kind": "email", "direction": "out", "started_at": "2026-11-20T11:30:00Z", "subject": "Invoice"}
ROLES = ("agent", "manager", "head", "admin")


async def test_one_is_written_down_read_and_listed(company: Company) -> None:
    party = company.parties["agent"]
    made = await company.post(PATH, LETTER | {"party_id": party}, "agent")
    assert made.status == 201
    told = await company.told(made.headers["Location"], "agent")
    assert told["communication"]["subject"] == "Invoice"
    assert told["communication"]["party_id"] == party
    assert (told["may_edit"], told["participants"]) == (True, [])
    listed = await company.told(f"{PATH}?kind=email&party={party}", "agent")
    assert [item["id"] for item in listed["items"]] == [told["communication"]["id"]]
    calls = await company.told(f"{PATH}?kind=call&limit=1")
    assert len(calls["items"]) == 1
    assert calls["next"] is not None
    more = await company.told(f"{PATH}?kind=call&limit=1&cursor={calls['next']}")
    assert more["items"][0]["id"] != calls["items"][0]["id"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "meeting"}, "state"),
        ({"started_at": "2026-11-20T11:30:00"}, "started_at"),
        ({"ended_at": "2026-11-20T10:30:00Z"}, "ended_at"),
        ({"place": "Office"}, "kind"),
    ],
)
async def test_what_does_not_fit_names_its_field(company: Company, wrong: dict[str, str], field: str) -> None:
    answer = await company.post(PATH, LETTER | wrong, "agent")
    assert answer.status == 422
    assert (await answer.json(content_type=None))["field"] == field


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("of", OWNERS)
async def test_t11_comments_and_communications_of_a_party_keep_to_its_rights(
    company: Company, role: str, of: str
) -> None:
    is_readable = of in PARTIES_OF[role]
    path = f"/api/v1/parties/{company.parties[of]}/comments"
    commented = await company.post(path, {"text": f"By {role}"}, role)
    assert commented.status == (201 if is_readable else 404)
    assert (await company.get(path, role)).status == (200 if is_readable else 404)
    logged = await company.post(PATH, LETTER | {"party_id": company.parties[of]}, role)
    assert logged.status == (201 if is_readable else 404)


@pytest.mark.parametrize("role", ROLES)
async def test_t11_comments_of_a_lead_keep_to_its_rights_and_page_by_key(company: Company, role: str) -> None:
    for of in OWNERS:
        is_readable = of in LEADS_OF[role]
        path = f"/api/v1/leads/{company.leads[of]}/comments"
        made = await company.post(path, {"text": f"By {role}"}, role)
        assert made.status == (201 if is_readable else 404)
        assert (await company.get(path, role)).status == (200 if is_readable else 404)
    path = f"/api/v1/leads/{company.leads[role]}/comments"
    told = await (await company.post(path, {"text": "Later"}, role)).json()
    assert (told["lead_id"], told["party_id"], told["version"]) == (company.leads[role], None, 1)
    changed = await company.ask("PATCH", f"/api/v1/comments/{told['id']}", role, json={"text": "Anew"})
    assert (changed.status, changed.headers["ETag"]) == (200, '"2.0"')
    page = await company.told(f"{path}?limit=1", role)
    assert [item["text"] for item in page["items"]] == ["Anew"]
    older = await company.told(f"{path}?limit=1&cursor={page['next']}", role)
    assert [item["text"] for item in older["items"]] == [f"By {role}"]


async def test_one_that_belongs_to_a_lead_is_with_whom_that_is_about(company: Company) -> None:
    lead = await company.told(f"/api/v1/leads/{company.leads['agent']}", "agent")
    about = LETTER | {"lead_id": company.leads["agent"]}
    made = await company.post(PATH, about, "agent")
    assert made.status == 201, await made.text()
    told = (await company.told(made.headers["Location"], "agent"))["communication"]
    assert told["party_id"] == lead["lead"]["party_id"]
    async with company.database.sessions() as session:
        of_lead = select(Communication.lead_id).where(Communication.id == UUID(told["id"]))
        assert await session.scalar(of_lead) == company.leads["agent"]
    other = await company.post(PATH, about | {"party_id": company.parties["agent"]}, "agent")
    assert (other.status, (await other.json(content_type=None))["field"]) == (422, "party_id")
    assert (await company.post(PATH, LETTER | {"lead_id": company.leads["stranger"]}, "agent")).status == 404


async def test_a_mention_is_told_to_the_user_and_marked_as_seen(company: Company) -> None:
    path = f"/api/v1/parties/{company.parties['agent']}/comments"
    made = await company.post(path, {"text": "@colleague.login look"}, "agent")
    assert (await made.json())["author_id"] == company.people["agent"].user_id
    mine = await company.told("/api/v1/notifications?unseen=1", "colleague")
    told = [(item["kind"], item["record_id"]) for item in mine["items"]]
    assert told[0] == ("mentioned", str(company.parties["agent"]))
    foreign = await company.post("/api/v1/notifications/seen", {"ids": [mine["items"][0]["id"]]}, "stranger")
    assert await foreign.json() == {"marked": 0}
    seen = await company.post("/api/v1/notifications/seen", {"ids": None}, "colleague")
    assert await seen.json() == {"marked": mine["unseen"]}
    assert (await company.told("/api/v1/notifications", "colleague"))["unseen"] == 0


async def test_views_are_ones_own_and_those_of_ones_roles(company: Company) -> None:
    async with company.database.sessions.begin() as session:
        content = ViewContent(filters={"phone": "no"}, sort="last")
        await save_view(session, company.people["manager"], "clients", "Mine", content)
        await save_view(session, company.people["admin"], "clients", "Ours", content, role_codes=["manager"])
    told = await company.told("/api/v1/views?area=clients", "manager")
    assert [(view["name"], view["is_own"]) for view in told["items"]] == [("Mine", True), ("Ours", False)]
    assert told["items"][0]["filters"] == {"phone": "no"}
    assert (await company.told("/api/v1/views?area=clients", "agent"))["items"] == []


async def test_a_communication_is_tied_to_a_lead_told_with_it_and_untied(company: Company) -> None:
    lead = company.leads["agent"]
    made = await company.post(PATH, LETTER | {"lead_id": lead}, "agent")
    address = made.headers["Location"]
    told = (await company.told(address, "agent"))["communication"]
    assert told["lead_id"] == lead
    assert told["lead_number"] == (await company.told(f"/api/v1/leads/{lead}", "agent"))["lead"]["number"]
    listed = await company.told(f"{PATH}?lead={lead}&kind=email", "agent")
    assert told["id"] in [item["id"] for item in listed["items"]]
    assert {item["lead_id"] for item in listed["items"]} == {lead}
    assert (await company.get(f"{PATH}?lead={company.leads['stranger']}", "agent")).status == 404
    untied = await company.ask("PATCH", address, "agent", json={"lead_id": None})
    assert untied.status == 200
    assert (await company.told(address, "agent"))["communication"]["lead_id"] is None
    tied = await company.ask("PATCH", address, "agent", json={"lead_id": lead, "subject": "Again"})
    assert tied.status == 200, await tied.text()
    told = (await company.told(address, "agent"))["communication"]
    assert (told["lead_id"], told["subject"]) == (lead, "Again")
    foreign = {"lead_id": company.leads["stranger"]}
    assert (await company.ask("PATCH", address, "agent", json=foreign)).status == 404
    kept = await company.ask("PATCH", address, "agent", json={"subject": "Once more"})
    assert kept.status == 200
    assert (await company.told(address, "agent"))["communication"]["lead_id"] == lead


async def test_t11_a_lead_that_one_may_not_read_is_not_named_and_keeps_what_is_its(company: Company) -> None:
    lead = company.leads["stranger"]
    made = await company.post(PATH, LETTER | {"lead_id": lead}, "stranger")
    communication_id = made.headers["Location"].rpartition("/")[2]
    async with company.database.sessions.begin() as session:
        mine = company.people["agent"].user_id
        row = update(Communication).where(Communication.id == UUID(communication_id))
        await session.execute(row.values(user_id=mine, party_id=None, contact_id=None))
    told = await company.told(f"{PATH}/{communication_id}", "agent")
    assert (told["communication"]["lead_id"], told["communication"]["lead_number"]) == (None, None)
    refused = await company.ask(
        "PATCH", f"{PATH}/{communication_id}", "agent", json={"lead_id": company.leads["agent"]}
    )
    assert (refused.status, (await refused.json(content_type=None))["field"]) == (422, "lead_id")
    taken = await company.ask("PATCH", f"{PATH}/{communication_id}", "agent", json={"lead_id": None})
    assert taken.status == 422
    assert (await company.told(f"{PATH}/{communication_id}"))["communication"]["lead_id"] == lead


async def test_a_comment_is_pinned_by_its_author_or_whoever_may_edit(company: Company) -> None:
    path = f"/api/v1/leads/{company.leads['agent']}/comments"
    told = await (await company.post(path, {"text": "Важно"}, "agent")).json()
    pin = f"/api/v1/comments/{told['id']}/pin"
    assert (await company.post(pin, {"is_pinned": True}, "colleague")).status == 404
    pinned = await company.post(pin, {"is_pinned": True}, "agent")
    assert (pinned.status, (await pinned.json())["is_pinned"]) == (200, True)
    assert (await company.told(path, "agent"))["items"][0]["is_pinned"] is True
    again = await company.post(pin, {"is_pinned": False}, "head")
    assert (await again.json())["is_pinned"] is False


async def test_a_request_repeated_with_its_key_writes_one_communication_and_one_comment(
    company: Company,
) -> None:
    party, lead = company.parties["agent"], company.leads["agent"]
    asked = (
        (PATH, LETTER | {"party_id": party, "subject": "Once"}),
        (f"/api/v1/parties/{party}/comments", {"text": "Once"}),
        (f"/api/v1/leads/{lead}/comments", {"text": "Once"}),
    )
    for path, body in asked:
        key = {"Idempotency-Key": str(uuid4())}
        answers = await asyncio.gather(*[company.post(path, body, "agent", headers=key) for _ in range(3)])
        assert {answer.status for answer in answers} == {201}
        assert len({(await answer.json())["id"] for answer in answers}) == 1
        told = [await answer.json() for answer in answers]
        assert told[0] == told[1] == told[2]
