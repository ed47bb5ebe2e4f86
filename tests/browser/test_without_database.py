"""The database is away while somebody opens a page: a calm one stands in for it, calls go on, and it opens by itself (I13)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from playwright.async_api import Route, expect

from crm.rights import Access
from tests.browser.conftest import DESKTOP, PHONE, Office, axe_in_both_themes
from tests.browser.test_pop import fresh, of, ring, window
from tests.cti.desk.calls import answers
from web.gate import Credential, CrmGate

pytestmark = pytest.mark.browser
TYPED = "Просит счёт до пятницы"


class Away:
    """Whether the database answers who may do what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def leave(self) -> None:
        async def access(_gate: CrmGate, _credential: Credential) -> Access | None:
            raise ConnectionRefusedError("the database is away")

        self._monkeypatch.setattr(CrmGate, "access", access)

    def come_back(self) -> None:
        self._monkeypatch.undo()


@pytest.fixture
def postgres(monkeypatch: pytest.MonkeyPatch) -> Away:
    return Away(monkeypatch)


async def test_i13_a_reload_keeps_calls_and_text_and_the_page_comes_by_itself(
    office: Office, postgres: Away
) -> None:
    office.expect("503")
    page = await office.enter("agent", "/parties?q=при")
    call_id = await ring(office)
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    note = window(page, "talking").get_by_label("Комментарий")
    await expect(note).to_be_visible()
    postgres.leave()
    await note.fill(TYPED)
    await expect(page.locator(".note-state")).to_have_text("не сохранено")
    await page.reload()
    await expect(page.locator("h1")).to_have_text("База данных не отвечает")
    await expect(page.get_by_text("Страница откроется сама, как только база ответит.")).to_be_visible()
    await expect(page.locator(".module-bar")).to_be_visible()
    await expect(note).to_have_value(TYPED)
    await ring(office, customer_number="+79000000361")
    await expect(window(page, "ringing")).to_be_visible()
    postgres.come_back()
    await expect(page.locator("h1")).to_have_text("Контрагенты", timeout=20_000)
    assert page.url == f"{office.url}/parties?q=%D0%BF%D1%80%D0%B8"
    await expect(page.locator(".note-state")).to_have_text("сохранено", timeout=20_000)
    await page.reload()
    await expect(note).to_have_value(TYPED)


async def test_i13_whoever_is_not_remembered_is_told_the_same_and_let_in_later(
    office: Office, postgres: Away
) -> None:
    office.expect("503")
    context = await office.browser("agent")
    postgres.leave()
    page = await context.new_page()
    await page.goto(office.url + "/parties")
    await expect(page.locator("h1")).to_have_text("База данных не отвечает")
    await expect(page.locator(".module-bar")).to_have_count(0)
    postgres.come_back()
    await expect(page.locator("h1")).to_have_text("Контрагенты", timeout=20_000)


async def test_a_visit_inside_the_page_leaves_it_as_it_is(office: Office, postgres: Away) -> None:
    office.expect("503")
    page = await office.enter("agent", "/parties/new")
    await page.locator("#f-organisation").fill("ООО «Набрано»")
    postgres.leave()
    await page.locator(".who-link").click()
    await expect(page.locator("#notices")).to_contain_text("База данных не отвечает. Звонки идут")
    await expect(page.locator("#f-organisation")).to_have_value("ООО «Набрано»")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_the_page_is_accessible(office: Office, postgres: Away, size: dict[str, Any]) -> None:
    office.expect("503")
    page = await office.enter("agent", "/parties", **size)
    postgres.leave()
    await page.reload()
    await expect(page.locator("h1")).to_have_text("База данных не отвечает")
    assert await axe_in_both_themes(page) == []


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_i13_whatever_fails_meanwhile_it_goes_on_asking(
    office: Office, postgres: Away, status: int
) -> None:
    """A proxy in front, or we ourselves, may fail otherwise before the database is back."""
    office.expect(f"503|{status}")
    page = await office.enter("agent", "/parties")
    postgres.leave()
    await page.reload()
    await expect(page.locator("h1")).to_have_text("База данных не отвечает")
    await page.evaluate("document.querySelector('page-again').dataset.seconds = '0.2'")
    asked = 0

    async def fail(route: Route) -> None:
        nonlocal asked
        asked += 1
        await route.fulfill(status=status, body="<p>Bad gateway</p>")

    await page.route("**/parties", fail)
    async with asyncio.timeout(20):
        while asked < 3:
            await asyncio.sleep(0.05)
    await page.unroute("**/parties")
    postgres.come_back()
    await expect(page.locator("h1")).to_have_text("Контрагенты", timeout=20_000)
