"""«Корзина»: deleting a party, what waits there, restoring it."""

from __future__ import annotations

from aiohttp import web

from crm.errors import Invalid
from crm.party_bin import KEPT_DAYS, bin_party, list_bin, restore_party
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.problems import tell
from web.render import render, render_fragment, wants_rows

routes = PageRoutes()


@routes.post(r"/parties/{id:\d+}/delete", right="party.delete")
async def delete(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await bin_party(session, request[ACCESS], id_in_path(request))
    raise web.HTTPSeeOther("/parties/bin")


@routes.get("/parties/bin", right="party.delete")
async def show_bin(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        try:
            page = await list_bin(session, request[ACCESS], cursor=request.query.get("after"))
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
    if wants_rows(request, "bin-more"):
        return render_fragment(request, "parties/bin_rows.html", binned=page)
    return render(request, "parties/bin.html", binned=page, days=KEPT_DAYS)


@routes.post(r"/parties/bin/{id:\d+}/restore", right="party.delete")
async def restore(request: web.Request) -> web.Response:
    """Back to the card; what somebody else has now is told first."""
    async with request.app[SESSIONS].begin() as session:
        restored = await restore_party(session, request[ACCESS], id_in_path(request))
    if not restored.taken:
        raise web.HTTPSeeOther(f"/parties/{restored.party_id}")
    return render(request, "parties/restored.html", restored=restored)
