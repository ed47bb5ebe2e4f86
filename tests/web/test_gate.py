"""The gate in front of a database: whoever asks with a token waits for the answer, not for the note that they asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from crm.accounts import create_token, list_tokens
from crm.database import Database, make_database
from crm.direct_reading import DirectReaders
from crm.rights import command_access
from tests.crm.people import make_user
from web.gate import Credential, CrmGate

LATE_SECONDS = 1.5  # the pool is waited for two seconds


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def narrow(database: Database) -> AsyncIterator[Database]:
    """The same database, with one connection in the pool."""
    narrow = make_database(database.engine.url.render_as_string(hide_password=False), pool_size=1)
    yield narrow
    await narrow.close()


async def noted(database: Database, name: str) -> datetime | None:
    async with database.sessions() as session:
        (at,) = [one.last_used_at for one in await list_tokens(session, command_access()) if one.name == name]
        return at


async def token_called(database: Database, name: str) -> Credential:
    async with database.sessions.begin() as session:
        user = await make_user(session, ("telephony",))
        secret = await create_token(session, command_access(), user.user_id, name)
    return Credential(secret=secret, is_token=True)


async def test_a_busy_pool_keeps_no_dialplan_waiting(database: Database, narrow: Database) -> None:
    pbx = await token_called(database, "busy pool")
    readers = DirectReaders(narrow, 1)
    gate = CrmGate(narrow.sessions, now, readers)
    async with narrow.sessions() as session:
        await session.execute(text("select 1"))
        async with asyncio.timeout(LATE_SECONDS):
            for _ in range(3):
                assert await gate.access(pbx) is not None
        assert await noted(database, "busy pool") is None
    await gate.close()  # what was to be noted is
    assert await noted(database, "busy pool") is not None
    readers.close()


async def test_a_note_that_fails_costs_nobody_and_is_made_with_the_next_use(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    pbx = await token_called(database, "failing note")
    gate = CrmGate(database.sessions, now)

    async def fail(*_arguments: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr("crm.accounts.note_use", fail)
        assert await gate.access(pbx) is not None
        assert await gate.access(pbx) is not None
        await gate.close()
    assert [(line["event"], line["error"]) for line in logs] == [
        ("token_use_not_noted", "ConnectionResetError")
    ] * len(logs)
    assert logs
    assert await gate.access(pbx) is not None
    await gate.close()
    assert await noted(database, "failing note") is not None


async def test_a_note_that_hangs_is_given_up_at_the_end(
    database: Database, narrow: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.token_uses.CLOSE_SECONDS", 0.05)
    pbx = await token_called(database, "hanging note")
    readers = DirectReaders(narrow, 1)
    gate = CrmGate(narrow.sessions, now, readers)
    async with narrow.sessions() as session:
        await session.execute(text("select 1"))
        assert await gate.access(pbx) is not None
        async with asyncio.timeout(LATE_SECONDS):
            await gate.close()
    assert await noted(database, "hanging note") is None
    readers.close()
