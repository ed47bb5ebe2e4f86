"""The addresses on a card: adding one, sharing it, ending it, showing it first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm import contact_points
from crm.emails import attach_email
from crm.errors import AlreadyExists
from crm.party_cards import party_card
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of
from web.pages.parties.card import answer_card
from web.pages.parties.found import found_party
from web.pages.problems import FORM_ERRORS, note_on, tell

routes = PageRoutes()
_PATH = r"/parties/{id:\d+}/emails"
_ONE = _PATH + r"/{email:\d+}"


@routes.post(_PATH, right="party.edit")
async def add_email(request: web.Request) -> web.Response:
    """A further address; one that is somebody's already shows whose."""
    form = form_of((await request.post()).items())
    party_id, label = id_in_path(request), form.text("label")
    try:
        async with request.app[SESSIONS].begin() as session:
            await attach_email(session, request[ACCESS], party_id, form.text("email"), label=label)
    except FORM_ERRORS as error:
        note_on(form, error)
        found = await found_party(request, error) if isinstance(error, AlreadyExists) else None
        return await answer_card(request, status=422, email_form=form, email_found=found)
    raise web.HTTPSeeOther(f"/parties/{party_id}")


@routes.post(_ONE + "/usage", right="number.share")
async def mark(request: web.Request) -> web.Response:
    """Say that an address of this party is shared by several, or direct again."""
    return await _act(
        request,
        lambda session, email_id, form: contact_points.mark_email(
            session, request[ACCESS], email_id, form.text("usage")
        ),
    )


@routes.post(_ONE + "/end", right="number.share")
async def end(request: web.Request) -> web.Response:
    """The address is no longer this party's."""
    return await _act(
        request,
        lambda session, email_id, _form: contact_points.end_email(session, request[ACCESS], email_id),
    )


@routes.post(_ONE + "/primary", right="party.edit")
async def show_first(request: web.Request) -> web.Response:
    return await _act(
        request,
        lambda session, email_id, _form: contact_points.make_email_primary(
            session, request[ACCESS], email_id
        ),
    )


@routes.post(_ONE + "/edit", right="party.edit")
async def edit(request: web.Request) -> web.Response:
    """Whether letters come back from it, whether it may be written to."""
    return await _act(
        request,
        lambda session, email_id, form: contact_points.edit_email(
            session,
            request[ACCESS],
            email_id,
            is_bounced=_ticked(form, "bounced"),
            is_opted_out=_ticked(form, "opted_out"),
        ),
    )


def _ticked(form: Form, name: str) -> bool | None:
    return form.text(name) == "1" if name in form.values else None


async def _act(
    request: web.Request, change: Callable[[AsyncSession, int, Form], Awaitable[object]]
) -> web.Response:
    """One change of an address of this party; what cannot be done is told on the card."""
    form, email_id = form_of((await request.post()).items()), id_in_path(request, "email")
    try:
        async with request.app[SESSIONS].begin() as session:
            card = await party_card(session, request[ACCESS], id_in_path(request))
            if email_id not in {email.id for email in card.emails} or not card.may_edit:
                raise web.HTTPNotFound
            await change(session, email_id, form)
    except FORM_ERRORS as error:
        return await answer_card(request, status=422, problem=tell(error))
    raise web.HTTPSeeOther(f"/parties/{card.id}")
