"""Pickup, parking, conferences and colleagues on a live PBX, as their telephones went through them. `make test-pbx`."""

from __future__ import annotations

import asyncio

import pytest

from tests.pbx.floor import Floor
from tests.pbx.judging import Inside, Passed
from tests.pbx.test_long_passing_on import CUSTOMER, SALES, TO_101, answered, finish

pytestmark = pytest.mark.long

CONFERENCE, PARKING = "8000", "700"


async def test_picked_up_by_a_neighbour(floor: Floor) -> None:
    floor.rings("101")
    customer = await floor.customer(CUSTOMER, TO_101)
    await floor.rang_at("101")
    await asyncio.sleep(1.5)
    neighbour = await floor.dials("102", "*8")
    await neighbour.until_answered()
    await finish(customer)
    await floor.expect(answered(customer))


async def test_picked_up_at_a_certain_telephone(floor: Floor) -> None:
    floor.rings("101", "102", "103")
    customer = await floor.customer(CUSTOMER, SALES)
    await floor.rang_at("101")
    await asyncio.sleep(1.5)
    neighbour = await floor.dials("105", "**101")
    await neighbour.until_answered()
    await finish(neighbour, 2.5)
    await floor.expect(answered(customer, did=SALES, queue="sales"))


async def test_parked_and_fetched_by_another(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    await agent.transfer(PARKING)
    await agent.stay(0.5)
    await agent.hang_up()
    await asyncio.sleep(1.5)
    colleague = await floor.dials("103", await floor.parking_space())
    await colleague.until_answered()
    await finish(customer)
    await floor.expect(answered(customer, Passed(by="101", to="103", kind="park")))


async def test_parked_by_a_feature_code_and_fetched_by_another(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    await agent.press("#72")
    await finish(agent, 2.5)
    colleague = await floor.dials("103", await floor.parking_space())
    await colleague.until_answered()
    await finish(colleague)
    await floor.expect(answered(customer, Passed(by="101", to="103", kind="park")))


async def test_parked_and_fetched_by_oneself(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    await agent.transfer(PARKING)
    await agent.stay(0.5)
    await agent.hang_up()
    await asyncio.sleep(1.5)
    again = await floor.dials("101", await floor.parking_space())
    await again.until_answered()
    await finish(customer)
    await floor.expect(answered(customer))


async def test_parked_and_forgotten_comes_back(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.answers("101", after=1.5)
    await agent.transfer(PARKING)
    await agent.stay(0.5)
    space = await floor.parking_space()
    await agent.hang_up()
    await floor.answered_at("101", which=1)
    await finish(customer)
    await floor.expect(answered(customer, Passed(by="101", to=space, kind="park", is_answered=False)))


async def test_a_conference_of_the_customer_and_two_of_us(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    await agent.transfer(CONFERENCE)
    await agent.stay(0.6)
    await agent.hang_up()
    first = await floor.dials("101", CONFERENCE)
    await first.until_answered()
    await first.stay(1.5)
    second = await floor.dials("102", CONFERENCE)
    await second.until_answered()
    await first.stay(2)
    await second.hang_up()
    await finish(customer, 1)
    calls = [Inside(by=extension, dialled=CONFERENCE, is_answered=True) for extension in ("101", "102")]
    await floor.expect(answered(customer, final_agent="101"), inside=calls)


async def test_a_call_among_colleagues_is_passed_on(floor: Floor) -> None:
    floor.answers("102")
    caller = await floor.dials("101", "102")
    colleague = await floor.answered_at("102")
    await colleague.stay(1.5)
    floor.answers("103")
    await colleague.transfer("103")
    await floor.answered_at("103")
    await finish(caller)
    await floor.expect(inside=[Inside(by="101", dialled="102", is_answered=True)])
