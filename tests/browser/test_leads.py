"""Leads in Chromium: the board by dragging and by keyboard, a field asked for on the way, a lead from form to client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from crm.database import Database
from crm.directories import add_entry
from crm.lead_intake import NewLead, create_lead
from crm.lead_subjects import SubjectValues
from crm.lead_values import LeadValues
from tests.browser.conftest import DESKTOP, PHONE, axe
from tests.browser.test_pages import visit
from tests.browser.test_records import whole
from tests.crm.people import COMMAND
from tests.web.pages.office import Office, open_office

pytestmark = pytest.mark.browser


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def planted(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with open_office(database, Path(tmp_path_factory.mktemp("office")), language="ru") as office:
        yield office


async def test_a_lead_goes_over_the_board_by_keyboard_and_by_dragging(
    planted: Office, chromium: Browser
) -> None:
    visitor = await visit(planted, chromium, "agent")
    page = visitor.page
    await visitor.go("/leads/board")
    columns = page.locator(".stage-column")
    card = page.locator(f'.stage-card[data-lead="{planted.lead_id}"]')
    await expect(columns.nth(0).locator(".stage-card")).to_have_count(1)
    await card.get_by_role("link", name="Спросивший Первый").press("Shift+ArrowRight")
    await expect(columns.nth(1).get_by_role("link", name="Спросивший Первый")).to_be_focused()
    await card.drag_to(columns.nth(2))
    await expect(columns.nth(2).locator(".stage-card")).to_have_count(1)
    await card.get_by_label("Перевести лид: Спросивший Первый").click()
    await card.get_by_role("button", name="Новый").click()
    await expect(columns.nth(0).locator(".stage-card")).to_have_count(1)
    assert visitor.complaints == []
    await visitor.context.close()


async def test_required_field_of_stage_3_empty_asks_on_the_board_and_filled_moves(
    planted: Office, chromium: Browser
) -> None:
    visitor = await visit(planted, chromium, "manager")
    page = visitor.page
    await visitor.go("/leads/new")
    await page.get_by_label("Имя человека").fill("Без потребности")
    await page.get_by_role("button", name="Создать").click()
    await expect(page.locator("h1")).to_contain_text("Без потребности")
    await page.get_by_role("link", name="Лиды", exact=True).first.click()
    await page.get_by_role("link", name="Доска").click()
    columns = page.locator(".stage-column")
    await page.locator(".stage-card", has_text="Без потребности").drag_to(columns.nth(2))
    await expect(page.locator("h1")).to_contain_text("Переход на «Квалифицирован»")
    await page.get_by_label("Потребность").fill("Три двери")
    await page.get_by_role("button", name="Сохранить и перевести").click()
    await expect(columns.nth(2).locator(".stage-card", has_text="Без потребности")).to_be_visible()
    visitor.complaints = [line for line in visitor.complaints if "422" not in line]
    assert visitor.complaints == []
    await visitor.context.close()


async def test_a_lead_becomes_a_contact_of_a_client_that_was_found(
    planted: Office, chromium: Browser
) -> None:
    visitor = await visit(planted, chromium, "agent")
    page = visitor.page
    await visitor.go("/leads/new?number=%2B79161000077")
    await page.get_by_label("Имя человека").fill("Звонивший Снабженец")
    await page.get_by_role("button", name="Создать").click()
    await page.get_by_role("link", name="Конвертировать").click()
    await page.get_by_label("Другой существующий: название, телефон или ИНН").press_sequentially("пример")
    await page.locator("#client-found").get_by_label("ООО «Пример»").check()
    await page.get_by_role("button", name="Конвертировать").click()
    await expect(page.locator("h1")).to_contain_text("ООО «Пример»")
    await expect(page.get_by_role("link", name="Звонивший Снабженец").first).to_be_visible()
    assert visitor.complaints == []
    await visitor.context.close()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_a_lead_is_deleted_found_in_the_bin_and_restored(
    planted: Office, chromium: Browser, size: dict[str, Any]
) -> None:
    visitor = await visit(planted, chromium, "manager", **size)
    page = visitor.page
    await visitor.go("/leads/new")
    await page.get_by_label("Имя человека").fill(f"Лишний {'Первый' if size is DESKTOP else 'Второй'}")
    await page.get_by_role("button", name="Создать").click()
    await expect(page.locator("h1")).to_contain_text("Лишний")
    page.once("dialog", lambda dialog: dialog.accept())
    await page.locator(".card-cleaning").get_by_role("button", name="Удалить").click()
    await expect(page.get_by_role("heading", name="Корзина")).to_be_visible()
    await page.get_by_label("Название или №").fill("лишний")
    await page.get_by_role("button", name="Показать").click()
    row = page.get_by_role("row").filter(has_text="Лишний")
    await expect(row).to_be_visible()
    assert await axe(page) == []
    await row.get_by_role("button", name="Восстановить").click()
    await expect(page.locator("h1")).to_contain_text("Лишний")
    assert visitor.complaints == []
    await visitor.context.close()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_a_source_that_nobody_entered_is_put_into_the_directory(
    planted: Office, chromium: Browser, size: dict[str, Any]
) -> None:
    word = f"Афиша {'большая' if size is DESKTOP else 'малая'}"
    async with planted.database.sessions.begin() as session:
        about = NewLead(subject=SubjectValues(person="Увидел"), values=LeadValues(source=word))
        await create_lead(session, planted.people["manager"], about)
    visitor = await visit(planted, chromium, "admin", **size)
    page = visitor.page
    await visitor.go("/admin/directories/source")
    await expect(page.get_by_role("heading", name="В записях есть, в справочнике нет")).to_be_visible()
    assert await whole(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.get_by_role("button", name=f"Добавить «{word}»").click()
    await expect(page.get_by_role("row").filter(has_text=word)).to_be_visible()
    await expect(page.get_by_role("button", name=f"Добавить «{word}»")).to_have_count(0)
    assert visitor.complaints == []
    await visitor.context.close()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_a_source_is_chosen_and_another_one_is_written_on_purpose(
    planted: Office, chromium: Browser, size: dict[str, Any]
) -> None:
    name = f"Каталог {size['viewport']['width']}"
    async with planted.database.sessions.begin() as session:
        await add_entry(session, COMMAND, "source", name)
    visitor = await visit(planted, chromium, "manager", **size)
    page = visitor.page
    await visitor.go("/leads/new")
    source, other = page.get_by_label("Источник"), page.get_by_label("Какой")
    await expect(other).to_be_hidden()
    await source.select_option(name)
    await expect(other).to_be_hidden()
    await source.select_option(label="Другой…")
    await other.fill("Разговор в поезде")
    await page.get_by_label("Имя человека").fill(f"Попутчик {name}")
    assert await whole(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.get_by_role("button", name="Создать").click()
    await expect(page.get_by_role("definition").filter(has_text="Разговор в поезде")).to_be_visible()
    await page.get_by_text("Изменить", exact=True).first.click()
    await expect(source).to_have_value("Разговор в поезде")
    await source.select_option(name)
    await page.get_by_role("button", name="Сохранить").click()
    await expect(page.get_by_role("definition").filter(has_text=name)).to_be_visible()
    assert visitor.complaints == []
    await visitor.context.close()
