"""Drafts of the forms of parties: one for each kind of a new one, one for each that is edited."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from crm.drafts import PARTY_EDIT
from crm.party_cards import party_card
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.drafts import keep_drafts
from web.pages.forms import Form
from web.pages.parties.typed import mode_of

routes = PageRoutes()
NEW: Final = "party.new"
EDIT: Final = PARTY_EDIT


async def _mode(_request: web.Request, form: Form) -> str:
    return mode_of(form.text("mode"))  # quick, organisation, person


async def _editable(request: web.Request, _form: Form) -> str:
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, request[ACCESS], id_in_path(request))
    if not card.may_edit:
        raise web.HTTPNotFound
    return str(card.id)


keep_drafts(
    routes,
    "/parties/new",
    NEW,
    right="party.create",
    record=_mode,
    back=lambda mode, _form: f"/parties/new?mode={mode}",
)
keep_drafts(
    routes,
    r"/parties/{id:\d+}",
    EDIT,
    right="party.edit",
    record=_editable,
    back=lambda party_id, _form: f"/parties/{party_id}/edit",
)
