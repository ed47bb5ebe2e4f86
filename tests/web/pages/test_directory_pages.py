"""The pages of directories and required fields, and what they change on cards; words of one's own are never markup."""

from __future__ import annotations

import re

from sqlalchemy import text

from tests.web.pages.office import Office
from web.i18n import FOLDER

HOSTILE = "<b>50 % off</b> %(x)s"
SHOWN = "&lt;b&gt;50 % off&lt;/b&gt; %(x)s"


async def test_a_directory_is_kept(office: Office) -> None:
    assert (await office.get("/admin/directories")).headers["Location"] == "/admin/directories/kind"
    assert (await office.get("/admin/directories/app_user")).status == 404
    path = "/admin/directories/source"
    assert (await office.post(path, {"name": "Fair", "colour": "#00aa00"})).status == 303
    assert (await office.post(path, {"name": "Web"})).status == 303
    taken = await office.post(path, {"name": "FAIR"})
    assert (taken.status, "already taken" in await taken.text()) == (422, True)
    page = await (await office.get(path)).text()
    entries = re.findall(rf'href="({path}/\d+)"', page)
    assert (await office.post(f"{entries[1]}/up")).status == 303
    assert (await office.post(entries[0], {"name": "Trade fair"})).status == 303
    page = await (await office.get(path)).text()
    assert page.index("Web") < page.index("Trade fair")
    assert '<option value="Trade fair">' in await (await office.get("/parties/new?mode=person")).text()
    assert (await office.post(f"{entries[0]}/archive")).status == 303
    assert '<option value="Trade fair">' not in await (await office.get("/parties/new?mode=person")).text()
    assert (await office.post(f"{entries[0]}/restore")).status == 303
    system = await office.post("/admin/directories/kind/1/archive")
    assert (system.status, "program itself needs" in await system.text()) == (422, True)
    assert (await office.get(f"{path}/999999")).status == 404


async def test_t13_a_kind_and_a_tag_of_ones_own_are_text_everywhere(office: Office) -> None:
    for directory in ("kind", "tag", "end_reason", "source"):
        assert (await office.post(f"/admin/directories/{directory}", {"name": HOSTILE})).status == 303
    card = f"/parties/{office.foreign_id}"
    async with office.database.sessions() as session:
        tag = (
            await session.execute(text("select id from directory_entry where directory = 'tag'"))
        ).scalar_one()
    assert (await office.post(f"{card}/tags", {"tags": str(tag)})).status == 303
    values = {"short_name": "АО «Чужое»", "kinds": "own1", "version": "1"}
    saved = await office.post(f"{card}/edit", values)
    assert saved.status == 303, await saved.text()
    for path in (
        card,
        f"{card}/edit",
        f"{card}/turn",
        "/parties",
        "/parties?kind=own1",
        "/parties/new",
        "/parties/new?mode=organisation",
        "/admin/directories/kind",
        "/admin/required",
    ):
        page = await (await office.get(path)).text()
        assert SHOWN in page, path
        assert HOSTILE not in page, path


def test_t13_no_template_takes_a_kinds_name_for_a_message() -> None:
    """A message id counts as markup, and its % signs as places for values: only the system's own kinds are messages."""
    wrong = [
        f"{path.name}: {found}"
        for path in FOLDER.parent.rglob("*.html")
        for found in re.findall(r"_\(kinds?\b[^)]*\.name\)", path.read_text(encoding="utf-8"))
    ]
    assert wrong == [], "write {{ kind|kind_word }}"


async def test_what_is_required_is_asked_in_the_form(office: Office) -> None:
    boxes = [
        ("kind-supplier", "inn"),
        ("kind-supplier", "city"),
        ("kind-nobody", "inn"),
        ("kind-supplier", "x"),
    ]
    assert (await office.post("/admin/required", boxes)).status == 303
    page = await (await office.get("/admin/required")).text()
    assert page.count(" checked") == 2
    typed = {"mode": "organisation", "short_name": "Invented Ltd", "kinds": "supplier", "inn": ""}
    refused = await office.post("/parties/new", typed, "agent")
    assert (refused.status, "need an INN" in await refused.text()) == (422, True)
    quick = {"mode": "quick", "organisation": "Invented Ltd", "kind": "supplier"}
    refused = await office.post("/parties/new", quick, "agent")
    assert (refused.status, "need an INN" in await refused.text()) == (422, True)
    good = typed | {"inn": "7707083893", "city": "Moscow"}
    assert (await office.post("/parties/new", good, "agent")).status == 303
    assert (await office.post("/admin/required", {})).status == 303


async def test_requisites_are_added_on_the_card(office: Office) -> None:
    card = f"/parties/{office.firm_id}"
    account = {"bic": "044525225", "account": "40702810200000000001", "bank": "Invented Bank"}
    assert (await office.post(f"{card}/accounts", account, "agent")).status == 303
    wrong = await office.post(f"{card}/accounts", account | {"account": "40702810200000000002"}, "agent")
    page = await wrong.text()
    assert (wrong.status, "Check both for a misprint" in page) == (422, True)
    assert 'value="40702810200000000002"' in page  # what was typed is not lost
    other = account | {"account": "40702810500000000002"}
    assert (await office.post(f"{card}/accounts", other, "agent")).status == 303
    page = await (await office.get(card, "agent")).text()
    default = re.search(rf"{card}/accounts/\d+/default", page)
    assert default is not None
    assert (await office.post(default[0], {}, "agent")).status == 303
    assert (
        await office.post(f"{card}/addresses", {"kind": "legal", "address": "Тверь, 1"}, "agent")
    ).status == 303
    assert (await office.post(f"{card}/addresses", {"kind": "legal", "address": ""}, "agent")).status == 422
    page = await (await office.get(card, "agent")).text()
    assert "Тверь, 1" in page
    for ending in re.findall(rf"{card}/(?:accounts|addresses)/\d+/end", page):
        assert (await office.post(ending, {}, "agent")).status == 303
    assert "No account and no address" in await (await office.get(card, "agent")).text()


async def test_a_kind_is_paused_and_ended_on_the_card(office: Office) -> None:
    card = f"/parties/{office.firm_id}"
    page = await (await office.get(card, "agent")).text()
    pause = re.search(rf"{card}/kinds/\d+/pause", page)
    assert pause is not None
    assert (await office.post(pause[0], {}, "agent")).status == 303
    assert "paused since" in await (await office.get(card, "agent")).text()
    assert (await office.post(pause[0].replace("pause", "resume"), {}, "agent")).status == 303
    assert (
        await office.post(pause[0].replace("pause", "end"), {"reason": "Moved away"}, "agent")
    ).status == 303
    page = await (await office.get(card, "agent")).text()
    assert "Moved away" in page
    assert "Former client" in page
    assert (await office.post(pause[0], {}, "agent")).status == 404


async def test_a_person_is_turned_into_an_organisation_by_a_form(office: Office) -> None:
    made = await office.post("/parties/new", {"mode": "person", "first_name": "ООО Ромашка"}, "agent")
    card = made.headers["Location"]
    form = await (await office.get(f"{card}/turn", "agent")).text()
    assert 'value="ООО Ромашка"' in form
    bad = await office.post(
        f"{card}/turn", {"short_name": "X", "version": "1", "inn": "12", "kinds": "client"}, "agent"
    )
    assert (bad.status, "10 digits" in await bad.text()) == (422, True)
    typed = {"short_name": "ООО «Ромашка»", "legal_form": "legal", "version": "1", "kinds": "client"}
    assert (await office.post(f"{card}/turn", typed, "agent")).status == 303
    assert "Legal entity" in await (await office.get(card, "agent")).text()
    assert (await office.post(f"{card}/turn", typed, "agent")).status == 422  # a person has another form
    assert (await office.get(f"/parties/{office.foreign_id}/turn", "agent")).status == 404


async def test_a_source_has_a_code_and_unknown_texts_are_added_or_joined(office: Office) -> None:
    path = "/admin/directories/source"
    typed = {"name": "Наш сайт", "code": "our-site"}
    assert (await office.post(path, typed, "admin")).status == 303
    refused = await office.post(path, {"name": "Другой", "code": "Код"}, "admin")
    assert refused.status == 422
    assert "small Latin letters" in await refused.text()
    for source in ("our-SITE", "Ярмарка", "сайт наш"):
        made = await office.post("/leads/new", {"person": f"Из {source}", "source": source}, "manager")
        assert made.status == 303
    page = await (await office.get(path, "admin")).text()
    assert "our-site" in page
    assert "In records, and not in the directory" in page
    assert 'name="word" value="Ярмарка"' in page
    assert 'name="word" value="our-SITE"' not in page
    entry = re.search(r"/admin/directories/source/(\d+)\">", page)
    assert entry
    assert (await office.post(f"{path}/join", {"word": "Ярмарка"}, "admin")).status == 303
    joined = await office.post(f"{path}/join", {"word": "сайт наш", "entry_id": entry[1]}, "admin")
    assert joined.status == 303
    page = await (await office.get(path, "admin")).text()
    assert not re.search(r'name="word" value="(Ярмарка|сайт наш)"', page)
    assert "Ярмарка" in page
    assert "сайт наш" in await (await office.get(f"{path}/{entry[1]}", "admin")).text()
    twice = await office.post(f"{path}/join", {"word": "ярмарка", "entry_id": entry[1]}, "admin")
    assert (twice.status, "already taken" in await twice.text()) == (422, True)
    assert (await office.post(f"{path}/join", {"word": "x"}, "manager")).status == 404
    endless = "".join(chr(0x400 + (place * place) % 251) for place in range(5_000))
    refused = await office.post(f"{path}/join", {"word": endless, "entry_id": entry[1]}, "admin")
    assert (refused.status, "At most 300 characters" in await refused.text()) == (422, True)


async def test_a_line_says_the_source_of_its_leads(office: Office) -> None:
    address = f"/admin/lines/{office.line_id}"
    page = await (await office.get(address, "admin")).text()
    form = dict(re.findall(r'name="(version|number|name|colour)"[^>]*?value="([^"]*)"', page))
    saved = await office.post(address, form | {"lead_source": "Витрина"}, "admin")
    assert saved.status == 303, await saved.text()
    assert '<option value="Витрина" selected>' in await (await office.get(address, "admin")).text()


async def test_forms_offer_the_directory_and_another_source_is_written_on_purpose(office: Office) -> None:
    path = "/admin/directories/source"
    assert (await office.post(path, {"name": "Каталог", "code": "catalogue"}, "admin")).status == 303
    new = await (await office.get("/leads/new", "manager")).text()
    assert '<select class="form-select" id="f-source" name="source"' in new
    assert '<option value="Каталог">' in new
    other = {"person": "Из газеты", "source": "::other", "source-other": "Газета «Округа»"}
    card = (await office.post("/leads/new", other, "manager")).headers["Location"]
    shown = await (await office.get(card, "manager")).text()
    assert '<option value="Газета «Округа»" selected>' in shown  # kept, though the directory does not have it
    stored = {"version": "1", "source": "Газета «Округа»", "need": "Двери"}
    assert (await office.post(f"{card}/edit", stored, "manager")).status == 303
    assert "<dd>Газета «Округа»</dd>" in await (await office.get(card, "manager")).text()
    assert 'name="word" value="Газета «Округа»"' in await (await office.get(path, "admin")).text()
    listed = await (await office.get("/leads?source=Газета+«Округа»", "manager")).text()
    assert '<option value="Газета «Округа»" selected>' in listed
    assert '<option value="Каталог">' in listed
    by_code = {"mode": "person", "last_name": "Кодов", "source": "::other", "source-other": "CATALOGUE"}
    party = (await office.post("/parties/new", by_code, "manager")).headers["Location"]
    edited = await (await office.get(f"{party}/edit", "manager")).text()
    assert '<option value="Каталог" selected>' in edited


async def test_an_archived_source_is_offered_no_more_and_stays_where_it_is(office: Office) -> None:
    path = "/admin/directories/source"
    assert (await office.post(path, {"name": "Радио"}, "admin")).status == 303
    party = {"mode": "person", "last_name": "Слушатель", "source": "Радио"}
    card = (await office.post("/parties/new", party, "manager")).headers["Location"]
    entry = re.search(
        r'/admin/directories/source/(\d+)">Радио', await (await office.get(path, "admin")).text()
    )
    assert entry
    assert (await office.post(f"{path}/{entry[1]}/archive", {}, "admin")).status == 303
    assert 'value="Радио"' not in await (await office.get("/parties/new?mode=person", "manager")).text()
    assert '<option value="Радио" selected>' in await (await office.get(f"{card}/edit", "manager")).text()


async def test_an_entry_that_was_changed_meanwhile_is_compared_and_saved_again(office: Office) -> None:
    path = "/admin/directories/industry"
    assert (await office.post(path, {"name": "Рыбалка"}, "admin")).status == 303
    entry = re.search(
        r'/admin/directories/industry/(\d+)">Рыбалка', await (await office.get(path, "admin")).text()
    )
    assert entry
    one = f"{path}/{entry[1]}"
    assert 'name="version" value="1"' in await (await office.get(one, "admin")).text()
    assert (await office.post(one, {"name": "Рыболовство", "version": "1"}, "admin")).status == 303
    stale = await office.post(one, {"name": "Рыба", "version": "1"}, "admin")
    page = await stale.text()
    assert (stale.status, "Рыба" in page, 'name="version" value="2"' in page) == (409, True, True)
    assert (await office.post(one, {"name": "Рыба", "version": "2"}, "admin")).status == 303
