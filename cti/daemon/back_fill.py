"""After a gap: what the PBX wrote down meanwhile is read, told as calls, and stored (`docs/calls.md`).

Beside the straight line: nothing waits for it, and what fails here costs a log line and another try.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ami_adapter.second_truth.from_cdr import Plant
from ami_adapter.second_truth.reading import calls_between
from ami_adapter.second_truth.source import CsvSource, Records, SecondTruthError, Server, Source, TableSource
from crm.back_fill import BackFilled, store_back_filled
from crm.database import Database
from crm.directory import ConnectionDirectory, Directory, directory
from crm.errors import NotFound, SecretUnreadable
from crm.gaps import GapToFill, gaps_to_fill, note_filled
from crm.journal_entries import CallEntry, CallFacts
from crm.matching import find_by_number
from crm.rights import command_access
from crm.schema.base import uuid7
from crm.sealing import Seal
from crm.second_truth import SecondTruth, TruthKind, second_truth, second_truth_secret
from cti.calls.records import CallRecord
from cti.daemon.call_facts import customer_of, facts_of
from cti.daemon.listening import Renewal

log = structlog.get_logger(__name__)

MARGIN: Final = timedelta(seconds=30)  # two clocks differ, and records know seconds only
KEPT_TRYING: Final = timedelta(days=7)
MOST_GAPS: Final = 100  # in one round
SETTLE_SECONDS: Final = (
    15.0  # after a link is up: the snapshot is stored, the PBX has written its last records
)
ROUND_SECONDS: Final = 60.0
BATCH: Final = 100
COLLISION_TRIES: Final = 3


class BackFill:
    """One worker for all connections.

    Args:
        now: wall clock, for gaps and reports; `time_zone`: the installation's, where a connection names none.
    """

    def __init__(
        self, database: Database, seal: Seal, *, now: Callable[[], datetime], time_zone: str
    ) -> None:
        self._database, self._seal, self._now = database, seal, now
        self._time_zone = time_zone
        self._renewal = Renewal(self._settle_and_fill, ROUND_SECONDS)
        self.run = self._renewal.run
        self.gap_ended = self._renewal.ask  # a link is up again: look soon

    async def fill_gaps(self) -> None:
        """Once: every gap of the last days that is not filled for good. What cannot be read costs no other PBX."""
        async with self._database.sessions() as session:
            gaps = await gaps_to_fill(session, self._now() - KEPT_TRYING, MOST_GAPS)
        failed: set[int] = set()  # connections: what one gap could not read, the next cannot either
        for gap in gaps:
            if gap.connection_id in failed:
                continue
            try:
                await self._fill_gap(gap)
            except Exception as error:
                failed.add(gap.connection_id)
                is_told = isinstance(error, SecondTruthError | SecretUnreadable | NotFound)
                why = str(error) if is_told else type(error).__name__  # others may repeat what was sent
                log.warning("gap_not_filled", connection_id=gap.connection_id, why=why)

    async def _settle_and_fill(self) -> None:
        await asyncio.sleep(SETTLE_SECONDS)
        await self.fill_gaps()

    async def fill(
        self, connection_id: int, since: datetime, until: datetime
    ) -> tuple[TruthKind, BackFilled]:
        """Read the second truth for calls that ended in [since, until) and store what is missing.

        Raises:
            SecondTruthError, SecretUnreadable, NotFound (the connection).
        """
        async with self._database.sessions() as session:
            truth = await second_truth(session, command_access(), connection_id)
            secret = await second_truth_secret(session, connection_id, self._seal)
            found = await directory(session, self._now())
        connection = found.connections.get(connection_id)
        if truth.kind is TruthKind.NONE or connection is None:
            return truth.kind, BackFilled()
        zone = ZoneInfo(truth.time_zone or connection.time_zone or self._time_zone)
        source = source_of(truth, secret, zone)
        calls = await calls_between(source, plant_of(connection, found), since, until)
        return truth.kind, await self._store(connection, calls)

    async def _fill_gap(self, gap: GapToFill) -> None:
        at = self._now()
        kind, done = await self.fill(gap.connection_id, gap.from_at - MARGIN, gap.to_at + MARGIN)
        if kind is TruthKind.NONE:
            return
        async with self._database.sessions.begin() as session:
            await note_filled(session, gap.id, kind.value, at, done.added + done.completed)
        log.info(
            "gap_filled",
            connection_id=gap.connection_id,
            by=kind.value,
            added=done.added,
            completed=done.completed,
            known=done.known,
        )

    async def _store(self, connection: ConnectionDirectory, calls: Sequence[CallRecord]) -> BackFilled:
        done = BackFilled()
        for start in range(0, len(calls), BATCH):
            batch = calls[start : start + BATCH]
            async with self._database.sessions() as session:
                entries = [await self._entry(session, connection, call) for call in batch]
            done += await self._in_transaction(entries)
        return done

    async def _in_transaction(self, entries: Sequence[CallEntry]) -> BackFilled:
        for attempt in range(COLLISION_TRIES):
            try:
                async with self._database.engine.begin() as connection:
                    return await store_back_filled(connection, entries)
            except IntegrityError:  # the journal stored one of them at this very moment
                if attempt == COLLISION_TRIES - 1:
                    raise
        raise AssertionError("the last try either returned or raised")

    async def _entry(
        self, session: AsyncSession, connection: ConnectionDirectory, call: CallRecord
    ) -> CallEntry:
        """The call with whoever had its number when it began."""
        facts, number = facts_of(call, connection), customer_of(call, connection)
        if number is not None:
            match = await find_by_number(
                session, number, line_id=facts.line_id, connection_id=connection.id, at=call.started_at
            )
            facts = CallFacts.of(
                match,
                customer_e164=facts.customer_e164,
                did_e164=facts.did_e164,
                line_id=facts.line_id,
            )
        at = call.ended_at or self._now()
        return CallEntry(connection_id=connection.id, call_id=uuid7(), record=call, facts=facts, at=at)


def source_of(truth: SecondTruth, secret: str, zone: ZoneInfo) -> Source:
    """What the adapter needs, from what the administrator chose."""
    if truth.kind is TruthKind.CDR_CSV:
        return CsvSource(path=Path(truth.path), zone=zone)
    records, _, server = truth.kind.value.partition("_")
    return TableSource(
        server=Server(server),
        records=Records(records),
        host=truth.host,
        port=truth.port,
        database=truth.database,
        user=truth.user,
        secret=secret,
        zone=zone,
    )


def plant_of(connection: ConnectionDirectory, found: Directory) -> Plant:
    """What the administrator entered of this PBX."""
    return Plant(
        extensions=frozenset(connection.extensions),
        endpoints=connection.extension_of_endpoint,
        lines=frozenset(connection.lines) | found.own_numbers,
    )
