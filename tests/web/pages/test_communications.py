"""Communications, comments, notifications and drafts on pages, for each role."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from crm.schema.meetings import CommunicationKind
from crm.schema.parties import Party
from tests.web.pages.office import Office, party_version

LETTER = {"kind": "email", "direction": "out", "started": "20.11.2026 14:30", "subject": "Отправлен счёт"}


async def test_a_communication_is_logged_from_a_card_and_stands_in_its_timeline(office: Office) -> None:
    form = LETTER | {"party": str(office.firm_id), "summary": "До пятницы"}
    made = await office.post("/communications/new", form, "agent")
    assert (made.status, made.headers["Location"]) == (303, f"/parties/{office.firm_id}")
    card = await (await office.get(f"/parties/{office.firm_id}?show=communications", "manager")).text()
    assert "Отправлен счёт" in card
    assert "До пятницы" in card
    assert "Письмо" not in card  # the office speaks English
    listed = await (await office.get("/communications?kind=email", "manager")).text()
    assert "Отправлен счёт" in listed
    assert "Показ склада" not in listed
    assert "14:30" in listed  # the reader's zone, there and back


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"kind": ""}, "Choose what kind"),
        ({"direction": ""}, "Choose who began"),
        ({"started": ""}, "Say when it was"),
        ({"started": "вчера"}, "This is no moment"),
        ({"ended": "20.11.2026 14:00"}, "The end is before the beginning"),
        ({"kind": "own-999999"}, "no such kind of communication"),
    ],
)
async def test_a_form_that_does_not_fit_comes_back_with_what_was_typed(
    office: Office, wrong: dict[str, str], words: str
) -> None:
    answer = await office.post("/communications/new", LETTER | wrong, "agent")
    page = await answer.text()
    assert answer.status == 422
    assert words in page
    assert "Отправлен счёт" in page


async def test_nothing_is_chosen_for_the_writer(office: Office) -> None:
    page = await (await office.get(f"/communications/new?party={office.firm_id}", "agent")).text()
    for name in ("kind", "direction"):
        select_ = page[page.index(f'name="{name}"') :]
        assert " selected" not in select_[: select_.index("</select>")]


async def test_a_meeting_is_edited_by_its_author_and_seen_by_those_invited(office: Office) -> None:
    path = f"/communications/{office.letter_id}"
    page = await (await office.get(path, "manager")).text()
    assert "Склад № 2" in page
    assert f"{path}/edit" not in page
    assert (await office.get(f"{path}/edit", "manager")).status == 404
    for who in ("stranger", "telephony"):
        assert (await office.get(path, who)).status == 404
        assert (await office.post(f"{path}/edit", LETTER, who)).status == 404
    form = await (await office.get(f"{path}/edit", "agent")).text()
    started = re.search(r'name="started"[^>]*value="([^"]+)"', form, re.DOTALL)
    assert started is not None
    held = {
        "kind": "meeting",
        "direction": "none",
        "started": started[1],
        "state": "held",
        "result": "Подходит",
        "version": "1",
        "party": str(office.firm_id),
    }
    assert (await office.post(f"{path}/edit", held, "agent")).status == 303
    assert "Подходит" in await (await office.get(path, "agent")).text()
    again = await office.post(f"{path}/edit", held | {"result": "Не подходит"}, "agent")
    assert again.status == 409
    assert (await office.post(f"{path}/edit", held | {"version": "2"}, "agent")).status == 303


async def test_what_the_pbx_told_opens_as_a_call(office: Office) -> None:
    answer = await office.get(f"/communications/{office.call_id}", "agent")
    assert answer.headers["Location"] == f"/calls/{office.call_id}"
    assert (await office.get(f"/communications/{office.call_id}/edit", "agent")).status == 404


async def test_comments_are_added_edited_pinned_and_refused(office: Office) -> None:
    path = f"/parties/{office.firm_id}"
    assert (await office.post(f"{path}/comments", {"text": "Ждут цену"}, "manager")).status == 303
    page = await (await office.get(f"{path}?show=comments", "manager")).text()
    found = re.findall(rf'action="({path}/comments/[0-9a-f-]+)"', page)
    assert len(found) == 1  # one's own alone can be edited
    assert (await office.post(found[0], {"text": "Ждут скидку", "version": "1"}, "manager")).status == 303
    assert (await office.post(found[0], {"text": "Чужое", "version": "2"}, "head")).status == 404
    assert (await office.post(f"{found[0]}/pin", {"pinned": "1"}, "stranger")).status == 404
    assert (await office.post(f"{found[0]}/pin", {"pinned": "1"}, "head")).status == 303
    page = await (await office.get(path, "agent")).text()
    assert page.count("Ждут скидку") == 2  # pinned, and in its place
    empty = await office.post(f"{path}/comments", {"text": "  "}, "agent")
    assert empty.status == 422
    assert "Write a comment" in await empty.text()
    wrong = found[0].replace(path, f"/parties/{office.contact_id}")
    assert (await office.post(wrong, {"text": "x", "version": "2"}, "manager")).status == 404


async def test_history_is_told_in_words(office: Office) -> None:
    form = {
        "version": str(await party_version(office.database, office.firm_id)),
        "short_name": "ООО «Пример»",
        "legal_form": "legal",
        "city": "Тверь",
        "kinds": "client",
    }
    assert (await office.post(f"/parties/{office.firm_id}/edit", form, "agent")).status == 303
    page = await (await office.get(f"/parties/{office.firm_id}/history", "head")).text()
    row = page[page.index("City</td>") :]
    assert "Тверь" in row[:200]
    assert "Agent Example" in page
    for who in ("stranger", "telephony"):
        assert (await office.get(f"/parties/{office.firm_id}/history", who)).status == 404
    assert (await office.get(f"/parties/{office.firm_id}/history?after=x", "head")).status == 400


async def test_one_tab_shows_a_notification_and_the_bell_counts(office: Office) -> None:
    unseen = await (await office.get("/notifications/unseen", "admin")).json()
    assert unseen == {"unseen": 1}
    page = await (await office.get("/notifications", "admin")).text()
    assert "Agent Example invites you to a meeting: Показ склада" in page
    path = re.search(r'action="(/notifications/\d+)/seen"', page)
    assert path is not None
    first, second = [await office.post(f"{path[1]}/shown", {}, "admin") for _ in range(2)]
    assert (first.status, second.status) == (200, 204)
    assert "Показ склада" in (await first.json())["text"]
    assert (await office.post(f"{path[1]}/shown", {}, "agent")).status == 404
    assert (await office.post(f"{path[1]}/seen", {}, "agent")).headers["Location"] == "/notifications"
    opened = await office.post(f"{path[1]}/seen", {}, "admin")
    assert opened.headers["Location"] == f"/communications/{office.letter_id}"
    assert await (await office.get("/notifications/unseen", "admin")).json() == {"unseen": 0}
    mentioned = await (await office.get("/notifications", "manager")).text()
    assert "mentions you at “ООО «Пример»”" in mentioned
    assert (await office.post("/notifications/seen", {}, "manager")).status == 303
    assert await (await office.get("/notifications/unseen", "manager")).json() == {"unseen": 0}


async def test_a_draft_comes_back_and_goes_with_the_saving(office: Office) -> None:
    typed = {"mode": "organisation", "short_name": "АО «Черновик»", "kinds": "supplier", "city": "Псков"}
    assert (await office.post("/parties/new/draft", typed, "agent")).status == 204
    page = await (await office.get("/parties/new?mode=organisation", "agent")).text()
    assert "This is your draft" in page
    assert 'value="АО «Черновик»"' in page
    assert "Черновик" not in await (await office.get("/parties/new?mode=organisation", "head")).text()
    assert "This is your draft" not in await (await office.get("/parties/new", "agent")).text()
    made = await office.post("/parties/new", typed, "agent")
    assert made.status == 303
    assert (
        "This is your draft" not in await (await office.get("/parties/new?mode=organisation", "agent")).text()
    )
    path = made.headers["Location"]
    assert (
        await office.post(f"{path}/draft", {"short_name": "Иначе", "version": "1"}, "agent")
    ).status == 204
    assert "Иначе" in await (await office.get(f"{path}/edit", "agent")).text()
    assert (await office.post(f"{path}/draft/drop", {}, "agent")).status == 303
    assert "Иначе" not in await (await office.get(f"{path}/edit", "agent")).text()
    for who in ("manager", "stranger", "telephony"):
        assert (await office.post(f"{path}/draft", {"short_name": "x"}, who)).status == 404
    large = dict.fromkeys(("note", "city", "source"), "x" * 20_000)
    assert (await office.post(f"{path}/draft", large, "agent")).status == 422


async def test_after_a_conflict_what_is_ticked_comes_from_the_others(office: Office) -> None:
    typed = {"mode": "organisation", "short_name": "АО «Спор»", "kinds": "client", "legal_form": "legal"}
    path = (await office.post("/parties/new", typed, "agent")).headers["Location"]
    theirs = {
        "version": "1",
        "short_name": "АО «Спор»",
        "legal_form": "legal",
        "kinds": "client",
        "city": "Тверь",
    }
    assert (await office.post(f"{path}/edit", theirs, "agent")).status == 303
    mine = theirs | {"city": "Псков", "source": "Сайт"}
    conflict = await office.post(f"{path}/edit", mine, "agent")
    assert conflict.status == 409
    assert 'name="take" value="city"' in await conflict.text()
    saved = await office.post(f"{path}/edit", mine | {"version": "2", "take": "city"}, "agent")
    assert saved.status == 303
    async with office.database.sessions() as session:
        party_id = int(path.rpartition("/")[2])
        row = (await session.execute(select(Party.city, Party.source).where(Party.id == party_id))).one()
    assert tuple(row) == ("Тверь", "Сайт")


async def test_own_kinds_are_the_administrators(office: Office) -> None:
    path = "/admin/communication-kinds"
    assert (await office.post(path, {"name": "Ярмарка"}, "admin")).status == 303
    assert (await office.post(path, {"name": "ярмарка"}, "admin")).status == 422
    for who in ("agent", "manager", "head", "telephony"):
        assert (await office.get(path, who)).status == 404
        assert (await office.post(path, {"name": "Своё"}, who)).status == 404
    async with office.database.sessions() as session:
        query = select(CommunicationKind.id).where(CommunicationKind.name == "Ярмарка")
        kind_id = (await session.execute(query)).scalar_one()
    form = LETTER | {"kind": f"own-{kind_id}", "subject": ""}
    made = await office.post("/communications/new", form, "agent")
    assert "Ярмарка" in await (await office.get(made.headers["Location"], "agent")).text()
    assert (await office.post(f"{path}/{kind_id}", {"name": "Ярмарка", "is_archived": "1"})).status == 303
    assert "Ярмарка" not in await (await office.get("/communications/new", "agent")).text()


async def test_a_communication_being_written_is_kept_for_its_card_and_goes_with_the_saving(
    office: Office,
) -> None:
    new = f"/communications/new?party={office.firm_id}"
    typed = {"party": str(office.firm_id), "kind": "email", "direction": "out", "summary": "Недописанное"}
    assert (await office.post("/communications/new/draft", typed, "agent")).status == 204
    page = await (await office.get(new, "agent")).text()
    assert "Недописанное" in page
    assert "/communications/new/draft/drop" in page
    for other in ("/communications/new", f"/communications/new?lead={office.lead_id}"):
        assert "Недописанное" not in await (await office.get(other, "agent")).text()
    assert "Недописанное" not in await (await office.get(new, "admin")).text()
    saved = await office.post("/communications/new", typed | {"started": "20.11.2026 10:00"}, "agent")
    assert saved.status == 303, await saved.text()
    assert "Недописанное" not in await (await office.get(new, "agent")).text()
    assert (await office.post("/communications/new/draft", typed, "agent")).status == 204
    dropped = await office.post("/communications/new/draft/drop", typed, "agent")
    assert dropped.headers["Location"] == new
    assert "Недописанное" not in await (await office.get(new, "agent")).text()


async def test_a_communication_being_edited_is_kept_for_whoever_may_edit_it(office: Office) -> None:
    address = f"/communications/{office.letter_id}"
    assert (await office.post(f"{address}/draft", {"summary": "Иначе"}, "stranger")).status == 404
    assert (await office.post(f"{address}/draft", {"summary": "Иначе"}, "agent")).status == 204
    assert "Иначе" in await (await office.get(f"{address}/edit", "agent")).text()
    dropped = await office.post(f"{address}/draft/drop", {}, "agent")
    assert dropped.headers["Location"] == f"{address}/edit"
    assert "Иначе" not in await (await office.get(f"{address}/edit", "agent")).text()


async def test_the_list_says_how_many_there_are_and_again_when_it_is_narrowed(office: Office) -> None:
    whole = await (await office.get("/communications", "admin")).text()
    told = re.search(r'id="communication-count">(\d+) communications', whole)
    assert told
    target = {"HX-Request": "true", "HX-Target": "tbody#communication-rows"}
    rows = await (await office.get("/communications?kind=meeting", "admin", **target)).text()
    narrowed = re.search(r'hx-target="#communication-count"[^>]*>(\d+) communication', rows)
    assert narrowed
    assert 0 < int(narrowed[1]) < int(told[1])
    assert "within your rights" in await (await office.get("/communications", "agent")).text()


async def test_the_list_is_searched_and_stands_in_both_orders(office: Office) -> None:
    for day in (1, 2):
        said = LETTER | {"subject": f"Искомое {day}", "started": f"0{day}.11.2026 10:00"}
        assert (await office.post("/communications/new", said, "agent")).status == 303
    for sort, order in (("newest", ("2", "1")), ("oldest", ("1", "2"))):
        page = await (await office.get(f"/communications?q=искомое&sort={sort}", "agent")).text()
        assert tuple(re.findall(r"Искомое (\d)</a>", page)) == order
        assert 'id="communication-count">2 communications' in page
    assert "Искомое" not in await (await office.get("/communications?q=искомое", "stranger")).text()
    assert "type at least 3 characters" in await (await office.get("/communications?q=x", "agent")).text()
    csv = await office.get("/communications/export.csv?q=искомое&kind=email", "admin")
    assert (await csv.text()).count("Искомое") == 2
    for hostile in (
        "%00",
        "%25%25%25",
        "'--\"",
        "\U0001f9e8\U0001f9e8\U0001f9e8",
        "(((",
        "№" * 100,
        "0" * 100,
    ):
        assert (await office.get(f"/communications?q={hostile}", "agent")).status == 200


async def test_many_are_changed_from_the_list(office: Office) -> None:
    made = []
    for word in ("Раз", "Два"):
        said = LETTER | {"subject": f"Многие {word}", "party": ""}
        made.append((await office.post("/communications/new", said, "manager")).headers["Location"])
    ids = [path.rpartition("/")[2] for path in made]
    page = await (await office.get("/communications?q=многие", "manager")).text()
    assert all(f'name="ids" value="{each}"' in page for each in ids)
    assert f'value="{office.call_id}"' not in await (await office.get("/communications", "manager")).text()
    async with office.database.sessions() as session:
        number = (await session.execute(select(Party.number).where(Party.id == office.firm_id))).scalar_one()
    tied = await office.post(
        "/communications/mass",
        [
            ("action", "party"),
            ("number", str(number)),
            ("query", "?q=многие"),
            *[("ids", each) for each in ids],
        ],
        "manager",
    )
    assert tied.status == 303
    listed = await (await office.get(tied.headers["Location"], "manager")).text()
    assert "Changed: 2." in listed
    assert listed.count(f'href="/parties/{office.firm_id}"') >= 2
    every = {"action": "bin", "all": "1", "query": "q=многие"}
    assert "done=2.0.0.0" in (await office.post("/communications/mass", every, "manager")).headers["Location"]
    assert (await office.get(made[0], "manager")).status == 404
    calls = {"action": "bin", "ids": [str(office.call_id), str(office.letter_id)]}
    told = (await office.post("/communications/mass", calls, "stranger")).headers["Location"]
    assert "done=0.0.1.1" in told
    for wrong in (
        {"action": "bin"},
        {"action": "erase", "ids": ids[0]},
        {"action": "lead", "ids": ids[0], "number": "999999"},
        {"action": "party", "ids": ids[0], "number": "rubbish"},
        {"action": "bin", "ids": "rubbish"},
    ):
        assert (await office.post("/communications/mass", wrong, "manager")).status == 422
    give = {"action": "give", "ids": ids[0], "user_id": "1"}
    assert (await office.post("/communications/mass", give, "telephony")).status == 404


async def test_of_all_that_is_found_the_first_of_the_list_are_changed(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.communication_mass.MOST_COMMUNICATIONS", 1)
    made = []
    for day in (3, 1, 2):
        form = LETTER | {"subject": "Рассылка первых", "started": f"0{day}.11.2026 10:00"}
        made.append((await office.post("/communications/new", form, "agent")).headers["Location"])
    every = {"action": "bin", "all": "1", "query": "q=рассылка+первых&sort=oldest"}
    told = (await office.post("/communications/mass", every, "agent")).headers["Location"]
    assert "done=1.0.0.0" in told
    assert "sort=oldest" in told
    assert [(await office.get(each, "agent")).status for each in made] == [200, 404, 200]


async def test_what_was_written_goes_into_the_bin_and_comes_back(office: Office) -> None:
    said = LETTER | {"subject": "Лишнее письмо"}
    path = (await office.post("/communications/new", said, "agent")).headers["Location"]
    assert f'action="{path}/delete"' in await (await office.get(path, "agent")).text()
    for who in ("stranger", "telephony"):
        assert (await office.post(f"{path}/delete", {}, who)).status == 404
    assert (await office.post(f"{path}/delete", {}, "agent")).headers["Location"] == "/communications/bin"
    assert (await office.get(path, "agent")).status == 404
    page = await (await office.get("/communications/bin?q=лишнее", "agent")).text()
    assert "Лишнее письмо" in page
    assert "Лишнее" not in await (await office.get("/communications/bin", "stranger")).text()
    assert (
        "Nothing in the bin says so." in await (await office.get("/communications/bin?q=нет", "agent")).text()
    )
    restore = path.replace("/communications/", "/communications/bin/") + "/restore"
    assert f'action="{restore}"' in page
    assert (await office.post(restore, {}, "stranger")).status == 404
    assert (await office.post(restore, {}, "agent")).headers["Location"] == path
    assert (await office.get(path, "agent")).status == 200
    assert (await office.post(restore, {}, "agent")).status == 404
    told = await office.post(f"/communications/{office.call_id}/delete", {}, "agent")
    assert told.status == 422
    assert (await office.get("/communications/bin?after=x", "agent")).status == 400
