"""Leads over the API: take in, move, convert, end, reopen; versions, keys and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from sqlalchemy import update

from crm.directories import add_entry
from crm.schema.stages import Scheme
from crm.sources import SOURCE
from tests.crm.enquiries import plant_scheme
from tests.crm.people import COMMAND
from tests.crm.planting import NOON
from tests.web.api.company import Company

PATH = "/api/v1/leads"
ENQUIRIES = "/api/v1/lead-enquiries"


async def made(company: Company, who: str = "agent", **body: Any) -> int:
    answer = await company.post(PATH, {"person": "Спросивший Иван"} | body, who)
    assert answer.status == 201, await answer.text()
    assert answer.headers["Location"] == f"{PATH}/{(await answer.json())['id']}"
    return int((await answer.json())["id"])


async def stages(company: Company) -> dict[str, int]:
    schemes = await company.told("/api/v1/lead-schemes", "agent")
    return {stage["name"]: stage["id"] for stage in schemes["items"][0]["stages"]}


async def problem(answer: Any) -> dict[str, Any]:
    assert answer.content_type == "application/problem+json", await answer.text()
    told: dict[str, Any] = await answer.json(content_type=None)
    return told


async def test_a_lead_is_made_read_and_listed(company: Company) -> None:
    body: dict[str, Any] = {"number": "8 900 100-00-01", "need": "Окна", "campaign": {"utm_source": "yandex"}}
    lead_id = await made(company, **body)
    answer = await company.get(f"{PATH}/{lead_id}", "agent")
    told = await answer.json()
    assert answer.headers["ETag"] == f'"{told["lead"]["version"]}"'
    assert (told["lead"]["need"], told["lead"]["stage_name"]) == ("Окна", "New")
    assert told["campaign"] == {"utm_source": "yandex"}
    assert [phone["e164"] for phone in told["phones"]] == ["+79001000001"]
    assert told["person"]["lifecycle"] == "unqualified"
    assert "Qualified" in {stage["name"] for stage in told["allowed"]}
    listed = await company.told(f"{PATH}?party={told['person']['id']}", "agent")
    assert [item["id"] for item in listed["items"]] == [lead_id]


async def test_pages_of_the_list_hold_every_lead_once(company: Company) -> None:
    expected = {await made(company, "manager", person=f"Страница {number}") for number in range(5)}
    seen: list[int] = []
    cursor = ""
    while True:
        page = await company.told(f"{PATH}?limit=2&cursor={cursor}", "manager")
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = page["next"]
    assert len(seen) == len(set(seen))
    assert expected <= set(seen)
    assert seen == sorted(seen, reverse=True)


async def test_open_leads_are_a_warning_that_can_be_confirmed(company: Company) -> None:
    party = company.parties["agent"]
    first = await made(company, party_id=party, person="")
    told = await problem(await company.post(PATH, {"party_id": party}, "agent"))
    assert (told["status"], told["code"], told["leads"][0]["id"]) == (409, "OpenLeads", first)
    assert await made(company, party_id=party, person="", is_further=True) != first
    unknown = await problem(await company.post(PATH, {"party_id": 10**9}, "agent"))
    assert (unknown["status"], unknown["field"]) == (422, "party_id")


async def test_a_form_sent_many_times_at_once_is_one_lead(company: Company) -> None:
    body = {"number": "+7 900 100-00-02", "text": "Перезвоните"}
    answers = await asyncio.gather(*[company.post(ENQUIRIES, body) for _ in range(12)])
    told = [await answer.json() for answer in answers]
    assert {answer.status for answer in answers} == {200}
    assert len({each["id"] for each in told}) == 1
    assert sum(each["is_new"] for each in told) == 1
    none = await problem(await company.post(ENQUIRIES, {"person": "Без номера"}))
    assert (none["status"], none["field"]) == (422, "number")


async def test_a_request_repeated_with_its_key_makes_one_lead(company: Company) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    answers = [await company.post(PATH, {"person": "Один раз"}, "agent", headers=key) for _ in range(2)]
    assert len({(await answer.json())["id"] for answer in answers}) == 1


async def test_moving_with_what_the_stage_asks_for(company: Company) -> None:
    lead_id, stage = await made(company), await stages(company)
    refused = await problem(
        await company.post(f"{PATH}/{lead_id}/move", {"stage_id": stage["Qualified"]}, "agent")
    )
    assert (refused["status"], refused["code"], refused["missing"]) == (409, "StageIncomplete", ["need"])
    filled = {"stage_id": stage["Qualified"], "fields": {"need": "Десять дверей"}}
    answer = await company.post(f"{PATH}/{lead_id}/move", filled, "agent")
    assert answer.status == 200
    assert answer.headers["ETag"] == f'"{(await answer.json())["version"]}"'


async def test_sequential_scheme_stage_2_asked_for_stage_4_is_a_409_with_what_is_allowed(
    company: Company,
) -> None:
    async with company.database.sessions.begin() as session:
        scheme = await plant_scheme(session, "1", "2", "3", "4", move_mode="sequential")
    lead_id = await made(company, scheme_id=scheme)
    told = await company.told("/api/v1/lead-schemes", "agent")
    own = next(each for each in told["items"] if each["id"] == scheme)
    stage = {each["name"]: each["id"] for each in own["stages"]}
    await company.post(f"{PATH}/{lead_id}/move", {"stage_id": stage["2"]}, "agent")
    refused = await problem(await company.post(f"{PATH}/{lead_id}/move", {"stage_id": stage["4"]}, "agent"))
    assert (refused["status"], refused["code"]) == (409, "MoveNotAllowed")
    assert [each["name"] for each in refused["allowed"]] == ["3"]
    assert "отказ, пауза" in refused["detail"]
    async with company.database.sessions.begin() as session:
        await session.execute(update(Scheme).where(Scheme.id == scheme).values(archived_at=NOON))


async def test_a_change_based_on_an_old_version_is_a_409(company: Company) -> None:
    lead_id = await made(company)
    first = (await company.get(f"{PATH}/{lead_id}", "agent")).headers["ETag"]
    old, wrong = {"If-Match": first}, {"If-Match": "yesterday"}
    patch = {"json": {"need": "Новое"}}
    assert (await company.ask("PATCH", f"{PATH}/{lead_id}", "agent", headers=old, **patch)).status == 200
    refused = await company.ask("PATCH", f"{PATH}/{lead_id}", "agent", headers=old, json={"need": "Старое"})
    told = await problem(refused)
    assert (told["status"], told["code"], told["version"]) == (409, "Conflict", 2)
    assert (await company.ask("PATCH", f"{PATH}/{lead_id}", "agent", headers=wrong, **patch)).status == 400


async def test_convert_twice_answers_the_same(company: Company) -> None:
    lead_id = await made(company, number="+7 900 100-00-03")
    wish = {"counterparty": {"organisation": "ООО «Через API»"}, "contact": {"position": "Закупки"}}
    first = await (await company.post(f"{PATH}/{lead_id}/convert", wish, "agent")).json()
    second = await (await company.post(f"{PATH}/{lead_id}/convert", wish, "agent")).json()
    assert (first["is_new"], second["is_new"]) == (True, False)
    assert first["party_id"] == second["party_id"]
    firm = await company.told(f"/api/v1/parties/{first['party_id']}", "agent")
    assert [contact["party_id"] for contact in firm["contacts"]] == [first["person_id"]]
    over = await problem(await company.ask("PATCH", f"{PATH}/{lead_id}", "agent", json={"need": "x"}))
    assert over["code"] == "LeadIsOver"
    success = (await stages(company))["Converted"]
    other = await made(company)
    told = await problem(await company.post(f"{PATH}/{other}/move", {"stage_id": success}, "agent"))
    assert told["code"] == "NeedsConversion"


async def test_disqualify_reopen_pause_resume_take_and_give(company: Company) -> None:
    lead_id = await made(company, "head")
    assert (await company.post(f"{PATH}/{lead_id}/disqualify", {"code": "spam"}, "head")).status == 200
    assert (await company.post(f"{PATH}/{lead_id}/reopen", {}, "agent")).status == 404
    assert (await (await company.post(f"{PATH}/{lead_id}/reopen", {}, "head")).json())["state"] == "open"
    paused = await company.post(f"{PATH}/{lead_id}/hold", {"resume_on": "2027-01-11"}, "head")
    assert (await paused.json())["state"] == "on_hold"
    assert (await (await company.post(f"{PATH}/{lead_id}/resume", {}, "head")).json())["state"] == "open"
    colleague = company.people["colleague"].user_id
    given = await company.post(f"{PATH}/{lead_id}/owner", {"owner_id": colleague}, "head")
    assert given.status == 200
    unknown = await problem(await company.post(f"{PATH}/{lead_id}/owner", {"owner_id": 10**9}, "head"))
    assert (unknown["status"], unknown["field"]) == (422, "owner_id")
    assert (await company.post(f"{PATH}/{lead_id}/owner", {"owner_id": None}, "head")).status == 200
    assert (await company.post(f"{PATH}/{lead_id}/take", {}, "agent")).status == 200
    lead = await company.told(f"{PATH}/{lead_id}", "agent")
    assert lead["lead"]["owner_id"] == company.people["agent"].user_id


async def test_leads_are_searched_and_narrowed_by_marks(company: Company) -> None:
    lead_id = await made(
        company, person="Искомов Олег", number="8 900 100-77-01", campaign={"utm_campaign": "search"}
    )
    number = (await company.told(f"{PATH}/{lead_id}", "agent"))["lead"]["number"]
    for typed in ("искомов", "1007701", f"№ {number}"):
        found = await company.told(f"{PATH}?q={typed}", "agent")
        assert [item["id"] for item in found["items"]] == [lead_id]
        assert (found["next"], found["is_cut"]) == (None, False)
    marked = await company.told(f"{PATH}?utm_campaign=search&response=none", "agent")
    assert [item["id"] for item in marked["items"]] == [lead_id]
    assert (await company.told(f"{PATH}?utm_campaign=search&response=slow", "agent"))["items"] == []
    assert (await problem(await company.get(f"{PATH}?q=и", "agent")))["field"] == "q"


async def test_what_stages_ask_for_is_told(company: Company) -> None:
    schemes = await company.told("/api/v1/lead-schemes", "agent")
    qualified = (await stages(company))["Qualified"]
    asked = [each for each in schemes["requirements"] if each["stage_id"] == qualified]
    assert asked == [{"stage_id": qualified, "moment": "enter", "field": "need"}]


async def test_merging_leads_and_undoing(company: Company) -> None:
    one = await made(company, "manager", person="Слитный Пётр", need="Окна")
    party = (await company.told(f"{PATH}/{one}", "manager"))["person"]["id"]
    other = await made(company, "manager", person="", party_id=party, need="Двери", is_further=True)
    body = {"survivor_id": one, "merged_ids": [other], "choices": {"need": other}}
    refused = await company.post("/api/v1/lead-merges", body | {"choices": {"colour": one}}, "manager")
    assert (refused.status, (await problem(refused))["field"]) == (422, "choices")
    assert (await company.post("/api/v1/lead-merges", body, "agent")).status == 404
    answer = await company.post("/api/v1/lead-merges", body, "manager")
    assert answer.status == 201, await answer.text()
    merge = await answer.json()
    moved = await company.get(f"{PATH}/{other}", "manager")
    assert (moved.status, moved.headers["Location"]) == (301, f"{PATH}/{one}")
    assert (await company.told(f"{PATH}/{one}", "manager"))["lead"]["need"] == "Двери"
    over = await company.post("/api/v1/lead-merges", body, "manager")
    assert (over.status, (await problem(over))["code"]) == (409, "LeadIsOver")
    listed = await company.told("/api/v1/lead-merges", "manager")
    assert [each["id"] for each in listed["items"]] == [merge["id"]]
    undone = await company.post(f"/api/v1/lead-merges/{merge['id']}/undo", {}, "manager")
    assert (undone.status, (await undone.json())["left"]) == (200, [])
    assert (await company.told(f"{PATH}/{other}", "manager"))["lead"]["state"] == "open"


async def test_a_lead_goes_into_the_bin_and_comes_back(company: Company) -> None:
    lead_id = await made(company, "manager", person="Удаляемая Лида", number="+79001000077")
    assert (await company.post(f"{PATH}/{lead_id}/delete", {}, "agent")).status == 404
    assert (await company.post(f"{PATH}/{lead_id}/delete", {}, "manager")).status == 200
    assert (await company.get(f"{PATH}/{lead_id}", "manager")).status == 404
    shown = await company.told("/api/v1/lead-bin?q=удаляемая", "manager")
    assert [item["id"] for item in shown["items"]] == [lead_id]
    assert (await company.told("/api/v1/lead-bin?q=другая", "manager"))["items"] == []
    assert (await company.get("/api/v1/lead-bin", "agent")).status == 404
    assert (await company.get("/api/v1/lead-bin?cursor=nonsense", "manager")).status == 422
    answer = await company.post(f"{PATH}/{lead_id}/restore", {}, "manager")
    assert await answer.json() == {"lead_id": lead_id, "taken": []}
    assert (await company.post(f"{PATH}/{lead_id}/restore", {}, "manager")).status == 404


async def test_restoring_names_the_automatic_lead_that_is_open_since(company: Company) -> None:
    party = company.parties["manager"]
    number = (await company.told(f"/api/v1/parties/{party}", "manager"))["phones"][0]["e164"]
    first = await (await company.post(ENQUIRIES, {"number": number}, "manager")).json()
    assert (await company.post(f"{PATH}/{first['id']}/delete", {}, "admin")).status == 200
    second = await (await company.post(ENQUIRIES, {"number": number}, "manager")).json()
    assert second["id"] != first["id"]
    refused = await company.post(f"{PATH}/{first['id']}/restore", {}, "admin")
    assert refused.status == 409
    told = await problem(refused)
    assert told["code"] == "AnotherLeadOpen"
    assert f"№ {second['number']}" in told["detail"]


async def test_a_source_is_said_by_name_or_code_and_told_by_name(company: Company) -> None:
    async with company.database.sessions.begin() as session:
        await add_entry(session, COMMAND, SOURCE, "Сайт завода", code="factory")
    first, second = await made(company, source="factory"), await made(company, source="С выставки")
    (told,) = [
        item
        for item in (await company.told("/api/v1/sources", "agent"))["items"]
        if item["code"] == "factory"
    ]
    assert (told["name"], told["archived_at"], told["words"]) == ("Сайт завода", None, [])
    lead = (await company.told(f"{PATH}/{first}", "agent"))["lead"]
    assert lead["source"] == "Сайт завода"
    assert (await company.told(f"{PATH}/{second}", "agent"))["lead"]["source"] == "С выставки"
    for asked in ("factory", "Сайт завода", "САЙТ ЗАВОДА"):
        listed = await company.told(f"{PATH}?source={asked}", "agent")
        assert [item["id"] for item in listed["items"]] == [first]
