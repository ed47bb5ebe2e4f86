"""Merging, possible duplicates, the bin, warnings while typing: what the pages show, refuse and lead to."""

from __future__ import annotations

import re
from uuid import uuid4

from sqlalchemy import func, select

from crm import parties
from crm.duplicate_search import search_piece
from crm.duplicates import ask_search
from crm.numbers import NumberValues
from crm.schema.parties import Party
from tests.crm.people import COMMAND
from tests.web.pages.office import Office


async def firm(office: Office, name: str, who: str = "manager", *numbers: str, **more: str) -> int:
    async with office.database.sessions.begin() as session:
        return await parties.create_party(
            session,
            office.people[who],
            parties.organisation_values(name, **more),
            kinds=["client"],
            numbers=[NumberValues(presented=number) for number in numbers],
        )


async def text_of(office: Office, path: str, who: str = "manager") -> str:
    response = await office.get(path, who)
    assert response.status == 200, path
    return await response.text()


async def test_two_records_become_one_and_two_again(office: Office) -> None:
    one = await firm(office, "ООО «Синий кит»", "manager", "+74950001001", city="Тверь", inn="7707083893")
    other = await firm(office, "Синий кит, ООО", "manager", "+74950001002", city="Псков", inn="7728168971")
    address = f"/parties/merge?id={one}&id={other}"
    dialog = await text_of(office, address)
    for shown in (
        "Тверь",
        "Псков",
        "7707083893",
        "+7 495 000-10-02",
        f'name="survivor" value="{one}" checked',
    ):
        assert shown in dialog
    typed = {"id": [str(one), str(other)], "survivor": str(one), "choose-city": str(other)}
    refused = await office.post("/parties/merge", typed, "manager")
    assert refused.status == 422
    again = await refused.text()
    assert "different INN: 7707083893, 7728168971" in again
    assert f'name="choose-city" value="{other}" checked' in again  # what was chosen is not lost
    merged = await office.post("/parties/merge", {**typed, "choose-inn": str(one)}, "manager")
    assert merged.status == 303
    done = merged.headers["Location"]
    assert "Undo the merge" in await text_of(office, done)
    moved = await office.get(f"/parties/{other}", "manager")
    assert (moved.status, moved.headers["Location"]) == (301, f"/parties/{one}")
    card = await text_of(office, f"/parties/{one}")
    for shown in ("Псков", "+7 495 000-10-02", done, "Records that went in:</span> Синий кит, ООО"):
        assert shown in card
    found = await text_of(office, "/parties?q=Синий кит")
    assert "was merged into this record" in found or f'href="/parties/{one}"' in found
    undone = await office.post(f"{done}/undo", {}, "manager")
    assert undone.headers["Location"] == done
    assert "Everything went back" in await text_of(office, done)
    assert (await office.get(f"/parties/{other}", "manager")).status == 200
    twice = await office.post(f"{done}/undo", {}, "manager")
    assert twice.status == 409
    assert "undone already" in await twice.text()


async def test_the_name_of_a_merged_record_leads_to_the_survivor(office: Office) -> None:
    one, other = await firm(office, "Красный лист"), await firm(office, "Жёлтый корень")
    typed = {"id": [str(one), str(other)], "survivor": str(one)}
    assert (await office.post("/parties/merge", typed, "manager")).status == 303
    found = await text_of(office, "/parties?q=жёлтый корень")
    assert f'href="/parties/{one}"' in found
    assert "“Жёлтый корень” was merged into this record" in found


async def test_another_record_is_looked_for_among_those_one_may_merge(office: Office) -> None:
    one = await firm(office, "Искомая первая")
    await firm(office, "Искомая вторая")
    await firm(office, "Искомая чужая", "stranger")
    target = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": "div#merge-found"}
    response = await office.get(f"/parties/merge?id={one}&q=искомая", "manager", **target)
    rows = await response.text()
    assert "<html" not in rows
    assert "Искомая вторая" in rows
    assert "Искомая первая" not in rows
    assert "чужая" not in rows


async def test_what_is_not_ones_own_cannot_be_merged(office: Office) -> None:
    mine, theirs = await firm(office, "Моя"), await firm(office, "Чужая", "stranger")
    assert (await office.get(f"/parties/merge?id={mine}&id={theirs}", "manager")).status == 404
    typed = {"id": [str(mine), str(theirs)], "survivor": str(mine)}
    assert (await office.post("/parties/merge", typed, "manager")).status == 404
    assert (await office.post("/parties/merge", {**typed, "survivor": "77"}, "manager")).status == 404
    assert "Merge with another record" in await text_of(office, f"/parties/{mine}")
    assert "Merge with another record" not in await text_of(office, f"/parties/{office.firm_id}")


async def test_a_person_and_a_firm_are_refused_in_words(office: Office) -> None:
    response = await office.get(f"/parties/merge?id={office.firm_id}&id={office.contact_id}", "admin")
    assert response.status == 409
    assert "only two of one type" in await response.text()


async def search_now(office: Office) -> None:
    asked = await office.post("/parties/duplicates/search", {}, "manager")
    assert asked.status == 303
    assert "A search is going on" in await text_of(office, "/parties/duplicates")
    is_more = True
    while is_more:
        async with office.database.sessions.begin() as session:
            is_more = await search_piece(session)


async def test_pairs_are_shown_with_their_reason_until_somebody_says_no(office: Office) -> None:
    one, other = await firm(office, "Белая сова"), await firm(office, "ООО Белая сова")
    await search_now(office)
    page = await text_of(office, "/parties/duplicates")
    assert "Similar name" in page
    assert "Made " in page
    assert f"/parties/merge?id={one}&amp;id={other}" in page
    pair = {"one": str(one), "other": str(other)}
    assert (await office.post("/parties/duplicates/dismiss", pair, "stranger")).status == 404
    assert (await office.post("/parties/duplicates/dismiss", pair, "manager")).status == 303
    assert f"/parties/merge?id={one}&amp;id={other}" not in await text_of(office, "/parties/duplicates")
    assert (await office.get("/parties/duplicates?after=rubbish")).status == 400


async def test_pairs_go_on_after_the_first_page(office: Office) -> None:
    for index in range(30):  # each is alike to five others
        await firm(office, f"Серая мышь номер {index:02}", "admin")
    async with office.database.sessions.begin() as session:
        await ask_search(session, COMMAND)
    is_more = True
    while is_more:
        async with office.database.sessions.begin() as session:
            is_more = await search_piece(session)
    first = await text_of(office, "/parties/duplicates", "admin")
    address = re.search(r'hx-get="(/parties/duplicates[^"]+)"', first)
    assert first.count(">Not a duplicate<") == 50
    assert address is not None
    target = {"HX-Request": "true", "HX-Target": "tr#pair-more"}
    rest = await (await office.get(address[1].replace("&amp;", "&"), **target)).text()
    assert "<html" not in rest
    assert ">Not a duplicate<" in rest


async def test_what_was_deleted_waits_in_the_bin_and_comes_back(office: Office) -> None:
    party_id = await firm(office, "Удаляемая", "manager", "+74950001003")
    deleted = await office.post(f"/parties/{party_id}/delete", {}, "manager")
    assert deleted.headers["Location"] == "/parties/bin"
    assert (await office.get(f"/parties/{party_id}", "manager")).status == 404
    assert "Удаляемая" in await text_of(office, "/parties/bin")
    assert "Удаляемая" not in await text_of(office, "/parties?q=удаляемая")
    assert (await office.get("/parties/bin", "agent")).status == 404
    assert (await office.post(f"/parties/bin/{party_id}/restore", {}, "agent")).status == 404
    restored = await office.post(f"/parties/bin/{party_id}/restore", {}, "manager")
    assert restored.headers["Location"] == f"/parties/{party_id}"
    assert "+7 495 000-10-03" in await text_of(office, f"/parties/{party_id}")


async def test_restoring_tells_who_has_the_number_now(office: Office) -> None:
    party_id = await firm(office, "Прежняя", "manager", "+74950001004")
    await office.post(f"/parties/{party_id}/delete", {}, "manager")
    await firm(office, "Новая хозяйка", "agent", "+74950001004")
    restored = await office.post(f"/parties/bin/{party_id}/restore", {}, "manager")
    assert restored.status == 200
    told = await restored.text()
    assert "+7 495 000-10-04" in told
    assert "Новая хозяйка" in told


async def test_who_may_be_here_already_is_told_while_typing(office: Office) -> None:
    await firm(
        office,
        "Зелёный Попугай",
        "stranger",
        "+74950001005",
        inn="1234567894",
        website="https://www.parrot.example/",
    )
    for query in (
        "mode=quick&organisation=зеленый попугай",
        "mode=quick&number=8 495 000-10-05",
        "mode=organisation&inn=1234567894",
        "mode=organisation&website=parrot.example",
    ):
        told = await text_of(office, f"/parties/similar?{query}", "agent")
        assert "Зелёный Попугай" in told, query
        assert "Stranger Example" in told
        assert 'href="/parties' not in told  # exists, and who is responsible: nothing more
    assert 'href="/parties/' in await text_of(
        office, "/parties/similar?mode=quick&organisation=зелёный попугай", "admin"
    )
    assert "Зелёный" not in await text_of(office, "/parties/similar?mode=quick&organisation=красный", "agent")
    assert (await office.get("/parties/similar?mode=quick&organisation=x", "telephony")).status == 404


async def test_a_form_sent_twice_makes_one_and_a_changed_one_makes_another(office: Office) -> None:
    form = await text_of(office, "/parties/new", "agent")
    key = re.search(r'name="key" value="([0-9a-f-]{36})"', form)
    assert key is not None
    typed = {"mode": "quick", "organisation": "Дважды нажатая", "kind": "client", "key": key[1]}
    places = [(await office.post("/parties/new", typed, "agent")).headers["Location"] for _ in range(3)]
    assert len(set(places)) == 1
    other = await office.post("/parties/new", {**typed, "organisation": "Исправленная"}, "agent")
    assert other.headers["Location"] not in places
    without = {**typed, "organisation": "Без ключа", "key": "no key"}
    assert (await office.post("/parties/new", without, "agent")).status == 303
    async with office.database.sessions() as session:
        count = select(func.count()).select_from(Party).where(Party.display_name == "Дважды нажатая")
        assert (await session.execute(count)).scalar_one() == 1


async def test_whoever_was_slower_sees_that_and_keeps_what_was_typed(office: Office) -> None:
    await firm(office, "Успевшая", "admin", "+74950001006")
    typed = {
        "mode": "quick",
        "person": "Мария",
        "number": "+74950001006",
        "kind": "client",
        "key": str(uuid4()),
    }
    refused = await office.post("/parties/new", typed, "agent")
    text = await refused.text()
    assert refused.status == 422
    assert "Already created: “Успевшая”, Admin Example, just now." in text
    assert 'value="Мария"' in text
