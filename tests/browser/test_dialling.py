"""Calling from the screen in Chromium: the dial pad, the hand on a call, and the rules of dialling and handling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from crm.database import Database
from crm.schema.base import uuid7
from cti.desk import Agent
from tests.browser.conftest import axe, axe_in_both_themes
from tests.browser.test_pages import visit
from tests.browser.test_pop import fresh
from tests.cti.desk.calls import answers, rings
from tests.web.frame import FakeDirectory
from tests.web.pages.office import Office, open_office
from tests.web.telephones import UNWANTED, NotingTelephone
from web.keys import LIVE

pytestmark = pytest.mark.browser
CONTROLS = frozenset({"hang_up", "transfer", "consult", "mute", "park", "keys"})


@pytest.fixture(scope="module")
def telephone(database: Database) -> NotingTelephone:
    return NotingTelephone(database.sessions)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def planted(
    database: Database, telephone: NotingTelephone, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    folder = Path(tmp_path_factory.mktemp("dialling"))
    async with open_office(database, folder, language="ru", telephone=telephone) as office:
        yield office


async def test_the_pad_understands_any_format_tells_whose_it_is_and_dials_over_the_chosen_line(
    planted: Office, telephone: NotingTelephone, chromium: Browser
) -> None:
    visitor = await visit(planted, chromium, "head")
    await visitor.go("/notifications")
    page = visitor.page
    await page.get_by_role("button", name="Набрать номер").click()
    pad = page.get_by_role("dialog", name="Набрать номер")
    field = pad.get_by_label("Номер или имя")
    await expect(field).to_be_focused()
    await field.press_sequentially("8 (495) 120-33-4")
    await pad.get_by_role("button", name="4", exact=True).click()
    await expect(pad.locator(".dial-normal")).to_contain_text("+7 495 120-33-44")
    await expect(pad.locator(".dial-hits")).to_contain_text("Контактное Лицо")
    assert await axe_in_both_themes(page) == []
    await pad.get_by_label("Какой номер увидит клиент").select_option(label="Sales line · +7 495 000-00-01")
    await field.press("Enter")
    await expect(pad.get_by_role("status")).to_have_text("Поднимите трубку")
    assert (telephone.clicks[-1].number, telephone.clicks[-1].line_id) == ("8 (495) 120-33-44", 3)
    await field.fill(UNWANTED)
    await field.press("Enter")
    reason = pad.get_by_label("Почему всё же звоните")
    await reason.fill("Просил перезвонить сам")
    await reason.press("Enter")
    await expect(pad.get_by_role("status")).to_have_text("Поднимите трубку")
    assert telephone.clicks[-1].override_reason == "Просил перезвонить сам"
    assert [told for told in visitor.complaints if "409" not in told and "422" not in told] == []
    await visitor.context.close()


async def test_a_call_is_muted_and_passed_on_from_its_window(
    planted: Office, telephone: NotingTelephone, chromium: Browser
) -> None:
    people, call_id = planted.people, uuid7()
    agents = {
        "101": Agent(user_id=people["agent"].user_id, name="Agent Example"),
        "102": Agent(user_id=people["manager"].user_id, name="Manager Example", team="Sales"),
    }
    assert planted.server is not None
    hub = planted.server.app[LIVE]
    planted.desk.set_directory(FakeDirectory(agents=agents))
    planted.desk.set_abilities(1, CONTROLS)
    visitor = await visit(planted, chromium, "agent")
    await visitor.go("/notifications")
    page = visitor.page
    for event in (rings("101"), answers("101")):
        hub.deliver(planted.desk.apply(1, call_id, fresh(event)))
    await expect(page.get_by_role("button", name="Выключить микрофон")).to_be_visible()
    await page.keyboard.press("Alt+KeyM")
    unmute = page.get_by_role("button", name="Включить микрофон")
    await until_asked(telephone, 1)
    hub.deliver(planted.desk.set_muted(people["agent"].user_id, call_id, is_muted=True))
    await expect(unmute).to_be_visible()
    await page.keyboard.press("Alt+KeyR")
    panel = page.locator("form.control-panel")
    await expect(panel.get_by_label("Кому: коллега или номер")).to_be_focused()
    await panel.get_by_role("button", name="Manager Example").click()
    await panel.get_by_label("Заметка коллеге").fill("До пятницы")
    assert await axe(page) == []
    await panel.get_by_role("button", name="Перевести сразу").click()
    await until_asked(telephone, 2)
    asked = [(wanted.control, wanted.to, wanted.note) for _call, wanted in telephone.wanted]
    assert asked == [("mute", "", ""), ("transfer", "102", "До пятницы")]
    assert visitor.complaints == []
    await visitor.context.close()


async def until_asked(telephone: NotingTelephone, count: int) -> None:
    async with asyncio.timeout(15):
        while len(telephone.wanted) < count:
            await asyncio.sleep(0.05)


async def test_rules_of_handling_and_of_dialling_are_tried_before_they_count(
    planted: Office, chromium: Browser
) -> None:
    visitor = await visit(planted, chromium, "admin")
    page = visitor.page
    await visitor.go("/admin/dialling")
    await page.locator("#f-trial").fill("+44 20 7946 0000")
    await page.get_by_role("button", name="Проверить").click()
    await expect(page.locator("#trial-answer .tone-orange")).to_contain_text("+44 20 7946 0000")
    await page.get_by_label("Страны").fill("RU GB")
    await page.get_by_role("button", name="Проверить").click()
    await expect(page.locator("#trial-answer")).to_contain_text("будет набран")
    await visitor.go("/admin/handling")
    lead = page.locator("[id='inbound_missed-unknown-lead']")
    await lead.check()
    await page.get_by_role("button", name="Сохранить").click()
    await expect(page.get_by_role("status").filter(has_text="Сохранено")).to_be_visible()
    await expect(lead).to_be_checked()
    await page.get_by_role("link", name="Проверить на звонке").click()
    await page.locator("a[href*='try?call=']").first.click()
    await expect(page.get_by_role("heading", name="Что последует")).to_be_visible()
    assert visitor.complaints == []
    await visitor.context.close()
