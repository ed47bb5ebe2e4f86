"""«Конвертировать лид»: counterparty and contact, each existing, new or none, with likely ones preselected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.drafts import StoredDraft, drop_draft
from crm.errors import CrmError, Invalid, NotFound
from crm.lead_cards import LeadCard, lead_card, likely_parties
from crm.lead_conversion import Choice, ContactBlock, Conversion, CounterpartyBlock, convert_lead
from crm.lead_subjects import UNQUALIFIED
from crm.party_kinds import list_kinds
from crm.party_lists import PartyRow, readable_rows
from crm.party_search import MOST_CHARACTERS, search_parties
from crm.party_values import ORGANISATION
from crm.rights import Access
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.drafts import restored
from web.pages.forms import Form, filled, form_of
from web.pages.leads.drafts import CONVERT
from web.pages.leads.words import LEAD_ERRORS
from web.pages.problems import note_on, tell
from web.render import render, render_fragment
from web.routes import RouteKind

routes = PageRoutes()
_PATH: Final = r"/leads/{id:\d+}/convert"
_MOST_FOUND: Final = 8
# Of the choices of a client: the lead's own person, its own organisation.
PERSON_IS_CLIENT: Final = "person"
OWN_FIRM: Final = "own"


@routes.get(_PATH, right="lead.edit")
async def show_conversion(request: web.Request) -> web.Response:
    card, likely = await _read(request)
    if not card.is_open:
        raise web.HTTPSeeOther(f"/leads/{card.lead.id}")
    form = _preselected(card, likely)
    async with request.app[SESSIONS]() as session:
        draft = await restored(session, request[ACCESS], form, CONVERT, str(card.lead.id))
    return await _answer(request, card, likely, form, draft=draft)


@routes.post(_PATH, right="lead.edit")
async def convert(request: web.Request) -> web.Response:
    """Pressed twice, the second press leads to the same client."""
    form = form_of((await request.post()).items())
    try:
        async with request.app[SESSIONS].begin() as session:
            lead_id, version = id_in_path(request), form.whole("version")
            done = await convert_lead(session, request[ACCESS], lead_id, _wish(form), base_version=version)
            await drop_draft(session, request[ACCESS], CONVERT, str(done.lead_id))
    except (*LEAD_ERRORS, NotFound) as error:
        return await _refused(request, form, error)
    async with request.app[SESSIONS]() as session:
        card = await lead_card(session, request[ACCESS], done.lead_id)
    is_readable = card.converted_party is not None and card.converted_party.is_readable
    raise web.HTTPSeeOther(f"/parties/{done.party_id}" if is_readable else f"/leads/{done.lead_id}")


@routes.get(_PATH + "/found", right="lead.edit", kind=RouteKind.FRAGMENT)
async def show_found(request: web.Request) -> web.Response:
    """Further records to choose from, by name, number or INN."""
    block = "contact" if request.query.get("block") == "contact" else "client"
    access, typed = request[ACCESS], request.query.get(f"{block}_q", "").strip()[:MOST_CHARACTERS]
    async with request.app[SESSIONS]() as session:
        card = await lead_card(session, access, id_in_path(request))
        found = (
            await search_parties(session, access, typed, limit=_MOST_FOUND)
            if access.may("party.read")
            else None
        )
    own = {link.id for link in (card.person, card.organisation) if link is not None}
    rows = [hit.party for hit in found.hits if hit.party.id not in own] if found else []
    if block == "contact":
        rows = [row for row in rows if row.type != ORGANISATION]
    too_short = found is not None and found.is_too_short
    return render_fragment(
        request, "leads/found.html", form=Form(), rows=rows, block=block, is_too_short=too_short
    )


async def _refused(request: web.Request, form: Form, error: CrmError) -> web.Response:
    """The dialog as it was filled, with what stands in the way; 404 where it is the lead itself."""
    card, likely = await _read(request)
    if isinstance(error, NotFound):
        form.refuse("", tell(error))
    else:
        note_on(form, error)
    return await _answer(request, card, likely, form, status=422 if isinstance(error, Invalid) else 409)


async def _read(request: web.Request) -> tuple[LeadCard, list[PartyRow]]:
    async with request.app[SESSIONS]() as session:
        card = await lead_card(session, request[ACCESS], id_in_path(request))
        if not card.may_edit:
            raise web.HTTPNotFound
        may_look = request[ACCESS].may("party.read")
        return card, await likely_parties(session, request[ACCESS], card) if may_look else []


async def _answer(
    request: web.Request,
    card: LeadCard,
    likely: list[PartyRow],
    form: Form,
    *,
    status: int = 200,
    draft: StoredDraft | None = None,
) -> web.Response:
    async with request.app[SESSIONS]() as session:
        kinds = await list_kinds(session)
        offered = likely + await _picked_beside(session, request[ACCESS], card, likely, form)
    return render(
        request,
        "leads/convert.html",
        status=status,
        card=card,
        lead=card.lead,
        form=form,
        draft=draft,
        kinds=kinds,
        clients=offered,
        contacts=[row for row in offered if row.type != ORGANISATION],
        is_client_already=_is_client_already(card),
    )


async def _picked_beside(
    session: AsyncSession, access: Access, card: LeadCard, likely: Sequence[PartyRow], form: Form
) -> list[PartyRow]:
    """Whom somebody had looked for and picked: offered again, as far as they may still be read."""
    offered = {row.id for row in likely} | {link.id for link in (card.person, card.organisation) if link}
    picked = {_picked(form, block) for block in ("client", "contact")} - offered
    return await readable_rows(session, access, picked)


def _is_client_already(card: LeadCard) -> bool:
    return any(
        link is not None and link.lifecycle != UNQUALIFIED for link in (card.organisation, card.person)
    )


def _preselected(card: LeadCard, likely: list[PartyRow]) -> Form:
    """The likeliest existing client and contact; else the lead's own people."""
    firm = next((row for row in likely if row.type == ORGANISATION), None)
    person = next((row for row in likely if row.type != ORGANISATION), None)
    client = PERSON_IS_CLIENT if card.organisation is None else OWN_FIRM
    if _is_client_already(card):
        client = "none"
    elif firm is not None:
        client = f"existing-{firm.id}"
    contact = f"existing-{person.id}" if person is not None and firm is not None else "new"
    name = card.person.name if card.person and card.person.lifecycle == UNQUALIFIED else ""
    return filled(
        {
            "client": client,
            "contact": contact if card.person else "none",
            "name": "" if name.startswith("Без имени") else name,
            "organisation": card.organisation.name if card.organisation else "",
            "kind": "prospect",
            "version": card.lead.version,
        }
    )


def _wish(form: Form) -> Conversion:
    client, contact = form.text("client"), form.text("contact")
    is_private, is_own = client == PERSON_IS_CLIENT, client in (PERSON_IS_CLIENT, OWN_FIRM)
    if client == "new" and not form.text("organisation"):
        raise Invalid("organisation", "", N_("Write the name of the new organisation."))
    return Conversion(
        counterparty=CounterpartyBlock(
            choice=Choice.NEW if is_own else _choice(client),
            party_id=_picked(form, "client"),
            organisation="" if is_own else form.text("organisation"),
            inn="" if is_own else form.text("inn"),
            kind=form.text("kind") or "prospect",
        ),
        contact=ContactBlock(
            choice=Choice.NONE if is_private else _choice(contact),
            party_id=None if is_private else _picked(form, "contact"),
            name=form.text("name"),
            position=form.text("position"),
        ),
    )


def _choice(typed: str) -> Choice:
    name = typed.partition("-")[0]
    try:
        return Choice(name)
    except ValueError as error:
        raise Invalid("choice", typed[:20], "Choose an existing record, a new one, or none.") from error


def _picked(form: Form, name: str) -> int | None:
    _, _, typed = form.text(name).partition("-")
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 19 else None
