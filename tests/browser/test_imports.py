"""An import in Chromium, from the file to the finished list: watched without a reload, accessible in every state."""

from __future__ import annotations

import asyncio
import csv
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FilePayload, Page, expect
from sqlalchemy import func, select

from crm.database import Database
from crm.schema.parties import Party
from cti.daemon import imports
from cti.daemon.imports import Imports
from tests.browser.conftest import DESKTOP, PHONE, axe
from tests.browser.test_pages import visit
from tests.crm.importing.books import book_of
from tests.crm.importing.dirty import dirty_book, dirty_rows
from tests.web.pages.office import Office, open_office

pytestmark = pytest.mark.browser
HEADER = (
    "Наименование",
    "ИНН",
    "КПП",
    "Контактное лицо",
    "Должность",
    "Телефон",
    "E-mail",
    "Менеджер",
    "Комментарий",
)
ROWS = (
    ('ООО "Ромашка"', "7707083893", "770101001", "Примерова Анна", "Закупки", "8 (916) 100-00-11, 8 495 100-00-12 доб. 7",
     "anna@example.org", "", "по средам"),
    ("ООО «Пример»", "", "", "Контактное Лицо", "", "8 495 120-33-44", "", "", ""),
    ("АО «Чужое»", "", "", "", "", "", "", "", ""),
    ("Василёк", "7707083890", "", "Борис", "", "12", "no address", "Неизвестный", ""),
    ("ООО Ромашка", "7707083893", "770101001", "Примеров Иван", "Склад", "8 916 100 00 13", "", "", ""),
)  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def planted(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with open_office(database, Path(tmp_path_factory.mktemp("office")), language="ru") as office:
        yield office


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_a_file_is_imported_and_undone(
    planted: Office, chromium: Browser, size: dict[str, Any], theme: str
) -> None:
    visitor = await visit(planted, chromium, color_scheme=theme, **size)
    page, worker = visitor.page, Imports(planted.database)
    await visitor.go("/parties/imports")
    await looked_at(page, size)
    book = FilePayload(name="прайс.xlsx", mimeType="application/octet-stream", buffer=book_of(HEADER, *ROWS))
    await page.get_by_label("Файл").set_input_files(book)
    await page.get_by_role("button", name="Загрузить").click()
    await expect(page.get_by_role("combobox", name="Значение столбца «ИНН»")).to_have_value("inn")
    await looked_at(page, size)
    await page.get_by_role("button", name="Проверить строки").click()
    await expect(page.get_by_text("Проверяем строки")).to_be_visible()
    await looked_at(page, size)
    await worker.work()
    await expect(page.get_by_role("link", name="Не загрузится · 1")).to_be_visible()
    await looked_at(page, size)
    await page.get_by_role("button", name="Импортировать").click()
    await expect(page.get_by_text("Загружаем")).to_be_visible()
    await worker.work()
    await expect(page.get_by_role("button", name="Отменить импорт")).to_be_visible()
    await looked_at(page, size)
    async with page.expect_download() as download:
        await page.get_by_role("link", name="XLSX").click()
    assert (await download.value).suggested_filename.endswith(".xlsx")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Отменить импорт").click()
    await expect(page.get_by_text("Отменяем")).to_be_visible()
    await worker.work()
    await expect(page.get_by_role("button", name="Убрать из списка")).to_be_visible()
    await looked_at(page, size)
    assert visitor.complaints == []
    await visitor.context.close()


async def looked_at(page: Page, size: dict[str, Any]) -> None:
    """Nothing is wider than the screen, and axe finds nothing."""
    await fits(page)
    width = size["viewport"]["width"]
    height = await page.evaluate("document.documentElement.scrollHeight")
    await page.set_viewport_size({"width": width, "height": height + 100})
    assert await axe(page) == []
    await page.set_viewport_size(size["viewport"])


async def test_a_file_that_takes_long_says_so_and_is_sent_once(planted: Office, chromium: Browser) -> None:
    visitor = await visit(planted, chromium, **PHONE)
    page = visitor.page
    await visitor.go("/parties/imports")
    # Held where it would leave: what a slow network looks like.
    await page.evaluate(
        "document.addEventListener('submit', (event) => event.preventDefault(), {once: true})"
    )
    book = FilePayload(
        name="table.ods", mimeType="application/octet-stream", buffer=archive_of("content.xml")
    )
    await page.get_by_label("Файл").set_input_files(book)
    send = page.get_by_role("button", name="Загрузить")
    await send.click()
    await expect(page.get_by_role("status").filter(has_text="Файл передаётся и читается…")).to_be_visible()
    await expect(send).to_be_disabled()
    await looked_at(page, PHONE)
    await page.evaluate("dispatchEvent(new Event('pageshow'))")  # as after «Back»
    await send.click()
    await expect(page.locator("#import-problem")).to_contain_text("Сохраните таблицу как XLSX")
    await expect(send).to_be_enabled()
    assert [line for line in visitor.complaints if "422" not in line] == []
    await visitor.context.close()


def archive_of(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return out.getvalue()


@pytest.mark.slow
async def test_a_dirty_price_list_of_5000_rows_is_stopped_resumed_and_undone_with_a_telephone_in_hand(
    planted: Office, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = await visit(planted, chromium, **PHONE)
    page, worker = visitor.page, Imports(planted.database)
    page.on("dialog", lambda dialog: dialog.accept())
    before = await known(planted)
    await visitor.go("/parties/imports")
    made = dirty_rows()
    book = FilePayload(
        name="база.xlsx", mimeType="application/octet-stream", buffer=dirty_book([cells for cells, _ in made])
    )
    await page.get_by_label("Файл").set_input_files(book)
    await page.get_by_role("button", name="Загрузить").click()
    await page.get_by_role("button", name="Проверить строки").click()
    await expect(page.get_by_text("Проверяем строки")).to_be_visible()
    await worker.work()
    bad = sum(not is_good for _, is_good in made)
    await expect(page.get_by_role("link", name=f"Не загрузится · {bad}")).to_be_visible()
    await expect(page.get_by_role("link", name="Изменить правило")).to_be_visible()
    await fits(page)
    await page.get_by_role("button", name="Импортировать").click()
    monkeypatch.setattr(imports, "PAUSE_SECONDS", 0.5)  # as on a machine that has more to do
    stop = page.get_by_role("button", name="Остановить")
    await expect(stop).to_be_visible()
    running = asyncio.create_task(worker.work())
    await expect(page.get_by_text("Создана ·")).to_be_visible()
    await stop.click()
    await running
    monkeypatch.undo()
    await expect(page.get_by_role("button", name="Продолжить")).to_be_visible()
    assert before < await known(planted) < before + len(made) - bad
    await fits(page)
    await page.get_by_role("button", name="Продолжить").click()
    await expect(stop).to_be_visible()
    await worker.work()
    await expect(page.get_by_text(f"Не загружено · {bad}")).to_be_visible()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV").click()
    refused = Path(await (await download.value).path()).read_text("utf-8-sig")
    assert len(list(csv.reader(io.StringIO(refused), delimiter=";"))) == bad + 1  # and the headings
    await undo_with_a_rest(page, worker, monkeypatch)
    await expect(page.get_by_role("link", name="Корзина")).to_be_visible()
    await expect(page.get_by_text("Создана ·")).to_have_count(0)
    await fits(page)
    assert await known(planted) == before
    await visitor.go("/notifications")
    await expect(page.get_by_text("Импорт «база.xlsx» завершён.")).to_be_visible()
    assert visitor.complaints == []
    await visitor.context.close()


async def undo_with_a_rest(page: Page, worker: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Undone in two parts, with a bar that tells how far it is."""
    monkeypatch.setattr(imports, "PAUSE_SECONDS", 0.5)
    await page.get_by_role("button", name="Отменить импорт").click()
    stop = page.get_by_role("button", name="Остановить отмену")
    await expect(stop).to_be_visible()
    undoing = asyncio.create_task(worker.work())
    await expect(page.get_by_text("Отменено ·")).to_be_visible()
    bar = page.get_by_role("progressbar", name="Отменяем")
    done, of = [int(await bar.get_attribute(name) or 0) for name in ("value", "max")]
    assert 0 < done < of
    await stop.click()
    await undoing
    monkeypatch.undo()
    await expect(page.get_by_text("остальные остались как были")).to_be_visible()
    await fits(page)
    await page.get_by_role("button", name="Продолжить отмену").click()
    await expect(stop).to_be_visible()
    await worker.work()


async def known(office: Office) -> int:
    async with office.database.sessions() as session:
        firms = (
            select(func.count())
            .select_from(Party)
            .where(Party.deleted_at.is_(None), Party.type == "organisation")
        )
        return await session.scalar(firms) or 0


async def fits(page: Page) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_names_in_capitals_are_changed_by_a_rule_that_is_found_in_the_preview(
    planted: Office, chromium: Browser, size: dict[str, Any]
) -> None:
    visitor = await visit(planted, chromium, **size)
    page, worker = visitor.page, Imports(planted.database)
    await visitor.go("/parties/imports")
    rows = (("ООО «КРИК»", "ГРОМОВА ГАЛИНА", f"8 916 300-{size['viewport']['width']:04}", "Забор"),)
    content = book_of(("Организация", "Контактное лицо", "Телефон", "Источник"), *rows)
    book = FilePayload(name="крик.xlsx", mimeType="application/octet-stream", buffer=content)
    await page.get_by_label("Файл").set_input_files(book)
    await page.get_by_role("button", name="Загрузить").click()
    await page.get_by_label("Если имя написано заглавными буквами").select_option("keep")
    await page.get_by_role("button", name="Проверить строки").click()
    await expect(page.get_by_text("Проверяем строки")).to_be_visible()
    await worker.work()
    await expect(page.get_by_text("«Забор» · 1")).to_be_visible()
    told = page.get_by_role("listitem").filter(has_text="заглавными буквами и таким останется")
    await looked_at(page, size)
    await told.get_by_role("link", name="Изменить правило").click()
    rule = page.get_by_label("Если имя написано заглавными буквами")
    await expect(rule).to_be_in_viewport()
    await rule.select_option("people")
    await page.get_by_role("button", name="Проверить строки").click()
    await expect(page.get_by_text("Проверяем строки")).to_be_visible()
    await worker.work()
    await expect(page.get_by_text("Будет записано: «Громова Галина»")).to_be_visible()
    await looked_at(page, size)
    assert visitor.complaints == []
    await visitor.context.close()
