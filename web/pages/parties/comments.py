"""Comments on a card, and the history of its fields."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from aiohttp import web

from crm import comments
from crm.errors import CrmError, Invalid, NotFound
from crm.history import party_history
from crm.party_cards import party_card
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of
from web.pages.parties.card import answer_card
from web.pages.problems import FORM_ERRORS, tell
from web.render import render

routes = PageRoutes()
_COMMENT: Final = r"/parties/{id:\d+}/comments/{comment:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}}"


@routes.post(r"/parties/{id:\d+}/comments", right="party.read")
async def add(request: web.Request) -> web.Response:
    form, party_id = form_of((await request.post()).items()), id_in_path(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            await comments.add_comment(session, request[ACCESS], party_id, form.prose("text"))
    except FORM_ERRORS as error:
        return await _again(request, form, error)
    raise web.HTTPSeeOther(f"/parties/{party_id}")


@routes.post(_COMMENT, right="party.read")
async def edit(request: web.Request) -> web.Response:
    form, comment_id = form_of((await request.post()).items()), await _of_party(request)
    version = form.whole("version") or 0
    try:
        async with request.app[SESSIONS].begin() as session:
            text = form.prose("text")
            await comments.edit_comment(session, request[ACCESS], comment_id, text, version=version)
    except FORM_ERRORS as error:
        return await _again(request, form, error)
    raise web.HTTPSeeOther(f"/parties/{id_in_path(request)}")


@routes.post(_COMMENT + "/remove", right="party.read")
async def remove(request: web.Request) -> web.Response:
    comment_id = await _of_party(request)
    async with request.app[SESSIONS].begin() as session:
        await comments.remove_comment(session, request[ACCESS], comment_id)
    raise web.HTTPSeeOther(f"/parties/{id_in_path(request)}")


@routes.post(_COMMENT + "/pin", right="party.read")
async def pin(request: web.Request) -> web.Response:
    form, comment_id = form_of((await request.post()).items()), await _of_party(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            is_pinned = form.text("pinned") == "1"
            await comments.pin_comment(session, request[ACCESS], comment_id, is_pinned=is_pinned)
    except FORM_ERRORS as error:
        return await answer_card(request, status=422, problem=tell(error))
    raise web.HTTPSeeOther(f"/parties/{id_in_path(request)}")


@routes.get(r"/parties/{id:\d+}/history", right="journal.read")
async def show_history(request: web.Request) -> web.Response:
    access, party_id = request[ACCESS], id_in_path(request)
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, access, party_id)
        if card.id != party_id:  # merged: the one who lives on has the history
            raise web.HTTPMovedPermanently(f"/parties/{card.id}/history")
        try:
            page = await party_history(session, access, card.id, cursor=request.query.get("after"))
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
    return render(request, "parties/history.html", party=card, page=page, part="history")


async def _again(request: web.Request, form: Form, error: CrmError) -> web.Response:
    """The card with what was typed still in the box."""
    form.refuse("text", tell(error))
    return await answer_card(request, status=422, comment_form=form)


async def _of_party(request: web.Request) -> UUID:
    """The comment in the address, when it is one of this card's."""
    comment_id = UUID(request.match_info["comment"])
    async with request.app[SESSIONS]() as session:
        found = await comments.comment(session, request[ACCESS], comment_id)
    if found.party_id != id_in_path(request):
        raise NotFound("comment", comment_id)
    return comment_id
