"""Tasks over the API: within one's rights, once by key, over a version, in the order of their changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from crm.granted_rights import ROLE_CODES
from tests.web.api.company import OWNERS, Company

TASKS = "/api/v1/tasks"
TEAM = {who for who in OWNERS if who != "stranger"}
TASKS_OF = {
    "agent": {"agent"},
    "manager": {"manager"},
    "head": TEAM,
    "telephony": {"telephony"},
    "admin": {*OWNERS},
}


async def made(company: Company, who: str = "agent", **said: Any) -> int:
    answer = await company.post(TASKS, {"title": "Over the API", **said}, who)
    assert answer.status == 201, await answer.text()
    task_id: int = (await answer.json())["id"]
    return task_id


@pytest.mark.parametrize("role", ROLE_CODES)
@pytest.mark.parametrize("of", OWNERS)
async def test_t11_a_task_is_read_and_changed_within_ones_rights(
    company: Company, role: str, of: str
) -> None:
    one = f"{TASKS}/{company.tasks[of]}"
    may = of in TASKS_OF[role]
    assert (await company.get(one, role)).status == (200 if may else 404)
    listed = await company.told(f"{TASKS}?owner={company.people[of].user_id}&limit=200", role)
    assert (company.tasks[of] in [item["id"] for item in listed["items"]]) is may
    answer = await company.ask("PATCH", one, role, json={"title": f"Task of {of}"})
    assert answer.status == (200 if may else 404)


async def test_a_task_is_set_once_by_its_key(company: Company) -> None:
    headers, body = {"Idempotency-Key": str(uuid4())}, {"title": "Once", "due_on": "2027-01-11"}
    first = await company.post(TASKS, body, "agent", headers=headers)
    second = await company.post(TASKS, body, "agent", headers=headers)
    assert first.status == second.status == 201
    assert await first.json() == await second.json()
    other = await company.post(TASKS, {"title": "Other"}, "agent", headers=headers)
    assert other.status == 409


async def test_a_change_over_an_old_version_is_refused(company: Company) -> None:
    one = f"{TASKS}/{await made(company, due_at='2027-01-11T09:00:00Z')}"
    etag = (await company.get(one, "agent")).headers["ETag"]
    moved = await company.ask(
        "PATCH", one, "agent", json={"due_on": "2027-01-12"}, headers={"If-Match": etag}
    )
    assert (moved.status, moved.headers["ETag"]) == (200, '"2"')
    task = (await company.told(one, "agent"))["task"]
    assert (task["due_at"], task["due_on"]) == (None, "2027-01-12")
    for path in ("/complete", "/cancel", "/reopen"):
        late = await company.ask("POST", one + path, "agent", json={}, headers={"If-Match": etag})
        assert late.status == 409, path
    done = await company.post(one + "/complete", {"result": "Sent"}, "agent")
    assert (await done.json())["state"] == "done"
    assert (await company.post(one + "/cancel", {}, "agent")).status == 422
    assert (await (await company.post(one + "/reopen", {}, "agent")).json())["state"] == "new"


async def test_a_body_that_names_what_one_may_not_see_is_told_so(company: Company) -> None:
    refused = {
        "party_id": company.parties["stranger"],
        "lead_id": company.leads["stranger"],
        "communication_id": str(company.calls["stranger"]),
        "owner_id": 10**9,
    }
    for field, value in refused.items():
        answer = await company.post(TASKS, {"title": "x", field: value}, "agent")
        assert answer.status == 422
        assert (await answer.json(content_type=None))["field"] == field
    both = {"title": "x", "due_at": "2027-01-11T09:00:00Z", "due_on": "2027-01-11"}
    assert (await company.post(TASKS, both, "agent")).status == 422
    assert (await company.post(TASKS, {"title": "x", "due_at": "soon"}, "agent")).status == 422


async def test_giving_a_task_lends_the_card_it_is_about(company: Company) -> None:
    task_id = await made(company, party_id=company.parties["agent"])
    stranger = company.people["stranger"].user_id
    card = f"/api/v1/parties/{company.parties['agent']}"
    assert (await company.get(card, "stranger")).status == 404
    given = await company.post(f"{TASKS}/{task_id}/owner", {"owner_id": stranger}, "agent")
    assert given.status == 200
    assert (await company.get(card, "stranger")).status == 200
    notices = await company.told("/api/v1/notifications?unseen=1", "stranger")
    assert notices["items"][0]["kind"] == "task"


async def test_changes_come_in_their_order_and_alone(company: Company) -> None:
    since = (datetime.now(UTC) - timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    first, second = await made(company), await made(company)
    await company.ask("PATCH", f"{TASKS}/{first}", "agent", json={"priority": "high"})
    page = await company.told(f"{TASKS}?changed_since={since}&limit=200", "agent")
    found = [item["id"] for item in page["items"] if item["id"] in (first, second)]
    assert found == [second, first]
    assert (await company.get(f"{TASKS}?changed_since={since}&state=all", "agent")).status == 422


async def test_reminders_are_ones_own(company: Company) -> None:
    task_id = await made(company, due_at="2030-01-11T09:00:00Z", remind_minutes=10)
    (planned,) = (await company.told(f"{TASKS}/{task_id}", "agent"))["reminders"]
    assert planned["fire_at"] == "2030-01-11T08:50:00Z"
    again = await company.post(f"{TASKS}/{task_id}/reminders", {"minutes_before": 10}, "agent")
    assert (again.status, (await again.json())["id"]) == (201, planned["id"])
    one = f"/api/v1/reminders/{planned['id']}"
    assert (await company.post(f"{one}/dismiss", {}, "admin")).status == 404
    later = await company.post(f"{one}/snooze", {"until": "2030-01-11T08:55:00Z"}, "agent")
    assert later.status == 200
    assert (await company.told("/api/v1/reminders", "agent"))["items"] == []
    assert (await company.post(f"{TASKS}/{task_id}/reminders", {}, "agent")).status == 422
