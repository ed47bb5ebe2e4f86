"""Who should get a call: the responsible, unless the block list, the hours, an empty seat or doubt speak against it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from crm import calendars
from crm.calendars import WorkHours
from crm.errors import NotAllowed, NotFound
from crm.rights import Access
from crm.routing import CallRoute, RouteAction, route_call
from crm.schema.telephony import AgentState, ExtensionAssignment, Line, NumberNote
from tests.crm import planting
from tests.crm.people import COMMAND
from tests.crm.planting import NOON

CALLER = "89000000001"
OURS = "74951234500"
E164_OF_CALLER = "+79000000001"


async def asking(session: AsyncSession, caller: str = CALLER, at: datetime = NOON) -> CallRoute:
    return await route_call(session, COMMAND, "office", caller, OURS, at)


@pytest.fixture
async def seat(session: AsyncSession) -> int:
    """A connection with a line and one agent at 102, responsible for a client; the id of the agent."""
    office = await planting.connection(session, "office")
    await planting.line(session, office, f"+{OURS}")
    agent = await planting.user(session, "agent")
    await planting.extension(session, office, "102", agent)
    client = await planting.organisation(session, "Invented Ltd", kind="client", owner_id=agent)
    await planting.owns(session, client, await planting.number(session, E164_OF_CALLER))
    return agent


async def test_a_client_goes_to_the_responsible(session: AsyncSession, seat: int) -> None:
    assert await asking(session) == CallRoute(
        action=RouteAction.DIAL, reason="responsible", extensions=("102",), name="Invented Ltd"
    )


@pytest.mark.parametrize("caller", ["89990000000", "anonymous", "", "'; drop table party; --"])
async def test_whoever_is_not_known_goes_the_usual_way(session: AsyncSession, seat: int, caller: str) -> None:
    route = await asking(session, caller)
    assert (route.action, route.extensions, route.name) == (RouteAction.FALLBACK, (), "")


@pytest.mark.parametrize(
    ("state", "action"),
    [
        ("available", RouteAction.DIAL),
        ("talking", RouteAction.DIAL),
        ("paused", RouteAction.FALLBACK),
        ("offline", RouteAction.FALLBACK),
    ],
)
async def test_a_responsible_who_is_away_is_not_called(
    session: AsyncSession, seat: int, state: str, action: RouteAction
) -> None:
    await planting.add(session, AgentState, user_id=seat, state=state, from_at=NOON - timedelta(hours=1))
    assert (await asking(session)).action is action


async def test_a_responsible_without_a_telephone_is_not_called(session: AsyncSession, seat: int) -> None:
    await session.execute(update(ExtensionAssignment).values(valid_to=NOON))
    assert (await asking(session)).reason == "responsible_has_no_telephone"


async def test_two_owners_with_two_responsible_leave_the_choice_to_people(
    session: AsyncSession, seat: int
) -> None:
    other = await planting.user(session, "other")
    shared = await planting.number(session, "+79000000002", "shared")
    for owner in (seat, other):
        firm = await planting.organisation(session, f"Firm {owner}", kind="client", owner_id=owner)
        await planting.owns(session, firm, shared, usage="shared")
    route = await asking(session, "89000000002")
    assert (route.action, route.reason) == (RouteAction.FALLBACK, "several_responsible")


async def test_spam_is_blocked_and_a_closed_line_is_closed_for_clients_too(
    session: AsyncSession, seat: int
) -> None:
    await planting.add(session, NumberNote, e164="+79990000000", kind="spam")
    assert (await asking(session, "89990000000")).action is RouteAction.BLOCKED
    weekdays = WorkHours(time_zone="UTC", week={0: ((0, 13 * 60),)})  # NOON is a Monday's
    calendar_id = await calendars.add_calendar(session, COMMAND, "Office", weekdays)
    await session.execute(update(Line).values(calendar_id=calendar_id))
    assert (await asking(session)).action is RouteAction.DIAL
    closed = await asking(session, at=datetime(2026, 3, 2, 13, 0, tzinfo=UTC))
    assert (closed.action, closed.name) == (RouteAction.CLOSED, "Invented Ltd")


async def test_only_whoever_may_ask_is_answered(session: AsyncSession, seat: int) -> None:
    with pytest.raises(NotAllowed):
        await route_call(session, Access(user_id=seat, login="a", name="A"), "office", CALLER, OURS, NOON)
    with pytest.raises(NotFound):
        await route_call(session, COMMAND, "elsewhere", CALLER, OURS, NOON)
