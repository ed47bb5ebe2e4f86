"""Direct calls, groups and outgoing calls on a live PBX, as their telephones went through them. `make test-pbx`."""

from __future__ import annotations

import asyncio

import pytest

from tests.pbx.floor import MOBILE, PROVIDER, Floor
from tests.pbx.judging import Expected, Inside

pytestmark = pytest.mark.long

CUSTOMER = "89161230001"
TO_101, TO_102, TO_103, TO_104, TO_105, TO_106 = (f"7495123450{last}" for last in range(1, 7))
TO_A_MOBILE, ANNOUNCED = "74951234540", "74951234541"
GROUP, GROUP_BY_HELPERS = "74951234510", "74951234511"
HUNT, GOES_ON = "74951234512", "74951234513"


async def test_a_direct_call_is_answered_and_the_customer_hangs_up(floor: Floor) -> None:
    customer, _ = await floor.talks(CUSTOMER, TO_101, "101")
    await customer.stay(2)
    await customer.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_101, disposition="answered"))


async def test_a_direct_call_is_answered_and_the_agent_hangs_up(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_104, "104")
    await customer.stay(2)
    await agent.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_104, disposition="answered"))


async def test_a_caller_who_gives_up(floor: Floor) -> None:
    floor.rings("101")
    customer = await floor.customer(CUSTOMER, TO_101)
    await floor.rang_at("101")
    await customer.stay(1.5)
    await customer.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_101, disposition="abandoned"))


async def test_a_busy_telephone_never_rings(floor: Floor) -> None:
    floor.refuses("101", 486)
    customer = await floor.customer(CUSTOMER, TO_101)
    await customer.until_ended()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_101, disposition="busy"))


async def test_a_declined_call_rang_before(floor: Floor) -> None:
    floor.refuses("101", 603, after=1)
    customer = await floor.customer(CUSTOMER, TO_101)
    await customer.until_ended()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_101, disposition="busy"))


async def test_nobody_answers_and_the_pbx_gives_up(floor: Floor) -> None:
    floor.rings("105")
    customer = await floor.customer(CUSTOMER, TO_105)
    await customer.until_ended()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_105, disposition="no_answer"))


async def test_a_telephone_that_is_switched_off(floor: Floor) -> None:
    await floor.phone("105").register(expires=0)
    customer = await floor.customer(CUSTOMER, TO_105)
    await customer.until_ended()
    await floor.phone("105").register()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_105, disposition="no_answer"))


async def test_two_of_a_group_ring_and_one_answers(floor: Floor) -> None:
    floor.rings("101")
    customer, _ = await floor.talks(CUSTOMER, GROUP, "102", after=1.5)
    await customer.stay(2)
    await customer.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=GROUP, disposition="answered"))


async def test_one_of_a_group_declines_and_the_other_answers(floor: Floor) -> None:
    floor.refuses("101", 603, after=0.7)
    customer, agent = await floor.talks(CUSTOMER, GROUP, "102", after=2)
    await customer.stay(2)
    await agent.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=GROUP, disposition="answered"))


async def test_a_group_by_helper_channels_that_go_out_of_the_way(floor: Floor) -> None:
    floor.rings("101")
    customer, agent = await floor.talks(CUSTOMER, GROUP_BY_HELPERS, "102", after=1.5)
    await customer.stay(1.5)
    await agent.hold()
    await customer.stay(2)
    await agent.resume()
    await customer.stay(1)
    await agent.hang_up()
    await floor.expect(
        Expected(customer=customer, number=CUSTOMER, did=GROUP_BY_HELPERS, disposition="answered")
    )


async def test_one_telephone_after_the_other(floor: Floor) -> None:
    floor.rings("104")
    customer, _ = await floor.talks(CUSTOMER, HUNT, "105")
    await customer.stay(2)
    await customer.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=HUNT, disposition="answered"))


async def test_the_customer_goes_on_to_another_when_the_first_hangs_up(floor: Floor) -> None:
    floor.answers("105")
    customer, first = await floor.talks(CUSTOMER, GOES_ON, "104")
    await first.stay(2)
    await first.hang_up()
    await floor.answered_at("105")
    await customer.stay(2)
    await customer.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=GOES_ON, disposition="answered"))


async def test_a_mailbox_takes_the_message(floor: Floor) -> None:
    floor.rings("103")
    customer = await floor.customer(CUSTOMER, TO_103)
    await customer.until_answered()
    await customer.stay(8)
    await customer.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_103, disposition="voicemail"))


async def test_a_mailbox_gets_no_message(floor: Floor) -> None:
    floor.rings("103")
    customer = await floor.customer(CUSTOMER, TO_103)
    await customer.until_answered()
    await customer.stay(0.7)
    await customer.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_103, disposition="voicemail"))


async def test_two_telephones_of_one_extension_ring_as_one(floor: Floor) -> None:
    async with floor.second_telephone("106") as second:
        customer, _ = await floor.talks(CUSTOMER, TO_106, "106", after=1.5)
        await customer.stay(2)
        await customer.hang_up()
        assert [line.notes.code for line in second.lines] == [487], "the second telephone did not ring too"
        await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_106, disposition="answered"))


async def test_the_customer_waits_on_hold(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    for _ in range(2):
        await customer.stay(1.5)
        await agent.hold()
        await customer.stay(1.5)
        await agent.resume()
    await customer.stay(1)
    await customer.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_101, disposition="answered"))


async def test_a_second_customer_rings_while_the_agent_talks(floor: Floor) -> None:
    first, _ = await floor.talks(CUSTOMER, TO_101, "101")
    floor.rings("101")
    second = await floor.customer("89161230002", TO_101)
    await floor.rang_at("101", which=1)
    await first.stay(1.5)
    await second.hang_up()
    await first.stay(1)
    await first.hang_up()
    await floor.expect(
        Expected(customer=first, number=CUSTOMER, did=TO_101, disposition="answered"),
        Expected(customer=second, number="89161230002", did=TO_101, disposition="abandoned"),
    )


async def test_an_agent_goes_to_and_fro_between_two_customers(floor: Floor) -> None:
    first, agent = await floor.talks(CUSTOMER, TO_101, "101")
    floor.answers("101", after=1.5)
    second = await floor.customer("89161230002", TO_101)
    await floor.rang_at("101", which=1)
    await agent.hold()
    other = await floor.answered_at("101", which=1)
    await second.stay(2)
    await other.hang_up()
    await agent.resume()
    await first.stay(1.5)
    await first.hang_up()
    await floor.expect(
        Expected(customer=first, number=CUSTOMER, did=TO_101, disposition="answered"),
        Expected(customer=second, number="89161230002", did=TO_101, disposition="answered"),
    )


async def test_a_customer_without_a_number(floor: Floor) -> None:
    floor.answers("101")
    withheld = (("P-Asserted-Identity", "<sip:+79161230001@example.invalid>"), ("Privacy", "id"))
    customer = await floor.customer("anonymous", TO_101, name="Anonymous", extra=withheld)
    await floor.answered_at("101")
    await customer.stay(2)
    await customer.hang_up()
    await floor.expect(Expected(customer=customer, number=None, did=TO_101, disposition="answered"))


async def test_a_telephone_forwards_to_a_mobile(floor: Floor) -> None:
    floor.forwards("101", MOBILE)
    floor.answers(PROVIDER)
    customer = await floor.customer(CUSTOMER, TO_101)
    await floor.answered_at(PROVIDER)
    await customer.stay(2.5)
    await customer.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_101, disposition="answered"))


async def test_a_telephone_forwards_to_a_colleague(floor: Floor) -> None:
    floor.forwards("101", "102")
    floor.answers("102")
    customer = await floor.customer(CUSTOMER, TO_101)
    await floor.answered_at("102")
    await customer.stay(2.5)
    await customer.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_101, disposition="answered"))


async def test_our_number_leads_straight_to_a_mobile(floor: Floor) -> None:
    floor.answers(PROVIDER)
    customer = await floor.customer(CUSTOMER, TO_A_MOBILE)
    await floor.answered_at(PROVIDER)
    await customer.stay(2.5)
    await customer.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=TO_A_MOBILE, disposition="answered"))


async def test_an_announcement_before_anyone_rings(floor: Floor) -> None:
    floor.answers("104")
    customer = await floor.customer(CUSTOMER, ANNOUNCED)
    await floor.answered_at("104")
    await customer.stay(2)
    await customer.hang_up()
    await floor.expect(Expected(customer=customer, number=CUSTOMER, did=ANNOUNCED, disposition="answered"))


async def test_five_customers_at_once(floor: Floor) -> None:
    desks = {"101": TO_101, "102": TO_102, "104": TO_104}
    for extension in desks:
        floor.answers(extension, after=1.5)
    numbers = {f"8916123010{last}": did for last, did in enumerate(desks.values())}
    customers = []
    for number, did in numbers.items():
        customers.append(await floor.customer(number, did))
        await asyncio.sleep(0.2)
    inside = await floor.dials("105", "106")
    floor.rings("106")
    for customer in customers:
        await customer.until_answered()
    await asyncio.sleep(2)
    await inside.hang_up()
    for customer in customers:
        await customer.hang_up()
        await asyncio.sleep(0.5)
    await floor.expect(
        *(
            Expected(
                customer=customer, number=number, did=did, disposition="answered", rang=frozenset({extension})
            )
            for customer, number, (extension, did) in zip(customers, numbers, desks.items(), strict=True)
        ),
        inside=[Inside(by="105", dialled="106", is_answered=False)],
    )
