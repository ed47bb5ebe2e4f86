"""API tokens: for programs, each with an owner; its text is shown once, at its making."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm import accounts
from crm.errors import Invalid, NotFound
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of, read_date
from web.pages.saving import saving
from web.render import zone_of

routes = PageRoutes()
_PATH = "/admin/tokens"
_READING: Final = ("party.read", "call.read", "live.own", "live.board", "user.read", "connection.read")


@routes.get(_PATH, right="token.manage")
async def list_tokens(request: web.Request) -> web.Response:
    return await _show(request, Form())


@routes.post(_PATH, right="token.manage")
async def create_token(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        expires_at = _expiry(form, request)
        user_id = form.whole("user_id") or 0
        token = await accounts.create_token(
            session,
            request[ACCESS],
            user_id,
            form.text("name"),
            rights=await _rights(session, user_id, form.text("reach")),
            expires_at=expires_at,
        )
    if not form.is_good:
        return await _show(request, form)
    return await _show(request, Form(), token=token)


@routes.post(_PATH + r"/{id:\d+}/end", right="token.manage")
async def end_token(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await accounts.end_token(session, request[ACCESS], id_in_path(request))
    raise web.HTTPSeeOther(_PATH)


def _expiry(form: Form, request: web.Request) -> datetime | None:
    """The end of the chosen day where the reader is."""
    typed = form.text("expires_on")
    if not typed:
        return None
    if (day := read_date(typed)) is None:
        raise Invalid("expires_on", typed, N_("This is not a date. Write it as 31.12.2027."))
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=zone_of(request))


async def _rights(session: AsyncSession, user_id: int, reach: str) -> Mapping[str, str] | None:
    """The subset of the owner's rights that a token gets: all, or those that only read."""
    if reach != "read":
        return None
    owner = await accounts.access_of(session, user_id)
    if owner is None:
        raise NotFound("user", user_id)
    return {right: owner.scope(right).name.lower() for right in _READING if owner.may(right)}


async def _show(request: web.Request, form: Form, *, token: str | None = None) -> web.Response:
    async with request.app[SESSIONS]() as session:
        tokens = await accounts.list_tokens(session, request[ACCESS])
        users = await accounts.list_users(session, request[ACCESS], status="active")
    return render_section(
        request,
        "admin/tokens.html",
        _PATH,
        status=form.status,
        form=form,
        tokens=tokens,
        users=users,
        token=token,
    )
