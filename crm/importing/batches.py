"""One batch of an import: checked for the preview, or written. A transaction each; whoever calls commits.

A batch holds the job's row, so that a stop is seen between batches, and two programs on one database never do one twice.
What was committed is done: after `kill -9` the next batch begins where the last one ended.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from sqlalchemy import Text, cast, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.custom_fields import FieldInfo, list_fields, with_custom
from crm.errors import Invalid
from crm.importing.counting import NOTHING_YET, counted
from crm.importing.decisions import Decision, Verdict
from crm.importing.looking import Findings, look
from crm.importing.plans import Checked, Plan, Policy, RowProblem
from crm.importing.resolving import Resolver
from crm.importing.telling import tell_end
from crm.importing.writing import write
from crm.rights import Access, access_of, command_access
from crm.schema.imports import ImportJob, ImportRow

CHECKED_AT_ONCE: Final = 400
WRITTEN_AT_ONCE: Final = 400
MOST_KEYS: Final = 1500  # locks of one transaction; the server has room for some thousands in all
COULD_NOT: Final = (
    "This row could not be stored together with what others entered at the same moment. Import it again."
)
_STATES: Final = {
    Verdict.REFUSED: "refused",
    Verdict.SKIPPED: "skipped",
    Verdict.SAME_NAME: "skipped",
}
_GROWING: Final = (
    "party",
    "organisation",
    "person",
    "phone_number",
    "party_phone",
    "email_address",
    "party_email",
    "affiliation",
    "imported_party",
)

_NOTE: Final = text(
    """
    update import_row as kept set state = r.state, plan = r.plan, verdict = r.verdict, problems = r.problems,
        party_id = r.party_id
    from json_to_recordset(cast(:rows as json)) as r (row int, state text, plan json, verdict text, problems jsonb,
        party_id bigint)
    where kept.job_id = :job and kept.row = r.row
    """
)
_DONE: Final = text(
    """
    update import_row as kept set state = r.state, problems = r.problems, party_id = r.party_id, plan = null
    from jsonb_to_recordset(cast(:rows as jsonb)) as r (row int, state text, problems jsonb, party_id bigint)
    where kept.job_id = :job and kept.row = r.row
    """
)
_LOCKS: Final = text(
    "select count(pg_advisory_xact_lock(hashtextextended(key, 0))) from unnest(cast(:keys as text[])) as key"
)


class Checker(Protocol):
    """Understands cells, in another process: asked for the next batch, it works while the one before is written down."""

    async def ask(self, rows: Sequence[msgspec.Raw]) -> None: ...

    async def answer(self) -> Sequence[Checked]: ...


@dataclass(slots=True, kw_only=True)
class Preview:
    """What the checking of one job keeps between its batches; a program that starts anew begins it anew."""

    resolver: Resolver
    columns: list[str]
    policy: dict[str, Any]
    checked: int = 0
    # The batch at hand, as far as it has come: what the server was too busy to take down is not understood twice.
    asked: list[int] | None = None  # its rows, which the checker has; None before the first
    understood: Sequence[Checked] | None = None
    noted: list[dict[str, Any]] | None = None
    asked_next: list[int] | None = None

    def is_of(self, job: ImportJob) -> bool:
        """Whether the job is still where this preview left it; else somebody changed the columns meanwhile."""
        if self.noted is not None and job.checked_rows == self.checked + len(self.noted):
            self._go_on()
        return (self.checked, self.columns, self.policy) == (job.checked_rows, job.columns, job.policy)

    def _go_on(self) -> None:
        """The batch is committed: the next one is at hand."""
        self.checked += len(self.noted or ())
        self.asked, self.asked_next = self.asked_next, None
        self.understood = self.noted = None


@dataclass(slots=True)
class Place:
    """How far a run has come: whatever stands before `after` is done. A program that starts anew finds it by looking from the
    first row; looking so for each batch would read all that is done again and again.
    """

    after: int = 0
    reached: int = 0  # once the batch at hand is committed

    def go_on(self) -> None:
        """The batch is committed."""
        self.after = self.reached


async def held_job(session: AsyncSession, job_id: int, state: str) -> ImportJob | None:
    """The job, locked until the transaction ends, if it is (still) in this state."""
    query = select(ImportJob).where(ImportJob.id == job_id, ImportJob.state == state)
    return await session.scalar(query.with_for_update().execution_options(populate_existing=True))


async def jobs_at_work(session: AsyncSession) -> list[tuple[int, str]]:
    """Jobs with work to do, and their state; the oldest first."""
    at_work = ImportJob.state.in_(("mapped", "running", "undoing"))
    rows = await session.execute(select(ImportJob.id, ImportJob.state).where(at_work).order_by(ImportJob.id))
    return [(job_id, state) for job_id, state in rows]


async def acting(session: AsyncSession, job: ImportJob) -> Access | None:
    """With whose rights the job works, as of now; None if they may no longer import."""
    if job.acting_id is None:
        return command_access()
    access = await access_of(session, job.acting_id)
    return access if access is not None and access.may("import") else None


async def check_batch(
    session: AsyncSession, access: Access, job: ImportJob, preview: Preview, checker: Checker
) -> bool:
    """Check the next rows of a held job, which is where `preview` is; True if it was the last batch."""
    noted = await _next_noted(session, access, job, preview, checker)
    await _note(session, _NOTE, job.id, noted)
    counts = Counter(job.counts)
    counts.update(each["verdict"] for each in noted)
    is_last = not preview.asked_next
    values = {
        "checked_rows": preview.checked + len(noted),
        "counts": dict(counts),
        "details": {**job.details, **counted(job.details, noted, preview.understood or ())},
        "state": "previewed" if is_last else "mapped",
    }
    await session.execute(update(ImportJob).where(ImportJob.id == job.id).values(values))
    return is_last


async def _next_noted(
    session: AsyncSession, access: Access, job: ImportJob, preview: Preview, checker: Checker
) -> list[dict[str, Any]]:
    """The next rows as they are to be stored; a batch that could not be stored goes on where it had come to."""
    if preview.asked is None:
        preview.asked = await _ask(session, job, checker, after=0)
    rows = preview.asked
    if preview.understood is None:
        preview.understood = await checker.answer() if rows else []
    if preview.asked_next is None:
        preview.asked_next = await _ask(session, job, checker, after=rows[-1]) if rows else []
    if preview.noted is None:
        checked = preview.understood
        findings = await look(session, access, [each.plan for each in checked if each.plan], job.id)
        preview.noted = await asyncio.to_thread(_expect, preview.resolver, findings, rows, checked)
    return preview.noted


async def _ask(session: AsyncSession, job: ImportJob, checker: Checker, after: int) -> list[int]:
    """Give the checker the next rows; their numbers, [] if there are none."""
    of_job = (ImportRow.job_id == job.id, ImportRow.row > after, ImportRow.state == "read")
    query = select(ImportRow.row, cast(ImportRow.cells, Text)).where(*of_job)
    rows = (await session.execute(query.order_by(ImportRow.row).limit(CHECKED_AT_ONCE))).all()
    if rows:
        await checker.ask([msgspec.Raw(cells.encode()) for _, cells in rows])
    return [row for row, _ in rows]


def _expect(
    resolver: Resolver, findings: Findings, rows: Sequence[int], checked: Sequence[Checked]
) -> list[dict[str, Any]]:
    """In a thread: some hundred rows are more than the loop of the calls should wait for."""
    resolver.learn(findings)
    return [_noted(resolver, row, each) for row, each in zip(rows, checked, strict=True)]


def _decide(
    resolver: Resolver, findings: Findings, rows: Sequence[tuple[int, Plan]], own: Sequence[FieldInfo]
) -> list[Decision]:
    """In a thread, like `_expect`. Own fields may be others than when the rows were checked."""
    resolver.learn(findings)
    decisions = []
    for row, plan in rows:
        try:
            for side in plan.sides:
                if side.custom:
                    with_custom(own, side.custom, {})
        except Invalid as error:
            told = [RowProblem.of(error)]
            decisions.append(Decision(row=row, plan=plan, verdict=Verdict.REFUSED, problems=told))
        else:
            decisions.append(resolver.decide(row, plan))
    return decisions


def _noted(resolver: Resolver, row: int, checked: Checked) -> dict[str, Any]:
    """A checked row as it is stored for the preview. Nothing is created, so who is new is only guessed for later rows."""
    problems = checked.problems
    if checked.plan is None:
        verdict, party_id = Verdict.REFUSED, None
    else:
        decision = resolver.decide(row, checked.plan)
        verdict, problems = decision.verdict, [*problems, *decision.problems]
        party_id = decision.main.party_id if decision.main else None
    return {
        "row": row,
        "state": "refused" if checked.plan is None else "ready",
        "plan": checked.plan,
        "verdict": verdict,
        "problems": problems,
        "party_id": party_id,
    }


async def run_batch(
    session: AsyncSession,
    access: Access,
    job: ImportJob,
    place: Place | None = None,
    most: int = WRITTEN_AT_ONCE,
) -> bool:
    """Write the next rows of a held job, with all locks and checks; True if none were left. `place` learns how far it came.

    Raises:
        Stale, IntegrityError: somebody else was faster; roll back and try again, with fewer rows.
    """
    # What a power cut takes from the disk it takes whole, rows and their state alike: they are simply written again.
    await session.execute(text("set local synchronous_commit = off"))
    place = place or Place()
    rows, keys = await _next_rows(session, job.id, place, most)
    policy = msgspec.convert(job.policy, Policy)
    if not rows:
        await _finish(session, job)
        return True
    await session.execute(_LOCKS, {"keys": sorted(keys)})
    resolver = Resolver(policy, may_share=access.may("number.share"))
    findings = await look(session, access, [plan for _, plan in rows], job.id)
    own = await list_fields(session) if any(side.custom for _, plan in rows for side in plan.sides) else []
    decisions = await asyncio.to_thread(_decide, resolver, findings, rows, own)
    at_work = [each for each in decisions if each.verdict not in _STATES]
    changed = await write(session, access, job.id, policy, at_work)
    done = [_done(each, changed) for each in decisions]
    await _note(session, _DONE, job.id, done)
    await _count(session, job, [each["state"] for each in done])
    return False


async def renew_statistics(session: AsyncSession) -> None:
    """Tell the planner that tables have grown: an import into an empty database is faster than the server's own rounds."""
    for table in _GROWING:
        await session.execute(text(f"analyze {table}"))


async def _next_rows(
    session: AsyncSession, job_id: int, place: Place, most: int
) -> tuple[list[tuple[int, Plan]], set[str]]:
    """As many as one transaction may lock the keys of, and these keys."""
    of_job = (ImportRow.job_id == job_id, ImportRow.row > place.after, ImportRow.state == "ready")
    query = (
        select(ImportRow.row, cast(ImportRow.plan, Text)).where(*of_job).order_by(ImportRow.row).limit(most)
    )
    taken: list[tuple[int, Plan]] = []
    keys: set[str] = set()
    for row, stored in await session.execute(query):
        plan = msgspec.json.decode(stored, type=Plan)
        more = plan.lock_keys()
        if taken and len(keys) + len(more) > MOST_KEYS:
            break
        keys.update(more)
        taken.append((row, plan))
        place.reached = row
    return taken, keys


def _done(decision: Decision, changed: set[int]) -> dict[str, Any]:
    """What became of a row. What the preview said of its cells stays true; of other clients it was decided anew."""
    state = _STATES.get(decision.verdict)
    if state is None:
        state = (
            "created"
            if decision.makes(decision.main)
            else "updated"
            if decision.row in changed
            else "skipped"
        )
    party_id = decision.main.party_id if decision.main else None
    notes = decision.plan.notes if decision.plan else []
    return {
        "row": decision.row,
        "state": state,
        "problems": [*notes, *decision.problems],
        "party_id": party_id,
    }


async def refuse_next(session: AsyncSession, access: Access, job: ImportJob, place: Place) -> bool:
    """The next row cannot be stored whatever we do: say so and go on."""
    rows, _keys = await _next_rows(session, job.id, place, 1)
    for row, plan in rows:
        told = [*plan.notes, RowProblem(why=COULD_NOT)]
        await _note(session, _DONE, job.id, [{"row": row, "state": "refused", "problems": told}])
        await _count(session, job, ["refused"])
    return False


async def stop_for(session: AsyncSession, job_id: int, trouble: str) -> None:
    """The program cannot go on by itself; `trouble` is a message id. A preview begins anew with the next mapping."""
    for before, after in (("running", "stopped"), ("mapped", "uploaded"), ("undoing", "undo_stopped")):
        here = update(ImportJob).where(ImportJob.id == job_id, ImportJob.state == before)
        for job in await session.scalars(here.values(state=after, trouble=trouble).returning(ImportJob)):
            await tell_end(session, job, "stopped", job.counts)


async def begin_anew(session: AsyncSession, job: ImportJob) -> None:
    """Checking starts from the first row: what rows make for one another is kept in memory only."""
    fresh: dict[str, Any] = {"state": "read", "plan": None, "verdict": None, "problems": [], "party_id": None}
    await session.execute(
        update(ImportRow).where(ImportRow.job_id == job.id, ImportRow.state != "read").values(fresh)
    )
    begun: dict[str, Any] = {"checked_rows": 0, "counts": {}, "details": {**job.details, **NOTHING_YET}}
    await session.execute(update(ImportJob).where(ImportJob.id == job.id).values(begun))


async def _note(session: AsyncSession, statement: Any, job_id: int, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        await session.execute(statement, {"rows": msgspec.json.encode(rows).decode(), "job": job_id})


async def _count(session: AsyncSession, job: ImportJob, states: Sequence[str]) -> None:
    counts = Counter(job.counts)
    counts.update(states)
    values = {"counts": dict(counts), "done_rows": job.done_rows + len(states)}
    await session.execute(update(ImportJob).where(ImportJob.id == job.id).values(values))


async def _finish(session: AsyncSession, job: ImportJob) -> None:
    finished = {"state": "finished", "finished_at": func.now()}
    await session.execute(update(ImportJob).where(ImportJob.id == job.id).values(finished))
    await tell_end(session, job, "finished", job.counts)


def new_preview(job: ImportJob, access: Access) -> Preview:
    """The checking of a job, from its first row on."""
    policy = msgspec.convert(job.policy, Policy)
    resolver = Resolver(policy, may_share=access.may("number.share"))
    return Preview(resolver=resolver, columns=list(job.columns), policy=dict(job.policy))
