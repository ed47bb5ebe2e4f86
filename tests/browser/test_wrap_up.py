"""«Обработка» in the window of a talk: back after a reload as long as its time runs, one more minute, closed everywhere when done."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from playwright.async_api import Route, expect
from sqlalchemy import insert, update

from crm.schema.base import uuid7
from crm.schema.communications import Call, Participation
from crm.schema.desk import WrapUp
from crm.wrap_ups import begin_wrap_ups
from tests.browser.conftest import Office, now
from tests.browser.test_pop import fresh, of, ring, window
from tests.browser.test_window_room import talk_over
from tests.browser.test_windows import stored
from tests.cti.desk.calls import answers, ends

pytestmark = pytest.mark.browser
NUMBER = "+79000000351"


async def test_a_long_wrap_up_comes_back_after_a_reload(office: Office) -> None:
    """The queue leaves three minutes; a page that is opened anew in the second one shows the window as before."""
    page = await office.enter("agent", "/notifications")
    call_id = await talk_over(office, NUMBER, ago=timedelta(seconds=90))
    until = now() + timedelta(seconds=90)
    async with office.company.database.sessions.begin() as session:
        await session.execute(update(WrapUp).where(WrapUp.call_id == call_id).values(due_at=until))
    agent = office.company.users["agent"]
    office.hub.deliver(office.desk.wrap_up(agent, call_id, until, now()))
    form = page.locator("call-wrap-up form")
    for _ in range(2):  # the second time the worker of the browser is as new as the page
        await page.reload()
        await expect(form.get_by_text("Осталось 1:")).to_be_visible()
        await page.wait_for_timeout(300)
        await expect(window(page, "ended").get_by_label("Комментарий")).to_be_visible()
    office.hub.deliver(office.desk.wrap_up(agent, call_id, None, now()))  # done on its page
    await expect(window(page)).to_have_count(0)
    await page.reload()
    await expect(page.locator("line-state[data-state=up]")).to_be_visible()
    await expect(window(page)).to_have_count(0)


async def test_passed_on_it_is_wrapped_up_and_come_back_it_waits_for_the_end(office: Office) -> None:
    """The form stands while the colleague talks, goes when the call is back here, and comes with its end."""
    page, theirs = (
        await office.enter("agent", "/notifications"),
        await office.enter("colleague", "/notifications"),
    )
    number = "+79000000352"
    call_id = await ring(office, customer_number=number)
    call = {**of(call_id), "customer_number": number}
    await stored(office, call_id, number)
    office.happen(call_id, fresh(answers("101", **call)))
    await _left(office, call_id)
    office.happen(call_id, fresh(answers("102", **call)))
    form = page.locator("call-wrap-up form")
    await expect(form.get_by_text("Осталось")).to_be_visible()
    await expect(window(theirs, "talking")).to_be_visible()
    await expect(theirs.locator("call-wrap-up form")).to_have_count(0)
    office.happen(call_id, fresh(answers("101", **call)))
    await expect(window(page, "talking")).to_be_visible()
    await expect(form).to_have_count(0)
    office.happen(call_id, fresh(ends(**call, answered_by="101")))
    await expect(form.get_by_text("Осталось")).to_be_visible()


async def test_done_and_come_back_the_form_is_there_again_at_the_end(office: Office) -> None:
    page = await office.enter("agent", "/notifications")
    number = "+79000000353"
    call_id = await ring(office, customer_number=number)
    call = {**of(call_id), "customer_number": number}
    await stored(office, call_id, number)
    office.happen(call_id, fresh(answers("101", **call)))
    await _left(office, call_id)
    office.happen(call_id, fresh(answers("102", **call)))
    done = page.locator("call-wrap-up form").get_by_role("button", name="Готово")
    await done.click()
    await expect(window(page)).to_have_count(0)
    office.happen(call_id, fresh(answers("101", **call)))
    await expect(window(page, "talking")).to_be_visible()
    await page.wait_for_timeout(1500)  # a talk of less than a second and a half is hardly one
    await _left(office, call_id, attempt=2, seconds=1)
    office.happen(call_id, fresh(ends(**call, answered_by="101")))
    await expect(page.locator("call-wrap-up form").get_by_text("Осталось")).to_be_visible()
    await done.click()
    await expect(window(page)).to_have_count(0)


async def test_a_form_that_comes_late_does_not_cover_the_call_that_came_back(office: Office) -> None:
    """Asked for while the colleague talked, it arrives when the caller is here again."""
    page = await office.enter("agent", "/notifications")
    number = "+79000000354"
    asked, release, told = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        answer = await route.fetch()
        if answer.status == 200:
            asked.set()
            await release.wait()
        await route.fulfill(response=answer)
        told.set()

    call_id = await ring(office, customer_number=number)
    call = {**of(call_id), "customer_number": number}
    await stored(office, call_id, number)
    office.happen(call_id, fresh(answers("101", **call)))
    await expect(window(page, "talking")).to_be_visible()
    await _left(office, call_id)
    await page.route("**/wrap-up/*/form", late)
    office.happen(call_id, fresh(answers("102", **call)))
    await asyncio.wait_for(asked.wait(), 15)
    office.happen(call_id, fresh(answers("101", **call)))
    await expect(window(page, "talking")).to_be_visible()
    told.clear()
    release.set()
    await asyncio.wait_for(told.wait(), 15)
    await page.wait_for_timeout(300)
    await expect(page.locator("call-wrap-up form")).to_have_count(0)


async def _left(office: Office, call_id: UUID, attempt: int = 1, seconds: float = 30) -> None:
    """The journal has stored that the first agent's part is over, and that the call is not."""
    begun, left = now() - timedelta(seconds=seconds), now()
    async with office.company.database.sessions.begin() as session:
        talking = {"state": "talking", "started_at": begun, "answered_at": begun}
        await session.execute(update(Call).where(Call.id == call_id).values(talking))
        seat = {
            "user_id": office.company.users["agent"],
            "extension": "101",
            "attempt": attempt,
            "came_by": "ring",
        }
        times = {"answered_at": begun, "left_at": left}
        await session.execute(insert(Participation).values(id=uuid7(), call_id=call_id, **seat, **times))
        await begin_wrap_ups(await session.connection(), [call_id])
