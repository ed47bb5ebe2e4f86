"""«Запросить доступ»: asking to read a record, and granting it in one press."""

from __future__ import annotations

from aiohttp import web

from crm.access_requests import GRANTED_FOR, answer_request, ask_access, list_requests
from crm.errors import Invalid
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.problems import tell
from web.render import render, render_fragment, wants_rows
from web.routes import RouteKind

routes = PageRoutes()
_PATH = "/parties/access-requests"


@routes.post(_PATH + r"/of/{id:\d+}", right="party.read", kind=RouteKind.FRAGMENT)
async def ask(request: web.Request) -> web.Response:
    """In place of the button; the words are the same whether there is such a record or not."""
    problem = ""
    try:
        async with request.app[SESSIONS].begin() as session:
            await ask_access(session, request[ACCESS], id_in_path(request))
    except Invalid as error:
        problem = tell(error)
    return render_fragment(request, "parties/asked.html", problem=problem)


@routes.get(_PATH, right="party.edit")
async def show_requests(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        try:
            page = await list_requests(session, request[ACCESS], cursor=request.query.get("after"))
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
    if wants_rows(request, "request-more"):
        return render_fragment(request, "parties/request_rows.html", requests=page)
    return render(request, "parties/requests.html", requests=page, days=GRANTED_FOR.days)


@routes.post(_PATH + r"/{id:\d+}/grant", right="party.edit")
async def grant(request: web.Request) -> web.Response:
    return await _answer(request, is_granted=True)


@routes.post(_PATH + r"/{id:\d+}/refuse", right="party.edit")
async def refuse(request: web.Request) -> web.Response:
    return await _answer(request, is_granted=False)


async def _answer(request: web.Request, *, is_granted: bool) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await answer_request(session, request[ACCESS], id_in_path(request), is_granted=is_granted)
    raise web.HTTPSeeOther(_PATH)
