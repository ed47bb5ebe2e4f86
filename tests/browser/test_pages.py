"""Every page in Chromium: accessible and within the policy at both sizes, light and dark; lists, forms and board work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from crm import parties
from crm.database import Database
from tests.browser.conftest import DESKTOP, PHONE, REPORT_VIOLATIONS, axe, axe_in_both_themes
from tests.cti.desk.calls import CALL, rings
from tests.web.pages.office import Office, open_office
from tests.web.pages.test_call_story import plant_story
from tests.web.pages.test_every_page import PAGES, filled_in
from web.keys import LIVE

pytestmark = pytest.mark.browser
# Lists with other rows: nothing that a browser would judge differently.
SAME_AS_ANOTHER = {
    "/parties/agents",
    "/parties/prospects",
    "/parties/former-clients",
    "/parties/clients",
    "/parties/suppliers",
    "/parties?q=пример",
    "/parties?q=1203344",
    "/parties?kind=client&sort=last",
    "/calls?outcome=missed&period=week&direction=inbound&number=3344",
}


class Visitor:
    """A signed-in page that keeps what its browser complained about."""

    def __init__(self, office: Office, context: BrowserContext, page: Page) -> None:
        self.office, self.context, self.page = office, context, page
        self.complaints: list[str] = []
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))

    @property
    def url(self) -> str:
        assert self.office.server is not None
        return str(self.office.server.make_url("/")).rstrip("/")

    async def go(self, path: str) -> None:
        await self.page.goto(self.url + path)
        await self.page.locator("line-state:not([data-state=connecting])[data-state]").wait_for(
            state="attached"
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def planted(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with open_office(database, Path(tmp_path_factory.mktemp("office")), language="ru") as office:
        yield office


async def visit(office: Office, chromium: Browser, who: str = "admin", **options: Any) -> Visitor:
    context = await chromium.new_context(locale="ru-RU", **(DESKTOP | options))
    await context.add_init_script(REPORT_VIOLATIONS)
    assert office.server is not None
    url = str(office.server.make_url("/"))
    await context.add_cookies([{"name": "ringcard", "value": who, "url": url}])
    return Visitor(office, context, await context.new_page())


async def grow_to_the_whole(page: Page, width: int) -> None:
    """As tall as the page: what the bottom bar covers can be scrolled free by a reader, but not by axe.

    A list goes on when its end comes into sight, so the page grows meanwhile.
    """
    for _ in range(20):
        height = await page.evaluate("document.documentElement.scrollHeight")
        await page.set_viewport_size({"width": width, "height": height + 100})
        if await page.evaluate(
            "!document.querySelector('a.more-link') && document.documentElement.scrollHeight <= innerHeight"
        ):
            return
        await page.wait_for_timeout(100)
    raise AssertionError(f"{page.url} has no end")


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_every_page_is_accessible_and_keeps_the_policy(
    planted: Office, chromium: Browser, size: dict[str, Any]
) -> None:
    visitor = await visit(planted, chromium, **size)
    page, wrong = visitor.page, []
    for path in (path for path in PAGES if path not in SAME_AS_ANOTHER):
        await page.set_viewport_size(size["viewport"])
        await visitor.go(filled_in(path, planted))
        if not await page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        ):
            wrong.append(f"{path}: wider than the screen")
        await grow_to_the_whole(page, size["viewport"]["width"])
        wrong += [f"{path}: {line}" for line in await axe_in_both_themes(page)]
    assert wrong == []
    assert visitor.complaints == []
    await visitor.context.close()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_the_story_of_a_call_opens_step_by_step(
    planted: Office, chromium: Browser, size: dict[str, Any]
) -> None:
    plant_story(planted)
    visitor = await visit(planted, chromium, **size)
    page = visitor.page
    await visitor.go(f"/calls/{planted.call_id}")
    await page.get_by_text("По шагам").click()
    await expect(page.get_by_text("внутренний 105 никому не назначен: окна нет")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert await axe(page) == []
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Выгрузить без имён и номеров").click()
    assert (await download.value).suggested_filename == f"call-{planted.call_id}.zip"
    assert visitor.complaints == []
    await visitor.context.close()


async def test_typing_narrows_the_list_and_the_address_follows(planted: Office, chromium: Browser) -> None:
    visitor = await visit(planted, chromium, "agent")
    await visitor.go("/parties")
    page = visitor.page
    await page.get_by_role("searchbox", name="Название, ИНН или телефон").press_sequentially("никого нет")
    await expect(page.locator("#party-rows")).to_contain_text("Под выбранное ничего не подходит")
    await expect(page.locator("#party-count")).to_contain_text("Найдено: 0")
    assert "q=" in page.url
    await page.get_by_role("link", name="Сбросить фильтры").click()
    await expect(page.locator("#party-rows")).to_contain_text("ООО «Пример»")
    filters = page.get_by_role("search", name="Отбор в списке")
    await filters.get_by_label("Вид", exact=True).select_option("supplier")
    await expect(page.locator("#party-rows")).not_to_contain_text("ООО «Пример»")
    assert visitor.complaints == []
    await visitor.context.close()


async def test_scrolling_down_brings_the_rest(planted: Office, chromium: Browser) -> None:
    async with planted.database.sessions.begin() as session:
        for index in range(120):
            values = parties.organisation_values(f"Длинный {index:03}")
            await parties.create_party(session, planted.people["agent"], values, kinds=["other"])
    visitor = await visit(planted, chromium, "agent")
    await visitor.go("/parties?kind=other")
    page = visitor.page
    await expect(page.locator("#party-count")).to_contain_text("120 записей")
    for _ in range(6):
        await page.mouse.wheel(0, 4000)
        await page.wait_for_timeout(150)
    await expect(page.locator("#party-rows tr")).to_have_count(120)
    await expect(page.locator("#party-more")).to_have_count(0)
    assert visitor.complaints == []
    await visitor.context.close()


async def test_a_form_is_mended_in_place_and_leads_to_the_card(planted: Office, chromium: Browser) -> None:
    visitor = await visit(planted, chromium, "agent")
    await visitor.go("/parties/new")
    page = visitor.page
    await page.get_by_label("Имя", exact=True).fill("Пётр")
    await page.get_by_label("Телефон").fill("123")
    await page.get_by_role("button", name="Создать").click()
    await expect(page.locator("#number-problem")).to_contain_text("не полный номер")
    await expect(page.get_by_label("Имя", exact=True)).to_have_value("Пётр")
    await page.get_by_label("Телефон").fill("8 495 120-33-44")
    await page.get_by_role("button", name="Создать").click()
    await expect(page.get_by_role("link", name="Это они: открыть карточку")).to_be_visible()
    await page.get_by_role("button", name="Им пользуются несколько человек").click()
    await expect(page.locator("h1")).to_contain_text("Пётр")
    await expect(page.locator("#phones-title")).to_be_visible()
    assert page.url.rpartition("/")[2].isdigit()
    visitor.complaints = [line for line in visitor.complaints if "422" not in line]
    assert visitor.complaints == []
    await visitor.context.close()


async def test_the_check_answers_on_the_page(planted: Office, chromium: Browser) -> None:
    visitor = await visit(planted, chromium, "telephony")
    await visitor.go(f"/admin/connections/{planted.connection_id}")
    await visitor.page.get_by_role("button", name="Проверить").click()
    await expect(visitor.page.locator("#check-answers")).to_contain_text("127.0.0.1:9 недоступен")
    assert visitor.complaints == []
    await visitor.context.close()


async def test_the_board_follows_the_socket(planted: Office, chromium: Browser) -> None:
    visitor = await visit(planted, chromium, "admin")
    await visitor.go("/live-calls")
    page = visitor.page
    await expect(page.locator("#live-rows")).to_contain_text("Сейчас никто не звонит")
    assert planted.server is not None
    await page.wait_for_timeout(300)
    planted.server.app[LIVE].deliver(planted.desk.apply(1, CALL, rings("101")))
    await expect(page.locator("#live-rows")).to_contain_text("Звонит")
    await expect(page.locator("#live-rows .call-state.is-ringing")).to_be_visible()
    assert await axe(page) == []
    assert visitor.complaints == []
    await visitor.context.close()


async def test_a_row_is_reached_and_opened_with_the_keyboard(planted: Office, chromium: Browser) -> None:
    visitor = await visit(planted, chromium, "agent")
    await visitor.go("/parties/contacts")
    page = visitor.page
    await page.keyboard.press("j")
    await expect(page.locator("#party-rows a").first).to_be_focused()
    name = await page.locator("#party-rows a").first.inner_text()
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_contain_text(name)
    assert visitor.complaints == []
    await visitor.context.close()
