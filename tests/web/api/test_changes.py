"""Changing over the API: parties, communications, comments, notes, views; and asking what changed since a moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from crm.merging import merge_parties
from crm.parties import create_party, organisation_values
from crm.party_bin import bin_party
from tests.crm.people import COMMAND
from tests.web.api.company import Company

PARTIES, COMMUNICATIONS, VIEWS = "/api/v1/parties", "/api/v1/communications", "/api/v1/views"
LETTER = {"kind": "email", "direction": "out", "started_at": "2026-11-20T11:30:00Z", "subject": "Invoice"}


async def firm(company: Company, name: str, who: str = "agent") -> int:
    async with company.database.sessions.begin() as session:
        values = organisation_values(name, website="example.org")
        return await create_party(session, company.people[who], values, kinds=["client"])


async def patch(company: Company, path: str, body: Any, who: str = "agent", **headers: str) -> Any:
    return await company.ask("PATCH", path, who, json=body, headers=headers)


async def problem(answer: Any) -> dict[str, Any]:
    told: dict[str, Any] = await answer.json(content_type=None)
    return told


async def test_some_fields_of_a_party_change_and_the_others_stay(company: Company) -> None:
    path = f"{PARTIES}/{await firm(company, 'Patched')}"
    shown = await company.get(path, "agent")
    assert shown.headers["ETag"].startswith('"1.')
    changed = await patch(company, path, {"city": "Tver", "website": None}, **{"If-Match": '"1"'})
    assert changed.status == 200
    assert changed.headers["ETag"].startswith('"2.')
    assert changed.headers["ETag"] == (await company.get(path, "agent")).headers["ETag"]
    told = await company.told(path, "agent")
    assert (told["short_name"], told["city"], told["website"]) == ("Patched", "Tver", None)
    assert [kind["code"] for kind in told["kinds"]] == ["client"]
    stale = await patch(company, path, {"city": "Pskov"}, **{"If-Match": '"1"'})
    assert stale.status == 409
    assert (await problem(stale))["version"] == 2
    assert (await patch(company, path, {"city": "Pskov", "kinds": ["supplier"]})).status == 200
    told = await company.told(path, "agent")
    assert (told["city"], [k["code"] for k in told["kinds"] if k["status"] == "active"]) == (
        "Pskov",
        ["supplier"],
    )


@pytest.mark.parametrize(
    ("wrong", "status", "field"),
    [
        ({"last_name": "Ivanov"}, 422, "last_name"),
        ({"inn": "123"}, 422, "inn"),
        ({"short_name": None}, 422, "short_name"),
        ({"kinds": []}, 422, "kinds"),
        ({"colour": "red"}, 422, None),
        ({"owner_id": 1}, 404, None),  # an agent may not
    ],
)
async def test_what_does_not_fit_names_its_field_and_changes_nothing(
    company: Company, wrong: dict[str, Any], status: int, field: str | None
) -> None:
    party = await firm(company, "Steady")
    before = await company.contents(party)
    answer = await patch(company, f"{PARTIES}/{party}", wrong)
    assert answer.status == status
    told = await problem(answer)
    assert told.get("field") == field or field is None
    assert told["detail"]
    assert await company.contents(party) == before


async def test_t11_a_strangers_party_is_not_there_to_change(company: Company) -> None:
    for role in ("agent", "manager", "head", "telephony"):
        party = company.parties["stranger"]
        before = await company.contents(party)
        for path in (f"{PARTIES}/{party}", f"{PARTIES}/{party}/custom"):
            body: dict[str, Any] = {"values": {}} if path.endswith("custom") else {"city": "Tver"}
            assert (await patch(company, path, body, role)).status == 404
        assert await company.contents(party) == before


async def test_own_fields_take_the_version_of_their_party(company: Company) -> None:
    path = f"{PARTIES}/{await firm(company, 'Own fields')}"
    new = {"key": "floor_no", "name": "Floor", "type": "number"}
    assert (await company.post("/api/v1/custom-fields", new)).status == 201
    done = await patch(company, f"{path}/custom", {"values": {"floor_no": 3}}, **{"If-Match": '"1"'})
    assert done.status == 200
    assert done.headers["ETag"].startswith('"2.')
    stale = await patch(company, f"{path}/custom", {"values": {"floor_no": 4}}, **{"If-Match": '"1"'})
    assert stale.status == 409
    assert (await company.told(path, "agent"))["custom"] == {"floor_no": 3}


async def test_a_communication_written_by_hand_is_changed(company: Company) -> None:
    party = company.parties["agent"]
    made = await company.post(COMMUNICATIONS, LETTER | {"party_id": party}, "agent")
    path = made.headers["Location"]
    version = (await company.get(path, "agent")).headers["ETag"]
    done = await patch(company, path, {"subject": "Invoice 2", "summary": "Sent"}, **{"If-Match": version})
    assert done.status == 200
    told = (await company.told(path, "agent"))["communication"]
    assert (told["subject"], told["summary"], told["direction"]) == ("Invoice 2", "Sent", "out")
    assert (await patch(company, path, {"subject": "Late"}, **{"If-Match": version})).status == 409
    assert (await problem(await patch(company, path, {"place": "Office"})))["field"] == "kind"
    assert (await patch(company, path, {"subject": "x"}, "stranger")).status == 404
    call = f"{COMMUNICATIONS}/{company.calls['agent']}"
    assert (await patch(company, call, {"subject": "x"})).status == 404  # what a PBX told stays


async def test_comments_are_changed_and_removed_by_their_author(company: Company) -> None:
    of_party = f"{PARTIES}/{company.parties['agent']}/comments"
    made = await problem(await company.post(of_party, {"text": "First"}, "agent"))
    path = f"/api/v1/comments/{made['id']}"
    assert (await patch(company, path, {"text": "x"}, "head")).status == 404
    done = await patch(company, path, {"text": "Second"}, **{"If-Match": '"1"'})
    assert (done.status, done.headers["ETag"], (await problem(done))["text"]) == (200, '"2.0"', "Second")
    assert (await patch(company, path, {"text": "Third"}, **{"If-Match": '"1"'})).status == 409
    assert (await company.ask("DELETE", path, "head")).status == 404
    assert (await company.ask("DELETE", path, "agent", headers={"If-Match": '"1"'})).status == 409
    assert (await company.ask("DELETE", path, "agent")).status == 200
    assert (await company.ask("DELETE", path, "agent")).status == 404
    assert made["id"] not in [item["id"] for item in (await company.told(of_party, "agent"))["items"]]


async def test_ones_own_note_on_a_call_is_written(company: Company) -> None:
    path = f"/api/v1/calls/{company.calls['agent']}/note"
    before = await company.get(path, "agent")
    version = before.headers["ETag"]
    sent = {"text": "Promised to call"}
    done = await company.ask("PUT", path, "agent", json=sent, headers={"If-Match": version})
    assert done.status == 200
    assert (await company.told(path, "agent"))["text"] == "Promised to call"
    stale = await company.ask("PUT", path, "agent", json={"text": "x"}, headers={"If-Match": version})
    assert stale.status == 409
    assert (await company.ask("PUT", path, "stranger", json=sent)).status == 404
    assert (await company.get(path, "telephony")).status == 404


async def test_a_view_is_saved_changed_and_removed(company: Company) -> None:
    new = {
        "area": "clients",
        "name": "Silent",
        "filters": {"silent": "90", "made_up": "x"},
        "columns": ["name"],
    }
    made = await company.post(VIEWS, new, "agent")
    assert made.status == 201
    path, told = made.headers["Location"], await problem(made)
    assert (told["filters"], told["columns"], told["is_own"]) == ({"silent": "90"}, ["name"], True)
    assert (await company.post(VIEWS, new, "agent")).status == 409
    wrong = await company.post(VIEWS, new | {"area": "secrets"}, "agent")
    assert (wrong.status, (await problem(wrong))["field"]) == (422, "area")
    version = made.headers["ETag"]
    renamed = {"name": "Very silent", "filters": {"silent": "180"}}
    done = await company.ask("PUT", path, "agent", json=renamed, headers={"If-Match": version})
    assert (done.status, (await problem(done))["name"]) == (200, "Very silent")
    stale = await company.ask("PUT", path, "agent", json=renamed, headers={"If-Match": version})
    assert stale.status == 409
    for method in ("GET", "PUT", "DELETE"):
        body: dict[str, Any] = {"json": renamed} if method == "PUT" else {}
        assert (await company.ask(method, path, "manager", **body)).status == 404
    assert (await company.ask("DELETE", path, "agent")).status == 200
    assert (await company.get(path, "agent")).status == 404


async def changed(company: Company, path: str, since: datetime, who: str = "admin") -> dict[str, Any]:
    told: dict[str, Any] = await company.told(f"{path}?changed_since={since:%Y-%m-%dT%H:%M:%SZ}", who)
    return told


async def test_what_changed_is_told_once_more_for_whoever_keeps_a_copy(company: Company) -> None:
    since = datetime.now(UTC)
    kept, merged, binned = [await firm(company, name) for name in ("Kept", "Merged", "Binned")]
    strangers = await firm(company, "Hidden", "stranger")
    async with company.database.sessions.begin() as session:
        await merge_parties(session, COMMAND, kept, [merged], {})
        await bin_party(session, COMMAND, binned)
    told = await changed(company, PARTIES, since, "agent")
    ids = [item["id"] for item in told["items"]]
    assert kept in ids
    assert strangers not in [*ids, *told["gone"]]
    assert {merged, binned} <= set(told["gone"])
    assert told["next"] is None
    resumed = f"{PARTIES}?changed_since={since:%Y-%m-%dT%H:%M:%SZ}&cursor={told['resume']}"
    assert (await company.told(resumed, "agent"))["items"] == []
    await patch(company, f"{PARTIES}/{kept}", {"city": "Tver"})
    assert [item["id"] for item in (await company.told(resumed, "agent"))["items"]] == [kept]


async def test_changes_come_in_pages(company: Company) -> None:
    since = datetime.now(UTC)
    made = [await firm(company, f"Page {index}") for index in range(3)]
    address = f"{PARTIES}?changed_since={since:%Y-%m-%dT%H:%M:%SZ}&limit=2"
    found: list[int] = []
    path = address
    while path:
        told = await company.told(path, "agent")
        assert len(told["items"]) <= 2
        found += [item["id"] for item in told["items"]]
        path = f"{address}&cursor={told['next']}" if told["next"] else ""
    assert found[-3:] == made


async def test_changed_leads_communications_and_calls_are_told(company: Company) -> None:
    since = datetime.now(UTC)
    lead = f"/api/v1/leads/{company.leads['agent']}"
    assert (await patch(company, lead, {"need": "Ten windows"})).status == 200
    made = await problem(await company.post(COMMUNICATIONS, LETTER, "agent"))
    leads = await changed(company, "/api/v1/leads", since, "agent")
    assert company.leads["agent"] in [item["id"] for item in leads["items"]]
    assert company.leads["stranger"] not in [item["id"] for item in leads["items"]]
    told = await changed(company, COMMUNICATIONS, since, "agent")
    assert made["id"] in [item["id"] for item in told["items"]]
    assert made["id"] not in str(await changed(company, COMMUNICATIONS, since, "stranger"))
    assert (await changed(company, "/api/v1/calls", since, "agent"))["gone"] == []


@pytest.mark.parametrize("path", [PARTIES, COMMUNICATIONS, "/api/v1/leads", "/api/v1/calls"])
async def test_changes_are_asked_for_alone_and_from_a_moment(company: Company, path: str) -> None:
    filters = {PARTIES: "kind=client", COMMUNICATIONS: "kind=email", "/api/v1/leads": "state=all"}
    narrow = filters.get(path, "direction=inbound")
    both = await company.get(f"{path}?changed_since=2026-11-20T09:00:00Z&{narrow}")
    assert (both.status, (await problem(both))["field"]) == (422, "changed_since")
    for wrong in ("changed_since=today", "changed_since=2026-11-20T09:00:00Z&cursor=mine"):
        assert (await company.get(f"{path}?{wrong}")).status == 422
