"""Call windows in a real browser: in every tab, through visits, Back, reload and restart; nobody loses the caret."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Locator, Page, expect

from crm.numbers import NumberValues
from crm.parties import create_party, organisation_values
from crm.rights import command_access
from crm.schema.base import uuid7
from cti.calls.call_events import CallEvent
from cti.calls.records import CallState, Direction, Disposition
from cti.desk import ConnectionView
from tests.ami_adapter.scripted import eventually
from tests.browser.conftest import DESKTOP, PHONE, Office, axe, now
from tests.cti.desk.calls import answers, ends, rings, stops
from web.crm_notes import CrmNotes

pytestmark = pytest.mark.browser
WITHIN_MS = 150  # from the event to the window in every tab; a loaded test machine gets more


def fresh(event: CallEvent) -> CallEvent:
    """The event as if it happened at this moment."""
    return replace(event, at=now())


def window(page: Page, state: str | None = None) -> Locator:
    return page.locator("call-window" + (f'[data-state="{state}"]' if state else ""))


async def ring(office: Office, *extensions: str, **changes: Any) -> UUID:
    call_id = uuid7()
    key = str(call_id)
    first, *others = extensions or ("101",)
    office.happen(call_id, fresh(rings(first, *others, key=key, linked_ids=(key,), **changes)))
    return call_id


def of(call_id: UUID) -> dict[str, Any]:
    return {"key": str(call_id), "linked_ids": (str(call_id),)}


async def test_three_tabs_one_socket_and_a_window_in_each(office: Office) -> None:
    context = await office.browser("agent")
    tabs = [await office.open(context) for _ in range(3)]
    assert office.hub.count() == 1
    call_id = await ring(office)
    for tab in tabs:
        await expect(window(tab, "ringing")).to_be_visible()
        await expect(tab.locator(".pop-number")).to_have_text("+7 495 120-33-44")
        await expect(tab.locator(".call-line")).to_contain_text("Продажи")
    office.recognise(call_id, (office.company.client_id, "ООО «Пример»"))
    for tab in tabs:
        await expect(tab.locator(".call-details .pop-name a")).to_have_text("ООО «Пример»")
        await expect(tab.locator(".call-details")).to_contain_text("Клиент")
    await tabs[0].close()
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    await expect(window(tabs[1], "talking")).to_be_visible()
    assert office.hub.count() == 1


async def test_a_tab_that_opens_later_shows_the_present_calls(office: Office) -> None:
    context = await office.browser("agent")
    await office.open(context)
    await ring(office)
    late = await office.open(context)
    await expect(window(late, "ringing")).to_be_visible()
    assert office.hub.count() == 1


async def test_one_answers_and_the_others_are_told_who(office: Office) -> None:
    mine, other = await office.enter("agent"), await office.enter("colleague")
    call_id = await ring(office, "101", "102")
    await expect(window(mine, "ringing")).to_be_visible()
    await expect(window(other, "ringing")).to_be_visible()
    office.happen(call_id, fresh(answers("102", **of(call_id))))
    await expect(mine.locator(".call-end")).to_have_text("Принял: Олег Крылов")
    await expect(window(other, "talking")).to_be_visible()
    await expect(window(mine)).to_have_count(0)
    await expect(window(other, "talking")).to_be_visible()


async def test_the_caller_leaves(office: Office) -> None:
    page = await office.enter()
    call_id = await ring(office)
    await expect(window(page, "ringing")).to_be_visible()
    office.happen(
        call_id,
        fresh(stops("101", "caller_left", state=CallState.ARRIVED, **of(call_id))),
        fresh(ends(disposition=Disposition.ABANDONED, **of(call_id))),
    )
    await expect(page.locator(".call-state-mark")).to_have_text("Не дождался")
    await page.reload()
    await expect(page.locator(".call-state-mark")).to_have_text("Не дождался")
    await page.get_by_role("button", name="Закрыть").click()
    await expect(window(page)).to_have_count(0)


async def test_a_window_closed_in_one_tab_closes_in_the_other(office: Office) -> None:
    context = await office.browser("agent")
    first, second = await office.open(context), await office.open(context)
    call_id = await ring(office)
    office.happen(call_id, fresh(ends(disposition=Disposition.ABANDONED, **of(call_id))))
    await first.get_by_role("button", name="Закрыть").click()
    await expect(window(second)).to_have_count(0)


async def test_a_window_survives_a_visit_back_and_a_reload(office: Office) -> None:
    page = await office.enter("agent", "/parties")
    await ring(office)
    await expect(window(page, "ringing")).to_be_visible()
    await window(page).evaluate("(element) => { element.id = 'the-same-element'; }")
    await page.locator(".who-link").click()
    await expect(page).to_have_url(office.url + "/me")
    await expect(page.locator("#the-same-element")).to_be_visible()
    await page.go_back()
    await expect(page).to_have_url(office.url + "/parties")
    await expect(page.locator("h1")).to_have_text("Контрагенты")
    await expect(page.locator("#the-same-element")).to_be_visible()
    await page.reload()
    await expect(window(page, "ringing")).to_be_visible()
    assert office.hub.count() == 1


async def test_a_call_that_rings_after_a_visit_pops(office: Office) -> None:
    page = await office.enter("agent", "/parties")
    await page.locator(".who-link").click()
    await expect(page).to_have_url(office.url + "/me")
    await ring(office)
    await expect(window(page, "ringing")).to_be_visible()


async def test_the_program_starts_anew(office: Office) -> None:
    office.expect(
        "ERR_CONNECTION_REFUSED|WebSocket|404"
    )  # the details of a call that the new process does not know
    page = await office.enter()
    call_id = await ring(office)
    await expect(window(page, "ringing")).to_be_visible()
    await office.restart()
    await expect(page.locator(".line-state[data-state=up]")).to_be_visible()
    await expect(window(page)).to_have_count(0)  # the new process knows no such call
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    await expect(window(page, "talking")).to_be_visible()


async def test_ringing_takes_no_focus_and_no_letter(office: Office) -> None:
    page = await office.enter("agent", "/parties")
    field = page.locator("#global-search")
    await field.focus()
    await page.keyboard.type("Прим")
    await ring(office)
    await expect(window(page, "ringing")).to_be_visible()
    await page.keyboard.type("ер")
    await expect(field).to_have_value("Пример")
    await expect(field).to_be_focused()


async def test_the_comment_is_kept_through_tabs_and_reload(office: Office) -> None:
    context = await office.browser("agent")
    page, other = await office.open(context), await office.open(context)
    call_id = await ring(office)
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    await page.get_by_label("Комментарий").fill("Просит счёт до пятницы")
    await expect(page.locator(".note-state")).to_have_text("сохранено")
    await expect(other.get_by_label("Комментарий")).to_have_value("Просит счёт до пятницы")
    await page.reload()
    await expect(page.get_by_label("Комментарий")).to_have_value("Просит счёт до пятницы")
    await expect(window(page, "talking").locator(".call-timer")).not_to_be_empty()


async def test_the_comment_comes_back_after_a_crash_and_a_restart(office: Office) -> None:
    office.expect("ERR_CONNECTION_REFUSED|WebSocket")
    context = await office.browser("agent")
    page = await office.open(context)
    call_id = await ring(office)
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    await page.get_by_label("Комментарий").fill("Половина мысли")
    await expect(page.locator(".note-state")).to_have_text("сохранено")
    await context.close()
    await office.restart()
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    again = await office.enter()
    await expect(again.get_by_label("Комментарий")).to_have_value("Половина мысли")


async def test_a_comment_from_before_a_visit_elsewhere_yields_to_what_was_written_since(
    office: Office,
) -> None:
    """It was stored as the page was left; another browser has gone on from there."""
    office.expect("ERR_CONNECTION_REFUSED|WebSocket")
    page, other = await office.enter(), await office.enter()
    call_id = await ring(office)
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    theirs = other.get_by_label("Комментарий")
    await expect(theirs).to_be_visible()
    async with page.expect_response("**/note"):
        await page.reload()
    await page.get_by_label("Комментарий").fill("Просит счёт")
    await page.goto("about:blank")
    await expect(theirs).to_have_value("Просит счёт")
    await theirs.fill("Счёт выслан")
    await expect(other.locator(".note-state")).to_have_text("сохранено")
    await office.restart()
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    await page.go_back()
    await expect(page.get_by_label("Комментарий")).to_have_value("Счёт выслан")
    await page.wait_for_timeout(2500)  # when it would have been stored
    await expect(theirs).to_have_value("Счёт выслан")
    kept = await page.evaluate("Object.keys(sessionStorage).filter((key) => key.startsWith('note:'))")
    assert kept == []


async def test_a_comment_that_was_not_stored_comes_back_over_the_one_that_was(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.expect("503")
    page = await office.enter()
    call_id = await ring(office)
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    note = page.get_by_label("Комментарий")
    await note.fill("Просит счёт")
    await expect(page.locator(".note-state")).to_have_text("сохранено")

    async def fail(*_arguments: object, **_named: object) -> None:
        raise ConnectionRefusedError("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(CrmNotes, "save", fail)
        await note.fill("Просит счёт до пятницы")
        await expect(page.locator(".note-state")).to_have_text("не сохранено")
        await page.reload()
        await expect(note).to_have_value("Просит счёт до пятницы")
    await expect(page.locator(".note-state")).to_have_text("сохранено", timeout=15_000)


async def test_a_proxys_page_instead_of_an_answer_is_no_stored_comment(office: Office) -> None:
    page = await office.enter()
    call_id = await ring(office)
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    await expect(page.get_by_label("Комментарий")).to_be_visible()
    await page.route(
        "**/note", lambda asked: asked.fulfill(status=200, body="<p>Accept the rules</p>"), times=1
    )
    await page.get_by_label("Комментарий").fill("Ждёт ответа")
    await expect(page.locator(".note-state")).to_have_text("не сохранено")
    await expect(page.locator(".note-state")).to_have_text("сохранено", timeout=15_000)


async def test_what_is_typed_at_the_end_of_a_call_is_not_lost(office: Office) -> None:
    page = await office.enter()
    call_id = await ring(office)
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    await page.get_by_label("Комментарий").press_sequentially("До связи")
    office.happen(call_id, fresh(ends(**of(call_id), answered_by="101")))
    await expect(page.locator(".call-state-mark")).to_have_text("Разговор окончен")
    await expect(page.get_by_label("Комментарий")).to_be_focused()
    await expect(page.locator(".note-state")).to_have_text("сохранено")


async def test_the_keyboard_reaches_the_window_and_comes_back(office: Office) -> None:
    page = await office.enter("agent", "/parties")
    field = page.locator("#global-search")
    call_id = await ring(office)
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    note = page.get_by_label("Комментарий")
    await expect(note).to_be_visible()
    await page.keyboard.press("/")
    await expect(field).to_be_focused()
    await page.keyboard.press("F2")
    await expect(note).to_be_focused()
    await page.keyboard.press("F2")
    await expect(field).to_be_focused()
    await page.keyboard.press("Alt+KeyC")
    await expect(note).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(field).to_be_focused()
    await expect(note).to_be_hidden()
    await page.keyboard.press("Alt+KeyQ")
    await expect(note).to_be_visible()


async def test_several_calls_three_open_the_rest_as_lines(office: Office) -> None:
    page = await office.enter()
    for number in range(5):
        await ring(office, customer_number=f"+7900000000{number}")
    await expect(window(page)).to_have_count(5)
    await expect(page.locator("call-window .call-body:visible")).to_have_count(3)
    await expect(page.locator("call-window[as-line] .call-caller").first).to_have_text("+7 900 000-00-00")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"customer_number": "anonymous"}, "Номер скрыт"),
        ({"customer_number": "+79161234567"}, "+7 916 123-45-67"),
        ({"customer_number": None, "direction": Direction.INTERNAL, "placed_by": "102"}, "Олег Крылов"),
    ],
    ids=["hidden", "unknown", "internal"],
)
async def test_what_a_window_says_without_a_client(
    office: Office, changes: dict[str, Any], shown: str
) -> None:
    page = await office.enter()
    await ring(office, **changes)
    await expect(page.locator(".pop-name:visible")).to_have_text(shown)
    await page.wait_for_timeout(1300)
    await expect(page.locator(".pop-name:visible")).to_have_text(shown)


async def test_several_owners_are_shown_as_several(office: Office) -> None:
    page = await office.enter()
    call_id = await ring(office, customer_number="+79000000009")
    office.recognise(call_id, (1, "ООО «Первый»"), (2, "ООО «Второй»"), outcome="ambiguous")
    await expect(page.locator(".pop-name").first).to_have_text("Общий номер")


async def test_owners_of_a_shared_number_are_listed_and_none_is_chosen(office: Office) -> None:
    names = ["ООО «Выдуманный сад»", "ООО «Небывалый лес»"]
    shared = NumberValues(presented="+7 495 777-00-11", is_shared=True)
    async with office.company.database.sessions.begin() as session:
        ids = [
            await create_party(
                session, command_access(), organisation_values(name), kinds=["client"], numbers=[shared]
            )
            for name in names
        ]
    page = await office.enter("admin", "/parties")
    agent = await office.enter("agent", "/parties")
    call_id = await ring(office, customer_number="+74957770011")
    office.recognise(call_id, *zip(ids, names, strict=True), outcome="ambiguous")
    await expect(agent.locator(".call-details .pop-name")).to_have_text("Общий номер: кто-то из 2")
    await expect(agent.locator(".pop-candidates li")).to_have_count(2)
    assert await axe(agent) == []
    await agent.keyboard.press("F2")
    await agent.keyboard.press("Digit2")
    await expect(agent.locator(".pop-candidates a").nth(1)).to_be_focused()
    await expect(window(page)).to_have_count(0)  # nobody rings there


async def test_t13_a_name_is_text_and_never_markup(office: Office) -> None:
    page = await office.enter()
    call_id = await ring(office, customer_number="+79000000008", did="<img src=x onerror=alert(1)>")
    office.recognise(call_id, (1, "<b>Имя</b><script>alert(1)</script>"))
    await expect(page.locator(".call-line")).to_have_text("<img src=x onerror=alert(1)>")
    assert await page.locator("call-stack img, call-stack script, call-stack b").count() == 0


async def test_blocked_or_signed_out_elsewhere_the_page_goes_to_the_sign_in(office: Office) -> None:
    context = await office.browser("agent")
    first, second = await office.open(context), await office.open(context)
    await first.get_by_role("button", name="Выйти").click()
    await expect(first).to_have_url(office.url + "/sign-in")
    await expect(second).to_have_url(office.url + "/sign-in")


async def test_a_page_that_is_signed_out_asks_without_an_error_in_the_console(office: Office) -> None:
    page = await office.enter()
    await page.context.clear_cookies()
    async with page.expect_response(lambda answer: answer.url.endswith("/missed/count")) as asked:
        await page.evaluate(
            "for (const badge of document.querySelectorAll('missed-badge')) badge.replaceWith(badge.cloneNode(true))"
        )
    assert (await asked.value).status == 303  # the page goes to the sign-in when its socket says so


async def test_without_shared_workers_a_tab_has_its_own_socket(office: Office) -> None:
    context = await office.browser("agent")
    await context.add_init_script("delete globalThis.SharedWorker")
    first, second = await office.open(context), await office.open(context)
    assert office.hub.count() == 2
    await ring(office)
    for page in (first, second):
        await expect(window(page, "ringing")).to_be_visible()


async def test_a_hidden_tab_names_the_caller_in_its_title(office: Office) -> None:
    page = await office.enter("agent", "/parties")
    title = await page.title()
    await page.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => globalThis.isAway ?? true, configurable: true})"
    )
    call_id = await ring(office)
    await expect(page).to_have_title(f"☎ +7 495 120-33-44 — {title}")
    office.happen(call_id, fresh(answers("101", **of(call_id))))
    await expect(page).to_have_title(title)


async def test_signing_in_by_the_form(office: Office) -> None:
    office.expect("422")
    context = await office.browser(None)
    page = await context.new_page()
    await page.goto(office.url + "/parties?q=при")
    await page.get_by_label("Логин").fill("agent")
    await page.get_by_label("Пароль").fill("wrong")
    await page.get_by_role("button", name="Войти").click()
    await expect(page.get_by_role("alert")).to_contain_text("Неверный логин или пароль.")
    await page.get_by_label("Пароль").fill("correct horse battery")
    await page.get_by_role("button", name="Войти").click()
    await expect(page.locator("h1")).to_have_text("Контрагенты")
    assert "q=" in page.url


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_windows_are_accessible(office: Office, size: dict[str, Any], theme: str) -> None:
    page = await office.enter("agent", "/parties", color_scheme=theme, **size)
    talking = await ring(office)
    office.happen(talking, fresh(answers("101", **of(talking))))
    await expect(window(page, "talking")).to_be_attached()
    assert await axe(page) == []
    left = await ring(office, customer_number="+79161234567")
    await expect(page.locator(".call-details .pop-number")).to_be_visible()
    assert await axe(page) == []
    office.happen(left, fresh(ends(disposition=Disposition.ABANDONED, **of(left))))
    await expect(window(page, "caller_left")).to_be_attached()  # on a phone behind the talk that goes on
    assert await axe(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_the_sign_in_is_accessible(office: Office, size: dict[str, Any]) -> None:
    context = await office.browser(None, **size)
    page = await context.new_page()
    await page.goto(office.url + "/sign-in")
    assert await axe(page) == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["1440", "390"])
async def test_one_lamp_tells_of_the_connection(office: Office, size: dict[str, Any]) -> None:
    page = await office.enter("agent", "/parties", **size)
    lamp = page.locator("line-state")
    await expect(lamp).to_have_count(1)
    await expect(lamp).to_be_in_viewport(ratio=1)
    await expect(lamp).to_have_attribute("data-state", "up")
    await expect(lamp).to_have_text("На линии")
    office.hub.deliver(office.desk.set_connection(ConnectionView(id=1, name="АТС", state="down"), now()))
    await expect(lamp).to_have_text("Нет связи с АТС")
    await expect(lamp).to_be_in_viewport(ratio=1)
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


async def test_the_drawer_of_narrow_screens(office: Office) -> None:
    page = await office.enter("agent", "/parties", **PHONE)
    bar = page.locator(".module-bar")
    await expect(bar).to_be_hidden()
    await page.get_by_role("button", name="Меню").click()
    await expect(bar).to_be_visible()
    assert await axe(page) == []
    await page.keyboard.press("Escape")
    await expect(bar).to_be_hidden()
    await expect(page.get_by_role("button", name="Меню")).to_be_focused()


async def test_the_window_is_on_the_screen_in_time(office: Office) -> None:
    page = await office.enter()
    await ring(office)
    await expect(window(page, "ringing")).to_be_visible()
    await eventually(lambda: office.hub.drawn_ms)
    [milliseconds] = office.hub.drawn_ms
    assert milliseconds < WITHIN_MS * 4
