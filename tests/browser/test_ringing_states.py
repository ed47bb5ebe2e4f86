"""The eight states of a ringing window (crm-model 13.1), each under its own name, as the agent sees them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Locator, expect
from sqlalchemy import insert, update

from crm.numbers import NumberValues
from crm.parties import create_party, person_values
from crm.rights import command_access
from crm.schema.base import uuid7
from crm.schema.communications import Call, Communication
from crm.schema.telephony import NumberNote
from cti.calls.records import Direction, Transfer
from cti.desk import HandOverCard
from tests.browser.conftest import Office, now
from tests.browser.test_pop import fresh, of, ring, window
from tests.browser.test_windows import stored
from tests.cti.desk.calls import rings

pytestmark = pytest.mark.browser
CLIENT = "+74951203344"


async def rung(office: Office, **changes: Any) -> tuple[Locator, UUID]:
    page = await office.enter("agent", "/notifications")
    call_id = await ring(office, **changes)
    return window(page, "ringing"), call_id


async def earlier(office: Office, number: str, *minutes: int) -> None:
    """Calls of this number so long ago."""
    for ago in minutes:
        call_id, at = uuid7(), now() - timedelta(minutes=ago)
        await stored(office, call_id, number)
        async with office.company.database.sessions.begin() as session:
            over = {"state": "ended", "started_at": at, "ended_at": at + timedelta(seconds=9)}
            await session.execute(update(Call).where(Call.id == call_id).values(over))
            began = update(Communication).where(Communication.id == call_id)
            await session.execute(began.values(started_at=at))


async def test_ringing_loading_the_number_the_line_and_the_time_at_once(office: Office) -> None:
    page = await office.enter("agent", "/notifications")
    await page.route("**/pop", lambda asked: asked.abort())
    office.expect("ERR_FAILED")
    await ring(office)
    shown = window(page, "ringing")
    await expect(shown.locator(".pop-name")).to_have_text("+7 495 120-33-44")
    await expect(shown.locator(".call-line")).to_have_text("Продажи")
    await expect(shown.locator(".call-timer")).not_to_be_empty()


async def test_ringing_matched_who_it_is_and_whose_client(office: Office) -> None:
    shown, call_id = await rung(office)
    office.recognise(call_id, (office.company.client_id, "ООО «Пример»"))
    details = shown.locator(".call-details")
    await expect(details.locator(".pop-name")).to_contain_text("ООО «Пример»")
    await expect(details).to_contain_text("Клиент")
    await expect(details).to_contain_text("Московская обл.")
    await expect(details.locator("dd").first).to_have_text("Вы")
    await expect(details.get_by_role("link", name="Открыть карточку")).to_be_visible()


async def test_ringing_ambiguous_the_list_of_whom_it_may_be(office: Office) -> None:
    number = NumberValues(presented="+7 495 777-00-31", is_shared=True)
    async with office.company.database.sessions.begin() as session:
        for name in ("Первая", "Вторая", "Третья"):
            await create_party(
                session, command_access(), person_values(name), kinds=["client"], numbers=[number]
            )
    shown, call_id = await rung(office, customer_number="+74957770031")
    office.recognise(call_id, (1, "Первая"), (2, "Вторая"), outcome="ambiguous")
    await expect(shown.locator(".call-details .pop-name")).to_have_text("Общий номер: кто-то из 3")
    await expect(shown.locator(".pop-candidates kbd")).to_have_text(["1", "2", "3"])


async def test_ringing_unknown_the_number_its_place_its_past_and_the_spam_mark(office: Office) -> None:
    await earlier(office, "+79161230041", 60 * 30, 60 * 50)
    async with office.company.database.sessions.begin() as session:
        await session.execute(insert(NumberNote).values(kind="spam", e164="+79161230041"))
    shown, call_id = await rung(office, customer_number="+79161230041")
    office.recognise(call_id, outcome="unknown")
    details = shown.locator(".call-details")
    await expect(details.locator(".pop-number")).to_have_text("+7 916 123-00-41")
    await expect(details).to_contain_text("Неизвестный номер · Россия, моб.")
    await expect(details).to_contain_text("до этого 2 звонка")
    await expect(details.locator(".pop-marks")).to_contain_text("Спам")


async def test_ringing_hidden_says_so(office: Office) -> None:
    shown, call_id = await rung(office, customer_number="anonymous")
    office.recognise(call_id, outcome="hidden")
    await expect(shown.locator(".call-details .pop-name")).to_have_text("Номер скрыт")
    await expect(shown.locator(".call-line")).to_have_text("Продажи")


async def test_ringing_internal_the_colleague_in_a_small_window(office: Office) -> None:
    shown, _call = await rung(
        office, customer_number=None, direction=Direction.INTERNAL, placed_by="102", did=None
    )
    await expect(shown.locator(".call-state-mark")).to_have_text("Внутренний звонок")
    await expect(shown.locator(".pop-name:visible")).to_have_text("Олег Крылов")
    box = await shown.bounding_box()
    assert box is not None
    assert box["height"] < 200


async def test_ringing_repeated_for_the_third_time_within_an_hour(office: Office) -> None:
    await earlier(office, "+79161230042", 12, 40)
    shown, call_id = await rung(office, customer_number="+79161230042")
    office.recognise(call_id, outcome="unknown")
    await expect(shown.locator(".pop-marks")).to_have_text("звонит 3-й раз за час")


async def test_ringing_transferred_by_whom_and_with_what_note(office: Office) -> None:
    page = await office.enter("agent", "/notifications")
    call_id = uuid7()
    passed = Transfer(from_extension="102", to="101", kind="blind", at=now())
    office.happen(call_id, fresh(rings("102", **of(call_id))))
    office.desk.add_card(
        call_id,
        HandOverCard(
            by="Олег Крылов",
            extension="102",
            to="101",
            reason="счёт",
            note="ждёт до пятницы",
            caller=CLIENT,
            at=now(),
        ),
    )
    office.happen(call_id, fresh(rings("101", **of(call_id), transfers=(passed,))))
    shown = window(page, "ringing")
    await expect(shown.locator(".call-passed")).to_have_text("Перевёл: Олег Крылов")
    card = shown.get_by_role("region", name="От коллеги")
    await expect(card.locator(".hand-over-reason")).to_have_text("счёт")
    await expect(card.locator(".hand-over-note")).to_have_text("ждёт до пятницы")
    await expect(card).to_contain_text("+7 495 120-33-44")
