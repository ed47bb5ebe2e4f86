"""Calls placed and controlled from the screen, on a live PBX with the dialler's account of asterisk-config. `make test-pbx`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from crm.database import Database
from crm.errors import NotFound
from crm.journal import Journal
from crm.rights import Access
from crm.spool import Spool
from crm.wrap_ups import WrapUpInfo, wrap_up_of
from cti.desk import SeatState
from tests.pbx.floor import PROVIDER, Floor
from tests.pbx.phones.line import Line
from tests.pbx.screen import LINE, Screens, screens

pytestmark = pytest.mark.long

CUSTOMER = "89161230001"
CUSTOMER_E164 = "+79161230001"
TO_101, SALES = "74951234501", "74951234520"


@pytest.fixture
async def screen(floor: Floor, database: Database) -> AsyncIterator[Screens]:
    async with screens(floor.pbx, database) as shown:
        yield shown


@pytest.fixture
async def kept_screen(floor: Floor, database: Database, tmp_path: Path) -> AsyncIterator[Screens]:
    """The same, and what is told is stored as well."""
    journal = Journal(database, Spool(tmp_path / "spool"))
    writing = asyncio.create_task(journal.run())
    async with screens(floor.pbx, database, journal) as shown:
        yield shown
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def talking(floor: Floor, screen: Screens, did: str = TO_101) -> tuple[Line, Line]:
    customer, agent = await floor.talks(CUSTOMER, did, "101")
    await screen.sees("101", lambda view: view.state is SeatState.TALKING)
    return customer, agent


async def test_a_click_is_one_call_from_the_lift_to_the_end(floor: Floor, screen: Screens) -> None:
    floor.answers("101", after=0.5)
    floor.answers(PROVIDER, after=1.0)
    call_id = await screen.dial("101", "8 (916) 765-43-21")
    await screen.sees("101", lambda view: view.id == call_id and view.state is SeatState.LIFT)
    far = await floor.answered_at(PROVIDER)
    talk = await screen.sees("101", lambda view: view.state is SeatState.TALKING)
    assert (talk.id, talk.phone) == (call_id, "+79167654321")
    assert LINE in str(far.invite.headers)  # the number of ours that was chosen
    assert (await screen.does("101", "hang_up")).outcome == "done"
    await far.until_ended()
    assert (await screen.sees("101", lambda view: view.state is SeatState.ENDED)).id == call_id
    assert [data["state"] for _kind, data in screen.told] == ["ringing", "answered"]


async def test_a_click_whose_agent_does_not_pick_up_says_so(floor: Floor, screen: Screens) -> None:
    floor.refuses("101", 486)
    await screen.dial("101", "8 (916) 765-43-21")
    await screen.sees("101", lambda view: view.state is SeatState.ENDED)
    assert (await screen.until_told("failed"))["reason"] == "busy"
    assert floor.provider.lines == []


async def test_passed_on_at_once_with_a_card(floor: Floor, screen: Screens) -> None:
    customer, agent = await talking(floor, screen)
    floor.answers("102", after=1.5)
    done = await screen.does("101", "transfer", to="102", reason="Счёт", note="Просит счёт до пятницы")
    assert done.outcome == "done"
    ringing = await screen.sees("102", lambda view: view.state is SeatState.RINGING)
    assert ringing.card is not None
    assert (ringing.card.reason, ringing.card.note) == ("Счёт", "Просит счёт до пятницы")
    assert (ringing.card.caller, ringing.phone) == (CUSTOMER_E164, CUSTOMER_E164)
    await agent.until_ended()
    talk = await screen.sees("102", lambda view: view.state is SeatState.TALKING)
    assert talk.handed_over is not None
    assert (talk.handed_over.kind, talk.handed_over.extension) == ("blind", "101")
    await customer.hang_up()


@pytest.mark.parametrize("is_consulted", [False, True], ids=["blind", "attended"])
async def test_whoever_passed_the_call_on_wraps_up_while_the_next_one_talks(
    floor: Floor, kept_screen: Screens, database: Database, *, is_consulted: bool
) -> None:
    first, second = kept_screen.agents["101"], kept_screen.agents["102"]
    number = "89161230002" if is_consulted else "89161230003"  # else two connections seem to see one call
    customer, agent = await floor.talks(number, TO_101, "101")
    floor.answers("102", after=0.5)
    if is_consulted:
        await kept_screen.does("101", "consult", to="102")
        await floor.answered_at("102")
        await kept_screen.sees("101", lambda view: "cancel_consult" in view.controls)
        await kept_screen.does("101", "hang_up")
    else:
        await kept_screen.does("101", "transfer", to="102")
    await agent.until_ended()
    talk = await kept_screen.sees("102", lambda view: view.state is SeatState.TALKING and view.phone)
    begun = await wrap_up(database, first, talk.id)
    window = await kept_screen.sees("102", lambda view: view.id == talk.id)
    assert window.state is SeatState.TALKING
    with pytest.raises(TimeoutError):
        await wrap_up(database, second, talk.id, seconds=1)
    await customer.hang_up()
    assert (await wrap_up(database, second, talk.id)).started_at > begun.started_at
    assert await wrap_up(database, first, talk.id) == begun


async def wrap_up(database: Database, access: Access, call_id: UUID, seconds: float = 10) -> WrapUpInfo:
    """This agent's, once it has begun."""
    async with asyncio.timeout(seconds):
        while True:
            async with database.sessions() as session:
                with suppress(NotFound):
                    info = await wrap_up_of(session, access, call_id)
                    return replace(info, talk_seconds=None)
            await asyncio.sleep(0.1)


async def test_talked_to_first_then_passed_on(floor: Floor, screen: Screens) -> None:
    customer, agent = await talking(floor, screen)
    floor.answers("102", after=1.0)
    assert (await screen.does("101", "consult", to="102", note="Знает договор")).outcome == "done"
    ringing = await screen.sees("102", lambda view: view.card)
    assert ringing.card is not None
    assert (ringing.card.note, ringing.card.caller) == ("Знает договор", CUSTOMER_E164)
    await floor.answered_at("102")
    await screen.sees("101", lambda view: "cancel_consult" in view.controls)
    assert (await screen.does("101", "hang_up")).outcome == "done"
    await agent.until_ended()
    talk = await screen.sees("102", lambda view: view.state is SeatState.TALKING and view.phone)
    assert talk.phone == CUSTOMER_E164
    await customer.hang_up()


async def test_back_to_the_customer_from_a_consultation(floor: Floor, screen: Screens) -> None:
    customer, _agent = await talking(floor, screen)
    floor.answers("102", after=0.5)
    await screen.does("101", "consult", to="102")
    colleague = await floor.answered_at("102")
    await screen.sees("101", lambda view: "cancel_consult" in view.controls)
    assert (await screen.does("101", "cancel_consult")).outcome == "done"
    await colleague.until_ended()
    await screen.sees("101", lambda view: view.state is SeatState.TALKING and "transfer" in view.controls)
    await customer.hang_up()


async def test_declined_it_rings_no_more_here(floor: Floor, screen: Screens) -> None:
    floor.rings("101")
    customer = await floor.customer(CUSTOMER, TO_101)
    rung = await floor.rang_at("101")
    assert (await screen.does("101", "decline")).outcome == "done"
    await rung.until_ended()
    await customer.until_ended()


async def test_sent_on_while_it_rings(floor: Floor, screen: Screens) -> None:
    floor.rings("101")
    floor.answers("102", after=1.0)
    customer = await floor.customer(CUSTOMER, TO_101)
    rung = await floor.rang_at("101")
    assert (await screen.does("101", "deflect", to="102", reason="Занят")).outcome == "done"
    await rung.until_ended()
    talk = await screen.sees("102", lambda view: view.state is SeatState.TALKING)
    assert talk.phone == CUSTOMER_E164
    await customer.hang_up()


async def test_keys_and_a_silenced_recording(floor: Floor, screen: Screens) -> None:
    customer, _agent = await talking(floor, screen, SALES)
    await screen.sees("101", lambda view: "pause_recording" in view.controls)
    assert (await screen.does("101", "keys", keys="12#")).outcome == "done"
    assert (await screen.does("101", "pause_recording")).outcome == "done"
    assert (await screen.sees("101", lambda view: view.is_recording_paused)).state is SeatState.TALKING
    assert (await screen.does("101", "resume_recording")).outcome == "done"
    await screen.sees("101", lambda view: not view.is_recording_paused)
    await customer.hang_up()


async def test_parked_and_told_where(floor: Floor, screen: Screens) -> None:
    customer, agent = await talking(floor, screen)
    done = await screen.does("101", "park")
    assert (done.outcome, done.detail.isdigit()) == ("done", True)
    await agent.until_ended()
    fetched = await floor.dials("102", done.detail)
    await fetched.until_answered()
    talk = await screen.sees("102", lambda view: view.state is SeatState.TALKING)
    assert talk.phone == CUSTOMER_E164
    await customer.hang_up()


async def test_muted_nobody_hears_the_agent_who_hears_on(floor: Floor, screen: Screens) -> None:
    customer, agent = await talking(floor, screen)
    assert (await screen.does("101", "mute")).outcome == "done"
    assert (await screen.sees("101", lambda view: view.is_muted)).state is SeatState.TALKING
    await customer.stay(1.5)
    assert (heard_lately(customer), heard_lately(agent)) == (set(), {customer.hz})
    assert (await screen.does("101", "unmute")).outcome == "done"
    await screen.sees("101", lambda view: not view.is_muted)
    await customer.stay(1.5)
    assert heard_lately(customer) == {agent.hz}
    await customer.hang_up()


def heard_lately(line: Line) -> set[int]:
    """The voices in this ear within the last half second."""
    return {hz for _at, tones in line.notes.heard[-5:] for hz in tones}
