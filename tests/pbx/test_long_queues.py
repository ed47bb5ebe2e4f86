"""Queues and menus on a live PBX, as their telephones went through them. `make test-pbx`."""

from __future__ import annotations

import pytest

from tests.pbx.floor import Floor
from tests.pbx.judging import Expected, Inside
from tests.pbx.phones.line import Line

pytestmark = pytest.mark.long

CUSTOMER = "89161230001"
SALES, SUPPORT, IN_TURN, OPTIMISED = "74951234520", "74951234521", "74951234522", "74951234523"
IMPATIENT, TO_MAILBOX, QUEUE_AFTER_QUEUE, MENU = "74951234524", "74951234525", "74951234526", "74951234567"
MEMBERS = ("101", "102", "103")


def queued(customer: Line, did: str, disposition: str, queue: str | None = "sales") -> Expected:
    return Expected(customer=customer, number=CUSTOMER, did=did, disposition=disposition, queue=queue)


async def test_everyone_rings_and_one_answers(floor: Floor) -> None:
    floor.rings("101", "103")
    customer, _ = await floor.talks(CUSTOMER, SALES, "102", after=1.5)
    await customer.stay(2)
    await customer.hang_up()
    await floor.expect(queued(customer, SALES, "answered"))


async def test_members_ring_in_turn(floor: Floor) -> None:
    floor.rings(*MEMBERS)
    customer = await floor.customer(CUSTOMER, IN_TURN)
    second = await floor.second_to_ring(MEMBERS)
    await second.answer()
    await customer.stay(2)
    await second.hang_up()
    await floor.expect(queued(customer, IN_TURN, "answered", "in-turn"))


async def test_a_busy_member_is_passed_over(floor: Floor) -> None:
    floor.refuses("101", 486)
    floor.refuses("103", 486)
    customer, _ = await floor.talks(CUSTOMER, SALES, "102", after=1.5)
    await customer.stay(2)
    await customer.hang_up()
    await floor.expect(queued(customer, SALES, "answered"))


async def test_a_member_who_talks_is_not_rung(floor: Floor) -> None:
    floor.answers("103")
    inside = await floor.dials("103", "104")
    floor.answers("104")
    await floor.answered_at("104")
    floor.rings("101", "103")
    customer, _ = await floor.talks(CUSTOMER, SALES, "102", after=1.5)
    await customer.stay(2)
    await customer.hang_up()
    await inside.hang_up()
    rang = frozenset({"101", "102"})
    expected = Expected(
        customer=customer, number=CUSTOMER, did=SALES, disposition="answered", queue="sales", rang=rang
    )
    await floor.expect(expected, inside=[Inside(by="103", dialled="104", is_answered=True)])


async def test_members_behind_helper_channels(floor: Floor) -> None:
    floor.answers("101")
    floor.answers("102")
    customer = await floor.customer(CUSTOMER, SUPPORT)
    agent = await floor.first_to_answer(("101", "102"))
    await customer.stay(2)
    await agent.hang_up()
    await floor.expect(queued(customer, SUPPORT, "answered", "support"))


async def test_members_behind_helper_channels_that_go_out_of_the_way(floor: Floor) -> None:
    floor.rings("101")
    customer, _ = await floor.talks(CUSTOMER, OPTIMISED, "102", after=1.5)
    await customer.stay(2.5)
    await customer.hang_up()
    await floor.expect(queued(customer, OPTIMISED, "answered", "optimised"))


async def test_the_caller_gives_up_in_the_queue(floor: Floor) -> None:
    floor.rings(*MEMBERS)
    customer = await floor.customer(CUSTOMER, SALES)
    await floor.rang_at("103")
    await customer.stay(1.5)
    await customer.hang_up()
    await floor.expect(queued(customer, SALES, "abandoned"))


async def test_the_queue_gives_up(floor: Floor) -> None:
    floor.rings(*MEMBERS)
    customer = await floor.customer(CUSTOMER, IMPATIENT)
    await customer.until_ended()
    await floor.expect(queued(customer, IMPATIENT, "not_served"))


async def test_the_queue_gives_up_and_a_mailbox_takes_the_caller(floor: Floor) -> None:
    floor.rings(*MEMBERS)
    customer = await floor.customer(CUSTOMER, TO_MAILBOX)
    await customer.until_answered()
    await customer.stay(12)
    await customer.hang_up()
    await floor.expect(queued(customer, TO_MAILBOX, "voicemail"))


async def test_from_one_queue_into_the_next(floor: Floor) -> None:
    floor.rings("101", "103", "106")
    customer, _ = await floor.talks(CUSTOMER, QUEUE_AFTER_QUEUE, "102", after=1.5)
    await customer.stay(2)
    await customer.hang_up()
    await floor.expect(queued(customer, QUEUE_AFTER_QUEUE, "answered"))


async def test_a_menu_then_a_queue(floor: Floor) -> None:
    floor.rings("101", "103")
    floor.answers("102", after=1.5)
    customer = await floor.customer(CUSTOMER, MENU)
    await customer.until_answered()
    await customer.stay(1)
    await customer.press("1")
    await floor.answered_at("102")
    await customer.stay(2)
    await customer.hang_up()
    await floor.expect(queued(customer, MENU, "answered"))


async def test_nothing_but_the_menu(floor: Floor) -> None:
    customer = await floor.customer(CUSTOMER, MENU)
    await customer.until_answered()
    await customer.stay(1.5)
    await customer.hang_up()
    await floor.expect(queued(customer, MENU, "menu_only", None))


async def test_two_customers_of_one_queue(floor: Floor) -> None:
    floor.refuses("103", 486)
    floor.rings("101")
    first, _ = await floor.talks(CUSTOMER, SALES, "102", after=1)
    floor.answers("101")
    second = await floor.customer("89161230002", SALES)
    await floor.answered_at("101", which=1)
    await second.stay(2)
    await second.hang_up()
    await first.hang_up()
    both, one = frozenset({"101", "102"}), frozenset({"101"})
    await floor.expect(
        Expected(
            customer=first, number=CUSTOMER, did=SALES, disposition="answered", queue="sales", rang=both
        ),
        Expected(
            customer=second, number="89161230002", did=SALES, disposition="answered", queue="sales", rang=one
        ),
    )
