"""Lists as files to download: XLSX or CSV, within the right to export."""

from __future__ import annotations

from aiohttp import web

from crm.errors import Invalid
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.calls.pages import chosen_in, filter_of
from web.pages.communications import lists as communications
from web.pages.leads import lists as leads
from web.pages.lists.frame import values_in
from web.pages.parties.lists import all_found, wanted_of
from web.pages.parties.sections import SECTIONS
from web.pages.problems import tell
from web.sheets import SheetFormat
from web.tables import send_calls, send_parties
from web.work_tables import send_communications, send_leads, send_users

routes = PageRoutes()


@routes.get("/parties/export.xlsx", right="export")
@routes.get("/parties/export.csv", right="export")
async def export_parties(request: web.Request) -> web.StreamResponse:
    """The list that `list` names, with the filters of its address."""
    section = next((one for one in SECTIONS if one.frame.area == request.query.get("list")), SECTIONS[0])
    values = values_in(section.frame, request.query)
    try:
        async with request.app[SESSIONS]() as session:
            wanted, only = await wanted_of(session, request, section, values), None
            if "q" in values:
                only = await all_found(session, request, section, values)
                wanted = section.searched(wanted)
        return await send_parties(
            request, wanted, _format(request), {"list": section.frame.area, **values}, only
        )
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


@routes.get("/leads/export.xlsx", right="export")
@routes.get("/leads/export.csv", right="export")
async def export_leads(request: web.Request) -> web.StreamResponse:
    chosen = leads.chosen_in(request.query)
    async with request.app[SESSIONS]() as session:
        wanted = await leads.found_by(session, request[ACCESS], chosen)
    return await send_leads(request, wanted, _format(request), chosen.address)


@routes.get("/communications/export.xlsx", right="export")
@routes.get("/communications/export.csv", right="export")
async def export_communications(request: web.Request) -> web.StreamResponse:
    values = values_in(communications.FRAME, request.query)
    async with request.app[SESSIONS]() as session:
        wanted = await communications.found_by(session, request, values)
    return await send_communications(request, wanted, _format(request), values)


@routes.get("/admin/users/export.xlsx", right="export")
@routes.get("/admin/users/export.csv", right="export")
async def export_users(request: web.Request) -> web.StreamResponse:
    return await send_users(request, _format(request))


def _format(request: web.Request) -> SheetFormat:
    return SheetFormat(request.path.rpartition(".")[2])
