"""Missed callers, wrap-up, the shift and their administration in Chromium: accessible, within the policy, live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from crm.database import Database
from tests.browser.test_pages import visit
from tests.web.pages.office import Office, open_office

pytestmark = pytest.mark.browser


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def planted(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with open_office(database, Path(tmp_path_factory.mktemp("office")), language="ru") as office:
        yield office


async def test_a_talk_is_wrapped_up_and_a_missed_caller_taken(planted: Office, chromium: Browser) -> None:
    visitor = await visit(planted, chromium, "agent")
    page = visitor.page
    await visitor.go(f"/wrap-up/{planted.call_id}")
    await page.get_by_label("Консультация").check()
    await page.get_by_role("button", name="Готово").click()
    await expect(page.get_by_role("heading", name="Не обработаны")).to_be_visible()
    await visitor.go("/missed")
    await page.get_by_role("button", name="Взять следующего").click()
    await expect(page.get_by_text("Взяли вы")).to_be_visible()
    await page.get_by_label("Причина").fill("Ошиблись номером")
    await page.get_by_role("button", name="Закрыть с этой причиной").click()
    await expect(page.get_by_text("Никто не ждёт нашего звонка.")).to_be_visible()
    assert visitor.complaints == []
    await visitor.context.close()
