"""Gaps filled from real tables: nothing heard live is overwritten, nothing is doubled, and a repeat adds nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import make_url, select

from ami_adapter.second_truth.source import ColumnsMissing, SecondTruthError, ServerUnreachable
from crm.call_store import store
from crm.calls_read import CallFilter, list_calls, told_call
from crm.database import Database, open_database
from crm.gaps import begin_gap, end_gap
from crm.journal_entries import CallEntry
from crm.open_calls import close_unseen
from crm.rights import command_access
from crm.schema.base import uuid7
from crm.schema.journals import AccessLog, ChangeLog
from crm.schema.telephony import ConnectionGap, PbxConnection
from crm.sealing import Seal, open_seal
from crm.second_truth import SecondTruth, TruthKind, second_truth_secret, set_second_truth
from cti.calls.records import CallRecord, CallState, Disposition
from cti.daemon.back_fill import BackFill
from tests.ami_adapter.second_truth.recorded import cdr_values, cel_values, live_calls, master_csv
from tests.crm import planting
from tests.database import make_copy
from tests.pbx.ringcard_process import CommandFailed, Ringcard

PLANT = "asterisk22"
BEGINS = datetime(2026, 11, 21, 20, 58, 40, tzinfo=UTC)
ENDS = BEGINS + timedelta(minutes=1)
NOW = ENDS + timedelta(minutes=30)
SECRET = "a word that no log may repeat"
Fill = Callable[[], Awaitable[None]]


class Office:
    """One installation with one PBX, whose records lie in a database of their own."""

    def __init__(self, database: Database, connection_id: int, truth_url: str, seal: Seal) -> None:
        self.database, self.connection_id, self.truth_url, self.seal = (
            database,
            connection_id,
            truth_url,
            seal,
        )
        self.worker = BackFill(database, seal, now=lambda: NOW, time_zone="UTC")

    async def choose(self, kind: TruthKind, **more: Any) -> None:
        url = make_url(self.truth_url)
        where: dict[str, Any] = {}
        if kind.is_table:
            where = {
                "host": url.host or url.query["host"],
                "port": url.port or int(str(url.query.get("port", 5432))),
                "database": url.database,
                "user": url.username,
            }
        async with self.database.sessions.begin() as session:
            await set_second_truth(
                session,
                command_access(),
                self.connection_id,
                SecondTruth(kind=kind, **where | more),
                seal=self.seal,
                secret=url.password or SECRET,
            )

    async def heard(self, record: CallRecord) -> None:
        """Told live by the journal."""
        entry = CallEntry(
            connection_id=self.connection_id,
            call_id=uuid7(),
            record=record,
            at=BEGINS,
            run=str(uuid7()),
            step=1,
        )
        async with self.database.engine.begin() as connection:
            await store(connection, [entry])

    async def calls(self) -> dict[str, dict[str, Any]]:
        """The journal, by the last digits of the linked id."""
        async with self.database.sessions() as session:
            page = await list_calls(session, command_access(), CallFilter())
            told = [await told_call(session, command_access(), call.id) for call in page.items]
        return {call["key"].rpartition(".")[2]: call for call in told}

    async def gap(self) -> ConnectionGap:
        async with self.database.sessions() as session:
            return (await session.scalars(select(ConnectionGap))).one()


@pytest_asyncio.fixture(loop_scope="session")
async def office(
    database_server: str, empty_database: Callable[[], Awaitable[str]], tmp_path: Path
) -> AsyncIterator[Office]:
    """With a gap around the calls of scenario 30, over half an hour ago."""
    truth_url = await empty_database()
    database = await open_database(await make_copy(database_server))
    async with database.sessions.begin() as session:
        connection_id = await planting.connection(session, "Office", time_zone="UTC")
        await planting.extension(session, connection_id, "101", await planting.user(session, "anna"))
        await planting.line(session, connection_id, "+74951234501")
        client = await planting.organisation(session, "Invented Ltd")
        await planting.owns(session, client, await planting.number(session, "+79161234541"))
        await begin_gap(session, connection_id, BEGINS, "link_lost")
        await end_gap(session, connection_id, ENDS)
    yield Office(database, connection_id, truth_url, open_seal(tmp_path / "key"))
    await database.close()


async def write_table(
    url: str, table: str, rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]
) -> None:
    connection = await asyncpg.connect(url)
    names = ", ".join(f'"{name}"' for name in rows[0])
    columns = ", ".join(f'"{name}" {types.get(name, "text")}' for name in rows[0])
    await connection.execute(f"create table {table} ({columns})")
    places = ", ".join(f"${number}" for number in range(1, len(rows[0]) + 1))
    await connection.executemany(
        f"insert into {table} ({names}) values ({places})", [list(row.values()) for row in rows]
    )
    await connection.close()


def freepbx_rows() -> list[dict[str, Any]]:
    """As FreePBX keeps them: calldate and the lengths, neither answer nor end."""
    kept = (
        "clid",
        "src",
        "dst",
        "dcontext",
        "channel",
        "dstchannel",
        "lastapp",
        "lastdata",
        "disposition",
        "uniqueid",
    )
    return [
        {name: values[name] for name in kept}
        | {
            "calldate": datetime.fromisoformat(values["start"]),
            "duration": int(values["duration"]),
            "billsec": int(values["billsec"]),
            "linkedid": values["uniqueid"],
            "recordingfile": "",
            "did": values["dst"] if values["dst"].startswith("+7495") else "",
        }
        for values in cdr_values(PLANT)
    ]


CDR_TYPES = {"calldate": "timestamp", "duration": "integer", "billsec": "integer"}
CEL_TYPES = {"eventtime": "timestamptz"}


async def test_a_gap_is_filled_from_the_table_cel(office: Office) -> None:
    await write_table(office.truth_url, "cel", cel_values(PLANT), CEL_TYPES)
    await office.choose(TruthKind.CEL_POSTGRESQL)
    await office.worker.fill_gaps()
    calls = await office.calls()
    assert set(calls) == {"0", "2", "7", "9", "11", "13"}
    assert {call["origin"] for call in calls.values()} == {"back_filled"}
    first = calls["0"]
    assert (first["answered_by"], first["disposition"], first["did"]) == ("101", "answered", "+74951234501")
    assert first["talk_s"] == pytest.approx(3.0, abs=0.01)
    assert (first["match_status"], first["party_id"] is not None) == ("matched", True)
    gap = await office.gap()
    assert (gap.back_filled_by, gap.back_filled_at, gap.back_filled_calls) == ("cel_postgresql", NOW, 6)
    assert (await office.calls()) == calls
    await office.worker.fill(office.connection_id, BEGINS, ENDS)
    assert (await office.calls()) == calls


async def test_a_gap_is_filled_from_the_table_cdr(office: Office) -> None:
    await write_table(office.truth_url, "cdr", freepbx_rows(), CDR_TYPES)
    await office.choose(TruthKind.CDR_POSTGRESQL)
    kind, done = await office.worker.fill(office.connection_id, BEGINS, ENDS)
    assert (kind, done.added, done.completed, done.known) == (TruthKind.CDR_POSTGRESQL, 6, 0, 0)
    calls = await office.calls()
    assert (calls["0"]["answered_by"], calls["0"]["talk_s"]) == ("101", 3.0)
    assert (calls["2"]["queue"], calls["2"]["talk_s"], calls["2"]["answered"]) == ("sales", None, True)
    assert calls["13"]["disposition"] is None
    _kind, again = await office.worker.fill(office.connection_id, BEGINS, ENDS)
    assert (again.added, again.completed, again.known) == (0, 0, 6)
    async with office.database.sessions() as session:
        missed = await list_calls(session, command_access(), CallFilter(disposition="missed"))
    assert {call.external_id.rpartition(".")[2] for call in missed.items} == {"7"}


async def test_what_was_heard_live_is_neither_doubled_nor_overwritten(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "Master.csv"
    path.write_text(master_csv(PLANT), "utf-8")
    await office.choose(TruthKind.CDR_CSV, path=str(path))
    live = live_calls(PLANT)
    for record in live.values():
        await office.heard(record)
    before = await office.calls()
    _kind, done = await office.worker.fill(office.connection_id, BEGINS, ENDS)
    assert (done.added, done.completed, done.known) == (0, 0, 6)
    assert await office.calls() == before


async def test_a_call_whose_end_nobody_saw_gets_it(office: Office) -> None:
    """Its beginning was heard: the answer stays to the millisecond, the end and the talk come from CDR."""
    await write_table(office.truth_url, "cdr", freepbx_rows(), CDR_TYPES)
    await office.choose(TruthKind.CDR_POSTGRESQL)
    heard = next(call for call in live_calls(PLANT).values() if call.key.endswith(".0"))
    open_call = CallRecord(
        key=heard.key, linked_ids=heard.linked_ids, direction=heard.direction, state=CallState.TALKING,
        customer_number=heard.customer_number, did=heard.did, started_at=heard.started_at,
        answered_at=heard.answered_at, answered_by="101", is_answered=True, hold_seconds=0.0, story=("101 talks",),
    )  # fmt: skip
    await office.heard(open_call)
    async with office.database.engine.begin() as connection:
        await close_unseen(connection, office.connection_id, [], ENDS)
    assert (await office.calls())["0"]["ended_unseen"] is True
    _kind, done = await office.worker.fill(office.connection_id, BEGINS, ENDS)
    assert (done.added, done.completed) == (5, 1)
    call = (await office.calls())["0"]
    assert (call["ended_unseen"], call["disposition"], call["origin"]) == (False, "answered", "live")
    assert call["started_at"].startswith("2026-11-21T20:58:47.557")
    assert call["answered_at"].startswith("2026-11-21T20:58:49.16")
    assert call["ended_at"].startswith("2026-11-21T20:58:52")
    assert call["talk_s"] == pytest.approx(3.0, abs=1.0)
    assert (await office.worker.fill(office.connection_id, BEGINS, ENDS))[1].known == 6


async def test_an_open_call_is_left_alone(office: Office) -> None:
    """Whoever hears it now tells its end."""
    await write_table(office.truth_url, "cdr", freepbx_rows(), CDR_TYPES)
    await office.choose(TruthKind.CDR_POSTGRESQL)
    heard = next(call for call in live_calls(PLANT).values() if call.key.endswith(".0"))
    await office.heard(
        CallRecord(
            key=heard.key,
            linked_ids=heard.linked_ids,
            direction=heard.direction,
            state=CallState.TALKING,
            started_at=heard.started_at,
        )
    )
    _kind, done = await office.worker.fill(office.connection_id, BEGINS, ENDS)
    assert (done.added, done.known) == (5, 1)
    assert (await office.calls())["0"]["open"] is True


async def test_a_live_telling_after_the_back_fill_wins(office: Office) -> None:
    """The journal was on disk while the gap was filled."""
    await write_table(office.truth_url, "cdr", freepbx_rows(), CDR_TYPES)
    await office.choose(TruthKind.CDR_POSTGRESQL)
    await office.worker.fill(office.connection_id, BEGINS, ENDS)
    heard = next(call for call in live_calls(PLANT).values() if call.key.endswith(".7"))
    await office.heard(heard)
    call = (await office.calls())["7"]
    assert (call["origin"], call["disposition"]) == ("live", Disposition.ABANDONED)
    assert len(await office.calls()) == 6


async def test_what_cannot_be_read_stays_a_gap_and_tells_no_secret(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    await office.choose(TruthKind.CDR_POSTGRESQL)
    with pytest.raises(ColumnsMissing, match="no table 'cdr'"):
        await office.worker.fill(office.connection_id, BEGINS, ENDS)
    await office.choose(TruthKind.CDR_POSTGRESQL, port=1)
    with pytest.raises(ServerUnreachable, match=r":1 cannot") as refused:
        await office.worker.fill(office.connection_id, BEGINS, ENDS)
    await office.choose(TruthKind.CDR_MYSQL, host="127.0.0.1", port=1)
    with pytest.raises(SecondTruthError, match=r":1 cannot") as refused_too:
        await office.worker.fill(office.connection_id, BEGINS, ENDS)
    await office.worker.fill_gaps()
    assert (await office.gap()).back_filled_by is None
    assert SECRET not in f"{refused.value}{refused_too.value}{refused.value!r}{caplog.text}"


async def test_t26_the_secret_is_sealed_and_never_sent_elsewhere(office: Office) -> None:
    await office.choose(
        TruthKind.CDR_MYSQL, host="192.0.2.5", port=3306, database="asteriskcdrdb", user="reader"
    )
    async with office.database.sessions() as session:
        stored = await session.scalar(select(PbxConnection.second_truth_secret))
        assert stored is not None
        assert SECRET.encode() not in stored
        kept = await second_truth_secret(session, office.connection_id, office.seal)
        journal = [
            *(await session.scalars(select(ChangeLog.new))),
            *(await session.scalars(select(AccessLog.event))),
        ]
        assert SECRET not in str(journal)
        assert kept in (SECRET, make_url(office.truth_url).password)
    elsewhere = SecondTruth(
        kind=TruthKind.CDR_MYSQL, host="192.0.2.66", port=3306, database="asteriskcdrdb", user="reader"
    )
    async with office.database.sessions.begin() as session:
        await set_second_truth(session, command_access(), office.connection_id, elsewhere, seal=office.seal)
        assert await second_truth_secret(session, office.connection_id, office.seal) == ""


async def test_by_hand_from_the_command_line(tmp_path: Path) -> None:
    ringcard, path = Ringcard(tmp_path / "data"), tmp_path / "Master.csv"
    path.write_text(master_csv(PLANT), "utf-8")
    ringcard.data.mkdir()
    add = ("connection", "add", "office", "--host", "127.0.0.1", "--user", "reader", "--secret-stdin")
    await ringcard.run(*add, stdin="word")
    with pytest.raises(CommandFailed, match="has no second truth"):
        await ringcard.run("connection", "backfill", "office")
    chosen = await ringcard.run(
        "connection", "truth", "office", "--kind", "cdr_csv", "--path", str(path), "--time-zone", "UTC"
    )
    assert "cdr_csv" in chosen
    period = ("--from", BEGINS.isoformat(), "--to", ENDS.isoformat())
    assert "6 added, 0 completed, 0 known" in await ringcard.run("connection", "backfill", "office", *period)
    assert "0 added, 0 completed, 6 known" in await ringcard.run("connection", "backfill", "office", *period)
    exported = [json.loads(line) for line in (await ringcard.run("export", "calls", "--json")).splitlines()]
    assert [call["origin"] for call in exported] == ["back_filled"] * 6
    with pytest.raises(CommandFailed, match=r"whole path of a \.csv file"):
        await ringcard.run("connection", "truth", "office", "--kind", "cdr_csv", "--path", "Master.csv")
