"""Transfers, pickup, parking and conferences on a live PBX, as their telephones went through them. `make test-pbx`."""

from __future__ import annotations

import pytest

from tests.pbx.floor import MOBILE, PROVIDER, Floor
from tests.pbx.judging import Expected, Inside, Passed
from tests.pbx.phones.line import Line

pytestmark = pytest.mark.long

CUSTOMER = "89161230001"
TO_101, TO_104, SALES = "74951234501", "74951234504", "74951234520"
SALES_INSIDE, GROUP_INSIDE, MAILBOX_INSIDE = "620", "610", "699"
FEATURE_SECONDS = 1.2  # until the PBX has asked for the number


def answered(customer: Line, *passed: Passed, did: str | None = TO_101, **more: object) -> Expected:
    fields: dict[str, object] = {"number": CUSTOMER, "did": did, "disposition": "answered", "passed": passed}
    return Expected(customer=customer, **(fields | more))  # type: ignore[arg-type]


def blind(to: str, by: str = "101", *, is_answered: bool = True) -> Passed:
    return Passed(by=by, to=to, kind="blind", is_answered=is_answered)


def attended(to: str, by: str = "101") -> Passed:
    return Passed(by=by, to=to, kind="attended")


async def by_code(floor: Floor, agent: Line, code: str, target: str) -> None:
    """The feature code, then the number."""
    await agent.press(code)
    await agent.stay(FEATURE_SECONDS)
    await agent.press(target)


async def finish(line: Line, seconds: float = 2) -> None:
    await line.stay(seconds)
    await line.hang_up()


# ---- blind ------------------------------------------------------------------------------------------------------


async def test_blind_by_the_telephone(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.answers("102", after=1.5)
    await agent.transfer("102")
    await floor.answered_at("102")
    await finish(customer)
    await floor.expect(answered(customer, blind("102")))


async def test_blind_by_a_feature_code(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.answers("102", after=1.5)
    await by_code(floor, agent, "##", "102")
    colleague = await floor.answered_at("102")
    await finish(colleague)
    await floor.expect(answered(customer, blind("102")))


async def test_blind_to_a_colleague_who_does_not_answer(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.rings("102")
    await agent.transfer("102")
    await floor.rang_at("102")
    await finish(customer)
    await floor.expect(answered(customer, blind("102", is_answered=False)))


async def test_blind_to_a_busy_colleague(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.refuses("102", 486)
    await by_code(floor, agent, "##", "102")
    await customer.until_ended()
    await floor.expect(answered(customer, blind("102", is_answered=False)))


async def test_blind_to_a_group(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.rings("102")
    floor.answers("103", after=1.5)
    await agent.transfer(GROUP_INSIDE)
    await floor.answered_at("103")
    await finish(customer)
    await floor.expect(answered(customer, blind(GROUP_INSIDE)))


async def test_blind_to_a_queue(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_104, "104")
    await agent.stay(1.5)
    floor.rings("101", "103")
    floor.answers("102", after=1.5)
    await agent.transfer(SALES_INSIDE)
    await floor.answered_at("102")
    await finish(customer)
    await floor.expect(answered(customer, blind(SALES_INSIDE, "104"), did=TO_104, queue="sales"))


async def test_blind_to_a_mailbox(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    await agent.transfer(MAILBOX_INSIDE)
    await finish(customer, 5)
    await floor.expect(answered(customer, blind(MAILBOX_INSIDE, is_answered=False)))


async def test_blind_to_outside(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.answers(PROVIDER)
    await agent.transfer(MOBILE)
    await floor.answered_at(PROVIDER)
    await finish(customer)
    await floor.expect(answered(customer, blind(MOBILE)))


async def test_blind_of_an_outgoing_call(floor: Floor) -> None:
    floor.answers(PROVIDER)
    agent = await floor.dials("101", MOBILE)
    customer = await floor.answered_at(PROVIDER)
    await agent.stay(1.5)
    floor.answers("102", after=1.5)
    await agent.transfer("102")
    await floor.answered_at("102")
    await finish(customer)
    await floor.expect(
        answered(customer, blind("102"), direction="outbound", number=MOBILE, did=None, placed_by="101")
    )


# ---- attended ---------------------------------------------------------------------------------------------------


async def test_attended_by_the_telephone(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    second = await floor.consults(agent, "102")
    await second.stay(1.5)
    await agent.transfer("102", replacing=second)
    await finish(customer, 2.5)
    await floor.expect(answered(customer, attended("102")))


async def test_attended_from_a_queue(floor: Floor) -> None:
    floor.rings("102", "103")
    customer, agent = await floor.talks(CUSTOMER, SALES, "101")
    await agent.stay(1.5)
    second = await floor.consults(agent, "104")
    await second.stay(1.5)
    await agent.transfer("104", replacing=second)
    colleague = await floor.answered_at("104")
    await finish(colleague, 2.5)
    await floor.expect(answered(customer, attended("104"), did=SALES, queue="sales"))


async def test_attended_to_outside(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    await agent.hold()
    floor.answers(PROVIDER)
    second = await floor.dials("101", MOBILE)
    await second.until_answered()
    await second.stay(1.5)
    await agent.transfer(MOBILE, replacing=second)
    await finish(customer, 2.5)
    await floor.expect(answered(customer, attended(MOBILE)))


async def test_attended_by_a_feature_code(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.answers("102")
    await by_code(floor, agent, "*2", "102")
    await floor.answered_at("102")
    await agent.stay(1.5)
    await agent.press("*2")
    await agent.stay(1)
    await agent.hang_up()
    await finish(customer)
    await floor.expect(answered(customer, attended("102")))


async def test_attended_by_a_feature_code_and_hanging_up(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.answers("102")
    await by_code(floor, agent, "*2", "102")
    await floor.answered_at("102")
    await finish(agent)
    await finish(customer)
    await floor.expect(answered(customer, attended("102")))


async def test_three_talk_by_a_feature_code_then_two(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.answers("102")
    await by_code(floor, agent, "*2", "102")
    await floor.answered_at("102")
    await agent.stay(1.5)
    await agent.press("*3")
    await finish(agent, 3)
    await finish(customer)
    await floor.expect(answered(customer, attended("102")))


async def test_a_consultation_that_is_given_up(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.answers("102")
    await by_code(floor, agent, "*2", "102")
    await floor.answered_at("102")
    await agent.stay(1.5)
    await agent.press("*1")
    await agent.stay(2)
    await customer.hang_up()
    await floor.expect(answered(customer))


async def test_a_consulted_colleague_who_declines(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.refuses("102", 603, after=1)
    await by_code(floor, agent, "*2", "102")
    await floor.rang_at("102")
    await finish(customer, 6)
    await floor.expect(answered(customer))


async def test_a_consulted_colleague_who_hangs_up(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.answers("102")
    await by_code(floor, agent, "*2", "102")
    colleague = await floor.answered_at("102")
    await finish(colleague)
    await finish(customer, 4)
    await floor.expect(answered(customer))


async def test_a_consultation_by_a_call_of_its_own_that_is_not_joined(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    second = await floor.consults(agent, "102")
    await finish(second)
    await agent.resume()
    await finish(customer)
    await floor.expect(
        answered(customer, rang=frozenset({"101"})),
        inside=[Inside(by="101", dialled="102", is_answered=True)],
    )


async def test_the_customer_leaves_during_the_consultation(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.answers("102")
    await by_code(floor, agent, "*2", "102")
    await floor.answered_at("102")
    await finish(customer)
    await finish(agent)
    await floor.expect(answered(customer))


async def test_blonde_by_the_telephone(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    await agent.hold()
    floor.answers("102", after=3.5)
    second = await floor.dials("101", "102")
    await floor.rang_at("102")
    await second.stay(1)
    await agent.transfer("102", replacing=second)
    await agent.stay(1)
    await agent.hang_up()
    await floor.answered_at("102")
    await finish(customer)
    await floor.expect(answered(customer, Passed(by="101", to="102", kind="blonde")))


async def test_blonde_by_a_feature_code(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.answers("102", after=3.5)
    await by_code(floor, agent, "*2", "102")
    await floor.rang_at("102")
    await finish(agent, 1.5)
    await floor.answered_at("102")
    await finish(customer)
    await floor.expect(answered(customer, Passed(by="101", to="102", kind="blonde")))


async def test_blonde_whose_target_never_answers_comes_back(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.rings("102")
    await by_code(floor, agent, "*2", "102")
    await floor.rang_at("102")
    await agent.stay(1)
    floor.answers("101", after=1.5)
    await agent.hang_up()
    await floor.answered_at("101", which=1)
    await finish(customer)
    await floor.expect(answered(customer, Passed(by="101", to="102", kind="blonde", is_answered=False)))


async def test_passed_on_twice(floor: Floor) -> None:
    customer, agent = await floor.talks(CUSTOMER, TO_101, "101")
    await agent.stay(1.5)
    floor.answers("102")
    await agent.transfer("102")
    middle = await floor.answered_at("102")
    await middle.stay(1.5)
    second = await floor.consults(middle, "103")
    await second.stay(1.5)
    await middle.transfer("103", replacing=second)
    last = await floor.answered_at("103")
    await finish(last, 2.5)
    await floor.expect(answered(customer, blind("102"), attended("103", "102")))
