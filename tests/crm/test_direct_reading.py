"""The reader that asks who calls: the same answers as a session's, and never a connection in an unknown state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from crm import direct_reading
from crm.accounts import block_user, create_team, create_token, put_in_team, read_token
from crm.database import Database, make_database
from crm.direct_reading import DirectReader, DirectReaders
from crm.journal import is_away
from crm.matching import MatchOutcome, find_by_number
from crm.numbers import NumberValues
from crm.parties import create_party, person_values
from crm.readers import Reader
from crm.rights import Scope, command_access
from cti.numbers import to_e164
from tests.crm.people import make_user

ECHO = text("select cast(:word as text) as word, pg_backend_pid() as pid")
SLEEP = text("select pg_sleep(:seconds) as nothing")


@pytest.fixture
async def reader(database: Database) -> AsyncIterator[DirectReader]:
    reader = DirectReader(database)
    yield reader
    reader.close()


async def pid_of(reader: DirectReader) -> int:
    row = (await reader.execute(ECHO, {"word": "here"})).first()
    assert row is not None
    return int(row.pid)


async def test_it_finds_what_a_session_finds(reader: DirectReader, session: AsyncSession) -> None:
    values = person_values("Пример")
    await create_party(session, command_access(), values, numbers=[NumberValues(presented="+79000000011")])
    await session.commit()
    for presented in ("+79000000011", "+79000000012", "anonymous", "03"):
        number = to_e164(presented)
        assert await find_by_number(reader, number) == await find_by_number(session, number)
    assert (await find_by_number(reader, to_e164("+79000000011"))).outcome is MatchOutcome.MATCHED


async def test_a_value_is_an_attribute_and_a_strange_name_is_an_error(reader: DirectReader) -> None:
    row = (await reader.execute(ECHO, {"word": "слово"})).first()
    assert row is not None
    assert row.word == "слово"
    with pytest.raises(AttributeError, match="other"):
        _ = row.other


async def test_i9_a_connection_that_was_killed_is_replaced(
    reader: DirectReader, session: AsyncSession
) -> None:
    before = await pid_of(reader)
    await session.execute(text("select pg_terminate_backend(:pid, 2000)"), {"pid": before})
    assert await pid_of(reader) != before


async def test_a_cancelled_question_leaves_no_answer_for_the_next(reader: DirectReader) -> None:
    before = await pid_of(reader)
    asking = asyncio.create_task(reader.execute(SLEEP, {"seconds": 1.0}))
    await asyncio.sleep(0.05)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await pid_of(reader) != before


async def test_a_question_that_fails_costs_itself(reader: DirectReader) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await reader.execute(text("select 1 / 0 as nothing"), {})
    assert await pid_of(reader)


async def test_an_address_may_say_how_statements_are_prepared(database: Database) -> None:
    url = database.engine.url.update_query_dict({"prepared_statement_cache_size": "0"})
    other = make_database(url.render_as_string(hide_password=False))
    reader = DirectReader(other)
    assert await pid_of(reader) == await pid_of(reader)
    reader.close()
    await other.close()


async def test_i9_no_database_is_an_error_at_once() -> None:
    away = make_database("postgresql://nobody@127.0.0.1:1/nowhere")
    with pytest.raises(OSError):
        await DirectReader(away).execute(ECHO, {"word": ""})
    await away.close()


async def test_i09_readers_are_lent_the_one_that_served_last_first_and_waited_for(database: Database) -> None:
    readers = DirectReaders(database, 2, patience=0.05)
    asked: list[int] = []

    async def ask(reader: Reader) -> None:
        row = (await reader.execute(ECHO, {"word": "warm"})).first()
        asked.append(row.pid)

    await readers.warm_up(ask)
    assert len(set(asked)) == 2
    async with readers() as first:
        pid = await pid_of(first)
    async with readers() as again, readers() as other:
        assert await pid_of(again) == pid
        assert await pid_of(other) in set(asked) - {pid}
        with pytest.raises(TimeoutError):  # every wait ends
            async with readers():
                pass
    readers.close()


class SilentLink:
    """A way to the database that can fall silent without closing, as a router does that forgot the connection."""

    def __init__(self, database: Database) -> None:
        self._place = database.engine.url.query.get("host") or database.engine.url.host
        self._port = database.engine.url.port or int(str(database.engine.url.query.get("port", 5432)))
        self._mute: set[int] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.opened = 0

    async def __aenter__(self) -> SilentLink:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    def over(self, database: Database) -> Database:
        url = database.engine.url.difference_update_query(["host", "port"])
        url = url.set(host="127.0.0.1", port=self._server.sockets[0].getsockname()[1])
        return make_database(url.render_as_string(hide_password=False))

    def fall_silent(self) -> None:
        """Those that are open now; new ones are carried."""
        self._mute = set(range(self.opened))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.opened = self.opened, self.opened + 1
        place = str(self._place)
        if place.startswith("/"):
            there = await asyncio.open_unix_connection(f"{place}/.s.PGSQL.{self._port}")
        else:
            there = await asyncio.open_connection(place, self._port)
        self._writers += [writer, there[1]]
        await asyncio.gather(
            self._carry(number, reader, there[1]),
            self._carry(number, there[0], writer),
            return_exceptions=True,
        )

    async def _carry(self, number: int, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            if number not in self._mute:
                sink.write(data)
                await sink.drain()
        sink.close()


async def test_i9_a_link_that_fell_silent_is_replaced_before_a_caller_waits_for_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_reading, "AWAKE_SECONDS", 0.05)
    monkeypatch.setattr(direct_reading, "WAKE_SECONDS", 0.3)
    asked = 0

    async def ask(reader: Reader) -> None:
        nonlocal asked
        await reader.execute(ECHO, {"word": "warm"})
        asked += 1

    async with SilentLink(database) as link:
        over = link.over(database)
        readers = DirectReaders(over, 3)
        await readers.warm_up(ask)
        async with readers() as busy:
            staying = asyncio.create_task(readers.stay_awake(ask))
            pid = await pid_of(busy)
            await asyncio.sleep(0.2)
            assert (link.opened, asked) == (3, 3)  # what answers stays as it is
            link.fall_silent()
            async with asyncio.timeout(10):
                while asked < 5:
                    await asyncio.sleep(0.02)
            async with asyncio.timeout(0.8), readers() as first, readers() as second:
                assert len({await pid_of(first), await pid_of(second), pid}) == 3
            assert link.opened == 5  # the busy one is its task's own affair
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)
        readers.close()
        await over.close()


async def test_i9_a_database_that_is_away_ends_no_watch(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_reading, "AWAKE_SECONDS", 0.01)
    away = make_database("postgresql://nobody@127.0.0.1:1/nowhere")
    readers = DirectReaders(away, 2)

    async def ask(reader: Reader) -> None:
        await reader.execute(ECHO, {"word": ""})

    with capture_logs() as logs:
        staying = asyncio.create_task(readers.stay_awake(ask))
        async with asyncio.timeout(5):
            while len(logs) < 4:
                await asyncio.sleep(0.01)
    assert {line["event"] for line in logs} == {"idle_reader_not_replaced"}
    assert not staying.done()
    staying.cancel()
    await asyncio.gather(staying, return_exceptions=True)
    async with readers(), readers():
        pass  # all are there again
    await away.close()


async def test_t18_a_token_is_read_directly_as_in_a_session_and_what_ended_opens_nothing(
    database: Database, reader: DirectReader
) -> None:
    now = datetime.now(UTC)
    async with database.sessions.begin() as session:
        user = await make_user(session, ("head",))
        team = await create_team(session, command_access(), "Продажи")
        await put_in_team(session, command_access(), user.user_id, team, is_head=True)
        token = await create_token(session, command_access(), user.user_id, "pbx")
        narrow = await create_token(
            session, command_access(), user.user_id, "few", rights={"party.read": "own"}
        )
    for each in (token, narrow):
        read = await read_token(reader, each, now)
        async with database.sessions() as session:
            assert read == await read_token(session, each, now)
        assert read is not None
        assert read.is_to_be_noted
        assert read.access.team_ids == {team}
    assert read is not None
    assert read.access.scopes == {"party.read": Scope.OWN}
    assert await read_token(reader, token + "x", now) is None
    async with database.sessions.begin() as session:
        await block_user(session, command_access(), user.user_id)
    assert await read_token(reader, token, now) is None


async def test_i13_a_database_that_is_away_is_told_from_a_wrong_question(
    reader: DirectReader,
) -> None:
    with pytest.raises(asyncpg.PostgresError) as wrong:
        await reader.execute(text("select 1 / 0 as nothing"), {})
    assert not is_away(wrong.value)
    with pytest.raises(asyncpg.DataError) as odd:
        await reader.execute(text("select cast(:one as bigint) as one"), {"one": "two"})
    assert not is_away(odd.value)
    nowhere = make_database("postgresql://nobody@127.0.0.1:1/nothing")
    gone = DirectReader(nowhere)
    with pytest.raises(OSError) as refused:
        await gone.execute(ECHO, {"word": "here"})
    assert is_away(refused.value)
    await nowhere.close()


@pytest.mark.parametrize("code", ["57P01", "57P03", "53300", "08006"])
def test_i13_what_the_server_says_when_it_stops_means_away(code: str) -> None:
    assert is_away(asyncpg.PostgresError.new({"C": code, "M": "as if"}))
