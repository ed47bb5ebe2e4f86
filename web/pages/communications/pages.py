"""One communication within one's rights, and the form that writes one down."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.by_hand import edit_communication, log_communication, values_of
from crm.communication_filters import DIRECTIONS, KINDS, MEETING_STATES
from crm.communication_kinds import own_kinds
from crm.communications import CommunicationCard, communication_card
from crm.drafts import StoredDraft, drop_draft
from crm.errors import Conflict, CrmError, NotFound
from crm.lead_access import readable_lead
from crm.lead_lists import LeadRow, lead_rows
from crm.owners import active_users
from crm.party_cards import PartyCard, party_card
from web.keys import ACCESS, NOW, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.communications import drafts
from web.pages.communications.typed import OWN, form_of_values, typed_moment
from web.pages.communications.typed import values_of as typed_values
from web.pages.drafts import restored
from web.pages.forms import Form, filled, form_of
from web.pages.problems import FORM_ERRORS, note_on
from web.render import render, zone_of

routes = PageRoutes()
_ID: Final = drafts.ID


@routes.get("/communications/new", right="party.read")
async def show_new(request: web.Request) -> web.Response:
    """An empty form; a party in the address is the one it is about, a kind the one that is meant."""
    now = typed_moment(request.app[NOW](), zone_of(request))
    said = {name: request.query.get(name, "")[:20] for name in ("party", "contact", "lead", "kind")}
    form = filled({**said, "started": now})
    async with request.app[SESSIONS]() as session:
        draft = await restored(session, request[ACCESS], form, drafts.NEW, drafts.about(form))
    return await _answer_form(request, form, draft=draft)


@routes.post("/communications/new", right="party.read")
async def create(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    try:
        values = typed_values(form, zone_of(request))
        async with request.app[SESSIONS].begin() as session:
            made = await log_communication(session, request[ACCESS], values, lead_id=form.whole("lead"))
            await drafts.drop(session, request[ACCESS], form)
    except FORM_ERRORS as error:
        note_on(form, error)
        return await _answer_form(request, form, error=error)
    if form.whole("lead"):
        raise web.HTTPSeeOther(f"/leads/{form.whole('lead')}")
    raise web.HTTPSeeOther(f"/parties/{values.party_id}" if values.party_id else f"/communications/{made}")


@routes.get(f"/communications/{_ID}", right="party.read")
async def show(request: web.Request) -> web.Response:
    card = await _card(request)
    if not card.communication.is_by_hand:  # the PBX told it: its card shows who took part, and how
        raise web.HTTPSeeOther(f"/calls/{card.communication.id}")
    return render(request, "communications/card.html", item=card.communication, card=card)


@routes.get(f"/communications/{_ID}/edit", right="party.read")
async def show_edit(request: web.Request) -> web.Response:
    card = await _editable(request)
    form = form_of_values(values_of(card), card.communication.version, zone_of(request))
    async with request.app[SESSIONS]() as session:
        draft = await restored(session, request[ACCESS], form, drafts.EDIT, str(card.communication.id))
    return await _answer_form(request, form, card=card, draft=draft)


@routes.post(f"/communications/{_ID}/edit", right="party.read")
async def edit(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    card = await _editable(request)
    communication_id = card.communication.id
    try:
        values = typed_values(form, zone_of(request))
        async with request.app[SESSIONS].begin() as session:
            await edit_communication(
                session, request[ACCESS], communication_id, values, version=form.whole("version") or 0
            )
            await drop_draft(session, request[ACCESS], drafts.EDIT, str(communication_id))
    except FORM_ERRORS as error:
        note_on(form, error)
        if isinstance(error, Conflict):
            form.values["version"] = str(error.version)
        return await _answer_form(request, form, card=card, error=error)
    raise web.HTTPSeeOther(f"/communications/{communication_id}")


async def _card(request: web.Request) -> CommunicationCard:
    async with request.app[SESSIONS]() as session:
        return await communication_card(session, request[ACCESS], UUID(request.match_info["id"]))


async def _editable(request: web.Request) -> CommunicationCard:
    card = await _card(request)
    if not card.may_edit:
        raise web.HTTPNotFound
    return card


async def _answer_form(
    request: web.Request,
    form: Form,
    *,
    card: CommunicationCard | None = None,
    error: CrmError | None = None,
    draft: StoredDraft | None = None,
) -> web.Response:
    async with request.app[SESSIONS]() as session:
        party = await _party(session, request, form, card)
        lead = await _lead(session, request, form)
        context: dict[str, Any] = {
            "own_kinds": await own_kinds(session),
            "people": await active_users(session),
        }
    return render(
        request,
        "communications/form.html",
        status=(409 if isinstance(error, Conflict) else 422) if error else 200,
        form=form,
        card=card,
        draft=draft,
        party=party,
        lead=lead,
        kinds=KINDS,
        directions=DIRECTIONS,
        states=MEETING_STATES,
        own=OWN,
        **context,
    )


async def _lead(session: AsyncSession, request: web.Request, form: Form) -> LeadRow | None:
    """What a new one belongs to. Raises NotFound: one may not read it."""
    lead_id = form.whole("lead")
    if lead_id is None or not request[ACCESS].may("lead.read"):
        form.values.pop("lead", None)
        return None
    lead = await readable_lead(session, request[ACCESS], lead_id)
    return (await lead_rows(session, [lead.id]))[0]


async def _party(
    session: AsyncSession, request: web.Request, form: Form, card: CommunicationCard | None
) -> PartyCard | None:
    """Whom it is about, with their contacts to choose from. What stands there already may be out of one's rights.

    Raises:
        NotFound: another party that one may not read.
    """
    party_id = form.whole("party")
    if party_id is None:
        return None
    try:
        return await party_card(session, request[ACCESS], party_id)
    except NotFound:
        if card is not None and card.communication.party_id == party_id:
            return None
        raise
