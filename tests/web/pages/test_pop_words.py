"""What a call window says about who calls: a client, a stranger who called before, a colleague."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update

from crm.schema.base import uuid7
from crm.schema.communications import Call, Communication
from crm.schema.desk import WrapUp, WrapUpCode
from crm.schema.tasks import Task
from cti.calls.records import Direction
from cti.numbers import to_e164
from tests.cti.desk.calls import Office as Seats
from tests.cti.desk.calls import rings
from tests.web.pages.office import Office

STRANGER = "+79161112233"


@pytest.fixture
def seated(office: Office) -> Iterator[Office]:
    """The agent sits at 101, the manager at 102."""
    people = office.people
    office.desk.set_directory(Seats(e101=people["agent"].user_id, e102=people["manager"].user_id, e103=0))
    yield office
    office.desk.forget_connection(1)


def ring(office: Office, call_id: UUID, **changes: Any) -> None:
    key = str(call_id)
    event = rings("101", key=key, linked_ids=(key,), **changes)
    number = to_e164(changes["customer_number"]) if changes.get("customer_number") else None
    office.desk.apply(1, call_id, event, number)


async def window(office: Office, call_id: UUID, who: str = "agent") -> str:
    answer = await office.get(f"/calls/{call_id}/pop", who)
    assert answer.status == 200
    return await answer.text()


async def past_call(office: Office, call_id: UUID, at: datetime, direction: str = "inbound") -> None:
    async with office.database.sessions.begin() as session:
        await session.execute(
            insert(Communication).values(id=call_id, kind="call", direction="in", started_at=at)
        )
        await session.execute(
            insert(Call).values(
                id=call_id,
                connection_id=office.connection_id,
                external_id=str(call_id),
                direction=direction,
                state="talking",
                customer_e164=STRANGER,
                started_at=at,
            )
        )


async def test_a_client_is_told_with_the_last_contact_and_its_comment(seated: Office) -> None:
    call_id = uuid7()
    ring(seated, call_id, customer_number="+74951203344")
    told = await window(seated, call_id)
    for words in (
        "ООО «Пример»",
        "Client",
        "Контактное Лицо",
        "Бухгалтер",
        "primary contact",
        "<dd>You</dd>",
    ):
        assert words in told, words
    assert "inc. — caller left" in told  # the latest one, an hour ago
    async with seated.database.sessions.begin() as session:
        latest = update(Communication).where(Communication.id == seated.missed_id)
        await session.execute(latest.values(party_id=None, contact_id=None))
    told = await window(seated, call_id)
    assert "inc. 1:20" in told
    assert "“Просили прислать договор”" in told
    assert 'href="tel:+74951203344"' in told


async def test_a_client_is_told_with_tasks_the_call_we_owe_and_what_came_of_the_last_talk(
    seated: Office,
) -> None:
    call_id, now = uuid7(), datetime.now(UTC)
    async with seated.database.sessions.begin() as session:
        late = {"title": "Перезвонить", "owner_id": seated.people["manager"].user_id, "number": 900}
        deadline = now - timedelta(hours=1)
        await session.execute(
            insert(Task).values(**late, party_id=seated.firm_id, due_at=deadline, deadline=deadline)
        )
        latest = update(Communication).where(Communication.id == seated.missed_id)
        await session.execute(latest.values(party_id=None, contact_id=None))
        code = await session.scalar(select(WrapUpCode.id).where(WrapUpCode.name == "Advice given"))
        await session.execute(update(WrapUp).where(WrapUp.call_id == seated.call_id).values(code_id=code))
    ring(seated, call_id, customer_number="+74951203344")
    told = await window(seated, call_id)
    assert "<dt>Tasks</dt>" in told
    assert "overdue: 2" in told  # with the one of the office
    assert "waits for our call since" in told
    assert "“Advice given”" in told
    assert f"party_id={seated.firm_id}" in told  # of the lead that may follow
    latest_ones = await (await seated.get(f"/parties/{seated.firm_id}/latest", "agent")).text()
    assert 'class="timeline-item' in latest_ones
    assert "timeline-more" not in latest_ones


async def test_a_stranger_is_told_with_the_calls_before_this_one(seated: Office) -> None:
    call_id, now = uuid7(), datetime.now(UTC)
    ring(seated, call_id, customer_number=STRANGER)
    told = await window(seated, call_id)
    assert "Unknown number" in told
    assert "earlier call" not in told
    await past_call(seated, call_id, now)  # the journal has written the present call
    await past_call(seated, uuid7(), now - timedelta(minutes=20))
    await past_call(seated, uuid7(), now - timedelta(minutes=40), direction="outbound")
    told = await window(seated, call_id)
    assert "2 earlier calls, the last" in told
    assert "call no. 2 within an hour" in told  # our own call to them does not count
    assert "/parties/new?number=%2B79161112233" in told


async def test_a_colleague_is_told_by_name(seated: Office) -> None:
    call_id = uuid7()
    ring(seated, call_id, direction=Direction.INTERNAL, placed_by="102", customer_number=None)
    manager = seated.people["manager"].user_id
    assert f"Agent {manager}" in await window(seated, call_id)
    answer = await seated.get(f"/calls/{call_id}/pop", "head")
    assert answer.status == 404  # it does not ring there
