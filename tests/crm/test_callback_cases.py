"""Callers whom nobody took: the acceptance table «Callback cases», and what must hold in any order of any repeats."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
import pytest_asyncio
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.back_fill import store_back_filled
from crm.calendars import WorkHours, add_calendar
from crm.callback_acts import close_case, give_back, hand_over, take_case, take_next
from crm.callback_figures import callback_figures
from crm.callback_states import CaseState
from crm.callbacks import CaseFilter, CaseSettled, CaseTaken, count_waiting, list_cases, read_case
from crm.database import Database
from crm.errors import Invalid, NotFound
from crm.handling_rules import FollowUp, Rule, Situation, set_rule
from crm.journal import store_entries
from crm.rights import access_of
from crm.schema.base import uuid7
from crm.schema.desk import CallbackCase
from crm.schema.journals import OutboxEvent
from crm.schema.telephony import Line
from crm.schema.views import Notification
from cti.calls.records import Disposition, Origin
from tests.crm import planting
from tests.crm.missing import MIDNIGHT, Company, caller, clock
from tests.crm.people import COMMAND, make_team, make_user


@pytest_asyncio.fixture(loop_scope="session")
async def company(session: AsyncSession) -> Company:
    return await Company.found(session)


def minutes(case: CallbackCase) -> float:
    assert case.reacted_at is not None
    return (case.reacted_at - case.first_missed_at) / timedelta(minutes=1)


# The acceptance table


async def test_missed_twice_and_called_back_by_another_agent(company: Company) -> None:
    number = caller(1)
    await company.tell(company.missed(number, "10:00"), company.missed(number, "10:05"))
    assert (await company.case(number)).state == "open"
    await company.tell(company.talk(number, "10:15", seconds=40))
    case = await company.case(number)
    assert (case.state, case.missed_count, minutes(case)) == ("resolved_by_callback", 2, 15)
    assert case.resolved_by_id == company.agents[1].user_id


async def test_the_client_calls_again_and_is_answered(company: Company) -> None:
    await company.tell(company.missed(caller(2), "11:00"))
    await company.tell(company.talk(caller(2), "11:30", is_inbound=True))
    assert (await company.case(caller(2))).state == "resolved_by_client"


async def test_called_without_an_answer_is_attempted_and_nobody_has_spoken(company: Company) -> None:
    await company.tell(company.missed(caller(3), "12:00"), company.tried(caller(3), "12:10"))
    case = await company.case(caller(3))
    assert (case.state, case.attempts, minutes(case), case.resolved_at) == ("attempted", 1, 10, None)


async def test_missed_and_nothing_since_is_open(company: Company) -> None:
    await company.tell(company.missed(caller(4), "13:00"))
    case = await company.case(caller(4))
    assert (case.state, case.due_at) == ("open", clock("13:20"))


async def test_a_talk_on_another_number_of_the_same_party_settles_it(company: Company) -> None:
    client = await planting.organisation(company.session, "Invented Ltd", kind="client")
    for number in (caller(5), caller(55)):
        await planting.owns(company.session, client, await planting.number(company.session, number))
    await company.tell(company.missed(caller(5), "14:00", party_id=client, match_status="matched"))
    await company.tell(company.talk(caller(55), "14:05", party_id=client, match_status="matched"))
    assert (await company.case(caller(5))).state == "resolved_by_callback"


async def test_a_withheld_number_opens_no_case_and_is_counted_apart(company: Company) -> None:
    await company.tell(company.missed(None, "15:00"))
    assert await company.cases() == []
    figures = await callback_figures(
        company.session, company.agents[0], MIDNIGHT, MIDNIGHT + timedelta(days=1)
    )
    assert (figures.callers, figures.withheld) == (0, 1)


async def test_the_whole_day_of_the_table_in_figures(company: Company) -> None:
    client = await planting.organisation(company.session, "Invented Ltd", kind="client")
    numbers = [caller(number) for number in (11, 12, 13, 14, 15)]
    for number in (numbers[4], caller(155)):
        await planting.owns(company.session, client, await planting.number(company.session, number))
    await company.tell(
        company.missed(numbers[0], "10:00"),
        company.missed(numbers[0], "10:05"),
        company.talk(numbers[0], "10:15"),
        company.missed(numbers[1], "11:00"),
        company.talk(numbers[1], "11:30", is_inbound=True),
        company.missed(numbers[2], "12:00"),
        company.tried(numbers[2], "12:10"),
        company.missed(numbers[3], "13:00"),
        company.missed(numbers[4], "14:00", party_id=client),
        company.talk(caller(155), "14:05", party_id=client),
        company.missed(None, "15:00"),
    )
    figures = await callback_figures(
        company.session, company.agents[0], MIDNIGHT, MIDNIGHT + timedelta(days=1)
    )
    assert (figures.callers, figures.calls, figures.nobody_spoke) == (5, 6, 2)
    assert (figures.called_back, figures.came_back, figures.attempted, figures.withheld) == (2, 1, 1, 1)


# What must always hold


async def test_i02_a_replayed_call_makes_no_second_case_and_no_second_miss(company: Company) -> None:
    told = [company.missed(caller(20), "10:00"), company.talk(caller(20), "10:15")]
    for entry in (*told, *told, told[0]):
        await company.tell(msgspec.structs.replace(entry, run="2", step=1))
    case = await company.case(caller(20))
    assert (case.state, case.missed_count) == ("resolved_by_callback", 1)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_i02_any_order_of_telling_leaves_the_same_cases(
    company: Company, order: tuple[int, ...]
) -> None:
    number = caller(21)
    told = [
        company.missed(number, "10:00"),
        company.missed(number, "10:05"),
        company.talk(number, "10:15"),
        company.missed(number, "10:30"),
    ]
    for index in order:
        await company.tell(told[index])
    cases = [(case.state, case.missed_count, case.first_missed_at) for case in await company.cases(number)]
    assert cases == [("resolved_by_callback", 2, clock("10:00")), ("open", 1, clock("10:30"))]


async def test_i02_two_hundred_misses_at_once_are_one_case(database: Database) -> None:
    async with database.sessions.begin() as session:
        company = await Company.found(session)
        told = [company.missed(caller(22), f"10:{index % 60:02d}") for index in range(200)]

    async def store(part: int) -> None:
        async with database.engine.begin() as connection:
            await store_entries(connection, told[part::5])

    await asyncio.gather(*map(store, range(5)))
    async with database.sessions() as session:
        company.session = session
        case = await company.case(caller(22))
        assert (case.missed_count, case.first_missed_at) == (200, clock("10:00"))


async def test_a_call_back_filled_after_its_caller_was_called_back_is_settled_at_once(
    company: Company,
) -> None:
    await company.tell(company.talk(caller(23), "10:15"))
    entry = company.missed(caller(23), "10:00")
    entry = msgspec.structs.replace(entry, record=replace(entry.record, origin=Origin.BACK_FILLED))
    for _again in range(2):
        await store_back_filled(await company.session.connection(), [entry])
    assert (await company.case(caller(23))).state == "resolved_by_callback"


async def test_a_talk_of_less_than_five_seconds_is_an_attempt(company: Company) -> None:
    await company.tell(company.missed(caller(24), "10:00"), company.talk(caller(24), "10:05", seconds=4))
    assert (await company.case(caller(24))).state == "attempted"


async def test_a_carriers_missed_call_that_the_pbx_answered_is_no_miss(company: Company) -> None:
    carrier = await planting.connection(company.session, "Carrier")
    seen = msgspec.structs.replace(company.missed(caller(25), "10:00"), connection_id=carrier)
    await company.tell(seen)
    assert (await company.case(caller(25))).missed_count == 1
    await company.tell(company.talk(caller(25), "10:00", is_inbound=True))
    assert await company.cases(caller(25)) == []


@pytest.mark.parametrize(
    ("disposition", "opens"),
    [
        (Disposition.ABANDONED, True),
        (Disposition.NOT_SERVED, True),
        (Disposition.VOICEMAIL, True),
        (Disposition.AFTER_HOURS, True),
        (Disposition.BUSY, True),
        (Disposition.NO_ANSWER, True),
        (Disposition.MENU_ONLY, False),
        (Disposition.BLOCKED, False),
    ],
)
async def test_which_calls_are_missed(company: Company, disposition: Disposition, opens: bool) -> None:
    await company.tell(company.missed(caller(26), "10:00", disposition))
    assert bool(await company.cases(caller(26))) is opens


async def test_an_ignored_number_opens_no_case(company: Company) -> None:
    await company.tell(company.missed(caller(27), "10:00", match_status="ignored"))
    assert await company.cases() == []


async def test_a_number_given_to_somebody_later_is_called_back_on_their_other_number(
    company: Company,
) -> None:
    await company.tell(company.missed(caller(28), "10:00"))
    client = await planting.person(company.session, "Anna", kind="client")
    for number in (caller(28), caller(288)):
        await planting.owns(company.session, client, await planting.number(company.session, number))
    shown = await list_cases(company.session, company.agents[0], clock("10:10"))
    assert [case.party_name for case in shown.items if case.e164 == caller(28)] == ["Anna"]
    await company.tell(company.talk(caller(288), "10:20"))
    assert (await company.case(caller(28))).state == "resolved_by_callback"


async def test_a_rule_without_a_case_opens_none_and_another_term_sets_the_due_time(company: Company) -> None:
    rule = Rule(line_id=company.line, situation=Situation.INBOUND_MISSED, is_known=False)
    await set_rule(company.session, COMMAND, rule)
    await company.tell(company.missed(caller(29), "10:00"))
    assert await company.cases() == []
    case = frozenset({FollowUp.CALLBACK_CASE})
    await set_rule(company.session, COMMAND, replace(rule, actions=case, due_minutes=5))
    await company.tell(company.missed(caller(29), "10:10"))
    assert (await company.case(caller(29))).due_at == clock("10:15")


async def test_the_term_counts_the_hours_of_the_line(company: Company) -> None:
    hours = WorkHours(time_zone="UTC", week={0: ((9 * 60, 12 * 60), (13 * 60, 18 * 60))})
    calendar_id = await add_calendar(company.session, COMMAND, "With a break", hours)
    await company.session.execute(update(Line).where(Line.id == company.line).values(calendar_id=calendar_id))
    await company.tell(company.missed(caller(38), "11:50"), company.missed(caller(39), "06:30"))
    assert (await company.case(caller(38))).due_at == clock("13:10")
    assert (await company.case(caller(39))).due_at == clock("09:20")


async def test_what_happens_is_told_to_programs(company: Company) -> None:
    await company.tell(company.missed(caller(30), "10:00"), company.talk(caller(30), "10:15"))
    case = await company.case(caller(30))
    opened, resolved = await events_of(company, case)
    assert (opened.type, resolved.type) == ("callback.opened", "callback.resolved")
    assert opened.before is None
    assert opened.after == {
        "e164": caller(30),
        "state": "open",
        "team_id": company.team,
        "line_id": company.line,
        "missed_count": 1,
        "first_missed_at": clock("10:00").isoformat(),
        "last_missed_at": clock("10:00").isoformat(),
        "due_at": clock("10:20").isoformat(),
        "attempts": 0,
    }
    names = {"state", "attempts", "reacted_at", "resolved_at", "resolved_by_id", "resolving_call_id"}
    assert resolved.before == {**dict.fromkeys(names), "state": "open", "attempts": 0}
    assert resolved.after is not None
    assert resolved.after.keys() == names
    assert resolved.after["state"] == "resolved_by_callback"
    assert resolved.after["resolved_by_id"] == company.agents[1].user_id


async def events_of(company: Company, case: CallbackCase) -> list[OutboxEvent]:
    query = select(OutboxEvent).where(
        OutboxEvent.record_kind == "callback_case", OutboxEvent.record_id == str(case.id)
    )
    return list(await company.session.scalars(query.order_by(OutboxEvent.id)))


async def test_a_miss_that_adds_to_a_case_or_is_taken_back_is_told_with_what_changed(
    company: Company,
) -> None:
    number = caller(44)
    again = company.missed(number, "10:05")
    await company.tell(company.missed(number, "10:00"), again)
    case = await company.case(number)
    changed = (await events_of(company, case))[-1]
    assert (changed.type, changed.before, changed.after) == (
        "callback.changed",
        {"missed_count": 1, "last_missed_at": clock("10:00").isoformat()},
        {"missed_count": 2, "last_missed_at": clock("10:05").isoformat()},
    )
    other = replace(again.record, customer_number=caller(45))  # the source corrects the number
    facts = replace(again.facts, customer_e164=caller(45))
    await company.tell(msgspec.structs.replace(again, record=other, facts=facts, step=again.step + 1_000))
    taken_back = (await events_of(company, await company.case(number)))[-1]
    assert (taken_back.type, taken_back.after) == (
        "callback.changed",
        {"missed_count": 1, "last_missed_at": clock("10:00").isoformat()},
    )


async def test_misses_after_a_talk_that_is_told_late_are_due_by_their_own_hours(company: Company) -> None:
    number = caller(46)
    hours = WorkHours(time_zone="UTC", week={0: ((9 * 60, 18 * 60),)}, days={})
    calendar_id = await add_calendar(company.session, COMMAND, "Till six", hours)
    await company.session.execute(update(Line).where(Line.id == company.line).values(calendar_id=calendar_id))
    await company.tell(company.missed(number, "08:00"), company.missed(number, "10:00"))
    assert (await company.case(number)).due_at == clock(
        "09:20"
    )  # an hour and twenty minutes after it was missed
    await company.tell(company.talk(number, "09:30"))
    earlier, later = await company.cases(number)
    assert (earlier.state, later.state) == ("resolved_by_callback", "open")
    assert (later.first_missed_at, later.due_at) == (clock("10:00"), clock("10:20"))
    told = [(event.type, (event.after or {}).get("due_at")) for event in await events_of(company, later)]
    assert told == [("callback.opened", clock("10:20").isoformat())]


# What people do


async def test_taken_for_ten_minutes_so_that_two_do_not_call_at_once(company: Company) -> None:
    await company.tell(company.missed(caller(31), "10:00"))
    first, second = company.agents
    case = await company.case(caller(31))
    await take_case(company.session, first, case.id, clock("10:05"))
    with pytest.raises(CaseTaken):
        await take_case(company.session, second, case.id, clock("10:14"))
    shown = await read_case(company.session, second, case.id, clock("10:14"))
    assert (shown.state, shown.taken_by_id) == (CaseState.TAKEN, first.user_id)
    assert (await read_case(company.session, second, case.id, clock("10:15"))).state is CaseState.OPEN
    await take_case(company.session, second, case.id, clock("10:15"))
    await give_back(company.session, second, case.id, clock("10:16"))
    assert (await read_case(company.session, first, case.id, clock("10:16"))).taken_by_id is None


async def test_the_next_ones_are_taken_by_their_due_time(company: Company) -> None:
    await company.tell(company.missed(caller(32), "10:10"), company.missed(caller(33), "10:00"))
    taken = [
        await take_next(company.session, agent, clock("10:11"))
        for agent in (*company.agents, *company.agents)
    ]
    expected = [(await company.case(number)).id for number in (caller(33), caller(32))]
    assert taken[:2] == expected
    assert taken[2:] == [None, None]


async def test_handed_over_to_a_colleague_who_is_notified(company: Company) -> None:
    await company.tell(company.missed(caller(34), "10:00"))
    first, second = company.agents
    case = await company.case(caller(34))
    await hand_over(company.session, first, case.id, second.user_id, clock("10:01"))
    told = await company.session.scalars(
        select(Notification.kind).where(Notification.user_id == second.user_id)
    )
    assert list(told) == ["callback"]
    outsider = await make_user(
        company.session, ["agent"], team_id=await make_team(company.session, "Elsewhere")
    )
    with pytest.raises(Invalid):
        await hand_over(company.session, second, case.id, outsider.user_id, clock("10:02"))


async def test_closed_by_hand_with_a_reason_and_a_later_miss_is_a_case_of_its_own(company: Company) -> None:
    await company.tell(company.missed(caller(35), "10:00"))
    agent, case = company.agents[0], await company.case(caller(35))
    with pytest.raises(Invalid):
        await close_case(company.session, agent, case.id, "  ", clock("10:01"))
    await close_case(company.session, agent, case.id, "Wrong number", clock("10:01"))
    with pytest.raises(CaseSettled):
        await take_case(company.session, agent, case.id, clock("10:02"))
    await company.tell(company.missed(caller(35), "10:30"), company.talk(caller(35), "10:40"))
    assert [case.state for case in await company.cases(caller(35))] == ["closed", "resolved_by_callback"]


async def test_t11_cases_of_another_teams_lines_are_not_there(company: Company) -> None:
    await company.tell(company.missed(caller(36), "10:00"))
    case = await company.case(caller(36))
    other = await make_user(
        company.session, ["agent"], team_id=await make_team(company.session, "Another team")
    )
    page = await list_cases(company.session, other, clock("10:01"))
    assert case.id not in [each.id for each in page.items]
    for act in (read_case, take_case, give_back):
        with pytest.raises(NotFound):
            await act(company.session, other, case.id, clock("10:01"))
    telephony = await make_user(company.session, ["telephony"])
    shown = await read_case(company.session, telephony, case.id, clock("10:01"))
    assert (shown.e164, shown.party_name) == (caller(36), None)


async def test_a_line_without_a_team_is_a_group_of_its_own_and_everybodys(company: Company) -> None:
    await company.session.execute(
        text("update line set team_id = null where id = :line"), {"line": company.line}
    )
    await company.tell(company.missed(caller(37), "10:00"))
    page = await list_cases(company.session, company.agents[0], clock("10:01"))
    assert [case.line_id for case in page.items if case.e164 == caller(37)] == [company.line]


async def test_pages_never_cut_by_midnight_and_the_badge_counts_them_all(company: Company) -> None:
    agent = await access_of(company.session, company.agents[0].user_id)
    assert agent is not None
    before = await count_waiting(company.session, agent)
    told = [company.missed(caller(400 + index), "10:00") for index in range(5)]
    yesterday = msgspec.structs.replace(
        told[0],
        record=replace(
            told[0].record,
            started_at=clock("10:00") - timedelta(days=3),
            ended_at=clock("10:01") - timedelta(days=3),
        ),
    )
    await company.tell(yesterday, *told[1:])
    assert await count_waiting(company.session, agent) == before + 5
    found, cursor = [], None
    for _page in range(3):
        wanted = CaseFilter(team_id=company.team)
        page = await list_cases(company.session, agent, clock("10:10"), wanted, cursor=cursor, limit=2)
        found += [case.e164 for case in page.items]
        cursor = page.next
    assert found == [caller(400 + index) for index in range(5)]
    assert cursor is None


async def test_i06_a_fault_in_what_follows_costs_no_call(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_arguments: object) -> None:
        raise RuntimeError("as if")

    monkeypatch.setattr("crm.journal.follow_calls", fails)
    entry = company.missed(caller(38), "10:00")
    await company.tell(msgspec.structs.replace(entry, call_id=(call_id := uuid7())))
    stored = await company.session.scalar(text("select count(*) from call where id = :id"), {"id": call_id})
    assert stored == 1
    assert (await company.session.execute(select(func.count()).select_from(CallbackCase))).scalar_one() >= 0
