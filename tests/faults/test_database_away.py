"""The database is away for three minutes under load: pops go on, what agents type is kept, and all of it is stored after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from playwright.async_api import Page, expect

from ami_adapter.demo.recording import load_recording
from bench.agents import percentile
from tests.daemon.test_straight_line import capture
from tests.faults.floor import EXTENSIONS, SHARE, Floor, PostgresAway, between, eventually, open_floor, told
from tests.pbx.browsers import chromium, screen

pytestmark = pytest.mark.faults

AWAY_SECONDS = max(20.0, 180 * SHARE)
CALLS_PER_SECOND = 10
TYPED = "Просит счёт на поставку, перезвонить до пятницы"
TASK = "Подготовить счёт вымышленной компании «Небывалый лес»"
PASSWORD = "for the people of this test"
SLOW_MS = 90_000


@pytest.mark.parametrize(
    "take_away", [PostgresAway.freeze, PostgresAway.crash], ids=["it hangs", "it is killed"]
)
async def test_i13_pops_go_on_and_nothing_typed_or_told_is_lost(
    take_away: Callable[[PostgresAway], None],
) -> None:
    async with open_floor() as floor, chromium() as browser:
        await _employ(floor)
        await floor.start()
        patience_ms = await floor.patience_ms(per_second=CALLS_PER_SECOND)
        postgres = PostgresAway(floor.ringcard.data)
        try:
            async with (
                screen(browser, floor.ringcard.url, "nina", PASSWORD, is_server_stopped=True) as page,
                floor.agents() as agents,
            ):
                await page.goto(f"{floor.ringcard.url}/tasks/new")
                await _talk(floor, page)
                storm = asyncio.create_task(floor.storm(AWAY_SECONDS + 20, per_second=CALLS_PER_SECOND))
                await asyncio.sleep(5)
                began = time.perf_counter()
                take_away(postgres)
                await _type(page)
                await _come_back(floor)
                await asyncio.sleep(max(0.0, AWAY_SECONDS - (time.perf_counter() - began)))
                assert "database" in await floor.troubles()
                ended = time.perf_counter()
                await postgres.give_back()
                calls = await storm
                away = await told(between(calls, began, ended), agents)
                await _kept(floor, page)
            await floor.until_stored()
            await _judge(floor)
        finally:
            await postgres.give_back()
            await floor.ringcard.stop()
            await postgres.leave()
    assert away.missing == 0
    assert len(away.ringing) > 0.9 * AWAY_SECONDS * CALLS_PER_SECOND
    assert percentile(away.ringing, 99) <= patience_ms


async def _employ(floor: Floor) -> None:
    """Nina works at 101, with a browser; the storm rings at everybody else."""
    run = floor.ringcard.run
    who = ("nina", "--name", "Nina", "--role", "agent", "--password-stdin")
    await run("user", "add", *who, stdin=PASSWORD)
    await run("extension", "assign", "lab", "101", "nina")


async def _talk(floor: Floor, page: Page) -> None:
    """A recorded call that is answered at 101: its window has room for a comment."""
    await page.locator("line-state[data-state=up]").first.wait_for(state="attached", timeout=SLOW_MS)
    await floor.pbx.play(load_recording(capture("01-inbound-answered")))
    await expect(page.get_by_label("Комментарий")).to_be_visible(timeout=SLOW_MS)


async def _type(page: Page) -> None:
    """A comment, which is told to wait; and a task, whose form keeps what stands in it."""
    await page.get_by_label("Комментарий").fill(TYPED)
    await expect(page.locator(".note-state")).to_have_text("не сохранено", timeout=SLOW_MS)
    await page.locator("#main [name=title]").fill(TASK)
    await page.locator("#main [name=title]").press("Enter")
    await expect(page.locator("#notices")).not_to_be_empty(timeout=SLOW_MS)


async def _come_back(floor: Floor) -> None:
    """A page that loses its socket meanwhile hears its calls again."""
    async with floor.office.listening(EXTENSIONS[0]) as again:
        await again.until_type("call.ringing", seconds=SLOW_MS / 1000)


async def _kept(floor: Floor, page: Page) -> None:
    """The comment is stored by itself; the form goes through when it is sent again."""
    await expect(page.locator(".note-state")).to_have_text("сохранено", timeout=SLOW_MS)
    await expect(page.locator("#main [name=title]")).to_have_value(TASK)
    await page.locator("#main [name=title]").press("Enter")
    await eventually(lambda: floor.rows("select 1 from task"), SLOW_MS / 1000)


async def _judge(floor: Floor) -> None:
    stored = await floor.stored()
    rows_of = {call.caller: stored.get(call.caller, []) for call in floor.calls}
    assert [number for number, rows in rows_of.items() if len(rows) != 1] == []
    wrong = {number: rows for number, rows in rows_of.items() if rows[0].disposition != "abandoned"}
    assert wrong == {}
    cases = await floor.rows("select e164, count(*) from callback_case group by e164")
    assert {number: count for number, count in cases if number in rows_of} == dict.fromkeys(rows_of, 1)
    assert [text for (text,) in await floor.rows("select text from call_note")] == [TYPED]
    assert [title for (title,) in await floor.rows("select title from task")] == [TASK]
    assert await floor.gaps() == [], "the PBX was heard all the time"
