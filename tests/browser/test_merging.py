"""Merging in Chromium: side by side at both sizes, light and dark; from the pair to the survivor and back; warnings while typing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from crm import parties
from crm.database import Database
from crm.duplicate_search import search_piece
from crm.duplicates import ask_search
from crm.numbers import NumberValues
from crm.party_bin import bin_party
from tests.browser.conftest import DESKTOP, PHONE, axe
from tests.browser.test_pages import visit
from tests.crm.people import COMMAND
from tests.web.pages.office import Office, open_office

pytestmark = pytest.mark.browser
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def planted(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with open_office(database, Path(tmp_path_factory.mktemp("office")), language="ru") as office:
        yield office


async def firm(office: Office, name: str, number: str, **more: str) -> int:
    async with office.database.sessions.begin() as session:
        return await parties.create_party(
            session,
            office.people["manager"],
            parties.organisation_values(name, **more),
            kinds=["client"],
            numbers=[NumberValues(presented=number)],
        )


async def pair(office: Office, index: int) -> tuple[int, int]:
    note = "Просили звонить только утром и присылать договор по почте."
    one = await firm(office, f"Медный всадник {index}", f"+7495000300{index}", city="Тверь", note=note)
    other = await firm(
        office,
        f"ООО «Медный всадник» {index}",
        f"+7495000400{index}",
        city="Великий Новгород",
        note="Любит чай",
    )
    async with office.database.sessions.begin() as session:
        await ask_search(session, COMMAND)
    is_more = True
    while is_more:
        async with office.database.sessions.begin() as session:
            is_more = await search_piece(session)
    return one, other


@SIZES
async def test_from_the_pair_to_one_record_and_back(
    planted: Office, chromium: Browser, size: dict[str, Any]
) -> None:
    one, other = await pair(planted, 1 if size is DESKTOP else 2)
    visitor = await visit(planted, chromium, "manager", **size)
    page = visitor.page
    await visitor.go("/parties/duplicates")
    await expect(page.get_by_role("heading", name="Возможные дубли")).to_be_visible()
    row = page.get_by_role("row").filter(has=page.locator(f'a[href="/parties/{one}"]'))
    await row.get_by_role("link", name="Объединить").first.click()
    await expect(page.get_by_role("heading", name="Объединение", exact=True)).to_be_visible()
    await page.get_by_role("radiogroup", name="Город").get_by_text("Великий Новгород").click()
    await page.get_by_role("button", name="Объединить", exact=True).click()
    await expect(page.get_by_role("button", name="Отменить объединение")).to_be_visible()
    await visitor.go(f"/parties/{other}")
    assert page.url.endswith(f"/parties/{one}")
    await expect(page.get_by_text("Великий Новгород").first).to_be_visible()
    await page.get_by_role("link", name="Подробнее, отменить").click()
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Отменить объединение").click()
    await expect(page.get_by_text("Всё вернулось на свои места.")).to_be_visible()
    assert visitor.complaints == []
    await visitor.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@SIZES
async def test_the_pages_are_accessible_and_fit(
    planted: Office, chromium: Browser, size: dict[str, Any], theme: str
) -> None:
    index = {("light", 1440): 3, ("dark", 1440): 4, ("light", 390): 5, ("dark", 390): 6}
    one, other = await pair(planted, index[theme, size["viewport"]["width"]])
    async with planted.database.sessions.begin() as session:
        gone = await parties.create_party(
            session, planted.people["manager"], parties.person_values("Удалённый Человек")
        )
        await bin_party(session, planted.people["manager"], gone)
    visitor = await visit(planted, chromium, "manager", color_scheme=theme, **size)
    page, wrong = visitor.page, []
    addresses = ("duplicates", f"merge?id={one}", f"merge?id={one}&id={other}", "merges", "bin", str(one))
    for address in addresses:
        await page.set_viewport_size(size["viewport"])
        await visitor.go(f"/parties/{address}")
        if not await page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        ):
            wrong.append(f"{address}: wider than the screen")
        height = await page.evaluate("document.documentElement.scrollHeight")
        await page.set_viewport_size({"width": size["viewport"]["width"], "height": height + 100})
        wrong += [f"{address}: {line}" for line in await axe(page)]
    assert wrong == []
    assert visitor.complaints == []
    await visitor.context.close()


async def test_who_may_be_here_already_appears_while_typing(planted: Office, chromium: Browser) -> None:
    await firm(planted, "Каменный гость", "+74950005001")
    visitor = await visit(planted, chromium, "manager")
    page = visitor.page
    await visitor.go("/parties/new")
    await page.get_by_label("Название").press_sequentially("каменный гость ооо")
    await expect(page.locator("#similar")).to_contain_text("Каменный гость")
    await expect(page.get_by_label("Название")).to_be_focused()
    assert await axe(page) == []
    await page.get_by_label("Название").fill("")
    await page.get_by_label("Телефон").press_sequentially("8 495 000-50-01")
    await expect(page.locator("#similar")).to_contain_text("Тот же номер")
    assert visitor.complaints == []
    await visitor.context.close()


async def test_a_further_record_is_looked_for_while_typing(planted: Office, chromium: Browser) -> None:
    one = await firm(planted, "Первая из трёх", "+74950006001")
    await firm(planted, "Вторая из трёх", "+74950006002")
    visitor = await visit(planted, chromium, "manager")
    page = visitor.page
    await visitor.go(f"/parties/merge?id={one}")
    await page.get_by_role("searchbox", name="Название, ИНН или телефон").press_sequentially("вторая из")
    await page.locator("#merge-found").get_by_role("link", name="Вторая из трёх").click()
    await expect(page.get_by_role("radiogroup", name="Какая запись остаётся")).to_be_visible()
    assert visitor.complaints == []
    await visitor.context.close()
