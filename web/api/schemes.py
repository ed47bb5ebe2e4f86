"""Schemes of leads and their stages, as the administrator keeps them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm import scheme_editing, stage_editing
from crm.rights import Access
from crm.scheme_editing import SchemeRow
from crm.schemes import scheme_of
from crm.stage_editing import StageRow, StageValues
from web.api.contract import ApiRoutes, Reply
from web.api.once import ONCE, once
from web.api.reading import NoQuery, Nothing, id_in_path, read_version
from web.api.scheme_types import (
    KeptScheme,
    Mode,
    NewScheme,
    NewStage,
    SchemeChange,
    SchemeMove,
    SchemeStage,
    StageArchive,
    StageChange,
)
from web.api.versions import ETAG, IF_MATCH, versioned
from web.keys import ACCESS, SESSIONS

routes = ApiRoutes()
RIGHT: Final = "directory.manage"
PATH: Final = "/api/v1/lead-schemes"
_SCHEME: Final = PATH + "/{id:[0-9]+}"
_STAGE: Final = "/api/v1/lead-stages/{id:[0-9]+}"


@routes.endpoint(
    "GET", _SCHEME, right=RIGHT, summary="A scheme with all of its stages", answer=KeptScheme, sends=ETAG
)
async def show(request: web.Request, _query: NoQuery) -> Reply:
    async with request.app[SESSIONS]() as session:
        return await _scheme_now(session, request[ACCESS], id_in_path(request))


@routes.endpoint(
    "POST",
    PATH,
    right=RIGHT,
    summary="A further scheme of leads",
    answer=KeptScheme,
    status=HTTPStatus.CREATED,
    headers=ONCE,
    sends={**ETAG, "Location": "the scheme"},
)
async def create(request: web.Request, _query: NoQuery, new: NewScheme) -> Reply:
    async def act(session: AsyncSession) -> KeptScheme:
        access = request[ACCESS]
        scheme_id = await scheme_editing.create_scheme(
            session, access, new.name, copy_of=new.copy_of, via="api"
        )
        return await _scheme(session, access, scheme_id)

    made = await once(request, act, KeptScheme)
    return versioned(made, made.version, HTTPStatus.CREATED, Location=f"{PATH}/{made.id}")


@routes.endpoint(
    "PATCH",
    _SCHEME,
    right=RIGHT,
    summary="Change a scheme: name, way of moving, teams, permitted moves; make it the default; archive or restore it",
    answer=KeptScheme,
    headers=IF_MATCH,
    sends=ETAG,
)
async def change(request: web.Request, _query: NoQuery, body: SchemeChange) -> Reply:
    access, scheme_id, version = request[ACCESS], id_in_path(request), read_version(request)
    async with request.app[SESSIONS].begin() as session:
        await _edit(session, access, scheme_id, body, version)
        if not isinstance(body.moves, msgspec.UnsetType):
            moves = {(move.from_stage_id, move.to_stage_id) for move in body.moves}
            await scheme_editing.set_transitions(session, access, scheme_id, moves, via="api")
        if body.is_archived is False:
            await scheme_editing.restore_scheme(session, access, scheme_id, via="api")
        if body.is_default is True:
            await scheme_editing.make_default(session, access, scheme_id, via="api")
        if body.is_archived is True:
            await scheme_editing.archive_scheme(session, access, scheme_id, via="api")
        return await _scheme_now(session, access, scheme_id)


async def _edit(
    session: AsyncSession, access: Access, scheme_id: int, body: SchemeChange, version: int | None
) -> None:
    """Name, way of moving, teams; what was left out stays as it is."""
    access.require(RIGHT)
    await scheme_editing.locked_scheme(session, scheme_id)
    stored = await scheme_editing.scheme_row(session, access, scheme_id)
    said = msgspec.to_builtins(body)
    await scheme_editing.edit_scheme(
        session,
        access,
        scheme_id,
        version=stored.version if version is None else version,
        name=said.get("name", stored.name),
        mode=said.get("mode", stored.mode),
        allows_step_back=said.get("allows_step_back", stored.allows_step_back),
        team_ids=said.get("team_ids", stored.team_ids),
        via="api",
    )


@routes.endpoint(
    "POST",
    _SCHEME + "/stages",
    right=RIGHT,
    summary="A further open stage, the last of them",
    answer=SchemeStage,
    status=HTTPStatus.CREATED,
    headers=ONCE,
    sends={**ETAG, "Location": "the stage"},
)
async def add_stage(request: web.Request, _query: NoQuery, new: NewStage) -> Reply:
    scheme_id = id_in_path(request)

    async def act(session: AsyncSession) -> SchemeStage:
        values = _values(msgspec.to_builtins(new))
        stage_id = await stage_editing.add_stage(session, request[ACCESS], scheme_id, values, via="api")
        return await _stage(session, request[ACCESS], stage_id)

    made = await once(request, act, SchemeStage)
    address = f"/api/v1/lead-stages/{made.id}"
    return versioned(made, made.version, HTTPStatus.CREATED, Location=address)


@routes.endpoint("GET", _STAGE, right=RIGHT, summary="One stage", answer=SchemeStage, sends=ETAG)
async def show_stage(request: web.Request, _query: NoQuery) -> Reply:
    async with request.app[SESSIONS]() as session:
        return await _stage_now(session, request[ACCESS], id_in_path(request))


@routes.endpoint(
    "PATCH",
    _STAGE,
    right=RIGHT,
    summary="Change a stage: name, colour, limit, what it asks for, its place",
    answer=SchemeStage,
    headers=IF_MATCH,
    sends=ETAG,
)
async def change_stage(request: web.Request, _query: NoQuery, body: StageChange) -> Reply:
    access, stage_id, version = request[ACCESS], id_in_path(request), read_version(request)
    said = msgspec.to_builtins(body)
    place = said.pop("place", None)
    async with request.app[SESSIONS].begin() as session:
        found = await stage_editing.stage_row(session, access, stage_id)
        await scheme_editing.locked_scheme(session, found.scheme_id)
        stored = await stage_editing.stage_row(session, access, stage_id)
        values = _values({**_as_said(stored), **said})
        based = stored.version if version is None else version
        await stage_editing.edit_stage(session, access, stage_id, values, version=based, via="api")
        if place is not None:
            await stage_editing.place_stage(session, access, stage_id, place, via="api")
        return await _stage_now(session, access, stage_id)


@routes.endpoint(
    "POST",
    _STAGE + "/archive",
    right=RIGHT,
    summary="A stage is offered no more; its leads move to another one",
    description="409 if leads stand there and nobody said where they go.",
    answer=SchemeStage,
    sends=ETAG,
)
async def archive_stage(request: web.Request, _query: NoQuery, body: StageArchive) -> Reply:
    access, stage_id = request[ACCESS], id_in_path(request)
    async with request.app[SESSIONS].begin() as session:
        await stage_editing.archive_stage(
            session, access, stage_id, replaced_by_id=body.replaced_by, via="api"
        )
        return await _stage_now(session, access, stage_id)


@routes.endpoint(
    "POST",
    _STAGE + "/restore",
    right=RIGHT,
    summary="An archived stage is offered again, as the last open one",
    answer=SchemeStage,
    sends=ETAG,
)
async def restore_stage(request: web.Request, _query: NoQuery, _body: Nothing) -> Reply:
    access, stage_id = request[ACCESS], id_in_path(request)
    async with request.app[SESSIONS].begin() as session:
        await stage_editing.restore_stage(session, access, stage_id, via="api")
        return await _stage_now(session, access, stage_id)


def _values(said: dict[str, Any]) -> StageValues:
    fields: dict[str, Any] = {name: frozenset(said.get(name, ())) for name in ("enter", "leave")}
    return StageValues(**{**said, **fields})


def _as_said(row: StageRow) -> dict[str, Any]:
    names = ("name", "colour", "probability", "sla_seconds", "enter", "leave")
    return {name: getattr(row.values, name) for name in names}


async def _scheme_now(session: AsyncSession, access: Access, scheme_id: int) -> Reply:
    scheme = await _scheme(session, access, scheme_id)
    return versioned(scheme, scheme.version)


async def _scheme(session: AsyncSession, access: Access, scheme_id: int) -> KeptScheme:
    row: SchemeRow = await scheme_editing.scheme_row(session, access, scheme_id)
    moves = sorted((await scheme_of(session, scheme_id)).transitions)
    stages = await stage_editing.stage_rows(session, access, scheme_id)
    return KeptScheme(
        id=row.id,
        name=row.name,
        mode=msgspec.convert(row.mode.value, Mode),
        allows_step_back=row.allows_step_back,
        is_default=row.is_default,
        archived_at=row.archived_at,
        team_ids=sorted(row.team_ids),
        moves=[SchemeMove(from_stage_id=origin, to_stage_id=to) for origin, to in moves],
        stages=[_told(stage) for stage in stages],
        version=row.version,
    )


async def _stage_now(session: AsyncSession, access: Access, stage_id: int) -> Reply:
    stage = await _stage(session, access, stage_id)
    return versioned(stage, stage.version)


async def _stage(session: AsyncSession, access: Access, stage_id: int) -> SchemeStage:
    return _told(await stage_editing.stage_row(session, access, stage_id))


def _told(row: StageRow) -> SchemeStage:
    said = {**_as_said(row), "enter": sorted(row.values.enter), "leave": sorted(row.values.leave)}
    names = ("id", "scheme_id", "outcome", "archived_at", "standing", "version")
    return msgspec.convert(said | {name: getattr(row, name) for name in names}, SchemeStage)
