"""The card of a task, and everything one can do with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm import reminders, tasks
from crm.errors import Conflict, CrmError, Invalid, NotFound
from crm.owners import active_users
from crm.task_cards import task_card
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, NOW, SERVICES, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of, read_moment
from web.pages.problems import FORM_ERRORS, tell
from web.pages.tasks.typed import MINUTES, Term, morning_after, term_in_words, term_of, typed_term, way_back
from web.pages.tasks.words import steps
from web.render import render, zone_of

routes = PageRoutes()
ONE = r"/tasks/{id:\d+}"
Act = Callable[[AsyncSession, Form], Awaitable[object]]


@routes.get(ONE, right="task.read")
async def show_task(request: web.Request) -> web.Response:
    return await answer_card(request)


async def answer_card(request: web.Request, *, status: int = 200, problem: str = "") -> web.Response:
    """The card, with a problem above it if there is one."""
    access = request[ACCESS]
    async with request.app[SESSIONS]() as session:
        card = await task_card(session, access, id_in_path(request))
        heirs = await active_users(session) if card.may_give and card.task.is_open else []
    return render(
        request,
        "tasks/card.html",
        status=status,
        card=card,
        task=card.task,
        changes=steps(card.changes),
        heirs=heirs,
        now=request.app[NOW](),
        minutes=MINUTES,
        typed_due=typed_term(card.task, zone_of(request)),
        problem_text=problem,
    )


@routes.post(ONE + "/start", right="task.edit")
async def start(request: web.Request) -> web.Response:
    async def act(session: AsyncSession, _form: Form) -> None:
        await tasks.start_task(session, request[ACCESS], id_in_path(request))

    return await _do(request, act)


@routes.post(ONE + "/complete", right="task.edit")
async def complete(request: web.Request) -> web.Response:
    """Done, with what came of it; from the card, a list, the desktop or the window of reminders."""

    async def act(session: AsyncSession, form: Form) -> None:
        await tasks.complete_task(session, request[ACCESS], id_in_path(request), form.prose("result"))

    return await _do(request, act)


@routes.post(ONE + "/cancel", right="task.edit")
async def cancel(request: web.Request) -> web.Response:
    async def act(session: AsyncSession, _form: Form) -> None:
        await tasks.cancel_task(session, request[ACCESS], id_in_path(request))

    return await _do(request, act)


@routes.post(ONE + "/reopen", right="task.edit")
async def reopen(request: web.Request) -> web.Response:
    async def act(session: AsyncSession, _form: Form) -> None:
        await tasks.reopen_task(session, request[ACCESS], id_in_path(request))

    return await _do(request, act)


@routes.post(ONE + "/postpone", right="task.edit")
async def postpone(request: web.Request) -> web.Response:
    async def act(session: AsyncSession, form: Form) -> None:
        due_at, due_on = _term(request, form)
        home = request.app[SERVICES].time_zone
        await tasks.postpone(session, request[ACCESS], id_in_path(request), due_at, due_on, home_zone=home)

    return await _do(request, act)


@routes.post(ONE + "/owner", right="task.give")
async def give(request: web.Request) -> web.Response:
    """To somebody else; whoever loses sight of it by that goes back to their tasks."""

    async def act(session: AsyncSession, form: Form) -> None:
        owner_id, home = form.whole("owner_id") or 0, request.app[SERVICES].time_zone
        await tasks.give_task(session, request[ACCESS], id_in_path(request), owner_id, home_zone=home)

    return await _do(request, act)


@routes.post(ONE + "/watch", right="task.read")
async def watch(request: web.Request) -> web.Response:
    async def act(session: AsyncSession, form: Form) -> None:
        is_watched = form.text("watch") == "1"
        await tasks.watch_task(session, request[ACCESS], id_in_path(request), is_watched=is_watched)

    return await _do(request, act)


@routes.post(ONE + "/reminders", right="task.read")
async def remind(request: web.Request) -> web.Response:
    """So many minutes before the term, or at a moment that is typed or chosen by its word."""

    async def act(session: AsyncSession, form: Form) -> None:
        task_id, access, word = id_in_path(request), request[ACCESS], form.text("word")
        minutes = Form({"minutes": word.removeprefix("m")}).whole("minutes") if word.startswith("m") else None
        if minutes is not None:
            await reminders.add_reminder(session, access, task_id, minutes_before=minutes)
            return
        now, zone = request.app[NOW](), zone_of(request)
        at = {"hour": now + timedelta(hours=1), "morning": morning_after(now, zone)}.get(word)
        if at is None:
            typed = form.text("at")
            found = read_moment(typed)
            if found is None:
                raise Invalid("at", typed[:50], N_("This is no moment. Write it as 31.12.2027 14:30."))
            at = found.replace(tzinfo=zone)
        await reminders.add_reminder(session, access, task_id, at=at)

    return await _do(request, act)


@routes.post(ONE + r"/reminders/{reminder:\d+}/remove", right="task.read")
async def forget(request: web.Request) -> web.Response:
    async def act(session: AsyncSession, _form: Form) -> None:
        await reminders.dismiss(session, request[ACCESS], id_in_path(request, "reminder"))

    return await _do(request, act)


def _term(request: web.Request, form: Form) -> Term:
    """The word that was chosen, or the term that was typed."""
    zone = zone_of(request)
    if word := form.text("word"):
        return term_in_words(word, request.app[NOW](), zone)
    return term_of(form, zone)


async def _do(request: web.Request, act: Act) -> web.Response:
    """One change in a transaction of its own; what cannot be done is told on the card."""
    form = form_of((await request.post()).items())
    try:
        async with request.app[SESSIONS].begin() as session:
            await act(session, form)
    except FORM_ERRORS as error:
        return await answer_card(request, status=_status_of(error), problem=tell(error))
    raise web.HTTPSeeOther(await _seen_after(request, form))


def _status_of(error: CrmError) -> int:
    return 409 if isinstance(error, Conflict) else 422


async def _seen_after(request: web.Request, form: Form) -> str:
    task_id = id_in_path(request)
    try:
        async with request.app[SESSIONS]() as session:
            await task_card(session, request[ACCESS], task_id)
    except NotFound:
        return way_back(form, "/tasks")
    return way_back(form, f"/tasks/{task_id}")
