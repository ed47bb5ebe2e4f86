"""The tasks of a client or a lead, a part of its card; and the line «title + Enter» that sets one anywhere."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.calls_read import call_card
from crm.errors import Invalid
from crm.lead_cards import lead_card
from crm.party_cards import party_card
from crm.task_lists import TaskFilter, count_tasks, fitting_tasks, list_tasks
from crm.task_values import TaskValues
from crm.tasks import NewTask, complete_task, create_task
from web.i18n import gettext as _
from web.keys import ACCESS, DESK, NOW, SERVICES, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of
from web.pages.problems import FORM_ERRORS, tell
from web.pages.tasks.typed import call_of, term_in_words, way_back
from web.pops import CALL_ID, call_id_of
from web.render import render, render_fragment, wants_rows, zone_of
from web.routes import RouteKind

routes = PageRoutes()
REMIND_BEFORE = 10  # minutes, of a task set during a call


@routes.get(r"/parties/{id:\d+}/tasks", right="task.read")
async def show_tasks_of_party(request: web.Request) -> web.Response:
    access, party_id = request[ACCESS], id_in_path(request)
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, access, party_id)
        if card.id != party_id:  # merged: the one who lives on has the tasks
            raise web.HTTPMovedPermanently(f"/parties/{card.id}/tasks")
        shown = await _shown(session, request, f"/parties/{card.id}/tasks", party_id=card.id)
    return _answer(request, "tasks/of_party.html", shown, party=card, part="tasks")


@routes.get(r"/leads/{id:\d+}/tasks", right="task.read")
async def show_tasks_of_lead(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        card = await lead_card(session, request[ACCESS], id_in_path(request))
        shown = await _shown(session, request, f"/leads/{card.lead.id}/tasks", lead_id=card.lead.id)
    return _answer(request, "tasks/of_lead.html", shown, card=card, lead=card.lead)


@routes.get(r"/parties/{id:\d+}/tasks/count", right="task.read", kind=RouteKind.FRAGMENT)
async def count_of_party(request: web.Request) -> web.Response:
    """The counter of the tab: open tasks, within one's rights."""
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, request[ACCESS], id_in_path(request))
        count = await count_tasks(session, request[ACCESS], TaskFilter(party_id=card.id))
    return render_fragment(request, "tasks/count.html", count=count)


@routes.get(r"/leads/{id:\d+}/tasks/count", right="task.read", kind=RouteKind.FRAGMENT)
async def count_of_lead(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        card = await lead_card(session, request[ACCESS], id_in_path(request))
        count = await count_tasks(session, request[ACCESS], TaskFilter(lead_id=card.lead.id))
    return render_fragment(request, "tasks/count.html", count=count)


@routes.post("/tasks/quick", right="task.edit")
async def set_quickly(request: web.Request) -> web.Response:
    """A title and Enter: the rest is what the card says it is about, and the word that was chosen for the term."""
    form = form_of((await request.post()).items())
    try:
        await _set(request, form, _values(request, form))
    except FORM_ERRORS as error:
        back = way_back(form, "/tasks")
        return render(request, "tasks/refused.html", status=422, problem=tell(error), back=back)
    raise web.HTTPSeeOther(way_back(form, "/tasks"))


@routes.get(rf"/calls/{CALL_ID}/task", right="task.edit", kind=RouteKind.FRAGMENT)
async def show_line_of_call(request: web.Request) -> web.Response:
    """The line for a call window; `party` in the address is whom the window takes the caller for."""
    return await _line(request, Form({"party": request.query.get("party", "")}))


@routes.post(rf"/calls/{CALL_ID}/task", right="task.edit", kind=RouteKind.FRAGMENT)
async def set_from_call(request: web.Request) -> web.Response:
    """A task from a call: to call again tomorrow at ten, with a reminder; the line is answered again, with what was set."""
    form, call_id = form_of((await request.post()).items()), call_id_of(request)
    form.values["call"] = str(call_id)
    due_at, due_on = term_in_words("morning", request.app[NOW](), zone_of(request))
    values = _values(request, form, kind="call", due_at=due_at, due_on=due_on)
    is_present = request.app[DESK].has_seat(request[ACCESS].user_id, call_id)
    try:
        await _set(request, form, values, remind_minutes=REMIND_BEFORE, is_present=is_present)
    except FORM_ERRORS as error:
        return await _line(request, form, problem=tell(error))
    told = _("Set for tomorrow at 10:00: %(title)s") % {"title": values.title}
    return await _line(request, Form({"party": form.text("party")}), told=told)


@routes.post(rf"/calls/{CALL_ID}/task/{{id:\d+}}/complete", right="task.edit", kind=RouteKind.FRAGMENT)
async def complete_from_call(request: web.Request) -> web.Response:
    """«Завершить задачу»: done in this call, which it is tied to."""
    form, task_id = form_of((await request.post()).items()), id_in_path(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            await complete_task(
                session,
                request[ACCESS],
                task_id,
                call_id=await _own_call(session, request),
                via="call_window",
            )
    except FORM_ERRORS as error:
        return await _line(request, form, problem=tell(error))
    return await _line(request, Form({"party": form.text("party")}), told=_("The task is done."))


async def _own_call(session: AsyncSession, request: web.Request) -> UUID:
    """The call in the address, if it is at this user now, or within their right to calls. Raises NotFound."""
    access, call_id = request[ACCESS], call_id_of(request)
    if not request.app[DESK].has_seat(access.user_id, call_id):
        await call_card(session, access, call_id)
    return call_id


async def _line(request: web.Request, form: Form, *, problem: str = "", told: str = "") -> web.Response:
    access, party_id = request[ACCESS], form.whole("party")
    async with request.app[SESSIONS]() as session:
        fitting = await fitting_tasks(session, access, party_id) if party_id else []
    return render_fragment(
        request,
        "tasks/call_line.html",
        status=422 if problem else 200,
        call_id=call_id_of(request),
        party=party_id or "",
        title=form.text("title"),
        fitting=fitting,
        problem=problem,
        told=told,
    )


async def _set(request: web.Request, form: Form, values: TaskValues, **more: Any) -> int:
    home = request.app[SERVICES].time_zone
    async with request.app[SESSIONS].begin() as session:
        return await create_task(
            session, request[ACCESS], NewTask(values=values, **more), home_zone=home, via=_via(form)
        )


def _via(form: Form) -> str:
    return "call_window" if form.text("call") else "form"


def _values(request: web.Request, form: Form, **more: Any) -> TaskValues:
    due_at, due_on = term_in_words(form.text("word"), request.app[NOW](), zone_of(request))
    said: dict[str, Any] = {
        "title": form.text("title"),
        "due_at": due_at,
        "due_on": due_on,
        "party_id": form.whole("party"),
        "lead_id": form.whole("lead"),
        "communication_id": call_of(form),
    }
    return TaskValues(**said | more)


async def _shown(session: AsyncSession, request: web.Request, path: str, **about: int) -> dict[str, Any]:
    """A page of the tasks of a record; by default the open ones, with `state=all` whatever there was."""
    state = "all" if request.query.get("state") == "all" else "open"
    wanted = TaskFilter(state=state, **about)  # type: ignore[arg-type]
    try:
        page = await list_tasks(session, request[ACCESS], wanted, cursor=request.query.get("after"))
    except Invalid as error:
        raise web.HTTPBadRequest(text=tell(error)) from error
    return {"page": page, "state": state, "path": path, "now": request.app[NOW](), **about}


def _answer(request: web.Request, template: str, shown: dict[str, Any], **more: Any) -> web.Response:
    if wants_rows(request, "task-more"):
        return render_fragment(request, "tasks/items.html", **shown)
    return render(request, template, **shown, **more)
