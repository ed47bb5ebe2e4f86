"""«Очереди»: how long an agent has after a talk from each."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from aiohttp import web

from crm.errors import Invalid, NotFound
from crm.queues import list_queues, named_connections, remove_queue, set_wrap_up_seconds
from crm.wrap_ups import SECONDS
from web.board_sight import BoardSight
from web.keys import ACCESS, DESK, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes
from web.pages.forms import Form, form_of
from web.pages.problems import FORM_ERRORS, note_on

routes = PageRoutes()
_PATH: Final = "/admin/queues"


@routes.get(_PATH, right="line.manage")
async def show_queues(request: web.Request) -> web.Response:
    return await _show(request, Form())


@routes.post(_PATH, right="line.manage")
async def set_seconds(request: web.Request) -> web.Response:
    """`connection_id`, `queue`, `wrap_up_seconds`: of one that is listed, or of one that no PBX told of yet."""
    form = form_of((await request.post()).items())
    try:
        seconds = form.whole("wrap_up_seconds")
        if seconds is None:
            raise Invalid("wrap_up_seconds", "", "Write how many seconds an agent has after a talk.")
        async with request.app[SESSIONS].begin() as session:
            await set_wrap_up_seconds(
                session, request[ACCESS], form.whole("connection_id") or 0, form.text("queue"), seconds
            )
    except FORM_ERRORS as error:
        note_on(form, error)
        return await _show(request, form, status=422)
    raise web.HTTPSeeOther(f"{_PATH}?saved=1")


@routes.post(f"{_PATH}/remove", right="line.manage")
async def remove(request: web.Request) -> web.Response:
    """`connection_id`, `queue`: of one that somebody entered. Removed already, it is gone as well."""
    form = form_of((await request.post()).items())
    with suppress(NotFound):
        async with request.app[SESSIONS].begin() as session:
            await remove_queue(session, request[ACCESS], form.whole("connection_id") or 0, form.text("queue"))
    raise web.HTTPSeeOther(f"{_PATH}?saved=1")


async def _show(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    access = request[ACCESS]
    heard = [(view.connection_id, view.name) for view in request.app[DESK].shift.queues(BoardSight(access))]
    async with request.app[SESSIONS]() as session:
        queues = await list_queues(session, access, heard)
        connections = await named_connections(session, access)
    return render_section(
        request,
        "admin/queues.html",
        _PATH,
        status=status,
        queues=queues,
        usual=SECONDS,
        connections=connections,
        form=form,
        is_saved="saved" in request.query,
    )
