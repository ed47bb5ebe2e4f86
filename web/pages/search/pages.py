"""«Поиск»: clients, contacts and leads by whatever is known of them, in groups; from what was typed something new can be made."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from crm.lead_search import LeadsFound, search_leads
from crm.party_search import MOST_CHARACTERS, SearchResult, search_parties
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.forms import form_of
from web.render import render_apart
from web.routes import SIGNED_IN

routes = PageRoutes()
_SHOWN: Final = 20  # of each group; the lists show the rest
_NUMBER_LIKE: Final = re.compile(r"[\d\s()+.\-–—/]{5,}")


@routes.get("/search", right=SIGNED_IN)
async def search(request: web.Request) -> web.Response:
    """Whatever one may read of both groups; nothing typed, nothing found."""
    access = request[ACCESS]
    typed = form_of(request.query.items()).text("q")[:MOST_CHARACTERS]
    parties, leads = SearchResult(hits=()), LeadsFound(hits=())
    async with request.app[SESSIONS]() as session:
        if typed and access.may("party.read"):
            parties = await search_parties(session, access, typed, limit=_SHOWN)
        if typed and access.may("lead.read"):
            leads = await search_leads(session, access, typed, limit=_SHOWN)
    shown: dict[str, Any] = {"parties": parties, "leads": leads, "new": _new_from(typed)}
    return await render_apart(request, "search/page.html", typed=typed, **shown)


def _new_from(typed: str) -> dict[str, str]:
    """Where what was typed begins a new record: a number in the field of numbers, anything else as a name."""
    if not typed:
        return {}
    is_number = _NUMBER_LIKE.fullmatch(typed) is not None
    party = {"number": typed} if is_number else {"organisation": typed}
    lead = {"number": typed} if is_number else {"email" if "@" in typed else "person": typed}
    return {"party": f"/parties/new?{urlencode(party)}", "lead": f"/leads/new?{urlencode(lead)}"}
