"""The leads of a party, a part of its card."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Invalid
from crm.lead_lists import LeadFilter, LeadRow, list_leads
from crm.paging import Page
from crm.party_cards import party_card
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.leads.lists import OF_A_PARTY, Chosen, one_row
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
        page = await _page(session, request, card.id)
    path = f"/parties/{card.id}/leads"
    shown: dict[str, Any] = {
        "page": page,
        "chosen": Chosen(),
        "columns": OF_A_PARTY,
        "count": None,
        "rows_path": path,
    }
    is_row = "row" in request.query
    if is_row or wants_rows(request, "lead-more"):
        return render_fragment(request, "leads/rows.html", **shown, is_alone=not is_row)
    return render(request, "leads/party.html", **shown, party=card, part="leads", is_alone=False)


async def _page(session: AsyncSession, request: web.Request, party_id: int) -> Page[LeadRow]:
    access = request[ACCESS]
    if "row" in request.query:  # one that somebody changed
        return (await one_row(session, access, request.query["row"])).page
    wanted = LeadFilter(state="all", party_id=party_id)
    try:
        return await list_leads(session, access, wanted, cursor=request.query.get("after"))
    except Invalid as error:
        raise web.HTTPBadRequest(text=tell(error)) from error
