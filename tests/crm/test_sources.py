"""The directory of sources: records say its names whichever way they come; unknown texts are kept and shown; names spread."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm import directories
from crm.database import Database
from crm.errors import Invalid, NotAllowed, NotFound, Taken
from crm.lead_intake import NewLead, create_automatic_lead, create_lead
from crm.lead_locks import lock_parties
from crm.lead_subjects import SubjectValues
from crm.lead_values import LeadValues
from crm.leads import edit_lead
from crm.parties import create_party, edit_party, organisation_values
from crm.party_bin import bin_party
from crm.party_cards import party_card
from crm.schema.directories import SourceSpread
from crm.schema.journals import ChangeLog
from crm.schema.parties import Party
from crm.schema.telephony import Line
from crm.sources import (
    SOURCE,
    SourceInfo,
    join_source,
    list_sources,
    source_named,
    spread_piece,
    unknown_sources,
)
from tests.crm import planting
from tests.crm.enquiries import lead_row
from tests.crm.people import COMMAND, make_user


async def firm(session: AsyncSession, name: str, source: str) -> int:
    return await create_party(session, COMMAND, organisation_values(name, source=source), kinds=["client"])


async def source_of(session: AsyncSession, party_id: int) -> str | None:
    return (await session.execute(select(Party.source).where(Party.id == party_id))).scalar_one()


async def lead(session: AsyncSession, source: str) -> int:
    new = NewLead(subject=SubjectValues(person="Кто-то"), values=LeadValues(source=source))
    return (await create_lead(session, COMMAND, new)).id


async def spread(session: AsyncSession) -> None:
    while await spread_piece(session):
        pass


async def test_records_say_the_directorys_name_whichever_way_they_are_written(session: AsyncSession) -> None:
    await directories.add_entry(session, COMMAND, SOURCE, "Наш сайт", code="site")
    client = await firm(session, "Первая", " НАШ сайт ")
    assert await source_of(session, client) == "Наш сайт"
    version = (await party_card(session, COMMAND, client)).version
    values = organisation_values("Первая", source="site")
    assert await edit_party(session, COMMAND, client, values, version=version) == version  # no change
    assert await source_of(session, client) == "Наш сайт"
    told = select(ChangeLog.new).where(ChangeLog.record_id == str(client), ChangeLog.field == "source")
    assert (await session.scalars(told)).all() == ["Наш сайт"]
    enquiry = await lead(session, "SITE")
    assert (await lead_row(session, enquiry)).source == "Наш сайт"
    await edit_lead(session, COMMAND, enquiry, {"source": "Знакомые"})
    assert (await lead_row(session, enquiry)).source == "Знакомые"  # unknown, kept
    await edit_lead(session, COMMAND, enquiry, {"source": "наш сайт"})
    assert (await lead_row(session, enquiry)).source == "Наш сайт"
    assert await source_named(session, "Site ") == "Наш сайт"
    assert await source_named(session, "Знакомые") == "Знакомые"


async def test_an_automatic_lead_keeps_a_source_that_nobody_entered(session: AsyncSession) -> None:
    new = NewLead(
        subject=SubjectValues(number="+79000000771"),
        values=LeadValues(source="landing-77", campaign={"utm_source": "ads"}),
    )
    made = await create_automatic_lead(session, COMMAND, new, request_text="Перезвоните")
    row = await lead_row(session, made.id)
    assert (row.source, row.campaign) == ("landing-77", {"utm_source": "ads"})
    assert "landing-77" in await unknown_sources(session)
    entry = await directories.add_entry(session, COMMAND, SOURCE, "Лендинг")
    await join_source(session, COMMAND, "landing-77", entry)
    assert "landing-77" not in await unknown_sources(session)
    await spread(session)
    assert (await lead_row(session, made.id)).source == "Лендинг"
    assert (await lead_row(session, await lead(session, "Landing-77"))).source == "Лендинг"


async def test_a_new_name_goes_over_all_records_that_have_the_former_one(session: AsyncSession) -> None:
    entry = await directories.add_entry(session, COMMAND, SOURCE, "Яндекс", colour="#ff0000")
    clients = [await firm(session, name, "яндекс") for name in ("Один", "Два", "Три")]
    await bin_party(session, COMMAND, clients[2])
    enquiry = await lead(session, "Яндекс")
    office = await planting.connection(session, "Office")
    line = await planting.add(
        session,
        Line,
        connection_id=office,
        presented="1",
        e164="+74950000001",
        name="L",
        lead_source="Яндекс",
    )
    before = (await party_card(session, COMMAND, clients[0])).version
    await directories.edit_entry(session, COMMAND, SOURCE, entry, name="Yandex Direct", colour="#ff0000")
    assert (await source_of(session, await firm(session, "Четыре", "ЯНДЕКС"))) == "Yandex Direct"
    await spread(session)
    assert {await source_of(session, each) for each in clients} == {"Yandex Direct"}
    assert (await lead_row(session, enquiry)).source == "Yandex Direct"
    assert await session.scalar(select(Line.lead_source).where(Line.id == line)) == "Yandex Direct"
    assert (
        await party_card(session, COMMAND, clients[0])
    ).version == before  # the directory changed, not the record
    assert await session.scalar(select(func.count()).select_from(SourceSpread)) == 0
    with pytest.raises(Taken):
        await directories.add_entry(session, COMMAND, SOURCE, "яндекс")  # it means the renamed one
    (told,) = [each for each in await list_sources(session) if each.id == entry]
    assert told == SourceInfo(
        id=entry,
        code=told.code,
        name="Yandex Direct",
        colour="#ff0000",
        archived_at=None,
        version=2,
        words=("яндекс",),
    )


async def test_codes_are_made_stay_and_are_nobody_elses(session: AsyncSession) -> None:
    first = await directories.add_entry(session, COMMAND, SOURCE, "Выставка")
    second = await directories.add_entry(session, COMMAND, SOURCE, "Звонок", code="call")
    codes = {each.id: each.code for each in await list_sources(session)}
    assert codes[second] == "call"
    assert codes[first].startswith("source")
    await directories.edit_entry(session, COMMAND, SOURCE, second, name="Входящий звонок", colour=None)
    assert {each.id: each.code for each in await list_sources(session)} == codes
    for wrong in ("Код", "two words", "-x", "x" * 51):
        with pytest.raises(Invalid):
            await directories.add_entry(session, COMMAND, SOURCE, "Новый", code=wrong)


async def test_a_code_or_a_word_of_another_entry_is_refused(session: AsyncSession) -> None:
    one = await directories.add_entry(session, COMMAND, SOURCE, "Первый", code="one")
    other = await directories.add_entry(session, COMMAND, SOURCE, "Второй", code="two")
    with pytest.raises(Taken):
        async with session.begin_nested():
            await directories.add_entry(session, COMMAND, SOURCE, "Третий", code="one")
    with pytest.raises(Taken):
        await join_source(session, COMMAND, "ПЕРВЫЙ", other)
    await join_source(session, COMMAND, "первый", one)  # it is so already
    with pytest.raises(Invalid):
        await join_source(session, COMMAND, " ", one)
    with pytest.raises(NotFound):
        await join_source(session, COMMAND, "x", 10**9)
    manager = await make_user(session, ("manager",))
    with pytest.raises(NotAllowed):
        await join_source(session, manager, "x", one)


async def test_spreading_goes_on_where_it_stopped(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.sources.LOOKED_AT_FOR_ONE", 1)
    entry = await directories.add_entry(session, COMMAND, SOURCE, "Было")
    clients = [await firm(session, f"Фирма {number}", "Было") for number in range(5)]
    await directories.edit_entry(session, COMMAND, SOURCE, entry, name="Стало", colour=None)
    pieces = 0
    while await spread_piece(session, 2):
        pieces += 1
    assert pieces > 3
    assert {await source_of(session, each) for each in clients} == {"Стало"}


async def test_a_piece_changes_no_more_than_it_may(session: AsyncSession) -> None:
    entry = await directories.add_entry(session, COMMAND, SOURCE, "Было")
    clients = [await firm(session, f"Фирма {number}", "Было") for number in range(5)]
    await directories.edit_entry(session, COMMAND, SOURCE, entry, name="Стало", colour=None)
    await spread_piece(session, 2)
    assert [await source_of(session, each) for each in clients] == ["Стало"] * 2 + ["Было"] * 3
    await spread(session)
    assert {await source_of(session, each) for each in clients} == {"Стало"}


async def test_nobody_waits_for_the_other_and_what_was_held_gets_the_name_later(database: Database) -> None:
    async with database.sessions.begin() as session:
        entry = await directories.add_entry(session, COMMAND, SOURCE, "Прежде")
        clients = [await firm(session, f"Фирма {number}", "Прежде") for number in range(3)]
        await directories.edit_entry(session, COMMAND, SOURCE, entry, name="Теперь", colour=None)
    async with database.sessions.begin() as journal:
        await lock_parties(journal, [clients[1]])
        for _ in range(3):
            async with database.sessions.begin() as session:
                assert await spread_piece(session)
        assert [await source_of(journal, each) for each in clients] == ["Теперь", "Прежде", "Теперь"]
    async with database.sessions.begin() as session:
        await spread(session)
        assert {await source_of(session, each) for each in clients} == {"Теперь"}


async def test_what_is_archived_still_means_itself(session: AsyncSession) -> None:
    entry = await directories.add_entry(session, COMMAND, SOURCE, "Газета")
    await directories.archive_entry(session, COMMAND, SOURCE, entry)
    client = await firm(session, "Читатель", "газета")
    assert await source_of(session, client) == "Газета"
    assert "Газета" not in await unknown_sources(session)
    await session.execute(update(Party).where(Party.id == client).values(source=None))
    assert await source_of(session, client) is None
