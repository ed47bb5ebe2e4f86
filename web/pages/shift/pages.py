"""«Моя смена»: begin it, pause with a reason, go on, end it; on its page and from the bottom bar of any other."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from crm.agent_wishes import own_wish, set_wish
from crm.directories import PAUSE_REASON, names_of
from crm.errors import Invalid
from web.keys import ACCESS, DESK, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.forms import Form, form_of
from web.pages.problems import note_on, tell
from web.render import render, render_fragment
from web.routes import RouteKind

routes = PageRoutes()


@routes.get("/shift", right="live.own")
async def show(request: web.Request) -> web.Response:
    return await _show(request, Form())


@routes.get("/shift/now", right="live.own", kind=RouteKind.FRAGMENT)
async def show_now(request: web.Request) -> web.Response:
    """The changing part alone, for when a PBX refused or the pause ended at the telephone."""
    return render_fragment(request, "shift/now.html", form=Form(), **await _now(request))


@routes.get("/shift/menu", right="live.own", kind=RouteKind.FRAGMENT)
async def show_menu(request: web.Request) -> web.Response:
    """What the bottom bar offers."""
    return render_fragment(request, "shift/menu.html", **await _now(request))


@routes.post("/shift/now", right="live.own", kind=RouteKind.FRAGMENT)
async def change_here(request: web.Request) -> web.Response:
    """The same as `POST /shift`, from the bottom bar: 204, or 422 with `{"problem": …}`."""
    form = form_of((await request.post()).items())
    try:
        async with request.app[SESSIONS].begin() as session:
            await set_wish(session, request[ACCESS], form.text("state"), form.optional("reason"))
    except Invalid as error:
        return web.json_response({"problem": tell(error)}, status=422)
    return web.Response(status=204)


@routes.post("/shift", right="live.own")
async def change(request: web.Request) -> web.Response:
    """`state`: available, paused (with `reason`), offline."""
    form = form_of((await request.post()).items())
    form.values.setdefault("reason", "")
    try:
        async with request.app[SESSIONS].begin() as session:
            await set_wish(session, request[ACCESS], form.text("state"), form.optional("reason"))
    except Invalid as error:
        note_on(form, error)
        return await _show(request, form, status=422)
    raise web.HTTPSeeOther("/shift")


async def _show(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    return render(request, "shift/page.html", status=status, form=form, **await _now(request))


async def _now(request: web.Request) -> dict[str, Any]:
    access = request[ACCESS]
    async with request.app[SESSIONS]() as session:
        wish = await own_wish(session, access)
        reasons = await names_of(session, PAUSE_REASON)
    return {"wish": wish, "reasons": reasons, "now": request.app[DESK].shift.agent(access.user_id)}
