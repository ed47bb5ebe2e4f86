"""«What this user sees»: each right with its scope and the role it comes from, and a preview of counts."""

from __future__ import annotations

from aiohttp import web

from crm.sight import sight_of
from web.keys import ACCESS, SESSIONS
from web.pages.admin.right_words import groups
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes, id_in_path

routes = PageRoutes()


@routes.get(r"/admin/users/{id:\d+}/sight", right="user.read")
async def show_sight(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        sight = await sight_of(session, request[ACCESS], id_in_path(request))
    return render_section(
        request,
        "admin/sight.html",
        "/admin/users",
        sight=sight,
        granted={each.right: each for each in sight.rights},
        groups=groups(),
    )
