"""Roles: which there are, what each may do and how far; copies of the company's own."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from crm import roles
from crm.errors import CrmError
from crm.granted_rights import RIGHTS
from crm.roles import RoleInfo
from web.keys import ACCESS, SESSIONS
from web.pages.admin.right_words import groups
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, filled, form_of
from web.pages.problems import FORM_ERRORS, tell
from web.pages.saving import saving

routes = PageRoutes()
_PATH = "/admin/roles"


@routes.get(_PATH, right="user.read")
async def list_roles(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        found = await roles.list_roles(session, request[ACCESS])
    return render_section(request, "admin/roles.html", _PATH, roles=found)


@routes.get(_PATH + r"/{id:\d+}", right="user.read")
async def show_role(request: web.Request) -> web.Response:
    role = await _role(request)
    return _show(request, role, _form_of(role))


@routes.post(_PATH + r"/{id:\d+}", right="user.manage")
async def edit_role(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    role = await _role(request)
    async with saving(request, form) as session:
        await roles.edit_role(
            session,
            request[ACCESS],
            role.id,
            version=form.whole("version") or 0,
            name=form.text("name"),
            scopes={right: form.text(right) or "none" for right in RIGHTS},
        )
    if not form.is_good:
        return _show(request, role, form)
    raise web.HTTPSeeOther(f"{_PATH}/{role.id}?saved=1")


@routes.post(_PATH + r"/{id:\d+}/copy", right="user.manage")
async def copy_role(request: web.Request) -> web.Response:
    posted = form_of((await request.post()).items())
    role = await _role(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            new_id = await roles.copy_role(session, request[ACCESS], role.id, posted.text("copy_name"))
    except FORM_ERRORS as error:
        form = _form_of(role)
        form.values["copy_name"] = posted.text("copy_name")
        form.refuse("copy_name", tell(error))
        return _show(request, role, form)
    raise web.HTTPSeeOther(f"{_PATH}/{new_id}")


@routes.post(_PATH + r"/{id:\d+}/restore", right="user.manage")
async def restore_role(request: web.Request) -> web.Response:
    role = await _role(request)
    try:
        await _act(request, roles.restore_role)
    except FORM_ERRORS as error:
        return _refused(request, role, error)
    raise web.HTTPSeeOther(f"{_PATH}/{role.id}?saved=1")


@routes.post(_PATH + r"/{id:\d+}/remove", right="user.manage")
async def remove_role(request: web.Request) -> web.Response:
    role = await _role(request)
    try:
        await _act(request, roles.remove_role)
    except FORM_ERRORS as error:
        return _refused(request, role, error)
    raise web.HTTPSeeOther(_PATH)


def _refused(request: web.Request, role: RoleInfo, error: CrmError) -> web.Response:
    form = _form_of(role)
    form.refuse("", tell(error))
    return _show(request, role, form)


async def _act(request: web.Request, act: Any) -> None:
    async with request.app[SESSIONS].begin() as session:
        await act(session, request[ACCESS], id_in_path(request))


async def _role(request: web.Request) -> RoleInfo:
    async with request.app[SESSIONS]() as session:
        return await roles.role(session, request[ACCESS], id_in_path(request))


def _form_of(role: RoleInfo) -> Form:
    scopes = {right: scope.name.lower() for right, scope in role.scopes.items()}
    return filled({"name": role.name, "version": role.version, **scopes})


def _show(request: web.Request, role: RoleInfo, form: Form) -> web.Response:
    return render_section(
        request,
        "admin/role.html",
        _PATH,
        status=form.status,
        role=role,
        form=form,
        groups=groups(),
        is_saved="saved" in request.query,
    )
