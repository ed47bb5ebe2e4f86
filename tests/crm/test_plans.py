"""No list, search or look-up has to read a growing table from its beginning: their plans over ten thousand parties and their calls.

The planner is asked about the very statements and values of `bench.asks`, with the statistics of a filled base. In so small a base it
reads many a table whole because that is cheaper; told to avoid that, it still does where no index can serve, and there a million
rows would be read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import event

from bench.asks import Ask, asked
from bench.population import CALLS_PER_PARTY, number_of, populate
from crm.database import Database, open_database
from crm.matching import find_by_number
from crm.rights import Access, command_access
from cti.numbers import E164, Number, NumberKind
from tests.database import make_copy

PARTIES = 10_000
GROWING = (
    "party", "person", "organisation", "party_kind_assignment", "party_lack", "affiliation", "party_phone", "phone_number",
    "party_email", "email_address", "communication", "call", "participation", "call_note", "meeting", "comment", "lead",
    "stage_visit", "change_log", "duplicate_pair", "bin_entry",
)  # fmt: skip


async def _look_up(session: Any, access: Access) -> None:
    e164 = E164(number_of(77))
    await find_by_number(session, Number(kind=NumberKind.E164, presented=e164, e164=e164))


ASKS: dict[str, Ask] = {
    **{name: each.ask for name, each in asked(PARTIES).items()},
    "who calls": _look_up,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(database_server: str) -> AsyncIterator[Database]:
    """A base of its own, with everything that happened in it."""
    url = await make_copy(database_server)
    await populate(url, PARTIES, PARTIES * CALLS_PER_PARTY)
    database = await open_database(url)
    yield database
    await database.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ASKS)
async def test_a_growing_table_is_read_by_an_index(filled: Database, name: str) -> None:
    async with filled.sessions() as session:
        connection = await session.connection()
        asked_for: list[tuple[str, Any]] = []

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
            asked_for.append((statement, parameters))

        event.listen(connection.sync_connection, "before_cursor_execute", note)
        await ASKS[name](session, command_access())
        event.remove(connection.sync_connection, "before_cursor_execute", note)
        await connection.exec_driver_sql("set local enable_seqscan = off")
        for statement, parameters in asked_for:
            if statement.lstrip().lower().startswith(("select", "with")):
                rows = await connection.exec_driver_sql("explain " + statement, parameters)
                plan = "\n".join(rows.scalars())
                read = [table for table in GROWING if f"Seq Scan on {table} " in f"{plan} "]
                assert not read, f"{name} reads all of {read}:\n{statement}\n{plan}"
