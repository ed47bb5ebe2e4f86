"""Imports: a file taken in, its columns named, its rows shown before anything is stored, then carried out and undone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from aiohttp import BodyPartReader, web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import CrmError, Invalid
from crm.importing import jobs
from crm.importing.fields import FIELDS
from crm.importing.job_info import JobInfo
from crm.importing.jobs import RowInfo
from crm.importing.plans import OwnField, Policy
from crm.importing.rules import own_fields
from crm.importing.uploading import upload
from crm.party_kinds import list_kinds
from crm.sources import source_words
from web.i18n import gettext as _
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of
from web.pages.imports.receiving import PartSender, received
from web.pages.imports.words import (
    FIELD_WORDS,
    OUTCOME_WORDS,
    POLICY_WORDS,
    STATE_WORDS,
    VERDICT_WORDS,
    told_problem,
    told_problems,
)
from web.pages.problems import tell
from web.render import render, render_fragment
from web.routes import RouteKind
from web.sheets import Row, SheetFormat, send_sheet

routes = PageRoutes()
PATH: Final = "/parties/imports"
_JOB: Final = PATH + r"/{id:\d+}"
_ROWS_SHOWN: Final = 50
_SAMPLE: Final = 3
_ACTIONS: Final = {"start": jobs.start, "stop": jobs.stop, "undo": jobs.undo}
_REFUSED_AT_ONCE: Final = 500
_NAMES: Final = ("organisation", "full_name", "person", "last_name", "first_name")


@routes.get(PATH, right="import")
async def show_imports(request: web.Request) -> web.Response:
    return await _list(request, Form())


async def _list(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    async with request.app[SESSIONS]() as session:
        listed = await jobs.list_jobs(session, request[ACCESS])
    return render(request, "imports/list.html", status=status, jobs=listed, form=form, states=STATE_WORDS)


@routes.post(PATH, right="import")
async def take_file(request: web.Request) -> web.Response:
    """The file of the form, up to 50 MiB; read before the answer, so that a broken one is told at once."""
    form = Form()
    try:
        job_id = await _take(request)
    except Invalid as error:
        form.refuse("file", _(error.why) % error.values if error.values else _(error.why))
        return await _list(request, form, status=422)
    raise web.HTTPSeeOther(f"{PATH}/{job_id}")


async def _take(request: web.Request) -> int:
    part = await _file_of(request)
    async with received(PartSender(part)) as path:
        sessions, access = request.app[SESSIONS], request[ACCESS]
        return await upload(sessions, access, path, part.filename or "", from_address=request.remote)


async def _file_of(request: web.Request) -> BodyPartReader:
    if request.content_type == "multipart/form-data":
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if isinstance(part, BodyPartReader) and part.name == "file" and part.filename:
                return part
    raise Invalid("file", "", "Choose a file.")


@routes.get(_JOB, right="import")
async def show_import(request: web.Request) -> web.Response:
    return render(request, "imports/job.html", **await _shown(request))


@routes.get(_JOB + "/state", right="import", kind=RouteKind.FRAGMENT)
async def show_state(request: web.Request) -> web.Response:
    """The state alone, for the page that watches the progress."""
    return render_fragment(request, "imports/state.html", **await _shown(request))


async def _unknown_sources(session: AsyncSession, job: JobInfo) -> dict[str, int]:
    """Those that the directory does not know by now, the commonest first."""
    if not job.unknown_sources:
        return {}
    words = await source_words(session)
    rows = sorted(job.unknown_sources.items(), key=lambda each: -each[1])
    return {source: number for source, number in rows if source.strip().lower() not in words}


def _row_words(job: JobInfo) -> dict[str, tuple[str, str]]:
    """Before the import what will become of a row, afterwards what became of it, where both have a word."""
    if job.state == "previewed":
        return {**OUTCOME_WORDS, **VERDICT_WORDS}
    return {**VERDICT_WORDS, **OUTCOME_WORDS}


async def _shown(request: web.Request, form: Form | None = None) -> dict[str, Any]:
    async with request.app[SESSIONS]() as session:
        job = await jobs.read_job(session, request[ACCESS], id_in_path(request))
        sample = await jobs.sample_rows(session, job.id, _SAMPLE)
        show = _chosen_rows(request, job)
        rows = await _rows(session, request, job, show)
        kinds, own = await list_kinds(session), await own_fields(session)
        unknown = await _unknown_sources(session, job)
    return {
        "job": job,
        "form": form or _form_of(job),
        "is_mapping": form is not None or "columns" in request.query or job.state == "uploaded",
        "sample": sample,
        "kinds": kinds,
        "fields": FIELDS,
        "own_fields": own,
        "field_words": FIELD_WORDS,
        "policy_words": POLICY_WORDS,
        "states": STATE_WORDS,
        "row_words": _row_words(job),
        "counted": _counted(job),
        "faults": _named_faults(job, own),
        "unknown_sources": unknown,
        "name_columns": _name_columns(job),
        "spelled_otherwise": _spelled_otherwise,
        **_listed(job, show, rows),
    }


def _chosen_rows(request: web.Request, job: JobInfo) -> str:
    wanted = request.query.get("show", "")
    known = VERDICT_WORDS if job.state == "previewed" else OUTCOME_WORDS
    is_known = wanted in known or wanted == "faulty" or wanted.removeprefix(jobs.FAULT) in _faults(job)
    return wanted if is_known else ""


def _faults(job: JobInfo) -> Mapping[str, int]:
    """Rows by the field in which something is wrong; the row itself has no name to choose it by."""
    return {field: number for field, number in job.details.get("faults", {}).items() if field}


async def _rows(session: Any, request: web.Request, job: JobInfo, show: str) -> list[RowInfo]:
    if job.state in {"uploaded", "mapped"}:
        return []
    after = request.query.get("after", "")
    last = int(after) if after.isascii() and after.isdigit() and len(after) < 9 else 0
    return await jobs.list_rows(session, request[ACCESS], job.id, show=show, after=last, most=_ROWS_SHOWN + 1)


def _listed(job: JobInfo, show: str, rows: Sequence[RowInfo]) -> dict[str, Any]:
    shown = rows[:_ROWS_SHOWN]
    more = shown[-1].row if len(rows) > _ROWS_SHOWN else None
    return {"rows": shown, "more": more, "show": show, "told_problem": told_problem}


def _named_faults(job: JobInfo, own: Sequence[OwnField]) -> list[tuple[str, str, int]]:
    """Where most is wrong, the most first: what chooses these rows, the field's name, how many rows."""
    names = {each.column: each.name for each in own}
    faults = sorted(_faults(job).items(), key=lambda each: -each[1])
    return [
        (f"{jobs.FAULT}{field}", names.get(field) or _(FIELD_WORDS.get(field, field)), number)
        for field, number in faults
    ]


def _name_columns(job: JobInfo) -> list[int]:
    """Where the name of a row's client stands."""
    return [job.columns.index(field) for field in _NAMES if field in job.columns]


def _spelled_otherwise(row: RowInfo) -> list[str]:
    """Names that will not be stored letter by letter as they stand in the file."""
    words = " ".join(row.cells).split()
    return [name for name in row.names if not set(name.split()) <= set(words)]


def _counted(job: JobInfo) -> list[tuple[str, str, str, int]]:
    """What is counted, in the order of the words: code, word, tone, number."""
    words = VERDICT_WORDS if job.state in {"mapped", "previewed"} else OUTCOME_WORDS
    return [
        (code, word, tone, job.counts.get(code, 0))
        for code, (word, tone) in words.items()
        if job.counts.get(code)
    ]


@routes.get(_JOB + "/rows", right="import", kind=RouteKind.FRAGMENT)
async def show_rows(request: web.Request) -> web.Response:
    """More rows of the list."""
    return render_fragment(request, "imports/rows.html", **await _shown(request))


def _form_of(job: JobInfo) -> Form:
    form = Form(
        values={
            name: str(value) for name, value in msgspec.to_builtins(job.policy).items() if value is not None
        }
    )
    form.values |= {f"column-{index}": field for index, field in enumerate(job.columns)}
    return form


@routes.post(_JOB + "/columns", right="import")
async def name_columns(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    access, job_id = request[ACCESS], id_in_path(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            job = await jobs.read_job(session, access, job_id)
            columns = [form.text(f"column-{index}") for index in range(len(job.header))]
            await jobs.set_mapping(session, access, job_id, columns, _policy(form, job.policy))
    except (Invalid, jobs.WrongState, msgspec.ValidationError) as error:
        form.refuse("", _told(error))
        return render(request, "imports/job.html", status=422, **await _shown(request, form))
    raise web.HTTPSeeOther(f"{PATH}/{job_id}")


def _policy(form: Form, before: Policy) -> Policy:
    chosen = {name: form.text(name) for name in (*POLICY_WORDS, "default_kind") if name in form.values}
    return msgspec.convert({**msgspec.to_builtins(before), **chosen}, Policy)


def _told(error: Exception) -> str:
    if isinstance(error, Invalid):
        values = {
            name: _(FIELD_WORDS.get(str(value), str(value))) if name == "name" else value
            for name, value in error.values.items()
        }
        return _(error.why) % values
    return tell(error) if isinstance(error, CrmError) else str(error)


@routes.post(_JOB + "/start", right="import")
@routes.post(_JOB + "/stop", right="import")
@routes.post(_JOB + "/undo", right="import")
async def act(request: web.Request) -> web.Response:
    job_id = id_in_path(request)
    async with request.app[SESSIONS].begin() as session:
        await _ACTIONS[request.path.rpartition("/")[2]](session, request[ACCESS], job_id)
    raise web.HTTPSeeOther(f"{PATH}/{job_id}")


@routes.post(_JOB + "/remove", right="import")
async def forget(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await jobs.remove(session, request[ACCESS], id_in_path(request))
    raise web.HTTPSeeOther(PATH)


@routes.get(_JOB + "/refused.xlsx", right="import")
@routes.get(_JOB + "/refused.csv", right="import")
async def send_refused(request: web.Request) -> web.StreamResponse:
    """The rows that were refused or left alone, as they stood in the file, with the reason: to be corrected and sent again."""
    async with request.app[SESSIONS]() as session:
        job = await jobs.read_job(session, request[ACCESS], id_in_path(request))
    header = [*job.header, _("Row"), _("Reason")]
    wanted = SheetFormat(request.path.rpartition(".")[2])
    return await send_sheet(
        request, wanted, f"{job.file_name} – {_('refused')}", header, _refused(request, job)
    )


async def _refused(request: web.Request, job: JobInfo) -> AsyncIterator[list[Row]]:
    last = 0
    while True:
        async with request.app[SESSIONS]() as session:
            rows = await jobs.list_rows(
                session, request[ACCESS], job.id, show="not_stored", after=last, most=_REFUSED_AT_ONCE
            )
        if not rows:
            return
        last = rows[-1].row
        yield [_refused_row(job, row) for row in rows]


def _refused_row(job: JobInfo, row: RowInfo) -> Row:
    cells = [*row.cells, *[""] * (len(job.header) - len(row.cells))]
    return [*cells, str(row.row), told_problems(row.problems)]
