"""Directories, tags, kinds with dates: kept by the administrator, shown on records, refused with a reason."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from crm import directories, kind_stays, tags
from crm.directories import DIRECTORIES, KIND, TAG
from crm.errors import Invalid, NotAllowed, NotFound, Taken
from crm.parties import create_party, edit_party, organisation_values, person_values, set_kinds
from crm.party_cards import party_card
from crm.party_kinds import list_kinds
from crm.party_lists import PartyFilter, Which, list_parties
from crm.schema.journals import ChangeLog
from crm.sources import SOURCE
from tests.crm.people import COMMAND, make_user


async def names(session: AsyncSession, directory: str) -> list[str]:
    return [entry.name for entry in await directories.list_entries(session, directory)]


async def firm(session: AsyncSession, *kinds: str) -> int:
    return await create_party(
        session, COMMAND, organisation_values("Invented Ltd"), kinds=kinds or ["client"]
    )


async def test_entries_are_added_ordered_and_archived(session: AsyncSession) -> None:
    first = await directories.add_entry(session, COMMAND, SOURCE, " Web  site ", colour="#2f6fed")
    second = await directories.add_entry(session, COMMAND, SOURCE, "Fair")
    assert await names(session, SOURCE) == ["Web site", "Fair"]
    await directories.move_entry(session, COMMAND, SOURCE, second, up=True)
    await directories.move_entry(session, COMMAND, SOURCE, second, up=True)  # it is the first already
    assert await names(session, SOURCE) == ["Fair", "Web site"]
    await directories.archive_entry(session, COMMAND, SOURCE, first)
    assert await names(session, SOURCE) == ["Fair"]
    listed = await directories.list_entries(session, SOURCE, with_archived=True)
    assert [entry.archived_at is None for entry in listed] == [True, False]
    await directories.restore_entry(session, COMMAND, SOURCE, first)
    with pytest.raises(Taken):
        await directories.edit_entry(session, COMMAND, SOURCE, first, name="FAIR", colour=None)
    with pytest.raises(Invalid, match="#2f6fed"):
        await directories.add_entry(session, COMMAND, SOURCE, "Red", colour="red")
    with pytest.raises(NotFound):
        await directories.add_entry(session, COMMAND, "app_user", "x")
    with pytest.raises(NotFound):  # an entry of another directory
        await directories.archive_entry(session, COMMAND, TAG, first)
    logged = await session.scalars(select(ChangeLog.field).where(ChangeLog.record_kind == SOURCE))
    assert {"name", "position", "archived_at"} <= set(logged)


async def test_a_kind_of_the_companys_own_comes_and_goes_and_the_systems_stay(session: AsyncSession) -> None:
    kind = await directories.add_entry(session, COMMAND, KIND, "Partner", colour="#00aa00")
    assert [(each.code, each.is_system) for each in await list_kinds(session)][-1] == ("own1", False)
    party = await firm(session, "own1")
    await directories.archive_entry(session, COMMAND, KIND, kind)
    with pytest.raises(Invalid, match="Partner"):
        await firm(session, "own1")
    kept = await party_card(session, COMMAND, party)
    values = organisation_values("Invented Ltd", city="Moscow")
    await edit_party(
        session, COMMAND, party, values, version=kept.version, kinds=["own1"]
    )  # it has it already
    system = next(entry for entry in await directories.list_entries(session, KIND) if entry.is_system)
    with pytest.raises(Invalid, match="program itself"):
        await directories.archive_entry(session, COMMAND, KIND, system.id)
    await directories.edit_entry(session, COMMAND, KIND, system.id, name="Other name", colour="#123456")
    entry = (await directories.list_entries(session, KIND))[0]
    assert (entry.name, entry.colour) == (system.name, "#123456")


async def test_tags_are_put_on_and_taken_off(session: AsyncSession) -> None:
    one = await directories.add_entry(session, COMMAND, TAG, "VIP")
    other = await directories.add_entry(session, COMMAND, TAG, "Debtor")
    party = await firm(session)
    await tags.put_tags(session, COMMAND, party, [other, one])
    assert [tag.name for tag in (await tags.tags_of(session, [party]))[party]] == ["VIP", "Debtor"]
    await directories.archive_entry(session, COMMAND, TAG, one)
    await tags.put_tags(session, COMMAND, party, [one])  # it has the archived one already
    await tags.put_tags(session, COMMAND, party, [])
    assert await tags.tags_of(session, [party]) == {}
    source = await directories.add_entry(session, COMMAND, SOURCE, "no tag")
    for wrong in (one, source, 10**9):
        with pytest.raises(Invalid, match="no such tag"):
            await tags.put_tags(session, COMMAND, party, [wrong])
    stranger = await make_user(session)
    with pytest.raises(NotFound):
        await tags.put_tags(session, stranger, party, [other])


async def test_a_kind_is_paused_resumed_and_ended_with_a_reason(session: AsyncSession) -> None:
    party = await firm(session, "client", "supplier")
    stays = {kind.code: kind.assignment_id for kind in (await party_card(session, COMMAND, party)).kinds}
    await kind_stays.pause_kind(session, COMMAND, party, stays["client"])
    card = await party_card(session, COMMAND, party)
    assert [(kind.code, kind.status) for kind in card.kinds] == [("client", "paused"), ("supplier", "active")]
    await kind_stays.resume_kind(session, COMMAND, party, stays["client"])
    for code in ("client", "supplier"):
        await kind_stays.end_kind(session, COMMAND, party, stays[code], "  moved   away ")
    ended = (await party_card(session, COMMAND, party)).kinds
    assert [(kind.code, kind.status, kind.end_reason) for kind in ended] == [
        ("client", "ended", "moved away"),
        ("supplier", "ended", "moved away"),
    ]
    former = await list_parties(session, COMMAND, PartyFilter(which=Which.FORMER_CLIENTS))
    assert party in {row.id for row in former.items}
    with pytest.raises(NotFound):
        await kind_stays.pause_kind(session, COMMAND, party, stays["client"])
    await set_kinds(session, COMMAND, party, ["client"])  # a client again: a stay of its own
    again = (await party_card(session, COMMAND, party)).kinds
    assert [kind.status for kind in again if kind.code == "client"] == ["active", "ended"]
    told = await session.execute(
        select(ChangeLog.old, ChangeLog.new)
        .where(ChangeLog.record_id == str(party), ChangeLog.field == "kind.client")
        .order_by(ChangeLog.id)
    )
    assert [tuple(row) for row in told] == [
        ("active", "paused"),
        ("paused", "active"),
        ("active", "ended: moved away"),
    ]


async def test_a_stay_of_another_party_is_not_there(session: AsyncSession) -> None:
    one, other = await firm(session), await firm(session)
    stay = (await party_card(session, COMMAND, other)).kinds[0].assignment_id
    with pytest.raises(NotFound):
        await kind_stays.end_kind(session, COMMAND, one, stay, "")
    person = await create_party(session, COMMAND, person_values("Анна"), kinds=["client"])
    with pytest.raises(Invalid, match="characters"):
        await kind_stays.end_kind(session, COMMAND, person, stay, "x" * 201)


async def test_g01_only_the_administrator_keeps_directories(session: AsyncSession) -> None:
    head = await make_user(session, ("head",))
    for directory in DIRECTORIES:
        for act in (
            directories.add_entry(session, head, directory, "x"),
            directories.edit_entry(session, head, directory, 1, name="x", colour=None),
            directories.archive_entry(session, head, directory, 1),
            directories.restore_entry(session, head, directory, 1),
            directories.move_entry(session, head, directory, 1, up=True),
        ):
            with pytest.raises(NotAllowed):
                await act
