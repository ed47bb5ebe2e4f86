"""The whole straight line: a customer calls a real Asterisk, the card is on the right screens, the journal tells it.

`ringcard serve` runs in a process of its own with its own PostgreSQL; everything is set up by the `ringcard` command and
the API; Chromium shows it. What our own second connection heard proves that the card was there before the answer.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from cti.calls.call_events import CallAnswered, CallEnded
from tests.pbx.asterisk_lab import AsteriskLab
from tests.pbx.browsers import chromium, screen
from tests.pbx.listening import listening
from tests.pbx.offices import PASSWORD, add_connection, add_user, api_of, until_up
from tests.pbx.ringcard_process import Ringcard
from tests.pbx.telephones import NEVER_SECONDS, agent, agents, customer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CLIENT = "ООО «Ромашка»"
NUMBER = "89161234567"
NUMBER_SHOWN = "+7 916 123-45-67"
SLOW_MS = 15_000  # what a busy machine may take; what must be quick is held against the call itself
SALES = "74951234520"
DIRECT_TO_101 = "74951234501"
LOGINS = {"101": "agent101", "103": "agent103", "104": "agent104"}  # 104 is in no queue: nothing pops there


@dataclass(frozen=True)
class Office:
    """A PBX, a running ringcard that listens to it, a browser."""

    pbx: AsteriskLab
    ringcard: Ringcard
    browser: Browser

    def screen(self, extension: str, *, is_server_stopped: bool = False) -> AbstractAsyncContextManager[Page]:
        login = LOGINS[extension]
        return screen(self.browser, self.ringcard.url, login, PASSWORD, is_server_stopped=is_server_stopped)

    async def last_in_journal(self) -> dict[str, Any]:
        """The latest call as `ringcard export calls` prints it, once none is open; each stands there once."""
        async with asyncio.timeout(30):
            while True:
                printed = await self.ringcard.run("export", "calls", "--json")
                calls = [json.loads(line) for line in printed.splitlines()]
                if not any(call["open"] for call in calls):
                    break
        linked_ids = [linked for call in calls for linked in call["linked_ids"]]
        assert len(linked_ids) == len(set(linked_ids)), "a call stands in the journal twice"
        return max(calls, key=lambda call: str(call["started_at"]))


@pytest.fixture(scope="module")
async def office(pbx: AsteriskLab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    ringcard = Ringcard(tmp_path_factory.mktemp("office"))
    async with ringcard.serving(), chromium() as browser:
        await set_up(ringcard, pbx)
        yield Office(pbx, ringcard, browser)
        print(ringcard.log())  # pytest shows it beside a failure


async def set_up(ringcard: Ringcard, pbx: AsteriskLab) -> None:
    """What an administrator does on the first day, and one client."""
    await asyncio.gather(
        add_connection(ringcard, pbx, "office"),
        add_user(ringcard, "chief", "admin"),
        *(add_user(ringcard, login, "agent") for login in LOGINS.values()),
    )
    await asyncio.gather(
        ringcard.run("line", "add", "office", SALES, "--name", "Продажи"),
        *(
            ringcard.run("extension", "assign", "office", extension, login)
            for extension, login in LOGINS.items()
        ),
    )
    async with await api_of(ringcard, "chief") as api:
        await until_up(api)
        client = {
            "type": "organisation",
            "short_name": CLIENT,
            "kinds": ["client"],
            "numbers": [{"number": NUMBER}],
        }
        async with api.post("/api/v1/parties", json=client) as answer:
            assert answer.status == 201, await answer.text()


def card(page: Page, state: str) -> Locator:
    """The window of our customer's call, in this state: ringing, talking, elsewhere, caller_left, ended."""
    return page.locator(f"call-window[data-state={state}]").filter(has_text=NUMBER_SHOWN)


async def test_the_card_is_on_the_right_screens_before_the_call_is_answered(office: Office) -> None:
    async with (
        office.screen("101") as silent,
        office.screen("103") as quick,
        office.screen("104") as outsider,
        listening(office.pbx) as heard,
        agents(office.pbx, e101=NEVER_SECONDS, e103=8),
    ):
        async with customer(office.pbx, NUMBER, SALES, name="ROMASHKA", stays=13):
            for page in (silent, quick):
                await expect(card(page, "ringing")).to_contain_text(CLIENT, timeout=SLOW_MS)
                await expect(card(page, "ringing")).to_contain_text("Продажи", timeout=SLOW_MS)
            assert not heard.told(CallAnswered), "the cards came only after the answer"
            await heard.until(CallAnswered, extension="103", seconds=15)
            await expect(card(silent, "elsewhere")).to_contain_text("Agent 103", timeout=SLOW_MS)
            await expect(card(quick, "talking")).to_be_visible(timeout=SLOW_MS)
            await expect(silent.locator("call-window")).to_have_count(0, timeout=SLOW_MS)
            await expect(card(quick, "talking")).to_be_visible(timeout=SLOW_MS)
        await expect(card(quick, "ended")).to_be_visible(timeout=SLOW_MS)
        assert await outsider.locator("call-window").count() == 0
    call = await office.last_in_journal()
    assert (call["direction"], call["did_raw"], call["queue"]) == ("inbound", SALES, "sales")
    assert (call["customer_number_raw"], call["customer_e164"]) == (NUMBER, "+79161234567")
    assert (sorted(call["rang"]), call["answered_by"], call["final_agent"]) == (["101", "103"], "103", "103")
    assert (call["disposition"], call["hung_up_by"]) == ("answered", "customer")
    assert 7.5 < call["wait_s"] < 10
    assert 2.5 < call["talk_s"] < 5.5


async def test_a_caller_who_gives_up_is_told_and_journalled(office: Office) -> None:
    async with office.screen("101") as page, agent(office.pbx, "101"):
        async with customer(office.pbx, NUMBER, DIRECT_TO_101, patience=4):
            await expect(card(page, "ringing")).to_contain_text(CLIENT, timeout=SLOW_MS)
        await expect(card(page, "caller_left")).to_be_visible(timeout=SLOW_MS)
    call = await office.last_in_journal()
    assert (call["disposition"], call["rang"], call["did_raw"]) == ("abandoned", ["101"], DIRECT_TO_101)


async def test_i16_a_killed_server_comes_back_to_the_call_and_tells_it_once(office: Office) -> None:
    async with (
        office.screen("103", is_server_stopped=True) as page,
        listening(office.pbx) as heard,
        agents(office.pbx, e103=1),
        customer(office.pbx, NUMBER, SALES, stays=20),
    ):
        await heard.until(CallAnswered, extension="103")
        await expect(card(page, "talking")).to_be_visible(timeout=SLOW_MS)
        await office.ringcard.stop(signal.SIGKILL)
        await office.ringcard.start()
        await expect(card(page, "talking")).to_be_visible(timeout=SLOW_MS)
        await page.reload()
        await expect(card(page, "talking")).to_be_visible(timeout=SLOW_MS)
        ended = await heard.until(CallEnded, seconds=30)
    call = await office.last_in_journal()
    assert (call["linked_ids"], call["answered_by"]) == ([ended.call.key], "103")
    assert (call["disposition"], call["did_raw"]) == ("answered", SALES)


def test_the_data_folder_needs_no_repair(office: Office) -> None:
    assert "Traceback" not in Path(office.ringcard.data, "serve.log").read_text(errors="replace")
