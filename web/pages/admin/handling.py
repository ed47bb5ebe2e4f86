"""«Правила обработки звонков»: what follows from calls, by line and situation; and what would follow from a stored call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from aiohttp import web

from crm.calls_read import list_calls
from crm.errors import Invalid
from crm.handling_rules import (
    DUE_MINUTES,
    FollowUp,
    Rule,
    Rules,
    Situation,
    Trial,
    actions_of,
    all_rules,
    drop_rules_of_line,
    fitting,
    set_rule,
    try_on_call,
)
from crm.lines import list_lines
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes
from web.pages.forms import Form, filled, form_of
from web.pages.problems import note_on

routes = PageRoutes()
_PATH: Final = "/admin/handling"
_LATEST: Final = 15
SITUATIONS: Final[Mapping[Situation, str]] = {
    Situation.INBOUND_MISSED: N_("Incoming, nobody took it"),
    Situation.INBOUND_ANSWERED: N_("Incoming, answered"),
    Situation.OUTBOUND_ANSWERED: N_("Outgoing, answered"),
    Situation.OUTBOUND_FAILED: N_("Outgoing, not reached"),
}
ACTIONS: Final[Mapping[FollowUp, str]] = {
    FollowUp.CALLBACK_CASE: N_("Call back: put into missed callers"),
    FollowUp.LEAD: N_("Make a lead"),
    FollowUp.TASK: N_("Make a task for whoever is responsible"),
    FollowUp.NOTIFY: N_("Notify whoever is responsible"),
    FollowUp.ASSIGN: N_("Make whoever talked responsible for a client who is nobody's"),
}
REASONS: Final[Mapping[str, str]] = {
    "open": N_("The call goes on: rules are asked when it is over."),
    "internal": N_("A call among colleagues: no rule is asked."),
    "ignored": N_("The number is to be ignored: no rule is asked."),
    "mirror": N_("Another connection tells this call better: rules are asked about that one."),
    "turned_away": N_(
        "The caller left in the menu, was turned away, or the end was not seen: no rule is asked."
    ),
}


@routes.get(_PATH, right="line.manage")
async def show(request: web.Request) -> web.Response:
    return await _show(request, _line_in(request.query.get("line", "")))


@routes.post(_PATH, right="line.manage")
async def save(request: web.Request) -> web.Response:
    """All cells of a line (or of all lines) at once; a box is named by its cell, its value is the action."""
    form = form_of((await request.post()).items())
    line_id = _line_in(form.text("line"))
    try:
        async with request.app[SESSIONS].begin() as session:
            for rule in _typed(form, line_id):
                await set_rule(session, request[ACCESS], rule)
    except Invalid as error:
        note_on(form, error)
        return await _show(request, line_id, form)
    raise web.HTTPSeeOther(f"{_PATH}?line={line_id or ''}&saved=1")


@routes.post(_PATH + "/reset", right="line.manage")
async def reset(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    line_id = _line_in(form.text("line"))
    if line_id is not None:
        async with request.app[SESSIONS].begin() as session:
            await drop_rules_of_line(session, request[ACCESS], line_id)
    raise web.HTTPSeeOther(f"{_PATH}?line={line_id or ''}&saved=1")


@routes.get(_PATH + "/try", right="line.manage")
async def try_rules(request: web.Request) -> web.Response:
    """«Проверить на звонке»: choose one of the latest calls, read what would follow; nothing is done."""
    access, chosen = request[ACCESS], request.query.get("call", "")
    trial: Trial | None = None
    async with request.app[SESSIONS]() as session:
        calls = (await list_calls(session, access, limit=_LATEST)).items if access.may("call.read") else ()
        if chosen:
            trial = await try_on_call(session, access, _call_id(chosen))
    return render_section(
        request,
        "admin/handling_try.html",
        _PATH,
        calls=[call for call in calls if call.direction != "internal"],
        trial=trial,
        situations=SITUATIONS,
        actions=ACTIONS,
        reasons=REASONS,
    )


def _call_id(typed: str) -> UUID:
    try:
        return UUID(typed)
    except ValueError as error:
        raise web.HTTPNotFound from error


def _line_in(typed: str) -> int | None:
    return Form({"line": typed[:20]}).whole("line")


def _typed(form: Form, line_id: int | None) -> list[Rule]:
    """Raises Invalid: minutes that are no number, an action that nobody knows."""
    found = []
    for situation in Situation:
        for caller, is_known in (("known", True), ("unknown", False)):
            actions = actions_of(form.several(f"{situation}-{caller}"))
            minutes = form.whole(f"due-{caller}")
            if situation is Situation.INBOUND_MISSED and minutes is None:
                why = "Write the minutes as a whole number from 1 to %(most)d."
                raise Invalid(f"due-{caller}", form.text(f"due-{caller}"), why, most=10_080)
            is_missed = situation is Situation.INBOUND_MISSED
            found.append(
                Rule(
                    line_id=line_id,
                    situation=situation,
                    is_known=is_known,
                    actions=actions,
                    due_minutes=(minutes or 0) if is_missed else DUE_MINUTES,
                )
            )
    return found


async def _show(request: web.Request, line_id: int | None, form: Form | None = None) -> web.Response:
    async with request.app[SESSIONS]() as session:
        lines = await list_lines(session)
        rules = await all_rules(session)
    line = next((each for each in lines if each.id == line_id), None)
    if line_id is not None and line is None:
        raise web.HTTPNotFound
    return render_section(
        request,
        "admin/handling.html",
        _PATH,
        status=422 if form else 200,
        lines=lines,
        line=line,
        has_own=line is not None and line.id in rules.lines(),
        own_lines=rules.lines(),
        situations=SITUATIONS,
        actions=ACTIONS,
        fitting={situation: fitting(situation) for situation in Situation},
        form=form or _stored(rules, line_id),
        is_saved="saved" in request.query,
    )


def _stored(rules: Rules, line_id: int | None) -> Form:
    """What holds for the line now, as a form."""
    chosen, minutes = {}, {}
    for situation in Situation:
        for caller, is_known in (("known", True), ("unknown", False)):
            rule = rules.of(line_id, situation, is_known)
            chosen[f"{situation}-{caller}"] = [action.value for action in rule.actions]
            if situation is Situation.INBOUND_MISSED:
                minutes[f"due-{caller}"] = rule.due_minutes
    return filled(minutes, **chosen)
