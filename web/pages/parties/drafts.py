"""Drafts of the forms of parties: kept as one types, shown again on return, dropped on request."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm import drafts
from crm.drafts import StoredDraft
from crm.errors import Invalid
from crm.party_cards import party_card
from crm.rights import Access
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import MOST_CHARACTERS, Form, form_of
from web.pages.parties.typed import mode_of
from web.pages.problems import tell
from web.routes import RouteKind

routes = PageRoutes()
NEW: Final = "party.new"  # a draft for each kind of form: quick, organisation, person
EDIT: Final = "party.edit"
_MOST: Final = MOST_CHARACTERS * 10


@routes.post(r"/parties/new/draft", right="party.create", kind=RouteKind.FRAGMENT)
async def keep_new(request: web.Request) -> web.Response:
    mode = mode_of(form_of((await request.post()).items()).text("mode"))
    return await keep(request, NEW, mode)


@routes.post(r"/parties/new/draft/drop", right="party.create")
async def drop_new(request: web.Request) -> web.Response:
    mode = mode_of(form_of((await request.post()).items()).text("mode"))
    async with request.app[SESSIONS].begin() as session:
        await drafts.drop_draft(session, request[ACCESS], NEW, mode)
    raise web.HTTPSeeOther(f"/parties/new?mode={mode}")


@routes.post(r"/parties/{id:\d+}/draft", right="party.edit", kind=RouteKind.FRAGMENT)
async def keep_edit(request: web.Request) -> web.Response:
    return await keep(request, EDIT, await _editable(request))


@routes.post(r"/parties/{id:\d+}/draft/drop", right="party.edit")
async def drop(request: web.Request) -> web.Response:
    record = await _editable(request)
    async with request.app[SESSIONS].begin() as session:
        await drafts.drop_draft(session, request[ACCESS], EDIT, record)
    raise web.HTTPSeeOther(f"/parties/{record}/edit")


async def restored(
    session: AsyncSession, access: Access, form: Form, name: str, record: str
) -> StoredDraft | None:
    """Put what was left in a form back into it; None if nothing was."""
    draft = await drafts.draft_of(session, access, name, record)
    if draft is not None:
        form.values.clear()
        form.chosen.clear()
        for field, values in draft.fields.items():
            form.values[field] = values[-1] if values else ""
            form.chosen[field] = frozenset(values)
    return draft


async def _editable(request: web.Request) -> str:
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, request[ACCESS], id_in_path(request))
    if not card.may_edit:
        raise web.HTTPNotFound
    return str(card.id)


async def keep(request: web.Request, form: str, record: str) -> web.Response:
    """What is typed into a form now, as its draft."""
    posted = await request.post()
    fields = {
        name: [value[:_MOST] for value in posted.getall(name) if isinstance(value, str)] for name in posted
    }
    try:
        async with request.app[SESSIONS].begin() as session:
            await drafts.keep_draft(session, request[ACCESS], form, record, fields)
    except Invalid as error:
        raise web.HTTPUnprocessableEntity(text=tell(error)) from error
    return web.Response(status=204)
