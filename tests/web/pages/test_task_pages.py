"""The pages of tasks: lists, card, the line of title and Enter, the window of reminders, the desktop."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, text

from crm.reminders import fire_due
from crm.schema.tasks import Reminder, Task
from tests.crm.people import COMMAND
from tests.web.pages.office import Office


async def newest(office: Office) -> Task:
    async with office.database.sessions() as session:
        row = await session.scalar(select(Task).order_by(Task.id.desc()).limit(1))
        assert row is not None
        return row


async def stored(office: Office, task_id: int) -> Task:
    async with office.database.sessions() as session:
        row = await session.get(Task, task_id)
        assert row is not None
        return row


async def new_task(office: Office, who: str = "agent", **typed: str) -> int:
    answer = await office.post("/tasks/new", {"title": "Сделать"} | typed, who)
    assert answer.status == 303, await answer.text()
    return int(answer.headers["Location"].rpartition("/")[2])


async def test_the_lists_hold_what_is_theirs(office: Office) -> None:
    later = (datetime.now(UTC) + timedelta(days=2)).strftime("%d.%m.%Y")  # than today in every time zone
    manager = str(office.people["manager"].user_id)
    await new_task(office, title="Будущая", due=later)
    await new_task(office, title="Порученная", owner_id=manager, due=later)
    await new_task(office, title="Личная", is_private="1")
    pages = {
        path: await (await office.get(path, "agent")).text()
        for path in ("/tasks", "/tasks/overdue", "/tasks/mine", "/tasks/given", "/tasks/watched")
    }
    assert "Отправить договор" in pages["/tasks/overdue"]
    assert "Будущая" not in pages["/tasks"] + pages["/tasks/overdue"]
    assert "Будущая" in pages["/tasks/mine"]
    assert "Личная" in pages["/tasks/mine"]
    assert "Порученная" in pages["/tasks/given"]
    assert "Порученная" not in pages["/tasks/mine"]
    assert (await office.get("/tasks/team", "agent")).status == 404
    team = await (await office.get("/tasks/team", "head")).text()
    assert "Порученная" in team
    assert "Личная" not in team
    assert "Личная" not in await (await office.get("/tasks/team", "admin")).text()
    assert (await office.get("/tasks/mine?after=x", "agent")).status == 400


async def test_a_form_with_a_mistake_comes_back_as_typed(office: Office) -> None:
    answer = await office.post("/tasks/new", {"title": "Встретиться", "due": "скоро"}, "agent")
    page = await answer.text()
    assert answer.status == 422
    assert 'value="Встретиться"' in page
    assert "This is no term" in page
    assert (await office.post("/tasks/new", {"title": " "}, "agent")).status == 422
    foreign = await office.post("/tasks/new", {"title": "x", "party": str(office.foreign_id)}, "agent")
    assert foreign.status == 404


async def test_the_card_tells_everything_and_acts(office: Office) -> None:
    task_id = await new_task(
        office, party=str(office.firm_id), due="31.12.2030 14:30", minutes_before="10", note="Подробно"
    )
    path = f"/tasks/{task_id}"
    page = await (await office.get(path, "agent")).text()
    for part in ("Сделать", "ООО «Пример»", "Подробно", "tel:+74951203344", "The task was set"):
        assert part in page, part
    assert (await office.post(f"{path}/start", {}, "agent")).status == 303
    assert (await office.post(f"{path}/postpone", {"due": "вчера"}, "agent")).status == 422
    assert (await office.post(f"{path}/postpone", {"due": "01.02.2031"}, "agent")).status == 303
    assert (await office.post(f"{path}/reminders", {"word": "m10"}, "agent")).status == 422
    assert (await office.post(f"{path}/reminders", {"word": "morning"}, "agent")).status == 303
    page = await (await office.get(path, "agent")).text()
    remove = re.search(rf'action="({path}/reminders/\d+/remove)"', page)
    assert remove
    assert (await office.post(remove.group(1), {}, "agent")).status == 303
    edited = {"title": "Иначе", "kind": "letter", "version": "1"}
    assert (await office.post(f"{path}/edit", edited, "agent")).status == 409
    version = str((await stored(office, task_id)).version)
    assert (await office.post(f"{path}/edit", edited | {"version": version}, "agent")).status == 303
    assert (await office.post(f"{path}/complete", {"result": "Вышло"}, "agent")).status == 303
    assert "Вышло" in await (await office.get(path, "agent")).text()
    assert (await office.post(f"{path}/cancel", {}, "agent")).status == 422
    assert (await office.post(f"{path}/reopen", {}, "agent")).status == 303
    head = str(office.people["head"].user_id)
    assert (await office.post(f"{path}/owner", {"owner_id": head}, "agent")).status == 303
    row = await stored(office, task_id)
    assert (row.owner_id, row.created_by) == (int(head), office.people["agent"].user_id)
    assert (await office.get(path, "stranger")).status == 404
    assert (await office.post(f"{path}/complete", {}, "stranger")).status == 404
    assert (await office.post(f"{path}/watch", {"watch": "1"}, "agent")).status == 303


async def test_a_title_and_enter_sets_a_task_on_a_card(office: Office) -> None:
    back = f"/parties/{office.firm_id}/tasks"
    typed = {"title": "Уточнить адрес", "party": str(office.firm_id), "word": "tomorrow", "back": back}
    answer = await office.post("/tasks/quick", typed, "agent")
    assert (answer.status, answer.headers["Location"]) == (303, back)
    page = await (await office.get(back, "agent")).text()
    assert "Уточнить адрес" in page
    counter = await (await office.get(f"{back}/count", "agent")).text()
    assert "stage-count" in counter
    row = await newest(office)
    assert (row.party_id, row.due_on is not None) == (office.firm_id, True)
    of_lead = typed | {"lead": str(office.lead_id), "party": "", "back": f"/leads/{office.lead_id}/tasks"}
    assert (await office.post("/tasks/quick", of_lead, "agent")).status == 303
    assert "Уточнить адрес" in await (await office.get(f"/leads/{office.lead_id}/tasks", "agent")).text()
    assert (await newest(office)).lead_id == office.lead_id


@pytest.mark.parametrize(
    "back", ["//evil.example/x", "https://evil.example/", "/\\evil.example", "javascript:x"]
)
async def test_the_way_back_is_never_another_sites(office: Office, back: str) -> None:
    answer = await office.post("/tasks/quick", {"title": "x", "back": back}, "agent")
    assert answer.headers["Location"] == "/tasks"


async def test_a_call_window_sets_a_task_with_a_reminder(office: Office) -> None:
    path = f"/calls/{office.call_id}/task"
    assert (await office.get(f"{path}?party={office.firm_id}", "agent")).status == 200
    answer = await office.post(path, {"title": "Перезвонить", "party": str(office.firm_id)}, "agent")
    assert "Перезвонить" in await answer.text()
    row = await newest(office)
    assert (row.kind, row.communication_id, row.party_id) == ("call", office.call_id, office.firm_id)
    async with office.database.sessions() as session:
        (fire_at,) = await session.scalars(select(Reminder.fire_at).where(Reminder.task_id == row.id))
    assert row.due_at is not None
    assert row.due_at - fire_at == timedelta(minutes=10)
    assert (await office.post(path, {"title": ""}, "agent")).status == 422
    line = await (await office.get(f"{path}?party={office.firm_id}", "agent")).text()
    assert "Complete the task “Перезвонить”" in line
    done = await office.post(f"{path}/{row.id}/complete", {"party": str(office.firm_id)}, "agent")
    assert "The task is done." in await done.text()
    assert ((await stored(office, row.id)).state, "Перезвонить”" in await done.text()) == ("done", False)
    assert (await office.post(f"{path}/{office.task_id}/complete", {}, "stranger")).status == 404
    assert (await office.post(path, {"title": "x"}, "stranger")).status == 404


async def test_reminders_stand_in_their_window_until_answered(office: Office) -> None:
    task_id = await new_task(office, title="Напомнить", party=str(office.firm_id))
    async with office.database.sessions.begin() as session:
        await session.execute(delete(Reminder))
        due = "insert into reminder (task_id, user_id, fire_at) values (:task, :user, now())"
        ids = {"task": task_id, "user": office.people["agent"].user_id}
        await session.execute(text(due), ids)
    async with office.database.sessions.begin() as session:
        assert await fire_due(session, COMMAND, datetime.now(UTC)) == 1
    page = await (await office.get("/reminders", "agent")).text()
    assert "Напомнить" in page
    assert "tel:+74951203344" in page
    assert "Напомнить" not in await (await office.get("/reminders", "admin")).text()
    assert "Reminder: Напомнить" in await (await office.get("/notifications", "agent")).text()
    snooze = re.search(r'action="(/reminders/\d+/snooze)"', page)
    assert snooze
    assert (await office.post(snooze.group(1), {"pause": "5"}, "admin")).status == 404
    assert (await office.post(snooze.group(1), {"pause": "age"}, "agent")).status == 422
    assert "Напомнить" not in await (await office.post(snooze.group(1), {"pause": "5"}, "agent")).text()
    async with office.database.sessions.begin() as session:
        assert await fire_due(session, COMMAND, datetime.now(UTC) + timedelta(minutes=6)) == 1
    assert "Напомнить" in await (await office.get("/reminders", "agent")).text()
    done = await office.post(f"/reminders/tasks/{task_id}/complete", {}, "agent")
    assert "Напомнить" not in await done.text()
    assert (await stored(office, task_id)).state == "done"


async def test_actions_on_ticked_rows_and_on_all_found(office: Office) -> None:
    first, second = await new_task(office, title="Раз"), await new_task(office, title="Два")
    ticked = {"area": "tasks_mine", "ids": str(first), "action": "postpone", "word": "week"}
    answer = await office.post("/tasks/mass", ticked, "agent")
    assert answer.headers["Location"] == "/tasks/mine?done=1.0.0.0"
    assert (await stored(office, first)).due_on is not None
    assert (
        await office.post("/tasks/mass", {"area": "tasks_mine", "action": "complete"}, "agent")
    ).status == 422
    number = str((await stored(office, second)).number)
    every = {"area": "tasks_mine", "all": "1", "query": f"?number={number}", "action": "complete"}
    assert (await office.post("/tasks/mass", every, "agent")).status == 303
    assert ((await stored(office, first)).state, (await stored(office, second)).state) == ("new", "done")
    assert (await office.post("/tasks/mass", ticked | {"area": "tasks_team"}, "agent")).status == 404


async def test_the_desktop_shows_who_waits_and_what_is_due(office: Office) -> None:
    page = await (await office.get("/desk", "agent")).text()
    for part in ("Отправить договор", "Missed callers", "Call back", "Спросивший Первый", "Latest calls"):
        assert part in page, part
    assert "Отправить договор" in await (await office.get("/desk/tasks", "agent")).text()
    assert "Missed callers" in await (await office.get("/desk/calls", "agent")).text()
    figures = re.findall(r"<dd>(.*?)</dd>", await (await office.get("/desk/figures", "agent")).text())
    assert figures[:2] in (["1", "1"], ["0", "1"], ["0", "0"])  # the planted calls may be of yesterday
    assert "Отправить договор" not in await (await office.get("/desk", "stranger")).text()


async def test_the_card_of_a_client_tells_of_tasks(office: Office) -> None:
    page = await (await office.get(f"/parties/{office.firm_id}?show=tasks", "agent")).text()
    assert page.count("timeline-item") >= 1
    assert "Отправить договор" in page
    await new_task(office, title="По лиду", lead=str(office.lead_id))
    assert "По лиду" in await (await office.get(f"/leads/{office.lead_id}", "agent")).text()


async def test_a_day_moves_with_ones_time_zone(office: Office) -> None:
    task_id = await new_task(office, "manager", due="11.01.2030")
    before = (await stored(office, task_id)).deadline
    settings = {"language": "en", "time_zone": "Asia/Vladivostok"}
    assert (await office.post("/me/settings", settings, "manager")).status == 303
    assert (await stored(office, task_id)).deadline < before


async def test_a_draft_of_a_new_task_comes_back(office: Office) -> None:
    assert (await office.post("/tasks/new/draft", {"title": "Недописанное"}, "manager")).status == 204
    assert "Недописанное" in await (await office.get("/tasks/new", "manager")).text()
    await office.post("/tasks/new/draft/drop", {}, "manager")
    assert "Недописанное" not in await (await office.get("/tasks/new", "manager")).text()
