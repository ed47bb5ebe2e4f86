"""Call windows where there is little room: heads never leave the screen, older ones become lines, typed text stays in sight."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import insert, update

from crm.schema.base import uuid7
from crm.schema.communications import Call, Participation
from crm.wrap_ups import begin_wrap_ups
from cti.calls.records import CallState, Disposition
from tests.browser.conftest import DESKTOP, PHONE, Office, now
from tests.browser.test_pop import fresh, of, ring, window
from tests.browser.test_windows import stored
from tests.cti.desk.calls import answers, ends, stops

pytestmark = pytest.mark.browser
LAPTOP: dict[str, Any] = {"viewport": {"width": 1366, "height": 650}}
SIZES = pytest.mark.parametrize("size", [DESKTOP, LAPTOP, PHONE], ids=["1440x900", "1366x650", "390x844"])
HEADS = """
  () => [...document.querySelectorAll("call-window")].filter((one) => one.offsetHeight > 0).map((one) => {
    const head = one.querySelector(".call-head").getBoundingClientRect();
    const bar = document.querySelector(".bottom-bar").getBoundingClientRect();
    return {top: head.top, bottom: one.getBoundingClientRect().bottom, bar: bar.top};
  })
"""


async def talk_over(office: Office, number: str, *, ago: timedelta = timedelta(0)) -> UUID:
    """A talk that ended just now, or so long ago: stored, with its wrap-up begun."""
    call_id = await ring(office, customer_number=number)
    await stored(office, call_id, number)
    office.happen(call_id, fresh(answers("101", **of(call_id), customer_number=number)))
    begun, ended = now() - ago - timedelta(seconds=30), now() - ago
    async with office.company.database.sessions.begin() as session:
        over = {"state": "ended", "started_at": begun, "answered_at": begun, "ended_at": ended}
        await session.execute(update(Call).where(Call.id == call_id).values(over))
        seat = {"user_id": office.company.users["agent"], "extension": "101", "attempt": 1, "came_by": "ring"}
        times = {"answered_at": begun, "left_at": ended}
        await session.execute(insert(Participation).values(id=uuid7(), call_id=call_id, **seat, **times))
        await begin_wrap_ups(await session.connection(), [call_id])
    end = ends(**of(call_id), answered_by="101", customer_number=number)
    office.happen(call_id, replace(end, at=ended))
    return call_id


async def caller_gone(office: Office, number: str) -> UUID:
    call_id = await ring(office, customer_number=number)
    office.recognise(call_id, (office.company.client_id, "ООО «Пример»"))
    gone = {**of(call_id), "customer_number": number}
    office.happen(
        call_id,
        fresh(stops("101", "caller_left", state=CallState.ARRIVED, **gone)),
        fresh(ends(disposition=Disposition.ABANDONED, **gone)),
    )
    return call_id


async def all_heads_are_on_the_screen(page: Page) -> None:
    for head in await page.evaluate(HEADS):
        assert head["top"] >= 58, "under the top bar, or off the screen"
        assert head["bottom"] <= head["bar"]


@SIZES
async def test_a_wrap_up_and_a_caller_who_left_share_the_screen(office: Office, size: dict[str, Any]) -> None:
    page = await office.enter("agent", "/notifications", **size)
    await talk_over(office, "+79000000301")
    form = page.locator("call-wrap-up form")
    await expect(form).to_be_visible()
    await form.get_by_label("Консультация").check()
    await page.evaluate("document.activeElement.blur()")
    await all_heads_are_on_the_screen(page)
    await caller_gone(office, "+74951203344")
    await expect(window(page, "caller_left").locator(".pop-facts")).to_be_visible()
    await all_heads_are_on_the_screen(page)
    await window(page, "caller_left").get_by_role("button", name="Закрыть").click()
    await expect(form).to_be_visible()
    await expect(form.get_by_label("Консультация")).to_be_checked()
    await all_heads_are_on_the_screen(page)


@SIZES
async def test_a_window_somebody_types_in_stays_when_another_rings(
    office: Office, size: dict[str, Any]
) -> None:
    page = await office.enter("agent", "/notifications", **size)
    await talk_over(office, "+79000000302")
    note = window(page, "ended").get_by_label("Комментарий")
    await expect(page.locator("call-wrap-up form")).to_be_visible()
    await note.press_sequentially("Ждёт ")
    call_id = await ring(office)
    office.recognise(call_id, (office.company.client_id, "ООО «Пример»"))
    await expect(window(page, "ringing").locator(".call-details")).to_contain_text("Пример")
    await page.keyboard.type("счёт")
    await expect(note).to_be_focused()
    await expect(note).to_have_value("Ждёт счёт")
    await expect(note).to_be_in_viewport()
    await all_heads_are_on_the_screen(page)


async def test_a_line_opens_with_a_click_and_with_its_button(office: Office) -> None:
    page = await office.enter("agent", "/notifications", **LAPTOP)
    await talk_over(office, "+79000000303")
    await expect(page.locator("call-wrap-up form")).to_be_visible()
    await caller_gone(office, "+74951203344")
    line = page.locator("call-window[as-line]")
    await expect(line.locator(".call-caller")).to_have_text("+7 900 000-03-03")
    await expect(line.get_by_role("button", name="Свернуть или показать")).to_have_attribute(
        "aria-expanded", "false"
    )
    await line.locator(".call-caller").click()
    await expect(page.locator("call-wrap-up form")).to_be_visible()
    await expect(window(page, "caller_left")).to_have_attribute("as-line", "")
    await window(page, "caller_left").get_by_role("button", name="Свернуть или показать").press("Enter")
    await expect(window(page, "caller_left").locator(".pop-facts")).to_be_visible()
    await expect(window(page, "ended")).to_have_attribute("as-line", "")
    await ring(office, customer_number="+79000000304")  # whatever was opened: what rings is seen
    await expect(window(page, "ringing").locator(".call-body")).to_be_visible()
    await all_heads_are_on_the_screen(page)


@SIZES
async def test_many_calls_leave_the_newest_whole(office: Office, size: dict[str, Any]) -> None:
    page = await office.enter("agent", "/notifications", **size)
    for number in range(6):
        await ring(office, customer_number=f"+7900000031{number}")
    await expect(window(page)).to_have_count(6)
    await expect(window(page).last.locator(".call-details .pop-number")).to_be_visible()
    await expect(window(page).last.locator(".call-body")).to_be_visible()
    assert await page.locator("call-window .call-body:visible").count() <= 3
    await all_heads_are_on_the_screen(page)


COVERED = """
  () => [...document.querySelectorAll("#main form[method=post] [type=submit]")].filter((button) => {
    const box = button.getBoundingClientRect();
    const inner = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    return inner !== null && inner.closest("call-window") !== null;
  }).length
"""


@SIZES
async def test_the_stack_covers_no_save_button_wherever_the_page_is_scrolled(
    office: Office, size: dict[str, Any]
) -> None:
    page = await office.enter("agent", "/parties/new", **size)
    await talk_over(office, "+79000000305")
    await caller_gone(office, "+74951203344")
    await expect(window(page, "caller_left").locator(".pop-facts")).to_be_visible()
    height = await page.evaluate("document.documentElement.scrollHeight")
    for top in range(0, height, 150):
        await page.evaluate(f"scrollTo(0, {top})")
        await page.wait_for_timeout(50)
        assert await page.evaluate(COVERED) == 0, f"scrolled by {top}"
