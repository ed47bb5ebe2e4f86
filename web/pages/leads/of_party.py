"""The leads of a party, a part of its card."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from crm.errors import Invalid
from crm.lead_lists import LeadFilter, list_leads
from crm.party_cards import party_card
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.leads.lists import OF_A_PARTY, Chosen
from web.pages.problems import tell
from web.render import render, render_fragment, wants_rows

routes = PageRoutes()


@routes.get(r"/parties/{id:\d+}/leads", right="lead.read")
async def show_leads_of_party(request: web.Request) -> web.Response:
    """Everything ever asked by a party or become it, as far as one may read both."""
    access, party_id = request[ACCESS], id_in_path(request)
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, access, party_id)
        if card.id != party_id:  # merged: the one who lives on has the leads
            raise web.HTTPMovedPermanently(f"/parties/{card.id}/leads")
        wanted = LeadFilter(state="all", party_id=card.id)
        try:
            page = await list_leads(session, access, wanted, cursor=request.query.get("after"))
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
    path = f"/parties/{card.id}/leads"
    shown: dict[str, Any] = {
        "page": page,
        "chosen": Chosen(),
        "columns": OF_A_PARTY,
        "count": None,
        "rows_path": path,
    }
    if wants_rows(request, "lead-more"):
        return render_fragment(request, "leads/rows.html", **shown, is_alone=True)
    return render(request, "leads/party.html", **shown, party=card, part="leads", is_alone=False)
