"""The lead that a rule makes of a call: of a missed one of somebody unknown, once, and without overruling anybody."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import NotFound
from crm.lead_intake import lead_of_call
from crm.schema import uuid7
from crm.schema.communications import Call, Communication
from crm.schema.parties import Party
from crm.schema.telephony import Line
from tests.crm import planting
from tests.crm.enquiries import lead_row, make_lead
from tests.crm.people import COMMAND, make_team
from tests.crm.planting import NOON


async def test_a_missed_call_of_somebody_unknown_becomes_one_lead_of_its_line(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office of rules")
    team = await make_team(session, "Отдел линии")
    line = await planting.add(
        session,
        Line,
        connection_id=office,
        presented="+74950000078",
        e164="+74950000078",
        name="Сайт",
        lead_source="Сайт",
        team_id=team,
    )
    calls = [await planting.past_call(session, office, "+79000000801", NOON) for _ in range(2)]
    await session.execute(update(Call).where(Call.id.in_(calls)).values(line_id=line))
    first = await lead_of_call(session, COMMAND, calls[0])
    again = await lead_of_call(session, COMMAND, calls[0])
    second = await lead_of_call(session, COMMAND, calls[1])
    assert first is not None
    assert again is not None
    assert second is not None
    assert (first.is_new, again.id, again.is_new, second.id, second.is_new) == (
        True, first.id, False, first.id, False,
    )  # fmt: skip
    row = await lead_row(session, first.id)
    assert (row.auto_created, row.source, row.line_id, row.team_id, row.owner_id) == (
        True, "Сайт", line, team, None,
    )  # fmt: skip
    assert row.first_communication_id == calls[0]
    linked = await session.execute(
        select(Communication.lead_id, Communication.party_id, Communication.link_source).where(
            Communication.id.in_(calls)
        )
    )
    assert {tuple(each) for each in linked} == {(first.id, first.party_id, "rule")}
    name = await session.scalar(select(Party.display_name).where(Party.id == first.party_id))
    assert name == "Без имени, +7 900 000-08-01"


async def test_a_withheld_number_makes_no_lead_and_a_persons_choice_stays(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office of choices")
    hidden = await planting.past_call(session, office, "+79000000802", NOON)
    await session.execute(update(Call).where(Call.id == hidden).values(customer_e164=None))
    assert await lead_of_call(session, COMMAND, hidden) is None
    chosen = await planting.past_call(session, office, "+79000000803", NOON)
    other = await make_lead(session, COMMAND)
    choice = {"link_source": "agent", "party_id": other.party_id}
    await session.execute(update(Communication).where(Communication.id == chosen).values(choice))
    made = await lead_of_call(session, COMMAND, chosen)
    assert made is not None
    row = await session.get_one(Communication, chosen, populate_existing=True)
    assert (row.party_id, row.lead_id) == (other.party_id, None)
    with pytest.raises(NotFound):
        await lead_of_call(session, COMMAND, uuid7())
