"""Actions on many leads of the list: the ticked ones, or everything that its filters find."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from crm.errors import Invalid, NotFound
from crm.lead_lists import lead_ids
from crm.lead_mass import MOST_LEADS, disqualify_leads, give_leads, move_leads
from crm.mass_changes import MassResult
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, require
from web.pages.forms import Form, form_of
from web.pages.leads.lists import FRAME, chosen_in, found_by
from web.pages.lists.frame import MOST_QUERY, values_in
from web.pages.problems import tell
from web.pages.tasks.typed import ids_of
from web.render import render

routes = PageRoutes()


@routes.post("/leads/mass", right="lead.read")
async def act(request: web.Request) -> web.Response:
    """Carry it out, lead by lead, and show the list again with the result in words."""
    require(request, "lead.change_owner", "lead.edit")
    form = form_of((await request.post()).items())
    values = values_in(FRAME, dict(parse_qsl(form.values.get("query", "").lstrip("?")[:MOST_QUERY])))
    try:
        result = await _act(request, form, await _chosen(request, form, values))
    except (Invalid, NotFound) as error:
        return render(
            request, "parties/mass_refused.html", status=422, problem=tell(error), section={"path": "/leads"}
        )
    told = f"{result.changed}.{result.unchanged}.{result.refused}.0"
    raise web.HTTPSeeOther(f"/leads?{urlencode({**values, 'done': told})}")


async def _chosen(request: web.Request, form: Form, values: dict[str, str]) -> list[int]:
    if not form.flag("all"):
        return ids_of(form)
    async with request.app[SESSIONS]() as session:
        wanted = await found_by(session, request[ACCESS], chosen_in(values))
        return await lead_ids(session, request[ACCESS], wanted, MOST_LEADS)


async def _act(request: web.Request, form: Form, ids: list[int]) -> MassResult:
    sessions, access = request.app[SESSIONS], request[ACCESS]
    match form.text("action"):
        case "owner":
            return await give_leads(sessions, access, ids, form.whole("owner_id") or 0)
        case "move":
            return await move_leads(sessions, access, ids, form.whole("stage_id") or 0)
        case "disqualify":
            return await disqualify_leads(sessions, access, ids, form.whole("reason_id") or 0)
        case other:
            raise Invalid("action", other[:50], N_("There is no such action."))
