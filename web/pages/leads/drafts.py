"""Drafts of the forms of leads: of a new one, of one that is edited on its card, of its conversion."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from crm.lead_cards import lead_card
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.drafts import keep_drafts, the_only
from web.pages.forms import Form

routes = PageRoutes()
NEW: Final = "lead.new"
EDIT: Final = "lead.edit"
CONVERT: Final = "lead.convert"
_ONE: Final = r"/leads/{id:\d+}"


async def _editable(request: web.Request, _form: Form) -> str:
    async with request.app[SESSIONS]() as session:
        card = await lead_card(session, request[ACCESS], id_in_path(request))
    if not card.may_edit or not card.is_open:
        raise web.HTTPNotFound
    return str(card.lead.id)


keep_drafts(
    routes, "/leads/new", NEW, right="lead.create", record=the_only, back=lambda _one, _form: "/leads/new"
)
keep_drafts(
    routes,
    _ONE,
    EDIT,
    right="lead.edit",
    record=_editable,
    back=lambda lead_id, _form: f"/leads/{lead_id}",
)
keep_drafts(
    routes,
    f"{_ONE}/convert",
    CONVERT,
    right="lead.edit",
    record=_editable,
    back=lambda lead_id, _form: f"/leads/{lead_id}/convert",
)
