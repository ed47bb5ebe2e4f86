"""The journal's writer: in order, never in anybody's way, and nothing lost while the database is away."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import delete, func, select, text

from crm.call_store import StoredCall
from crm.database import Database, make_database, migrate, open_database
from crm.embedded import EmbeddedCluster
from crm.gaps import begin_gap, end_gap
from crm.journal import Journal, latest_only
from crm.journal_entries import CallEntry, CallFacts, Entry, SnapshotEntry, decode, encode
from crm.open_calls import open_calls
from crm.schema.base import uuid7
from crm.schema.communications import Call, CallKey, Communication, Leg, Participation
from crm.schema.telephony import ConnectionGap, PbxConnection
from crm.spool import Spool
from cti.calls.records import CallRecord
from tests.crm import planting
from tests.crm.planting import NOON
from tests.crm.telling import after, life
from tests.database import NO_DURABILITY

TABLES = (Leg, Participation, CallKey, Call, Communication, ConnectionGap)


@pytest_asyncio.fixture(loop_scope="session")
async def office(database: Database) -> AsyncIterator[int]:
    """The id of a connection; afterwards its calls are gone again."""
    async with database.sessions.begin() as session:
        connection = await planting.connection(session, "Office")
    yield connection
    async with database.sessions.begin() as session:
        for table in TABLES:
            await session.execute(delete(table))
        await session.execute(delete(PbxConnection))


def telling(connection: int, record: CallRecord, *, at: datetime = NOON, **facts: Any) -> CallEntry:
    return CallEntry(
        connection_id=connection, call_id=uuid7(), record=record, facts=CallFacts(**facts), at=at
    )


@asynccontextmanager
async def writing(journal: Journal) -> AsyncIterator[Journal]:
    task = asyncio.create_task(journal.run())
    try:
        yield journal
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def stored(database: Database, query: str) -> list[Any]:
    async with database.sessions() as session:
        return list((await session.execute(text(query))).scalars())


async def until(happens: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not happens():
            await asyncio.sleep(0.01)


async def test_calls_are_stored_and_told(database: Database, office: int, tmp_path: Path) -> None:
    heard: list[StoredCall] = []
    async with writing(Journal(database, Spool(tmp_path), on_stored=heard.append)) as journal:
        for record in life():
            journal.put(telling(office, record))
        await journal.idle()
    assert await stored(database, "select state from call") == ["ended"]
    assert heard
    assert journal.waiting == 0


async def test_put_never_waits_and_keeps_only_the_latest_of_each_call(
    database: Database, office: int, tmp_path: Path
) -> None:
    journal = Journal(database, Spool(tmp_path))
    began = time.perf_counter()
    for key in range(1000):
        for record in life(f"{key}.1"):
            journal.put(telling(office, record, customer_e164="+79000000001"))
    assert (time.perf_counter() - began) / 3000 < 0.001
    assert journal.waiting == 1000
    async with writing(journal):
        await journal.idle()
    assert await stored(database, "select count(*) from call where state = 'ended'") == [1000]


async def test_a_raising_listener_stops_nothing(database: Database, office: int, tmp_path: Path) -> None:
    def raises(call: StoredCall) -> None:
        raise RuntimeError(call.id)

    async with writing(Journal(database, Spool(tmp_path), on_stored=raises)) as journal:
        journal.put(telling(office, life()[0]))
        await journal.idle()
        journal.put(telling(office, life("200.1")[0]))
        await journal.idle()
    assert await stored(database, "select count(*) from call") == [2]


async def test_i18_a_spool_that_cannot_be_read_does_not_end_the_writer(
    database: Database, office: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.journal.RETRY_SECONDS", (0.05,))
    spool = Spool(tmp_path)
    spool.append([encode(telling(office, life("1.1")[-1]))])
    read, failures = spool.read_oldest, [OSError("Input/output error")]

    def read_at_second_try() -> Any:
        if failures:
            raise failures.pop()
        return read()

    monkeypatch.setattr(spool, "read_oldest", read_at_second_try)
    async with writing(Journal(database, spool)) as journal:
        async with asyncio.timeout(5):
            await journal.idle()
    assert not failures
    async with database.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Call)) == 1


async def test_an_entry_that_can_never_be_stored_costs_only_itself(
    database: Database, office: int, tmp_path: Path
) -> None:
    async with writing(Journal(database, Spool(tmp_path))) as journal:
        journal.put(telling(office, life("1.1")[-1]))
        journal.put(telling(999_999, life("2.1")[-1]))  # no such connection
        journal.put(telling(office, life("3.1")[-1]))
        await journal.idle()
    assert await stored(database, "select external_id from call order by 1") == ["1.1", "3.1"]
    assert journal.refused == 1
    (aside,) = tmp_path.glob("refused-*")
    assert b"2.1" in aside.read_bytes()


async def test_the_caller_is_looked_up_at_the_end_if_nobody_could_before(
    database: Database, office: int, tmp_path: Path
) -> None:
    async with database.sessions.begin() as session:
        client = await planting.organisation(session, "Invented Ltd")
        await planting.owns(session, client, await planting.number(session, "+79000000001"))
    async with writing(Journal(database, Spool(tmp_path))) as journal:
        journal.put(telling(office, life()[-1], customer_e164="+79000000001"))
        await journal.idle()
    assert await stored(database, "select match_status from call") == ["matched"]
    assert await stored(database, "select party_id from communication") == [client]


async def test_what_waits_at_the_end_is_stored_at_the_next_start(
    database: Database, office: int, tmp_path: Path
) -> None:
    journal = Journal(database, Spool(tmp_path))
    async with writing(journal):
        await asyncio.sleep(0)
        for key in range(300):
            journal.put(telling(office, life(f"{key}.1")[-1]))
    async with writing(Journal(database, Spool(tmp_path))) as journal:
        await journal.idle()
    assert await stored(database, "select count(*) from call") == [300]


async def test_a_file_stored_twice_doubles_nothing(database: Database, office: int, tmp_path: Path) -> None:
    """Killed between the commit and the removal of the file."""
    entries: list[Entry] = [telling(office, record) for record in life()]
    for _ in range(2):
        spool = Spool(tmp_path)
        spool.append([encode(entry) for entry in entries])
        async with writing(Journal(database, spool)) as journal:
            await journal.idle()
    assert await stored(database, "select count(*) from call") == [1]
    assert await stored(database, "select count(*) from participation") == [1]


@pytest_asyncio.fixture(loop_scope="session")
async def own_cluster() -> AsyncIterator[tuple[EmbeddedCluster, str]]:
    """A cluster that the test may stop and kill."""
    folder = Path(tempfile.mkdtemp(prefix="ringcard-tests-"))
    cluster = EmbeddedCluster(
        folder, options=NO_DURABILITY | {"synchronous_commit": "on"}
    )  # it survives a kill
    url = await cluster.start()
    await migrate(url)
    yield cluster, url
    await cluster.stop()
    shutil.rmtree(folder)


async def test_i13_the_database_goes_away_and_comes_back(
    own_cluster: tuple[EmbeddedCluster, str], tmp_path: Path
) -> None:
    cluster, url = own_cluster
    database = await open_database(url)
    async with database.sessions.begin() as session:
        office = await planting.connection(session, "Office")
    async with writing(Journal(database, Spool(tmp_path))) as journal:
        for key in range(10):
            journal.put(telling(office, life(f"{key}.1")[0]))
        await journal.idle()
        running = cluster.running()
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        for step in (1, 2):
            for key in range(10):
                journal.put(telling(office, life(f"{key}.1")[step]))
        await until(lambda: journal.is_database_away and journal.waiting == 0)
        assert journal.spooled_bytes > 0
    # The program is killed, too; the next one finds the spool, and the database only later.
    async with writing(Journal(database, Spool(tmp_path))) as journal:
        journal.put(telling(office, life("10.1")[-1]))
        await until(lambda: journal.is_database_away)
        assert await cluster.start() == url
        await asyncio.wait_for(journal.idle(), 30)
        assert (journal.is_database_away, journal.spooled_bytes) == (False, 0)
    states = await stored(database, "select state from call")
    assert states == ["ended"] * 11
    assert await stored(database, "select count(*) from participation where left_at is not null") == [11]
    await database.close()


async def test_i09_a_frozen_database_is_given_up_within_seconds(
    own_cluster: tuple[EmbeddedCluster, str], tmp_path: Path
) -> None:
    cluster, url = own_cluster
    database = make_database(url)
    async with database.sessions.begin() as session:
        office = await planting.connection(session, "Office")
    running = cluster.running()
    assert running is not None
    frozen = [running.pid, *children_of(running.pid)]
    async with writing(Journal(database, Spool(tmp_path))) as journal:
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            journal.put(telling(office, life()[-1]))
            await until(lambda: journal.is_database_away and journal.spooled_bytes > 0, seconds=8)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        await asyncio.wait_for(journal.idle(), 30)
    assert await stored(database, "select count(*) from call") == [1]
    await database.close()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_i04_a_snapshot_ends_what_the_pbx_no_longer_knows(
    database: Database, office: int, tmp_path: Path
) -> None:
    _, talking, _ = life("1.1")
    async with database.sessions.begin() as session:
        await begin_gap(session, office, after(40), "link lost")
        await end_gap(session, office, after(90))
    async with writing(Journal(database, Spool(tmp_path))) as journal:
        journal.put(telling(office, talking))
        journal.put(telling(office, life("2.1")[0]))
        journal.put(telling(office, life("3.1")[1]))
        journal.put(SnapshotEntry(connection_id=office, present=("3.1",), at=after(90)))
        journal.put(telling(office, life("4.1")[0], at=after(91)))
        await journal.idle()
        async with database.sessions() as session:
            assert {call.linked_ids for call in await open_calls(session, office)} == {("3.1",), ("4.1",)}
            calls = {call.external_id: call for call in await session.scalars(select(Call))}
            parts = {part.call_id: part for part in await session.scalars(select(Participation))}
    answered, missed = calls["1.1"], calls["2.1"]
    assert (answered.ended_unseen, answered.ended_at, answered.disposition) == (True, after(40), "answered")
    assert (missed.ended_unseen, missed.disposition) == (True, None)
    assert parts[answered.id].left_at == after(40)


async def test_i04_killed_in_mid_call_it_ends_once(database: Database, office: int, tmp_path: Path) -> None:
    _, talking, ended = life()
    async with writing(Journal(database, Spool(tmp_path))) as journal:
        journal.put(telling(office, talking))
        await journal.idle()
    async with writing(Journal(database, Spool(tmp_path))) as journal:  # the next run of the program
        journal.put(telling(office, talking))
        journal.put(SnapshotEntry(connection_id=office, present=talking.linked_ids, at=after(30)))
        journal.put(telling(office, ended))
        await journal.idle()
    assert await stored(database, "select ended_at from call") == [after(66)]
    assert await stored(database, "select count(*) from outbox_event where type = 'call.ended' and record_id in "
                        "(select id::text from call)") == [1]  # fmt: skip


async def test_an_end_seen_later_replaces_one_that_was_not(
    database: Database, office: int, tmp_path: Path
) -> None:
    async with writing(Journal(database, Spool(tmp_path))) as journal:
        journal.put(telling(office, life()[1]))
        journal.put(SnapshotEntry(connection_id=office, present=(), at=after(500)))
        await journal.idle()
        journal.put(telling(office, life()[2]))
        await journal.idle()
    assert await stored(database, "select ended_at from call where not ended_unseen") == [after(66)]


async def test_i05_gaps_never_overlap(database: Database, office: int) -> None:
    async with database.sessions.begin() as session:
        await begin_gap(session, office, after(0), "link lost")
        await begin_gap(session, office, after(5), "link lost")  # lost already
        await end_gap(session, office, after(10))
        await end_gap(session, office, after(11))  # nothing is open
        await begin_gap(session, office, after(8), "the clock went back")
        await end_gap(session, office, after(9))
        rows = (await session.scalars(select(ConnectionGap).order_by(ConnectionGap.id))).all()
        assert [(gap.from_at, gap.to_at) for gap in rows] == [(after(0), after(10)), (after(10), after(10))]
        assert (await session.execute(select(func.count(ConnectionGap.id)))).scalar_one() == 2


def test_an_entry_comes_back_from_disk_as_it_was() -> None:
    entries: list[Entry] = [telling(1, record, customer_e164="+79000000001") for record in life()]
    entries.append(SnapshotEntry(connection_id=1, present=("1.1",), at=NOON))
    assert [decode(encode(entry)) for entry in entries] == entries


def test_of_each_call_the_latest_with_what_was_known_of_the_caller() -> None:
    ringing, _, ended = life()
    first = telling(1, ringing, match_status="matched", party_id=7)
    snapshot = SnapshotEntry(connection_id=1, present=(), at=NOON)
    (kept, between) = latest_only([first, snapshot, telling(1, ended)])
    assert isinstance(kept, CallEntry)
    assert (kept.record, kept.facts.party_id, between) == (ended, 7, snapshot)
