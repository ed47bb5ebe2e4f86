"""Creating and editing: the quick form, a person, an organisation."""

from __future__ import annotations

from uuid import uuid4

from aiohttp import web

from crm import drafts, parties
from crm.drafts import StoredDraft
from crm.errors import AlreadyExists, CrmError
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.drafts import restored
from web.pages.forms import Form, filled, form_of
from web.pages.parties.drafts import NEW
from web.pages.parties.editing import Editing, offers, opened, saved, shown
from web.pages.parties.found import found_party
from web.pages.parties.once import once
from web.pages.parties.typed import MODES, QUICK, mode_of, numbers_of, values_of
from web.pages.problems import FORM_ERRORS, note_on
from web.render import render

routes = PageRoutes()


@routes.get("/parties/new", right="party.create")
async def show_new(request: web.Request) -> web.Response:
    """An empty form; a number or a name in the address stands in its field already."""
    given = {
        "number": request.query.get("number", "")[:50],
        "organisation": request.query.get("organisation", "")[:200],
    }
    form = filled(given | {"key": uuid4()}, kinds=["prospect"])
    mode = mode_of(request.query.get("mode", ""))
    async with request.app[SESSIONS]() as session:
        draft = await restored(session, request[ACCESS], form, NEW, mode)
    return await _answer_new(request, form, mode, draft=draft)


@routes.post("/parties/new", right="party.create")
async def create(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    mode = mode_of(form.text("mode"))
    try:
        party_id = await (_create_quick(request, form) if mode == QUICK else _create(request, form, mode))
    except FORM_ERRORS as error:
        note_on(form, error)
        return await _answer_new(request, form, mode, error)
    async with request.app[SESSIONS].begin() as session:
        await drafts.drop_draft(session, request[ACCESS], NEW, mode)
    raise web.HTTPSeeOther(f"/parties/{party_id}")


async def _create_quick(request: web.Request, form: Form) -> int:
    async def act() -> int:
        made = await parties.quick_create(
            session,
            request[ACCESS],
            organisation=form.text("organisation"),
            person=form.text("person"),
            number=form.text("number"),
            position=form.text("position"),
            kind=form.text("kind") or "prospect",
            is_shared=form.flag("is_shared"),
        )
        return made.party_id

    async with request.app[SESSIONS].begin() as session:
        return await once(session, request[ACCESS], form, act)


async def _create(request: web.Request, form: Form, party_type: str) -> int:
    emails = [address for address in [form.text("email")] if address]

    async def act() -> int:
        return await parties.create_party(
            session,
            request[ACCESS],
            values_of(form, party_type),
            kinds=form.several("kinds"),
            numbers=numbers_of(form),
            emails=emails,
        )

    async with request.app[SESSIONS].begin() as session:
        return await once(session, request[ACCESS], form, act)


@routes.get(r"/parties/{id:\d+}/edit", right="party.edit")
async def show_edit(request: web.Request) -> web.Response:
    return await _answer_edit(request, await opened(request))


@routes.post(r"/parties/{id:\d+}/edit", right="party.edit")
async def edit(request: web.Request) -> web.Response:
    editing = await saved(request)
    if editing.error is None:
        raise web.HTTPSeeOther(f"/parties/{editing.card.id}")
    return await _answer_edit(request, editing)


async def _answer_edit(request: web.Request, editing: Editing) -> web.Response:
    return render(request, "parties/edit.html", status=editing.status, **await shown(request, editing))


async def _answer_new(
    request: web.Request,
    form: Form,
    mode: str,
    error: CrmError | None = None,
    draft: StoredDraft | None = None,
) -> web.Response:
    found = await found_party(request, error) if isinstance(error, AlreadyExists) else None
    return render(
        request,
        "parties/new.html",
        status=422 if error else 200,
        form=form,
        draft=draft,
        mode=mode,
        modes=MODES,
        found=found,
        **await offers(request, form),
    )
