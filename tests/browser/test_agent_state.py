"""One's own state in the bottom bar: shown with its time, switched from any page and by keyboard, the same in all tabs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect
from sqlalchemy import delete, select

from crm.agent_wishes import stored_wishes, write_wish
from crm.schema.desk import AgentWish
from cti.calls.presence_events import DeviceChanged, DeviceState
from cti.desk import AgentState, Wish
from tests.browser.conftest import DESKTOP, PHONE, Company, Office, axe, now
from tests.keyboards import RussianKeyboard

pytestmark = pytest.mark.browser


@pytest_asyncio.fixture(autouse=True)
async def nobody_wishes(company: Company) -> AsyncIterator[None]:
    yield
    async with company.database.sessions.begin() as session:
        await session.execute(delete(AgentWish))


async def heard(office: Office) -> None:
    """What the program does when the database tells it of a wish, and the telephone answers."""
    async with office.company.database.sessions() as session:
        wishes = {user_id: one.wish for user_id, one in (await stored_wishes(session)).items()}
    office.hub.deliver(office.desk.shift.set_wishes(wishes, now()))
    office.hub.deliver(office.desk.shift.own_states.tell(now()))


def state(page: Page) -> Locator:
    return page.locator("agent-state")


async def wish_of(office: Office, login: str = "agent") -> tuple[str, str | None] | None:
    async with office.company.database.sessions() as session:
        query = select(AgentWish.state, AgentWish.reason).where(
            AgentWish.user_id == office.company.users[login]
        )
        row = (await session.execute(query)).first()
    return (row.state, row.reason) if row else None


async def test_the_shift_begins_pauses_and_ends_in_all_tabs(office: Office) -> None:
    context = await office.browser("agent")
    here, there = [await office.open(context, path) for path in ("/parties", "/tasks")]
    elsewhere = await office.enter("agent", "/me")
    office.hub.deliver(
        office.desk.shift.hear(1, [DeviceChanged(device="PJSIP/101", state=DeviceState.IDLE, at=now())])
    )
    await state(here).get_by_role("button").first.click()
    await expect(state(here).get_by_role("button", name="Закончить смену")).to_have_count(0)
    await state(here).get_by_role("button", name="Начать смену").click()
    await expect(state(here).locator(".agent-panel")).to_be_hidden()
    assert await wish_of(office) == ("available", None)
    await heard(office)
    for page in (here, there, elsewhere):
        await expect(state(page).locator(".agent-word")).to_have_text("Доступен")
        await expect(state(page).locator(".agent-clock")).to_have_text(re.compile(r"^\d:\d\d$"))
    await state(there).get_by_role("button").first.click()
    await state(there).get_by_role("button", name="Пауза: Обед").click()
    await expect(state(there).locator(".agent-panel")).to_be_hidden()
    await heard(office)
    for page in (here, there, elsewhere):
        await expect(state(page).locator(".agent-word")).to_have_text("Обед")
        await expect(state(page)).to_have_attribute("data-state", "paused")
    assert await wish_of(office) == ("paused", "Lunch")
    later = await office.open(context, "/calls")
    await expect(state(later).locator(".agent-word")).to_have_text("Обед")
    await state(later).get_by_role("button").first.click()
    await state(later).get_by_role("button", name="Закончить смену").click()
    await expect(state(later).locator(".agent-panel")).to_be_hidden()
    await heard(office)
    await expect(state(here).locator(".agent-word")).to_have_text("не на смене")


async def test_what_the_pbx_says_is_shown_also_in_an_open_panel(office: Office) -> None:
    page = await office.enter("agent", "/parties")
    office.hub.deliver(
        office.desk.shift.hear(1, [DeviceChanged(device="PJSIP/101", state=DeviceState.IDLE, at=now())])
    )
    agent = office.company.users["agent"]
    async with office.company.database.sessions.begin() as session:
        await write_wish(session, agent, Wish(AgentState.AVAILABLE))
    await heard(office)
    await state(page).get_by_role("button").first.click()
    await expect(state(page).locator("[data-wish]").first).to_contain_text("Пауза")
    async with office.company.database.sessions.begin() as session:
        await write_wish(session, agent, Wish(AgentState.PAUSED, "At the telephone"), is_pbxs=True)
    await heard(office)
    await expect(state(page).locator(".agent-word")).to_have_text("С телефона")
    await expect(state(page).get_by_role("button", name="Продолжить")).to_be_visible()


async def test_by_keyboard_alone_under_the_russian_layout(office: Office) -> None:
    page = await office.enter("agent", "/parties/new")
    field = page.locator("#f-organisation")
    await field.fill("ООО «Набрано»")
    hands = await RussianKeyboard.of(page)
    await hands.alt("W")
    await expect(state(page).get_by_role("button", name="Начать смену")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(state(page).get_by_role("button").first).to_be_focused()
    await heard(office)
    await page.keyboard.press("Enter")
    await expect(state(page).get_by_role("button", name="Пауза: Обед")).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Escape")
    await expect(state(page).locator(".agent-panel")).to_be_hidden()
    assert await wish_of(office) == ("available", None)
    await expect(field).to_have_value("ООО «Набрано»")


async def test_a_reason_that_is_gone_is_refused_in_words(office: Office) -> None:
    office.expect("422")
    page = await office.enter("agent", "/parties")
    async with office.company.database.sessions.begin() as session:
        await write_wish(session, office.company.users["agent"], Wish(AgentState.AVAILABLE))
    await state(page).get_by_role("button").first.click()
    lunch = state(page).get_by_role("button", name="Пауза: Обед")
    await lunch.evaluate("(one) => (one.dataset.reason = 'No more')")
    await lunch.click()
    await expect(state(page).locator("[data-outcome]")).to_contain_text("Выберите")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_the_panel_and_the_banner_are_accessible(
    office: Office, size: dict[str, Any], theme: str
) -> None:
    page = await office.enter("agent", "/notifications", color_scheme=theme, **size)
    async with office.company.database.sessions.begin() as session:
        await write_wish(session, office.company.users["agent"], Wish(AgentState.PAUSED, "Lunch"))
    await heard(office)
    await state(page).get_by_role("button").first.click()
    await expect(state(page).get_by_role("button", name="Продолжить")).to_be_visible()
    dot = await page.locator(".agent-dot").bounding_box()
    assert dot is not None
    assert dot["width"] > 5  # also where the words have no room
    office.hub.set_database_away(True)
    await expect(page.locator("database-banner")).to_contain_text("База данных не отвечает")
    assert await axe(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    office.hub.set_database_away(False)
    await expect(page.locator("database-banner [role=status]")).to_be_empty()
