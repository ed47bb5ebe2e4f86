"""Notifications: their page, the bell's number, and the one tab that may show a new one."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from crm.errors import Invalid
from crm.notifications import count_unseen, list_notices, mark_seen, take_to_show
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.notices.words import address_of, sentence
from web.pages.problems import tell
from web.render import render
from web.routes import SIGNED_IN, RouteKind

routes = PageRoutes()


@routes.get("/notifications", right=SIGNED_IN)
async def show(request: web.Request) -> web.Response:
    access = request[ACCESS]
    async with request.app[SESSIONS]() as session:
        try:
            page = await list_notices(session, access, cursor=request.query.get("after"))
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
        unseen = await count_unseen(session, access)
    lines = [(notice, sentence(notice)) for notice in page.items]
    return render(request, "notices/page.html", lines=lines, page=page, unseen=unseen)


@routes.get("/notifications/unseen", right=SIGNED_IN, kind=RouteKind.FRAGMENT)
async def tell_number(request: web.Request) -> web.Response:
    """What the bell shows: `{"unseen": 3}`, counted up to 100."""
    async with request.app[SESSIONS]() as session:
        return web.json_response({"unseen": await count_unseen(session, request[ACCESS])})


@routes.post("/notifications/seen", right=SIGNED_IN)
async def mark_all(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await mark_seen(session, request[ACCESS])
    raise web.HTTPSeeOther("/notifications")


@routes.post(r"/notifications/{id:\d+}/seen", right=SIGNED_IN)
async def open_one(request: web.Request) -> web.Response:
    """Mark it as seen and go to what it is about."""
    access, notice_id = request[ACCESS], id_in_path(request)
    async with request.app[SESSIONS].begin() as session:
        await mark_seen(session, access, notice_id)
        page = await list_notices(session, access, at=notice_id)
    raise web.HTTPSeeOther(address_of(page.items[0]) if page.items else "/notifications")


@routes.post(r"/notifications/{id:\d+}/shown", right=SIGNED_IN, kind=RouteKind.FRAGMENT)
async def take(request: web.Request) -> web.Response:
    """The sentence for the first tab that asks; 204 for every other one."""
    async with request.app[SESSIONS].begin() as session:
        notice = await take_to_show(session, request[ACCESS], id_in_path(request))
    if notice is None:
        return web.Response(status=204)
    told: dict[str, Any] = {"text": sentence(notice)}
    return web.json_response(told)
