"""A new lead, typed by a person."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from aiohttp import web

from crm import drafts
from crm.directories import names_of
from crm.drafts import StoredDraft
from crm.errors import AlreadyExists, CrmError, NotFound
from crm.lead_errors import OpenLeads
from crm.lead_intake import CreatedLead, NewLead, create_lead
from crm.lead_subjects import SubjectValues
from crm.lead_values import LeadValues
from crm.party_cards import PartyCard, party_card
from crm.schemes import list_schemes
from crm.sources import SOURCE
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.drafts import restored
from web.pages.forms import Form, filled, form_of
from web.pages.leads.drafts import NEW
from web.pages.leads.words import LEAD_ERRORS
from web.pages.parties.found import found_party
from web.pages.problems import note_on
from web.render import render

routes = PageRoutes()
_MOST_CHARACTERS = 300


@routes.get("/leads/new", right="lead.create")
async def show_new(request: web.Request) -> web.Response:
    """An empty form; party, number and call in the address stand in their fields already. What was left in one comes back."""
    given = {
        name: request.query.get(name, "")[:_MOST_CHARACTERS]
        for name in ("party_id", "number", "call_id", "person", "email")
    }
    form, is_plain = filled(given), not any(given.values())
    async with request.app[SESSIONS]() as session:
        draft = await restored(session, request[ACCESS], form, NEW, "") if is_plain else None
    return await _answer(request, form, draft=draft)


@routes.post("/leads/new", right="lead.create")
async def create(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    try:
        made = await _create(request, form)
    except LEAD_ERRORS as error:
        note_on(form, error)
        return await _answer(request, form, error)
    async with request.app[SESSIONS].begin() as session:
        await drafts.drop_draft(session, request[ACCESS], NEW, "")
    raise web.HTTPSeeOther(f"/leads/{made.id}")


async def _create(request: web.Request, form: Form) -> CreatedLead:
    """The lead; without its call where that is not to be read: what was typed counts more."""
    try:
        async with request.app[SESSIONS].begin() as session:
            return await create_lead(session, request[ACCESS], _new(form))
    except NotFound as error:
        if error.values["kind"] != "call":
            raise
    form.values.pop("call_id")
    async with request.app[SESSIONS].begin() as session:
        return await create_lead(session, request[ACCESS], _new(form))


def _new(form: Form) -> NewLead:
    texts = {name: form.text(name) for name in ("person", "organisation", "number", "email")}
    return NewLead(
        subject=SubjectValues(party_id=form.whole("party_id"), **texts),
        values=LeadValues(title=form.text("title"), need=form.prose("need"), source=form.text("source")),
        scheme_id=form.whole("scheme_id"),
        call_id=_call(form),
        is_further=form.flag("is_further"),
    )


def _call(form: Form) -> UUID | None:
    try:
        return UUID(form.text("call_id"))
    except ValueError:
        return None


async def _answer(
    request: web.Request, form: Form, error: CrmError | None = None, draft: StoredDraft | None = None
) -> web.Response:
    """The form as typed; with whoever has the number already, or the leads that are open already."""
    async with request.app[SESSIONS]() as session:
        schemes = await list_schemes(session, request[ACCESS], "lead")
        sources = await names_of(session, SOURCE)
    more: dict[str, Any] = {
        "party": await _party(request, form),
        "sources": sources,
        "draft": draft,
        "found": await found_party(request, error) if isinstance(error, AlreadyExists) else None,
        "taken_by": error.party_id if isinstance(error, AlreadyExists) else None,
        "open_leads": error.leads if isinstance(error, OpenLeads) else {},
    }
    return render(request, "leads/new.html", status=422 if error else 200, form=form, schemes=schemes, **more)


async def _party(request: web.Request, form: Form) -> PartyCard | None:
    """The party that the lead is to be about, when the address or the form names one."""
    party_id = form.whole("party_id")
    if party_id is None:
        return None
    async with request.app[SESSIONS]() as session:
        try:
            return await party_card(session, request[ACCESS], party_id)
        except NotFound:
            form.values.pop("party_id")
            return None
