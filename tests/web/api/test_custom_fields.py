"""Fields of the company's own over the API: defined, written with a party, changed, refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.api.company import Company

PATH = "/api/v1/custom-fields"
PARTY = {"type": "organisation", "short_name": "Invented Ltd", "kinds": ["client"]}


async def sizes(company: Company, who: str = "admin") -> list[dict[str, Any]]:
    return [field for field in (await company.told(PATH, who))["items"] if field["key"] == "size"]


@pytest.fixture
async def size(company: Company) -> dict[str, Any]:
    """A choice, made by the first test that asks."""
    if not (listed := await sizes(company)):
        body = {"key": "size", "name": "Size", "type": "choice", "options": ["small", "large"]}
        made = await company.post(PATH, body)
        assert made.status == 201, await made.text()
        listed = await sizes(company)
    found: dict[str, Any] = listed[0]
    return found


async def test_a_field_is_defined_by_the_administrator_alone(company: Company, size: dict[str, Any]) -> None:
    assert (size["key"], size["options"], size["archived_at"]) == ("size", ["small", "large"], None)
    again = await company.post(PATH, {"key": "size", "name": "x", "type": "text"})
    assert again.status == 409
    for wrong in ({"key": "Size"}, {"type": "json"}, {"options": ["a"]}, {"name": ""}):
        answer = await company.post(PATH, {"key": "x", "name": "x", "type": "text"} | wrong)
        assert answer.status == 422, wrong
    assert (await company.post(PATH, {"key": "y", "name": "y", "type": "text"}, "head")).status == 404
    assert await sizes(company, "agent") == [size]


async def test_values_come_with_a_new_party_and_change_afterwards(
    company: Company, size: dict[str, Any]
) -> None:
    made = await company.post("/api/v1/parties", PARTY | {"custom": {"size": "small"}}, "agent")
    assert made.status == 201, await made.text()
    party = made.headers["Location"]
    assert (await company.told(party, "agent"))["custom"] == {"size": "small"}
    path = f"{party}/custom"
    changed = await company.ask("PATCH", path, "agent", json={"values": {"size": "large"}})
    assert (changed.status, await changed.json()) == (200, {"values": {"size": "large"}})
    before = await company.rows()
    for wrong in ({"size": "huge"}, {"colour": "red"}, {"size": 1}):
        answer = await company.ask("PATCH", path, "agent", json={"values": wrong})
        problem = await answer.json(content_type=None)
        assert (answer.status, problem["field"]) == (422, "custom"), wrong
        refused = await company.post("/api/v1/parties", PARTY | {"custom": wrong}, "agent")
        assert refused.status == 422, wrong
    assert (await company.ask("PATCH", path, "colleague", json={"values": {}})).status == 404
    assert await company.rows() == before
    gone = await company.ask("PATCH", path, "agent", json={"values": {"size": None}})
    assert await gone.json() == {"values": {}}


async def test_a_field_is_renamed_and_archived(company: Company, size: dict[str, Any]) -> None:
    body = {"name": "How large", "options": ["large"], "is_archived": True}
    answer = await company.ask("PUT", f"{PATH}/{size['id']}", json=body)
    told = await answer.json()
    assert (answer.status, told["name"], told["options"]) == (200, "How large", ["large"])
    assert told["archived_at"] is not None
    refused = await company.post("/api/v1/parties", PARTY | {"custom": {"size": "large"}}, "agent")
    assert refused.status == 422
    assert (await company.ask("PUT", f"{PATH}/999999", json=body)).status == 404
