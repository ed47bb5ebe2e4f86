"""Who may already be here, below the form of a party, 300 ms after the last key."""

from __future__ import annotations

from aiohttp import web

from crm.duplicate_hints import Typed, hints
from crm.party_cards import party_card
from crm.party_values import ORGANISATION, PERSON
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of
from web.pages.parties.typed import QUICK, mode_of
from web.render import render_fragment
from web.routes import RouteKind

routes = PageRoutes()
_MOST: int = 300


@routes.get("/parties/similar", right="party.create", kind=RouteKind.FRAGMENT)
async def show_similar(request: web.Request) -> web.Response:
    form = form_of(request.query.items())
    async with request.app[SESSIONS]() as session:
        found = await hints(session, request[ACCESS], _typed(form))
    return render_fragment(request, "parties/similar.html", hints=found)


@routes.get(r"/parties/{id:\d+}/similar", right="party.edit", kind=RouteKind.FRAGMENT)
async def show_similar_to_edited(request: web.Request) -> web.Response:
    """The same while a party is edited: without itself and without those that are known to be others."""
    form = form_of(request.query.items())
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, request[ACCESS], id_in_path(request))
        if not card.may_edit:
            raise web.HTTPNotFound
        form.values["mode"] = card.type
        found = await hints(session, request[ACCESS], _typed(form), edited_id=card.id)
    return render_fragment(request, "parties/similar.html", hints=found)


def _typed(form: Form) -> Typed:
    """What the form says so far, whichever of the forms it is."""
    mode = mode_of(form.text("mode"))
    if mode == QUICK:
        firm, person = form.text("organisation")[:_MOST], form.text("person")[:_MOST]
        party_type = ORGANISATION if firm else PERSON
        return Typed(type=party_type, short_name=firm or person, number=form.text("number")[:_MOST])
    names = ("short_name", "last_name", "first_name", "middle_name", "inn", "number", "email", "website")
    said = {name: form.text(name)[:_MOST] for name in names}
    return Typed(type=PERSON if mode == PERSON else ORGANISATION, **said)
