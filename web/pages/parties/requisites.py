"""On a card: requisites (accounts, addresses), tags, what becomes of its kinds, and turning a person into a firm and back."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from crm import addresses, bank_accounts, kind_stays, tags
from crm.errors import Conflict, CrmError
from crm.party_cards import PartyCard, party_card
from crm.party_kinds import list_kinds
from crm.party_turning import turn_party
from crm.party_values import ORGANISATION, PERSON
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, filled, form_of
from web.pages.parties.card import answer_card
from web.pages.parties.typed import values_of
from web.pages.problems import FORM_ERRORS, note_on, tell
from web.render import render

routes = PageRoutes()
_PARTY = r"/parties/{id:\d+}"
_STAY = _PARTY + r"/kinds/{stay:\d+}"


@routes.post(_PARTY + "/tags", right="party.edit")
async def put_tags(request: web.Request) -> web.Response:
    chosen = form_of((await request.post()).items()).several("tags")
    ids = {int(each) for each in chosen if each.isascii() and each.isdigit() and len(each) < 19}
    return await _act(request, tags.put_tags, ids)


@routes.post(_STAY + "/pause", right="party.edit")
async def pause_kind(request: web.Request) -> web.Response:
    return await _act(request, kind_stays.pause_kind, id_in_path(request, "stay"))


@routes.post(_STAY + "/resume", right="party.edit")
async def resume_kind(request: web.Request) -> web.Response:
    return await _act(request, kind_stays.resume_kind, id_in_path(request, "stay"))


@routes.post(_STAY + "/end", right="party.edit")
async def end_kind(request: web.Request) -> web.Response:
    reason = form_of((await request.post()).items()).text("reason")
    return await _act(request, kind_stays.end_kind, id_in_path(request, "stay"), reason)


@routes.post(_PARTY + "/accounts", right="party.edit")
async def add_account(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    typed = {name: form.text(name) for name in ("bic", "account", "bank")}
    return await _act(request, bank_accounts.add_account, form=form, form_name="account_form", **typed)


@routes.post(_PARTY + r"/accounts/{account:\d+}/default", right="party.edit")
async def make_default(request: web.Request) -> web.Response:
    return await _act(request, bank_accounts.make_default, id_in_path(request, "account"))


@routes.post(_PARTY + r"/accounts/{account:\d+}/end", right="party.edit")
async def end_account(request: web.Request) -> web.Response:
    return await _act(request, bank_accounts.end_account, id_in_path(request, "account"))


@routes.post(_PARTY + "/addresses", right="party.edit")
async def add_address(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    typed = (form.text("kind"), form.text("address"))
    return await _act(request, addresses.add_address, *typed, form=form, form_name="address_form")


@routes.post(_PARTY + r"/addresses/{address:\d+}/end", right="party.edit")
async def end_address(request: web.Request) -> web.Response:
    return await _act(request, addresses.end_address, id_in_path(request, "address"))


async def _act(
    request: web.Request,
    act: Any,
    *what: Any,
    form: Form | None = None,
    form_name: str = "",
    **more: Any,
) -> web.Response:
    """Carry it out and go back to the card; what cannot be is told beside its form, or above the card."""
    try:
        async with request.app[SESSIONS].begin() as session:
            await act(session, request[ACCESS], id_in_path(request), *what, **more)
    except FORM_ERRORS as error:
        if form is None:
            return await answer_card(request, status=422, problem=tell(error))
        note_on(form, error)
        shown: dict[str, Any] = {form_name: form}
        return await answer_card(request, status=422, **shown)
    raise web.HTTPSeeOther(f"/parties/{id_in_path(request)}")


@routes.get(_PARTY + "/turn", right="party.edit")
async def show_turn(request: web.Request) -> web.Response:
    card = await _card(request)
    name = {"short_name": card.name, "last_name": card.name, "version": card.version}
    kinds = [kind.code for kind in card.kinds if kind.until is None] or ["prospect"]
    return await _show_turn(request, card, filled(name | {"inn": card.inn}, kinds=kinds))


@routes.post(_PARTY + "/turn", right="party.edit")
async def turn(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    card = await _card(request)
    other = PERSON if card.type == ORGANISATION else ORGANISATION
    try:
        async with request.app[SESSIONS].begin() as session:
            await turn_party(
                session,
                request[ACCESS],
                card.id,
                values_of(form, other),
                version=form.whole("version") or 0,
                kinds=form.several("kinds"),
            )
    except FORM_ERRORS as error:
        note_on(form, error)
        return await _show_turn(request, card, form, error)
    raise web.HTTPSeeOther(f"/parties/{card.id}")


async def _card(request: web.Request) -> PartyCard:
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, request[ACCESS], id_in_path(request))
    if not card.may_edit:
        raise web.HTTPNotFound
    return card


async def _show_turn(
    request: web.Request, card: PartyCard, form: Form, error: CrmError | None = None
) -> web.Response:
    async with request.app[SESSIONS]() as session:
        kinds = [kind for kind in await list_kinds(session) if not kind.is_archived]
    status = 200 if error is None else 409 if isinstance(error, Conflict) else 422
    return render(request, "parties/turn.html", status=status, party=card, form=form, kinds=kinds)
