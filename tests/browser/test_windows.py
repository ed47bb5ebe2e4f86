"""Call windows as an agent lives with them: one bell, «Кто звонит?», the keyboard; the acceptance table «Windows» by name."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Locator, Page, expect
from sqlalchemy import insert, select

from crm.parties import create_party, organisation_values
from crm.rights import access_of
from crm.schema.communications import Call, Communication
from crm.schema.parties import Party
from crm.schema.telephony import NumberNote, PbxConnection
from cti.calls.records import CallState, Disposition
from tests.browser.conftest import DESKTOP, PHONE, Office, axe
from tests.browser.test_pop import fresh, of, ring, window
from tests.cti.desk.calls import answers, ends, stops
from tests.keyboards import RussianKeyboard

pytestmark = pytest.mark.browser
BELLS = "call-bell[ringing]"


async def bells(*pages: Page) -> int:
    return sum([await page.locator(BELLS).count() for page in pages])


async def work_in(page: Page) -> None:
    """A key press: the browser lets a page sound after it, and this page is the one last used."""
    await page.keyboard.press("Shift")


async def stored(office: Office, call_id: UUID, number: str) -> None:
    """The journal has written the call."""
    async with office.company.database.sessions.begin() as session:
        connection = await session.scalar(select(PbxConnection.id).limit(1))
        if connection is None:
            row = {"kind": "asterisk", "name": "АТС"}
            connection = await session.scalar(insert(PbxConnection).values(row).returning(PbxConnection.id))
        now = datetime.now(UTC)
        await session.execute(
            insert(Communication).values(id=call_id, kind="call", direction="in", started_at=now)
        )
        await session.execute(
            insert(Call).values(
                id=call_id,
                connection_id=connection,
                external_id=str(call_id),
                direction="inbound",
                state="talking",
                customer_e164=number,
                started_at=now,
            )
        )


async def unknown_talk(office: Office, number: str, *, outcome: str = "unknown") -> UUID:
    """An answered call of somebody nobody knows."""
    call_id = await ring(office, customer_number=number)
    await stored(office, call_id, number)
    office.recognise(call_id, outcome=outcome)
    office.happen(call_id, fresh(answers("101", **of(call_id), customer_number=number)))
    return call_id


def who(page: Page) -> Locator:
    return page.locator("call-who")


async def linked(office: Office, call_id: UUID) -> str | None:
    """The name of whom the call is linked with."""
    async with office.company.database.sessions() as session:
        return await session.scalar(
            select(Party.display_name)
            .join(Communication, Communication.party_id == Party.id)
            .where(Communication.id == call_id)
        )


# The acceptance table «Windows»


async def test_windows_a_ring_group_of_three_in_two_tabs_each_rings_three_bells(office: Office) -> None:
    pages: dict[str, list[Page]] = {}
    for login in ("agent", "colleague", "head"):
        context = await office.browser(login)
        pages[login] = [await office.open(context) for _ in range(2)]
        for page in pages[login]:
            await work_in(page)
    everybody = [page for each in pages.values() for page in each]
    call_id = await ring(office, "101", "102", "103")
    for page in everybody:
        await expect(window(page, "ringing")).to_be_visible()
    for login, (first, second) in pages.items():
        await expect(second.locator(BELLS)).to_have_count(1)  # the tab last used
        assert await bells(first) == 0, login
    office.happen(call_id, fresh(answers("102", **of(call_id))))
    others = [*pages["agent"], *pages["head"]]
    told = [expect(page.locator(".call-state-mark")).to_have_text("Принял: Олег Крылов") for page in others]
    await asyncio.gather(*told)
    for page in others:
        await expect(window(page)).to_have_count(0)
    for page in everybody:
        await expect(page.locator(BELLS)).to_have_count(0)


async def test_windows_an_agent_who_types_into_a_form_keeps_the_caret_and_every_letter(
    office: Office,
) -> None:
    page = await office.enter("agent", "/parties/new")
    field = page.locator("#f-organisation")
    await field.click()
    await page.keyboard.type("ООО «Ро")
    await page.keyboard.press("ArrowLeft")
    call_id = await ring(office)
    await expect(window(page, "ringing")).to_be_visible()
    await page.keyboard.type("жк")
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    await expect(window(page, "talking")).to_be_visible()
    await page.keyboard.type("ин")
    await expect(field).to_have_value("ООО «Ржкино")
    await expect(field).to_be_focused()


async def test_windows_a_browser_killed_in_mid_comment_comes_back_with_window_timer_and_text(
    office: Office,
) -> None:
    context = await office.browser("agent")
    page = await office.open(context)
    call_id = await ring(office)
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    await page.get_by_label("Комментарий").press_sequentially("Просит пере")
    await expect(page.locator(".note-state")).to_have_text("сохранено")
    await context.close()  # no page hears of it
    again = await office.enter("agent", "/parties")
    await expect(window(again, "talking")).to_be_visible()
    await expect(again.get_by_label("Комментарий")).to_have_value("Просит пере")
    await expect(again.locator(".call-timer")).not_to_be_empty()


async def test_windows_alt_c_reaches_the_comment_under_the_russian_layout(office: Office) -> None:
    page = await office.enter()
    call_id = await ring(office)
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    await expect(page.get_by_label("Комментарий")).to_be_visible()
    await (await RussianKeyboard.of(page)).alt("C")
    await expect(page.get_by_label("Комментарий")).to_be_focused()
    await expect(page.get_by_label("Комментарий")).to_have_value("")


@pytest.mark.parametrize("is_answered_first", [True, False], ids=["answered first", "left first"])
async def test_windows_the_caller_hangs_up_as_the_agent_answers_one_window_of_one_kind(
    office: Office, is_answered_first: bool
) -> None:
    page = await office.enter()
    call_id = await ring(office)
    await expect(window(page, "ringing")).to_be_visible()
    answered = fresh(answers("101", **of(call_id)))
    left = fresh(stops("101", "caller_left", state=CallState.ARRIVED, **of(call_id)))
    if is_answered_first:
        office.happen(call_id, answered, fresh(ends(**of(call_id), answered_by="101")))
        await expect(window(page, "ended")).to_have_count(1)
        await expect(page.get_by_label("Комментарий")).to_be_visible()
    else:
        office.happen(call_id, left, fresh(ends(disposition=Disposition.ABANDONED, **of(call_id))))
        await expect(page.locator(".call-state-mark")).to_have_text("Не дождался")
    await expect(window(page)).to_have_count(1)


async def test_windows_a_source_that_repeats_its_events_changes_nothing(office: Office) -> None:
    page = await office.enter()
    call_id = await ring(office)
    answered = fresh(answers("101", **of(call_id)))
    office.happen(call_id, answered)
    await expect(window(page, "talking")).to_be_visible()
    since = await page.locator("call-window call-clock").first.get_attribute("since")
    await window(page).evaluate("(element) => { element.id = 'the-same-element'; }")
    office.happen(call_id, fresh(answered), answered)
    await page.wait_for_timeout(300)
    await expect(window(page)).to_have_count(1)
    await expect(page.locator("#the-same-element[data-state=talking]")).to_be_visible()
    assert await page.locator("call-window call-clock").first.get_attribute("since") == since


# One bell

# What a test evaluates in a page counts as a gesture of its user there.
ONLY_TRUSTED_GESTURES = """
  let hasBeenActive = false;
  addEventListener("pointerdown", () => { hasBeenActive = true; }, true);
  Object.defineProperty(navigator, "userActivation", {get: () => ({hasBeenActive})});
"""


async def test_the_bell_rings_on_the_device_last_used_and_follows_its_user(office: Office) -> None:
    at_desk, at_home = await office.enter(), await office.enter()
    await work_in(at_desk)
    await at_home.wait_for_timeout(50)
    await work_in(at_home)
    await ring(office)
    await expect(at_home.locator(BELLS)).to_have_count(1)
    assert await bells(at_desk) == 0
    await at_desk.wait_for_timeout(1100)
    await work_in(at_desk)
    await expect(at_desk.locator(BELLS)).to_have_count(1)
    await expect(at_home.locator(BELLS)).to_have_count(0)
    await at_desk.close()
    await expect(at_home.locator(BELLS)).to_have_count(1)


async def test_a_browser_that_may_make_no_sound_says_so_until_a_click(office: Office) -> None:
    context = await office.browser()
    await context.add_init_script(ONLY_TRUSTED_GESTURES)
    page = await office.open(context)
    button = page.get_by_role("button", name="Звук выключен: включить")
    await expect(button).to_be_visible()
    await ring(office)
    await expect(window(page, "ringing")).to_be_visible()
    assert await bells(page) == 0
    await button.click()
    await expect(button).to_be_hidden()
    await expect(page.locator(BELLS)).to_have_count(1)


async def test_a_browser_set_to_be_silent_leaves_the_bell_to_another(office: Office) -> None:
    silent, other = await office.enter(), await office.enter()
    await work_in(other)
    await silent.get_by_label("Звонок звучит").select_option("silent")
    await ring(office)
    await expect(other.locator(BELLS)).to_have_count(1)
    assert await bells(silent) == 0


async def test_a_hidden_page_with_the_bell_tells_the_system(office: Office) -> None:
    context = await office.browser("agent", permissions=["notifications"])
    await context.add_init_script(
        "globalThis.told = []; Object.defineProperty(document, 'hidden', {get: () => globalThis.isAway === true});"
        "globalThis.Notification = class { static permission = 'granted'; close() { told.push('closed'); }"
        " constructor(title, options) { this.tag = options.tag; told.push(`${title}: ${options.body}`); } };"
    )
    page = await office.open(context)
    await work_in(page)
    await page.evaluate("globalThis.isAway = true")
    call_id = await ring(office)
    await expect(page.locator(BELLS)).to_have_count(1)
    assert await page.evaluate("told") == ["Входящий звонок: +7 495 120-33-44 · Продажи"]
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    await expect(page.locator(BELLS)).to_have_count(0)
    assert (await page.evaluate("told"))[-1] == "closed"


# «Кто звонит?»


async def test_who_is_calling_search_first_and_the_number_is_added(office: Office) -> None:
    async with office.company.database.sessions.begin() as session:
        access = await access_of(session, office.company.users["agent"])
        assert access is not None
        await create_party(session, access, organisation_values("ООО «Дальний берег»"), kinds=["client"])
    page = await office.enter()
    call_id = await unknown_talk(office, "+79000000101")
    await expect(who(page)).to_contain_text("Кто звонит? +7 900 000-01-01")
    await page.keyboard.press("Alt+KeyS")
    await page.keyboard.type("дальний", delay=20)
    await expect(who(page).locator("label:has(kbd)")).to_have_count(1)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator(".call-details .pop-name")).to_contain_text("ООО «Дальний берег»")
    await expect(who(page)).to_have_count(0)
    assert await linked(office, call_id) == "ООО «Дальний берег»"
    again = await ring(office, customer_number="+79000000101")
    assert again is not None


async def test_only_this_call_leaves_the_number_alone_and_a_reload_knows_who_it_is(office: Office) -> None:
    page = await office.enter()
    call_id = await unknown_talk(office, "+79000000102")
    await who(page).get_by_label("Имя, компания, телефон, ИНН, e-mail").fill("пример")
    await expect(who(page).locator("label:has(kbd)").first).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.get_by_role("button", name="Только этот звонок").click()
    await expect(page.locator(".call-details .pop-name")).to_contain_text("ООО «Пример»")
    assert await linked(office, call_id) == "ООО «Пример»"
    await page.reload()
    await expect(page.locator(".call-details .pop-name")).to_contain_text("ООО «Пример»")
    await page.goto(f"{office.url}/parties/{office.company.client_id}")
    await expect(page.locator("#main")).not_to_contain_text("+7 900 000-01-02")


async def test_a_hidden_caller_can_be_linked_for_this_call_alone(office: Office) -> None:
    page = await office.enter()
    call_id = await ring(office, customer_number="anonymous")
    await stored(office, call_id, "")
    office.recognise(call_id, outcome="hidden")
    office.happen(call_id, fresh(answers("101", **of(call_id), customer_number="anonymous")))
    await who(page).get_by_label("Имя, компания, телефон, ИНН, e-mail").fill("пример")
    await expect(who(page).locator("label:has(kbd)").first).to_be_visible()
    await expect(who(page).get_by_role("button")).to_have_count(1)
    await page.keyboard.press("ArrowDown")
    await page.get_by_role("button", name="Только этот звонок").click()
    await expect(page.locator(".call-details .pop-name")).to_contain_text("ООО «Пример»")
    assert await linked(office, call_id) == "ООО «Пример»"


async def test_an_unknown_caller_becomes_a_client_in_two_fields(office: Office) -> None:
    page = await office.enter()
    call_id = await unknown_talk(office, "+79000000103")
    await who(page).get_by_label("Имя", exact=True).fill("Новый Звонящий")
    await who(page).get_by_label("Вид").select_option("client")
    await page.get_by_role("button", name="Создать", exact=True).click()
    await expect(page.locator(".call-details .pop-name")).to_contain_text("Новый Звонящий")
    assert await linked(office, call_id) == "Новый Звонящий"


async def test_two_agents_at_one_moment_give_one_party(office: Office) -> None:
    office.expect("422")
    first, second = await office.enter("agent"), await office.enter("colleague")
    number = "+79000000104"
    mine = await unknown_talk(office, number)
    theirs = await ring(office, "102", customer_number=number)
    await stored(office, theirs, number)
    office.recognise(theirs, outcome="unknown")
    office.happen(theirs, fresh(answers("102", **of(theirs), customer_number=number)))
    for page, name in ((first, "Быстрый Звонящий"), (second, "Медленный Звонящий")):
        await who(page).get_by_label("Имя", exact=True).fill(name)
    await first.get_by_role("button", name="Создать", exact=True).click()
    await expect(first.locator(".call-details .pop-name")).to_contain_text("Быстрый Звонящий")
    await second.get_by_role("button", name="Создать", exact=True).click()
    await expect(who(second)).to_contain_text("Уже создано: «Быстрый Звонящий», Анна Белова, только что.")
    await expect(who(second).get_by_label("Имя", exact=True)).to_have_value("Медленный Звонящий")
    async with office.company.database.sessions() as session:
        names = await session.scalars(select(Party.display_name).where(Party.display_name.like("%Звонящий")))
        assert "Медленный Звонящий" not in names.all()
    assert await linked(office, mine) == "Быстрый Звонящий"


async def test_similar_names_are_shown_while_one_types(office: Office) -> None:
    page = await office.enter()
    await unknown_talk(office, "+79000000105")
    await who(page).get_by_text("Ещё").click()
    await who(page).get_by_label("Организация").press_sequentially("Пример", delay=20)
    await expect(who(page)).to_contain_text("Возможно, запись уже есть")
    await expect(who(page).locator(".similar")).to_contain_text("ООО «Пример»")


async def test_a_lead_is_opened_without_a_name(office: Office) -> None:
    page = await office.enter()
    call_id = await unknown_talk(office, "+79000000106")
    await who(page).get_by_role("button", name="Лид").click()
    await expect(who(page)).to_have_count(0)
    await expect(page.locator(".call-details [data-card]").first).to_contain_text("+7 900 000-01-06")
    name = await linked(office, call_id)
    assert name is not None
    assert "+7 900 000-01-06" in name


async def test_spam_marks_the_number_and_makes_nobody(office: Office) -> None:
    page = await office.enter()
    call_id = await unknown_talk(office, "+79000000107")
    await who(page).get_by_role("button", name="Спам").click()
    await expect(who(page)).to_contain_text("Номер помечен как спам.")
    async with office.company.database.sessions() as session:
        notes = select(NumberNote.kind).where(NumberNote.e164 == "+79000000107")
        assert (await session.scalars(notes)).all() == ["spam"]
    assert await linked(office, call_id) is None
    await page.get_by_role("button", name="Снять пометку").click()
    await expect(who(page)).to_contain_text("Пометка «спам» снята.")
    async with office.company.database.sessions() as session:
        assert (await session.scalars(notes)).all() == []


async def test_a_wrong_number_is_said_in_the_comment(office: Office) -> None:
    page = await office.enter()
    await unknown_talk(office, "+79000000108")
    await who(page).get_by_role("button", name="Ошиблись номером").click()
    await expect(who(page)).to_have_count(0)
    await expect(page.get_by_label("Комментарий")).to_have_value("Ошиблись номером")
    await expect(page.locator(".note-state")).to_have_text("сохранено")


# The keyboard


async def test_f1_shows_the_keys_and_they_can_be_changed(office: Office) -> None:
    office.expect("422")
    page = await office.enter()
    await page.keyboard.press("F1")
    keys = page.get_by_role("dialog", name="Клавиши")
    await expect(keys).to_contain_text("Alt+C")
    assert await axe(page) == []
    await page.keyboard.press("Escape")
    await expect(keys).to_have_count(0)
    await page.get_by_label("К комментарию").select_option("Alt+KeyQ")
    await page.locator("#keys").get_by_role("button", name="Сохранить").click()
    await expect(page.locator("#comment-problem")).to_contain_text("уже занята другим действием")
    await page.get_by_label("К комментарию").select_option("F9")
    await page.locator("#keys").get_by_role("button", name="Сохранить").click()
    call_id = await ring(office)
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    note = window(page).get_by_label("Комментарий")
    await expect(note).to_be_visible()
    await page.keyboard.press("F9")
    await expect(note).to_be_focused()
    await page.locator("#keys").get_by_role("button", name="Вернуть обычные").click()
    await expect(page.get_by_role("status").filter(has_text="Сохранено")).to_be_visible()


async def test_a_whole_call_without_the_mouse_under_the_russian_layout(office: Office) -> None:
    page = await office.enter("agent", "/parties")
    hands = await RussianKeyboard.of(page)
    await page.keyboard.press("/")
    field = page.locator("#global-search")
    await expect(field).to_be_focused()
    call_id = await unknown_talk(office, "+79000000109")
    await expect(who(page)).to_be_visible()
    await page.keyboard.press("F2")  # to the window: the comment
    note = page.get_by_label("Комментарий")
    await expect(note).to_be_focused()
    await hands.types("при")
    await hands.alt("S")  # «Кто звонит?»
    await expect(who(page).locator("[data-who-search]")).to_be_focused()
    await hands.types("прим")
    await expect(who(page).locator("label:has(kbd)").first).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Digit1")
    await page.keyboard.press("Enter")
    await expect(page.locator(".call-details .pop-name")).to_contain_text("ООО «Пример»")
    await hands.alt("C")
    await expect(note).to_be_focused()
    await expect(note).to_have_value("при")
    office.happen(call_id, fresh(ends(**of(call_id), answered_by="101", customer_number="+79000000109")))
    await expect(window(page, "ended")).to_be_visible()
    await page.keyboard.press("Control+Enter")
    await expect(window(page)).to_have_count(0)
    await expect(field).to_be_focused()
    assert await linked(office, call_id) == "ООО «Пример»"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_who_is_calling_is_accessible(office: Office, size: dict[str, Any], theme: str) -> None:
    page = await office.enter("agent", "/notifications", color_scheme=theme, **size)
    await unknown_talk(office, f"+7900000011{('light', 'dark').index(theme)}")
    await expect(who(page)).to_be_visible()
    await who(page).locator("[data-who-search]").fill("пример")
    await expect(who(page).locator("label:has(kbd)").first).to_be_visible()
    assert await axe(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
