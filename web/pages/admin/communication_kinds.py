"""The directory of the company's own kinds of communication."""

from __future__ import annotations

from aiohttp import web

from crm.communication_kinds import add_kind, change_kind, own_kinds
from web.keys import ACCESS, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of
from web.pages.saving import saving

routes = PageRoutes()
_PATH = "/admin/communication-kinds"


@routes.get(_PATH, right="user.manage")
async def show(request: web.Request) -> web.Response:
    return await _answer(request, Form())


@routes.post(_PATH, right="user.manage")
async def add(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        await add_kind(session, request[ACCESS], form.text("name"))
    if not form.is_good:
        return await _answer(request, form)
    raise web.HTTPSeeOther(_PATH)


@routes.post(_PATH + r"/{id:\d+}", right="user.manage")
async def change(request: web.Request) -> web.Response:
    """Rename it, archive it, or bring it back."""
    form = form_of((await request.post()).items())
    failed = Form()  # the form on top stays empty
    async with saving(request, failed) as session:
        await change_kind(
            session,
            request[ACCESS],
            id_in_path(request),
            name=form.text("name"),
            is_archived=form.flag("is_archived"),
        )
    if not failed.is_good:
        return await _answer(request, failed)
    raise web.HTTPSeeOther(_PATH)


async def _answer(request: web.Request, form: Form) -> web.Response:
    async with request.app[SESSIONS]() as session:
        kinds = await own_kinds(session, with_archived=True)
    return render_section(
        request, "admin/communication_kinds.html", _PATH, status=form.status, form=form, kinds=kinds
    )
