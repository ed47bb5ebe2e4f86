"""Users: who works here, with which roles; creating, editing, passwords, blocking."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm import accounts, roles
from crm.accounts import UserInfo
from web.i18n import LANGUAGES
from web.keys import ACCESS, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, filled, form_of
from web.pages.problems import FORM_ERRORS, tell
from web.pages.saving import saving

routes = PageRoutes()
_PATH = "/admin/users"


@routes.get(_PATH, right="user.read")
async def list_users(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        users = await accounts.list_users(session, request[ACCESS])
        found = await roles.list_roles(session, request[ACCESS])
    by_code = {role.code: role for role in found}
    return render_section(request, "admin/users.html", _PATH, users=users, roles=by_code)


@routes.get(_PATH + "/new", right="user.manage")
async def show_new_user(request: web.Request) -> web.Response:
    form = filled({"language": request[ACCESS].language}, roles=["agent"])
    return await _show_form(request, form, None)


@routes.post(_PATH + "/new", right="user.manage")
async def create_user(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        user_id = await accounts.create_user(
            session,
            request[ACCESS],
            login=form.text("login"),
            name=form.text("name"),
            role_codes=form.several("roles"),
            password=form.values.get("password") or None,
            language=form.text("language"),
            time_zone=form.optional("time_zone"),
            team_id=await _team_id(session, request, form),
            is_head=form.flag("is_head"),
        )
    if not form.is_good:
        return await _show_form(request, form, None)
    raise web.HTTPSeeOther(f"{_PATH}/{user_id}?saved=1")


@routes.get(_PATH + r"/{id:\d+}", right="user.read")
async def show_user(request: web.Request) -> web.Response:
    user = await _user(request)
    return await _show_form(request, _form_of_user(user), user)


@routes.post(_PATH + r"/{id:\d+}", right="user.manage")
async def edit_user(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    user_id = id_in_path(request)
    async with saving(request, form) as session:
        await accounts.edit_user(
            session,
            request[ACCESS],
            user_id,
            version=form.whole("version") or 0,
            name=form.text("name"),
            language=form.text("language"),
            time_zone=form.optional("time_zone"),
            role_codes=form.several("roles"),
        )
        await _move_to_team(session, request, form, user_id)
    if not form.is_good:
        return await _show_form(request, form, await _user(request))
    raise web.HTTPSeeOther(f"{_PATH}/{user_id}?saved=1")


@routes.post(_PATH + r"/{id:\d+}/password", right="user.manage")
async def set_password(request: web.Request) -> web.Response:
    posted = form_of((await request.post()).items())
    user_id = id_in_path(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            await accounts.set_password(session, request[ACCESS], user_id, posted.values.get("password", ""))
    except FORM_ERRORS as error:
        user = await _user(request)
        form = _form_of_user(user)
        form.refuse("new_password", tell(error))
        return await _show_form(request, form, user)
    raise web.HTTPSeeOther(f"{_PATH}/{user_id}?saved=1")


@routes.post(_PATH + r"/{id:\d+}/block", right="user.manage")
async def block_user(request: web.Request) -> web.Response:
    return await _switch(request, accounts.block_user)


@routes.post(_PATH + r"/{id:\d+}/unblock", right="user.manage")
async def unblock_user(request: web.Request) -> web.Response:
    return await _switch(request, accounts.unblock_user)


async def _switch(request: web.Request, act: Any) -> web.Response:
    user_id = id_in_path(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            await act(session, request[ACCESS], user_id)
    except FORM_ERRORS as error:
        user = await _user(request)
        form = _form_of_user(user)
        form.refuse("", tell(error))
        return await _show_form(request, form, user)
    raise web.HTTPSeeOther(f"{_PATH}/{user_id}")


async def _user(request: web.Request) -> UserInfo:
    async with request.app[SESSIONS]() as session:
        return await accounts.user(session, request[ACCESS], id_in_path(request))


async def _team_id(session: AsyncSession, request: web.Request, form: Form) -> int | None:
    """The team chosen, or the one whose name was typed, made on the spot."""
    if name := form.optional("new_team"):
        return await accounts.create_team(session, request[ACCESS], name)
    return form.whole("team_id")


async def _move_to_team(session: AsyncSession, request: web.Request, form: Form, user_id: int) -> None:
    before = await accounts.user(session, request[ACCESS], user_id)
    team_id = await _team_id(session, request, form)
    if team_id is not None and (team_id != before.team_id or form.flag("is_head")):
        await accounts.put_in_team(session, request[ACCESS], user_id, team_id, is_head=form.flag("is_head"))


def _form_of_user(user: UserInfo) -> Form:
    stored = {
        name: getattr(user, name) for name in ("login", "name", "language", "time_zone", "team_id", "version")
    }
    return filled(stored, roles=user.role_codes)


async def _show_form(request: web.Request, form: Form, user: UserInfo | None) -> web.Response:
    async with request.app[SESSIONS]() as session:
        teams = await accounts.list_teams(session)
        found = await roles.list_roles(session, request[ACCESS])
    return render_section(
        request,
        "admin/user.html",
        _PATH,
        status=form.status,
        form=form,
        user=user,
        teams=teams,
        roles=found,
        languages=LANGUAGES,
        is_saved="saved" in request.query,
    )
