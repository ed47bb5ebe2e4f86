"""A party's fields edited in the window of a call with them: the card's own form, with its rules; nothing typed is lost."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Locator, Page, Route, expect
from sqlalchemy import select, text

from crm.affiliations import ContactValues, add_contact
from crm.numbers import NumberValues
from crm.parties import create_party, edit_party, organisation_values, person_values
from crm.party_cards import party_card
from crm.rights import access_of
from crm.schema.parties import Party
from tests.browser.conftest import DESKTOP, PHONE, Office, axe
from tests.browser.test_pop import fresh, of, ring, window
from tests.browser.test_without_database import Away, postgres
from tests.cti.desk.calls import answers, ends

pytestmark = pytest.mark.browser
__all__ = ["postgres"]
_numbers = iter(range(200, 900))


async def client(office: Office, login: str = "agent", city: str = "Тверь") -> tuple[int, str, str]:
    """A firm of this user's, its name and number."""
    number = next(_numbers)
    name, e164 = f"Ромашка {number}", f"+7495000{number:04}"
    async with office.company.database.sessions.begin() as session:
        access = await access_of(session, office.company.users[login])
        assert access is not None
        made = await create_party(
            session,
            access,
            organisation_values(name=name, city=city),
            kinds=["client"],
            numbers=[NumberValues(presented=e164)],
            owner_id=access.user_id,
        )
    return made, name, e164


async def talk(office: Office, party_id: int, name: str, e164: str) -> UUID:
    call_id = await ring(office, customer_number=e164)
    office.recognise(call_id, (party_id, name))
    office.happen(call_id, fresh(answers("101", **of(call_id), customer_number=e164)))
    return call_id


def form(page: Page) -> Locator:
    return page.locator("call-edit form")


async def open_form(page: Page, name: str) -> Locator:
    await window(page, "talking").get_by_role("button", name=f"Изменение: {name}").click()
    await expect(form(page)).to_be_visible()
    return form(page)


async def city_of(office: Office, party_id: int) -> str | None:
    async with office.company.database.sessions() as session:
        return await session.scalar(select(Party.city).where(Party.id == party_id))


async def test_a_field_is_changed_in_place_and_the_page_behind_stays(office: Office) -> None:
    party_id, name, e164 = await client(office)
    page = await office.enter("agent", "/parties/new")
    behind = page.locator("#f-organisation")
    await behind.fill("ООО «Набрано»")
    await talk(office, party_id, name, e164)
    shown = await open_form(page, name)
    await expect(shown.locator("[name=short_name]")).to_be_focused()
    await shown.get_by_label("Город").fill("Псков")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("[data-edited]")).to_contain_text(f"Сохранено: {name}")
    await expect(form(page)).to_have_count(0)
    await expect(window(page).get_by_label("Комментарий")).to_be_focused()
    assert await city_of(office, party_id) == "Псков"
    await expect(behind).to_have_value("ООО «Набрано»")
    assert page.url.endswith("/parties/new")


async def test_a_new_name_stands_in_the_window_at_once(office: Office) -> None:
    party_id, name, e164 = await client(office)
    page = await office.enter()
    await talk(office, party_id, name, e164)
    shown = await open_form(page, name)
    await shown.locator("[name=short_name]").fill("Василёк")
    await shown.get_by_role("button", name="Сохранить").click()
    await expect(page.locator(".call-details .pop-name")).to_contain_text("Василёк")


async def test_pressed_twice_it_comes_once(office: Office) -> None:
    party_id, name, e164 = await client(office)
    page = await office.enter()
    asked: list[str] = []

    async def slowly(route: Route) -> None:
        asked.append(route.request.url)
        await asyncio.sleep(0.3)
        await route.continue_()

    await page.route("**/edit/here", slowly)
    await talk(office, party_id, name, e164)
    press = window(page, "talking").get_by_role("button", name=f"Изменение: {name}")
    await press.click()
    await press.click()
    await expect(form(page).locator("[name=short_name]")).to_be_focused()
    assert len(asked) == 1


async def test_what_is_wrong_stands_beside_its_field_with_what_was_typed(office: Office) -> None:
    office.expect("422")
    party_id, name, e164 = await client(office)
    page = await office.enter()
    await talk(office, party_id, name, e164)
    shown = await open_form(page, name)
    inn = shown.get_by_label("ИНН")
    await inn.fill("123")
    await inn.press("Enter")
    await expect(inn).to_have_attribute("aria-invalid", "true")
    await expect(inn).to_have_value("123")
    await expect(inn).to_be_focused()
    assert await city_of(office, party_id) == "Тверь"


async def test_what_two_changed_is_told_field_by_field_and_chosen(office: Office) -> None:
    office.expect("409")
    party_id, name, e164 = await client(office)
    page = await office.enter()
    await talk(office, party_id, name, e164)
    shown = await open_form(page, name)
    await shown.get_by_label("Город").fill("Псков")
    await shown.get_by_label("Сайт").fill("romashka.example")
    async with office.company.database.sessions.begin() as session:
        admin = await access_of(session, office.company.users["admin"])
        assert admin is not None
        version = (await party_card(session, admin, party_id)).version
        values = organisation_values(name=name, city="Орёл")
        await edit_party(session, admin, party_id, values, version=version)
    await shown.get_by_role("button", name="Сохранить").click()
    differing = shown.locator(".conflict tbody tr").filter(has_text="Город")
    await expect(differing).to_contain_text("Орёл")
    await expect(differing).to_contain_text("Псков")
    await differing.get_by_role("checkbox").check()
    await shown.get_by_role("button", name="Сохранить").click()
    await expect(page.locator("[data-edited]")).to_be_visible()
    assert await city_of(office, party_id) == "Орёл"
    async with office.company.database.sessions() as session:
        assert "romashka.example" in ((await party_card(session, admin, party_id)).website or "")


async def test_who_may_be_here_already_is_told_while_typing(office: Office) -> None:
    other, other_name, _e164 = await client(office)
    assert other
    party_id, name, e164 = await client(office)
    page = await office.enter()
    await talk(office, party_id, name, e164)
    shown = await open_form(page, name)
    await shown.locator("[name=short_name]").fill(other_name)
    await expect(shown.locator(".similar")).to_contain_text(other_name)


async def test_typed_text_comes_back_after_reload_and_restart_without_the_focus(office: Office) -> None:
    party_id, name, e164 = await client(office)
    page = await office.enter("agent", "/parties")
    await talk(office, party_id, name, e164)
    shown = await open_form(page, name)
    await shown.get_by_label("Город").fill("Псков")
    await page.reload()  # at once: the draft was on its way
    await expect(form(page).get_by_label("Город")).to_have_value("Псков")
    await expect(form(page)).to_contain_text("Это ваш черновик")
    assert not await page.evaluate("document.querySelector('call-stack').contains(document.activeElement)")
    await form(page).get_by_label("Сайт").fill("romashka.example")
    await expect(form(page).locator("[data-draft-state]")).to_have_text("Черновик сохранён")
    office.expect("ERR_CONNECTION_REFUSED|WebSocket")
    await office.restart()
    again = await office.enter("agent", "/parties")
    await talk(office, party_id, name, e164)
    await open_form(again, name)
    await expect(form(again).get_by_label("Город")).to_have_value("Псков")
    await expect(form(again).get_by_label("Сайт")).to_have_value("romashka.example")
    await form(again).get_by_role("button", name="Выбросить черновик").click()
    await expect(form(again).get_by_label("Город")).to_have_value("Тверь")
    await page.wait_for_timeout(2500)  # nothing keeps it once more
    async with office.company.database.sessions() as session:
        kept = text("select count(*) from draft where form = 'party.edit' and record = :party")
        assert await session.scalar(kept, {"party": str(party_id)}) == 0


async def test_news_of_the_call_and_its_end_leave_the_form_and_its_caret(office: Office) -> None:
    party_id, name, e164 = await client(office)
    other_id, other_name, _e164 = await client(office)
    page = await office.enter()
    call_id = await talk(office, party_id, name, e164)
    shown = await open_form(page, name)
    field = shown.get_by_label("Город")
    await field.fill("Пск")
    office.recognise(call_id, (other_id, other_name))
    await page.wait_for_timeout(300)
    await page.keyboard.type("ов")
    await expect(field).to_have_value("Псков")
    await expect(field).to_be_focused()
    office.happen(call_id, fresh(ends(**of(call_id), answered_by="101", customer_number=e164)))
    await expect(window(page, "ended")).to_be_visible()
    await expect(field).to_be_focused()
    await window(page, "ended").locator(".call-head").get_by_role("button", name="Закрыть").click()
    await expect(page.locator("#notices")).to_contain_text("сохранены как ваш черновик")
    await page.goto(f"{office.url}/parties/{party_id}/edit")
    await expect(page.locator("#f-city")).to_have_value("Псков")


async def test_i13_typed_while_the_database_is_away_it_outlives_a_reload_and_is_kept_later(
    office: Office,
    postgres: Away,
) -> None:
    office.expect("503")
    party_id, _name, _e164 = await client(office)
    page = await office.enter("agent", f"/parties/{party_id}/edit")
    postgres.leave()
    await page.locator("#f-city").fill("Псков")
    state = page.locator("#main [data-draft-state]")
    await expect(state).to_have_text("Хранится в браузере, пока сервер не ответит")
    await page.locator("#main").get_by_role("button", name="Сохранить").click()
    await expect(page.locator("#notices")).to_contain_text("База данных не отвечает")
    await page.reload()
    await expect(page.locator("h1")).to_have_text("База данных не отвечает")
    postgres.come_back()
    await expect(page.locator("#f-city")).to_have_value("Псков", timeout=20_000)
    await expect(state).to_have_text("Черновик сохранён", timeout=20_000)
    assert await city_of(office, party_id) == "Тверь"


async def test_whoever_may_not_edit_is_offered_nothing(office: Office) -> None:
    party_id, name, e164 = await client(office, "colleague")
    page = await office.enter()
    await talk(office, party_id, name, e164)
    await expect(page.locator(".call-details .pop-name")).to_contain_text(name)
    await expect(page.locator("[data-edit]")).to_have_count(0)
    answer = await page.request.get(f"{office.url}/parties/{party_id}/edit/here")
    assert answer.status == 404


async def test_the_contact_is_edited_as_well(office: Office) -> None:
    party_id, _name, _e164 = await client(office)
    number = next(_numbers)
    e164 = f"+7495000{number:04}"
    async with office.company.database.sessions.begin() as session:
        access = await access_of(session, office.company.users["agent"])
        assert access is not None
        person = await create_party(
            session,
            access,
            person_values("Мария"),
            numbers=[NumberValues(presented=e164)],
            owner_id=access.user_id,
        )
        await add_contact(session, access, party_id, person, ContactValues(position="бухгалтер"))
    page = await office.enter()
    await talk(office, party_id, "Ромашка", e164)
    shown = await open_form(page, "Мария")
    await shown.get_by_label("Фамилия").fill("Серова")
    await shown.get_by_role("button", name="Сохранить").click()
    await expect(page.locator(".call-details")).to_contain_text("Серова Мария")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_the_form_is_accessible_beside_the_same_form_on_the_page(
    office: Office, size: dict[str, Any], theme: str
) -> None:
    party_id, name, e164 = await client(office)
    page = await office.enter("agent", f"/parties/{party_id}/edit", color_scheme=theme, **size)
    await talk(office, party_id, name, e164)
    await open_form(page, name)
    await page.set_viewport_size(
        {"width": size["viewport"]["width"], "height": 2400}
    )  # nothing lies under a bar
    assert await axe(page) == []
    ids: list[str] = await page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
