"""Where a PBX writes its calls down itself, so that gaps can be filled from there."""

from __future__ import annotations

from aiohttp import web

from crm.second_truth import SecondTruth, TruthKind, second_truth, set_second_truth
from crm.telephony import ConnectionInfo
from web.keys import ACCESS, SESSIONS
from web.pages.admin.connections import connection_of, seal_of
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes
from web.pages.forms import Form, filled, form_of
from web.pages.saving import saving

routes = PageRoutes()
_SECTION = "/admin/connections"
_PATH = _SECTION + r"/{id:\d+}/truth"


@routes.get(_PATH, right="connection.manage")
async def show_truth(request: web.Request) -> web.Response:
    connection = await connection_of(request)
    async with request.app[SESSIONS]() as session:
        truth = await second_truth(session, request[ACCESS], connection.id)
    return _show(request, connection, _form_of(truth))


@routes.post(_PATH, right="connection.manage")
async def set_truth(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    connection = await connection_of(request)
    async with saving(request, form) as session:
        await set_second_truth(
            session,
            request[ACCESS],
            connection.id,
            _truth(form),
            seal=seal_of(request),
            secret=form.values.get("secret") or None,
        )
    if not form.is_good:
        return _show(request, connection, form)
    raise web.HTTPSeeOther(f"{_SECTION}/{connection.id}?saved=1")


def _truth(form: Form) -> SecondTruth:
    """What was typed; fields of another kind than the chosen one are left aside."""
    typed = form.text("kind")
    kind = TruthKind(typed) if typed in {*TruthKind} else TruthKind.NONE
    if not kind.is_table:
        return SecondTruth(kind=kind, path=form.text("path"), time_zone=form.text("time_zone"))
    return SecondTruth(
        kind=kind,
        host=form.text("host"),
        port=form.whole("port") or kind.usual_port,
        database=form.text("database"),
        user=form.text("user"),
        time_zone=form.text("time_zone"),
    )


def _form_of(truth: SecondTruth) -> Form:
    return filled({"kind": truth.kind.value, **truth.to_store(), "port": truth.port or ""})


def _show(request: web.Request, connection: ConnectionInfo, form: Form) -> web.Response:
    return render_section(
        request,
        "admin/truth.html",
        _SECTION,
        status=form.status,
        form=form,
        connection=connection,
        kinds=[kind.value for kind in TruthKind],
    )
