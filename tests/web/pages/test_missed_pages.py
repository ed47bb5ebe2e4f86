"""«Пропущенные» and the rules of handling on pages: taken, handed over, closed; never out of one's rights."""

from __future__ import annotations

import html
from datetime import UTC, datetime, timedelta

from sqlalchemy import text, update

from crm.handling_rules import FollowUp, Situation, all_rules
from crm.schema.desk import CallbackCase
from tests.web.pages.office import Office


async def again(office: Office, **values: object) -> None:
    """The case waits once more."""
    nothing = dict.fromkeys(
        ("taken_by_id", "taken_until", "resolved_at", "resolved_by_id", "close_reason"), None
    )
    async with office.database.sessions.begin() as session:
        changed = {"state": "open", **nothing, **values}
        await session.execute(update(CallbackCase).where(CallbackCase.id == office.case_id).values(**changed))


async def test_the_list_tells_who_waits_since_when_and_the_badge_how_many(office: Office) -> None:
    await again(office)
    page = await (await office.get("/missed", "agent")).text()
    assert "Контактное Лицо" in page
    assert "+7 495 120-33-44" in page
    assert "past its time" in page
    assert "missed 1, called back 0" in page or "missed 0, called back 0" in page  # near midnight
    assert await (await office.get("/missed/count", "agent")).json() == {"waiting": 1}
    rows = await office.get("/missed", "agent", **{"HX-Request": "true", "HX-Target": "tbody#missed-rows"})
    assert (await rows.text()).lstrip().startswith("<tr")


async def test_taking_giving_back_and_closing_with_a_reason(office: Office) -> None:
    await again(office)
    address = f"/missed/{office.case_id}"
    taken = await office.post("/missed/take-next", who="agent")
    assert (taken.status, taken.headers["Location"]) == (303, address)
    refused = await office.post(f"{address}/take", who="manager")
    assert refused.status == 409
    assert "Agent Example has taken this caller" in await refused.text()
    assert "Taken by you" in await (await office.get(address, "agent")).text()
    assert (await office.post(f"{address}/give-back", who="agent")).status == 303
    empty = await office.post(f"{address}/close", {"reason": " "}, "agent")
    assert (empty.status, "Say why nobody need call back." in await empty.text()) == (422, True)
    closed = await office.post(f"{address}/close", {"reason": "Ошиблись номером"}, "agent")
    assert (closed.status, closed.headers["Location"]) == (303, "/missed")
    done = await (await office.get("/missed?show=done", "agent")).text()
    assert "Ошиблись номером" in done
    late = await office.post(f"{address}/take", who="agent")
    assert (late.status, "settled meanwhile" in await late.text()) == (409, True)


async def test_handing_over_notifies_the_colleague(office: Office) -> None:
    await again(office)
    address = f"/missed/{office.case_id}/hand-over"
    nobody = await office.post(address, {"user_id": ""}, "agent")
    assert (nobody.status, "Choose a colleague." in await nobody.text()) == (422, True)
    manager = office.people["manager"].user_id
    assert (await office.post(address, {"user_id": str(manager)}, "agent")).status == 303
    notices = await (await office.get("/notifications", "manager")).text()
    assert "Agent Example hands you a missed caller: +7 495 120-33-44" in notices
    telephony = office.people["telephony"].user_id  # sees callers, and works on none
    refused = await office.post(address, {"user_id": str(telephony)}, "manager")
    assert (refused.status, "may not work on this caller" in await refused.text()) == (422, True)


async def test_t11_cases_of_another_teams_lines_are_404(office: Office) -> None:
    await again(office, team_id=office.team_id)
    for path in (f"/missed/{office.case_id}",):
        assert (await office.get(path, "stranger")).status == 404
        assert (await office.post(f"{path}/take", who="stranger")).status == 404
    assert await (await office.get("/missed/count", "stranger")).json() == {"waiting": 0}
    assert "+7 495 120-33-44" not in await (await office.get("/missed", "stranger")).text()
    assert (await office.post(f"/missed/{office.case_id}/take", who="telephony")).status == 404
    page = await (await office.get("/missed", "telephony")).text()  # reads, but knows no clients
    assert "+7 495 120-33-44" in page
    assert "Контактное Лицо" not in page
    await again(office, team_id=None)


async def test_rules_are_set_for_a_line_and_dropped_again(office: Office) -> None:
    cells = {"line": str(office.line_id), "due-known": "5", "due-unknown": "10"}
    typed = cells | {"inbound_missed-unknown": "lead", "outbound_failed-known": "notify"}
    saved = await office.post("/admin/handling", typed, "telephony")
    assert saved.status == 303
    async with office.database.sessions() as session:
        rules = await all_rules(session)
    rule = rules.of(office.line_id, Situation.INBOUND_MISSED, is_known=False)
    assert (rule.actions, rule.due_minutes) == (frozenset({FollowUp.LEAD}), 10)
    assert rules.of(None, Situation.INBOUND_MISSED, is_known=False).actions == {FollowUp.CALLBACK_CASE}
    tried = await (await office.get(f"/admin/handling/try?call={office.missed_id}", "admin")).text()
    assert "the line's own" in html.unescape(tried)
    dropped = await office.post("/admin/handling/reset", {"line": str(office.line_id)}, "telephony")
    assert dropped.status == 303
    tried = await (await office.get(f"/admin/handling/try?call={office.missed_id}", "admin")).text()
    assert "of all lines" in tried
    assert "within 20 minutes" in tried


async def test_rules_that_do_not_fit_come_back_with_what_was_typed(office: Office) -> None:
    wrong = {"line": "", "due-known": "soon", "due-unknown": "20"}
    answer = await office.post("/admin/handling", wrong, "admin")
    page = await answer.text()
    assert (answer.status, 'value="soon"' in page) == (422, True)
    assert "whole number from 1 to 10080" in page
    wrong = {"line": "", "due-known": "20", "due-unknown": "20", "inbound_answered-known": "callback_case"}
    answer = await office.post("/admin/handling", wrong, "admin")
    assert (answer.status, "cannot follow from such a call" in await answer.text()) == (422, True)
    async with office.database.sessions() as session:
        count = await session.scalar(text("select count(*) from call_handling_rule"))
        assert count == 2  # nothing of a refused form is stored


async def test_a_case_that_was_due_is_not_cut_by_midnight(office: Office) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=40)
    await again(office, first_missed_at=long_ago, due_at=long_ago)
    assert "Контактное Лицо" in await (await office.get("/missed", "agent")).text()
