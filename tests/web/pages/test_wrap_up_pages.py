"""Wrap-up, «Не обработаны», the shift and the outcomes on pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from crm.agent_wishes import settle_wish
from crm.schema.desk import WrapUp
from crm.schema.tasks import Task
from crm.wrap_ups import begin_wrap_ups
from cti.desk import AgentState, Wish
from tests.web.pages.office import Office


@pytest.fixture(autouse=True)
async def begun(office: Office) -> None:
    """The agent's talk waits to be wrapped up, as if nobody had done anything about it."""
    async with office.database.sessions.begin() as session:
        await session.execute(text("delete from wrap_up"))
        await session.execute(text("delete from wrap_up_line"))
        await session.execute(text("delete from call_note"))
        await begin_wrap_ups(await session.connection(), [office.call_id])


async def code(office: Office, name: str) -> str:
    async with office.database.sessions() as session:
        found = await session.scalar(text("select id from wrap_up_code where name = :name"), {"name": name})
        return str(found)


async def test_a_talk_that_waits_is_finished_with_an_outcome_and_a_comment(office: Office) -> None:
    assert await (await office.get("/wrap-up/count", "agent")).json() == {"waiting": 1}
    assert "ООО «Пример»" in await (await office.get("/wrap-up", "agent")).text()
    address = f"/wrap-up/{office.call_id}"
    typed = {"code_id": await code(office, "Not interested"), "comment": "", "note_version": "0"}
    refused = await office.post(address, typed, "agent")
    assert (refused.status, "needs a comment" in await refused.text()) == (422, True)
    done = await office.post(address, typed | {"comment": "Дорого", "note_version": "1"}, "agent")
    assert (done.status, done.headers["Location"]) == (303, "/wrap-up")
    assert await (await office.get("/wrap-up/count", "agent")).json() == {"waiting": 0}
    assert "Дорого" in await (await office.get(address, "agent")).text()


async def test_what_was_typed_is_kept_where_the_line_insists_on_an_outcome(office: Office) -> None:
    required = {"required": str(office.line_id)}
    assert (await office.post("/admin/wrap-up/lines", required, "admin")).status == 303
    address = f"/wrap-up/{office.call_id}"
    typed = {"comment": "Перезвонит сам", "note_version": "0"}
    refused = await office.post(f"{address}/form", typed, "agent")
    form = await refused.text()
    assert (refused.status, "choose an outcome" in form, "<html" in form) == (422, True, False)
    assert 'name="comment"' not in form  # the window has a field for it already
    again = await (await office.get(address, "agent")).text()
    assert "Перезвонит сам" in again  # saved, although the rest was refused
    stale = await office.post(address, typed | {"comment": "Другое"}, "agent")
    assert (stale.status, "Другое" in await stale.text()) == (422, True)  # another tab saved meanwhile


async def test_a_code_that_makes_a_task_makes_one(office: Office) -> None:
    typed = {"code_id": await code(office, "Call back later"), "comment": "", "note_version": "0"}
    for _twice in range(2):
        answer = await office.post(f"/wrap-up/{office.call_id}/form", typed, "agent")
        assert answer.status == 204, await answer.text()
    async with office.database.sessions() as session:
        tasks = (await session.scalars(select(Task).where(Task.communication_id == office.call_id))).all()
    assert [(task.kind, task.owner_id) for task in tasks] == [("call", office.people["agent"].user_id)]


async def test_one_more_minute(office: Office) -> None:
    answer = await office.post(f"/wrap-up/{office.call_id}/extend", who="agent")
    due_at = datetime.fromisoformat((await answer.json())["due_at"])
    assert timedelta(seconds=30) < due_at - datetime.now(UTC) < timedelta(seconds=61)
    async with office.database.sessions.begin() as session:
        row = (await session.scalars(select(WrapUp))).one()
        row.extended = 10
    refused = await office.post(f"/wrap-up/{office.call_id}/extend", who="agent")
    assert (refused.status, "At most 10" in (await refused.json())["problem"]) == (409, True)


async def test_t11_the_wrap_up_of_a_colleague_is_404(office: Office) -> None:
    for path in (f"/wrap-up/{office.call_id}", f"/wrap-up/{office.call_id}/form"):
        for who in ("manager", "head", "stranger"):
            assert (await office.get(path, who)).status == 404
            assert (await office.post(path, {"code_id": "1"}, who)).status == 404
    assert (await office.post(f"/wrap-up/{office.call_id}/extend", who="manager")).status == 404


async def test_a_shift_is_begun_paused_and_ended(office: Office) -> None:
    assert "Begin the shift" in await (await office.get("/shift", "agent")).text()
    assert (await office.post("/shift", {"state": "available"}, "agent")).status == 303
    wrong = await office.post("/shift", {"state": "paused", "reason": ""}, "agent")
    assert (wrong.status, "Choose why you pause." in await wrong.text()) == (422, True)
    assert (await office.post("/shift", {"state": "paused", "reason": "Lunch"}, "agent")).status == 303
    page = await (await office.get("/shift", "agent")).text()
    assert "Go on" in page
    assert ": Lunch" in page
    assert (await office.post("/shift", {"state": "offline"}, "agent")).status == 303
    assert "off the shift" in await (await office.get("/shift", "agent")).text()


async def test_outcomes_are_kept_by_the_administrator(office: Office) -> None:
    new = {"name": "Ждёт счёт", "colour": "#1f8a4c", "direction": "inbound", "lines": str(office.line_id)}
    assert (await office.post("/admin/wrap-up", new, "admin")).status == 303
    again = await office.post("/admin/wrap-up", new, "admin")
    assert (again.status, "already taken" in await again.text()) == (422, True)
    address = f"/admin/wrap-up/{await code(office, 'Ждёт счёт')}"
    assert (await office.post(address, new | {"name": "Ждёт счёт!"}, "admin")).status == 303
    assert (await office.post(f"{address}/archive", who="admin")).status == 303
    listed = await (await office.get("/admin/wrap-up", "admin")).text()
    assert "Ждёт счёт!" in listed
    offered = await (await office.get(f"/wrap-up/{office.call_id}", "agent")).text()
    assert "Ждёт счёт!" not in offered
    assert (await office.post(address, new, "head")).status == 404


async def test_the_administrator_says_how_long_wrap_up_lasts_after_each_queue(office: Office) -> None:
    connections = await (await office.get("/admin/queues", "admin")).text()
    (connection_id,) = re.findall(r'<option value="(\d+)"', connections)[:1]
    typed = {"connection_id": connection_id, "queue": "wrapped", "wrap_up_seconds": "90"}
    assert (await office.post("/admin/queues", typed, "admin")).status == 303
    assert (await office.post("/admin/queues", typed | {"wrap_up_seconds": "15"}, "admin")).status == 303
    listed = await (await office.get("/admin/queues", "admin")).text()
    assert re.search(r'value="15" aria-label="Wrap-up after wrapped, seconds"', listed)
    for wrong in ({"wrap_up_seconds": "9999"}, {"wrap_up_seconds": "soon"}, {"queue": " "}):
        assert (await office.post("/admin/queues", typed | wrong, "admin")).status == 422
    for nobody in ("agent", "head"):
        assert (await office.post("/admin/queues", typed, nobody)).status == 404
        assert (await office.post("/admin/queues/remove", typed, nobody)).status == 404
    for _once_and_again in range(2):
        assert (await office.post("/admin/queues/remove", typed, "admin")).status == 303
    assert "after wrapped," not in await (await office.get("/admin/queues", "admin")).text()


async def test_the_shift_says_when_a_pbx_does_not_pause(office: Office) -> None:
    assert (await office.post("/shift", {"state": "paused", "reason": "Lunch"}, "agent")).status == 303
    user_id = office.people["agent"].user_id
    async with office.database.sessions.begin() as session:
        await settle_wish(
            session, user_id, Wish(AgentState.PAUSED, "Lunch"), "refused", "<b>No such queue</b>"
        )
    page = await (await office.get("/shift/now", "agent")).text()
    assert "The PBX refused: &lt;b&gt;No such queue" in page
    assert "<html" not in page
    assert (await office.post("/shift", {"state": "paused", "reason": "Lunch"}, "agent")).status == 303
    assert "The PBX refused" not in await (await office.get("/shift/now", "agent")).text()
    assert (await office.post("/shift", {"state": "offline"}, "agent")).status == 303
