"""Schemes of leads: how leads move in each, who may use it, its stages with what they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from crm import scheme_editing, stage_editing, teams
from crm.errors import Conflict, CrmError, Invalid, NotFound
from crm.lead_values import REQUIRABLE
from crm.scheme_editing import SchemeInUse, SchemeRow
from crm.schemes import scheme_of
from crm.stage_editing import StageInUse, StageRow, StageValues
from crm.stage_rules import MoveMode, Outcome
from web.formats import installed_word
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, filled, form_of
from web.pages.leads.words import FIELDS
from web.pages.problems import FORM_ERRORS, note_on, tell

routes = PageRoutes()
PATH: Final = "/admin/schemes"
_SCHEME = PATH + r"/{id:\d+}"
_STAGE = _SCHEME + r"/stages/{stage:\d+}"
_RIGHT: Final = "directory.manage"
_ERRORS: Final = (*FORM_ERRORS, SchemeInUse, StageInUse)
MODES: Final[Mapping[str, str]] = {
    MoveMode.FREE: N_("to any stage"),
    MoveMode.SEQUENTIAL: N_("one stage after another"),
    MoveMode.MATRIX: N_("as ticked below"),
}
WORDS: Final = {name: FIELDS[name] for name in REQUIRABLE}


@routes.get(PATH, right=_RIGHT)
async def list_schemes(request: web.Request) -> web.Response:
    return await _show_list(request, Form())


@routes.post(PATH, right=_RIGHT)
async def create_scheme(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    try:
        async with request.app[SESSIONS].begin() as session:
            name, source = form.text("name"), form.whole("copy_of")
            scheme_id = await scheme_editing.create_scheme(session, request[ACCESS], name, copy_of=source)
    except FORM_ERRORS as error:
        note_on(form, error)
        return await _show_list(request, form, status=422)
    raise web.HTTPSeeOther(f"{PATH}/{scheme_id}")


@routes.get(_SCHEME, right=_RIGHT)
async def show_scheme(request: web.Request) -> web.Response:
    return await _show_scheme(request)


@routes.post(_SCHEME, right=_RIGHT)
async def edit_scheme(request: web.Request) -> web.Response:
    """Name, way of moving, teams; of the matrix what is ticked, if it was shown."""
    form, scheme_id = form_of((await request.post()).items()), id_in_path(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            stored = await scheme_editing.scheme_row(session, request[ACCESS], scheme_id)
            await scheme_editing.edit_scheme(
                session,
                request[ACCESS],
                scheme_id,
                version=form.whole("version") or 0,
                name=_name(form, stored.name),
                mode=form.text("mode"),
                allows_step_back=form.flag("allows_step_back"),
                team_ids=_numbers(form, "teams"),
            )
            if form.flag("has_matrix"):
                moves = _transitions(form)
                await scheme_editing.set_transitions(session, request[ACCESS], scheme_id, moves)
    except FORM_ERRORS as error:
        note_on(form, error)
        return await _show_scheme(request, form=form, status=_status_of(error))
    raise web.HTTPSeeOther(f"{PATH}/{scheme_id}?saved=1")


@routes.post(_SCHEME + "/default", right=_RIGHT)
async def make_default(request: web.Request) -> web.Response:
    return await _act(request, scheme_editing.make_default)


@routes.post(_SCHEME + "/archive", right=_RIGHT)
async def archive_scheme(request: web.Request) -> web.Response:
    return await _act(request, scheme_editing.archive_scheme)


@routes.post(_SCHEME + "/restore", right=_RIGHT)
async def restore_scheme(request: web.Request) -> web.Response:
    return await _act(request, scheme_editing.restore_scheme)


@routes.post(_SCHEME + "/stages", right=_RIGHT)
async def add_stage(request: web.Request) -> web.Response:
    form, scheme_id = form_of((await request.post()).items()), id_in_path(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            values = StageValues(name=form.text("stage_name"))
            stage_id = await stage_editing.add_stage(session, request[ACCESS], scheme_id, values)
    except FORM_ERRORS as error:
        form.refuse("stage_name", tell(error))
        return await _show_scheme(request, stage_form=form, status=422)
    raise web.HTTPSeeOther(f"{PATH}/{scheme_id}/stages/{stage_id}")


@routes.get(_STAGE, right=_RIGHT)
async def show_stage(request: web.Request) -> web.Response:
    return await _show_stage(request)


@routes.post(_STAGE, right=_RIGHT)
async def edit_stage(request: web.Request) -> web.Response:
    form, stage_id = form_of((await request.post()).items()), id_in_path(request, "stage")
    try:
        async with request.app[SESSIONS].begin() as session:
            stored = await _stage_of(session, request)
            version = form.whole("version") or 0
            values = _stage_values(form, stored)
            await stage_editing.edit_stage(session, request[ACCESS], stage_id, values, version=version)
    except FORM_ERRORS as error:
        note_on(form, error)
        return await _show_stage(request, form=form, status=_status_of(error))
    raise web.HTTPSeeOther(f"{PATH}/{id_in_path(request)}")


@routes.post(_STAGE + "/up", right=_RIGHT)
async def move_up(request: web.Request) -> web.Response:
    return await _act_on_stage(request, stage_editing.move_stage, up=True)


@routes.post(_STAGE + "/down", right=_RIGHT)
async def move_down(request: web.Request) -> web.Response:
    return await _act_on_stage(request, stage_editing.move_stage, up=False)


@routes.post(_STAGE + "/restore", right=_RIGHT)
async def restore_stage(request: web.Request) -> web.Response:
    return await _act_on_stage(request, stage_editing.restore_stage)


@routes.post(_STAGE + "/archive", right=_RIGHT)
async def archive_stage(request: web.Request) -> web.Response:
    """Out of use; what stands in it moves to the stage that was chosen."""
    form, stage_id = form_of((await request.post()).items()), id_in_path(request, "stage")
    try:
        async with request.app[SESSIONS].begin() as session:
            await _stage_of(session, request)
            to = form.whole("replaced_by")
            await stage_editing.archive_stage(session, request[ACCESS], stage_id, replaced_by_id=to)
    except _ERRORS as error:
        return await _show_stage(request, archive_problem=tell(error), status=409)
    raise web.HTTPSeeOther(f"{PATH}/{id_in_path(request)}")


async def _act(request: web.Request, act: Any) -> web.Response:
    try:
        async with request.app[SESSIONS].begin() as session:
            await act(session, request[ACCESS], id_in_path(request))
    except _ERRORS as error:
        return await _show_scheme(request, problem=tell(error), status=409)
    raise web.HTTPSeeOther(f"{PATH}/{id_in_path(request)}")


async def _act_on_stage(request: web.Request, act: Any, **how: Any) -> web.Response:
    try:
        async with request.app[SESSIONS].begin() as session:
            await _stage_of(session, request)
            await act(session, request[ACCESS], id_in_path(request, "stage"), **how)
    except _ERRORS as error:
        return await _show_scheme(request, problem=tell(error), status=409)
    raise web.HTTPSeeOther(f"{PATH}/{id_in_path(request)}")


def _status_of(error: CrmError) -> int:
    return 409 if isinstance(error, Conflict) else 422


def _name(form: Form, stored: str) -> str:
    """What was typed; a name that came with the program and was left as it is shown stays one."""
    typed = form.text("name")
    return stored if typed == installed_word(stored) else typed


def _numbers(form: Form, name: str) -> set[int]:
    return {int(each) for each in form.several(name) if each.isascii() and each.isdigit() and len(each) < 19}


def _transitions(form: Form) -> set[tuple[int, int]]:
    """A box is named by the stage it leads from, its value is the stage it leads to."""
    origins = (name.removeprefix("from-") for name in form.values if name.startswith("from-"))
    known = [each for each in origins if each.isascii() and each.isdigit() and len(each) < 19]
    return {(int(origin), to) for origin in known for to in _numbers(form, f"from-{origin}")}


def _stage_values(form: Form, stored: StageRow) -> StageValues:
    return StageValues(
        name=_name(form, stored.name),
        colour=form.optional("colour"),
        probability=_whole_or_refused(form, "probability"),
        sla_seconds=_seconds(form.text("sla")),
        enter=form.several("enter"),
        leave=form.several("leave"),
    )


def _whole_or_refused(form: Form, name: str) -> int | None:
    if form.text(name) and form.whole(name) is None:
        raise Invalid(name, form.text(name), "Write a whole number, or leave it empty.")
    return form.whole(name)


def _seconds(hours: str) -> int | None:
    """A limit typed in hours: «24», «1,5»; None without one."""
    if not hours:
        return None
    try:
        return round(float(hours.replace(",", ".")) * 3600)
    except (ValueError, OverflowError) as error:
        raise Invalid("sla", hours, "Write the limit in hours: 24, or 1.5.") from error


def _hours(seconds: int | None) -> str:
    return "" if seconds is None else f"{seconds / 3600:.4g}"


async def _stage_of(session: Any, request: web.Request) -> StageRow:
    """The stage in the address, when it is one of this scheme's."""
    rows = await stage_editing.stage_rows(session, request[ACCESS], id_in_path(request))
    return _among(rows, id_in_path(request, "stage"))


def _among(rows: list[StageRow], stage_id: int) -> StageRow:
    found = next((row for row in rows if row.id == stage_id), None)
    if found is None:
        raise NotFound("stage", stage_id)
    return found


async def _show_list(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    async with request.app[SESSIONS]() as session:
        schemes = await scheme_editing.scheme_rows(session, request[ACCESS])
        names = {team.id: team.name for team in await teams.list_teams(session)}
    shown = {"schemes": schemes, "team_names": names, "modes": MODES, "most": scheme_editing.MOST_COUNTED}
    return render_section(request, "admin/schemes.html", PATH, status=status, form=form, **shown)


async def _show_scheme(
    request: web.Request,
    *,
    form: Form | None = None,
    stage_form: Form | None = None,
    problem: str = "",
    status: int = 200,
) -> web.Response:
    """The scheme with its stages; with a form as typed, or as stored."""
    async with request.app[SESSIONS]() as session:
        scheme = await scheme_editing.scheme_row(session, request[ACCESS], id_in_path(request))
        stages = await stage_editing.stage_rows(session, request[ACCESS], scheme.id)
        info = await scheme_of(session, scheme.id)
        team_list = await teams.list_teams(session)
    shown = form or _form_of(scheme)
    if problem:
        shown.refuse("", problem)
    return render_section(
        request,
        "admin/scheme.html",
        PATH,
        status=status,
        scheme=scheme,
        stages=stages,
        transitions=info.transitions,
        teams=team_list,
        form=shown,
        stage_form=stage_form or Form(),
        modes=MODES,
        words=WORDS,
        most=scheme_editing.MOST_COUNTED,
        is_saved="saved" in request.query,
    )


def _form_of(scheme: SchemeRow) -> Form:
    stored = {
        "name": installed_word(scheme.name),
        "mode": scheme.mode.value,
        "allows_step_back": scheme.allows_step_back,
        "version": scheme.version,
    }
    return filled(stored, teams=map(str, scheme.team_ids))


async def _show_stage(
    request: web.Request, *, form: Form | None = None, archive_problem: str = "", status: int = 200
) -> web.Response:
    async with request.app[SESSIONS]() as session:
        scheme = await scheme_editing.scheme_row(session, request[ACCESS], id_in_path(request))
        stages = await stage_editing.stage_rows(session, request[ACCESS], scheme.id)
    stage = _among(stages, id_in_path(request, "stage"))
    heirs = [
        each
        for each in stages
        if each.outcome is Outcome.OPEN and each.archived_at is None and each.id != stage.id
    ]
    return render_section(
        request,
        "admin/stage.html",
        PATH,
        status=status,
        scheme=scheme,
        stage=stage,
        heirs=heirs,
        form=form or _form_of_stage(stage),
        words=WORDS,
        most=scheme_editing.MOST_COUNTED,
        archive_problem=archive_problem,
    )


def _form_of_stage(stage: StageRow) -> Form:
    values = stage.values
    stored = {
        "name": installed_word(values.name),
        "colour": values.colour,
        "probability": values.probability,
        "sla": _hours(values.sla_seconds),
        "version": stage.version,
    }
    return filled(stored, enter=values.enter, leave=values.leave)
