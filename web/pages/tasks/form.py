"""The form of a task: a new one, also begun on a client's, a lead's or a call's card, and an existing one."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm import drafts
from crm.errors import Conflict, CrmError, NotFound
from crm.lead_access import readable_lead
from crm.owners import active_users
from crm.party_cards import PartyCard, party_card
from crm.task_cards import TaskCard, task_card
from crm.task_values import KINDS, PRIORITIES
from crm.tasks import create_task, edit_task
from web.keys import ACCESS, SERVICES, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.drafts import keep_drafts, restored, the_only
from web.pages.forms import Form, filled, form_of
from web.pages.problems import FORM_ERRORS, note_on
from web.pages.tasks.typed import MINUTES, changes_of, form_of_task, new_of, way_back
from web.render import render, zone_of

routes = PageRoutes()
DRAFT: Final = "task"
_GIVEN: Final = ("party", "contact", "lead", "call", "kind", "title")


@routes.get("/tasks/new", right="task.edit")
async def show_new(request: web.Request) -> web.Response:
    """An empty form; what the address names stands in its fields already. What was left in one comes back."""
    said = {name: request.query.get(name, "")[:300] for name in _GIVEN}
    form = filled(said)
    async with request.app[SESSIONS]() as session:
        is_plain = not any(said.values())
        draft = await restored(session, request[ACCESS], form, DRAFT, "") if is_plain else None
    return await _answer(request, form, draft=draft)


@routes.post("/tasks/new", right="task.edit")
async def create(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    home = request.app[SERVICES].time_zone
    try:
        new = new_of(form, zone_of(request))
        async with request.app[SESSIONS].begin() as session:
            made = await create_task(session, request[ACCESS], new, home_zone=home)
            await drafts.drop_draft(session, request[ACCESS], DRAFT, "")
    except FORM_ERRORS as error:
        note_on(form, error)
        return await _answer(request, form, error=error)
    raise web.HTTPSeeOther(way_back(form, f"/tasks/{made}"))


keep_drafts(
    routes, "/tasks/new", DRAFT, right="task.edit", record=the_only, back=lambda _one, _form: "/tasks/new"
)


@routes.get(r"/tasks/{id:\d+}/edit", right="task.edit")
async def show_edit(request: web.Request) -> web.Response:
    card = await _editable(request)
    return await _answer(request, form_of_task(card.task, zone_of(request)), card=card)


@routes.post(r"/tasks/{id:\d+}/edit", right="task.edit")
async def edit(request: web.Request) -> web.Response:
    card = await _editable(request)
    form = form_of((await request.post()).items())
    more: dict[str, Any] = {
        "home_zone": request.app[SERVICES].time_zone,
        "base_version": form.whole("version"),
    }
    try:
        changes = changes_of(form, zone_of(request))
        async with request.app[SESSIONS].begin() as session:
            await edit_task(session, request[ACCESS], card.task.id, changes, **more)
    except FORM_ERRORS as error:
        note_on(form, error)
        if isinstance(error, Conflict):
            form.values["version"] = str(error.version)
        return await _answer(request, form, card=card, error=error)
    raise web.HTTPSeeOther(f"/tasks/{card.task.id}")


async def _editable(request: web.Request) -> TaskCard:
    async with request.app[SESSIONS]() as session:
        card = await task_card(session, request[ACCESS], id_in_path(request))
    if not card.may_edit:
        raise web.HTTPNotFound
    return card


async def _answer(
    request: web.Request,
    form: Form,
    *,
    card: TaskCard | None = None,
    error: CrmError | None = None,
    draft: Any = None,
) -> web.Response:
    access = request[ACCESS]
    async with request.app[SESSIONS]() as session:
        context: dict[str, Any] = {
            "party": None if card else await _party(session, request, form),
            "lead_number": None if card else await _lead_number(session, request, form),
            "people": [] if card else await active_users(session),
        }
    return render(
        request,
        "tasks/form.html",
        status=(409 if isinstance(error, Conflict) else 422) if error else 200,
        form=form,
        card=card,
        kinds=KINDS,
        priorities=PRIORITIES,
        minutes=MINUTES,
        may_give=access.may("task.give"),
        draft=draft,
        **context,
    )


async def _party(session: AsyncSession, request: web.Request, form: Form) -> PartyCard | None:
    """Whom the task is to be about; of a client that one may not read, nothing."""
    party_id = form.whole("party")
    if party_id is None or not request[ACCESS].may("party.read"):
        form.values.pop("party", None)
        return None
    try:
        return await party_card(session, request[ACCESS], party_id)
    except NotFound:
        form.values.pop("party")
        return None


async def _lead_number(session: AsyncSession, request: web.Request, form: Form) -> int | None:
    lead_id = form.whole("lead")
    if lead_id is None or not request[ACCESS].may("lead.read"):
        form.values.pop("lead", None)
        return None
    try:
        return (await readable_lead(session, request[ACCESS], lead_id)).number
    except NotFound:
        form.values.pop("lead")
        return None
