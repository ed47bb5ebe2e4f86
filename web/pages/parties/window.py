"""The form of a party in the window of a call with them: the card's own, in place."""

from __future__ import annotations

from aiohttp import web

from crm import drafts
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.parties.drafts import EDIT
from web.pages.parties.editing import Editing, editable_card, opened, saved, shown
from web.render import render_fragment
from web.routes import RouteKind

routes = PageRoutes()
_PATH = r"/parties/{id:\d+}/edit/here"


@routes.get(_PATH, right="party.edit", kind=RouteKind.FRAGMENT)
async def show(request: web.Request) -> web.Response:
    return await _answer(request, await opened(request))


@routes.post(_PATH, right="party.edit", kind=RouteKind.FRAGMENT)
async def save(request: web.Request) -> web.Response:
    """What tells the window that it is done, or the form with what is wrong."""
    editing = await saved(request)
    if editing.error is None:
        return render_fragment(request, "parties/edited_here.html", party=await editable_card(request))
    return await _answer(request, editing)


@routes.post(_PATH + "/drop", right="party.edit", kind=RouteKind.FRAGMENT)
async def drop(request: web.Request) -> web.Response:
    """What was typed is thrown away: the form as it is stored."""
    card = await editable_card(request)
    async with request.app[SESSIONS].begin() as session:
        await drafts.drop_draft(session, request[ACCESS], EDIT, str(card.id))
    return await _answer(request, await opened(request))


async def _answer(request: web.Request, editing: Editing) -> web.Response:
    about = await shown(request, editing)
    begin = f"here-{editing.card.id}-"
    return render_fragment(request, "parties/edit_here.html", status=editing.status, ids_begin=begin, **about)
