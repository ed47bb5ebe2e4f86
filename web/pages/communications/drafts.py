"""Drafts of communications that are being written down: kept as one types, for each card they are begun on."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm import drafts
from crm.communications import communication_card
from crm.rights import Access
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.forms import Form, form_of
from web.pages.parties.drafts import keep
from web.routes import RouteKind

routes = PageRoutes()
NEW: Final = "communication.new"
EDIT: Final = "communication.edit"
ID: Final = r"{id:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}}"
_ABOUT: Final = ("lead", "party")


def about(form: Form) -> str:
    """What a new one is begun on: the lead, else the party, "" if on nobody's card."""
    return next((f"{name}:{form.text(name)}" for name in _ABOUT if form.whole(name)), "")


async def drop(session: AsyncSession, access: Access, form: Form) -> None:
    """The new one is saved, or not wanted."""
    await drafts.drop_draft(session, access, NEW, about(form))


@routes.post("/communications/new/draft", right="party.read", kind=RouteKind.FRAGMENT)
async def keep_new(request: web.Request) -> web.Response:
    return await keep(request, NEW, about(form_of((await request.post()).items())))


@routes.post("/communications/new/draft/drop", right="party.read")
async def drop_new(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with request.app[SESSIONS].begin() as session:
        await drop(session, request[ACCESS], form)
    said = {name: form.text(name) for name in _ABOUT if form.whole(name)}
    raise web.HTTPSeeOther(f"/communications/new?{urlencode(said)}")


@routes.post(f"/communications/{ID}/draft", right="party.read", kind=RouteKind.FRAGMENT)
async def keep_edit(request: web.Request) -> web.Response:
    return await keep(request, EDIT, await _editable(request))


@routes.post(f"/communications/{ID}/draft/drop", right="party.read")
async def drop_edit(request: web.Request) -> web.Response:
    record = await _editable(request)
    async with request.app[SESSIONS].begin() as session:
        await drafts.drop_draft(session, request[ACCESS], EDIT, record)
    raise web.HTTPSeeOther(f"/communications/{record}/edit")


async def _editable(request: web.Request) -> str:
    async with request.app[SESSIONS]() as session:
        card = await communication_card(session, request[ACCESS], UUID(request.match_info["id"]))
    if not card.may_edit:
        raise web.HTTPNotFound
    return str(card.communication.id)
