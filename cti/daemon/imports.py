"""The worker that carries imports out: one batch after the other, beside the calls, until there is nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.database import Database
from crm.importing.batches import (
    WRITTEN_AT_ONCE,
    Place,
    Preview,
    acting,
    begin_anew,
    check_batch,
    held_job,
    jobs_at_work,
    new_preview,
    refuse_next,
    renew_statistics,
    run_batch,
    stop_for,
)
from crm.importing.children import ChildFailed, checking
from crm.importing.plans import Rules
from crm.importing.rules import rules_for
from crm.importing.undoing import WayBack, undo_batch
from crm.importing.writing import Stale
from crm.journal import is_away
from crm.rights import Access
from crm.schema.imports import ImportJob
from cti.daemon.listening import Renewal

log = structlog.get_logger(__name__)

ROUND_SECONDS: Final = 5.0  # when hearing of a job fails
PAUSE_SECONDS: Final = 0.002  # between batches: others get the database and the loop
STATISTICS_AFTER: Final = frozenset({3, 10, 40, 150})  # batches, while tables may multiply
MOST_TRIES: Final = 10  # of a batch that a busy server does not take in time
BUSY_SECONDS: Final = 1.0  # before the next try
FEWEST: Final = 10  # rows of a batch while the server hardly answers
FEWER: Final = 8  # times fewer rows after a collision, down to one
NO_LONGER_MAY: Final = (
    "The user who began this import is blocked or may no longer import. Somebody else can go on with it."
)
NOT_UNDERSTOOD: Final = (
    "The rows could not be checked: the process that reads them ended. Save the columns once more."
)
UNEXPECTED: Final = "The import stopped by itself; the log tells why. Continue to try again."
Batch = Callable[[AsyncSession, Access, ImportJob], Awaitable[bool]]


class Imports:
    """One worker for all imports; two programs on one database share the work by the job's row."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._renewal = Renewal(self.work, ROUND_SECONDS)
        self._renewal.ask()  # first of all what an earlier run left
        self.run = self._renewal.run  # what a batch had not committed is not done
        self.look = self._renewal.ask  # somebody started, mapped or undid an import

    async def work(self) -> None:
        """Everything that there is to do now."""
        async with self._database.sessions() as session:
            jobs = await jobs_at_work(session)
        for job_id, state in jobs:
            try:
                await self._work_on(job_id, state)
            except ChildFailed as error:
                log.warning("import_not_understood", job=job_id, why=str(error))
                await self._stop(job_id, NOT_UNDERSTOOD)
            except Exception as error:
                if is_away(error):
                    raise
                log.exception("import_failed", job=job_id)
                await self._stop(job_id, UNEXPECTED)

    async def _work_on(self, job_id: int, state: str) -> None:
        if state == "mapped":
            await self._preview(job_id)
        elif state == "running":
            await self._run(job_id)
        else:
            way = WayBack()
            await self._all(job_id, state, partial(undo_batch, way=way), way.go_on)

    async def _preview(self, job_id: int) -> None:
        begun: list[tuple[Preview, Rules]] = []

        async def begin(session: AsyncSession, access: Access, job: ImportJob) -> bool:
            await begin_anew(session, job)
            begun.append((new_preview(job, access), await rules_for(session, access, job)))
            return False

        if await self._batch(job_id, "mapped", begin):
            return
        preview, rules = begun[0]
        async with checking(rules) as checker:

            async def check(session: AsyncSession, access: Access, job: ImportJob) -> bool:
                is_ours = preview.is_of(job)  # else the next round begins anew
                return not is_ours or await check_batch(session, access, job, preview, checker)

            await self._all(job_id, "mapped", check)

    async def _run(self, job_id: int) -> None:
        most, batches, place = WRITTEN_AT_ONCE, 0, Place()
        while True:
            batches += 1
            if batches in STATISTICS_AFTER:
                await self._batch(job_id, "running", _renew_statistics)
            try:
                if await self._batch(job_id, "running", partial(run_batch, place=place, most=most)):
                    return
                place.go_on()
                most = WRITTEN_AT_ONCE
            except (IntegrityError, Stale) as error:  # somebody entered one of them at this very moment
                log.info("import_batch_again", job=job_id, rows=most, error=type(error).__name__)
                if most == 1:
                    if await self._batch(job_id, "running", partial(refuse_next, place=place)):
                        return
                    place.go_on()
                most = max(1, most // FEWER)
            except TimeoutError:  # the server is busy: smaller pieces, until even those are too much
                if most <= FEWEST:
                    raise
                most = max(FEWEST, most // FEWER)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _all(
        self, job_id: int, state: str, batch: Batch, go_on: Callable[[], None] = lambda: None
    ) -> None:
        """One batch after the other. `go_on`: called when one is committed."""
        tries = 0
        while True:
            try:
                if await self._batch(job_id, state, batch):
                    return
                go_on()
                tries = 0
            except TimeoutError:  # the server is busy: this batch once more, but not for ever
                tries += 1
                if tries == MOST_TRIES:
                    raise
            await asyncio.sleep(PAUSE_SECONDS if not tries else BUSY_SECONDS)

    async def _batch(self, job_id: int, state: str, batch: Batch) -> bool:
        """One batch in one transaction; True if there is nothing more to do: done, stopped, or somewhere else."""
        async with self._database.sessions.begin() as session:
            job = await held_job(session, job_id, state)
            if job is None:
                return True
            access = await acting(session, job)
            if access is None:
                await stop_for(session, job_id, NO_LONGER_MAY)
                return True
            return await batch(session, access, job)

    async def _stop(self, job_id: int, trouble: str) -> None:
        async with self._database.sessions.begin() as session:
            await stop_for(session, job_id, trouble)


async def _renew_statistics(session: AsyncSession, _access: Access, _job: ImportJob) -> bool:
    await renew_statistics(session)
    return False
