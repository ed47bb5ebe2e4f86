"""Creating and editing: the quick form, a person, an organisation."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from aiohttp import web

from crm import drafts, parties
from crm.directories import INDUSTRY, names_of
from crm.drafts import StoredDraft
from crm.errors import AlreadyExists, Conflict, CrmError
from crm.party_cards import PartyCard, party_card
from crm.party_kinds import list_kinds
from crm.sources import SOURCE
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.drafts import restored
from web.pages.forms import Form, filled, form_of
from web.pages.parties.drafts import EDIT, NEW
from web.pages.parties.found import found_party
from web.pages.parties.once import once
from web.pages.parties.typed import MODES, QUICK, mode_of, numbers_of, values_of
from web.pages.problems import FORM_ERRORS, note_on
from web.render import render

routes = PageRoutes()
_STORED = (
    "last_name", "first_name", "middle_name", "sex", "form", "short_name", "full_name", "inn", "kpp", "ogrn",
    "website", "industry", "city", "source", "note", "do_not_call", "version",
)  # fmt: skip


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
    card = await _editable_card(request)
    form = _form_of(card)
    async with request.app[SESSIONS]() as session:
        draft = await restored(session, request[ACCESS], form, EDIT, str(card.id))
    return await _answer_edit(request, card, form, draft=draft)


@routes.post(r"/parties/{id:\d+}/edit", right="party.edit")
async def edit(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    card = await _editable_card(request)
    _take_stored(form, card)
    try:
        async with request.app[SESSIONS].begin() as session:
            await parties.edit_party(
                session,
                request[ACCESS],
                card.id,
                values_of(form, card.type),
                version=form.whole("version") or 0,
                kinds=form.several("kinds"),
            )
            await drafts.drop_draft(session, request[ACCESS], EDIT, str(card.id))
    except FORM_ERRORS as error:
        note_on(form, error)
        return await _answer_edit(request, card, form, error)
    raise web.HTTPSeeOther(f"/parties/{card.id}")


async def _editable_card(request: web.Request) -> PartyCard:
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, request[ACCESS], id_in_path(request))
    if not card.may_edit:
        raise web.HTTPNotFound
    return card


def _take_stored(form: Form, card: PartyCard) -> None:
    """After a conflict: of the fields that were ticked, what the others stored counts."""
    stored = _form_of(card).values
    for name in form.several("take") & {*_STORED, "birth_date"} - {"version"}:
        form.values.pop(name, None)
        if name in stored:
            form.values[name] = stored[name]
        elif name != "do_not_call":
            form.values[name] = ""


def _form_of(card: PartyCard) -> Form:
    stored = {name: getattr(card, name) for name in _STORED}
    if card.birth_date:
        stored["birth_date"] = f"{card.birth_date:%d.%m.%Y}"
    return filled(stored, kinds=[kind.code for kind in card.kinds if kind.until is None])


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
        **await _offers(request, form),
    )


async def _answer_edit(
    request: web.Request,
    card: PartyCard,
    form: Form,
    error: CrmError | None = None,
    draft: StoredDraft | None = None,
) -> web.Response:
    """The form; after a conflict with both values of each field, and the version that the next saving is based on."""
    conflict = error if isinstance(error, Conflict) else None
    if conflict:
        form.values["version"] = str(conflict.version)
    return render(
        request,
        "parties/edit.html",
        status=409 if conflict else 422 if error else 200,
        form=form,
        draft=draft,
        party=card,
        found=await found_party(request, error) if isinstance(error, AlreadyExists) else None,
        conflict=conflict.fields if conflict else {},
        **await _offers(request, form),
    )


async def _offers(request: web.Request, form: Form) -> dict[str, Any]:
    """What there is to choose from; an archived kind only where the party has it."""
    async with request.app[SESSIONS]() as session:
        kinds = await list_kinds(session)
        return {
            "kinds": [kind for kind in kinds if not kind.is_archived or kind.code in form.several("kinds")],
            "sources": await names_of(session, SOURCE),
            "industries": await names_of(session, INDUSTRY),
        }
