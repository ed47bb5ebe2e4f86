"""Whole lists as files: CSV or XLSX, sent while they are read."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from crm.calls_read import CallFilter
from crm.party_lists import PartyFilter, Which
from web.api.contract import ApiRoutes
from web.api.import_types import SheetName
from web.api.party_types import PartyType
from web.api.reading import Moment, Text, given, read_moment
from web.sheets import CONTENT_TYPES, SheetFormat
from web.tables import send_calls, send_parties

routes = ApiRoutes()
_GIVES: Final = tuple(CONTENT_TYPES.values())


class PartyExportQuery(msgspec.Struct, kw_only=True):
    """What narrows the list, as in the list itself."""

    format: SheetName = SheetName.CSV
    kind: Text | msgspec.UnsetType = msgspec.UNSET
    type: PartyType | msgspec.UnsetType = msgspec.UNSET


class CallExportQuery(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """The period, half-open."""

    format: SheetName = SheetName.CSV
    from_: Moment | msgspec.UnsetType = msgspec.UNSET
    to: Moment | msgspec.UnsetType = msgspec.UNSET


@routes.endpoint(
    "GET", "/api/v1/parties/export", right="export", summary="Parties as a file", answer=None, gives=_GIVES
)
async def parties(request: web.Request, query: PartyExportQuery) -> web.StreamResponse:
    wanted = PartyFilter(which=Which.EVERYBODY, kind=given(query.kind), type=given(query.type))
    chosen = {"kind": wanted.kind, "type": wanted.type}
    return await send_parties(request, wanted, SheetFormat(query.format), chosen)


@routes.endpoint(
    "GET", "/api/v1/calls/export", right="export", summary="Calls as a file", answer=None, gives=_GIVES
)
async def calls(request: web.Request, query: CallExportQuery) -> web.StreamResponse:
    since, until = read_moment("from", query.from_), read_moment("to", query.to)
    wanted = CallFilter(since=since, until=until)
    return await send_calls(request, wanted, SheetFormat(query.format), {"from": since, "to": until})
