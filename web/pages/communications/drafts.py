"""Drafts of communications that are being written down: kept as one types, for each card they are begun on."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.communications import communication_card
from crm.drafts import drop_draft
from crm.rights import Access
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.drafts import keep_drafts
from web.pages.forms import Form

routes = PageRoutes()
NEW: Final = "communication.new"
EDIT: Final = "communication.edit"
ID: Final = r"{id:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}}"
_ABOUT: Final = ("lead", "party")


def about(form: Form) -> str:
    """What a new one is begun on: the lead, else the party, "" if on nobody's card."""
    return next((f"{name}:{form.text(name)}" for name in _ABOUT if form.whole(name)), "")


async def drop(session: AsyncSession, access: Access, form: Form) -> None:
    """The new one is saved."""
    await drop_draft(session, access, NEW, about(form))


async def _begun_on(_request: web.Request, form: Form) -> str:
    return about(form)


async def _editable(request: web.Request, _form: Form) -> str:
    async with request.app[SESSIONS]() as session:
        card = await communication_card(session, request[ACCESS], UUID(request.match_info["id"]))
    if not card.may_edit:
        raise web.HTTPNotFound
    return str(card.communication.id)


def _new_again(_about: str, form: Form) -> str:
    said = {name: form.text(name) for name in _ABOUT if form.whole(name)}
    return f"/communications/new?{urlencode(said)}"


keep_drafts(routes, "/communications/new", NEW, right="party.read", record=_begun_on, back=_new_again)
keep_drafts(
    routes,
    f"/communications/{ID}",
    EDIT,
    right="party.read",
    record=_editable,
    back=lambda communication_id, _form: f"/communications/{communication_id}/edit",
)
