"""Missed callers, wrap-up, the shift and their administration in Chromium: accessible, within the policy, live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from crm.database import Database
from tests.browser.conftest import DESKTOP, PHONE, axe
from tests.browser.test_pages import visit
from tests.web.pages.office import Office, open_office
from tests.web.pages.test_every_page import PAGES, filled_in

pytestmark = pytest.mark.browser
OURS = ("/missed", "/wrap-up", "/shift", "/admin/handling", "/admin/wrap-up")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def planted(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with open_office(database, Path(tmp_path_factory.mktemp("office")), language="ru") as office:
        yield office


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_pages_of_the_desk_are_accessible_and_keep_the_policy(
    planted: Office, chromium: Browser, size: dict[str, Any], theme: str
) -> None:
    visitor = await visit(planted, chromium, color_scheme=theme, **size)
    page, wrong = visitor.page, []
    for path in [
        *(path for path in PAGES if path.startswith(OURS)),
        "/admin/directories/pause_reason",
    ]:
        await page.set_viewport_size(size["viewport"])
        await visitor.go(filled_in(path, planted))
        if not await page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            wrong.append(f"{path}: wider than the screen")
        height = await page.evaluate("document.documentElement.scrollHeight")
        await page.set_viewport_size({"width": size["viewport"]["width"], "height": height + 100})
        wrong += [f"{path}: {line}" for line in await axe(page)]
    assert wrong == []
    assert visitor.complaints == []
    await visitor.context.close()


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
