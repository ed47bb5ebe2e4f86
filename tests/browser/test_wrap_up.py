"""«Обработка» in the window of a talk: back after a reload as long as its time runs, one more minute, closed everywhere when done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.async_api import expect
from sqlalchemy import update

from crm.schema.desk import WrapUp
from tests.browser.conftest import Office, now
from tests.browser.test_pop import window
from tests.browser.test_window_room import talk_over

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
