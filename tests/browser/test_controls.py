"""The hand on a live call, from its window: keys under the Russian layout and buttons, each pressed once and sent once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from sqlalchemy import select

from crm.database import Database
from crm.schema.base import uuid7
from crm.schema.tasks import Task
from cti.calls.call_events import CallEnded, CallEvent, CallUpdated
from cti.calls.records import CallState, Direction, Disposition
from cti.desk import Agent, Match, MatchParty
from cti.numbers import to_e164
from tests.browser.conftest import now
from tests.browser.test_dialling import until_asked
from tests.browser.test_pages import Visitor, visit
from tests.browser.test_pop import fresh, of
from tests.cti.desk.calls import answers, record, rings
from tests.keyboards import RussianKeyboard
from tests.web.frame import FakeDirectory
from tests.web.pages.office import Office, open_office
from tests.web.telephones import NotingTelephone
from web.keys import LIVE

pytestmark = pytest.mark.browser
EVERYTHING = frozenset(
    {"hang_up", "transfer", "consult", "cancel_consult", "mute", "park", "keys", "pause_recording", "deflect"}
)


@dataclass
class Line:
    """A telephone of the agent's that a test rings."""

    office: Office
    telephone: NotingTelephone
    page: Page
    visitor: Visitor

    def happen(self, call_id: UUID, event: CallEvent) -> None:
        assert self.office.server is not None
        number = to_e164(event.call.customer_number or "")  # type: ignore[union-attr]
        self.office.server.app[LIVE].deliver(self.office.desk.apply(1, call_id, fresh(event), number))

    def ring(self) -> UUID:
        call_id = uuid7()
        self.happen(call_id, rings("101", **of(call_id)))
        return call_id

    async def talk(self, **changes: Any) -> UUID:
        call_id = self.ring()
        self.happen(call_id, answers("101", **of(call_id), **changes))
        await expect(self.page.locator("call-window[data-state=talking]")).to_be_visible()
        return call_id

    async def asked(self) -> tuple[UUID, str, str]:
        """The one thing that was asked of the telephone since the last look."""
        await until_asked(self.telephone, 1)
        await self.page.wait_for_timeout(300)
        [(call_id, wanted)] = self.telephone.wanted
        self.telephone.wanted.clear()
        return call_id, wanted.control, wanted.to or wanted.keys


@pytest.fixture(scope="module")
def telephone(database: Database) -> NotingTelephone:
    return NotingTelephone(database.sessions)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def planted(
    database: Database, telephone: NotingTelephone, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    folder = Path(tmp_path_factory.mktemp("controls"))
    async with open_office(database, folder, language="ru", telephone=telephone) as office:
        people = office.people
        agents = {
            "101": Agent(user_id=people["agent"].user_id, name="Agent Example"),
            "102": Agent(user_id=people["manager"].user_id, name="Manager Example", team="Sales"),
        }
        office.desk.set_directory(FakeDirectory(agents=agents))
        office.desk.set_abilities(1, EVERYTHING)
        yield office


@pytest_asyncio.fixture(loop_scope="session")
async def line(planted: Office, telephone: NotingTelephone, chromium: Browser) -> AsyncIterator[Line]:
    telephone.wanted.clear()
    visitor = await visit(planted, chromium, "agent")
    await visitor.go("/notifications")
    yield Line(planted, telephone, visitor.page, visitor)
    planted.desk.forget_connection(1, now())
    agent = planted.people["agent"].user_id
    for call in planted.desk.hello(agent, now()).calls:
        planted.desk.dismiss(agent, call.id)
    assert visitor.complaints == []
    await visitor.context.close()


async def test_keys_park_pass_on_and_hang_up(line: Line) -> None:
    hands, call_id = await RussianKeyboard.of(line.page), await line.talk()
    await hands.alt("H")
    assert await line.asked() == (call_id, "park", "")
    await hands.alt("R")
    to = line.page.get_by_label("Кому: коллега или номер")
    await expect(to).to_be_focused()
    await hands.types("102")
    await hands.presses("Enter")
    assert await line.asked() == (call_id, "transfer", "102")
    await hands.alt("X")
    assert await line.asked() == (call_id, "hang_up", "")


async def test_inside_the_window_the_letters_do_without_alt(line: Line) -> None:
    hands, call_id = await RussianKeyboard.of(line.page), await line.talk()
    await hands.presses("F2")  # the comment: letters are letters
    await hands.types("чр")
    await expect(line.page.get_by_label("Комментарий")).to_have_value("чр")
    assert line.telephone.wanted == []
    await line.page.get_by_role("button", name="Свернуть или показать").focus()
    await hands.types("ь")  # M: the key that mutes
    assert await line.asked() == (call_id, "mute", "")


async def test_a_ringing_call_is_declined_by_key_and_sent_to_a_colleague(line: Line) -> None:
    hands, call_id = await RussianKeyboard.of(line.page), line.ring()
    await expect(line.page.locator("call-window[data-state=ringing]")).to_be_visible()
    await expect(line.page.get_by_role("button", name="Отклонить")).to_be_visible()
    await hands.alt("X")
    assert await line.asked() == (call_id, "decline", "")
    await line.page.get_by_role("button", name="Перевести").click()
    await line.page.get_by_role("button", name="Manager Example").click()
    await line.page.get_by_role("button", name="Направить туда").click()
    assert await line.asked() == (call_id, "deflect", "102")


async def test_tones_recording_and_a_talk_apart_before_the_call_is_passed_on(line: Line) -> None:
    page, call_id = line.page, await line.talk(recording_file="call.wav")
    await page.get_by_role("button", name="Клавиши").click()
    pad = page.get_by_role("group", name="Клавиши")
    await pad.get_by_role("button", name="5").click()
    assert await line.asked() == (call_id, "keys", "5")
    await pad.get_by_role("button", name="#").click()
    assert await line.asked() == (call_id, "keys", "#")
    await page.get_by_role("button", name="Приостановить запись").click()
    assert await line.asked() == (call_id, "pause_recording", "")
    assert line.office.server is not None
    hub = line.office.server.app[LIVE]
    hub.deliver(line.office.desk.set_recording_paused(call_id, is_paused=True))
    await page.get_by_role("button", name="Продолжить запись").click()
    assert await line.asked() == (call_id, "resume_recording", "")
    await page.get_by_role("button", name="Перевести", exact=True).click()
    await page.get_by_label("Кому: коллега или номер").fill("102")
    await page.get_by_role("button", name="Сначала поговорить").click()
    assert await line.asked() == (call_id, "consult", "102")
    apart = record(**of(call_id), state=CallState.HELD, talking=(), consulting=("101",))
    line.happen(call_id, CallUpdated(call=apart, what="hold", at=now()))
    await page.get_by_role("button", name="Вернуться к клиенту").click()
    assert await line.asked() == (call_id, "cancel_consult", "")


async def test_alt_l_opens_a_lead_about_whoever_calls_and_the_latest_communications_unfold(
    line: Line,
) -> None:
    page, call_id = line.page, await line.talk()
    hands = await RussianKeyboard.of(page)
    await expect(page.locator(".call-details .pop-name")).to_contain_text("ООО «Пример»")
    await page.get_by_text("Последние коммуникации").click()
    await expect(page.locator(".pop-latest .timeline-item").first).to_be_visible()
    await hands.alt("L")
    await expect(page.locator("h1")).to_have_text("Новый лид")
    assert f"call_id={call_id}" in page.url
    assert f"party_id={line.office.firm_id}" in page.url
    await expect(page.locator("call-window[data-state=talking]")).to_be_visible()


async def test_whom_we_called_in_vain_is_called_again_or_later(line: Line) -> None:
    page, call_id = line.page, uuid7()
    ours: dict[str, Any] = {**of(call_id), "direction": Direction.OUTBOUND, "placed_by": "101"}
    dialling = record(**ours, state=CallState.ARRIVED)
    line.happen(call_id, CallUpdated(call=dialling, what="number", at=now()))
    assert line.office.server is not None
    party = MatchParty(id=line.office.firm_id, name="ООО «Пример»")
    match = Match(outcome="matched", parties=(party,))
    line.office.server.app[LIVE].deliver(line.office.desk.set_match(call_id, match, now()))
    await expect(page.locator(".call-details .pop-name")).to_contain_text("ООО «Пример»")
    over = record(**ours, state=CallState.ENDED, disposition=Disposition.NO_ANSWER, ended_at=now())
    line.happen(call_id, CallEnded(call=over, at=now()))
    await expect(page.locator(".call-end")).to_have_text("Не отвечает")
    await page.get_by_role("button", name="Перезвонить позже").click()
    title = page.get_by_label("Новая задача")
    await expect(title).to_have_value("Перезвонить: ООО «Пример»")
    await title.press("Enter")
    await expect(page.locator(".call-task [role=status]")).to_be_visible()
    async with line.office.database.sessions() as session:
        found = select(Task.kind, Task.party_id).where(Task.title == "Перезвонить: ООО «Пример»")
        assert (await session.execute(found)).all() == [("call", line.office.firm_id)]
    await page.get_by_role("link", name="Повторить").click()
    await expect(page.locator("#notices")).to_contain_text("Поднимите трубку")
    assert [click.number for click in line.telephone.clicks] == ["+74951203344"]


async def test_after_a_reload_too_whom_we_called_in_vain_is_called_back_later(line: Line) -> None:
    page, call_id = line.page, uuid7()
    ours: dict[str, Any] = {**of(call_id), "direction": Direction.OUTBOUND, "placed_by": "101"}
    line.happen(call_id, CallUpdated(call=record(**ours, state=CallState.ARRIVED), what="number", at=now()))
    over = record(**ours, state=CallState.ENDED, disposition=Disposition.NO_ANSWER, ended_at=now())
    line.happen(call_id, CallEnded(call=over, at=now()))
    await page.reload()
    await page.get_by_role("button", name="Перезвонить позже").click()
    await expect(page.get_by_label("Новая задача")).to_have_value(re.compile("^Перезвонить: "))
