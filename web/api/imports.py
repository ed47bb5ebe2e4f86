"""Imports by programs: a file sent, its columns named, its rows read before anything is stored, carried out, undone."""

from __future__ import annotations

import asyncio
import hashlib
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from crm.importing import jobs
from crm.importing.plans import Policy
from crm.importing.uploading import upload
from crm.paging import decode_cursor, encode_cursor
from web.api.contract import ApiRoutes, Reply
from web.api.import_types import (
    Action,
    Columns,
    Import,
    ImportAction,
    ImportList,
    ImportRow,
    RowList,
    RowProblem,
    RowQuery,
    UploadQuery,
    told,
)
from web.api.once import ONCE, Once
from web.api.reading import NoQuery, given, id_in_path
from web.keys import ACCESS, SESSIONS
from web.pages.imports.receiving import BodySender, received
from web.pages.imports.words import told_problem
from web.sheets import CONTENT_TYPES, SheetFormat

routes = ApiRoutes()
PATH: Final = "/api/v1/imports"
_ONE: Final = PATH + "/{id:[0-9]+}"
_ACTIONS: Final = {Action.START: jobs.start, Action.STOP: jobs.stop, Action.UNDO: jobs.undo}
_TAKES: Final = ("application/octet-stream", "text/csv", CONTENT_TYPES[SheetFormat.XLSX])


@routes.endpoint("GET", PATH, right="import", summary="The latest imports", answer=ImportList)
async def list_(request: web.Request, _query: NoQuery) -> ImportList:
    async with request.app[SESSIONS]() as session:
        listed = await jobs.list_jobs(session, request[ACCESS])
    return ImportList(items=[told(job, Import) for job in listed], next=None)


@routes.endpoint(
    "POST",
    PATH,
    right="import",
    summary="Send a file, XLSX or CSV, up to 50 MiB",
    description="The columns are guessed, or remembered from the last file with the same heading; nothing is stored yet.",
    answer=Import,
    status=HTTPStatus.CREATED,
    headers=ONCE,
    sends={"Location": "the import"},
    takes=_TAKES,
)
async def send(request: web.Request, query: UploadQuery) -> Reply:
    sessions, access, same = request.app[SESSIONS], request[ACCESS], Once(request)
    async with received(BodySender(request)) as path:
        job_id = await same.made_before(sessions, await asyncio.to_thread(_digest, path))
        if job_id is None:
            more: dict[str, Any] = {"from_address": request.remote, "settle": same.settle}
            job_id = await upload(sessions, access, path, query.name, **more)
    made = await _import(request, job_id)
    return Reply(body=made, status=HTTPStatus.CREATED, headers={"Location": f"{PATH}/{job_id}"})


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@routes.endpoint("GET", _ONE, right="import", summary="One import: its state and progress", answer=Import)
async def show(request: web.Request, _query: NoQuery) -> Import:
    return await _import(request, id_in_path(request))


async def _import(request: web.Request, job_id: int) -> Import:
    async with request.app[SESSIONS]() as session:
        made: Import = told(await jobs.read_job(session, request[ACCESS], job_id), Import)
    return made


@routes.endpoint(
    "PUT",
    _ONE + "/columns",
    right="import",
    summary="Say what the columns mean and what to do with the rows; they are then checked",
    answer=Import,
)
async def name_columns(request: web.Request, _query: NoQuery, body: Columns) -> Import:
    job_id, policy = id_in_path(request), msgspec.convert(msgspec.to_builtins(body.policy), Policy)
    async with request.app[SESSIONS].begin() as session:
        await jobs.set_mapping(session, request[ACCESS], job_id, body.columns, policy)
    return await _import(request, job_id)


@routes.endpoint(
    "POST",
    _ONE + "/actions",
    right="import",
    summary="Start, stop or undo",
    description="409 if the import is not in a state for it. Ask for its state to follow the progress.",
    answer=Import,
)
async def act(request: web.Request, _query: NoQuery, body: ImportAction) -> Import:
    job_id = id_in_path(request)
    async with request.app[SESSIONS].begin() as session:
        await _ACTIONS[body.action](session, request[ACCESS], job_id)
    return await _import(request, job_id)


@routes.endpoint(
    "GET", _ONE + "/rows", right="import", summary="Rows, with what is wrong with them", answer=RowList
)
async def list_rows(request: web.Request, query: RowQuery) -> RowList:
    access, job_id = request[ACCESS], id_in_path(request)
    after = decode_cursor(query.cursor, int)[0] or 0 if query.cursor else 0
    async with request.app[SESSIONS]() as session:
        await jobs.read_job(session, access, job_id)
        rows = await jobs.list_rows(
            session,
            access,
            job_id,
            show=given(query.show) or "",
            after=min(after, 2**31 - 1),
            most=query.limit + 1,
        )
    shown = rows[: query.limit]
    more = encode_cursor(shown[-1].row) if len(rows) > query.limit else None
    return RowList(items=[_row(row) for row in shown], next=more)


def _row(row: jobs.RowInfo) -> ImportRow:
    problems = [
        RowProblem(field=each.field, text=told_problem(each), is_note=each.is_note) for each in row.problems
    ]
    return ImportRow(
        row=row.row,
        state=row.state,
        verdict=row.verdict,
        names=list(row.names),
        cells=list(row.cells),
        problems=problems,
        party_id=row.party_id,
    )
