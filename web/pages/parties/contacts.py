"""A new contact on the card of an organisation: a person with position and number, in one go."""

from __future__ import annotations

from aiohttp import web

from crm import parties
from crm.errors import AlreadyExists, Invalid
from crm.parties import ContactValues
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path, require
from web.pages.forms import Form, form_of
from web.pages.parties.card import answer_card
from web.pages.parties.found import found_party
from web.pages.parties.typed import numbers_of
from web.pages.problems import FORM_ERRORS, note_on

routes = PageRoutes()


@routes.post(r"/parties/{id:\d+}/contacts", right="party.edit")
async def add_contact(request: web.Request) -> web.Response:
    """Make a person and tie them to the organisation; a number that is somebody's already shows whose, to tie them."""
    require(request, "party.create")
    form = form_of((await request.post()).items())
    try:
        await _add(request, form)
    except FORM_ERRORS as error:
        form.values.pop("person_id", None)  # it has no field of its own
        note_on(form, error)
        found = await found_party(request, error) if isinstance(error, AlreadyExists) else None
        return await answer_card(request, status=422, contact_form=form, contact_found=found)
    raise web.HTTPSeeOther(f"/parties/{id_in_path(request)}")


async def _add(request: web.Request, form: Form) -> None:
    access, name, known = request[ACCESS], form.text("person"), form.whole("person_id")
    values = ContactValues(position=form.text("position"))
    if known is not None:
        async with request.app[SESSIONS].begin() as session:
            await parties.add_contact(session, access, id_in_path(request), known, values)
        return
    if not name:
        raise Invalid("person", name, N_("Enter the name of the contact."))
    async with request.app[SESSIONS].begin() as session:
        person_id = await parties.create_party(
            session, access, parties.person_values(name), numbers=numbers_of(form)
        )
        await parties.add_contact(session, access, id_in_path(request), person_id, values)
