"""The window of reminders: what has fired and was not answered, the same in all tabs and after a reload."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from crm import tasks
from crm.errors import Invalid
from crm.reminders import dismiss, shown_reminders, snooze
from crm.task_lists import task_rows
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, NOW, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import form_of
from web.pages.tasks.typed import morning_after
from web.render import render_fragment, zone_of
from web.routes import RouteKind

routes = PageRoutes()
ONE: Final = r"/reminders/{id:\d+}"
_PAUSES: Final = {"5": timedelta(minutes=5), "60": timedelta(hours=1)}


@routes.get("/reminders", right="task.read", kind=RouteKind.FRAGMENT)
async def show(request: web.Request) -> web.Response:
    return await _answer(request)


@routes.post(ONE + "/snooze", right="task.read", kind=RouteKind.FRAGMENT)
async def put_off(request: web.Request) -> web.Response:
    """For five minutes, an hour, or until tomorrow morning."""
    form = form_of((await request.post()).items())
    async with request.app[SESSIONS].begin() as session:
        await snooze(session, request[ACCESS], id_in_path(request), _until(request, form.text("pause")))
    return await _answer(request)


@routes.post(ONE + "/dismiss", right="task.read", kind=RouteKind.FRAGMENT)
async def close(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await dismiss(session, request[ACCESS], id_in_path(request))
    return await _answer(request)


@routes.post(r"/reminders/tasks/{id:\d+}/complete", right="task.edit", kind=RouteKind.FRAGMENT)
async def complete(request: web.Request) -> web.Response:
    """«Выполнено», without leaving the page one is on."""
    with suppress(Invalid):  # cancelled meanwhile: then its reminders are gone as well
        async with request.app[SESSIONS].begin() as session:
            await tasks.complete_task(session, request[ACCESS], id_in_path(request))
    return await _answer(request)


def _until(request: web.Request, pause: str) -> datetime:
    now = request.app[NOW]()
    if pause == "tomorrow":
        return morning_after(now, zone_of(request))
    if pause not in _PAUSES:
        raise Invalid("pause", pause[:20], N_("Put it off for 5 minutes, an hour, or until tomorrow."))
    return now + _PAUSES[pause]


async def _answer(request: web.Request) -> web.Response:
    access = request[ACCESS]
    async with request.app[SESSIONS]() as session:
        shown = await shown_reminders(session, access)
        rows = await task_rows(session, access, [reminder.task_id for reminder in shown])
    by_id = {row.id: row for row in rows}
    lines = [(each, by_id[each.task_id]) for each in shown if each.task_id in by_id]
    return render_fragment(request, "tasks/reminders.html", lines=lines, now=request.app[NOW]())
