"""Lists as files to download: XLSX or CSV, within the right to export."""

from __future__ import annotations

from aiohttp import web

from crm.errors import Invalid
from crm.party_lists import PartyFilter
from web.pages.answers import PageRoutes
from web.pages.calls.pages import chosen_in, filter_of
from web.pages.problems import tell
from web.sheets import SheetFormat
from web.tables import send_calls, send_parties

routes = PageRoutes()


@routes.get("/parties/export.xlsx", right="export")
@routes.get("/parties/export.csv", right="export")
async def export_parties(request: web.Request) -> web.StreamResponse:
    query = request.query
    try:
        wanted = PartyFilter.from_text(query.get("which", ""), query.get("kind", ""))
        return await send_parties(request, wanted, _format(request))
    except Invalid as error:
        raise web.HTTPBadRequest(text=tell(error)) from error


@routes.get("/calls/export.xlsx", right="export")
@routes.get("/calls/export.csv", right="export")
async def export_calls(request: web.Request) -> web.StreamResponse:
    chosen = chosen_in(request)
    try:
        return await send_calls(request, filter_of(request, chosen), _format(request), chosen.address)
    except Invalid as error:
        raise web.HTTPBadRequest(text=tell(error)) from error


def _format(request: web.Request) -> SheetFormat:
    return SheetFormat(request.path.rpartition(".")[2])
