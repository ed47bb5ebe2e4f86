"""The shift monitor in Chromium: it follows the socket, at both sizes, light and dark, without a complaint."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from crm.database import Database
from crm.schema.base import uuid7
from cti.calls.presence_events import (
    CallerLeft,
    CallerWaits,
    DeviceChanged,
    DeviceState,
    MemberSeen,
    PresenceEvent,
    QueueMember,
)
from cti.desk import Agent, ConnectionView, Message, OwnLine
from cti.numbers import to_e164
from tests.browser.conftest import DESKTOP, PHONE, axe
from tests.browser.test_pages import visit
from tests.cti.desk.calls import rings
from tests.web.frame import FakeDirectory
from tests.web.pages.office import Office, open_office
from web.keys import LIVE

pytestmark = pytest.mark.browser
START = datetime.now(UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def planted(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    async with open_office(database, Path(tmp_path_factory.mktemp("office")), language="ru") as office:
        yield office


def member(extension: str, **more: object) -> MemberSeen:
    device = f"PJSIP/{extension}"
    values = {"queue": "sales", "interface": device, "device": device, "extension": extension} | more
    return MemberSeen(member=QueueMember(**values), at=START)  # type: ignore[arg-type]


def tell(office: Office, messages: list[Message]) -> None:
    assert office.server is not None
    office.server.app[LIVE].deliver(messages)


def hear(office: Office, *events: PresenceEvent) -> None:
    tell(office, office.desk.shift.hear(1, events))


def begin(office: Office) -> None:
    """Three people of two teams at their telephones, one queue, nobody calls."""
    people = {"101": ("agent", "Продажи"), "102": ("manager", "Продажи"), "103": ("stranger", "Сервис")}
    agents = {
        extension: Agent(
            user_id=office.people[who].user_id,
            name=office.people[who].name,
            team_id=office.people[who].team_id,
            team=team,
        )
        for extension, (who, team) in people.items()
    }
    office.desk.forget_connection(1)
    office.desk.set_directory(
        FakeDirectory(agents, {"84950000001": OwnLine(id=1, name="Продажи", colour="#1665d8")}), START
    )
    tell(office, office.desk.set_connection(ConnectionView(id=1, name="АТС", state="up"), START))
    hear(office, member("101", state=DeviceState.IDLE), member("102", state=DeviceState.IDLE))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_the_shift_follows_the_socket(
    planted: Office, chromium: Browser, size: dict[str, Any], theme: str
) -> None:
    begin(planted)
    visitor = await visit(planted, chromium, color_scheme=theme, **size)
    page = visitor.page
    await visitor.go("/live-calls")
    agents, queues = page.locator("#live-agents"), page.locator("#live-queues")
    await expect(agents.locator("li", has_text="Agent Example")).to_contain_text("Доступен")
    await expect(queues).to_contain_text("никто не ждёт")
    await expect(page.locator("#live-lines")).to_contain_text("Никто не ждёт")
    await expect(page.locator("#live-figures")).to_contain_text("Входящих сегодня")
    await page.wait_for_timeout(300)
    since, key = START + timedelta(seconds=1), f"{theme}.{size['viewport']['width']}"
    ringing = rings("101", queue="sales", key=key, linked_ids=(key,))
    tell(planted, planted.desk.apply(1, uuid7(), ringing, to_e164("+74951203344")))
    hear(
        planted,
        member("101", state=DeviceState.RINGING),
        member("102", is_paused=True, pause_reason="Обед"),
        CallerWaits(queue="sales", channel_id=key, linked_id=key, position=1, since=since, at=since),
        DeviceChanged(device="PJSIP/103", state=DeviceState.UNAVAILABLE, at=since),
    )
    await expect(agents.locator("li", has_text="Agent Example")).to_contain_text("Звонит")
    await expect(agents.locator("li", has_text="Manager Example")).to_contain_text("На паузе")
    await expect(agents.locator("li", has_text="Manager Example")).to_contain_text("Обед")
    await expect(agents.locator("li", has_text="Stranger Example")).to_contain_text("телефон недоступен")
    await expect(queues).to_contain_text("1 ждёт")
    await expect(queues).to_contain_text("+7 495 120-33-44")
    await expect(page.locator("#live-lines")).to_contain_text("Продажи")
    await expect(page.locator("#live-rows")).to_contain_text("Звонит")
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    height = await page.evaluate("document.documentElement.scrollHeight")
    await page.set_viewport_size({"width": size["viewport"]["width"], "height": height + 100})
    assert await axe(page) == []
    await page.get_by_label("Отдел").select_option(label="Сервис")
    await expect(agents.locator("li")).to_have_count(1)
    hear(planted, CallerLeft(queue="sales", channel_id=key, at=since))
    await expect(queues).to_contain_text("никто не ждёт")
    hear(planted, DeviceChanged(device="PJSIP/103", state=DeviceState.IDLE, at=since))
    await expect(agents.locator("li", has_text="Stranger Example")).to_contain_text("Доступен")
    await expect(agents.locator("li")).to_have_count(1)
    assert visitor.complaints == []
    await visitor.context.close()
