"""Extensions: which telephones they are and who sits at them, from when."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from crm import telephony
from crm.errors import Invalid
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, NOW, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes
from web.pages.forms import Form, form_of, read_moment
from web.pages.saving import saving
from web.render import zone_of

routes = PageRoutes()
_PATH = "/admin/extensions"


@routes.get(_PATH, right="extension.manage")
async def list_extensions(request: web.Request) -> web.Response:
    return await _show(request, Form())


@routes.post(_PATH + "/assign", right="extension.manage")
async def assign(request: web.Request) -> web.Response:
    """Someone sits down at an extension, now or from a moment on; an unknown extension is made."""
    form = form_of((await request.post()).items())
    connection_id, digits = form.whole("connection_id") or 0, form.text("digits")
    async with saving(request, form) as session:
        at = _moment(request, form)
        endpoints = form.text("endpoints").replace(",", " ").split()
        if endpoints or form.flag("sets_endpoints"):
            await telephony.set_endpoints(session, request[ACCESS], connection_id, digits, endpoints)
        if user_id := form.whole("user_id"):
            await telephony.assign_extension(session, request[ACCESS], connection_id, digits, user_id, at=at)
        else:
            await telephony.unassign_extension(session, request[ACCESS], connection_id, digits, at=at)
    if not form.is_good:
        return await _show(request, form)
    raise web.HTTPSeeOther(_PATH)


def _moment(request: web.Request, form: Form) -> datetime | None:
    """When it begins; nothing typed is now. A moment to come is refused: an assignment of tomorrow is made tomorrow."""
    typed = form.text("since")
    if not typed:
        return None
    local = read_moment(typed)
    if local is None:
        raise Invalid("since", typed, N_("This is not a moment. Write it as 20.11.2026 14:32."))
    at = local.replace(tzinfo=zone_of(request)).astimezone(UTC)
    if at > request.app[NOW]():
        raise Invalid(
            "since", typed, N_("This moment is still to come. Assign the extension when it has come.")
        )
    return at


async def _show(request: web.Request, form: Form) -> web.Response:
    async with request.app[SESSIONS]() as session:
        extensions = await telephony.list_extensions(session)
        users = await telephony.assignable_users(session, request[ACCESS])
        connections = await telephony.list_connections(session, request[ACCESS])
    return render_section(
        request,
        "admin/extensions.html",
        _PATH,
        status=form.status,
        form=form,
        extensions=extensions,
        users=users,
        connections=connections,
    )
