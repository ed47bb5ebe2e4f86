"""The migrated schema is the one that `crm.schema` describes, and it refuses what must never be stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from crm.database import Database, open_database
from crm.schema import Base

CATALOGUE = {
    "columns": "select table_name, column_name, data_type, is_nullable, column_default, identity_generation, "
    "collation_name from information_schema.columns where table_schema = 'public'",
    "constraints": "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint "
    "where connamespace = 'public'::regnamespace and contype <> 't'",  # triggers may be put off: no limits of a table
    "indexes": "select tablename, indexname, indexdef from pg_indexes where schemaname = 'public'",
}


async def described(connection: AsyncConnection) -> dict[str, set[Sequence[Any]]]:
    return {
        what: {tuple(row) for row in await connection.execute(text(query)) if row[0] != "alembic_version"}
        for what, query in CATALOGUE.items()
    }


async def test_the_migrations_make_what_the_classes_say(
    database: Database, empty_database: Callable[[], Awaitable[str]]
) -> None:
    other = await open_database(await empty_database())
    async with other.engine.begin() as connection:
        # A default names it; what it does is the migrations' alone.
        await connection.execute(
            text("create function feed_tx() returns bigint language sql as 'select 0::bigint'")
        )
        await connection.run_sync(Base.metadata.create_all)
        from_classes = await described(connection)
    await other.close()
    async with database.engine.connect() as connection:
        from_migrations = await described(connection)
    for what in CATALOGUE:
        assert from_migrations[what] == from_classes[what]


async def plant_party(session: AsyncSession, number: int, name: str = "Invented Ltd") -> int:
    statement = (
        "insert into party (number, type, display_name, sort_name) values (:number, 'organisation', :name, :name) "
        "returning id"
    )
    party: int = (await session.execute(text(statement), {"number": number, "name": name})).scalar_one()
    return party


async def plant_number(session: AsyncSession, e164: str, usage: str = "direct") -> int:
    statement = "insert into phone_number (e164, usage) values (:e164, :usage) returning id"
    number: int = (await session.execute(text(statement), {"e164": e164, "usage": usage})).scalar_one()
    return number


async def own(
    session: AsyncSession, party: int, number: int, *, usage: str = "direct", extension: str = ""
) -> None:
    await session.execute(
        text(
            "insert into party_phone (party_id, number_id, usage, extension, presented) "
            "values (:party, :number, :usage, :extension, 'as typed')"
        ),
        {"party": party, "number": number, "usage": usage, "extension": extension},
    )


async def test_a_direct_number_has_one_owner(session: AsyncSession) -> None:
    first, second = await plant_party(session, 1), await plant_party(session, 2)
    number = await plant_number(session, "+79000000001")
    await own(session, first, number)
    with pytest.raises(IntegrityError, match="uq_party_phone_direct_owner"):
        await own(session, second, number)


async def test_an_extension_may_have_another_owner(session: AsyncSession) -> None:
    first, second = await plant_party(session, 1), await plant_party(session, 2)
    number = await plant_number(session, "+79000000001")
    await own(session, first, number, extension="101")
    await own(session, second, number, extension="102")
    await session.flush()


async def test_a_row_cannot_pretend_to_be_shared(session: AsyncSession) -> None:
    party, number = await plant_party(session, 1), await plant_number(session, "+79000000001")
    with pytest.raises(IntegrityError, match="fk_party_phone_number_usage"):
        await own(session, party, number, usage="shared")


async def test_sharing_cascades_and_several_owners_keep_it_shared(session: AsyncSession) -> None:
    first, second = await plant_party(session, 1), await plant_party(session, 2)
    number = await plant_number(session, "+79000000001")
    await own(session, first, number)
    await session.execute(text("update phone_number set usage = 'shared' where id = :id"), {"id": number})
    usage = await session.execute(text("select usage from party_phone where number_id = :id"), {"id": number})
    assert usage.scalars().all() == ["shared"]
    await own(session, second, number, usage="shared")
    with pytest.raises(IntegrityError, match="uq_party_phone_direct_owner"):
        await session.execute(text("update phone_number set usage = 'direct' where id = :id"), {"id": number})


@pytest.mark.parametrize("table", ["change_log", "access_log"])
@pytest.mark.parametrize("change", ["delete from {}", "update {} set record_kind = 'party'", "truncate {}"])
async def test_g09_the_journals_are_append_only(session: AsyncSession, table: str, change: str) -> None:
    row = (
        "(event) values ('sign_in')"
        if table == "access_log"
        else ("(record_kind, record_id, field, via) values ('party', '1', 'city', 'form')")
    )
    await session.execute(text(f"insert into {table} {row}"))
    with pytest.raises(DBAPIError, match="append-only"):
        await session.execute(text(change.format(table)))


@pytest.mark.parametrize("removal", ["delete from app_user", "truncate app_user cascade"])
async def test_g09_whom_the_journals_name_is_never_removed(session: AsyncSession, removal: str) -> None:
    made = "insert into app_user (login, name) values ('a', 'A')"
    await session.execute(text(made))
    with pytest.raises(DBAPIError, match="blocked, never removed"):
        await session.execute(text(removal))


async def test_no_two_users_at_one_extension_at_one_time(session: AsyncSession) -> None:
    await session.execute(
        text(
            "with u as (insert into app_user (login, name) values ('a', 'A'), ('b', 'B') returning id),"
            " c as (insert into pbx_connection (kind, name) values ('asterisk', 'Office') returning id),"
            " e as (insert into extension (connection_id, digits) select id, '101' from c returning id) "
            "select 1"
        )
    )
    assign = text(
        "insert into extension_assignment (extension_id, user_id, valid_from, valid_to) "
        "select e.id, u.id, cast(:since as timestamptz), cast(:until as timestamptz) "
        "from extension e, app_user u where u.login = :login"
    )
    day = {"since": "2026-03-01", "until": "2026-03-02"}
    parse = {name: _moment(value) for name, value in day.items()}
    await session.execute(assign, {**parse, "login": "a"})
    await session.execute(assign, {"since": parse["until"], "until": None, "login": "b"})
    with pytest.raises(IntegrityError, match="ex_extension_assignment_overlap"):
        await session.execute(assign, {"since": _moment("2026-03-03"), "until": None, "login": "a"})


def _moment(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)
