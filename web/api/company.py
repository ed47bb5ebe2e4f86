"""Users, connections, lines, and whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec
from aiohttp import web

from crm.connection_gaps import list_gaps
from crm.lines import list_lines
from crm.rights import Scope
from crm.second_truth import TruthKind
from crm.telephony import ConnectionInfo, list_connections
from crm.user_lists import list_users
from web.api.contract import ApiRoutes
from web.api.reading import NoQuery, PageQuery, id_in_path
from web.keys import ACCESS, DESK, SESSIONS
from web.routes import SIGNED_IN

routes = ApiRoutes()


class User(msgspec.Struct, kw_only=True):
    """Who works here; `extensions` are those they sit at now."""

    id: int
    login: str
    name: str
    language: str
    time_zone: str | None
    status: Literal["active", "blocked"]
    role_codes: list[str]
    team_id: int | None
    team_name: str | None
    extensions: list[str]
    created_at: datetime


class UserList(msgspec.Struct):
    items: list[User]
    next: str | None = None


class Connection(msgspec.Struct, kw_only=True):
    """The link to a PBX and how it stands. Secrets are never told."""

    id: int
    kind: str
    name: str
    host: str
    port: int
    user: str
    is_enabled: bool
    time_zone: str | None
    state: Literal["connecting", "up", "refused", "down"]
    state_since: datetime | None
    state_detail: str | None
    state_code: str | None
    last_event_at: datetime | None


class Gap(msgspec.Struct, kw_only=True):
    """Seconds without events. `to_at` is null while it lasts; the rest tells whether the PBX's own records filled it."""

    id: int
    from_at: datetime
    to_at: datetime | None
    why: str
    back_filled_by: TruthKind | None
    back_filled_at: datetime | None
    back_filled_calls: int | None


class GapList(msgspec.Struct):
    items: list[Gap]
    next: str | None


class ConnectionList(msgspec.Struct):
    items: list[Connection]
    next: str | None = None


class Line(msgspec.Struct, kw_only=True):
    """An outside number of ours."""

    id: int
    connection_id: int
    connection_name: str
    e164: str
    presented: str
    name: str
    colour: str | None
    team_id: int | None
    allows_outgoing: bool


class LineList(msgspec.Struct):
    items: list[Line]
    next: str | None = None


class Me(msgspec.Struct, kw_only=True):
    """Who asks and what they may: right → own, team or all. A token may have less than its user."""

    id: int
    login: str
    name: str
    language: str
    time_zone: str | None
    role_codes: list[str]
    team_id: int | None
    extensions: list[str]
    rights: dict[str, Literal["own", "team", "all"]]


@routes.endpoint("GET", "/api/v1/users", right="user.read", summary="Users by name", answer=UserList)
async def users(request: web.Request, _query: NoQuery) -> UserList:
    async with request.app[SESSIONS]() as session:
        found = await list_users(session, request[ACCESS])
    return UserList(items=[msgspec.convert(each, User, from_attributes=True) for each in found])


@routes.endpoint(
    "GET",
    "/api/v1/connections",
    right="connection.read",
    summary="Connections to PBXs and how they stand",
    answer=ConnectionList,
)
async def connections(request: web.Request, _query: NoQuery) -> ConnectionList:
    async with request.app[SESSIONS]() as session:
        found = await list_connections(session, request[ACCESS])
    return ConnectionList(items=[_connection(each) for each in found])


def _connection(info: ConnectionInfo) -> Connection:
    return Connection(
        id=info.id,
        kind=info.kind,
        name=info.name,
        host=info.settings.host,
        port=info.settings.port,
        user=info.settings.user,
        is_enabled=info.is_enabled,
        time_zone=info.time_zone,
        state=msgspec.convert(info.state, Literal["connecting", "up", "refused", "down"]),
        state_since=info.state_since,
        state_detail=info.state_detail,
        state_code=info.state_code,
        last_event_at=info.last_event_at,
    )


@routes.endpoint(
    "GET",
    "/api/v1/connections/{id:[0-9]+}/gaps",
    right="connection.read",
    summary="Seconds without events of a connection, newest first",
    answer=GapList,
)
async def gaps(request: web.Request, query: PageQuery) -> GapList:
    async with request.app[SESSIONS]() as session:
        page = await list_gaps(
            session,
            request[ACCESS],
            id_in_path(request),
            cursor=query.cursor or None,
            limit=query.limit,
        )
    return GapList(
        items=[msgspec.convert(each, Gap, from_attributes=True) for each in page.items], next=page.next
    )


@routes.endpoint("GET", "/api/v1/lines", right="call.read", summary="Numbers of ours", answer=LineList)
async def lines(request: web.Request, _query: NoQuery) -> LineList:
    async with request.app[SESSIONS]() as session:
        found = await list_lines(session)
    return LineList(items=[msgspec.convert(each, Line, from_attributes=True) for each in found])


@routes.endpoint("GET", "/api/v1/me", right=SIGNED_IN, summary="Who asks and what they may", answer=Me)
async def me(request: web.Request, _query: NoQuery) -> Me:
    access = request[ACCESS]
    return Me(
        id=access.user_id,
        login=access.login,
        name=access.name,
        language=access.language,
        time_zone=access.time_zone,
        role_codes=sorted(access.role_codes),
        team_id=access.team_id,
        extensions=list(request.app[DESK].extensions_of(access.user_id)),
        rights=_rights(access.scopes),
    )


def _rights(scopes: Mapping[str, Scope]) -> dict[str, Literal["own", "team", "all"]]:
    named = {right: scope.name.lower() for right, scope in sorted(scopes.items()) if scope}
    return msgspec.convert(named, dict[str, Literal["own", "team", "all"]])
