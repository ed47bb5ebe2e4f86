"""Changes based on what was read, and requests that are carried out once, for everything that makes or changes something."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import ClientResponse
from sqlalchemy import func, select

from crm.schema.imports import ImportJob
from crm.schema.journals import IdempotencyKey
from crm.schema.leads import Lead
from tests.crm.importing.office import csv_of
from tests.web.api.company import Company
from tests.webhooks.receiver import is_signed, receiving

IMPORTS, SUBSCRIBERS, VIEWS = "/api/v1/imports", "/api/v1/subscribers", "/api/v1/views"
FILE = csv_of(("Название", "Телефон"), ("ООО «Один раз»", "8 916 300-77-01"))


async def read(answer: ClientResponse, status: int) -> Any:
    told = await answer.json(content_type=None)
    assert answer.status == status, told
    return told


async def twice(company: Company, path: str, body: Any, who: str = "admin") -> tuple[Any, Any]:
    """The same request under one key, and one more that says something else."""
    once = {"Idempotency-Key": str(uuid4())}
    first, second = [
        await read(await company.ask("POST", path, who, json=body, headers=once), 201) for _ in range(2)
    ]
    other = {**body, "name": "Other"} if "name" in body else {**body, "merged_ids": [1]}
    refused = await read(await company.ask("POST", path, who, json=other, headers=once), 409)
    assert refused["code"] == "KeyReused"
    for wrong in ("rubbish", str(uuid4()) + "0"):
        spoilt = await company.ask("POST", path, who, json=body, headers={"Idempotency-Key": wrong})
        assert spoilt.status == 400
    return first, second


async def test_a_view_is_saved_once(company: Company) -> None:
    first, second = await twice(
        company, VIEWS, {"area": "leads", "name": "Once", "filters": {"state": "all"}}
    )
    assert first == second
    assert (await company.ask("POST", VIEWS, json={"area": "leads", "name": "Once"})).status == 409


async def test_records_are_merged_once(company: Company) -> None:
    made = []
    for name in ("Единожды", "Дважды"):
        body = {"type": "organisation", "short_name": name, "kinds": ["client"]}
        made.append((await read(await company.post("/api/v1/parties", body), 201))["id"])
    first, second = await twice(company, "/api/v1/merges", {"survivor_id": made[0], "merged_ids": made[1:]})
    assert first == second
    assert first["merged"] == [{"id": made[1], "name": "Дважды"}]


async def test_leads_are_merged_once(company: Company) -> None:
    about = {"party_id": company.parties["admin"], "is_further": True}
    leads = [(await read(await company.post("/api/v1/leads", about), 201))["id"] for _ in range(2)]
    first, second = await twice(
        company, "/api/v1/lead-merges", {"survivor_id": leads[0], "merged_ids": leads[1:]}
    )
    assert first == second
    async with company.database.sessions() as session:
        assert await session.scalar(select(Lead.merged_into_id).where(Lead.id == leads[1])) == leads[0]


async def test_a_subscriber_is_made_once_and_its_secret_is_kept_sealed(company: Company) -> None:
    async with receiving() as receiver:
        body = {"name": "Once", "url": receiver.url, "event_types": ["call.ended"]}
        first, second = await twice(company, SUBSCRIBERS, body)
        assert first == second
        await company.post(f"{SUBSCRIBERS}/{first['id']}/ping", {})
        assert is_signed(receiver.headers[0], receiver.bodies[0], second["secret"])
    async with company.database.sessions() as session:
        answers = (await session.scalars(select(IdempotencyKey.answer))).all()
    assert {"id": first["id"]} in answers
    assert first["secret"] not in str(answers)
    assert (await company.ask("DELETE", f"{SUBSCRIBERS}/{first['id']}")).status == 200


async def test_a_file_is_taken_in_once_also_when_it_is_sent_twice_at_a_time(company: Company) -> None:
    csv = {"Content-Type": "text/csv"}

    async def send(key: str, name: str = "once.csv", content: bytes = FILE) -> ClientResponse:
        headers = {**csv, "Idempotency-Key": key}
        return await company.ask("POST", f"{IMPORTS}?name={name}", data=content, headers=headers)

    async def jobs() -> int:
        async with company.database.sessions() as session:
            return (await session.execute(select(func.count()).select_from(ImportJob))).scalar_one()

    before, key = await jobs(), str(uuid4())
    sent = await asyncio.gather(*[send(key) for _ in range(4)], send(key))
    told = [await read(answer, 201) for answer in sent]
    assert len({each["id"] for each in told}) == 1
    assert len({answer.headers["Location"] for answer in sent}) == 1
    assert await jobs() == before + 1
    assert (await read(await send(key), 201))["id"] == told[0]["id"]
    for wrong in (await send(key, "other.csv"), await send(key, content=FILE + b"\n")):
        assert (await read(wrong, 409))["code"] == "KeyReused"
    assert (await send("rubbish")).status == 400
    spoilt = str(uuid4())
    assert (await send(spoilt, content=b"\0" * 50)).status == 422
    assert (await send(spoilt)).status == 201  # what was refused leaves its key free
    assert await jobs() == before + 2


async def test_a_definition_is_changed_on_the_base_of_what_was_read(company: Company) -> None:
    path = "/api/v1/custom-fields"
    made = await company.post(path, {"key": "based_on", "name": "Based", "type": "text"})
    assert (made.status, made.headers["ETag"]) == (201, '"1"')
    one = f"{path}/{(await made.json())['id']}"
    etag = {"If-Match": (await company.get(one)).headers["ETag"]}
    changed = await company.ask("PUT", one, json={"name": "First"}, headers=etag)
    assert (changed.status, changed.headers["ETag"]) == (200, '"2"')
    told = await read(await company.ask("PUT", one, json={"name": "Second"}, headers=etag), 409)
    assert (told["code"], told["version"]) == ("Conflict", 2)
    same = await company.ask("PUT", one, json={"name": "First"}, headers=etag)
    assert (same.status, same.headers["ETag"]) == (200, '"2"')  # what is wished is so already
    assert (await company.told(one))["name"] == "First"
    assert (await company.ask("PUT", one, json={"name": "Third"})).status == 200
    assert (await company.ask("PUT", one, json={"name": "x"}, headers={"If-Match": "3"})).status == 400
    assert (await company.get(f"{path}/987654321")).status == 404
    assert (await company.ask("PUT", one, json={"name": "Third", "is_archived": True})).status == 200


async def test_a_pin_is_set_on_the_base_of_what_was_read(company: Company) -> None:
    comments = f"/api/v1/parties/{company.parties['agent']}/comments"
    one = (
        f"/api/v1/comments/{(await read(await company.post(comments, {'text': 'Old'}, 'agent'), 201))['id']}"
    )
    loose = (await company.get(one, "agent")).headers["ETag"]
    assert loose == '"1.0"'

    async def pin(is_pinned: bool, etag: str) -> ClientResponse:
        body = {"is_pinned": is_pinned}
        return await company.ask("POST", f"{one}/pin", "agent", json=body, headers={"If-Match": etag})

    pinned = await pin(True, loose)
    assert (pinned.status, pinned.headers["ETag"]) == (200, '"1.1"')
    assert (await pin(False, loose)).status == 409  # pinned since
    assert (await pin(True, loose)).status == 200  # it is so already
    assert (await company.ask("PATCH", one, "agent", json={"text": "New"})).headers["ETag"] == '"2.1"'
    assert (await pin(False, '"1.1"')).status == 409  # other words since
    loosened = await pin(False, '"2"')
    assert (loosened.status, loosened.headers["ETag"]) == (200, '"2.0"')
    assert (await pin(True, "*")).status == 200
    assert (await company.get(one, "stranger")).status == 404


async def test_a_subscriber_is_paused_on_the_base_of_what_was_read(company: Company) -> None:
    async with receiving() as receiver:
        body = {"name": "Based", "url": receiver.url, "event_types": ["call.ended"]}
        one = f"{SUBSCRIBERS}/{(await read(await company.post(SUBSCRIBERS, body), 201))['id']}"
        etag = {"If-Match": (await company.get(one)).headers["ETag"]}
        assert (await company.ask("PUT", one, json=body | {"name": "Changed"})).status == 200
        for act in ("pause", "resume"):
            now = await company.get(one)
            told = await company.ask("POST", f"{one}/{act}", json={}, headers=etag)
            assert told.status == 409, act
            fresh = {"If-Match": now.headers["ETag"]}
            done = await company.ask("POST", f"{one}/{act}", json={}, headers=fresh)
            assert done.status == 200
            again = await company.ask("POST", f"{one}/{act}", json={}, headers=fresh)
            assert again.headers["ETag"] == done.headers["ETag"]  # it is so already
        assert (await company.ask("DELETE", one)).status == 200


@pytest.mark.parametrize("who", ["agent", "stranger", "telephony"])
async def test_a_key_gives_nobody_what_they_have_no_right_to(company: Company, who: str) -> None:
    once = {"Idempotency-Key": str(uuid4())}
    for path, body in (
        (SUBSCRIBERS, {"name": "x", "url": "https://crm.example/in", "event_types": ["call.ended"]}),
        ("/api/v1/merges", {"survivor_id": 1, "merged_ids": [2]}),
    ):
        assert (await company.ask("POST", path, who, json=body, headers=once)).status in {403, 404}
