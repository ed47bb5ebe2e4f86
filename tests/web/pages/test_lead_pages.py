"""The pages of leads: list, board, card, form, moving with what is missing, conversion."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, update

from crm.schema.leads import Lead
from crm.schema.parties import Party
from crm.schema.views import Draft, Notification
from tests.web.pages.office import Office


async def new_lead(office: Office, who: str = "agent", **typed: str) -> int:
    answer = await office.post("/leads/new", {"person": "Новый Человек"} | typed, who)
    assert answer.status == 303, await answer.text()
    return int(answer.headers["Location"].rpartition("/")[2])


async def stored(office: Office, lead_id: int) -> Lead:
    async with office.database.sessions() as session:
        row = await session.get(Lead, lead_id)
        assert row is not None
        return row


async def stage_id(office: Office, lead_id: int, name: str) -> str:
    text = await (await office.get("/leads", "agent")).text()
    found = re.search(rf'<option value="(\d+)"[^>]*>{name}</option>', text)
    assert found, name
    return found.group(1)


async def test_the_list_holds_what_is_going_on_within_ones_rights(office: Office) -> None:
    text = await (await office.get("/leads", "agent")).text()
    assert "Спросивший Первый" in text
    assert "Спросивший Второй" not in text
    assert "Спросивший Чужой" not in text
    assert "within your rights" in text
    assert "Спросивший Второй" in await (await office.get("/leads?state=disqualified", "agent")).text()
    assert "Спросивший Чужой" in await (await office.get("/leads", "admin")).text()
    row = await stored(office, office.ended_lead_id)
    assert "Спросивший Второй" in await (await office.get(f"/leads?number={row.number}", "agent")).text()
    for address in ("/leads?after=x", "/leads?state=odd&stage=x&number=x", "/leads/board?scheme=99999"):
        assert (await office.get(address, "agent")).status in {200, 400}


async def test_the_list_has_columns_views_order_and_search_as_other_lists(office: Office) -> None:
    chosen = [("columns", "task"), ("columns", "number"), ("query", "sort=oldest")]
    answer = await office.post("/lists/leads/columns", chosen, "agent")
    assert answer.headers["Location"] == "/leads?sort=oldest"
    text = await (await office.get("/leads?sort=oldest", "agent")).text()
    head = text[text.index("<thead>") : text.index("</thead>")]
    assert head.index("Who asks</th>") < head.index("Next task</th>") < head.index("No.</th>")
    assert "Source</th>" not in head
    assert (await office.post("/lists/leads/columns", {"reset": "1"}, "agent")).status == 303
    view = await office.post(
        "/lists/leads/views", {"name": "Мои", "query": "whose=mine&sort=oldest"}, "agent"
    )
    assert "whose=mine&sort=oldest" in view.headers["Location"]
    assert 'aria-current="true">Мои' in await (await office.get(view.headers["Location"], "agent")).text()
    found = await (await office.get("/leads?q=спросивший", "agent")).text()
    assert "Спросивший Второй" in found  # a search finds ended ones, too
    assert "Спросивший Чужой" not in found
    assert "Спросивший" not in (await (await office.get("/leads/export.csv?q=nobody", "admin")).text())
    row = await (await office.get(f"/leads?row={office.lead_id}", "agent")).text()
    assert row.strip().startswith("<tr data-row")
    assert f'data-record="lead:{office.lead_id}"' in row
    assert (await office.get(f"/leads?row={office.lead_id}", "stranger")).status == 404


async def test_many_leads_are_handed_over_moved_and_ended_at_once(office: Office) -> None:
    ids = [await new_lead(office, person=f"Многие {name}") for name in ("Один", "Два")]
    foreign = await new_lead(office, "stranger", person="Не наш")
    ticked = [("ids", str(lead_id)) for lead_id in (*ids, foreign)]
    stage = await stage_id(office, ids[0], "In progress")
    done = await office.post("/leads/mass", [*ticked, ("action", "move"), ("stage_id", stage)], "agent")
    assert done.headers["Location"] == "/leads?done=2.0.1.0"
    assert {str((await stored(office, each)).stage_id) for each in ids} == {stage}
    page = await (await office.get("/leads?done=2.0.1.0", "agent")).text()
    assert "Could not be changed: 1." in page
    heir = office.people["manager"].user_id
    given = [("action", "owner"), ("owner_id", str(heir))]
    assert (await office.post("/leads/mass", [*ticked, *given], "agent")).status == 404  # not theirs to give
    done = await office.post("/leads/mass", [("all", "1"), ("query", "q=многие"), *given], "admin")
    assert done.headers["Location"].endswith("done=2.0.0.0")
    async with office.database.sessions() as session:
        notices = await session.scalars(
            select(Notification).where(Notification.user_id == heir, Notification.kind == "assigned")
        )
        assert [(each.record_kind, each.detail) for each in notices] == [("lead", {"count": 2})]
    assert "made you responsible for 2 leads" in await (await office.get("/notifications", "manager")).text()
    reason = re.search(r'<option value="(\d+)">Wrong number</option>', page)
    assert reason
    ended = [*ticked, ("action", "disqualify"), ("reason_id", reason.group(1))]
    assert (await office.post("/leads/mass", ended, "manager")).headers["Location"].endswith("done=2.0.1.0")
    again = await office.post("/leads/mass", ended, "manager")
    assert again.headers["Location"].endswith("done=0.2.1.0")
    assert (await office.post("/leads/mass", {"action": "odd", "ids": "1"}, "agent")).status == 422
    assert (await office.post("/leads/mass", {"action": "move"}, "agent")).status == 422
    assert (await office.post("/leads/mass", {"action": "move"}, "telephony")).status == 404


async def test_the_board_has_a_column_for_each_open_stage(office: Office) -> None:
    text = await (await office.get("/leads/board", "agent")).text()
    assert re.findall(r'<section class="stage-column"', text) == ['<section class="stage-column"'] * 3
    assert "Спросивший Первый" in text
    assert 'draggable="true"' in text
    assert "Спросивший Чужой" not in text


async def test_required_field_of_stage_3_on_the_board_is_asked_for_and_filled_moves(office: Office) -> None:
    lead_id = await new_lead(office)
    stage = await stage_id(office, lead_id, "Qualified")
    answer = await office.post(f"/leads/{lead_id}/move", {"stage_id": stage, "back": "board"}, "agent")
    text = await answer.text()
    assert answer.status == 422
    assert 'name="need"' in text
    assert "For “Qualified” these are needed first: Need." in text
    empty = {"stage_id": stage, "back": "board", "need": " "}
    assert "Fill this in." in await (await office.post(f"/leads/{lead_id}/move", empty, "agent")).text()
    filled = await office.post(f"/leads/{lead_id}/move", empty | {"need": "Двери"}, "agent")
    assert (filled.status, filled.headers["Location"]) == (303, "/leads/board")
    row = await stored(office, lead_id)
    assert (str(row.stage_id), row.need) == (stage, "Двери")


async def test_a_move_from_an_old_page_is_told(office: Office) -> None:
    lead_id = await new_lead(office)
    stage = await stage_id(office, lead_id, "In progress")
    answer = await office.post(f"/leads/{lead_id}/move", {"stage_id": stage, "version": "77"}, "agent")
    assert answer.status == 409
    assert (await office.post(f"/leads/{lead_id}/move", {"stage_id": stage}, "agent")).status == 303


async def test_the_form_shows_who_has_the_number_and_warns_of_open_leads(office: Office) -> None:
    answer = await office.post("/leads/new", {"number": "+7 495 120-33-44"}, "agent")
    text = await answer.text()
    assert answer.status == 422
    assert f"/leads/new?party_id={office.contact_id}" in text
    first = await new_lead(office, party_id=str(office.contact_id))
    again = await office.post("/leads/new", {"party_id": str(office.contact_id)}, "agent")
    text = await again.text()
    assert again.status == 422
    assert f'href="/leads/{first}"' in text
    assert 'name="is_further"' in text
    await new_lead(office, party_id=str(office.contact_id), is_further="1")
    for page in (f"/parties/{office.contact_id}", f"/parties/{office.contact_id}/leads"):
        assert f"/leads/{first}" in await (await office.get(page, "agent")).text()
    assert (await office.post("/leads/new", {}, "agent")).status == 422


async def test_the_card_tells_everything_and_acts(office: Office) -> None:
    text = await (await office.get(f"/leads/{office.lead_id}", "agent")).text()
    for part in ("Десять окон", "Сайт", "utm_source", "yandex", "Missed call", "no response yet", "/convert"):
        assert part in text, part
    lead_id = await new_lead(office, "head")
    path = f"/leads/{lead_id}"
    assert (await office.post(f"{path}/edit", {"need": "Новая нужда"}, "head")).status == 303
    assert (await office.post(f"{path}/hold", {"resume_on": "скоро"}, "head")).status == 422
    assert (await office.post(f"{path}/hold", {"resume_on": "31.12.2030"}, "head")).status == 303
    assert "Paused until" in await (await office.get(path, "head")).text()
    assert (await office.post(f"{path}/resume", {}, "head")).status == 303
    assert (await office.post(f"{path}/disqualify", {}, "head")).status == 422
    text = await (await office.get(path, "head")).text()
    reason = re.search(r'<option value="(\d+)">Wrong number</option>', text)
    assert reason
    assert (await office.post(f"{path}/disqualify", {"reason_id": reason.group(1)}, "head")).status == 303
    assert "Wrong number" in await (await office.get(path, "head")).text()
    assert (await office.post(f"{path}/edit", {"need": "x"}, "head")).status == 409
    assert (await office.post(f"{path}/reopen", {}, "head")).status == 303
    agent = office.people["agent"].user_id
    assert (await office.post(f"{path}/owner", {"owner_id": str(agent)}, "head")).status == 303
    assert (await stored(office, lead_id)).owner_id == agent


async def test_what_was_typed_stays_when_somebody_else_was_faster(office: Office) -> None:
    lead_id = await new_lead(office, need="Пять окон")
    path, old = f"/leads/{lead_id}/edit", {"version": "1", "need": "Шесть окон", "title": "Окна"}
    assert (await office.post(path, {"version": "1", "need": "Семь окон"}, "admin")).status == 303
    answer = await office.post(path, old, "agent")
    text = await answer.text()
    assert answer.status == 409
    assert "Шесть окон</textarea>" in text
    assert "Stored meanwhile: Семь окон" in text
    assert 'name="version" value="2"' in text
    assert (await office.post(path, old | {"version": "2"}, "agent")).status == 303
    assert (await office.post(path, old, "agent")).status == 303  # nothing differs
    assert (await stored(office, lead_id)).need == "Шесть окон"
    long = await office.post(path, {"title": "x" * 400, "need": "Не потерять"}, "agent")
    assert (long.status, "Не потерять</textarea>" in await long.text()) == (422, True)


async def test_a_new_lead_keeps_its_draft_until_it_is_created(office: Office) -> None:
    typed = {"person": "Черновик", "need": "Набросок"}
    assert (await office.post("/leads/new/draft", typed, "manager")).status == 204
    assert "Набросок</textarea>" in await (await office.get("/leads/new", "manager")).text()
    assert "Набросок" not in await (await office.get("/leads/new?person=Другой", "manager")).text()
    await new_lead(office, "manager", **typed)
    assert "Набросок" not in await (await office.get("/leads/new", "manager")).text()


async def test_what_is_typed_about_a_lead_comes_back_until_it_is_saved(office: Office) -> None:
    lead_id = await new_lead(office, person="Правит Наброском")
    path = f"/leads/{lead_id}"
    typed = {"need": "Недописанная нужда", "title": "", "source": "", "version": "1"}
    for who, status in (("stranger", 404), ("telephony", 404), ("agent", 204)):
        assert (await office.post(f"{path}/draft", typed, who)).status == status
    card = await (await office.get(path, "agent")).text()
    assert "This is your draft" in card
    assert "Недописанная нужда</textarea>" in card
    assert "Недописанная нужда" not in await (await office.get(path, "manager")).text()
    dropped = await office.post(f"{path}/draft/drop", {}, "agent")
    assert dropped.headers["Location"] == path
    assert "Недописанная нужда" not in await (await office.get(path, "agent")).text()
    await office.post(f"{path}/draft", typed, "agent")
    assert (await office.post(f"{path}/edit", typed, "agent")).status == 303
    assert "This is your draft" not in await (await office.get(path, "agent")).text()
    await office.post(f"{path}/draft", {"need": "Устаревшая", "version": "1"}, "agent")
    stale = await office.post(f"{path}/edit", {"need": "Устаревшая", "version": "1"}, "agent")
    assert stale.status == 409
    assert "Устаревшая</textarea>" in await (await office.get(path, "agent")).text()  # kept until it is saved
    for path in (f"/leads/{office.ended_lead_id}", f"/leads/{office.ended_lead_id}/convert"):
        assert (await office.post(f"{path}/draft", typed, "agent")).status == 404  # it is over


async def test_a_conversion_comes_back_with_whom_one_had_picked(office: Office) -> None:
    lead_id = await new_lead(office, number="+7 495 120-33-69", person="Черновой Человек")
    path = f"/leads/{lead_id}/convert"
    typed = {
        "client": f"existing-{office.firm_id}",
        "contact": "new",
        "position": "Не забыть",
        "client_q": "при",
    }
    assert (await office.post(f"{path}/draft", typed, "stranger")).status == 404
    assert (await office.post(f"{path}/draft", typed, "agent")).status == 204
    text = await (await office.get(path, "agent")).text()
    assert f'value="existing-{office.firm_id}" checked' in text
    assert 'value="Не забыть"' in text
    assert "This is your draft" in text
    foreign = typed | {"client": f"existing-{office.foreign_id}"}
    assert (await office.post(f"{path}/draft", foreign, "agent")).status == 204
    assert f"existing-{office.foreign_id}" not in await (await office.get(path, "agent")).text()
    dropped = await office.post(f"{path}/draft/drop", {}, "agent")
    assert dropped.headers["Location"] == path
    assert "Не забыть" not in await (await office.get(path, "agent")).text()
    await office.post(f"{path}/draft", typed, "agent")
    assert (await office.post(path, typed, "agent")).headers["Location"] == f"/parties/{office.firm_id}"
    async with office.database.sessions() as session:
        kept = await session.scalars(select(Draft.form).where(Draft.record == str(lead_id)))
        assert kept.all() == []


async def test_a_letter_logged_on_a_lead_stands_in_its_timeline_and_answers_it(office: Office) -> None:
    lead_id = await new_lead(office, person="Ждёт письма")
    form = await (await office.get(f"/communications/new?lead={lead_id}", "agent")).text()
    assert f'name="lead" value="{lead_id}"' in form
    said = {"lead": str(lead_id), "kind": "email", "subject": "Ваша смета", "started": "20.11.2026 14:30"}
    early = await office.post("/communications/new", said | {"direction": "out"}, "agent")
    assert (early.status, early.headers["Location"]) == (303, f"/leads/{lead_id}")
    assert (await stored(office, lead_id)).first_response_at is None  # before the enquiry
    now = datetime.now(UTC).astimezone(ZoneInfo("Europe/Moscow")) + timedelta(minutes=1)
    async with office.database.sessions.begin() as session:
        await session.execute(
            update(Lead).where(Lead.id == lead_id).values(created_at=now - timedelta(hours=1))
        )
    later = said | {"started": (now - timedelta(minutes=30)).strftime("%d.%m.%Y %H:%M")}
    for direction in ("in", "out"):
        assert (await stored(office, lead_id)).first_response_at is None
        assert (
            await office.post("/communications/new", later | {"direction": direction}, "agent")
        ).status == 303
    lead = await stored(office, lead_id)
    assert lead.first_response_at is not None
    text = await (await office.get(f"/leads/{lead_id}", "agent")).text()
    assert text.count("Ваша смета") >= 3
    assert 'chip tone-blue">In progress' in text
    assert (await office.get(f"/communications/new?lead={lead_id}", "stranger")).status == 404
    foreign = await office.post("/communications/new", later | {"direction": "in"}, "stranger")
    assert foreign.status == 404


async def test_converting_on_the_page_and_twice(office: Office) -> None:
    lead_id = await new_lead(office, number="+7 495 120-33-60", person="")
    path = f"/leads/{lead_id}/convert"
    text = await (await office.get(path, "agent")).text()
    assert 'value="person" checked' in text
    bad = {"client": "none", "contact": "new"}
    assert (await office.post(path, bad, "agent")).status == 422
    assert (await office.post(path, {"client": "odd"}, "agent")).status == 422
    assert (await office.post(path, {"client": "new", "contact": "none"}, "agent")).status in {409, 422}
    wish = {"client": "new", "organisation": "ООО «Со страницы»", "contact": "new", "name": "Имя Отыскано"}
    first, second = await office.post(path, wish, "agent"), await office.post(path, wish, "agent")
    assert first.status == second.status == 303
    assert first.headers["Location"] == second.headers["Location"]
    text = await (await office.get(first.headers["Location"], "agent")).text()
    assert "ООО «Со страницы»" in text
    assert "Имя Отыскано" in text
    assert (await office.get(path, "agent")).headers["Location"] == f"/leads/{lead_id}"


async def test_an_existing_client_is_found_and_chosen(office: Office) -> None:
    lead_id = await new_lead(office, number="+7 495 120-33-61", person="Другой Человек")
    found = await office.get(f"/leads/{lead_id}/convert/found?block=client&client_q=пример", "agent")
    assert f'value="existing-{office.firm_id}"' in await found.text()
    wish = {"client": f"existing-{office.firm_id}", "contact": "new", "position": "Закупки"}
    answer = await office.post(f"/leads/{lead_id}/convert", wish, "agent")
    assert answer.headers["Location"] == f"/parties/{office.firm_id}"
    assert "Другой Человек" in await (await office.get(f"/parties/{office.firm_id}", "agent")).text()
    foreign = {"client": f"existing-{office.foreign_id}", "contact": "new"}
    other = await new_lead(office)
    assert (await office.post(f"/leads/{other}/convert", foreign, "agent")).status == 409
    async with office.database.sessions() as session:
        subject = (await stored(office, other)).subject_party_id
        assert await session.scalar(select(Party.lifecycle).where(Party.id == subject)) == "unqualified"


async def test_a_deleted_lead_waits_in_the_bin_and_comes_back(office: Office) -> None:
    made = await office.post("/leads/new", {"person": "Удаляемый Лид", "number": "+79000007701"}, "manager")
    address = made.headers["Location"]
    card = await (await office.get(address, "manager")).text()
    assert f'action="{address}/delete"' in card
    deleted = await office.post(f"{address}/delete", {}, "manager")
    assert (deleted.status, deleted.headers["Location"]) == (303, "/leads/bin")
    assert (await office.get(address, "manager")).status == 404
    assert "Удаляемый" in await (await office.get("/leads/bin?q=удаляемый", "manager")).text()
    assert (
        "Nothing in the bin is called so" in await (await office.get("/leads/bin?q=иной", "manager")).text()
    )
    assert "Удаляемый" not in await (await office.get("/parties/bin", "manager")).text()
    lead_id = address.rpartition("/")[2]
    restore = f"/leads/bin/{lead_id}/restore"
    assert (await office.get("/leads/bin", "agent")).status == 404
    assert (await office.post(restore, {}, "agent")).status == 404
    typed = {"organisation": "Занявшая номер", "person": "Анна", "number": "+79000007701"}
    taken = await office.post("/parties/new", typed, "manager")
    assert taken.status == 303, await taken.text()
    restored = await office.post(restore, {}, "manager")
    assert restored.status == 200
    told = await restored.text()
    assert "+7 900 000-77-01" in told
    assert f'href="{address}"' in told
    assert (await office.get(address, "manager")).status == 200
    assert (await office.post(restore, {}, "manager")).status == 404


async def test_only_whoever_may_delete_a_lead_is_offered_that(office: Office) -> None:
    address = f"/leads/{office.lead_id}"
    assert f'action="{address}/delete"' not in await (await office.get(address, "agent")).text()
    for who in ("agent", "manager"):
        assert (await office.post(f"{address}/delete", {}, who)).status == 404
    assert (await office.get(address, "agent")).status == 200
