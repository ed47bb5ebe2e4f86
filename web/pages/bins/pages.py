"""«Корзина»: deleting a party or a lead, what waits there, restoring it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from crm.errors import Invalid
from crm.lead_bin import bin_lead, list_lead_bin, restore_lead
from crm.lead_errors import AnotherLeadOpen
from crm.party_bin import KEPT_DAYS, bin_party, list_bin, restore_party
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import form_of
from web.pages.problems import tell
from web.render import render, render_fragment, wants_rows

routes = PageRoutes()
PARTIES, LEADS = "parties", "leads"
LISTED: Any = {PARTIES: list_bin, LEADS: list_lead_bin}


@routes.post(r"/parties/{id:\d+}/delete", right="party.delete")
async def delete_party(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await bin_party(session, request[ACCESS], id_in_path(request))
    raise web.HTTPSeeOther("/parties/bin")


@routes.post(r"/leads/{id:\d+}/delete", right="lead.delete")
async def delete_lead(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await bin_lead(session, request[ACCESS], id_in_path(request))
    raise web.HTTPSeeOther("/leads/bin")


@routes.get("/parties/bin", right="party.delete")
async def show_parties(request: web.Request) -> web.Response:
    return await _answer(request, PARTIES)


@routes.get("/leads/bin", right="lead.delete")
async def show_leads(request: web.Request) -> web.Response:
    return await _answer(request, LEADS)


async def _answer(request: web.Request, kind: str, *, status: int = 200, problem: str = "") -> web.Response:
    wanted, after = form_of(request.query.items()).text("q")[:100], request.query.get("after")
    async with request.app[SESSIONS]() as session:
        try:
            page = await LISTED[kind](session, request[ACCESS], wanted=wanted, cursor=after)
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
    shown: dict[str, Any] = {"binned": page, "kind": kind, "wanted": wanted}
    if wants_rows(request, "bin-more"):
        return render_fragment(request, "bins/rows.html", **shown)
    return render(request, "bins/bin.html", status=status, days=KEPT_DAYS, problem_text=problem, **shown)


@routes.post(r"/parties/bin/{id:\d+}/restore", right="party.delete")
async def restore(request: web.Request) -> web.Response:
    """Back to the card; what somebody else has now is told first."""
    async with request.app[SESSIONS].begin() as session:
        restored = await restore_party(session, request[ACCESS], id_in_path(request))
    return _restored(request, PARTIES, restored.party_id, restored.taken)


@routes.post(r"/leads/bin/{id:\d+}/restore", right="lead.delete")
async def restore_one_lead(request: web.Request) -> web.Response:
    """The same; where another lead of its client came by itself since, that one is named."""
    try:
        async with request.app[SESSIONS].begin() as session:
            restored = await restore_lead(session, request[ACCESS], id_in_path(request))
    except AnotherLeadOpen as error:
        return await _answer(request, LEADS, status=409, problem=tell(error))
    return _restored(request, LEADS, restored.lead_id, restored.taken)


def _restored(request: web.Request, kind: str, record_id: int, taken: Any) -> web.Response:
    if not taken:
        raise web.HTTPSeeOther(f"/{kind}/{record_id}")
    return render(request, "bins/restored.html", kind=kind, record_id=record_id, taken_points=taken)
