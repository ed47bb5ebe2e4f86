"""Outgoing and internal calls on a live PBX, as their telephones went through them. `make test-pbx`."""

from __future__ import annotations

import pytest

from tests.pbx.floor import MOBILE, PROVIDER, Floor
from tests.pbx.judging import Expected, Inside
from tests.pbx.phones.line import Line

pytestmark = pytest.mark.long


def outgoing(line: Line | None, disposition: str, by: str = "104", **more: str) -> Expected:
    return Expected(
        customer=line,
        direction="outbound",
        number=more.get("number", MOBILE),
        placed_by=by,
        disposition=disposition,
        hung_up_by=more.get("hung_up_by"),
    )


async def test_an_outgoing_call_is_answered_and_the_agent_hangs_up(floor: Floor) -> None:
    floor.answers(PROVIDER, after=1.5)
    agent = await floor.dials("104", MOBILE)
    customer = await floor.answered_at(PROVIDER)
    await agent.stay(2)
    await agent.hang_up()
    await customer.until_ended()
    await floor.expect(outgoing(customer, "answered"))


async def test_an_outgoing_call_is_answered_and_the_customer_hangs_up(floor: Floor) -> None:
    floor.answers(PROVIDER)
    await floor.dials("101", MOBILE)
    customer = await floor.answered_at(PROVIDER)
    await customer.stay(2)
    await customer.hang_up()
    await floor.expect(outgoing(customer, "answered", by="101"))


async def test_the_customer_is_busy(floor: Floor) -> None:
    floor.refuses(PROVIDER, 486)
    agent = await floor.dials("104", MOBILE)
    await agent.until_ended()
    await floor.expect(outgoing(None, "busy", hung_up_by="customer"))


async def test_the_customer_declines(floor: Floor) -> None:
    floor.refuses(PROVIDER, 603, after=1)
    agent = await floor.dials("104", MOBILE)
    await agent.until_ended()
    await floor.expect(outgoing(None, "declined", hung_up_by="customer"))


async def test_the_customer_does_not_answer(floor: Floor) -> None:
    floor.rings(PROVIDER)
    agent = await floor.dials("104", MOBILE)
    await floor.rang_at(PROVIDER)
    await agent.stay(2)
    await agent.hang_up()
    await floor.expect(outgoing(None, "no_answer", hung_up_by="agent"))


async def test_a_number_that_is_not_assigned(floor: Floor) -> None:
    floor.refuses(PROVIDER, 404)
    agent = await floor.dials("104", MOBILE)
    await agent.until_ended()
    await floor.expect(outgoing(None, "failed", hung_up_by="pbx"))


async def test_a_number_that_the_dialplan_forbids_is_no_call(floor: Floor) -> None:
    agent = await floor.dials("104", "81044123456789")
    await agent.until_ended()
    await floor.expect()


async def test_a_call_among_colleagues(floor: Floor) -> None:
    floor.answers("105")
    caller = await floor.dials("104", "105")
    await caller.until_answered()
    await caller.stay(2)
    await caller.hang_up()
    await floor.expect(inside=[Inside(by="104", dialled="105", is_answered=True)])


async def test_a_colleague_does_not_answer(floor: Floor) -> None:
    floor.rings("105")
    caller = await floor.dials("104", "105")
    await floor.rang_at("105")
    await caller.stay(1.5)
    await caller.hang_up()
    await floor.expect(inside=[Inside(by="104", dialled="105", is_answered=False)])


async def test_click_to_call_is_the_agents_call(floor: Floor) -> None:
    floor.answers("101")
    floor.answers(PROVIDER, after=1.5)
    await floor.click_to_call("101", MOBILE)
    agent = await floor.answered_at("101")
    customer = await floor.answered_at(PROVIDER)
    await customer.stay(2)
    await agent.hang_up()
    await customer.until_ended()
    await floor.expect(outgoing(customer, "answered", by="101"))


async def test_click_to_call_whose_agent_does_not_pick_up(floor: Floor) -> None:
    floor.rings("101")
    await floor.click_to_call("101", MOBILE)
    agent = await floor.rang_at("101")
    await agent.until_ended()
    await floor.expect(outgoing(None, "failed", by="101", hung_up_by="pbx"))


async def test_click_to_call_whose_customer_does_not_answer(floor: Floor) -> None:
    floor.answers("101")
    floor.rings(PROVIDER)
    await floor.click_to_call("101", MOBILE)
    agent = await floor.answered_at("101")
    await floor.rang_at(PROVIDER)
    await agent.stay(1.5)
    await agent.hang_up()
    await floor.expect(outgoing(None, "no_answer", by="101", hung_up_by="agent"))
