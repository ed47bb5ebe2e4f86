"""Actions on many rows of a list: the ticked ones, or everything that its filters find."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from crm.errors import CrmError, Invalid, NotFound
from crm.mass_changes import ACTIONS, MassResult, change_kind_of, change_owner_of
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, require
from web.pages.forms import Form, form_of
from web.pages.lists.frame import MOST_QUERY, values_in
from web.pages.parties.lists import all_found
from web.pages.parties.sections import SECTIONS, ListSection
from web.pages.problems import tell
from web.render import render

routes = PageRoutes()


@routes.post("/parties/mass", right="party.read")
async def act(request: web.Request) -> web.Response:
    """Carry it out, batch by batch, and show the list again with the result in words."""
    require(request, "party.change_owner", "party.edit")
    form = form_of((await request.post()).items())
    section = _section(form.text("area"))
    values = values_in(section.frame, dict(parse_qsl(form.values.get("query", "").lstrip("?")[:MOST_QUERY])))
    try:
        result = await _act(request, form, await _chosen(request, form, section, values))
    except (Invalid, NotFound) as error:
        return _refuse(request, section, error)
    told = f"{result.changed}.{result.unchanged}.{result.refused}.{result.kept}"
    raise web.HTTPSeeOther(f"{section.path}?{urlencode({**values, 'done': told})}")


async def _chosen(
    request: web.Request, form: Form, section: ListSection, values: dict[str, str]
) -> list[int]:
    if form.flag("all"):
        async with request.app[SESSIONS]() as session:
            return await all_found(session, request, section, values)
    ids = [int(each) for each in form.several("ids") if each.isascii() and each.isdigit() and len(each) < 19]
    if not ids:
        raise Invalid("ids", "", "Tick the rows first.")
    return ids


async def _act(request: web.Request, form: Form, ids: list[int]) -> MassResult:
    sessions, access, action = request.app[SESSIONS], request[ACCESS], form.text("action")
    if action not in ACTIONS:
        raise Invalid("action", action[:50], "There is no such action.")
    if action == "owner":
        return await change_owner_of(sessions, access, ids, form.whole("owner_id") or 0)
    is_added = action == "add_kind"
    return await change_kind_of(sessions, access, ids, form.text("kind"), is_added=is_added)


def _section(area: str) -> ListSection:
    found = next((section for section in SECTIONS if section.frame.area == area), None)
    if found is None:
        raise NotFound("list", area[:50])
    return found


def _refuse(request: web.Request, section: ListSection, error: CrmError) -> web.Response:
    return render(request, "parties/mass_refused.html", status=422, problem=tell(error), section=section)
