"""Parties over the API: create in three ways, no duplicates, read, search, pages."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update

from crm.regions import describe_piece
from crm.schema.parties import Party
from tests.web.api.company import Company

PATH = "/api/v1/parties"
PERSON = {"type": "person", "last_name": "Иванова", "first_name": "Анна"}


async def problem_of(answer: Any) -> dict[str, Any]:
    assert answer.content_type == "application/problem+json"
    told: dict[str, Any] = await answer.json(content_type=None)
    assert told["status"] == answer.status
    return told


async def test_a_person_is_created_and_read(company: Company) -> None:
    body = PERSON | {
        "inn": "500100732259",
        "birth_date": "1990-02-28",
        "numbers": [{"number": "8 (916) 100-00-01 доб. 12", "label": "рабочий"}],
        "emails": ["Anna@Example.ru"],
        "note": "two\nlines",
    }
    answer = await company.post(PATH, body, "agent")
    assert answer.status == 201, await answer.text()
    made = await answer.json()
    assert made == {"id": made["id"], "organisation_id": None, "person_id": made["id"]}
    assert answer.headers["Location"] == f"{PATH}/{made['id']}"
    party = await company.told(answer.headers["Location"], "agent")
    assert (party["name"], party["inn"], party["birth_date"]) == (
        "Иванова Анна",
        "500100732259",
        "1990-02-28",
    )
    assert [(one["e164"], one["extension"], one["label"]) for one in party["phones"]] == [
        ("+79161000001", "12", "рабочий")
    ]
    assert [one["address"] for one in party["emails"]] == ["anna@example.ru"]
    assert (party["owner_id"], party["may_edit"]) == (company.people["agent"].user_id, True)


async def test_the_quick_form_makes_company_person_and_number(company: Company) -> None:
    body = {"type": "quick", "organisation": "ООО «Быстрое»", "person": "Пётр", "number": "+7 916 100-00-02"}
    made = await (await company.post(PATH, body, "agent")).json()
    firm = await company.told(f"{PATH}/{made['organisation_id']}", "agent")
    assert made["id"] == firm["id"]
    assert [kind["code"] for kind in firm["kinds"]] == ["prospect"]
    (contact,) = firm["contacts"]
    assert (contact["party_id"], contact["is_primary"]) == (made["person_id"], True)
    assert [phone["e164"] for phone in contact["phones"]] == ["+79161000002"]
    person = await company.told(f"{PATH}/{made['person_id']}", "agent")
    assert [one["party_id"] for one in person["organisations"]] == [firm["id"]]


async def test_a_number_that_somebody_has_is_a_409_with_the_found_party(company: Company) -> None:
    before = await company.rows()
    answer = await company.post(PATH, PERSON | {"numbers": [{"number": "8 495 120-33-46"}]}, "agent")
    assert answer.status == 409
    told = await problem_of(answer)
    assert (told["code"], told["field"]) == ("AlreadyExists", "number")
    assert told["party"] == {
        "id": company.parties["stranger"],
        "name": "Example Company stranger",
        "owner": company.people["stranger"].name,
    }
    assert await company.rows() == before


async def test_an_inn_that_somebody_has_is_a_409(company: Company) -> None:
    body = {"type": "organisation", "short_name": "Первая", "inn": "7707083893", "kinds": ["client"]}
    made = await (await company.post(PATH, body)).json()
    told = await problem_of(await company.post(PATH, body | {"short_name": "Вторая"}, "agent"))
    assert (told["status"], told["field"], told["party"]["id"]) == (409, "inn", made["id"])


async def test_two_at_the_same_moment_make_one(company: Company) -> None:
    body = {"type": "quick", "person": "Двойной", "number": "+7 916 100-00-03"}
    answers = await asyncio.gather(*[company.post(PATH, body, "agent") for _ in range(8)])
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7


async def test_a_request_repeated_with_its_key_is_done_once(company: Company) -> None:
    body = {"type": "person", "first_name": "Без номера"}
    key = {"Idempotency-Key": str(uuid4())}
    answers = await asyncio.gather(*[company.post(PATH, body, "agent", headers=key) for _ in range(5)])
    assert {answer.status for answer in answers} == {201}
    assert len({(await answer.json())["id"] for answer in answers}) == 1
    other = await company.post(PATH, body | {"first_name": "Другой"}, "agent", headers=key)
    assert (await problem_of(other))["code"] == "KeyReused"
    assert (
        await company.post(PATH, body, "head", headers=key)
    ).status == 201  # another user's key is another key


async def test_a_refused_request_leaves_its_key_free(company: Company) -> None:
    key = {"Idempotency-Key": f'"{uuid4()}"'}
    assert (await company.post(PATH, {"type": "person"}, "agent", headers=key)).status == 422
    assert (await company.post(PATH, PERSON, "agent", headers=key)).status == 201
    assert (await company.post(PATH, PERSON, headers={"Idempotency-Key": "mine"})).status == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "person"}, "last_name"),
        ({"type": "organisation", "short_name": "Без вида"}, "kinds"),
        ({"type": "organisation", "short_name": "Вид", "kinds": ["friend"]}, "kinds"),
        (PERSON | {"inn": "500100732250"}, "inn"),
        (PERSON | {"numbers": [{"number": "a telephone"}]}, "number"),
        (PERSON | {"emails": ["nowhere"]}, "email"),
        (PERSON | {"owner_id": 999_999}, "owner_id"),
        (PERSON | {"numbers": [{"number": "+7 495 000-00-01"}]}, "number"),  # a line of ours
        ({"type": "quick", "number": "+7 916 100-00-04"}, "organisation"),
    ],
)
async def test_what_does_not_fit_is_422_with_the_field(
    company: Company, body: dict[str, Any], field: str
) -> None:
    before = await company.rows()
    answer = await company.post(PATH, body)
    told = await problem_of(answer)
    assert (told["status"], told["field"]) == (422, field)
    assert told["detail"]
    assert await company.rows() == before


async def test_g01_giving_a_party_away_needs_the_right(company: Company) -> None:
    before = await company.rows()
    body = PERSON | {"owner_id": company.people["colleague"].user_id}
    assert (await company.post(PATH, body, "agent")).status == 404
    assert await company.rows() == before
    made = await (await company.post(PATH, body)).json()
    assert (await company.told(f"{PATH}/{made['id']}"))["owner_id"] == company.people["colleague"].user_id


async def test_a_merged_party_leads_to_the_survivor(company: Company) -> None:
    made = await (await company.post(PATH, {"type": "person", "first_name": "Поглощённая"})).json()
    survivor = company.parties["agent"]
    async with company.database.sessions.begin() as session:
        merged = {"lifecycle": "merged", "merged_into_id": survivor}
        await session.execute(update(Party).where(Party.id == made["id"]).values(merged))
    answer = await company.get(f"{PATH}/{made['id']}")
    assert (answer.status, answer.headers["Location"]) == (301, f"{PATH}/{survivor}")
    assert (await company.get(f"{PATH}/{made['id']}", "stranger")).status == 404


async def test_pages_hold_every_party_once(company: Company) -> None:
    whole = [item["id"] for item in (await company.told(f"{PATH}?limit=200"))["items"]]
    seen: list[int] = []
    cursor = ""
    while True:
        page = await company.told(f"{PATH}?limit=3&cursor={cursor}")
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = page["next"]
    assert seen == whole
    assert len(set(whole)) == len(whole)


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ("q=example company agent", True),
        ("q=+7 (495) 120-33-40", True),
        ("q=2033", True),
        ("q=example&kind=client", True),
        ("q=example&kind=supplier", False),
        ("q=example&type=person", False),
        ("q=nobody at all", False),
    ],
)
async def test_searching(company: Company, query: str, finds: bool) -> None:
    parameters = dict(part.split("=") for part in query.split("&"))
    answer = await company.get(PATH, params=parameters)
    assert answer.status == 200
    found = await answer.json()
    assert (company.parties["agent"] in [item["id"] for item in found["items"]]) is finds
    assert found["next"] is None


async def test_a_search_for_two_letters_says_what_to_do(company: Company) -> None:
    told = await problem_of(await company.get(f"{PATH}?q=ab"))
    assert (told["status"], told["field"]) == (422, "q")


async def test_a_list_is_narrowed_by_region_city_source_and_responsible(company: Company) -> None:
    body = {
        "type": "organisation",
        "short_name": "Узкая",
        "kinds": ["client"],
        "city": "Тверь",
        "source": "Витрина",
    }
    made = await company.post("/api/v1/parties", body | {"numbers": [{"number": "+74959990001"}]}, "agent")
    assert made.status == 201, await made.text()
    party_id = (await made.json())["id"]
    is_more = True
    while is_more:
        async with company.database.sessions.begin() as session:
            is_more = await describe_piece(session)
    agent = company.people["agent"].user_id
    for query in (
        "region=Московская обл.",
        "city=Тверь",
        "source=витрина",
        "source=Витрина",
        f"owner={agent}",
    ):
        listed = await company.told(f"/api/v1/parties?{query}", "agent")
        is_found = party_id in [item["id"] for item in listed["items"]]
        assert is_found == (query != "source=витрина"), query  # a text that no entry knows is taken as it is
    assert (await company.told("/api/v1/parties?region=Казань", "agent"))["items"] == []
    assert (await company.told(f"/api/v1/parties/{party_id}", "agent"))["phones"][0][
        "region"
    ] == "Московская обл."
