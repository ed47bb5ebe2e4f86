"""Actions on many communications of the list: the ticked ones, or everything that its filters find."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from aiohttp import web

from crm import communication_mass as mass
from crm.communications import communication_ids
from crm.errors import Invalid, NotFound
from crm.mass_changes import MassResult
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.communications.lists import FRAME, OLDEST, found_by
from web.pages.forms import Form, form_of
from web.pages.lists.frame import MOST_QUERY, values_in
from web.pages.problems import tell
from web.render import render

routes = PageRoutes()


@routes.post("/communications/mass", right="party.read")
async def act(request: web.Request) -> web.Response:
    """Carry it out, one by one, and show the list again with the result in words."""
    form = form_of((await request.post()).items())
    said = dict(parse_qsl(form.values.get("query", "").lstrip("?")[:MOST_QUERY]))
    values, is_oldest_first = values_in(FRAME, said), FRAME.sort(said.get("sort", "")) == OLDEST
    try:
        chosen = await _chosen(request, form, values, is_oldest_first=is_oldest_first)
        result = await _act(request, form, chosen)
    except (Invalid, NotFound) as error:
        section = {"path": FRAME.path}
        return render(request, "parties/mass_refused.html", status=422, problem=tell(error), section=section)
    told = f"{result.changed}.{result.unchanged}.{result.refused}.{result.kept}"
    order = {"sort": OLDEST} if is_oldest_first else {}
    raise web.HTTPSeeOther(f"{FRAME.path}?{urlencode({**values, **order, 'done': told})}")


async def _chosen(
    request: web.Request, form: Form, values: dict[str, str], *, is_oldest_first: bool
) -> list[UUID]:
    """What is ticked, or the first of what the list shows. Raises Invalid: nothing is."""
    if not form.flag("all"):
        return _ticked(form)
    async with request.app[SESSIONS]() as session:
        order, most = {"is_oldest_first": is_oldest_first}, mass.MOST_COMMUNICATIONS
        wanted = await found_by(session, request, values, **order)
        return await communication_ids(session, request[ACCESS], wanted, most, **order)


def _ticked(form: Form) -> list[UUID]:
    """Raises Invalid: none."""
    found = []
    for typed in form.several("ids"):
        try:
            found.append(UUID(typed))
        except ValueError:
            continue
    if not found:
        raise Invalid("ids", "", N_("Tick the rows first."))
    return found


async def _act(request: web.Request, form: Form, ids: list[UUID]) -> MassResult:
    sessions, access = request.app[SESSIONS], request[ACCESS]
    match form.text("action"):
        case "give":
            return await mass.give_communications(sessions, access, ids, form.whole("user_id") or 0)
        case "lead":
            return await mass.tie_to_lead(sessions, access, ids, form.whole("number") or 0)
        case "party":
            return await mass.tie_to_party(sessions, access, ids, form.whole("number") or 0)
        case "held" | "cancelled" as state:
            return await mass.end_meetings(sessions, access, ids, state)
        case "bin":
            return await mass.bin_communications(sessions, access, ids)
        case other:
            raise Invalid("action", other[:50], N_("There is no such action."))
