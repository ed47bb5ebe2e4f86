"""Connections to PBXs: how each stands, its settings, and the check that says why nothing pops."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from ami_adapter import diagnose
from ami_adapter.link import AmiSettings
from crm import telephony
from crm.connection_gaps import latest_gaps
from crm.errors import SecretUnreadable
from crm.pop_delays import delays_of_last_day
from crm.sealing import Seal
from crm.second_truth import SecondTruth, second_truth
from crm.telephony import AsteriskSettings, ConnectionInfo
from web.i18n import gettext as _
from web.keys import ACCESS, NOW, SERVICES, SESSIONS
from web.pages.admin.check_words import ToldAnswer, told
from web.pages.admin.link_words import told_link
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, filled, form_of
from web.pages.problems import tell
from web.pages.saving import saving
from web.render import render_fragment
from web.routes import RouteKind

routes = PageRoutes()
_PATH = "/admin/connections"
_LATEST_GAPS: Final = 10


@routes.get(_PATH, right="connection.read")
async def list_connections(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        connections = await telephony.list_connections(session, request[ACCESS])
        delays = await delays_of_last_day(session, request[ACCESS], request.app[NOW]())
    return render_section(
        request,
        "admin/connections.html",
        _PATH,
        connections=connections,
        told_link=told_link,
        delays=delays,
    )


@routes.get(_PATH + "/new", right="connection.manage")
async def show_new_connection(request: web.Request) -> web.Response:
    form = filled({"port": telephony.DEFAULT_PORT, "is_enabled": True})
    return await _show_form(request, form, None)


@routes.post(_PATH + "/new", right="connection.manage")
async def add_connection(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        connection_id = await telephony.add_connection(
            session,
            request[ACCESS],
            name=form.text("name"),
            settings=_settings(form, AsteriskSettings(host="")),
            secret=form.values.get("secret", ""),
            seal=seal_of(request),
            profile_id=form.whole("profile_id"),
            time_zone=form.optional("time_zone"),
        )
    if not form.is_good:
        return await _show_form(request, form, None)
    raise web.HTTPSeeOther(f"{_PATH}/{connection_id}?saved=1")


@routes.get(_PATH + r"/{id:\d+}", right="connection.read")
async def show_connection(request: web.Request) -> web.Response:
    connection = await connection_of(request)
    return await _show_form(request, _form_of(connection), connection)


@routes.post(_PATH + r"/{id:\d+}", right="connection.manage")
async def edit_connection(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    connection = await connection_of(request)
    async with saving(request, form) as session:
        await telephony.edit_connection(
            session,
            request[ACCESS],
            connection.id,
            version=form.whole("version") or 0,
            name=form.text("name"),
            settings=_settings(form, connection.settings),
            seal=seal_of(request),
            secret=form.values.get("secret") or None,
            is_enabled=form.flag("is_enabled"),
            profile_id=form.whole("profile_id"),
            time_zone=form.optional("time_zone"),
        )
    if not form.is_good:
        return await _show_form(request, form, connection)
    raise web.HTTPSeeOther(f"{_PATH}/{connection.id}?saved=1")


@routes.post(_PATH + r"/{id:\d+}/remove", right="connection.manage")
async def remove_connection(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await telephony.remove_connection(session, request[ACCESS], id_in_path(request))
    raise web.HTTPSeeOther(_PATH)


@routes.post(_PATH + r"/{id:\d+}/check", right="connection.manage", kind=RouteKind.FRAGMENT)
async def check_connection(request: web.Request) -> web.Response:
    """Ask the PBX, beside the running link; takes a few seconds."""
    connection = await connection_of(request)
    try:
        async with request.app[SESSIONS]() as session:
            secret = await telephony.connection_secret(session, connection.id, seal_of(request))
        answers = [told(answer) for answer in await diagnose.check(_ami_settings(connection, secret))]
    except SecretUnreadable as error:
        answers = [ToldAnswer(verdict="bad", text=tell(error), remedy="")]
    return render_fragment(request, "admin/check.html", answers=answers)


def seal_of(request: web.Request) -> Seal:
    """What seals the secrets of connections.

    Raises:
        HTTPServiceUnavailable: this program was started without a key file.
    """
    seal = request.app[SERVICES].seal
    if seal is None:
        raise web.HTTPServiceUnavailable(text=_("This program has no key file, so it keeps no secrets."))
    return seal


def _ami_settings(connection: ConnectionInfo, secret: str) -> AmiSettings:
    return AmiSettings(
        host=connection.settings.host,
        port=connection.settings.port,
        user=connection.settings.user,
        secret=secret,
        accepts_excessive_rights=connection.settings.accepts_excessive_rights,
    )


def _settings(form: Form, before: AsteriskSettings) -> AsteriskSettings:
    """What was typed; settings without a field of their own stay as they are."""
    return AsteriskSettings(
        host=form.text("host"),
        port=form.whole("port") or 0,
        user=form.text("user"),
        event_classes=before.event_classes,
        accepts_excessive_rights=form.flag("accepts_excessive_rights"),
        originate_context=before.originate_context,
    )


def _form_of(connection: ConnectionInfo) -> Form:
    settings = connection.settings
    return filled(
        {
            "name": connection.name,
            "host": settings.host,
            "port": settings.port,
            "user": settings.user,
            "accepts_excessive_rights": settings.accepts_excessive_rights,
            "is_enabled": connection.is_enabled,
            "profile_id": connection.profile_id,
            "time_zone": connection.time_zone,
            "version": connection.version,
        }
    )


async def connection_of(request: web.Request) -> ConnectionInfo:
    async with request.app[SESSIONS]() as session:
        return await telephony.connection(session, request[ACCESS], id_in_path(request))


async def _show_form(request: web.Request, form: Form, connection: ConnectionInfo | None) -> web.Response:
    async with request.app[SESSIONS]() as session:
        profiles = await telephony.list_profiles(session)
        gaps = await latest_gaps(session, connection.id, _LATEST_GAPS) if connection else []
        truth = await second_truth(session, request[ACCESS], connection.id) if connection else SecondTruth()
    return render_section(
        request,
        "admin/connection.html",
        _PATH,
        status=form.status,
        form=form,
        connection=connection,
        profiles=profiles,
        gaps=gaps,
        truth=truth,
        told_link=told_link,
        is_saved="saved" in request.query,
    )
