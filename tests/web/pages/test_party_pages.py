"""Lists, cards and forms of parties: what they show, what they refuse and how they say it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlalchemy import update

from crm import parties
from crm.numbers import NumberValues
from crm.schema.parties import Party
from tests.web.pages.office import Office, party_version

HTMX: Mapping[str, str] = {"HX-Request": "true", "HX-Request-Type": "partial"}


def rows_of(target: str) -> dict[str, str]:
    return {**HTMX, "HX-Target": target}


async def test_a_list_gives_its_rows_alone_and_goes_on_after_the_last_one(office: Office) -> None:
    async with office.database.sessions.begin() as session:
        for index in range(60):
            await parties.create_party(
                session,
                office.people["agent"],
                parties.organisation_values(f"Список {index:02}"),
                kinds=["agent"],
            )
    first = await (await office.get("/parties?kind=agent", **rows_of("tbody#party-rows"))).text()
    assert "<html" not in first
    assert "<table" not in first
    assert first.count(">Список") == 50
    assert "60 records" in first  # the count above the list follows the filter
    address = re.search(r'hx-get="([^"]+after=[^"]+)"', first)
    assert address is not None
    rest = await (await office.get(address[1].replace("&amp;", "&"), **rows_of("tr#party-more"))).text()
    assert rest.count(">Список") == 10
    assert "after=" not in rest


async def test_made_up_addresses_are_refused_in_words(office: Office) -> None:
    assert (await office.get("/parties?after=rubbish")).status == 400
    assert (await office.get("/parties?kind=drop+table")).status == 400
    assert (await office.get("/parties?sort=password_hash")).status == 200  # unknown: the usual order
    assert (await office.get("/parties/99999999999999999999999")).status == 404


async def test_search_from_three_characters_finds_names_numbers_and_says_when_it_is_too_short(
    office: Office,
) -> None:
    assert "at least 3 characters" in await (await office.get("/parties?q=пр")).text()
    assert "ООО «Пример»" in await (await office.get("/parties?q=приме")).text()
    found = await (await office.get("/parties?q=120-33-44")).text()
    assert "+7 495 120-33-44" in found
    assert "Nothing fits" in await (await office.get("/parties?q=никого")).text()


async def test_the_quick_form_makes_an_organisation_with_a_contact(office: Office) -> None:
    typed = {
        "mode": "quick",
        "organisation": "ООО «Быстрое»",
        "person": "Мария",
        "number": "8 (495) 000-11-22",
        "kind": "client",
    }
    made = await office.post("/parties/new", typed, "agent")
    assert made.status == 303
    card = await (await office.get(made.headers["Location"], "agent")).text()
    for text in ("ООО «Быстрое»", "Мария", "+7 495 000-11-22", "Client", "No number of its own"):
        assert text in card
    assert "The card was created" in card
    assert "The card was changed" not in card


async def test_a_refused_form_keeps_what_was_typed_and_names_value_and_remedy(office: Office) -> None:
    typed = {"mode": "organisation", "short_name": "ООО «Опечатка»", "inn": "7700000000", "kinds": "client"}
    refused = await office.post("/parties/new", typed, "agent")
    text = await refused.text()
    assert refused.status == 422
    assert 'value="ООО «Опечатка»"' in text
    assert 'value="7700000000"' in text
    assert "Check it for a misprint" in text
    assert 'aria-invalid="true"' in text
    date = {"mode": "person", "first_name": "Мария", "birth_date": "31.02.1980"}
    assert "This is not a date" in await (await office.post("/parties/new", date, "agent")).text()


async def test_a_number_that_is_somebodys_shows_whose_and_both_ways_out(office: Office) -> None:
    typed = {"mode": "quick", "person": "Второй Человек", "number": "+7 495 120-33-44", "kind": "client"}
    refused = await office.post("/parties/new", typed, "agent")
    text = await refused.text()
    assert refused.status == 422
    assert f'href="/parties/{office.contact_id}"' in text
    assert 'name="is_shared" value="1"' in text
    shared = await office.post("/parties/new", typed | {"is_shared": "1"}, "agent")
    assert shared.status == 303
    assert "Shared" in await (await office.get(f"/parties/{office.contact_id}", "agent")).text()


async def test_somebody_elses_party_is_named_but_not_opened(office: Office) -> None:
    typed = {"mode": "quick", "person": "Третий Человек", "number": "+7 812 309-20-10", "kind": "client"}
    text = await (await office.post("/parties/new", typed, "agent")).text()
    assert "АО «Чужое»" in text
    assert "Stranger Example" in text
    assert f'href="/parties/{office.foreign_id}"' not in text


async def test_a_conflict_shows_both_values_and_then_saves(office: Office) -> None:
    agent = office.people["agent"]
    async with office.database.sessions.begin() as session:
        party_id = await parties.create_party(
            session, agent, parties.organisation_values("ООО «Спор»"), kinds=["client"]
        )
    old = await party_version(office.database, party_id)
    mine = {"short_name": "ООО «Спор»", "city": "Пермь", "kinds": "client", "version": str(old)}
    assert (await office.post(f"/parties/{party_id}/edit", mine | {"city": "Омск"}, "admin")).status == 303
    refused = await office.post(f"/parties/{party_id}/edit", mine, "agent")
    text = await refused.text()
    assert refused.status == 409
    assert "Омск" in text
    assert "Admin Example changed this record meanwhile" in text
    version = re.search(r'name="version" value="(\d+)"', text)
    assert version is not None
    again = await office.post(f"/parties/{party_id}/edit", mine | {"version": version[1]}, "agent")
    assert again.status == 303
    assert "Пермь" in await (await office.get(f"/parties/{party_id}", "agent")).text()


async def test_numbers_are_added_shared_shown_first_and_ended(office: Office) -> None:
    agent = office.people["agent"]
    async with office.database.sessions.begin() as session:
        party_id = await parties.create_party(
            session,
            agent,
            parties.organisation_values("ООО «Номера»"),
            kinds=["client"],
            numbers=[NumberValues(presented="+7 495 700-00-01", is_primary=True)],
        )
    base = f"/parties/{party_id}"
    assert (
        await office.post(f"{base}/numbers", {"number": "8 495 700-00-02 доб. 12"}, "agent")
    ).status == 303
    text = await (await office.get(base, "agent")).text()
    assert "+7 495 700-00-02" in text
    assert "extension 12" in text
    ids = re.findall(rf'action="{base}/numbers/(\d+)/end"', text)
    assert len(ids) == 2
    assert (await office.post(f"{base}/numbers/{ids[1]}/primary", {}, "agent")).status == 303
    assert (await office.post(f"{base}/numbers/{ids[1]}/usage", {"usage": "shared"}, "agent")).status == 303
    assert "Shared" in await (await office.get(base, "agent")).text()
    assert (await office.post(f"{base}/numbers/{ids[1]}/end", {}, "agent")).status == 303
    assert "+7 495 700-00-02" not in await (await office.get(base, "agent")).text()
    wrong = await office.post(f"{base}/numbers", {"number": "абв"}, "agent")
    assert wrong.status == 422
    assert "is not a telephone number" in await wrong.text()


async def test_contacts_are_added_made_primary_and_ended(office: Office) -> None:
    typed = {
        "mode": "quick",
        "organisation": "ООО «Контакты»",
        "person": "Анна",
        "number": "",
        "kind": "client",
    }
    base = (await office.post("/parties/new", typed, "agent")).headers["Location"]
    assert (await office.post(f"{base}/contacts", {"person": ""}, "agent")).status == 422
    taken = await office.post(f"{base}/contacts", {"person": "Вера", "number": "+7 812 309-20-10"}, "agent")
    assert (taken.status, "АО «Чужое»" in await taken.text()) == (422, True)
    added = {"person": "Вера", "position": "Юрист", "number": "+7 495 700-10-01"}
    assert (await office.post(f"{base}/contacts", added, "agent")).status == 303
    text = await (await office.get(base, "agent")).text()
    for told in ("Вера", "Юрист", "+7 495 700-10-01"):
        assert told in text
    other = re.search(rf"{base}/contacts/(\d+)/primary", text)
    assert other is not None
    assert (await office.post(f"{base}/contacts/{other[1]}/primary", {}, "agent")).status == 303
    assert (await office.post(f"{base}/contacts/{other[1]}/end", {}, "agent")).status == 303
    assert "Юрист" not in await (await office.get(f"{base}?show=comments", "agent")).text()


async def test_a_number_of_another_party_cannot_be_reached_through_ones_own(office: Office) -> None:
    text = await (await office.get(f"/parties/{office.foreign_id}", "stranger")).text()
    foreign = re.search(r"/numbers/(\d+)/end", text)
    assert foreign is not None
    answer = await office.post(f"/parties/{office.firm_id}/numbers/{foreign[1]}/end", {}, "agent")
    assert answer.status == 404


async def test_a_merged_party_leads_to_the_one_who_lives_on(office: Office) -> None:
    async with office.database.sessions.begin() as session:
        gone = await parties.create_party(
            session, office.people["agent"], parties.organisation_values("ООО «Дубль»"), kinds=["client"]
        )
        merged = {"lifecycle": "merged", "merged_into_id": office.firm_id}
        await session.execute(update(Party).where(Party.id == gone).values(merged))
    answer = await office.get(f"/parties/{gone}", "agent")
    assert (answer.status, answer.headers["Location"]) == (301, f"/parties/{office.firm_id}")


async def test_an_archived_card_says_so_and_leaves_the_lists(office: Office) -> None:
    typed = {"mode": "quick", "organisation": "ООО «Архивное»", "person": "", "number": "", "kind": "client"}
    base = (await office.post("/parties/new", typed, "agent")).headers["Location"]
    assert (await office.post(f"{base}/archive", {}, "agent")).status == 303
    assert "This card is archived" in await (await office.get(base, "agent")).text()
    assert "Архивное" not in await (await office.get("/parties?sort=name", "agent")).text()
    assert "Archived" in await (await office.get("/parties?q=архивное", "agent")).text()


async def test_text_from_outside_is_data(office: Office) -> None:
    typed = {
        "mode": "quick",
        "organisation": "<script>alert(1)</script>\u202e",
        "person": "",
        "number": "",
        "kind": "client",
    }
    made = await office.post("/parties/new", typed, "agent")
    text = await (await office.get(made.headers["Location"], "agent")).text()
    assert "<script>alert" not in text
    assert "\u202e" not in text


async def test_a_record_is_handed_over_to_a_colleague_of_the_team(office: Office) -> None:
    firm, head, stranger = (f"/parties/{office.firm_id}", office.people["head"], office.people["stranger"])
    card = await (await office.get(firm, "head")).text()
    assert f'<option value="{head.user_id}">' in card
    assert f'<option value="{stranger.user_id}">' not in card
    assert (await office.post(f"{firm}/owner", {"owner_id": str(stranger.user_id)}, "head")).status == 404
    assert (await office.post(f"{firm}/owner", {"owner_id": str(head.user_id)}, "agent")).status == 404
    given = await office.post(f"{firm}/owner", {"owner_id": str(head.user_id)}, "head")
    assert (given.status, given.headers["Location"]) == (303, firm)
    assert "responsible: Head Example" in await (await office.get(firm, "head")).text()
    back = {"owner_id": str(office.people["agent"].user_id)}
    assert (await office.post(f"{firm}/owner", back, "admin")).status == 303
