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
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from bench.asks import Ask, asked
from bench.plans import read_whole
from bench.population import CALLS_PER_PARTY, number_of, populate
from crm.database import Database, open_database
from crm.errors import NotAllowed, NotFound
from crm.matching import find_by_number
from crm.rights import Access, access_of, command_access
from cti.numbers import E164, Number, NumberKind
from tests.database import make_copy

PARTIES = 10_000
HEAD, AGENT = 1, 100  # ids of the filled base: of a team, of one's own


async def _look_up(session: Any, access: Access) -> None:
    e164 = E164(number_of(77))
    await find_by_number(session, Number(kind=NumberKind.E164, presented=e164, e164=e164))


ASKS: dict[str, Ask] = {
    **{name: each.ask for name, each in asked(PARTIES).items()},
    "who calls": _look_up,
}


WHO = {"everything": None, "team": HEAD, "own": AGENT}
# An agent has no right to these; the card is of somebody else's client.
REFUSED = {
    ("possible duplicates", "own"),
    ("bin", "own"),
    ("card and timeline", "team"),
    ("card and timeline", "own"),
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
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", ASKS)
async def test_a_growing_table_is_read_by_an_index(filled: Database, name: str, who: str) -> None:
    async with filled.sessions() as session:
        user_id = WHO[who]
        access = command_access() if user_id is None else await access_of(session, user_id)
        assert access is not None
        if (name, who) in REFUSED:
            with pytest.raises((NotAllowed, NotFound)):
                await read_whole(session, access, ASKS[name], if_it_can_be_avoided=True)
            return
        whole = await read_whole(session, access, ASKS[name], if_it_can_be_avoided=True)
        assert not whole, "\n\n".join(whole)


async def test_what_reads_a_table_whole_is_told(filled: Database) -> None:
    async def ask(session: AsyncSession, _access: Access) -> None:
        await session.execute(text("select from party where note = 'sought'"))

    async with filled.sessions() as session:
        (whole,) = await read_whole(session, command_access(), ask, if_it_can_be_avoided=True)
        assert "Seq Scan on party" in whole
