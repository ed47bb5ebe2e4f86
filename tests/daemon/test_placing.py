"""A click becomes a call: once, its window at once, what became of it told honestly and in words that can be shown."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import text, update

from ami_adapter.framing import AmiMessage
from crm.database import Database
from crm.dial_requests import RequestReused
from crm.dial_rules import DialRefused, DialVerdict
from crm.errors import NotAllowed, NotFound
from crm.rights import Access
from crm.schema.parties import Party
from cti.desk import SeatState
from tests.ami_adapter.scripted import Link, eventually
from tests.crm import planting
from tests.daemon.dialling_floor import ScreenTelephone, screen_telephone, willing
from web.telephone import Click, NowhereToDial


def click(number: str = "8 (916) 123-45-67", **more: object) -> Click:
    return replace(Click(request_id=uuid4(), number=number), **more)  # type: ignore[arg-type]


async def test_the_agents_telephone_rings_first_and_the_window_is_there_at_once(database: Database) -> None:
    async with screen_telephone(database) as floor:
        dial = await floor.telephone.place(floor.agent, click(line_id=floor.line_id))
        await eventually(lambda: "answered" in floor.outcomes())
        (sent,) = floor.originates()
        view = floor.desk.view(floor.agent.user_id, dial.id)
    assert (sent["Channel"], sent["Context"], sent["Exten"]) == (
        "PJSIP/101",
        "ringcard-click-to-call",
        "+79161234567",
    )
    assert sent["Variable"] == "__RINGCARD_LINE=+74951234501"
    assert view is not None
    assert (view.state, view.phone, view.controls) == (SeatState.LIFT, "+79161234567", ("hang_up",))
    assert floor.messages[0].type == "call.updated"
    assert [question.call_id for question in floor.asked] == [dial.id]


async def test_i07_the_same_click_is_sent_once(database: Database) -> None:
    async with screen_telephone(database) as floor:
        one = click()
        first = await floor.telephone.place(floor.agent, one)
        again = await floor.telephone.place(floor.agent, one)
        with pytest.raises(RequestReused):
            await floor.telephone.place(floor.agent, replace(one, number="89169999999"))
        assert len(floor.originates()) == 1
        assert (again.id, again.is_repeated) == (first.id, True)


def silent(link: Link, request: AmiMessage) -> None:
    if request["Action"] != "Originate":
        willing(link, request)


def refusing(link: Link, request: AmiMessage) -> None:
    if request["Action"] == "Originate":
        link.answer(request, Response="Error", Message="Permission denied")
    else:
        willing(link, request)


async def test_i07_an_unanswered_originate_is_unknown_and_not_repeated(database: Database) -> None:
    async with screen_telephone(database, silent) as floor:
        one = click()
        dial = await floor.telephone.place(floor.agent, one)
        again = await floor.telephone.place(floor.agent, one)
        assert (dial.state, again.state, len(floor.originates())) == ("unknown", "unknown", 1)
        assert await floor.rows() == [("unknown", "no_answer")]
        # The PBX had taken it after all: the later word is told.
        request = floor.originates()[0]
        willing(floor.pbx.link, request)
        await eventually(lambda: floor.outcomes() == ["unknown", "answered"])


async def test_what_the_pbx_refuses_closes_the_window(database: Database) -> None:
    async with screen_telephone(database, refusing) as floor:
        dial = await floor.telephone.place(floor.agent, click())
        view = floor.desk.view(floor.agent.user_id, dial.id)
        assert (dial.state, dial.reason) == ("refused", "Permission denied")
        assert view is not None
        assert (view.state, view.reason) == (SeatState.ENDED, "failed")


@pytest.mark.parametrize(
    ("code", "reason"), [("3", "no_answer"), ("5", "busy"), ("0", "unreachable"), ("8", "unreachable")]
)
async def test_an_agent_who_does_not_pick_up_is_told_why(database: Database, code: str, reason: str) -> None:
    async with screen_telephone(database, partial(willing, ends=code)) as floor:
        await floor.telephone.place(floor.agent, click())
        await eventually(lambda: "failed" in floor.outcomes())
        await floor.telephone.close()
        assert await floor.rows() == [("failed", reason)]


async def test_without_a_link_nothing_is_sent_and_that_is_said(database: Database) -> None:
    async with screen_telephone(database) as floor:
        floor.pbx.behave = lambda _link, _request: None
        floor.pbx.link.writer.transport.abort()
        await eventually(lambda: not floor.telephone.places(floor.agent.user_id)[0].is_ready)
        dial = await floor.telephone.place(floor.agent, click())
        assert (dial.state, dial.reason) == ("not_sent", "no_link")
        assert floor.originates() == []


async def refused(floor: ScreenTelephone, one: Click, access: Access | None = None) -> DialVerdict:
    with pytest.raises(DialRefused) as told:
        await floor.telephone.place(access or floor.agent, one)
    return told.value.verdict


async def test_t03_the_policy_is_asked_before_every_originate(database: Database) -> None:
    async with screen_telephone(database) as floor:
        assert await refused(floor, click("+375 17 123-45-67")) is DialVerdict.COUNTRY
        assert await refused(floor, click("8 809 505-10-10")) is DialVerdict.PREMIUM
        assert await refused(floor, click("+7 495 123-45-01")) is DialVerdict.OWN_NUMBER
        assert await refused(floor, click("101")) is DialVerdict.OWN_EXTENSION
        assert await refused(floor, click("101&PJSIP/trunk/88105551234")) is DialVerdict.NOT_A_NUMBER
        assert await refused(floor, click("101\r\n\r\nAction: Command")) is DialVerdict.NOT_A_NUMBER
        assert floor.originates() == []
        assert await floor.rows() == []


async def test_t03_limits_count_every_click(database: Database) -> None:
    async with screen_telephone(database) as floor:
        async with database.sessions.begin() as session:
            await session.execute(text("update dialling_policy set most_per_hour = 2"))
        try:
            for _ in range(2):
                await floor.telephone.place(floor.agent, click())
            assert await refused(floor, click()) is DialVerdict.PER_HOUR
        finally:
            async with database.sessions.begin() as session:
                await session.execute(text("update dialling_policy set most_per_hour = 60"))
        assert len(floor.originates()) == 2


async def test_who_asked_not_to_be_called_is_called_with_a_reason_and_the_right_only(
    database: Database,
) -> None:
    async with database.sessions.begin() as session:
        unwilling = await planting.organisation(session, "Unwilling Ltd")
        await planting.owns(session, unwilling, await planting.number(session, "+79167776655"))
        await session.execute(update(Party).where(Party.id == unwilling).values(do_not_call=True))
    async with screen_telephone(database) as floor:
        number = "+7 916 777-66-55"
        assert await refused(floor, click(number)) is DialVerdict.DO_NOT_CALL
        assert await refused(floor, click(number, override_reason="they asked us")) is DialVerdict.DO_NOT_CALL
        wider = replace(
            floor.agent,
            scopes={**floor.agent.scopes, "call.place_unwanted": floor.agent.scopes["call.place"]},
        )
        assert await refused(floor, click(number, override_reason="  "), wider) is DialVerdict.DO_NOT_CALL
        dial = await floor.telephone.place(wider, click(number, override_reason="they asked us"))
        assert dial.state in ("ringing", "answered")
        async with database.sessions() as session:
            events = await session.execute(
                text("select detail ->> 'reason' from access_log where event = 'do_not_call_overridden'")
            )
        assert list(events.scalars()) == ["they asked us"]


async def test_g01_without_the_right_or_a_seat_nothing_is_written(database: Database) -> None:
    async with screen_telephone(database) as floor:
        with pytest.raises(NotAllowed):
            await floor.telephone.place(replace(floor.agent, scopes={}), click())
        with pytest.raises(NowhereToDial):
            await floor.telephone.place(replace(floor.agent, user_id=floor.agent.user_id + 1000), click())
        with pytest.raises(NotFound):
            await floor.telephone.place(floor.agent, click(line_id=floor.line_id + 1000))
        assert await floor.rows() == []
