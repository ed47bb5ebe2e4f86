"""Wrap-up: the form of a talk (also as a fragment for its window), one more minute, «Не обработаны»."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Conflict, CrmError, Invalid, NotFound
from crm.notes import save_note
from crm.task_values import TaskValues
from crm.tasks import NewTask, create_task
from crm.wrap_up_codes import CodeInfo
from crm.wrap_ups import (
    WrapUpInfo,
    WrapUpOver,
    codes_for,
    count_unfinished,
    extend,
    finish,
    list_unfinished,
    wrap_up_of,
)
from web.formats import installed_word, phone
from web.keys import ACCESS, DESK, NOW, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.forms import Form, filled, form_of
from web.pages.problems import note_on, tell
from web.render import company_zone, render, render_fragment, wants_rows, zone_of
from web.routes import RouteKind

routes = PageRoutes()
_ONE: Final = r"/wrap-up/{call_id:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}}"
_TASK_AT: Final = time(10)  # tomorrow: when a task that a code makes is due


@routes.get("/wrap-up", right="live.own")
async def show_unfinished(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        try:
            page = await list_unfinished(
                session, request[ACCESS], request.app[NOW](), cursor=request.query.get("after")
            )
        except Invalid as error:  # an address that somebody made up, or an old one
            raise web.HTTPBadRequest(text=tell(error)) from error
    if wants_rows(request, "wrap-up-more"):
        return render_fragment(request, "wrap_up/rows.html", page=page)
    return render(request, "wrap_up/list.html", page=page)


@routes.get("/wrap-up/count", right="live.own", kind=RouteKind.FRAGMENT)
async def tell_number(request: web.Request) -> web.Response:
    """What the badge shows: `{"waiting": 3}`, counted up to 100."""
    async with request.app[SESSIONS]() as session:
        count = await count_unfinished(session, request[ACCESS], request.app[NOW]())
    return web.json_response({"waiting": count})


@routes.get(_ONE, right="live.own")
async def show_one(request: web.Request) -> web.Response:
    return await _show(request, None)


@routes.get(_ONE + "/form", right="live.own", kind=RouteKind.FRAGMENT)
async def show_form(request: web.Request) -> web.Response:
    """The form alone, for the window of the call; 204 until the journal has stored the talk's end."""
    try:
        return await _show(request, None, is_fragment=True)
    except NotFound:
        if not request.app[DESK].has_seat(request[ACCESS].user_id, _call_id(request)):
            raise
        return web.Response(status=204)


@routes.post(_ONE, right="live.own")
async def finish_page(request: web.Request) -> web.Response:
    refused = await _finish(request)
    if refused is None:
        raise web.HTTPSeeOther("/wrap-up")
    return refused


@routes.post(_ONE + "/form", right="live.own", kind=RouteKind.FRAGMENT)
async def finish_form(request: web.Request) -> web.Response:
    """«Готово» of the window: 204, or 422 with the form as it was typed and what is wrong."""
    return await _finish(request, is_fragment=True) or web.Response(status=204)


@routes.post(_ONE + "/extend", right="live.own", kind=RouteKind.FRAGMENT)
async def prolong(request: web.Request) -> web.Response:
    """«+1 мин»: `{"due_at": …}`, or 409 with `{"problem": …}`."""
    try:
        async with request.app[SESSIONS].begin() as session:
            due_at = await extend(session, request[ACCESS], _call_id(request), request.app[NOW]())
    except (Invalid, WrapUpOver) as error:
        return web.json_response({"problem": tell(error)}, status=409)
    return web.json_response({"due_at": due_at.isoformat()})


async def _finish(request: web.Request, *, is_fragment: bool = False) -> web.Response | None:
    """None when it is done. The comment is saved first, and stays whatever becomes of the rest."""
    form = form_of((await request.post()).items())
    form.values.setdefault("code_id", "")
    form.values.setdefault("comment", "")
    access, call_id = request[ACCESS], _call_id(request)
    try:
        if access.may("call.notes") and "note_version" in form.values:
            async with request.app[SESSIONS].begin() as session:
                note_of = (await wrap_up_of(session, access, call_id)).note_call_id
                version = form.whole("note_version") or 0
                saved = await save_note(session, access, note_of, form.prose("comment"), version=version)
            form.values["note_version"] = str(saved)
        async with request.app[SESSIONS].begin() as session:
            code = await finish(session, access, call_id, form.whole("code_id"))
            if code is not None and code.creates_task and access.may("task.edit"):
                await _make_task(request, session, code, await wrap_up_of(session, access, call_id))
    except (Conflict, Invalid) as error:
        _note(form, error)
        return await _show(request, form, is_fragment=is_fragment)
    return None


def _note(form: Form, error: CrmError) -> None:
    if isinstance(error, Conflict):
        form.values["note_version"] = str(error.version)
        form.refuse("comment", tell(error))
    else:
        note_on(form, error)


async def _make_task(request: web.Request, session: AsyncSession, code: CodeInfo, info: WrapUpInfo) -> None:
    """What the code promises: a call tomorrow at ten of the agent's day."""
    zone = zone_of(request)
    tomorrow = request.app[NOW]().astimezone(zone).date() + timedelta(days=1)
    values = TaskValues(
        title=f"{installed_word(code.name)}: {info.party_name or phone(info.e164) or info.line_name or '—'}",
        kind="call",
        due_at=datetime.combine(tomorrow, _TASK_AT, tzinfo=zone),
        party_id=info.party_id,
        communication_id=info.call_id,
    )
    task = NewTask(values=values, remind_minutes=10)
    await create_task(session, request[ACCESS], task, home_zone=company_zone(request).key, via="form")


async def _show(request: web.Request, form: Form | None, *, is_fragment: bool = False) -> web.Response:
    async with request.app[SESSIONS]() as session:
        info = await wrap_up_of(session, request[ACCESS], _call_id(request))
        codes = await codes_for(session, info)
    stored = {"code_id": info.code_id or "", "comment": info.note, "note_version": info.note_version}
    shown: dict[str, Any] = {
        "info": info,
        "codes": codes,
        "form": form or filled(stored),
        "seconds_left": info.seconds_left(request.app[NOW]()),
    }
    status = 422 if form else 200
    if is_fragment:
        return render_fragment(request, "wrap_up/form.html", status=status, **shown, is_fragment=True)
    return render(request, "wrap_up/one.html", status=status, **shown, is_fragment=False)


def _call_id(request: web.Request) -> UUID:
    return UUID(request.match_info["call_id"])
