"""Numbering profiles: how numbers are written where a PBX stands; a connection or a line names one."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from crm import telephony
from crm.errors import NotFound
from crm.telephony import ProfileInfo, ProfileValues
from web.keys import ACCESS, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, filled, form_of
from web.pages.saving import saving

routes = PageRoutes()
_SECTION: Final = "/admin/numbers"
_PATH: Final = "/admin/profiles"
_LISTS: Final = ("outside_prefixes", "feature_codes", "service_numbers")


@routes.get(_PATH + "/new", right="connection.manage")
async def show_new_profile(request: web.Request) -> web.Response:
    return _show(request, filled({"region": "RU"}), None)


@routes.post(_PATH + "/new", right="connection.manage")
async def add_profile(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        await telephony.add_profile(session, request[ACCESS], _values(form))
    if not form.is_good:
        return _show(request, form, None)
    raise web.HTTPSeeOther(_SECTION)


@routes.get(_PATH + r"/{id:\d+}", right="connection.manage")
async def show_profile(request: web.Request) -> web.Response:
    profile = await _profile(request)
    texts = {name: " ".join(getattr(profile, name)) for name in _LISTS}
    form = filled(
        {
            "name": profile.name,
            "region": profile.region,
            "area_code": profile.area_code,
            "internal_pattern": profile.internal_pattern,
            "version": profile.version,
            **texts,
        }
    )
    return _show(request, form, profile)


@routes.post(_PATH + r"/{id:\d+}", right="connection.manage")
async def edit_profile(request: web.Request) -> web.Response:
    """Numbers already stored stay as they are; calls from now on are read anew."""
    form = form_of((await request.post()).items())
    profile = await _profile(request)
    async with saving(request, form) as session:
        await telephony.edit_profile(
            session, request[ACCESS], profile.id, _values(form), version=form.whole("version") or 0
        )
    if not form.is_good:
        return _show(request, form, profile)
    raise web.HTTPSeeOther(_SECTION)


def _values(form: Form) -> ProfileValues:
    return ProfileValues(
        name=form.text("name"),
        region=form.text("region").upper(),
        area_code=form.text("area_code"),
        internal_pattern=form.text("internal_pattern"),
        **{name: tuple(form.text(name).replace(",", " ").split()) for name in _LISTS},
    )


async def _profile(request: web.Request) -> ProfileInfo:
    profile_id = id_in_path(request)
    async with request.app[SESSIONS]() as session:
        profiles = await telephony.list_profiles(session)
    found = next((profile for profile in profiles if profile.id == profile_id), None)
    if found is None:
        raise NotFound("profile", profile_id)
    return found


def _show(request: web.Request, form: Form, profile: ProfileInfo | None) -> web.Response:
    return render_section(
        request, "admin/profile.html", _SECTION, status=form.status, form=form, profile=profile
    )
