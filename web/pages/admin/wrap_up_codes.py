"""«Итоги разговора»: the codes agents choose from after a talk, and the lines that insist on one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from aiohttp import web

from crm import wrap_up_codes as codes
from crm.lines import list_lines
from crm.wrap_up_codes import CodeInfo, CodeValues
from web.keys import ACCESS, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, filled, form_of
from web.pages.saving import saving

routes = PageRoutes()
_PATH: Final = "/admin/wrap-up"
_ONE: Final = _PATH + r"/{id:\d+}"


@routes.get(_PATH, right="directory.manage")
async def show_codes(request: web.Request) -> web.Response:
    return await _show(request, Form())


@routes.post(_PATH, right="directory.manage")
async def add(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        await codes.add_code(session, request[ACCESS], _typed(form))
    if not form.is_good:
        return await _show(request, form)
    raise web.HTTPSeeOther(f"{_PATH}?saved=1")


@routes.post(_PATH + "/lines", right="directory.manage")
async def require_on_lines(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        await codes.require_on_lines(session, request[ACCESS], _ids(form.several("required")))
    if not form.is_good:
        return await _show(request, form)
    raise web.HTTPSeeOther(f"{_PATH}?saved=1")


@routes.get(_ONE, right="directory.manage")
async def show_code(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        code = await codes.code_named(session, id_in_path(request))
    return await _show_code(request, code, _stored(code))


@routes.post(_ONE, right="directory.manage")
async def edit(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    code_id = id_in_path(request)
    async with request.app[SESSIONS]() as session:
        code = await codes.code_named(session, code_id)
    async with saving(request, form) as session:
        await codes.edit_code(session, request[ACCESS], code_id, _typed(form))
    if not form.is_good:
        return await _show_code(request, code, form)
    raise web.HTTPSeeOther(f"{_PATH}?saved=1")


@routes.post(_ONE + "/archive", right="directory.manage")
async def archive(request: web.Request) -> web.Response:
    return await _archive(request, is_archived=True)


@routes.post(_ONE + "/restore", right="directory.manage")
async def restore(request: web.Request) -> web.Response:
    return await _archive(request, is_archived=False)


async def _archive(request: web.Request, *, is_archived: bool) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await codes.archive_code(session, request[ACCESS], id_in_path(request), is_archived=is_archived)
    raise web.HTTPSeeOther(f"{_PATH}?saved=1")


def _typed(form: Form) -> CodeValues:
    return CodeValues(
        name=form.text("name"),
        colour=form.optional("colour"),
        direction=form.optional("direction"),
        needs_comment=form.flag("needs_comment"),
        creates_task=form.flag("creates_task"),
        line_ids=_ids(form.several("lines")),
    )


def _ids(typed: Collection[str]) -> frozenset[int]:
    found = (Form({"id": each}).whole("id") for each in typed)
    return frozenset(each for each in found if each is not None)


def _stored(code: CodeInfo) -> Form:
    values: dict[str, Any] = {
        "name": code.name,
        "colour": code.colour,
        "direction": code.direction,
        "needs_comment": code.needs_comment,
        "creates_task": code.creates_task,
    }
    return filled(values, lines=map(str, code.line_ids))


async def _show(request: web.Request, form: Form) -> web.Response:
    async with request.app[SESSIONS]() as session:
        shown: dict[str, Any] = {
            "codes": await codes.list_codes(session, with_archived=True),
            "lines": await list_lines(session),
            "required": await codes.required_lines(session),
        }
    is_saved = "saved" in request.query
    return render_section(
        request, "admin/wrap_up_codes.html", _PATH, status=form.status, form=form, is_saved=is_saved, **shown
    )


async def _show_code(request: web.Request, code: CodeInfo, form: Form) -> web.Response:
    async with request.app[SESSIONS]() as session:
        lines = await list_lines(session)
    return render_section(
        request, "admin/wrap_up_code.html", _PATH, status=form.status, code=code, lines=lines, form=form
    )
