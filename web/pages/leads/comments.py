"""Comments on the card of a lead."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from aiohttp import web

from crm import comments
from crm.errors import NotFound
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of
from web.pages.leads.card import ONE, answer_card
from web.pages.problems import FORM_ERRORS, tell

routes = PageRoutes()
_COMMENT: Final = ONE + r"/comments/{comment:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}}"


@routes.post(ONE + "/comments", right="lead.read")
async def add(request: web.Request) -> web.Response:
    form, lead_id = form_of((await request.post()).items()), id_in_path(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            await comments.add_lead_comment(session, request[ACCESS], lead_id, form.prose("text"))
    except FORM_ERRORS as error:
        form.refuse("text", tell(error))
        return await answer_card(request, status=422, comment_form=form)
    raise web.HTTPSeeOther(f"/leads/{lead_id}")


@routes.post(_COMMENT, right="lead.read")
async def edit(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    version, text = form.whole("version") or 0, form.prose("text")
    return await _change(request, comments.edit_comment, text, version=version)


@routes.post(_COMMENT + "/pin", right="lead.read")
async def pin(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    return await _change(request, comments.pin_comment, is_pinned=form.text("pinned") == "1")


@routes.post(_COMMENT + "/remove", right="lead.read")
async def remove(request: web.Request) -> web.Response:
    return await _change(request, comments.remove_comment)


async def _change(request: web.Request, act: Any, *what: Any, **how: Any) -> web.Response:
    """One change of a comment of this lead; what cannot be done is told on the card."""
    lead_id, comment_id = id_in_path(request), UUID(request.match_info["comment"])
    try:
        async with request.app[SESSIONS].begin() as session:
            found = await comments.comment(session, request[ACCESS], comment_id)
            if found.lead_id != lead_id:
                raise NotFound("comment", comment_id)
            await act(session, request[ACCESS], comment_id, *what, **how)
    except FORM_ERRORS as error:
        return await answer_card(request, status=422, problem=tell(error), comment_form=Form())
    raise web.HTTPSeeOther(f"/leads/{lead_id}")
