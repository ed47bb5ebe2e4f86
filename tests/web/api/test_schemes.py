"""Schemes of leads and their stages over the API: made, changed on the base of what was read, archived."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.api.company import Company

PATH = "/api/v1/lead-schemes"


@pytest.fixture
async def scheme(company: Company) -> dict[str, Any]:
    """A copy of what the installation began with, made anew for each test."""
    count = len((await company.told(PATH))["items"])
    answer = await company.post(PATH, {"name": f"API scheme {count}", "copy_of": company.scheme_id})
    assert answer.status == 201, await answer.text()
    made: dict[str, Any] = await answer.json()
    assert answer.headers["Location"] == f"{PATH}/{made['id']}"
    return made


async def ask(
    company: Company, method: str, path: str, body: Any, status: int = 200, *, etag: str | None = None
) -> Any:
    headers = {"If-Match": etag} if etag else {}
    answer = await company.ask(method, path, json=body, headers=headers)
    assert answer.status == status, await answer.text()
    return await answer.json(content_type=None)


def names(scheme: dict[str, Any]) -> list[str]:
    return [stage["name"] for stage in scheme["stages"] if stage["outcome"] == "open"]


async def test_a_scheme_is_changed_in_parts(company: Company, scheme: dict[str, Any]) -> None:
    path, first, second = f"{PATH}/{scheme['id']}", *[stage["id"] for stage in scheme["stages"][:2]]
    told = await ask(company, "PATCH", path, {"mode": "matrix"}, etag=f'"{scheme["version"]}"')
    assert (told["mode"], told["name"], told["is_default"]) == ("matrix", scheme["name"], False)
    move = {"from_stage_id": first, "to_stage_id": second}
    moved = await ask(company, "PATCH", path, {"moves": [move]})
    assert moved["moves"] == [move]
    assert moved["version"] > told["version"]
    stale = await ask(company, "PATCH", path, {"name": "x"}, 409, etag=f'"{told["version"]}"')
    assert stale["version"] == moved["version"]
    taken = await ask(company, "PATCH", path, {"name": (await company.told(PATH))["items"][0]["name"]}, 409)
    assert taken["field"] == "name"
    wrong = {"moves": [{"from_stage_id": first, "to_stage_id": company.stage_id}]}
    assert (await ask(company, "PATCH", path, wrong, 422))["field"] == "transitions"
    gone = await ask(company, "PATCH", path, {"is_archived": True})
    assert gone["archived_at"] is not None
    assert (await ask(company, "PATCH", path, {"is_archived": False}))["archived_at"] is None
    for who in ("manager", "head", "telephony"):
        assert (await company.ask("PATCH", path, who, json={"name": "x"})).status == 404
        assert (await company.get(path, who)).status == 404


async def test_a_stage_is_added_changed_placed_and_archived(company: Company, scheme: dict[str, Any]) -> None:
    new = {"name": "API stage", "sla_seconds": 3600, "enter": ["source"]}
    stage = await ask(company, "POST", f"{PATH}/{scheme['id']}/stages", new, 201)
    path = f"/api/v1/lead-stages/{stage['id']}"
    assert (stage["outcome"], stage["enter"], stage["standing"]) == ("open", ["source"], 0)
    told = await ask(company, "PATCH", path, {"colour": "#2f6fed", "sla_seconds": None}, etag='"1"')
    assert (told["colour"], told["sla_seconds"], told["enter"], told["version"]) == (
        "#2f6fed",
        None,
        ["source"],
        2,
    )
    await ask(company, "PATCH", path, {"name": "x"}, 409, etag='"1"')
    await ask(company, "PATCH", path, {"place": 1})
    assert names(await company.told(f"{PATH}/{scheme['id']}"))[0] == "API stage"
    await ask(company, "PATCH", path, {"place": 99})
    assert names(await company.told(f"{PATH}/{scheme['id']}"))[-1] == "API stage"
    assert (await ask(company, "PATCH", path, {"enter": ["colour"]}, 422))["status"] == 422
    assert (await ask(company, "POST", f"{path}/archive", {}))["archived_at"] is not None
    assert (await ask(company, "POST", f"{path}/restore", {}))["archived_at"] is None
    await ask(company, "PATCH", "/api/v1/lead-stages/999999999", {"name": "x"}, 404)


async def test_a_stage_in_use_says_where_its_leads_go(company: Company, scheme: dict[str, Any]) -> None:
    lead = {"person": "Standing there", "scheme_id": scheme["id"], "is_further": True}
    made = await company.post("/api/v1/leads", lead)
    assert made.status == 201, await made.text()
    first, second = scheme["stages"][:2]
    path = f"/api/v1/lead-stages/{first['id']}/archive"
    refused = await ask(company, "POST", path, {}, 409)
    assert (refused["code"], refused["field"]) == ("StageInUse", "replaced_by")
    await ask(company, "POST", path, {"replaced_by": second["id"]})
    assert (await company.told(made.headers["Location"]))["lead"]["stage_id"] == second["id"]
    going = await ask(company, "PATCH", f"{PATH}/{scheme['id']}", {"is_archived": True}, 409)
    assert going["code"] == "SchemeInUse"
