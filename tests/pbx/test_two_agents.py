"""A morning of two agents at a real Asterisk, without a mouse and under the Russian layout: a stranger calls, becomes a client,
gets a task, goes on to a colleague with a note, is wrapped up; a missed caller is called back by somebody else.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.keyboards import RussianKeyboard
from tests.pbx.asterisk_lab import DIALLER, AsteriskLab
from tests.pbx.browsers import chromium, screen
from tests.pbx.offices import PASSWORD, add_connection, add_user, api_of, until_up
from tests.pbx.ringcard_process import Ringcard
from tests.pbx.telephones import agents, customer, far_end

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.parametrize("pbx", ["sid"], ids=["asterisk22"], indirect=True),
]

SLOW_MS = 20_000
TO_101, TO_102 = "74951234501", "74951234502"
STRANGER, STRANGER_SHOWN = "89161230077", "+7 916 123-00-77"
MISSED, MISSED_E164, MISSED_SHOWN = "89161230078", "+79161230078", "+7 916 123-00-78"
TALK_THAT_COUNTS = re.compile("0:0[6-9]|0:[1-5]")  # of a talk under five seconds nobody says it was one
NOTE = "Ждёт счёт до пятницы"


@dataclass(frozen=True)
class Desk:
    """An agent's screen and the hands at its keyboard."""

    page: Page
    hands: RussianKeyboard

    def window(self, state: str, shown: str) -> Locator:
        return self.page.locator(f"call-window[data-state={state}]").filter(has_text=shown)

    async def sees(self, state: str, shown: str, *texts: str) -> None:
        for text in texts or ("",):
            await expect(self.window(state, shown)).to_contain_text(text, timeout=SLOW_MS)

    async def tabs_to(self, target: Locator, *, most: int = 90) -> None:
        """Press Tab until it has the focus."""
        await expect(target).to_be_visible(timeout=SLOW_MS)
        for _press in range(most):
            if await target.evaluate("(element) => element === document.activeElement"):
                return
            await self.hands.presses("Tab")
        raise AssertionError(f"{target} is not reached by Tab")

    async def wraps_up(self, shown: str) -> None:
        """The first outcome, and «Готово»."""
        form = self.window("ended", shown).locator("call-wrap-up")
        await expect(form).to_contain_text("Осталось", timeout=SLOW_MS)
        await self.hands.presses("F2")
        await self.tabs_to(form.get_by_role("radio").first)
        await self.hands.types("1")
        await expect(form.get_by_role("radio").first).to_be_checked()
        await self.hands.presses("Control+Enter")
        await expect(self.window("ended", shown)).to_have_count(0, timeout=SLOW_MS)


@dataclass(frozen=True)
class Office:
    pbx: AsteriskLab
    api: aiohttp.ClientSession
    first: Desk
    second: Desk

    async def asked(self, path: str) -> list[dict[str, Any]]:
        async with self.api.get(path) as answer:
            assert answer.status == 200, await answer.text()
            items: list[dict[str, Any]] = (await answer.json())["items"]
            return items


@pytest.fixture
async def office(pbx: AsteriskLab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    ringcard = Ringcard(tmp_path_factory.mktemp("two-agents"))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(ringcard.serving())
        browser = await stack.enter_async_context(chromium())
        await set_up(ringcard, pbx)
        api = await stack.enter_async_context(await api_of(ringcard, "chief"))
        await until_up(api)
        await give_dialling_account(browser, ringcard, pbx)
        desks = [await stack.enter_async_context(desk(browser, ringcard, name)) for name in ("101", "102")]
        await stack.enter_async_context(agents(pbx, e101=2, e102=6))
        yield Office(pbx, api, *desks)
        print(ringcard.log())  # pytest shows it beside a failure


async def set_up(ringcard: Ringcard, pbx: AsteriskLab) -> None:
    await asyncio.gather(
        add_connection(ringcard, pbx, "office"),
        add_user(ringcard, "chief", "admin"),
        *(add_user(ringcard, f"agent{extension}", "agent") for extension in ("101", "102")),
    )
    await asyncio.gather(
        ringcard.run("line", "add", "office", TO_102, "--name", "Сервис"),
        *(
            ringcard.run("extension", "assign", "office", extension, f"agent{extension}")
            for extension in ("101", "102")
        ),
    )


async def give_dialling_account(browser: Browser, ringcard: Ringcard, pbx: AsteriskLab) -> None:
    """The administrator types the second account of the PBX in."""
    async with screen(browser, ringcard.url, "chief", PASSWORD) as page:
        await page.goto(f"{ringcard.url}/admin/connections/1/dialling")
        await page.locator("[name=user]").fill(DIALLER)
        await page.locator("[name=secret]").fill(pbx.secret_of(DIALLER))
        await page.locator("[name=context]").fill("ringcard-click-to-call")
        await page.locator("[name=transfer_context]").fill("from-internal")
        await page.get_by_role("button", name="Сохранить").click()
        await page.wait_for_url(lambda address: "saved=1" in address)


@asynccontextmanager
async def desk(browser: Browser, ringcard: Ringcard, extension: str) -> AsyncIterator[Desk]:
    async with screen(browser, ringcard.url, f"agent{extension}", PASSWORD) as page:
        await page.goto(f"{ringcard.url}/desk")
        yield Desk(page, await RussianKeyboard.of(page))


async def test_a_stranger_becomes_a_client_and_a_missed_caller_is_called_back(office: Office) -> None:
    first, second = office.first, office.second
    async with customer(office.pbx, STRANGER, TO_101, stays=180):
        await first.sees("ringing", STRANGER_SHOWN, "Неизвестный номер")
        await first.sees("talking", STRANGER_SHOWN)
        await makes_a_client(first, "Отдел закупок")
        await sets_a_task(first, "Прислать счёт")
        await passes_on(first, "102", "Счёт", NOTE)
        await second.sees("ringing", STRANGER_SHOWN, "Agent 101", "Счёт", NOTE, "Отдел закупок")
        await second.sees("talking", STRANGER_SHOWN, NOTE)
        await second.hands.alt("C")
        await second.hands.types("Счёт выставлен")
        await second.hands.alt("X")
    await second.wraps_up(STRANGER_SHOWN)
    await came_true(office)

    async with customer(office.pbx, MISSED, TO_102, patience=3):
        await second.sees("ringing", MISSED_SHOWN)
    await second.sees("caller_left", MISSED_SHOWN)
    await calls_back(office)


async def makes_a_client(desk: Desk, name: str) -> None:
    """«Кто звонит?»: searched for first, then created in two fields."""
    who = desk.window("talking", STRANGER_SHOWN).locator("call-who")
    await expect(who).to_be_visible(timeout=SLOW_MS)
    await desk.hands.alt("S")
    await expect(who.locator("[data-who-search]")).to_be_focused()
    await desk.hands.types(name)
    await expect(who.locator(".call-who-found")).not_to_be_empty(timeout=SLOW_MS)
    await desk.tabs_to(who.locator("[data-who-name]"))
    await desk.hands.types(name)
    await desk.hands.presses("Enter")
    await expect(who).to_have_count(0, timeout=SLOW_MS)
    await desk.sees("talking", name)


async def sets_a_task(desk: Desk, title: str) -> None:
    await desk.hands.alt("T")
    field = desk.page.locator(".call-task input[name=title]")
    await expect(field).to_be_focused(timeout=SLOW_MS)
    await desk.hands.types(title)
    await desk.hands.presses("Enter")
    await expect(desk.page.locator(".call-task [role=status]")).to_contain_text(title, timeout=SLOW_MS)


async def passes_on(desk: Desk, to: str, reason: str, note: str) -> None:
    await desk.hands.alt("R")
    panel = desk.page.locator("form.control-panel")
    await expect(panel.locator("input[name=to]")).to_be_focused(timeout=SLOW_MS)
    await desk.hands.types(to)
    await desk.tabs_to(panel.locator("input[name=reason]"))
    await desk.hands.types(reason)
    await desk.hands.presses("Tab")
    await desk.hands.types(note)
    await desk.tabs_to(panel.get_by_role("button", name="Перевести сразу"))
    await desk.hands.presses("Enter")


async def came_true(office: Office) -> None:
    """The call, its client, the task and the hand-over stand in the books."""
    [call] = await office.asked("/api/v1/calls")
    [task] = await office.asked("/api/v1/tasks")
    [party] = await office.asked("/api/v1/parties?q=" + quote("Отдел закупок"))
    assert (call["disposition"], call["final_agent"], call["customer_e164"]) == (
        "answered",
        "102",
        "+79161230077",
    )
    assert (call["party_id"], task["party_id"]) == (party["id"], party["id"])
    assert task["title"] == "Прислать счёт"


async def calls_back(office: Office) -> None:
    """The other agent: to the list by keyboard, a number, Enter; the talk settles the case."""
    first = office.first
    [case] = await until(lambda: office.asked("/api/v1/callbacks"), bool)
    assert (case["e164"], case["state"]) == (MISSED_E164, "open")
    await first.page.locator("#main").focus()
    await first.tabs_to(first.page.locator("footer a[href='/missed']"))
    await first.hands.presses("Enter")
    await first.tabs_to(first.page.locator("#missed-rows a[href^='tel:']"))
    async with far_end(office.pbx, answers_after=1):
        await first.hands.presses("Enter")
        await first.sees("lift", MISSED_SHOWN, "Поднимите трубку")
        await first.sees("talking", MISSED_SHOWN)
        talk = first.window("talking", MISSED_SHOWN).locator(".call-timer")
        await expect(talk).to_have_text(TALK_THAT_COUNTS, timeout=SLOW_MS)
        await first.hands.alt("X")
        await first.wraps_up(MISSED_SHOWN)
    await until(lambda: office.asked("/api/v1/callbacks"), lambda waiting: not waiting)
    await expect(first.page.locator("footer missed-badge").first.locator(".bell-count")).to_be_hidden()


async def until(
    ask: Callable[[], Awaitable[list[dict[str, Any]]]], fits: Callable[[list[dict[str, Any]]], bool]
) -> list[dict[str, Any]]:
    """What is answered once it fits, within twenty seconds."""
    async with asyncio.timeout(SLOW_MS / 1000):
        while not fits(found := await ask()):
            await asyncio.sleep(0.2)
    return found
