"""The numbers on a card: adding one, sharing it, ending it, showing it first."""

from __future__ import annotations

from aiohttp import web

from crm import numbers
from crm.contact_points import edit_number
from crm.errors import AlreadyExists
from crm.numbers import NumberValues
from crm.party_cards import PhoneInfo, party_card
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import form_of
from web.pages.parties.card import answer_card
from web.pages.parties.found import found_party
from web.pages.problems import FORM_ERRORS, note_on, tell

routes = PageRoutes()
_PATH = r"/parties/{id:\d+}/numbers"


@routes.post(_PATH, right="party.edit")
async def add_number(request: web.Request) -> web.Response:
    """A further number; one that is somebody's already shows whose, and both ways out."""
    form = form_of((await request.post()).items())
    values = NumberValues(
        presented=form.text("number"), label=form.text("label"), is_shared=form.flag("is_shared")
    )
    try:
        async with request.app[SESSIONS].begin() as session:
            await numbers.attach_number(session, request[ACCESS], id_in_path(request), values)
    except FORM_ERRORS as error:
        note_on(form, error)
        found = await found_party(request, error) if isinstance(error, AlreadyExists) else None
        return await answer_card(request, status=422, number_form=form, found=found)
    raise web.HTTPSeeOther(f"/parties/{id_in_path(request)}")


@routes.post(_PATH + r"/{phone:\d+}/usage", right="number.share")
async def mark(request: web.Request) -> web.Response:
    """Say that a number of this party is shared by several, or direct again."""
    form = form_of((await request.post()).items())
    phone = await _require_phone(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            await numbers.mark_number(session, request[ACCESS], phone.number_id, form.text("usage"))
    except FORM_ERRORS as error:
        return await answer_card(request, status=422, problem=tell(error))
    raise web.HTTPSeeOther(f"/parties/{id_in_path(request)}")


@routes.post(_PATH + r"/{phone:\d+}/end", right="number.share")
async def end(request: web.Request) -> web.Response:
    """The number is no longer this party's."""
    phone = await _require_phone(request)
    async with request.app[SESSIONS].begin() as session:
        await numbers.end_ownership(session, request[ACCESS], phone.id)
    raise web.HTTPSeeOther(f"/parties/{id_in_path(request)}")


@routes.post(_PATH + r"/{phone:\d+}/edit", right="party.edit")
async def edit(request: web.Request) -> web.Response:
    """What the number is for, and whether it may be called."""
    form = form_of((await request.post()).items())
    phone = await _require_phone(request)
    may_not = form.text("do_not_call") == "1" if "do_not_call" in form.values else None
    label = form.text("label") if "label" in form.values else None
    try:
        async with request.app[SESSIONS].begin() as session:
            await edit_number(session, request[ACCESS], phone.id, label=label, do_not_call=may_not)
    except FORM_ERRORS as error:
        return await answer_card(request, status=422, problem=tell(error))
    raise web.HTTPSeeOther(f"/parties/{id_in_path(request)}")


@routes.post(_PATH + r"/{phone:\d+}/primary", right="party.edit")
async def show_first(request: web.Request) -> web.Response:
    phone = await _require_phone(request)
    async with request.app[SESSIONS].begin() as session:
        await numbers.make_primary(session, request[ACCESS], phone.id)
    raise web.HTTPSeeOther(f"/parties/{id_in_path(request)}")


async def _require_phone(request: web.Request) -> PhoneInfo:
    """The number in the address, when this party has it and may be changed by whoever asks."""
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, request[ACCESS], id_in_path(request))
    phone_id = id_in_path(request, "phone")
    phone = next((phone for phone in card.phones if phone.id == phone_id), None)
    if phone is None or not card.may_edit:
        raise web.HTTPNotFound
    return phone
