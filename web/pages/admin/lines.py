"""Lines: the outside numbers of ours, each with its name and colour."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from crm import accounts, telephony
from crm.calendars import list_calendars
from crm.directories import names_of
from crm.errors import NotFound
from crm.sources import SOURCE
from crm.telephony import LineInfo
from web.keys import ACCESS, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, filled, form_of
from web.pages.saving import saving

routes = PageRoutes()
_PATH = "/admin/lines"


@routes.get(_PATH, right="line.manage")
async def list_lines(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        lines = await telephony.list_lines(session)
    return render_section(request, "admin/lines.html", _PATH, lines=lines)


@routes.get(_PATH + "/new", right="line.manage")
async def show_new_line(request: web.Request) -> web.Response:
    return await _show_form(request, filled({"connection_id": request.query.get("connection")}), None)


@routes.post(_PATH + "/new", right="line.manage")
async def add_line(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        await telephony.add_line(
            session,
            request[ACCESS],
            form.whole("connection_id") or 0,
            form.text("number"),
            form.text("name"),
            colour=form.optional("colour"),
            team_id=form.whole("team_id"),
            calendar_id=form.whole("calendar_id"),
            lead_source=form.text("lead_source"),
        )
    if not form.is_good:
        return await _show_form(request, form, None)
    raise web.HTTPSeeOther(_PATH)


@routes.get(_PATH + r"/{id:\d+}", right="line.manage")
async def show_line(request: web.Request) -> web.Response:
    line = await _line(request)
    form = filled(
        {
            "number": line.presented,
            "name": line.name,
            "colour": line.colour,
            "team_id": line.team_id,
            "calendar_id": line.calendar_id,
            "lead_source": line.lead_source,
            "version": line.version,
        }
    )
    return await _show_form(request, form, line)


@routes.post(_PATH + r"/{id:\d+}", right="line.manage")
async def edit_line(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    line = await _line(request)
    async with saving(request, form) as session:
        await telephony.edit_line(
            session,
            request[ACCESS],
            line.id,
            version=form.whole("version") or 0,
            number=form.text("number"),
            name=form.text("name"),
            colour=form.optional("colour"),
            team_id=form.whole("team_id"),
            calendar_id=form.whole("calendar_id"),
            lead_source=form.text("lead_source"),
        )
    if not form.is_good:
        return await _show_form(request, form, line)
    raise web.HTTPSeeOther(_PATH)


@routes.post(_PATH + r"/{id:\d+}/remove", right="line.manage")
async def remove_line(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await telephony.remove_line(session, request[ACCESS], id_in_path(request))
    raise web.HTTPSeeOther(_PATH)


async def _line(request: web.Request) -> LineInfo:
    line_id = id_in_path(request)
    async with request.app[SESSIONS]() as session:
        lines: Sequence[LineInfo] = await telephony.list_lines(session)
    found = next((line for line in lines if line.id == line_id), None)
    if found is None:
        raise NotFound("line", line_id)
    return found


async def _show_form(request: web.Request, form: Form, line: LineInfo | None) -> web.Response:
    async with request.app[SESSIONS]() as session:
        connections = await telephony.list_connections(session, request[ACCESS])
        teams = await accounts.list_teams(session)
        calendars = await list_calendars(session)
        sources = await names_of(session, SOURCE)
    return render_section(
        request,
        "admin/line.html",
        _PATH,
        status=form.status,
        form=form,
        line=line,
        connections=connections,
        teams=teams,
        calendars=calendars,
        sources=sources,
    )
