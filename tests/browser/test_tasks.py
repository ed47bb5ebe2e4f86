"""Tasks in Chromium: pages at both sizes and themes, a title and Enter, a reminder that is answered in one tab and gone in all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from sqlalchemy import text

from crm.database import Database
from crm.reminders import fire_due
from tests.browser.conftest import DESKTOP, PHONE, axe
from tests.browser.test_pages import visit
from tests.crm.people import COMMAND
from tests.web.pages.office import Office, open_office
from web.keys import LIVE

pytestmark = pytest.mark.browser


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def planted(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with open_office(database, Path(tmp_path_factory.mktemp("office")), language="ru") as office:
        yield office


# Scrolls a form from end to end; the positions at which what lies on the middle of its save button is a reminder.
SAVE_BUTTON_COVERED = """async () => {
  const button = document.querySelector("#main form[method=post] [type=submit]:is(.btn-primary)");
  const covered = [];
  for (let y = 0; y <= document.documentElement.scrollHeight; y += 40) {
    window.scrollTo(0, y);
    document.querySelector("#main").scrollTo?.(0, y);
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const its = button.getBoundingClientRect();
    const top = document.elementFromPoint(its.left + its.width / 2, its.top + its.height / 2);
    if (top?.closest("task-reminders")) covered.push(y);
  }
  return covered;
}"""


async def fire(office: Office, who: str) -> None:
    """A reminder of the planted task, as the program fires it, and what the pages are told of it."""
    user_id = office.people[who].user_id
    async with office.database.sessions.begin() as session:
        due = "insert into reminder (task_id, user_id, fire_at) values (:task, :user, now())"
        await session.execute(text(due), {"task": office.task_id, "user": user_id})
    async with office.database.sessions.begin() as session:
        assert await fire_due(session, COMMAND, datetime.now(UTC)) >= 1
    tell(office, who)


def tell(office: Office, who: str) -> None:
    assert office.server is not None
    office.server.app[LIVE].tell(office.people[who].user_id, "task.reminder", {"id": office.task_id})


async def test_a_title_and_enter_on_the_card_of_a_client(planted: Office, chromium: Browser) -> None:
    visitor = await visit(planted, chromium, "agent")
    page = visitor.page
    await visitor.go(f"/parties/{planted.firm_id}/tasks")
    counter = page.locator(".task-counter")
    await expect(counter).to_have_text("1")
    line = page.get_by_label("Новая задача: что сделать")
    await line.fill("Уточнить реквизиты")
    await line.press("Enter")
    await expect(page.get_by_role("link", name="Уточнить реквизиты")).to_be_visible()
    await expect(counter).to_have_text("2")
    await page.get_by_role("button", name="Выполнено: Уточнить реквизиты").click()
    await expect(page.get_by_role("link", name="Уточнить реквизиты")).to_have_count(0)
    assert visitor.complaints == []
    await visitor.context.close()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_a_reminder_stands_in_all_tabs_comes_back_and_goes_from_all(
    planted: Office, chromium: Browser, size: dict[str, Any]
) -> None:
    visitor = await visit(planted, chromium, "agent", **size)
    page = visitor.page
    await visitor.go("/tasks")
    other = await visitor.context.new_page()
    await other.goto(page.url)
    for each in (page, other):
        await each.locator("line-state[data-state]:not([data-state=connecting])").wait_for(state="attached")
    await fire(planted, "agent")
    windows = [each.get_by_role("region", name="1 напоминание") for each in (page, other)]
    for window in windows:
        await expect(window.get_by_role("link", name="Отправить договор")).to_be_visible()
    assert await axe(page) == []
    await page.reload()
    await expect(windows[0].get_by_role("link", name="Позвонить")).to_be_visible()
    # However far an open form is scrolled, its save button stays free.
    await visitor.go("/tasks/new")
    await expect(windows[0]).to_be_visible()
    covered = await page.evaluate(SAVE_BUTTON_COVERED)
    assert covered == []
    await visitor.go("/tasks")
    await expect(windows[0]).to_be_visible()
    await windows[0].get_by_role("button", name="Отложить").click()
    await expect(windows[0]).to_have_count(0)
    tell(planted, "agent")
    await expect(windows[1]).to_have_count(0)
    async with planted.database.sessions.begin() as session:
        await session.execute(text("delete from reminder"))
    assert visitor.complaints == []
    await visitor.context.close()
