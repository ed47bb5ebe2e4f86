"""From an empty database up and down again, also with rows in it; two programs at once; the rows of every installation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.database import alembic_config, migrate, open_database
from crm.granted_rights import DEFAULT_PERMISSIONS, ROLE_CODES, area_and_action
from crm.lead_bin import bin_lead, list_lead_bin, restore_lead
from crm.lead_cards import lead_card
from crm.leads import disqualify_lead
from crm.schema.base import uuid7
from crm.schema.imports import ImportJob
from crm.sources import list_sources, spread_piece
from tests.crm import planting
from tests.crm.enquiries import make_lead
from tests.crm.people import COMMAND
from tests.crm.planting import NOON

EmptyDatabase = Callable[[], Awaitable[str]]


async def tables(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
    await connection.close()
    return {row["tablename"] for row in rows}


def before(revision: str) -> str:
    """As many steps down from the head as undo this revision."""
    script = ScriptDirectory.from_config(alembic_config())
    parent = script.get_revision(revision).down_revision
    assert isinstance(parent, str)
    return f"-{len(list(script.iterate_revisions('head', parent)))}"


async def test_up_down_and_up_again_when_empty(empty_database: EmptyDatabase) -> None:
    url = await empty_database()
    await migrate(url)
    full = await tables(url)
    assert {"party", "call", "alembic_version"} <= full
    await migrate(url)  # nothing to do
    await migrate(url, "base")
    assert await tables(url) == {"alembic_version"}
    await migrate(url)
    assert await tables(url) == full


async def test_sources_that_records_say_become_the_directory(empty_database: EmptyDatabase) -> None:
    url = await empty_database()
    await migrate(url)
    database = await open_database(url)
    async with database.sessions.begin() as session:
        clients = [
            await planting.organisation(session, name, kind="client") for name in ("One", "Two", "Three")
        ]
        leads = [(await make_lead(session, COMMAND, party_id=each)).id for each in clients]
    await migrate(url, before("0047"))
    said = ("Сайт", "Сайт", "сайт "), ("Знакомые", None, "САЙТ")
    connection = await asyncpg.connect(url)
    await connection.execute(
        "insert into directory_entry (directory, name, position) values ('source', 'Yandex', 1)"
    )
    for table, ids, texts in (("party", clients, said[0]), ("lead", leads, said[1])):
        for record_id, source in zip(ids, texts, strict=True):
            await connection.execute(f"update {table} set source = $1 where id = $2", source, record_id)
    await connection.close()
    await migrate(url)
    async with database.sessions.begin() as session:
        entries = {each.name: each for each in await list_sources(session)}
        assert list(entries) == ["Yandex", "Сайт", "Знакомые"]
        assert len({each.code for each in entries.values()}) == 3
        while await spread_piece(session):
            pass
        found = await session.execute(text("select source from party where source is not null"))
        assert set(found.scalars()) == {"Сайт"}
        found = await session.execute(text("select source from lead order by id"))
        assert found.scalars().all() == ["Знакомые", None, "Сайт"]
    await database.close()


async def test_leads_in_the_bin_can_be_taken_out_after_down_and_up(empty_database: EmptyDatabase) -> None:
    url = await empty_database()
    await migrate(url)
    database = await open_database(url)
    async with database.sessions.begin() as session:
        lead = await make_lead(session, COMMAND, person="Удалённый Вместе")
        await bin_lead(session, COMMAND, lead.id)
    await database.close()
    await migrate(url, before("0045"))
    await migrate(url)
    database = await open_database(url)
    async with database.sessions.begin() as session:
        assert [each.id for each in (await list_lead_bin(session, COMMAND)).items] == [lead.id]
        assert (await restore_lead(session, COMMAND, lead.id)).taken == ()
        assert (await lead_card(session, COMMAND, lead.id)).lead.party_id == lead.party_id
    await database.close()


async def test_down_and_up_with_rows(empty_database: EmptyDatabase) -> None:
    url = await empty_database()
    await migrate(url)
    database = await open_database(url)
    async with database.sessions.begin() as session:
        office, agent = await planting.connection(session, "Office"), await planting.user(session, "agent")
        await planting.extension(session, office, "101", agent)
        client = await planting.organisation(session, "Invented Ltd", kind="client")
        await planting.owns(session, client, await planting.number(session, "+79000000001"))
        call = await planting.past_call(session, office, "+79000000001", NOON, party_id=client)
        await session.execute(
            text("insert into call_note (id, call_id, user_id, text) values (:id, :call, :user, 'note')"),
            {"id": uuid7(), "call": call, "user": agent},
        )
        await session.execute(text("insert into access_log (event) values ('sign_in')"))
        lead = await make_lead(session, COMMAND, need="Windows")
        await session.execute(text("update communication set lead_id = :lead"), {"lead": lead.id})
        await disqualify_lead(session, COMMAND, (await make_lead(session, COMMAND)).id, "spam")
    await database.close()
    await migrate(url)  # an update that has nothing new keeps every row
    database = await open_database(url)
    async with database.sessions() as session:
        assert (await session.execute(text("select count(*) from call"))).scalar_one() == 1
    await database.close()
    await migrate(url, before("0010"))
    connection = await asyncpg.connect(url)
    lifecycles = await connection.fetch("select distinct lifecycle from party")
    await connection.close()
    assert [row["lifecycle"] for row in lifecycles] == ["active"]  # also those known from a lead alone
    await migrate(url)
    await migrate(url, "base")
    assert await tables(url) == {"alembic_version"}
    await migrate(url)


async def test_regions_and_stopped_imports_are_as_they_were_after_down_and_up(
    empty_database: EmptyDatabase,
) -> None:
    url = await empty_database()
    await migrate(url)
    database = await open_database(url)
    async with database.sessions.begin() as session:
        agent = await planting.user(session, "agent")
        client = await planting.organisation(session, "Invented Ltd", kind="client", owner_id=agent)
        for place, region in enumerate(("Here", "There")):
            number = await planting.number(session, f"+7900000000{place}", region=region)
            await planting.owns(session, client, number)
        for state, outcome in (("undo_stopped", "undone"), ("stopped", "created")):
            await planting.add(session, ImportJob, file_name=outcome, state=state, counts={outcome: 1})
    await database.close()
    await migrate(url, before("0056"))
    connection = await asyncpg.connect(url)
    regions = await connection.fetch("select * from party_region order by region")
    assert [tuple(row) for row in regions] == [("Here", client), ("There", client)]
    assert await connection.fetchval("select count(*) from import_job where state = 'stopped'") == 2
    await connection.execute("update party set owner_id = null, sort_name = 'renamed'")
    await connection.close()
    await migrate(url)
    connection = await asyncpg.connect(url)
    listed = "select region, sort_name, keeper_id from party_region order by region"
    assert [tuple(row) for row in await connection.fetch(listed)] == [
        ("Here", "renamed", None),
        ("There", "renamed", None),
    ]
    await connection.execute("update party set owner_id = $1", agent)
    assert {row["keeper_id"] for row in await connection.fetch(listed)} == {agent}
    states = await connection.fetch("select file_name, state from import_job")
    assert dict(map(tuple, states)) == {"undone": "undo_stopped", "created": "stopped"}
    await connection.close()


async def test_programs_that_start_at_one_moment_migrate_one_after_another(
    empty_database: EmptyDatabase,
) -> None:
    url = await empty_database()
    await asyncio.gather(*(migrate(url) for _ in range(4)))
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("select count(*) from role") == len(ROLE_CODES)
    await connection.close()


def test_one_line_of_migrations() -> None:
    script = ScriptDirectory.from_config(alembic_config())
    assert len(script.get_heads()) == 1
    assert script.get_base() == "0001"


async def test_the_roles_begin_with_the_rights_of_the_model(session: AsyncSession) -> None:
    rows = await session.execute(
        text(
            "select code, area, action, scope from permission join role on role.id = role_id where is_system"
        )
    )
    stored: dict[str, dict[tuple[str, str], str]] = {}
    for code, area, action, scope in rows:
        stored.setdefault(code, {})[area, action] = scope
    assert stored == {
        code: {area_and_action(right): scope for right, scope in rights.items()}
        for code, rights in DEFAULT_PERMISSIONS.items()
    }


async def test_every_installation_has_kinds_and_a_numbering_profile(session: AsyncSession) -> None:
    kinds = await session.execute(text("select code from party_kind where is_system order by position"))
    assert list(kinds.scalars()) == ["prospect", "client", "supplier", "agent", "other"]
    profiles = await session.execute(text("select name, region from numbering_profile"))
    assert [tuple(row) for row in profiles] == [("RU", "RU")]
