"""«Возможные дубли»: the pairs of the last search, «Не дубль», and searching now."""

from __future__ import annotations

from aiohttp import web

from crm.duplicates import (
    ask_search,
    dismiss_pair,
    list_dismissed,
    list_pairs,
    search_state,
    withdraw_dismissal,
)
from crm.errors import Invalid
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import form_of
from web.pages.problems import tell
from web.render import render, render_fragment, wants_rows

routes = PageRoutes()


@routes.get("/parties/duplicates", right="party.merge")
async def show_duplicates(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        try:
            page = await list_pairs(session, request[ACCESS], cursor=request.query.get("after"))
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
        state = await search_state(session)
    if wants_rows(request, "pair-more"):
        return render_fragment(request, "parties/duplicate_rows.html", pairs=page)
    return render(request, "parties/duplicates.html", pairs=page, state=state)


@routes.post("/parties/duplicates/search", right="party.merge")
async def search(request: web.Request) -> web.Response:
    """The daemon begins within a second; the page says that it is being done."""
    async with request.app[SESSIONS].begin() as session:
        await ask_search(session, request[ACCESS])
    raise web.HTTPSeeOther("/parties/duplicates")


@routes.post("/parties/duplicates/dismiss", right="party.merge")
async def dismiss(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with request.app[SESSIONS].begin() as session:
        await dismiss_pair(
            session,
            request[ACCESS],
            form.whole("one") or 0,
            form.whole("other") or 0,
            reason=form.text("reason"),
        )
    raise web.HTTPSeeOther("/parties/duplicates")


@routes.get("/parties/duplicates/dismissed", right="party.merge")
async def show_dismissed(request: web.Request) -> web.Response:
    """What was said to be two, to be taken back."""
    async with request.app[SESSIONS]() as session:
        try:
            page = await list_dismissed(session, request[ACCESS], cursor=request.query.get("after"))
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
    if wants_rows(request, "dismissed-more"):
        return render_fragment(request, "parties/dismissed_rows.html", pairs=page)
    return render(request, "parties/dismissed.html", pairs=page)


@routes.post(r"/parties/duplicates/dismissed/{id:\d+}/withdraw", right="party.merge")
async def withdraw(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await withdraw_dismissal(session, request[ACCESS], id_in_path(request))
    raise web.HTTPSeeOther("/parties/duplicates/dismissed")
