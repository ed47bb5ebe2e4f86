"""Directories over the API: kept by the administrator, read by everybody, changed on the base of what was read."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from crm.communication_kinds import change_kind
from tests.crm.people import COMMAND
from tests.web.api.company import Company
from web.api.directories import KEPT

PATHS = [kept.path for kept in KEPT]


async def made(company: Company, path: str, name: str, **more: Any) -> dict[str, Any]:
    answer = await company.post(path, {"name": name, **more})
    assert answer.status == 201, await answer.text()
    entry: dict[str, Any] = await answer.json()
    assert answer.headers["Location"] == f"{path}/{entry['id']}"
    assert answer.headers["ETag"] == '"1"'
    return entry


async def changed(company: Company, path: str, **said: Any) -> Any:
    answer = await company.ask("PATCH", path, json=said)
    assert answer.status == 200, await answer.text()
    return await answer.json()


@pytest.mark.parametrize("path", PATHS)
async def test_an_entry_is_added_renamed_archived_and_ordered(company: Company, path: str) -> None:
    first, second = await made(company, path, "API first"), await made(company, path, "API second")
    assert (first.get("is_system", False), first["archived_at"]) == (False, None)
    assert await company.told(f"{path}/{first['id']}", "agent") == first
    renamed = await changed(company, f"{path}/{first['id']}", name="API renamed")
    assert (renamed["name"], renamed["version"]) == ("API renamed", 2)
    await changed(company, f"{path}/{second['id']}", place=1)
    listed = [each["id"] for each in (await company.told(path, "agent"))["items"]]
    assert listed[0] == second["id"]
    gone = await changed(company, f"{path}/{second['id']}", is_archived=True)
    assert gone["archived_at"] is not None
    assert [each["id"] for each in (await company.told(path))["items"]][-1] == second["id"]
    assert (await changed(company, f"{path}/{second['id']}", is_archived=False))["archived_at"] is None


@pytest.mark.parametrize("path", PATHS)
async def test_what_does_not_fit_is_refused_with_its_field(company: Company, path: str) -> None:
    entry = await made(company, path, "API taken")
    twice = await company.post(path, {"name": "api TAKEN"})
    problem = await twice.json(content_type=None)
    assert (twice.status, problem["field"], problem["code"]) == (409, "name", "Taken")
    for wrong in ({"name": ""}, {"name": "x" * 201}, {"title": "x"}, {"name": None}):
        assert (await company.ask("PATCH", f"{path}/{entry['id']}", json=wrong)).status == 422, wrong
    assert (await company.ask("PATCH", f"{path}/999999999", json={"name": "x"})).status == 404
    for who in ("agent", "manager", "head", "telephony"):
        assert (await company.post(path, {"name": "Not mine"}, who)).status == 404
        assert (await company.ask("PATCH", f"{path}/{entry['id']}", who, json={"name": "x"})).status == 404


async def test_a_change_is_based_on_what_was_read(company: Company) -> None:
    entry = await made(company, "/api/v1/tags", "API based", colour="#2f6fed")
    path = f"/api/v1/tags/{entry['id']}"
    answer = await company.ask("PATCH", path, json={"colour": None}, headers={"If-Match": '"1"'})
    assert (answer.status, answer.headers["ETag"], (await answer.json())["colour"]) == (200, '"2"', None)
    stale = await company.ask("PATCH", path, json={"name": "Mine"}, headers={"If-Match": '"1"'})
    problem = await stale.json(content_type=None)
    assert (stale.status, problem["version"], problem["code"]) == (409, 2, "Conflict")
    assert (await company.told(path))["name"] == "API based"
    assert (await company.ask("PATCH", path, json={"colour": "red"})).status == 422


async def test_the_same_key_adds_once(company: Company) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    answers = [await company.post("/api/v1/industries", {"name": "API once"}, headers=key) for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    names = [each["name"] for each in (await company.told("/api/v1/industries"))["items"]]
    assert names.count("API once") == 1


async def test_what_came_with_the_program_stays(company: Company) -> None:
    client = next(each for each in (await company.told("/api/v1/kinds"))["items"] if each["code"] == "client")
    path = f"/api/v1/kinds/{client['id']}"
    for wrong, field in (({"name": "Buyer"}, "name"), ({"is_archived": True}, "is_archived")):
        answer = await company.ask("PATCH", path, json=wrong)
        assert (answer.status, (await answer.json(content_type=None))["field"]) == (422, field)
    assert (await changed(company, path, colour="#00aa00", name=client["name"]))["colour"] == "#00aa00"


async def test_a_kind_with_a_code_is_used_by_it(company: Company) -> None:
    await made(company, "/api/v1/kinds", "API partner", code="partner")
    assert (await company.post("/api/v1/kinds", {"name": "Other", "code": "partner"})).status == 409
    new = {"type": "organisation", "short_name": "Invented Partner", "kinds": ["partner"]}
    assert (await company.post("/api/v1/parties", new)).status == 201
    assert (await company.told("/api/v1/parties?kind=partner"))["items"][0]["name"] == "Invented Partner"


async def test_a_source_is_understood_by_its_words(company: Company) -> None:
    entry = await made(company, "/api/v1/sources", "API site", code="api-site")
    new = {"type": "organisation", "short_name": "Invented Visitor", "kinds": ["client"]}
    await company.post("/api/v1/parties", new | {"source": "landing page"})
    assert "landing page" in (await company.told("/api/v1/unknown-sources"))["items"]
    path = f"/api/v1/sources/{entry['id']}"
    joined = await company.post(f"{path}/words", {"word": "Landing page"})
    assert (joined.status, (await joined.json())["words"]) == (200, ["landing page"])
    assert joined.headers["ETag"] == '"2"'  # of what the entry is, its words are a part
    again = await company.post(f"{path}/words", {"word": "landing page"})
    assert (again.status, again.headers["ETag"]) == (200, '"2"')
    assert "landing page" not in (await company.told("/api/v1/unknown-sources"))["items"]
    further = await company.post("/api/v1/parties", new | {"short_name": "Another", "source": "API-SITE"})
    assert (await company.told(further.headers["Location"]))["source"] == "API site"
    other = await made(company, "/api/v1/sources", "API shop")
    assert (
        await company.post(f"/api/v1/sources/{other['id']}/words", {"word": "landing page"})
    ).status == 409
    assert (await company.post(f"{path}/words", {"word": "x"}, "manager")).status == 404


async def test_two_who_give_a_word_its_meaning_at_one_moment(company: Company) -> None:
    path = "/api/v1/sources"
    ids = [(await made(company, path, f"API race {number}"))["id"] for number in range(2)]
    for number in range(3):
        word = f"api-same-{number}"
        joined = [company.post(f"{path}/{ids[place % 2]}/words", {"word": word}) for place in range(6)]
        added = [company.post(path, {"name": word}) for _ in range(2)]
        found = [answer.status for answer in await asyncio.gather(*joined, *added)]
        assert set(found) <= {200, 201, 409}, found
        assert 201 not in found or 200 not in found, found  # it means one of them, whoever was first


async def test_tags_stand_on_parties_and_lists_are_narrowed_by_them(company: Company) -> None:
    tag = await made(company, "/api/v1/tags", "API vip")
    party = f"/api/v1/parties/{company.parties['agent']}"
    read = await company.get(party, "agent")
    told = await company.ask(
        "PUT",
        f"{party}/tags",
        "agent",
        json={"tag_ids": [tag["id"]]},
        headers={"If-Match": read.headers["ETag"]},
    )
    assert (told.status, (await told.json())["tags"]) == (
        200,
        [{"id": tag["id"], "name": "API vip", "colour": None}],
    )
    stale = await company.ask(
        "PUT", f"{party}/tags", "agent", json={"tag_ids": []}, headers={"If-Match": read.headers["ETag"]}
    )
    assert stale.status == 409
    found = (await company.told(f"/api/v1/parties?tag={tag['id']}"))["items"]
    assert [each["id"] for each in found] == [company.parties["agent"]]
    refused = await company.ask("PUT", f"{party}/tags", "agent", json={"tag_ids": [999_999]})
    assert refused.status == 422
    assert (await company.ask("PUT", f"{party}/tags", "colleague", json={"tag_ids": []})).status == 404
    assert (await company.told(party))["tags"][0]["id"] == tag["id"]


async def test_what_a_kind_requires_is_asked_of_whoever_saves(company: Company) -> None:
    kind = await made(company, "/api/v1/kinds", "API demanding", code="demanding")
    path = f"/api/v1/kinds/{kind['id']}/required-fields"
    answer = await company.ask("PUT", path, json={"fields": ["city", "inn"]})
    told = {"kind_id": kind["id"], "kind": "demanding", "fields": ["inn", "city"]}
    assert (answer.status, await answer.json()) == (200, told)
    assert told in (await company.told("/api/v1/required-fields", "agent"))["items"]
    new = {"type": "organisation", "short_name": "Invented Bare", "kinds": ["demanding"]}
    refused = await company.post("/api/v1/parties", new)
    assert (refused.status, (await refused.json(content_type=None))["field"]) == (422, "inn")
    assert (await company.ask("PUT", path, json={"fields": ["colour"]})).status == 422
    assert (await company.ask("PUT", path, "manager", json={"fields": []})).status == 404
    assert (await company.ask("PUT", path, json={"fields": []})).status == 200
    assert (await company.post("/api/v1/parties", new)).status == 201


async def test_own_kinds_of_communication_are_kept(company: Company) -> None:
    path = "/api/v1/communication-kinds"
    key = {"Idempotency-Key": str(uuid4())}
    answers = [await company.post(path, {"name": "API letter"}, headers=key) for _ in range(2)]
    kind = await answers[0].json()
    assert [answer.status for answer in answers] == [201, 201]
    assert (await answers[1].json()) == kind
    assert (await company.post(path, {"name": "api LETTER"})).status == 409
    told = await changed(company, f"{path}/{kind['id']}", is_archived=True)
    assert told == {"id": kind["id"], "name": "API letter", "is_archived": True}
    assert (await changed(company, f"{path}/{kind['id']}", name="API paper"))["is_archived"] is True
    assert kind["id"] in [each["id"] for each in (await company.told(path, "agent"))["items"]]
    assert (await company.post(path, {"name": "x"}, "manager")).status == 404
    assert (await company.ask("PATCH", f"{path}/999999999", json={"name": "x"})).status == 404


async def test_a_kind_that_is_archived_while_it_is_renamed_is_both(company: Company) -> None:
    path = "/api/v1/communication-kinds"
    kind_id = (await (await company.post(path, {"name": "API visit"})).json())["id"]
    async with company.database.sessions.begin() as session:
        await change_kind(session, COMMAND, kind_id, name="API call")
        archiving = asyncio.create_task(company.ask("PATCH", f"{path}/{kind_id}", json={"is_archived": True}))
        await asyncio.sleep(0.3)  # it waits for the name
        assert not archiving.done()
    assert (await archiving).status == 200
    told = next(each for each in (await company.told(path))["items"] if each["id"] == kind_id)
    assert told == {"id": kind_id, "name": "API call", "is_archived": True}
