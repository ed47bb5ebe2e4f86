"""Merging, duplicates and the bin over the API."""

from __future__ import annotations

from typing import Any

import pytest

from crm.duplicate_search import search_piece
from crm.duplicates import ask_search
from tests.crm.people import COMMAND
from tests.web.api.company import Company

PARTIES = "/api/v1/parties"
MERGES = "/api/v1/merges"


async def made(company: Company, name: str, who: str = "manager", *numbers: str, **more: Any) -> int:
    body = {"type": "organisation", "short_name": name, "kinds": ["client"], **more}
    body["numbers"] = [{"number": number} for number in numbers]
    answer = await company.post(PARTIES, body, who)
    assert answer.status == 201, await answer.text()
    return int((await answer.json())["id"])


async def test_merging_and_undoing(company: Company) -> None:
    one = await made(company, "Один", "manager", "+74950002001", city="Тверь")
    other = await made(company, "Два", "manager", "+74950002002", city="Псков")
    body = {"survivor_id": one, "merged_ids": [other], "choices": {"city": other, "website": None}}
    answer = await company.post(MERGES, body, "manager")
    assert answer.status == 201, await answer.text()
    merge = await answer.json()
    assert (merge["survivor_id"], merge["merged"], merge["can_undo"]) == (
        one,
        [{"id": other, "name": "Два"}],
        True,
    )
    moved = await company.get(f"{PARTIES}/{other}", "manager")
    assert (moved.status, moved.headers["Location"]) == (301, f"{PARTIES}/{one}")
    survivor = await company.told(f"{PARTIES}/{one}", "manager")
    assert (survivor["city"], len(survivor["phones"])) == ("Псков", 2)
    listed = await company.told(f"{MERGES}?limit=1", "manager")
    assert listed["items"][0]["id"] == merge["id"]
    again = await company.post(MERGES, body, "manager")
    assert (again.status, (await again.json(content_type=None))["code"]) == (409, "MergedMeanwhile")
    undone = await company.post(f"{MERGES}/{merge['id']}/undo", {}, "manager")
    assert undone.status == 200
    told = await undone.json()
    assert (told["left"], told["can_undo"]) == ([], False)
    assert (await company.get(f"{PARTIES}/{other}", "manager")).status == 200
    twice = await company.post(f"{MERGES}/{merge['id']}/undo", {}, "manager")
    assert (twice.status, (await twice.json(content_type=None))["code"]) == (409, "UndoneAlready")


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"merged_ids": []}, 422, ""),
        ({"choices": {"colour": 1}}, 422, "choices"),
        ({"merged_ids": [987_654_321]}, 404, ""),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(
    company: Company, change: dict[str, Any], status: int, field: str
) -> None:
    one, other = await made(company, "Первый"), await made(company, "Второй")
    before = await company.rows()
    answer = await company.post(MERGES, {"survivor_id": one, "merged_ids": [other], **change}, "manager")
    assert answer.status == status
    if field:
        assert (await answer.json(content_type=None))["field"] == field
    assert await company.rows() == before


async def test_t11_only_what_one_may_merge(company: Company) -> None:
    mine = await made(company, "Моя")
    before = await company.rows()
    for who, other in (("manager", "agent"), ("manager", "stranger"), ("head", "stranger")):
        body = {"survivor_id": mine, "merged_ids": [company.parties[other]]}
        assert (await company.post(MERGES, body, who)).status == 404
        pair = {"one_id": mine, "other_id": company.parties[other]}
        assert (await company.post("/api/v1/duplicates/dismiss", pair, who)).status == 404
    assert await company.rows() == before


async def test_pairs_are_listed_and_dismissed(company: Company) -> None:
    one, other = await made(company, "Белый клык"), await made(company, "Белый клык, ООО")
    async with company.database.sessions.begin() as session:
        await ask_search(session, COMMAND)
    is_more = True
    while is_more:
        async with company.database.sessions.begin() as session:
            is_more = await search_piece(session)
    told = await company.told("/api/v1/duplicates", "manager")
    assert told["made_at"]
    assert not told["is_running"]
    pairs = {(pair["one"]["id"], pair["other"]["id"]): pair["reason"] for pair in told["items"]}
    assert pairs[one, other] == "name"
    said = await company.post("/api/v1/duplicates/dismiss", {"one_id": other, "other_id": one}, "manager")
    assert (said.status, await said.json()) == (200, {"id": one})
    told = await company.told("/api/v1/duplicates", "manager")
    assert (one, other) not in {(pair["one"]["id"], pair["other"]["id"]) for pair in told["items"]}


async def test_the_bin(company: Company) -> None:
    party_id = await made(company, "Удаляемая", "manager", "+74950002003")
    assert (await company.post(f"{PARTIES}/{party_id}/delete", {}, "agent")).status == 404
    deleted = await company.post(f"{PARTIES}/{party_id}/delete", {}, "manager")
    assert (deleted.status, await deleted.json()) == (200, {"id": party_id})
    assert (await company.get(f"{PARTIES}/{party_id}", "manager")).status == 404
    listed = await company.told("/api/v1/bin", "manager")
    assert [item["id"] for item in listed["items"]] == [party_id]
    await made(company, "Новая", "manager", "+74950002003")
    restored = await company.post(f"{PARTIES}/{party_id}/restore", {}, "manager")
    told = await restored.json()
    assert told["party_id"] == party_id
    (taken,) = told["taken"]
    assert (taken["what"], taken["shown"], taken["by"]) == ("number", "+74950002003", "Новая")
    assert (await company.post(f"{PARTIES}/{party_id}/restore", {}, "manager")).status == 404
