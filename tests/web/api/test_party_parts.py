"""Parts of a party over the API: numbers, addresses, contacts, kinds; each answer is the party as it is then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.web.api.company import OWNERS, Company
from tests.web.api.test_rights import TEAM

MAY_EDIT = {"agent": {"agent"}, "manager": {"manager"}, "head": TEAM, "telephony": set(), "admin": {*OWNERS}}


async def firm(company: Company, name: str, kind: str = "client") -> str:
    body = {"type": "organisation", "short_name": name, "kinds": [kind]}
    made = await company.post("/api/v1/parties", body, "agent")
    assert made.status == 201, await made.text()
    return made.headers["Location"]


async def act(company: Company, method: str, path: str, body: Any, role: str = "agent") -> dict[str, Any]:
    answer = await company.ask(method, path, role, json=body)
    assert answer.status == 200, await answer.text()
    told: dict[str, Any] = await answer.json()
    assert answer.headers["ETag"].startswith(f'"{told["version"]}.')
    return told


async def test_a_number_is_added_labelled_barred_shared_and_ended(company: Company) -> None:
    one, other = await firm(company, "Parts one"), await firm(company, "Parts two")
    number = {"number": "8 (495) 120-77-01", "label": "work"}
    (phone,) = (await act(company, "POST", f"{one}/numbers", number))["phones"]
    refused = await company.post(f"{other}/numbers", number, "agent")
    assert (refused.status, (await refused.json(content_type=None))["party"]["name"]) == (409, "Parts one")
    path = f"/api/v1/party-numbers/{phone['id']}"
    said = {"label": "reception", "do_not_call": True, "usage": "shared"}
    (phone,) = (await act(company, "PATCH", path, said))["phones"]
    assert (phone["label"], phone["do_not_call"], phone["usage"]) == ("reception", True, "shared")
    (phone,) = (await act(company, "PATCH", path, {"do_not_call": False}))["phones"]
    assert (phone["label"], phone["do_not_call"]) == ("reception", False)
    told = await act(company, "POST", f"{other}/numbers", number)
    assert (await company.ask("PATCH", path, "agent", json={"usage": "direct"})).status == 409
    second = (await act(company, "POST", f"{other}/numbers", {"number": "8 495 120-77-02"}))["phones"][1]
    first = await act(company, "PATCH", f"/api/v1/party-numbers/{second['id']}", {"is_primary": True})
    assert [each["id"] for each in first["phones"] if each["is_primary"]] == [second["id"]]
    ended = f"/api/v1/party-numbers/{told['phones'][0]['id']}/end"
    assert len((await act(company, "POST", ended, {}))["phones"]) == 1
    assert (await company.post(ended, {}, "agent")).status == 404


async def test_an_address_is_added_shared_shown_first_and_ended(company: Company) -> None:
    one, other = await firm(company, "Letters one"), await firm(company, "Letters two")
    (first,) = (await act(company, "POST", f"{one}/emails", {"email": "Office@Parts.example"}))["emails"]
    assert (first["address"], first["is_primary"]) == ("office@parts.example", True)
    body = {"email": "office@parts.example", "label": "office"}
    assert (await company.post(f"{other}/emails", body, "agent")).status == 409
    path = f"/api/v1/party-emails/{first['id']}"
    await act(company, "PATCH", path, {"usage": "shared", "label": "all"})
    await act(company, "POST", f"{other}/emails", body)
    direct = await company.ask("PATCH", path, "agent", json={"usage": "direct"})
    assert (direct.status, "Letters two" in await direct.text()) == (409, True)
    told = await act(company, "POST", f"{one}/emails", {"email": "boss@parts.example"})
    second = told["emails"][1]
    told = await act(company, "PATCH", f"/api/v1/party-emails/{second['id']}", {"is_primary": True})
    assert [each["address"] for each in told["emails"] if each["is_primary"]] == ["boss@parts.example"]
    told = await act(company, "POST", f"/api/v1/party-emails/{second['id']}/end", {})
    assert [(each["address"], each["is_primary"]) for each in told["emails"]] == [
        ("office@parts.example", True)
    ]
    assert (await company.post(f"{one}/emails", {"email": "no address"}, "agent")).status == 422


async def test_an_address_that_bounces_or_is_not_to_be_written_to_says_since_when_and_who_said_so(
    company: Company,
) -> None:
    one = await firm(company, "Letters marked")
    (email,) = (await act(company, "POST", f"{one}/emails", {"email": "marked@parts.example"}))["emails"]
    marks = ("bounced_at", "bounced_by", "opted_out_at", "opted_out_by")
    assert [email[mark] for mark in marks] == [None] * 4
    path, name = f"/api/v1/party-emails/{email['id']}", company.people["agent"].name
    (told,) = (await act(company, "PATCH", path, {"is_opted_out": True, "is_bounced": True}))["emails"]
    assert (told["bounced_by"], told["opted_out_by"]) == (name, name)
    since = told["opted_out_at"]
    assert since
    told = await act(company, "PATCH", path, {"is_opted_out": True, "is_bounced": False}, "head")
    (again,) = told["emails"]
    assert [again[mark] for mark in marks] == [None, None, since, name]  # who said so first
    assert (await company.ask("PATCH", path, "stranger", json={"is_opted_out": False})).status == 404
    answer = await company.get("/api/v1/parties/export?format=csv", "admin")
    header, *lines = (await answer.text()).splitlines()
    (line,) = [line for line in lines if "marked@parts.example" in line]
    assert "Не писать" in header
    assert line.count("marked@parts.example") == 2  # the address, and that it is not to be written to


async def test_contacts_begin_change_and_end(company: Company) -> None:
    path, people = await firm(company, "Contacts"), []
    for name in ("Один", "Два"):
        made = await company.post("/api/v1/parties", {"type": "person", "last_name": name}, "agent")
        people.append((await made.json())["id"])
        body = {"person_id": people[-1], "position": "buyer"}
        contacts = (await act(company, "POST", f"{path}/contacts", body))["contacts"]
    assert [(each["party_id"], each["is_primary"]) for each in contacts] == [
        (people[0], True),
        (people[1], False),
    ]
    ties = [f"/api/v1/affiliations/{each['affiliation_id']}" for each in contacts]
    told = await act(company, "PATCH", ties[1], {"contact_role": "pays", "is_primary": True})
    first = told["contacts"][0]
    assert (first["party_id"], first["position"], first["contact_role"]) == (people[1], "buyer", "pays")
    assert (await company.post(f"{ties[1]}/end", {}, "agent")).status == 422  # who is the next one?
    told = await act(company, "POST", f"{ties[1]}/end", {"next_primary": contacts[0]["affiliation_id"]})
    assert [(each["party_id"], each["is_primary"]) for each in told["contacts"]] == [(people[0], True)]
    for wrong in (999_999_999, company.parties["stranger"]):
        refused = await company.post(f"{path}/contacts", {"person_id": wrong}, "agent")
        assert (refused.status, (await refused.json(content_type=None))["field"]) == (422, "person_id")


async def test_a_kind_pauses_goes_on_and_ends(company: Company) -> None:
    path = await firm(company, "Kinds", "supplier")
    listed = "/api/v1/parties?kind=supplier&limit=200&kind_status="
    body = {"kind": "supplier"}
    for way, status in (("pause", "paused"), ("resume", "active"), ("end", "ended")):
        said = body | ({"reason": "moved away"} if way == "end" else {})
        (kind,) = (await act(company, "POST", f"{path}/kinds/{way}", said))["kinds"]
        assert kind["status"] == status
        names = [item["name"] for item in (await company.told(listed + status, "agent"))["items"]]
        assert names == ["Kinds"]
    assert kind["end_reason"] == "moved away"
    assert (await company.post(f"{path}/kinds/pause", body, "agent")).status == 422


@pytest.mark.parametrize("role", ["agent", "manager", "head", "telephony", "admin"])
async def test_t11_parts_are_changed_within_ones_rights(company: Company, role: str) -> None:
    for of in OWNERS:
        if of in MAY_EDIT[role]:
            continue
        before = await company.contents(company.parties[of])
        path = f"/api/v1/parties/{company.parties[of]}"
        for part, body in (
            ("numbers", {"number": "+7 495 120-77-09"}),
            ("emails", {"email": "nobody@parts.example"}),
            ("contacts", {"person_id": company.parties[role]}),
            ("kinds/pause", {"kind": "client"}),
        ):
            assert (await company.post(f"{path}/{part}", body, role)).status == 404, (of, part)
        assert await company.contents(company.parties[of]) == before


async def test_a_part_is_changed_on_the_base_of_what_was_read_or_not_at_all(company: Company) -> None:
    path = await firm(company, "Based")
    read = (await company.get(path, "agent")).headers["ETag"]
    base = {"If-Match": read}
    added = await company.ask(
        "POST", f"{path}/numbers", "agent", json={"number": "8 495 120-78-01"}, headers=base
    )
    assert added.status == 200, await added.text()
    phone = (await added.json())["phones"][0]["id"]
    acts: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("POST", f"{path}/numbers", {"number": "8 495 120-78-02"}),
        ("PATCH", f"/api/v1/party-numbers/{phone}", {"label": "late"}),
        ("POST", f"/api/v1/party-numbers/{phone}/end", {}),
        ("POST", f"{path}/emails", {"email": "late@example.org"}),
        ("POST", f"{path}/kinds/pause", {"kind": "client"}),
        ("POST", f"{path}/kinds/end", {"kind": "client", "reason": "late"}),
    )
    for method, address, body in acts:
        stale = await company.ask(method, address, "agent", json=body, headers=base)
        told = await stale.json(content_type=None)
        assert (stale.status, told["version"]) == (409, 1), (address, told)
        assert "Agent" in told["detail"]  # who was faster
    assert (await company.get(path, "agent")).headers["ETag"] == added.headers["ETag"]  # nothing changed
    fresh = {"If-Match": added.headers["ETag"]}
    paused = await company.ask("POST", f"{path}/kinds/pause", "agent", json={"kind": "client"}, headers=fresh)
    assert paused.status == 200
    # The fields of the card are another matter: a number more is no conflict with a new city.
    moved = await company.ask("PATCH", path, "agent", json={"city": "Tver"}, headers=base)
    assert moved.status == 200
    hidden = await company.ask(
        "POST", f"{path}/numbers", "stranger", json={"number": "8 495 120-78-03"}, headers=base
    )
    assert hidden.status == 404


async def test_of_those_who_change_one_part_on_one_base_the_first_does(company: Company) -> None:
    path = await firm(company, "Raced")
    base = {"If-Match": (await company.get(path, "agent")).headers["ETag"]}
    answers = await asyncio.gather(
        *(
            company.ask(
                "POST", f"{path}/numbers", "agent", json={"number": f"8 495 120-79-0{n}"}, headers=base
            )
            for n in range(4)
        )
    )
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    assert len((await company.told(path, "agent"))["phones"]) == 1


async def test_what_changed_meanwhile_does_not_go_into_the_bin(company: Company) -> None:
    path = await firm(company, "Kept")
    base = {"If-Match": (await company.get(path, "manager")).headers["ETag"]}
    await act(company, "POST", f"{path}/numbers", {"number": "8 495 120-80-01"})
    assert (await company.ask("POST", f"{path}/delete", "admin", json={}, headers=base)).status == 409
    base = {"If-Match": (await company.get(path, "manager")).headers["ETag"]}
    assert (await company.ask("POST", f"{path}/delete", "admin", json={}, headers=base)).status == 200
