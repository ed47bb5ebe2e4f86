"""A million invented parties with their numbers, made inside PostgreSQL in seconds; with years of their calls, in minutes.

`python -m bench.population URL [PARTIES]` fills a migrated database with parties.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from bench.past import LACKS, PAST, PAST_TABLES
from crm.database import async_url, migrate
from crm.embedded import EmbeddedCluster
from crm.migrations import versions

PARTIES = 1_000_000
CALLS_PER_PARTY = 5
BUSIEST = 27  # the party with a thousandth of all calls
NUMBER_STEP = 387_420_489  # odd and no multiple of 5: every party gets digits of its own, in no order
FIRST_SCHEMA = Path(versions.__path__[0]) / "first_schema.sql"
# Invented words for invented names; of each seven organisations one is a «ромашка», so that a word finds a tenth of the base.
WORDS = (
    "{ромашка,василёк,сталь,восход,маяк,вектор,прогресс,берёза,север,гранит,импульс,купол,ладья,орбита,парус}"
)
NAMES = "{анна,борис,вера,глеб,дина,егор,жанна,зоя,иван,кира,лев,мира,нина,олег,павел}"
SYLLABLES = "{ба,ве,ги,до,жу,за,ки,ло,му,не,по,ра,си,ту,фе,хо,ца,чи,ша,ю}"

# Of ten parties seven are organisations, persons beside them are contacts of the organisation before them; every third
# number more is a second one: 1,000,000 parties have 1,333,333 numbers. The last twentieth is of another sort, see ODD.
PARTY = """
insert into party (id, number, type, display_name, sort_name, source, city, owner_id, team_id, created_by, created_at,
    updated_at, last_communication_at)
overriding system value
select n, n, case when n % 10 < 7 then 'organisation' else 'person' end,
    case when n % 10 < 7 then 'ООО «' || initcap(name) || '»' else initcap(name) end, replace(name, 'ё', 'е'),
    case n % 4 when 0 then 'site' when 1 then 'call' end, case n % 3 when 0 then 'Москва' when 1 then 'Казань' end,
    case when owned then 1 + n % 200 end, case when owned then 1 + n % 12 end, case when not owned then 1 + n % 200 end,
    timestamptz '2024-01-01 00:00 UTC' + n * interval '60 seconds',
    timestamptz '2024-01-01 00:00 UTC' + n * interval '60 seconds',
    case when n % 6 > 0 then timestamptz '2026-01-01 00:00 UTC' + n * interval '7 seconds' end
from (
    select n, n % 5 > 0 and exists (select from app_user) as owned, case when n % 10 < 7 then
        case when n % 7 = 0 then 'ромашка' else words[1 + n % 15] end || ' ' || syllables[1 + h % 20]
            || syllables[1 + h / 20 % 20] || syllables[1 + h / 400 % 20] || ' ' || n
        else syllables[1 + h % 20] || syllables[1 + h / 20 % 20] || syllables[1 + h / 400 % 20] || 'нов '
            || names[1 + n % 15] || ' ' || n end as name
    from generate_series($4::bigint, $5::bigint) n cross join lateral (select n * 7919 % 8000) as chance (h)
    cross join (select cast(cast($1 as text) as text[]), cast(cast($2 as text) as text[]), cast(cast($3 as text) as text[]))
        as vocabulary (words, names, syllables)
) named
"""
DETAILS = (
    """
    insert into organisation (party_id, short_name, inn, website) select id, display_name, '7' || lpad(id::text, 9, '0'),
        case when id % 9 = 0 then 'https://www.firma-' || id || '.example/' end
    from party where type = 'organisation'
    """,
    """
    insert into person (party_id, last_name, first_name) select id, split_part(display_name, ' ', 1),
        split_part(display_name, ' ', 2)
    from party where type = 'person'
    """,
    """
    insert into party_kind_assignment (party_id, kind_id, sort_name, last_communication_at, party_created_at)
    select p.id, k.id, p.sort_name, p.last_communication_at, p.created_at from party p join party_kind k on k.code = case when p.id % 3 = 0 then 'client'
        when p.id % 50 = 1 then 'supplier' when p.id % 1000 = 2 then 'agent' else 'prospect' end
    where p.type = 'organisation'
    """,
    """
    insert into affiliation (person_id, organisation_id, position, is_primary)
    select id, id - id % 10 + 1, 'Менеджер', id % 10 = 7 from party
    where type = 'person' and id - id % 10 + 1 <= (select max(id) from party where type = 'organisation')
    """,
    f"""
    insert into phone_number (id, e164, country, type, region) overriding system value
    select n, '+79' || lpad((n * {NUMBER_STEP} % 1000000000)::text, 9, '0'), 'RU', 'mobile',
        case when n % 1000 = 7 then 'Псковская обл.' when n % 10 < 4 then 'Московская обл.' else '' end
    from generate_series(1, (select count(*) * 4 / 3 from party)) n
    """,
    """
    insert into party_phone (party_id, number_id, presented, is_primary, is_adopting)
    select case when n.id <= total.parties then n.id else (n.id - total.parties) * 3 end, n.id, n.e164,
        n.id <= total.parties, false
    from phone_number n, (select count(*) as parties from party) total
    """,
    """
    insert into email_address (id, address) overriding system value
    select id, 'box-' || id || '@firma.example' from party where id % 3 = 1
    """,
    "insert into party_email (party_id, email_id, is_primary) select id, id, true from email_address",
    """
    insert into number_counter (kind, value) select 'party', max(number) from party
    on conflict (kind) do update set value = excluded.value
    """,
    LACKS,
    "insert into party_region select * from regions_of(array(select id from party))",
    *(f"select setval(pg_get_serial_sequence('{table}', 'id'), (select max(id) from {table}))"
      for table in ("party", "phone_number", "email_address")),
)  # fmt: skip
TABLES = (
    "party", "organisation", "person", "party_phone", "party_kind_assignment", "affiliation", "phone_number",
    "email_address", "party_email", "party_lack", "party_region",
)  # fmt: skip
SETTINGS = {
    "maintenance_work_mem": "512MB",
    "work_mem": "256MB",
    "synchronous_commit": "off",
    "session_replication_role": "replica",  # no triggers, no foreign keys: the rows below fit together
}
INDEXES = """
select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
from pg_index left join pg_constraint on conindid = indexrelid
where pg_constraint.oid is null and indrelid::regclass::text = any($1)
"""
CACHE = Path(os.environ.get("RINGCARD_BENCH_CACHE") or Path(__file__).parent.parent / ".cache" / "bench")


def number_of(party: int) -> str:
    """The first number of the party with this id."""
    return f"+79{party * NUMBER_STEP % 10**9:09d}"


async def populate(url: str, parties: int = PARTIES, calls: int = 0) -> None:
    """Fill a freshly migrated database. Indexes are made after the rows: several times faster so.

    Args:
        calls: so many of years past, with users, leads, comments and changes, and a twentieth of the parties odd; with
            none, every party is active and has a number.
    """
    connection = await asyncpg.connect(bare_url(url), server_settings=SETTINGS)
    tables = (*TABLES, *PAST_TABLES) if calls else TABLES
    try:
        indexes = await connection.fetch(INDEXES, tables)
        for index in indexes:
            await connection.execute(f"drop index {index['name']}")
        await _fill(connection, parties, calls)
        for index in indexes:
            await connection.execute(index["definition"])
        await connection.execute("vacuum analyze")
        await connection.execute("checkpoint")  # so that it is not written out while something is measured
    finally:
        await connection.close()


async def _fill(connection: asyncpg.Connection, parties: int, calls: int) -> None:
    before, after = (PAST.before, PAST.after) if calls else ((), ())
    await _execute(connection, before, parties, calls)
    await connection.execute(PARTY, WORDS, NAMES, SYLLABLES, 1, parties)
    await _execute(connection, DETAILS, parties, calls)
    await connection.execute("analyze")  # what follows joins what was just written
    await _execute(connection, after, parties, calls)


async def _execute(
    connection: asyncpg.Connection, statements: Sequence[str], parties: int, calls: int
) -> None:
    for statement in statements:
        await connection.execute(statement.replace(":parties", str(parties)).replace(":calls", str(calls)))


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
    """A database with so many parties and five times as many calls, for reading only.

    Made once for each version of what is filled in; later changes of the schema migrate it.
    """
    sources = (Path(__file__), Path(__file__).with_name("past.py"), FIRST_SCHEMA)
    name = f"{parties}-{zlib.crc32(b''.join(source.read_bytes() for source in sources)):08x}"
    for outdated in set(CACHE.glob(f"{parties}-*")) - {CACHE / name}:
        shutil.rmtree(outdated)
    async with benchmark_server(kept_as=name) as server:
        connection = await asyncpg.connect(bare_url(server))
        if not await connection.fetchval("select true from pg_database where datname = 'populated'"):
            await connection.execute("drop database if exists filling")  # a run that was cut short
            await connection.execute("create database filling")
            filling = in_database(server, "filling")
            await migrate(filling)
            await populate(filling, parties, parties * CALLS_PER_PARTY)
            await connection.execute("alter database filling rename to populated")
        await connection.close()
        await migrate(in_database(server, "populated"))
        yield in_database(server, "populated")


def in_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


if __name__ == "__main__":
    asyncio.run(populate(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else PARTIES))
