"""Callers to call back over the API: within one's rights, taken by one at a time, closed with a reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from tests.web.api.company import Company

PATH = "/api/v1/callbacks"


async def missed(company: Company, number: str, *, team: str | None = None) -> int:
    """A caller whom nobody took an hour ago; `team`: of whose lines."""
    at = datetime.now(UTC) - timedelta(hours=1)
    team_id = company.people[team].team_id if team else None
    values = {"e164": number, "team": team_id, "at": at, "due": at + timedelta(minutes=20)}
    async with company.database.sessions.begin() as session:
        added = await session.execute(
            text(
                "insert into callback_case (e164, line_group, team_id, first_missed_at, last_missed_at, due_at) "
                "values (:e164, 'none', :team, :at, :at, :due) returning id"
            ),
            values,
        )
        return int(added.scalar_one())


async def test_taken_by_one_at_a_time_and_closed(company: Company) -> None:
    case = await missed(company, "+79000000071")
    listed = await (await company.get(PATH, "agent")).json()
    (found,) = [each for each in listed["items"] if each["id"] == case]
    assert (found["state"], found["is_overdue"], found["e164"]) == ("open", True, "+79000000071")
    taken = await (await company.post(f"{PATH}/{case}/take", None, "agent")).json()
    assert (taken["state"], taken["taken_by_id"]) == ("taken", company.people["agent"].user_id)
    refused = await company.post(f"{PATH}/{case}/take", None, "colleague")
    assert (refused.status, (await refused.json())["code"]) == (409, "CaseTaken")
    colleague = company.people["colleague"].user_id
    given = await company.post(f"{PATH}/{case}/hand-over", {"user_id": colleague}, "agent")
    assert (await given.json())["taken_by_id"] == colleague
    back = await company.post(f"{PATH}/{case}/give-back", None, "colleague")
    assert (await back.json())["state"] == "open"
    for wrong in ({"reason": ""}, {"reason": "x" * 201}, {}):
        assert (await company.post(f"{PATH}/{case}/close", wrong, "agent")).status in (400, 422)
    closed = await (await company.post(f"{PATH}/{case}/close", {"reason": "Spam"}, "agent")).json()
    assert (closed["state"], closed["close_reason"]) == ("closed", "Spam")
    again = await company.post(f"{PATH}/{case}/take", None, "agent")
    assert (again.status, (await again.json())["code"]) == (409, "CaseSettled")
    done = await (await company.get(f"{PATH}?settled=1", "agent")).json()
    assert case in [each["id"] for each in done["items"]]


async def test_t11_other_teams_cases_are_not_there(company: Company) -> None:
    case = await missed(company, "+79000000072", team="agent")
    for path in (f"{PATH}/{case}",):
        assert (await company.get(path, "stranger")).status == 404
        assert (await company.post(f"{path}/take", None, "stranger")).status == 404
        assert (await company.get(path, "colleague")).status == 200
        assert (await company.get(path, "telephony")).status == 200
        assert (await company.post(f"{path}/take", None, "telephony")).status == 404
