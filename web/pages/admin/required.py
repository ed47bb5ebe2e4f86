"""Required fields: what a counterparty of each kind must have when it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from crm.party_kinds import list_kinds
from crm.required_fields import FIELDS, require_fields, required_fields
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes
from web.pages.forms import form_of

routes = PageRoutes()
_PATH = "/admin/required"
WORDS: Final[Mapping[str, str]] = {
    "inn": N_("INN"),
    "kpp": N_("KPP"),
    "ogrn": N_("OGRN"),
    "full_name": N_("Full name"),
    "last_name": N_("Last name"),
    "first_name": N_("First name"),
    "birth_date": N_("Birth date"),
    "phone": N_("Phone"),
    "email": N_("E-mail"),
    "website": N_("Website"),
    "industry": N_("Industry"),
    "city": N_("City"),
    "source": N_("Source"),
    "note": N_("Note"),
}


@routes.get(_PATH, right="directory.manage")
async def show(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        kinds = [kind for kind in await list_kinds(session) if not kind.is_archived]
        required = await required_fields(session)
    return render_section(
        request,
        "admin/required.html",
        _PATH,
        kinds=kinds,
        required=required,
        words={field: WORDS[field] for field in FIELDS},
        is_saved="saved" in request.query,
    )


@routes.post(_PATH, right="directory.manage")
async def save(request: web.Request) -> web.Response:
    """All kinds at once; a box is named by its kind, its value is the field."""
    form = form_of((await request.post()).items())
    async with request.app[SESSIONS].begin() as session:
        for kind in await list_kinds(session):
            if not kind.is_archived:
                chosen = form.several(f"kind-{kind.code}") & set(FIELDS)
                await require_fields(session, request[ACCESS], kind.code, chosen)
    raise web.HTTPSeeOther(f"{_PATH}?saved=1")
