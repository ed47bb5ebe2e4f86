"""Editing a party: what its card's page and the window of a call share, so that both keep the same rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from crm import drafts, parties
from crm.directories import INDUSTRY, names_of
from crm.drafts import StoredDraft
from crm.errors import AlreadyExists, Conflict, CrmError
from crm.party_cards import PartyCard, party_card
from crm.party_kinds import list_kinds
from crm.sources import SOURCE
from web.keys import ACCESS, SESSIONS
from web.pages.answers import id_in_path
from web.pages.drafts import restored
from web.pages.forms import Form, filled, form_of
from web.pages.parties.drafts import EDIT
from web.pages.parties.found import found_party
from web.pages.parties.typed import LEGAL_FORM, values_of
from web.pages.problems import FORM_ERRORS, note_on

_STORED: Final = (
    "last_name", "first_name", "middle_name", "sex", "form", "short_name", "full_name", "inn", "kpp", "ogrn",
    "website", "industry", "city", "source", "note", "do_not_call", "version",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Editing:
    """One form of one party, as it was opened or posted."""

    card: PartyCard
    form: Form
    draft: StoredDraft | None = None
    error: CrmError | None = None

    @property
    def conflict(self) -> Conflict | None:
        return self.error if isinstance(self.error, Conflict) else None

    @property
    def status(self) -> int:
        return 409 if self.conflict else 422 if self.error else 200


async def opened(request: web.Request) -> Editing:
    """What is stored, or what this user left in the form.

    Raises:
        NotFound, HTTPNotFound: not this user's to edit.
    """
    card = await editable_card(request)
    form = _form_of(card)
    async with request.app[SESSIONS]() as session:
        draft = await restored(session, request[ACCESS], form, EDIT, str(card.id))
    return Editing(card=card, form=form, draft=draft)


async def saved(request: web.Request) -> Editing:
    """What was posted is stored, and the draft gone; or `error` says why not.

    Raises:
        NotFound, HTTPNotFound: not this user's to edit.
    """
    form = form_of((await request.post()).items())
    card = await editable_card(request)
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
        return Editing(card=card, form=form, error=error)
    return Editing(card=card, form=form)


async def shown(request: web.Request, editing: Editing) -> dict[str, Any]:
    """What the form's template needs; after a conflict with both values of each field, and the version that the next
    saving is based on."""
    conflict, error = editing.conflict, editing.error
    if conflict:
        editing.form.values["version"] = str(conflict.version)
    return {
        "form": editing.form,
        "draft": editing.draft,
        "party": editing.card,
        "found": await found_party(request, error) if isinstance(error, AlreadyExists) else None,
        "conflict": conflict.fields if conflict else {},
        **await offers(request, editing.form),
    }


async def offers(request: web.Request, form: Form) -> dict[str, Any]:
    """What there is to choose from; an archived kind only where the party has it."""
    async with request.app[SESSIONS]() as session:
        kinds = await list_kinds(session)
        return {
            "kinds": [kind for kind in kinds if not kind.is_archived or kind.code in form.several("kinds")],
            "sources": await names_of(session, SOURCE),
            "industries": await names_of(session, INDUSTRY),
        }


async def editable_card(request: web.Request) -> PartyCard:
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, request[ACCESS], id_in_path(request))
    if not card.may_edit:
        raise web.HTTPNotFound
    return card


def _take_stored(form: Form, card: PartyCard) -> None:
    """After a conflict: of the fields that were ticked, what the others stored counts."""
    stored = _form_of(card).values
    for column in form.several("take") & {*_STORED, "birth_date"} - {"version"}:
        name = LEGAL_FORM if column == "form" else column
        form.values.pop(name, None)
        if name in stored:
            form.values[name] = stored[name]
        elif name != "do_not_call":
            form.values[name] = ""


def _form_of(card: PartyCard) -> Form:
    stored = {name: getattr(card, name) for name in _STORED}
    stored[LEGAL_FORM] = stored.pop("form")
    if card.birth_date:
        stored["birth_date"] = f"{card.birth_date:%d.%m.%Y}"
    return filled(stored, kinds=[kind.code for kind in card.kinds if kind.until is None])
