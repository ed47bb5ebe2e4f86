"""Search finds leads by their number, and by whatever is known of whom they are about; parties by e-mail and record number, too."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Invalid, NotAllowed
from crm.lead_intake import NewLead, create_lead
from crm.lead_lists import LeadFilter, list_leads
from crm.lead_search import LeadsFound, search_leads
from crm.lead_subjects import SubjectValues
from crm.lead_values import LeadValues
from crm.leads import disqualify_lead
from crm.party_search import FoundBy, search_parties
from crm.rights import Access
from crm.schema.leads import Lead
from crm.schema.parties import Party
from crm.schema.telephony import Line
from tests.crm import planting
from tests.crm.enquiries import lead_row, make_lead
from tests.crm.people import COMMAND, make_user


async def about(session: AsyncSession, access: Access = COMMAND, **subject: Any) -> int:
    new = NewLead(subject=SubjectValues(**subject), is_further=True)
    return (await create_lead(session, access, new)).id


def told(found: LeadsFound) -> list[tuple[int, FoundBy, str]]:
    return [(hit.lead.id, hit.found_by, hit.shown) for hit in found.hits]


@pytest.mark.parametrize(
    ("typed", "found_by", "shown"),
    [
        ("жирафов", FoundBy.NAME, ""),
        ("Семён Жирафов", FoundBy.NAME, ""),
        ("страусиная ферма", FoundBy.NAME, ""),
        ("8 (900) 321-65-41", FoundBy.NUMBER, "+79003216541"),
        ("216541", FoundBy.NUMBER, "+79003216541"),
        ("zhirafov@ex", FoundBy.EMAIL, "zhirafov@example.org"),
        ("ZHIRAFOV@EXAMPLE.ORG", FoundBy.EMAIL, "zhirafov@example.org"),
    ],
)
async def test_a_lead_is_found_by_whom_it_is_about(
    session: AsyncSession, typed: str, found_by: FoundBy, shown: str
) -> None:
    lead_id = await about(
        session,
        person="Жирафов Семён",
        organisation="ООО «Страусиная ферма»",
        number="+7 900 321-65-41",
        email="Zhirafov@example.org",
    )
    await about(session, person="Другой", number="+7 900 321-00-00", email="other@example.com")
    assert told(await search_leads(session, COMMAND, typed)) == [(lead_id, found_by, shown)]


async def test_a_lead_is_found_by_its_number_and_a_merged_one_as_the_one_that_goes_on(
    session: AsyncSession,
) -> None:
    lead, gone = await make_lead(session, COMMAND), await make_lead(session, COMMAND, person="Ушедший")
    assert told(await search_leads(session, COMMAND, f"№ {lead.number}")) == [(lead.id, FoundBy.RECORD, "")]
    await disqualify_lead(session, COMMAND, gone.id, "duplicate")
    await session.execute(update(Lead).where(Lead.id == gone.id).values(merged_into_id=lead.id))
    by_number = await search_leads(session, COMMAND, f"#{gone.number}")
    assert told(by_number) == [(lead.id, FoundBy.RECORD, str(gone.number))]
    assert told(await search_leads(session, COMMAND, "ушедший")) == []
    await session.execute(update(Lead).where(Lead.id == lead.id).values(number=98_765))
    assert lead.id in [hit.lead.id for hit in (await search_leads(session, COMMAND, "98765")).hits]


async def test_open_leads_come_first_and_nothing_is_found_outside_ones_rights(session: AsyncSession) -> None:
    agent, other = await make_user(session), await make_user(session)
    first = await about(session, agent, person="Одинаков Первый")
    ended = await about(session, agent, person="Одинаков Второй")
    await disqualify_lead(session, agent, ended, "spam")
    foreign = await about(session, other, person="Одинаков Третий")
    assert [hit.lead.id for hit in (await search_leads(session, agent, "одинаков")).hits] == [first, ended]
    number = (await lead_row(session, foreign)).number
    assert told(await search_leads(session, agent, f"№{number}")) == []
    cut = await search_leads(session, agent, "одинаков", limit=1)
    assert (len(cut.hits), cut.is_cut) == (1, True)
    assert (await search_leads(session, agent, "од")).is_too_short
    with pytest.raises(NotAllowed):
        await search_leads(session, await make_user(session, ("telephony",)), "одинаков")


async def test_ones_own_leads_are_found_however_many_are_called_so(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        await about(session, person=f"Носорогов {number}", number=f"+7 900 321-11-{number:02}")
    agent = await make_user(session)
    own = await about(session, agent, person="Носорогов Свой", number="+7 900 321-11-99")
    of_firm = await about(session, agent, person="Кто-то", organisation="ООО «Носорогово»")
    whole = [told(await search_leads(session, agent, typed)) for typed in ("носорогов", "321", "свой")]
    assert {lead_id for lead_id, *_rest in whole[0]} == {own, of_firm}
    monkeypatch.setattr("crm.lead_search.MOST_SUBJECTS", 3)
    found = [await search_leads(session, agent, typed) for typed in ("носорогов", "321", "свой")]
    assert [told(each) for each in found] == whole
    assert not any(each.is_cut for each in found)
    monkeypatch.setattr(
        "crm.lead_search.FEW", 1
    )  # too much of one's own: then it is told that there may be more
    assert (await search_leads(session, agent, "носорогов")).is_cut
    assert (await search_leads(session, COMMAND, "носорогов")).is_cut


async def test_a_party_is_found_by_its_record_number_and_a_part_of_an_address(session: AsyncSession) -> None:
    lead = await make_lead(session, COMMAND, person="Почтовый", email="a_50%b@example.org")
    number = await session.scalar(select(Party.number).where(Party.id == lead.party_id))
    for typed, found_by in ((f"№ {number}", FoundBy.RECORD), ("A_50%B@", FoundBy.EMAIL)):
        result = await search_parties(session, COMMAND, typed)
        assert [(hit.party.id, hit.found_by) for hit in result.hits] == [(lead.party_id, found_by)]
    assert (await search_parties(session, COMMAND, "aX50%b@")).hits == ()
    assert (await search_parties(session, COMMAND, "№ 999999999999999999")).hits == ()


# Filters of the list


async def test_leads_are_narrowed_by_marks_line_and_first_response(session: AsyncSession) -> None:
    agent = await make_user(session)
    office = await planting.connection(session, "Office of filters")
    line = await planting.add(
        session, Line, connection_id=office, presented="+74950000077", e164="+74950000077", name="Реклама"
    )

    async def lead(**values: Any) -> int:
        new = NewLead(
            subject=SubjectValues(person="Помеченный"),
            values=LeadValues(campaign=values.get("campaign", {})),
            line_id=values.get("line_id"),
        )
        return (await create_lead(session, agent, new)).id

    plain, marked = await lead(), await lead(campaign={"utm_source": "ads", "utm_campaign": "spring"})
    of_line = await lead(line_id=line)
    for lead_id, minutes in ((marked, 10), (of_line, 40)):
        answered = {"first_response_at": Lead.created_at + timedelta(minutes=minutes)}
        await session.execute(update(Lead).where(Lead.id == lead_id).values(answered))

    async def listed(**wanted: Any) -> list[int]:
        page = await list_leads(session, agent, LeadFilter(**wanted))
        return [row.id for row in page.items]

    assert await listed(utm_source="ads") == [marked]
    assert await listed(utm_campaign="spring", utm_source="ads") == [marked]
    assert await listed(utm_campaign="autumn") == []
    assert await listed(line_id=line) == [of_line]
    assert await listed(response="none") == [plain]
    assert await listed(response="quick") == [marked]
    assert await listed(response="slow") == [of_line]
    with pytest.raises(Invalid):
        await listed(response="odd")
    await disqualify_lead(session, agent, plain, "duplicate")
    await session.execute(update(Lead).where(Lead.id == plain).values(merged_into_id=marked))
    assert plain not in await listed(state="all")
