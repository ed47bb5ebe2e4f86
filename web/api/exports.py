"""Whole lists as files: CSV or XLSX, sent while they are read."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from crm.calls_read import CallFilter
from crm.communication_filters import CommunicationFilter
from crm.lead_lists import LeadFilter
from crm.party_lists import PartyFilter, Which
from web.api.communication_types import Kind
from web.api.contract import ApiRoutes
from web.api.import_types import SheetName
from web.api.lead_types import Asked
from web.api.party_types import KindStatus, PartyType
from web.api.reading import Id, Moment, Text, given, read_moment
from web.sheets import CONTENT_TYPES, SheetFormat
from web.tables import send_calls, send_parties
from web.work_tables import send_communications, send_leads

routes = ApiRoutes()
_GIVES: Final = tuple(CONTENT_TYPES.values())


class PartyExportQuery(msgspec.Struct, kw_only=True):
    """What narrows the list, as in the list itself."""

    format: SheetName = SheetName.CSV
    kind: Text | msgspec.UnsetType = msgspec.UNSET
    kind_status: KindStatus = "active"
    type: PartyType | msgspec.UnsetType = msgspec.UNSET


class CallExportQuery(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """The period, half-open."""

    format: SheetName = SheetName.CSV
    from_: Moment | msgspec.UnsetType = msgspec.UNSET
    to: Moment | msgspec.UnsetType = msgspec.UNSET


class LeadExportQuery(msgspec.Struct, kw_only=True):
    """What narrows the list, as in the list itself."""

    format: SheetName = SheetName.CSV
    state: Asked = "going"
    stage: Id | msgspec.UnsetType = msgspec.UNSET
    owner: Id | msgspec.UnsetType = msgspec.UNSET


class CommunicationExportQuery(CallExportQuery, kw_only=True):
    """The kind, and the period, half-open."""

    kind: Kind | msgspec.UnsetType = msgspec.UNSET


@routes.endpoint(
    "GET", "/api/v1/parties/export", right="export", summary="Parties as a file", answer=None, gives=_GIVES
)
async def parties(request: web.Request, query: PartyExportQuery) -> web.StreamResponse:
    kind, status = given(query.kind), query.kind_status
    wanted = PartyFilter(which=Which.EVERYBODY, kind=kind, kind_status=status, type=given(query.type))
    chosen = {"kind": kind, "kind_status": kind and status, "type": wanted.type}
    return await send_parties(request, wanted, SheetFormat(query.format), chosen)


@routes.endpoint(
    "GET", "/api/v1/calls/export", right="export", summary="Calls as a file", answer=None, gives=_GIVES
)
async def calls(request: web.Request, query: CallExportQuery) -> web.StreamResponse:
    since, until = read_moment("from", query.from_), read_moment("to", query.to)
    wanted = CallFilter(since=since, until=until)
    return await send_calls(request, wanted, SheetFormat(query.format), {"from": since, "to": until})


@routes.endpoint(
    "GET", "/api/v1/leads/export", right="export", summary="Leads as a file", answer=None, gives=_GIVES
)
async def leads(request: web.Request, query: LeadExportQuery) -> web.StreamResponse:
    wanted = LeadFilter(state=query.state, stage_id=given(query.stage), owner_id=given(query.owner))
    chosen = {"state": wanted.state, "stage": wanted.stage_id, "owner": wanted.owner_id}
    return await send_leads(request, wanted, SheetFormat(query.format), chosen)


@routes.endpoint(
    "GET",
    "/api/v1/communications/export",
    right="export",
    summary="Communications as a file",
    answer=None,
    gives=_GIVES,
)
async def communications(request: web.Request, query: CommunicationExportQuery) -> web.StreamResponse:
    since, until = read_moment("from", query.from_), read_moment("to", query.to)
    wanted = CommunicationFilter(kind=given(query.kind), since=since, until=until)
    chosen = {"kind": wanted.kind, "from": since, "to": until}
    return await send_communications(request, wanted, SheetFormat(query.format), chosen)
