"""Lists one works in, in Chromium: the keyboard, ticked rows, columns; the bell in two tabs; drafts that keep themselves."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from crm.comments import add_comment
from crm.notifications import list_notices
from crm.numbers import NumberValues
from crm.parties import create_party, organisation_values, quick_create
from crm.regions import describe_piece
from tests.browser.conftest import PHONE
from tests.browser.test_pages import planted as planted
from tests.browser.test_pages import visit
from tests.web.pages.office import Office
from web.keys import LIVE

pytestmark = pytest.mark.browser


async def test_rows_are_walked_and_ticked_by_keyboard_and_handed_over(
    planted: Office, chromium: Browser
) -> None:
    visitor = await visit(planted, chromium, "head")
    page = visitor.page
    page.on("dialog", lambda dialog: dialog.accept())
    await visitor.go("/parties/clients")
    await expect(page.locator("[data-mass]")).to_be_hidden()
    await page.keyboard.press("j")
    await expect(page.get_by_role("link", name="ООО «Пример»")).to_be_focused()
    await page.keyboard.press("Space")
    await expect(page.locator("[data-mass-count]")).to_have_text("Отмечена 1 строка")
    await page.locator("#mass-owner").select_option(label="Head Example")
    await page.get_by_role("button", name="Передать", exact=True).click()
    await expect(page.locator("main")).to_contain_text("Изменено: 1.")
    await expect(page.locator("#party-rows")).to_contain_text("Head Example")
    assert visitor.complaints == []
    await visitor.context.close()


async def test_columns_are_ordered_with_buttons_also_on_a_telephone(
    planted: Office, chromium: Browser
) -> None:
    visitor = await visit(planted, chromium, **PHONE)
    page = visitor.page
    await visitor.go("/parties/contacts")
    await page.locator("summary", has_text="Столбцы").click()
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    await page.get_by_label("Город", exact=True).check()
    for _ in range(9):
        await page.get_by_role("button", name="Выше: Город").click()
    await page.locator(".view-form").get_by_role("button", name="Показать").click()
    await expect(page.locator("thead th").nth(2)).to_have_text("Город")
    assert visitor.complaints == []
    await visitor.context.close()


async def test_a_list_is_narrowed_by_the_region_of_the_number(planted: Office, chromium: Browser) -> None:
    async with planted.database.sessions.begin() as session:
        for name, number in (("Здешняя", "+74955550001"), ("Тверская", "+74822550001")):
            values = organisation_values(name)
            numbers = [NumberValues(presented=number)]
            await create_party(session, planted.people["head"], values, kinds=["client"], numbers=numbers)
    is_more = True
    while is_more:
        async with planted.database.sessions.begin() as session:
            is_more = await describe_piece(session)
    visitor = await visit(planted, chromium, "head")
    page = visitor.page
    await visitor.go("/parties/clients")
    await page.locator("summary", has_text="Ещё фильтры").click()
    await page.get_by_label("Регион номера").select_option("Тверская обл.")
    await expect(page.get_by_role("link", name="Тверская")).to_be_visible()
    await expect(page.get_by_role("link", name="Здешняя")).to_have_count(0)
    await page.get_by_role("link", name="Тверская").click()
    await expect(page.locator("main")).to_contain_text("Тверская обл.")
    assert visitor.complaints == []
    await visitor.context.close()


async def test_one_of_two_tabs_shows_a_notification_and_both_count_it(
    planted: Office, chromium: Browser
) -> None:
    visitor = await visit(planted, chromium, "manager")
    other = await visitor.context.new_page()
    await visitor.go("/parties")
    await other.goto(visitor.url + "/notifications")
    await expect(visitor.page.locator("notice-bell .bell-count")).to_have_text(re.compile(r"\d"))
    before = int(await visitor.page.locator("notice-bell .bell-count").inner_text())
    async with planted.database.sessions.begin() as session:
        await add_comment(session, planted.people["head"], planted.firm_id, "@manager.login срочно")
    assert planted.server is not None
    manager = planted.people["manager"]
    async with planted.database.sessions() as session:
        newest = (await list_notices(session, manager)).items[0]
    planted.server.app[LIVE].notice(manager.user_id, newest.id)
    for page in (visitor.page, other):
        await expect(page.locator("notice-bell .bell-count")).to_have_text(str(before + 1))
    await visitor.page.wait_for_timeout(2500)  # a hidden tab waits a second and a half
    seen = [await page.locator(".notice-line").count() for page in (visitor.page, other)]
    assert sum(seen) == 1
    assert visitor.complaints == []
    await visitor.context.close()


async def test_what_is_typed_comes_back_after_the_page_was_left(planted: Office, chromium: Browser) -> None:
    visitor = await visit(planted, chromium, "agent")
    page = visitor.page
    await visitor.go("/parties/new")
    await page.get_by_label("Название", exact=True).fill("ООО «Недописанное»")
    await expect(page.locator("[data-draft-state]")).to_have_text("Черновик сохранён")
    await visitor.go("/parties")
    await visitor.go("/parties/new")
    await expect(page.get_by_label("Название", exact=True)).to_have_value("ООО «Недописанное»")
    await page.get_by_role("button", name="Выбросить черновик").click()
    await expect(page.get_by_label("Название", exact=True)).to_have_value("")
    assert visitor.complaints == []
    await visitor.context.close()


OVERLAPPING = """
() => [...document.querySelectorAll("tr[data-row]")].flatMap((row) => {
  const cells = [...row.cells].filter((cell) => !cell.matches(".cell-actions")).map((cell) => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return { cell, box: range.getBoundingClientRect() };
  }).filter(({ box }) => box.width && box.height);
  return cells.flatMap(({ cell, box }, at) => cells.slice(at + 1).filter(({ box: other }) =>
    box.left < other.right - 1 && other.left < box.right - 1 && box.top < other.bottom - 1 && other.top < box.bottom - 1
  ).map(({ cell: other }) => `${cell.textContent.trim()} × ${other.textContent.trim()}`));
})
"""
BROKEN = """
() => [...document.querySelectorAll("tr[data-row] .cell-main > a:first-child")].filter((link) => {
  if (link.firstChild.nodeType !== Node.TEXT_NODE) return false;
  const range = document.createRange();
  return [...link.textContent.matchAll(/[^\\s-]+/g)].some((word) => {
    range.setStart(link.firstChild, word.index);
    range.setEnd(link.firstChild, word.index + word[0].length);
    return range.getClientRects().length > 1;
  });
}).map((link) => link.textContent)
"""


async def test_on_a_telephone_no_word_of_a_name_is_broken_and_nothing_lies_over_another(
    planted: Office, chromium: Browser
) -> None:
    async with planted.database.sessions.begin() as session:
        for kind in ("prospect", "supplier"):
            await quick_create(
                session,
                planted.people["manager"],
                organisation=f"Администрация Ромашково-{kind}-1181",
                person="Администратор Замоскворечный",
                number="8 921 55500" + ("81" if kind == "prospect" else "82"),
                kind=kind,
            )
    visitor = await visit(planted, chromium, **PHONE)
    for address in ("/parties", "/parties/contacts", "/communications", "/leads", "/tasks/given"):
        await visitor.go(address)
        assert await visitor.page.evaluate(OVERLAPPING) == [], address
        assert await visitor.page.evaluate(BROKEN) == [], address
    await visitor.go("/parties?q=Ромашково")
    assert await visitor.page.locator("tr[data-row]").count() == 2
    # A value that is not there takes no place: without its heading a dash says nothing.
    assert await visitor.page.locator("tr[data-row] .nothing:visible").count() == 0
    assert visitor.complaints == []
    await visitor.context.close()


async def test_a_communication_that_is_half_written_is_there_on_return(
    planted: Office, chromium: Browser
) -> None:
    visitor = await visit(planted, chromium, "head")
    page = visitor.page
    await visitor.go(f"/communications/new?party={planted.firm_id}")
    await page.get_by_label("О чём говорили").fill("Обсудили поставку, осталось")
    await expect(page.locator("[data-draft-state]")).to_have_text("Черновик сохранён")
    await visitor.go("/parties")
    await visitor.go(f"/communications/new?party={planted.firm_id}")
    await expect(page.get_by_label("О чём говорили")).to_have_value("Обсудили поставку, осталось")
    await page.get_by_role("button", name="Выбросить черновик").click()
    await expect(page.get_by_label("О чём говорили")).to_have_value("")
    assert visitor.complaints == []
    await visitor.context.close()


async def test_how_many_communications_there_are_follows_the_filters(
    planted: Office, chromium: Browser
) -> None:
    visitor = await visit(planted, chromium, "admin")
    page = visitor.page
    await visitor.go("/communications")
    count = page.locator("#communication-count")
    await expect(count).to_contain_text("коммуникаци")
    whole = await count.inner_text()
    await page.get_by_label("Вид", exact=True).select_option("meeting")
    await expect(count).not_to_have_text(whole)
    await expect(count).to_contain_text("коммуникаци")
    assert visitor.complaints == []
    await visitor.context.close()
