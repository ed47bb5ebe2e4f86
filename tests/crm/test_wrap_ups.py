"""After a talk: the countdown, the code, the comment; and the talks that nobody wrapped up. Nothing typed is lost."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.agent_wishes import own_wish, set_wish, stored_wishes
from crm.errors import Invalid, NotFound, Taken
from crm.journal_entries import CallEntry
from crm.notes import save_note
from crm.said_outcomes import SPAM, WRONG_NUMBER, say_outcome, take_outcome_back
from crm.schema.telephony import Queue
from crm.wrap_up_codes import CodeValues, add_code, archive_code, edit_code, list_codes, require_on_lines
from crm.wrap_ups import (
    WrapUpOver,
    codes_for,
    count_unfinished,
    extend,
    finish,
    list_unfinished,
    running_wrap_ups,
    wrap_up_of,
)
from cti.calls.presence_events import DeviceChanged, DeviceState
from cti.calls.records import CallState, CameBy, Origin, Participation
from cti.desk import AgentState, Wish
from tests.crm.missing import Company, caller, clock
from tests.crm.people import COMMAND
from tests.cti.desk.floors import Floor
from tests.cti.desk.floors import Hall as PeopleAt

_steps = itertools.count(1_000)


@pytest_asyncio.fixture(loop_scope="session")
async def company(session: AsyncSession) -> Company:
    return await Company.found(session)


async def talked(company: Company, at: str = "10:00") -> CallEntry:
    """102 took a call at this minute, which ended 48 seconds later."""
    entry = company.talk(caller(80), at, is_inbound=True)
    await company.tell(entry)
    return entry


async def test_a_talk_begins_one_wrap_up_of_its_agent_however_often_it_is_told(company: Company) -> None:
    entry, agent = await talked(company), company.agents[1]
    await company.tell(msgspec.structs.replace(entry, run="2"))
    info = await wrap_up_of(company.session, agent, entry.call_id)
    ended_at = clock("10:00") + timedelta(seconds=48)
    assert (info.started_at, info.due_at) == (ended_at, ended_at + timedelta(seconds=60))
    (running,) = await running_wrap_ups(company.session, ended_at)
    assert (running.user_id, running.due_at, running.call.id) == (agent.user_id, info.due_at, entry.call_id)
    with pytest.raises(NotFound):
        await wrap_up_of(company.session, company.agents[0], entry.call_id)


async def test_the_countdown_is_the_queues(company: Company) -> None:
    await company.session.execute(
        insert(Queue).values(connection_id=company.pbx, name="sales", wrap_up_seconds=15)
    )
    entry = company.talk(caller(81), "10:00", is_inbound=True)
    await company.tell(msgspec.structs.replace(entry, record=replace(entry.record, queue="sales")))
    info = await wrap_up_of(company.session, company.agents[1], entry.call_id)
    assert info.due_at - info.started_at == timedelta(seconds=15)


async def test_missed_internal_and_restored_calls_have_none(company: Company) -> None:
    restored = company.talk(caller(82), "10:00", is_inbound=True)
    record = replace(restored.record, origin=Origin.BACK_FILLED)
    missed = company.missed(caller(83), "10:00")
    await company.tell(msgspec.structs.replace(restored, record=record), missed)
    count = await company.session.scalar(
        text("select count(*) from wrap_up where call_id in (:a, :b)"),
        {"a": restored.call_id, "b": missed.call_id},
    )
    assert count == 0


async def test_one_more_minute_ten_times_at_most(company: Company) -> None:
    entry, agent = await talked(company), company.agents[1]
    info = await wrap_up_of(company.session, agent, entry.call_id)
    due_at = await extend(company.session, agent, entry.call_id, info.started_at)
    assert due_at == info.due_at + timedelta(minutes=1)
    late = info.due_at + timedelta(hours=1)
    assert await extend(company.session, agent, entry.call_id, late) == late + timedelta(minutes=1)
    for _more in range(8):
        await extend(company.session, agent, entry.call_id, late)
    with pytest.raises(Invalid):
        await extend(company.session, agent, entry.call_id, late)


async def test_a_code_a_comment_and_done(company: Company) -> None:
    entry, agent = await talked(company), company.agents[1]
    refused = await add_code(company.session, COMMAND, CodeValues(name="Too dear", needs_comment=True))
    await require_on_lines(company.session, COMMAND, [company.line])
    with pytest.raises(Invalid, match="choose an outcome"):
        await finish(company.session, agent, entry.call_id, None)
    with pytest.raises(Invalid, match="needs a comment"):
        await finish(company.session, agent, entry.call_id, refused)
    await save_note(company.session, agent, entry.call_id, "Wants a discount", version=0)
    chosen = await finish(company.session, agent, entry.call_id, refused)
    assert chosen is not None
    assert chosen.name == "Too dear"
    assert await finish(company.session, agent, entry.call_id, refused) is None  # once more: nothing new
    info = await wrap_up_of(company.session, agent, entry.call_id)
    assert (info.code_id, info.note, info.seconds_left(info.started_at)) == (refused, "Wants a discount", 0)
    with pytest.raises(WrapUpOver):
        await extend(company.session, agent, entry.call_id, info.due_at)


async def test_codes_are_offered_by_line_and_direction(company: Company) -> None:
    entry, agent = await talked(company), company.agents[1]
    here = CodeValues(name="Only here", line_ids=frozenset({company.line}))
    code = await add_code(company.session, COMMAND, here)
    outgoing = await add_code(company.session, COMMAND, CodeValues(name="Dialled", direction="outbound"))
    info = await wrap_up_of(company.session, agent, entry.call_id)
    offered = {each.id for each in await codes_for(company.session, info)}
    assert code in offered
    assert outgoing not in offered
    with pytest.raises(Invalid):
        await finish(company.session, agent, entry.call_id, outgoing)
    with pytest.raises(Taken):
        await add_code(company.session, COMMAND, CodeValues(name="only HERE"))
    await edit_code(company.session, COMMAND, code, CodeValues(name="Here", needs_comment=True))
    await archive_code(company.session, COMMAND, code, is_archived=True)
    assert code not in [each.id for each in await list_codes(company.session)]
    assert code not in {each.id for each in await codes_for(company.session, info)}


async def test_when_the_time_is_up_the_talk_waits_in_the_list_and_the_text_is_kept(company: Company) -> None:
    first, second = await talked(company, "10:00"), await talked(company, "10:30")
    agent, later = company.agents[1], clock("12:00")
    assert await count_unfinished(company.session, agent, clock("10:01")) == 0
    page = await list_unfinished(company.session, agent, later, limit=1)
    assert [info.call_id for info in page.items] == [second.call_id]
    rest = await list_unfinished(company.session, agent, later, cursor=page.next)
    assert [info.call_id for info in rest.items] == [first.call_id]
    await save_note(company.session, agent, first.call_id, "half a sen", version=0)
    assert await count_unfinished(company.session, agent, later) == 1  # a comment is enough here
    await require_on_lines(company.session, COMMAND, [company.line])
    page = await list_unfinished(company.session, agent, later)
    assert [info.note for info in page.items] == ["", "half a sen"]  # where a code is asked it is not
    assert await count_unfinished(company.session, company.agents[0], later) == 0


async def test_windows_wrap_up_time_is_up_while_typing(company: Company) -> None:
    """The acceptance row of that name: state available, text kept, call in «Not wrapped up»."""
    entry, agent = await talked(company), company.agents[1]
    await require_on_lines(company.session, COMMAND, [company.line])
    info = await wrap_up_of(company.session, agent, entry.call_id)
    floor = Floor()
    floor.link(info.started_at)
    floor.desk.set_directory(PeopleAt(e101=agent.user_id), info.started_at)
    idle = DeviceChanged(device="PJSIP/101", state=DeviceState.IDLE, at=info.started_at)
    floor.desk.shift.hear(1, [idle])
    (running,) = await running_wrap_ups(company.session, info.started_at)
    floor.desk.shift.wrap_up(agent.user_id, running.due_at, info.started_at)

    def state() -> str | None:
        view = floor.desk.shift.agent(agent.user_id)
        return view.state.value if view else None

    assert state() == "wrap_up"
    version = await save_note(company.session, agent, entry.call_id, "просил пере", version=0)
    floor.desk.expire(info.due_at)
    assert state() == "available"
    await save_note(company.session, agent, entry.call_id, "просил перезвонить", version=version)
    (waiting,) = (await list_unfinished(company.session, agent, info.due_at)).items
    assert (waiting.call_id, waiting.note) == (entry.call_id, "просил перезвонить")


async def test_what_the_agent_said_of_the_caller_is_the_outcome(company: Company) -> None:
    entry, agent = company.talk(caller(86), "10:00", is_inbound=True), company.agents[1]
    await say_outcome(company.session, agent, entry.call_id, SPAM)
    await say_outcome(
        company.session, agent, entry.call_id, WRONG_NUMBER
    )  # while they talk; the later word holds
    await company.tell(entry)
    codes = {code.id: code.name for code in await list_codes(company.session)}

    async def outcome() -> str | None:
        return codes.get((await wrap_up_of(company.session, agent, entry.call_id)).code_id or 0)

    assert await outcome() == "Wrong number"
    await take_outcome_back(company.session, agent, entry.call_id, SPAM)  # of another button
    assert await outcome() == "Wrong number"
    await take_outcome_back(company.session, agent, entry.call_id, WRONG_NUMBER)
    assert await outcome() is None
    await say_outcome(company.session, agent, entry.call_id, SPAM)  # the talk is over by now
    assert await outcome() == "Spam"
    await finish(company.session, agent, entry.call_id, None)
    await say_outcome(company.session, agent, entry.call_id, WRONG_NUMBER)  # too late
    assert await outcome() is None
    assert await company.session.scalar(text("select count(*) from said_outcome")) == 0


def part(extension: str, begins: str, ends: str | None, **more: Any) -> Participation:
    """A part in which the customer was talked to, from one minute to another."""
    return Participation(
        extension=extension,
        came_by=CameBy.RING,
        rang_at=clock(begins),
        answered_at=clock(begins),
        left_at=clock(ends) if ends else None,
        **more,
    )


def going_on(entry: CallEntry, *parts: Participation) -> CallEntry:
    """The call as it stands while somebody talks."""
    record = replace(
        entry.record, state=CallState.TALKING, ended_at=None, talk_seconds=None, participations=parts
    )
    return msgspec.structs.replace(entry, record=record, step=next(_steps))


async def test_whoever_passed_the_call_on_wraps_up_while_it_goes_on_with_another(company: Company) -> None:
    entry, (second, first) = company.talk(caller(87), "10:00", is_inbound=True), company.agents
    mine = part("102", "10:00", "10:05", attempt=1, is_first_answer=True)
    await company.tell(going_on(entry, replace(mine, left_at=None)))
    with pytest.raises(NotFound):
        await wrap_up_of(company.session, first, entry.call_id)
    theirs = part("101", "10:06", None, attempt=1)
    await company.tell(going_on(entry, mine, theirs))
    info = await wrap_up_of(company.session, first, entry.call_id)
    assert (info.started_at, info.due_at) == (clock("10:05"), clock("10:06"))
    running = await running_wrap_ups(company.session, clock("10:05"))
    assert [each.user_id for each in running] == [first.user_id]
    with pytest.raises(NotFound):  # of the one who talks nothing is asked yet
        await wrap_up_of(company.session, second, entry.call_id)
    done = replace(
        entry.record, ended_at=clock("10:20"), participations=(mine, part("101", "10:06", "10:20", attempt=1))
    )
    await company.tell(msgspec.structs.replace(entry, record=done, at=clock("10:20"), step=next(_steps)))
    assert (await wrap_up_of(company.session, first, entry.call_id)).due_at == clock("10:06")
    assert (await wrap_up_of(company.session, second, entry.call_id)).started_at == clock("10:20")


async def test_to_whom_the_call_comes_back_the_time_is_given_anew(company: Company) -> None:
    entry, agent = company.talk(caller(88), "10:00", is_inbound=True), company.agents[1]
    mine = part("102", "10:00", "10:05", attempt=1, is_first_answer=True)
    again = part("102", "10:06", None, attempt=2)
    await company.tell(going_on(entry, mine))
    await company.tell(going_on(entry, mine, again))
    assert (await wrap_up_of(company.session, agent, entry.call_id)).due_at == clock("10:06")
    parts = (mine, replace(again, left_at=clock("10:09")))
    done = replace(entry.record, ended_at=clock("10:09"), participations=parts)
    await company.tell(msgspec.structs.replace(entry, record=done, at=clock("10:09"), step=next(_steps)))
    info = await wrap_up_of(company.session, agent, entry.call_id)
    assert (info.started_at, info.due_at) == (clock("10:09"), clock("10:10"))


def rung(extension: str, begins: str, ends: str | None = None, **more: Any) -> Participation:
    """A part in which nobody answered, or nobody has yet."""
    left_at = clock(ends) if ends else None
    return Participation(
        extension=extension, came_by=CameBy.QUEUE, rang_at=clock(begins), left_at=left_at, **more
    )


def in_run(run: str, entry: CallEntry) -> CallEntry:
    """As one run of the program tells it; each has a story of its own."""
    return msgspec.structs.replace(entry, run=run, record=replace(entry.record, story=(f"told by {run}",)))


def over(entry: CallEntry, at: str, *parts: Participation) -> CallEntry:
    done = replace(entry.record, ended_at=clock(at), participations=parts)
    return msgspec.structs.replace(entry, record=done, at=clock(at), step=next(_steps))


async def attempts(company: Company, entry: CallEntry) -> list[tuple[str, int, Any, Any, Any]]:
    query = """
        select extension, attempt, rang_at, answered_at, left_at from participation
        where call_id = :call order by position, extension
        """
    return [tuple(row) for row in await company.session.execute(text(query), {"call": entry.call_id})]


async def test_rung_in_vain_before_a_restart_who_answers_after_it_wraps_up_at_the_end(
    company: Company,
) -> None:
    """Each run counts its attempts from 1: the second must not take the times of the first."""
    entry, agent = company.talk(caller(92), "10:00", is_inbound=True), company.agents[1]
    before = going_on(entry, rung("102", "10:00", "10:01", attempt=1))
    await company.tell(in_run("1", before))
    ringing, talking = rung("102", "10:02", attempt=1), part("102", "10:02", None, attempt=1)
    for mine in (ringing, talking, talking):
        await company.tell(in_run("2", going_on(entry, mine)))
        with pytest.raises(NotFound):
            await wrap_up_of(company.session, agent, entry.call_id)
    await company.tell(in_run("2", over(entry, "10:12", replace(talking, left_at=clock("10:12")))))
    assert (await wrap_up_of(company.session, agent, entry.call_id)).started_at == clock("10:12")
    await company.tell(in_run("1", before))  # late, once more
    assert await attempts(company, entry) == [
        ("102", 1, clock("10:00"), None, clock("10:01")),
        ("102", 2, clock("10:02"), clock("10:02"), clock("10:12")),
    ]


async def test_passed_on_before_a_restart_and_back_after_it_the_time_is_given_anew(company: Company) -> None:
    entry, agent = company.talk(caller(93), "10:00", is_inbound=True), company.agents[1]
    mine = part("102", "10:00", "10:05", attempt=1, is_first_answer=True)
    await company.tell(in_run("1", going_on(entry, mine, rung("101", "10:05", attempt=1))))
    theirs, again = part("101", "10:06", None, attempt=1), part("102", "10:08", None, attempt=1)
    await company.tell(in_run("2", going_on(entry, theirs)))
    await company.tell(in_run("2", going_on(entry, replace(theirs, left_at=clock("10:07")), again)))
    parts = (replace(theirs, left_at=clock("10:07")), replace(again, left_at=clock("10:20")))
    await company.tell(in_run("2", over(entry, "10:20", *parts)))
    info = await wrap_up_of(company.session, agent, entry.call_id)
    assert (info.started_at, info.due_at) == (clock("10:20"), clock("10:21"))
    assert await attempts(company, entry) == [  # the ring that went on over the restart is one attempt
        ("102", 1, clock("10:00"), clock("10:00"), clock("10:05")),
        ("101", 1, clock("10:05"), clock("10:06"), clock("10:07")),
        ("102", 2, clock("10:08"), clock("10:08"), clock("10:20")),
    ]


async def test_a_talk_that_went_on_over_a_restart_is_the_attempt_it_was(company: Company) -> None:
    entry = company.talk(caller(94), "10:00", is_inbound=True)
    vain, talk = rung("102", "10:00", "10:01", attempt=1), part("102", "10:02", None, attempt=2)
    await company.tell(in_run("1", going_on(entry, vain, talk)))
    found = part("102", "10:04", None, attempt=1)
    await company.tell(in_run("2", going_on(entry, found)))
    for _twice in range(2):
        await company.tell(in_run("2", over(entry, "10:09", replace(found, left_at=clock("10:08")))))
    assert await attempts(company, entry) == [
        ("102", 1, clock("10:00"), None, clock("10:01")),
        ("102", 2, clock("10:02"), clock("10:02"), clock("10:08")),
    ]


async def test_done_with_the_first_talk_the_second_is_wrapped_up_as_well(company: Company) -> None:
    """Passed on, and «Done» pressed; the colleague does not answer, and the call comes back for ten minutes."""
    entry, agent = company.talk(caller(95), "10:00", is_inbound=True), company.agents[1]
    mine = part("102", "10:00", "10:05", attempt=1, is_first_answer=True)
    again = part("102", "10:06", None, attempt=2)
    await company.tell(going_on(entry, mine))
    code = await add_code(company.session, COMMAND, CodeValues(name="Passed on"))
    for _more in range(10):
        await extend(company.session, agent, entry.call_id, clock("10:05"))
    await finish(company.session, agent, entry.call_id, code)
    await company.tell(going_on(entry, mine, rung("101", "10:05", "10:06", attempt=1), again))
    assert (await wrap_up_of(company.session, agent, entry.call_id)).finished_at is not None
    for _told in range(2):
        await company.tell(over(entry, "10:16", mine, replace(again, left_at=clock("10:16"))))
    info = await wrap_up_of(company.session, agent, entry.call_id)
    assert (info.started_at, info.due_at) == (clock("10:16"), clock("10:17"))
    assert (info.finished_at, info.code_id, info.extended) == (None, code, 0)
    running = await running_wrap_ups(company.session, clock("10:16"))
    assert [each.user_id for each in running] == [agent.user_id]
    await finish(company.session, agent, entry.call_id, code)
    await company.tell(over(entry, "10:16", mine, replace(again, left_at=clock("10:16"))))
    assert (await wrap_up_of(company.session, agent, entry.call_id)).finished_at is not None


async def test_what_is_said_in_the_second_talk_counts_though_the_first_was_done(company: Company) -> None:
    """«Done» without an outcome, the call comes back, and only now it turns out to be spam."""
    entry, agent = company.talk(caller(96), "10:00", is_inbound=True), company.agents[1]
    mine = part("102", "10:00", "10:05", attempt=1, is_first_answer=True)
    again = part("102", "10:06", None, attempt=2)
    await company.tell(going_on(entry, mine))
    codes = {code.name: code.id for code in await list_codes(company.session)}
    await finish(company.session, agent, entry.call_id, codes["Wrong number"])
    await company.tell(going_on(entry, mine, again))
    await say_outcome(company.session, agent, entry.call_id, SPAM)
    info = await wrap_up_of(company.session, agent, entry.call_id)
    assert (info.finished_at is None, info.code_id) == (
        False,
        codes["Wrong number"],
    )  # the first stays as it was
    for _told in range(2):
        await company.tell(over(entry, "10:09", mine, replace(again, left_at=clock("10:09"))))
    info = await wrap_up_of(company.session, agent, entry.call_id)
    assert (info.finished_at, info.code_id, info.started_at) == (None, codes["Spam"], clock("10:09"))
    assert await company.session.scalar(text("select count(*) from said_outcome")) == 0


async def test_what_was_said_in_the_second_talk_and_taken_back_is_gone(company: Company) -> None:
    entry, agent = company.talk(caller(97), "10:00", is_inbound=True), company.agents[1]
    mine = part("102", "10:00", "10:05", attempt=1, is_first_answer=True)
    again = part("102", "10:06", None, attempt=2)
    await company.tell(going_on(entry, mine))
    await finish(company.session, agent, entry.call_id, None)
    await company.tell(going_on(entry, mine, again))
    await say_outcome(company.session, agent, entry.call_id, SPAM)
    await take_outcome_back(company.session, agent, entry.call_id, SPAM)
    await company.tell(over(entry, "10:09", mine, replace(again, left_at=clock("10:09"))))
    assert (await wrap_up_of(company.session, agent, entry.call_id)).code_id is None


async def test_outcomes_said_before_two_calls_are_joined_are_kept(company: Company) -> None:
    """102 says of one call what came of it, in its wrap-up of the other what came of that; then the two turn out to be one."""
    first, second = (company.talk(caller(89), at, is_inbound=True) for at in ("10:00", "10:01"))
    colleague, agent = company.agents
    begun = part("102", "10:00", None, attempt=1, is_first_answer=True)
    await company.tell(going_on(first, begun))
    await say_outcome(company.session, agent, second.call_id, SPAM)
    other = part("101", "10:01", "10:02", attempt=1, is_first_answer=True)
    await company.tell(going_on(second, other))
    await say_outcome(company.session, colleague, second.call_id, WRONG_NUMBER)
    keys = (first.record.key, second.record.key)
    joined = replace(first.record, linked_ids=keys, participations=(begun, other), ended_at=clock("10:03"))
    await company.tell(msgspec.structs.replace(first, record=joined, at=clock("10:03"), step=next(_steps)))
    codes = {code.id: code.name for code in await list_codes(company.session)}
    for access, outcome in ((agent, "Spam"), (colleague, "Wrong number")):
        info = await wrap_up_of(company.session, access, first.call_id)
        assert codes[info.code_id or 0] == outcome
        with pytest.raises(NotFound):
            await wrap_up_of(company.session, access, second.call_id)
    await say_outcome(
        company.session, agent, second.call_id, WRONG_NUMBER
    )  # a window that has not heard of it
    await finish(company.session, agent, first.call_id, None)
    assert await company.session.scalar(text("select count(*) from said_outcome")) == 0


async def test_what_an_agent_wants_to_be(company: Company) -> None:
    agent = company.agents[0]
    assert await own_wish(company.session, agent) is None
    await set_wish(company.session, agent, "available")
    for state, reason in (("paused", None), ("paused", "Because"), ("sleeping", None)):
        with pytest.raises(Invalid):
            await set_wish(company.session, agent, state, reason)
    await set_wish(company.session, agent, "paused", "Lunch")
    wishes = await stored_wishes(company.session)
    assert wishes[agent.user_id].wish == Wish(AgentState.PAUSED, "Lunch")
    await set_wish(company.session, agent, "offline", "ignored")
    found = await own_wish(company.session, agent)
    assert found is not None
    assert (found.state, found.reason) == (AgentState.OFFLINE, None)
