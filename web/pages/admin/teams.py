"""Teams: the tree, their heads, who belongs to each from when to when."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from crm import accounts, teams
from crm.errors import NotFound
from crm.teams import TeamInfo
from web.keys import ACCESS, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, filled, form_of
from web.pages.problems import FORM_ERRORS, tell
from web.pages.saving import saving

routes = PageRoutes()
_PATH = "/admin/teams"
_TEAM = _PATH + r"/{id:\d+}"


@routes.get(_PATH, right="user.read")
async def list_teams(request: web.Request) -> web.Response:
    return await _show_tree(request, Form())


@routes.post(_PATH, right="user.manage")
async def create_team(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        await teams.create_team(
            session, request[ACCESS], form.text("name"), parent_id=form.whole("parent_id")
        )
    if not form.is_good:
        return await _show_tree(request, form)
    raise web.HTTPSeeOther(_PATH)


@routes.get(_TEAM, right="user.read")
async def show_team(request: web.Request) -> web.Response:
    return await _show(request, None)


@routes.post(_TEAM, right="user.manage")
async def edit_team(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        await teams.edit_team(
            session,
            request[ACCESS],
            id_in_path(request),
            version=form.whole("version") or 0,
            name=form.text("name"),
            parent_id=form.whole("parent_id"),
        )
    if not form.is_good:
        return await _show(request, form)
    raise web.HTTPSeeOther(f"{_PATH}/{id_in_path(request)}?saved=1")


@routes.post(_TEAM + "/archive", right="user.manage")
async def archive_team(request: web.Request) -> web.Response:
    try:
        async with request.app[SESSIONS].begin() as session:
            await teams.archive_team(session, request[ACCESS], id_in_path(request))
    except FORM_ERRORS as error:
        return await _show(request, None, problem=tell(error))
    raise web.HTTPSeeOther(_PATH)


@routes.post(_TEAM + "/members", right="user.manage")
async def add_member(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with request.app[SESSIONS].begin() as session:
        await teams.add_member(
            session,
            request[ACCESS],
            id_in_path(request),
            form.whole("user_id") or 0,
            is_head=form.flag("is_head"),
            is_primary=form.flag("is_primary"),
        )
    raise web.HTTPSeeOther(f"{_PATH}/{id_in_path(request)}?saved=1")


@routes.post(_TEAM + r"/members/{stay:\d+}/head", right="user.manage")
async def make_head(request: web.Request) -> web.Response:
    return await _change_stay(request, teams.set_head, is_head=True)


@routes.post(_TEAM + r"/members/{stay:\d+}/member", right="user.manage")
async def make_member(request: web.Request) -> web.Response:
    return await _change_stay(request, teams.set_head, is_head=False)


@routes.post(_TEAM + r"/members/{stay:\d+}/end", right="user.manage")
async def end_membership(request: web.Request) -> web.Response:
    return await _change_stay(request, teams.end_membership)


async def _change_stay(request: web.Request, act: Any, **how: Any) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await act(session, request[ACCESS], id_in_path(request, "stay"), **how)
    raise web.HTTPSeeOther(f"{_PATH}/{id_in_path(request)}")


async def _show_tree(request: web.Request, form: Form) -> web.Response:
    async with request.app[SESSIONS]() as session:
        tree = await teams.team_tree(session, request[ACCESS])
    return render_section(request, "admin/teams.html", _PATH, status=form.status, teams=tree, form=form)


async def _show(request: web.Request, form: Form | None, *, problem: str = "") -> web.Response:
    """The team; with its form as typed, or as stored."""
    async with request.app[SESSIONS]() as session:
        tree = await teams.team_tree(session, request[ACCESS])
        team = _of(tree, id_in_path(request))
        below = await teams.team_and_below(session, team.id)
        members = await teams.members_of(session, request[ACCESS], team.id)
        users = await accounts.list_users(session, request[ACCESS], status="active")
    shown = form or filled({"name": team.name, "parent_id": team.parent_id, "version": team.version})
    if problem:
        shown.refuse("", problem)
    present = {member.user_id for member in members if member.until is None}
    return render_section(
        request,
        "admin/team.html",
        _PATH,
        status=shown.status,
        team=team,
        form=shown,
        members=members,
        parents=[each for each in tree if each.id not in below],
        newcomers=[user for user in users if user.id not in present],
        is_saved="saved" in request.query,
    )


def _of(tree: list[TeamInfo], team_id: int) -> TeamInfo:
    found = next((team for team in tree if team.id == team_id), None)
    if found is None:
        raise NotFound("team", team_id)
    return found
