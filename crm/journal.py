"""The journal's writer: call entries in, rows out, in order, whatever happens to the database.

`put` never waits. Of each call only the latest telling waits in memory, at its first place in the order, so a slow
database costs details of what was in between and never a call. While the database is away, entries go to the spool on
disk; when it is back, the spool is stored first. Behaviour when everything is full: entries stay in memory, one for each
call, and `is_losing` says so to whoever watches (readiness, the log): the journal is never what is silently dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from datetime import timedelta

import asyncpg
import msgspec
import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from crm.call_store import ACCESS_AFTER_CALL, StoredCall, store
from crm.callback_following import follow_calls
from crm.database import Database
from crm.journal_entries import CallEntry, CallFacts, Entry, SnapshotEntry, decode, encode
from crm.matching import find_by_number
from crm.mirrors import lock_numbers
from crm.open_calls import close_unseen
from crm.schema.base import uuid7
from crm.spool import Reading, Spool
from crm.wrap_ups import begin_wrap_ups
from cti.calls.records import CallState
from cti.numbers import E164, Number, NumberKind

log = structlog.get_logger(__name__)

BATCH = 100
# A call is told several times within a moment; written together they cost a fraction, and no window waits for it.
GATHER_SECONDS = 0.2
MOST_WAITING = 10_000  # calls in memory; beyond that the spool takes them even while the database answers
RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
COLLISION_TRIES = 3
# Of PostgreSQL's errors these say that the server cannot serve now: connection, resources, operator, conflict, internal.
AWAY_CLASSES = ("08", "53", "55", "57", "58", "40", "XX")
IS_READ_ONLY = "25006"
Key = tuple[int, object]


class DatabaseAway(Exception):
    """The database does not serve now; what was to be stored is to be kept."""


class Journal:
    """One queue, one writer task (`run`). `on_stored` is told where each call is, after its commit."""

    def __init__(
        self,
        database: Database,
        spool: Spool,
        *,
        on_stored: Callable[[StoredCall], None] = lambda stored: None,
        access: timedelta = ACCESS_AFTER_CALL,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._database, self._spool, self._on_stored = database, spool, on_stored
        self._access, self._most_waiting = access, most_waiting
        self._run_id, self._steps = str(uuid7()), itertools.count(1)
        self._waiting: dict[Key, Entry] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        if spool.is_empty:
            self._idle.set()
        else:
            self._wake.set()
        self._failures = 0
        self.is_database_away = False
        self.is_losing = False  # memory and spool are full: from now on only the latest of each call is safe
        self.stored = 0
        self.refused = 0

    @property
    def waiting(self) -> int:
        """Entries in memory."""
        return len(self._waiting)

    @property
    def spooled_bytes(self) -> int:
        return self._spool.size

    def put(self, entry: Entry) -> None:
        """Take an entry; called from the event loop, in the order of events."""
        if isinstance(entry, CallEntry):
            key: Key = (entry.connection_id, entry.record.key)
            entry = msgspec.structs.replace(entry, run=self._run_id, step=next(self._steps))
            entry = keeping_caller(entry, self._waiting.get(key))
        else:
            key = (entry.connection_id, object())  # snapshots never replace one another
        self._waiting[key] = entry
        self._idle.clear()
        self._wake.set()

    async def idle(self) -> None:
        """Wait until everything taken so far is in the database."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write for ever; when cancelled, whatever still waits goes to the spool."""
        try:
            while True:
                await self._wake.wait()
                await asyncio.sleep(GATHER_SECONDS)
                self._wake.clear()
                try:
                    await self._work()
                except Exception:  # a file of the spool cannot be read, say: calls go on, and we try again
                    log.exception("the journal's writer failed; it tries again")
                    await self._keep_waiting()
                    await self._pause(RETRY_SECONDS[-1])
                    self._wake.set()
        finally:
            await self._keep_waiting()
            self._spool.close()

    async def _work(self) -> None:
        """Store what gathered, or wait a moment if the database is away. What came meanwhile gathers anew."""
        try:
            while self._waiting or not self._spool.is_empty:
                is_crowded = len(self._waiting) > self._most_waiting
                if is_crowded or not self._spool.is_empty:
                    await self._keep_waiting()
                if self._spool.is_empty:
                    await self._store_waiting()
                else:
                    await self._store_spooled()
                self._back()
                if self._spool.is_empty and 0 < len(self._waiting) < BATCH:
                    self._wake.set()
                    return
            self._idle.set()
        except DatabaseAway as error:
            await self._keep_waiting()
            pause = RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS) - 1)]
            if not self.is_database_away:
                log.warning("database away, calls go to the spool", reason=str(error))
            self.is_database_away, self._failures = True, self._failures + 1
            await self._pause(pause)
            self._wake.set()

    async def _pause(self, seconds: float) -> None:
        """Until the next try; what comes meanwhile is put on disk at once."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wake.wait()
                self._wake.clear()
                if not self.is_losing:  # a full disk is tried again with the database, not with each call
                    await self._keep_waiting()

    def _back(self) -> None:
        if self.is_database_away:
            log.info("database back", spooled_bytes=self._spool.size)
        self.is_database_away = self.is_losing = False
        self._failures = 0

    async def _store_waiting(self) -> None:
        keys = [key for key, _ in zip(self._waiting, range(BATCH), strict=False)]
        batch = [self._waiting.pop(key) for key in keys]
        try:
            await self._store(batch)
        except BaseException:
            # Back to the front; what came meanwhile for the same call is newer.
            self._waiting = {**dict(zip(keys, batch, strict=True)), **self._waiting}
            raise

    async def _store_spooled(self) -> None:
        reading = await asyncio.to_thread(self._spool.read_oldest)
        if reading is None:
            return
        entries = await asyncio.to_thread(lambda: latest_only(self._decoded(reading)))
        for start in range(0, len(entries), BATCH):
            await self._store(entries[start : start + BATCH])
        if reading.is_damaged:
            log.error("a file of the spool is damaged; kept aside", file=str(reading.path))
        await asyncio.to_thread(self._spool.remove, reading)

    def _decoded(self, reading: Reading) -> list[Entry]:
        entries: list[Entry] = []
        for body in reading.bodies:
            try:
                entries.append(decode(body))
            except msgspec.MsgspecError as error:
                self._refuse([body], error)
        return entries

    async def _keep_waiting(self) -> None:
        """What waits in memory goes to the disk; not even a cancellation stops it half-way."""
        if self._waiting:
            await asyncio.shield(self._move_to_disk())

    async def _move_to_disk(self) -> None:
        waiting, self._waiting = self._waiting, {}
        try:
            await asyncio.to_thread(self._append, list(waiting.values()))
        except Exception as error:  # whatever it was, no call is dropped for it
            self._waiting = {**waiting, **self._waiting}
            if not self.is_losing:
                log.error("the spool takes no more; calls wait in memory only", reason=str(error))
            self.is_losing = True
        else:
            self.is_losing = False

    def _append(self, entries: Sequence[Entry]) -> None:
        """In a thread: a thousand entries take tens of milliseconds to encode, and the disk its own time."""
        self._spool.append([encode(entry) for entry in entries])

    async def _store(self, batch: Sequence[Entry]) -> None:
        """One transaction for all; if one of them cannot be stored, each gets its own and that one is kept aside."""
        try:
            stored = await self._in_transaction(batch)
        except DatabaseAway:
            raise
        except Exception as error:
            if len(batch) == 1:
                self._refuse([encode(batch[0])], error)
                return
            for entry in batch:
                await self._store([entry])
            return
        self.stored += len(batch)
        for call in stored:
            try:
                self._on_stored(call)
            except Exception:
                log.exception("a listener of the journal failed", call_id=str(call.id))

    async def _in_transaction(self, batch: Sequence[Entry]) -> list[StoredCall]:
        for attempt in range(COLLISION_TRIES):
            try:
                async with self._database.engine.begin() as connection:
                    known = await with_callers(connection, batch)
                    return await store_entries(connection, known, access=self._access)
            except IntegrityError:  # another program stored one of them at this very moment
                if attempt == COLLISION_TRIES - 1:
                    raise
            except Exception as error:
                if is_away(error):
                    raise DatabaseAway(str(error)) from error
                raise
        raise AssertionError("the last try either returned or raised")

    def _refuse(self, bodies: Sequence[bytes], error: Exception) -> None:
        log.error("an entry cannot be stored; kept aside", reason=str(error))
        self.refused += len(bodies)
        try:
            self._spool.refuse(bodies, self._run_id)
        except OSError as failure:
            log.critical(
                "nor can it be kept aside", reason=str(failure), entries=[body.hex() for body in bodies]
            )


async def store_entries(
    connection: AsyncConnection, entries: Sequence[Entry], *, access: timedelta = ACCESS_AFTER_CALL
) -> list[StoredCall]:
    """Store entries in order in the caller's transaction: calls in batches, snapshots between them."""
    told = [entry for entry in entries if isinstance(entry, CallEntry)]
    has_mirrors = await lock_numbers(connection, told) if told else False
    stored: list[StoredCall] = []
    calls: list[CallEntry] = []
    for entry in entries:
        if isinstance(entry, CallEntry):
            calls.append(entry)
            continue
        stored += await store(connection, calls, access=access, has_mirrors=has_mirrors)
        calls = []
        await close_unseen(connection, entry.connection_id, entry.present, entry.at)
    stored += await store(connection, calls, access=access, has_mirrors=has_mirrors)
    await _follow(connection, stored)
    return stored


async def _follow(connection: AsyncConnection, stored: Sequence[StoredCall]) -> None:
    """Callers who were missed, and what else follows; a fault in it costs no call its place in the journal."""
    try:
        async with connection.begin_nested():
            await follow_calls(connection, [call.id for call in stored])
            await begin_wrap_ups(connection, [call.id for call in stored])
    except Exception as error:
        if is_away(error):
            raise
        log.exception("what follows from calls was not written", calls=[str(call.id) for call in stored])


async def with_callers(connection: AsyncConnection, entries: Sequence[Entry]) -> list[Entry]:
    """Look up the callers of ended calls that nobody could look up while they rang: the database was away."""
    known: list[Entry] = []
    async with AsyncSession(bind=connection, expire_on_commit=False) as session:
        for entry in entries:
            is_missing = isinstance(entry, CallEntry) and entry.facts.match_status is None
            known.append(await _with_caller(session, entry) if is_missing else entry)
    return known


async def _with_caller(session: AsyncSession, entry: Entry) -> Entry:
    if not isinstance(entry, CallEntry) or entry.record.state is not CallState.ENDED:
        return entry
    facts = entry.facts
    if facts.customer_e164 is None:
        return entry
    number = Number(kind=NumberKind.E164, presented=facts.customer_e164, e164=E164(facts.customer_e164))
    match = await find_by_number(session, number, at=entry.record.started_at or entry.at)
    known = CallFacts.of(
        match, customer_e164=facts.customer_e164, did_e164=facts.did_e164, line_id=facts.line_id
    )
    return msgspec.structs.replace(entry, facts=known)


def latest_only(entries: Sequence[Entry]) -> list[Entry]:
    """Of each call and run the latest telling, at the place of its first: it holds all that came before."""
    latest: dict[object, Entry] = {}
    for index, told in enumerate(entries):
        entry: Entry = told
        key: object = index  # snapshots never replace one another
        if isinstance(entry, CallEntry):
            key = (entry.connection_id, entry.record.key, entry.run)
            entry = keeping_caller(entry, latest.get(key))
        latest[key] = entry
    return list(latest.values())


def keeping_caller(entry: CallEntry, earlier: Entry | None) -> CallEntry:
    """The entry, with what an earlier one of the same call knew of the caller if it does not say."""
    if isinstance(earlier, CallEntry) and entry.facts.match_status is None:
        return msgspec.structs.replace(entry, facts=earlier.facts)
    return entry


def is_away(error: Exception) -> bool:
    """Whether an error says that the database does not serve now, and not that the entry is at fault."""
    if isinstance(error, OSError | TimeoutError | PoolTimeout):
        return True
    if isinstance(error, asyncpg.PostgresError):  # asked without a session
        return _says_away(error.sqlstate)
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return not isinstance(error, ValueError)  # of what was asked, not of whom
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    code: str | None = getattr(error.orig, "sqlstate", None)
    if code is None:  # not the server's word: the driver lost its connection
        cause = getattr(error.orig, "__cause__", None)
        return type(cause).__module__.startswith("asyncpg") and "DataError" not in type(cause).__name__
    return _says_away(code)


def _says_away(code: str | None) -> bool:
    return code is not None and (code.startswith(AWAY_CLASSES) or code == IS_READ_ONLY)


__all__ = ["CallEntry", "Journal", "SnapshotEntry", "StoredCall", "is_away", "latest_only", "store_entries"]
