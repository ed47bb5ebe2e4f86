"""Records in Chromium: what others change shows up, hints while editing, asking for access; and a first day with a telephone in hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncSession

from crm import parties
from crm.access_requests import ask_access
from crm.database import Database
from crm.duplicates import dismiss_pair
from crm.emails import attach_email
from crm.lead_intake import NewLead, create_lead
from crm.lead_subjects import SubjectValues
from crm.leads import assign_lead, disqualify_lead, edit_lead, hold_lead
from crm.numbers import NumberValues, attach_number
from tests.browser.conftest import DESKTOP, PHONE, axe
from tests.browser.test_pages import visit
from tests.web.pages.office import Office, open_office

pytestmark = pytest.mark.browser
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def planted(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with open_office(database, Path(tmp_path_factory.mktemp("office")), language="ru") as office:
        yield office


async def firm(office: Office, name: str, who: str = "manager") -> int:
    async with office.database.sessions.begin() as session:
        values = parties.organisation_values(name)
        return await parties.create_party(session, office.people[who], values, kinds=["client"])


async def change(office: Office, party_id: int, name: str, version: int, **more: str) -> None:
    async with office.database.sessions.begin() as session:
        values = parties.organisation_values(name, **more)
        await parties.edit_party(session, office.people["admin"], party_id, values, version=version)


async def whole(page: Page) -> list[str]:
    """What axe says of the page as tall as it is: a reader can scroll free what the bottom bar covers, axe cannot."""
    before = page.viewport_size
    height = await page.evaluate("document.documentElement.scrollHeight")
    assert before
    await page.set_viewport_size({"width": before["width"], "height": height + 100})
    found = await axe(page)
    await page.set_viewport_size(before)
    return found


async def test_a_card_shows_what_others_change_and_keeps_what_is_being_typed(
    planted: Office, chromium: Browser
) -> None:
    party = await firm(planted, "ООО «Живая карточка»")
    visitor = await visit(planted, chromium, "manager")
    page = visitor.page
    await visitor.go(f"/parties/{party}")
    await page.get_by_label("Комментарий").first.press_sequentially("Начал писать")
    await page.wait_for_timeout(1500)  # the socket has named what the page shows
    await change(planted, party, "ООО «Живая карточка»", 1, city="Великие Луки")
    note = page.locator("[data-watch-note]")
    await expect(note).to_contain_text("Запись изменена, автор: Admin Example")
    await expect(note).to_contain_text("оставлено как было")
    await expect(page.locator("section.card-box").filter(has_text="Сведения").first).to_contain_text(
        "Великие Луки"
    )
    await expect(page.get_by_label("Комментарий").first).to_have_value("Начал писать")
    await expect(page.get_by_label("Комментарий").first).to_be_focused()
    assert visitor.complaints == []
    await visitor.context.close()


async def test_a_list_renews_its_row_and_a_form_warns(planted: Office, chromium: Browser) -> None:
    party = await firm(planted, "ООО «Живая строка»")
    visitor = await visit(planted, chromium, "manager")
    page = visitor.page
    await visitor.go("/parties/clients")
    await page.locator(f'[data-record="party:{party}"]').wait_for()
    await page.wait_for_timeout(1500)
    await change(planted, party, "ООО «Живая строка-2»", 1)
    await expect(page.locator(f'[data-record="party:{party}"]')).to_contain_text("Живая строка-2")
    await visitor.go(f"/parties/{party}/edit")
    await page.wait_for_timeout(1500)
    await change(planted, party, "ООО «Живая строка-3»", 2)
    await expect(page.locator("[data-watch-note]")).to_contain_text("При сохранении вы увидите")
    assert await whole(page) == []
    assert visitor.complaints == []
    await visitor.context.close()


async def test_pages_of_leads_show_what_others_change(planted: Office, chromium: Browser) -> None:
    async with planted.database.sessions.begin() as session:
        made = await create_lead(
            session, planted.people["admin"], NewLead(subject=SubjectValues(person="Живой Лид"))
        )
        admin, lead_id = planted.people["admin"], made.id
        await assign_lead(session, admin, lead_id, planted.people["agent"].user_id)

    async def act(change: Callable[[AsyncSession], Awaitable[object]]) -> None:
        await page.wait_for_timeout(1500)  # the socket has named what the page shows
        async with planted.database.sessions.begin() as session:
            await change(session)

    visitor = await visit(planted, chromium, "agent")
    page = visitor.page
    await visitor.go("/leads")
    assert await whole(page) == []
    row = page.locator(f'tr[data-record="lead:{lead_id}"]')
    await row.wait_for()
    await act(lambda session: edit_lead(session, admin, lead_id, {"need": "Двадцать дверей"}))
    await expect(row).to_contain_text("Двадцать дверей")
    await row.get_by_label("Действия: Живой Лид").click()
    await expect(row.get_by_role("button", name="В работе")).to_be_visible()
    await visitor.go("/leads/board")
    await act(lambda session: hold_lead(session, admin, lead_id, reason="Отпуск"))
    await expect(page.locator(f'.stage-card[data-lead="{lead_id}"]')).to_contain_text("на паузе")
    await visitor.go(f"/parties/{made.party_id}/leads")
    row = page.locator(f'tr[data-record="lead:{lead_id}"]')
    await row.wait_for()
    await act(lambda session: edit_lead(session, admin, lead_id, {"need": "Тридцать дверей"}))
    await expect(row).to_contain_text("Тридцать дверей")
    await visitor.go(f"/leads/{lead_id}/convert")
    await act(lambda session: edit_lead(session, admin, lead_id, {"title": "Двери"}))
    await expect(page.locator("[data-watch-note]")).to_contain_text("Запись изменена")
    await visitor.go(f"/leads/{lead_id}")
    number = NumberValues(presented="+79000008801")
    await act(lambda session: attach_number(session, admin, made.party_id, number))
    await expect(page.get_by_text("+7 900 000-88-01").first).to_be_visible()  # of whom the lead is about
    await act(lambda session: disqualify_lead(session, admin, lead_id, "spam"))
    await expect(page.locator("[data-piece=stand]")).to_contain_text("Спам")
    await expect(page.locator("#disqualify")).to_have_count(0)
    await expect(page.locator("[data-watch-note]")).to_contain_text("Запись изменена")
    assert visitor.complaints == []
    await visitor.context.close()


@SIZES
async def test_an_address_is_marked_as_not_to_be_written_to(
    planted: Office, chromium: Browser, size: dict[str, Any]
) -> None:
    party_id = await firm(planted, f"Без писем {size is DESKTOP}")
    async with planted.database.sessions.begin() as session:
        address = f"{'one' if size is DESKTOP else 'two'}@quiet.example"
        await attach_email(session, planted.people["manager"], party_id, address)
    visitor = await visit(planted, chromium, "manager", **size)
    page = visitor.page
    await visitor.go(f"/parties/{party_id}")
    row = page.get_by_role("listitem").filter(has_text=address)
    await expect(row.get_by_role("link", name=address)).to_be_visible()
    for action, word in (
        ("Не писать на этот адрес", "не писать"),
        ("Письма возвращаются", "письма возвращаются"),
    ):
        await row.get_by_label(f"Действия: {address}").click()
        await row.get_by_role("button", name=action).click()
        await expect(row.get_by_text(word, exact=True)).to_be_visible()
    await expect(row.get_by_role("link", name=address)).to_have_count(0)
    assert await whole(page) == []
    assert visitor.complaints == []
    await visitor.context.close()


async def test_editing_hints_at_likely_duplicates_and_a_hidden_one_is_asked_for(
    planted: Office, chromium: Browser
) -> None:
    party = await firm(planted, "ООО «Правка»")
    await firm(planted, "ООО «Скрытый маяк»", "stranger")
    visitor = await visit(planted, chromium, "manager")
    page = visitor.page
    await visitor.go(f"/parties/{party}/edit")
    await page.get_by_label("Примечание").fill("Длинное примечание. " * 450)  # longer than an address may be
    await page.get_by_label("Название").first.fill("")
    await page.get_by_label("Название").first.press_sequentially("скрытый маяк")
    await expect(page.locator("#similar")).to_contain_text("Скрытый маяк")
    await page.locator("#similar").get_by_role("button", name="Запросить доступ").click()
    await expect(page.locator("#similar")).to_contain_text("Запрос отправлен")
    assert await whole(page) == []
    assert visitor.complaints == []
    await visitor.context.close()
    owner = await visit(planted, chromium, "stranger")
    await owner.go("/notifications")
    await owner.page.get_by_role("button", name="Дать доступ").click()
    await expect(owner.page.get_by_text("Никто не ждёт вашего ответа.")).to_be_visible()
    assert owner.complaints == []
    await owner.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@SIZES
async def test_the_pages_are_accessible_and_fit(
    planted: Office, chromium: Browser, size: dict[str, Any], theme: str
) -> None:
    one, other = await firm(planted, "ООО «Сосна»"), await firm(planted, "ООО «Сосна-2»")
    async with planted.database.sessions.begin() as session:
        await dismiss_pair(session, planted.people["manager"], one, other, reason="Разные города")
        await ask_access(session, planted.people["stranger"], one)
    visitor = await visit(planted, chromium, "manager", color_scheme=theme, **size)
    page, wrong = visitor.page, []
    for address in ("access-requests", "duplicates/dismissed", "999999999", f"{one}", f"{one}/edit"):
        await visitor.go(f"/parties/{address}")
        if not await page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        ):
            wrong.append(f"{address}: wider than the screen")
        wrong += [f"{address}: {line}" for line in await whole(page)]
    assert wrong == []
    assert [line for line in visitor.complaints if "404" not in line] == []
    await visitor.context.close()


async def test_a_manager_new_to_the_program_finds_the_way_with_a_telephone_in_hand(
    planted: Office, chromium: Browser
) -> None:
    """A firm with its contact from three fields, found by the last four digits, a duplicate merged and parted again."""
    visitor = await visit(planted, chromium, "manager", **PHONE)
    page = visitor.page
    page.on("dialog", lambda dialog: dialog.accept())
    await visitor.go("/parties")
    await page.get_by_role("link", name="Новый контрагент").click()
    await expect(page.get_by_role("heading", name="Новый контрагент")).to_be_visible()
    await page.get_by_label("Название").fill("Тёплый дом")
    await page.get_by_label("Имя", exact=True).fill("Первый Контакт")
    await page.get_by_label("Телефон").fill("8 921 555-47-81")
    await page.get_by_role("button", name="Создать").click()
    await expect(page.get_by_role("heading", name="Тёплый дом")).to_be_visible()
    await expect(page.get_by_text("Первый Контакт").first).to_be_visible()
    await firm(planted, "Тёплый дом, ООО")
    await visitor.go("/parties")
    await page.locator("#party-search").fill("4781")
    await expect(page.locator("#party-rows").get_by_role("link", name="Тёплый дом, ООО")).to_have_count(0)
    await page.locator("#party-rows").get_by_role("link", name="Тёплый дом", exact=True).click()
    await page.get_by_role("link", name="Объединить с другой записью").click()
    await page.get_by_role("link", name="Тёплый дом, ООО").click()
    await page.get_by_role("button", name="Объединить", exact=True).click()
    await page.get_by_role("button", name="Отменить объединение").click()
    await expect(page.get_by_text("Всё вернулось на свои места.")).to_be_visible()
    assert visitor.complaints == []
    await visitor.context.close()
