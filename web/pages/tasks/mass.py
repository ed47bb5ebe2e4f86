"""Actions on many tasks of a list: the ticked ones, or everything that its filters find."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from crm.errors import Invalid, NotFound
from crm.mass_changes import MassResult
from crm.task_lists import task_ids
from crm.task_mass import MOST_TASKS, complete_many, give_many, postpone_many
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, NOW, SERVICES, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.forms import Form, form_of
from web.pages.lists.frame import MOST_QUERY, values_in
from web.pages.problems import tell
from web.pages.tasks.lists import wanted_of
from web.pages.tasks.sections import SECTIONS, TaskSection
from web.pages.tasks.typed import Term, ids_of, term_in_words, term_of
from web.render import render, zone_of

routes = PageRoutes()


@routes.post("/tasks/mass", right="task.edit")
async def act(request: web.Request) -> web.Response:
    """Carry it out, batch by batch, and show the list again with the result in words."""
    form = form_of((await request.post()).items())
    section = _section(request, form.text("area"))
    values = values_in(section.frame, dict(parse_qsl(form.values.get("query", "").lstrip("?")[:MOST_QUERY])))
    try:
        result = await _act(request, form, await _chosen(request, form, section, values))
    except Invalid as error:
        return render(request, "tasks/refused.html", status=422, problem=tell(error), back=section.path)
    told = f"{result.changed}.{result.unchanged}.{result.refused}.0"
    raise web.HTTPSeeOther(f"{section.path}?{urlencode({**values, 'done': told})}")


async def _chosen(
    request: web.Request, form: Form, section: TaskSection, values: dict[str, str]
) -> list[int]:
    if not form.flag("all"):
        return ids_of(form)
    async with request.app[SESSIONS]() as session:
        return await task_ids(session, request[ACCESS], wanted_of(request, section, values), MOST_TASKS)


async def _act(request: web.Request, form: Form, ids: list[int]) -> MassResult:
    sessions, access, home = request.app[SESSIONS], request[ACCESS], request.app[SERVICES].time_zone
    match form.text("action"):
        case "complete":
            return await complete_many(sessions, access, ids)
        case "postpone":
            due_at, due_on = _term(request, form)
            return await postpone_many(sessions, access, ids, due_at, due_on, home_zone=home)
        case "give":
            return await give_many(sessions, access, ids, form.whole("owner_id") or 0, home_zone=home)
        case other:
            raise Invalid("action", other[:50], N_("There is no such action."))


def _term(request: web.Request, form: Form) -> Term:
    """A typed term goes before the word that was chosen."""
    if form.text("due"):
        return term_of(form, zone_of(request))
    return term_in_words(form.text("word"), request.app[NOW](), zone_of(request))


def _section(request: web.Request, area: str) -> TaskSection:
    found = next((section for section in SECTIONS if section.frame.area == area), None)
    if found is None or not found.is_for(request[ACCESS]):
        raise NotFound("list", area[:50])
    return found
