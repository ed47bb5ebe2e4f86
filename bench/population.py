"""A million invented parties with their numbers, made inside PostgreSQL in seconds.

`python -m bench.population URL [PARTIES]` fills a migrated database.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from crm.database import async_url, migrate
from crm.embedded import EmbeddedCluster
from crm.migrations import versions

PARTIES = 1_000_000
FIRST_SCHEMA = Path(versions.__path__[0]) / "first_schema.sql"
# Invented words for invented names; the number behind them keeps names apart.
WORDS = (
    "{ромашка,василёк,сталь,восход,маяк,вектор,прогресс,берёза,север,гранит,импульс,купол,ладья,орбита,парус}"
)
NAMES = "{анна,борис,вера,глеб,дина,егор,жанна,зоя,иван,кира,лев,мира,нина,олег,павел}"

# Of ten parties seven are organisations; each organisation's number is its own, persons beside them are contacts of
# the organisation before them; every third number more is a second one. 1,000,000 parties have 1,333,333 numbers.
FILL = """
insert into party (id, number, type, display_name, sort_name, last_communication_at)
overriding system value
select n, n, case when n % 10 < 7 then 'organisation' else 'person' end,
    case when n % 10 < 7 then 'ООО «' || initcap((cast(cast($1 as text) as text[]))[1 + n % 15]) || ' ' || n || '»'
        else initcap((cast(cast($2 as text) as text[]))[1 + n % 15]) || ' ' || n end,
    case when n % 10 < 7 then (cast(cast($1 as text) as text[]))[1 + n % 15] else (cast(cast($2 as text) as text[]))[1 + n % 15] end || ' ' || n,
    timestamptz '2026-01-01 00:00 UTC' + n * interval '7 seconds'
from generate_series($3::bigint, $4::bigint) n
"""
DETAILS = (
    """
    insert into organisation (party_id, short_name, inn) select id, display_name, '7' || lpad(id::text, 9, '0')
    from party where type = 'organisation'
    """,
    """
    insert into person (party_id, first_name) select id, split_part(display_name, ' ', 1) from party
    where type = 'person'
    """,
    """
    insert into party_kind_assignment (party_id, kind_id)
    select p.id, k.id from party p join party_kind k on k.code = case when p.id % 3 = 0 then 'client' else 'prospect' end
    where p.type = 'organisation'
    """,
    """
    insert into affiliation (person_id, organisation_id, position, is_primary)
    select id, id - id % 10 + 1, 'Менеджер', id % 10 = 7 from party
    where type = 'person' and id - id % 10 + 1 <= (select max(id) from party where type = 'organisation')
    """,
    """
    insert into phone_number (id, e164, country, type) overriding system value
    select n, '+79' || lpad(n::text, 9, '0'), 'RU', 'mobile' from generate_series(1, (select count(*) * 4 / 3 from party)) n
    """,
    """
    insert into party_phone (party_id, number_id, presented, is_primary)
    select case when n.id <= total.parties then n.id else (n.id - total.parties) * 3 end, n.id, n.e164,
        n.id <= total.parties
    from phone_number n, (select count(*) as parties from party) total
    """,
    """
    insert into number_counter (kind, value) select 'party', max(number) from party
    on conflict (kind) do update set value = excluded.value
    """,
    "select setval(pg_get_serial_sequence('party', 'id'), (select max(id) from party))",
    "select setval(pg_get_serial_sequence('phone_number', 'id'), (select max(id) from phone_number))",
)  # fmt: skip
SETTINGS = {
    "maintenance_work_mem": "512MB",
    "synchronous_commit": "off",
    "session_replication_role": "replica",  # no checks of foreign keys: the rows below fit together
}
INDEXES = """
select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
from pg_index left join pg_constraint on conindid = indexrelid
where pg_constraint.oid is null and indrelid::regclass::text in ('party', 'organisation', 'person', 'party_phone',
    'party_kind_assignment', 'affiliation', 'phone_number')
"""
CACHE = Path(__file__).parent.parent / ".cache" / "bench"


def number_of(party: int) -> str:
    """The first number of the party with this id."""
    return f"+79{party:09d}"


async def populate(url: str, parties: int = PARTIES) -> None:
    """Fill a freshly migrated database. Indexes are made after the rows: several times faster so."""
    connection = await asyncpg.connect(bare_url(url), server_settings=SETTINGS)
    try:
        indexes = await connection.fetch(INDEXES)
        for index in indexes:
            await connection.execute(f"drop index {index['name']}")
        await connection.execute(FILL, WORDS, NAMES, 1, parties)
        for statement in DETAILS:
            await connection.execute(statement)
        for index in indexes:
            await connection.execute(index["definition"])
        await connection.execute("vacuum analyze")
        await connection.execute("checkpoint")  # so that it is not written out while something is measured
    finally:
        await connection.close()


def bare_url(url: str) -> str:
    """The URL in the form that bare asyncpg takes."""
    return async_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@asynccontextmanager
async def benchmark_server(*, kept_as: str = "") -> AsyncIterator[str]:
    """A cluster of its own with a migrated database, as durable as in earnest; kept for the next time under a name."""
    with tempfile.TemporaryDirectory(prefix="ringcard-bench-") as folder:
        data = CACHE / kept_as if kept_as else Path(folder)
        cluster = EmbeddedCluster(data, options={"shared_buffers": "512MB", "max_wal_size": "4GB"})
        url = await cluster.start()
        try:
            await migrate(url)
            yield url
        finally:
            await cluster.stop()


@asynccontextmanager
async def populated_server(parties: int = PARTIES) -> AsyncIterator[str]:
    """A database with so many parties; made once for each version of the schema, and for reading only."""
    made_of = Path(__file__).read_bytes() + FIRST_SCHEMA.read_bytes()
    name = f"{parties}-{zlib.crc32(made_of):08x}"
    for outdated in set(CACHE.glob(f"{parties}-*")) - {CACHE / name}:
        shutil.rmtree(outdated)
    async with benchmark_server(kept_as=name) as server:
        connection = await asyncpg.connect(bare_url(server))
        if not await connection.fetchval("select true from pg_database where datname = 'populated'"):
            await connection.execute("drop database if exists filling")  # a run that was cut short
            await connection.execute("create database filling")
            filling = in_database(server, "filling")
            await migrate(filling)
            await populate(filling, parties)
            await connection.execute("alter database filling rename to populated")
        await connection.close()
        yield in_database(server, "populated")


def in_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


if __name__ == "__main__":
    asyncio.run(populate(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else PARTIES))
