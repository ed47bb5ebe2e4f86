"""The list of communications within one's rights, one of them, and the form that writes one down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.by_hand import edit_communication, log_communication, values_of
from crm.communication_kinds import own_kinds
from crm.communications import (
    DIRECTIONS,
    KINDS,
    MEETING_STATES,
    CommunicationCard,
    CommunicationFilter,
    communication_card,
    count_communications,
    list_communications,
)
from crm.drafts import StoredDraft, drop_draft
from crm.errors import Conflict, CrmError, Invalid, NotFound
from crm.lead_access import readable_lead
from crm.lead_lists import LeadRow, lead_rows
from crm.owners import active_users, colleagues
from crm.party_cards import PartyCard, party_card
from crm.rights import Scope
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, NOW, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.communications import drafts
from web.pages.communications.typed import OWN, form_of_values, typed_moment
from web.pages.communications.typed import values_of as typed_values
from web.pages.forms import Form, filled, form_of
from web.pages.lists.frame import Column, ListFrame, arranged, named
from web.pages.parties.drafts import restored
from web.pages.periods import PeriodName, period_of
from web.pages.problems import FORM_ERRORS, note_on, tell
from web.render import render, render_apart, wants_rows, zone_of

routes = PageRoutes()
_ID: Final = drafts.ID
FRAME: Final = named(
    ListFrame(
        area="communications",
        path="/communications",
        title=N_("Communications"),
        right="party.read",
        columns=(
            Column(name="time", title=N_("Time"), css="cell-time", is_fixed=True),
            Column(name="what", title=N_("What"), css="cell-main", is_fixed=True),
            Column(name="party", title=N_("With whom")),
            Column(name="user", title=N_("Who")),
            Column(name="summary", title=N_("Summary")),
            Column(name="place", title=N_("Place")),
            Column(name="result", title=N_("Result")),
        ),
        usual=("time", "what", "party", "user", "summary"),
        sorts={"newest": N_("Newest first")},
        filters=("kind", "direction", "user", "state", "period", "first", "last"),
    )
)


@routes.get("/communications", right="party.read")
async def show_list(request: web.Request) -> web.Response:
    access = request[ACCESS]
    async with request.app[SESSIONS]() as session:
        list_ = await arranged(session, request, FRAME)
        cursor, wanted = request.query.get("after"), wanted_of(request, list_.values)
        try:
            page = await list_communications(session, access, wanted, cursor=cursor)
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
        count = None if cursor else await count_communications(session, access, wanted)
        shown: dict[str, Any] = {"list": list_, "page": page, "count": count}
        if wants_rows(request, "communication-rows") or wants_rows(request, "communication-more"):
            return await render_apart(
                request, "communications/rows.html", is_fragment=True, is_alone=True, **shown
            )
        has_others = access.scope("party.read") is not Scope.OWN
        shown |= {
            "own_kinds": await own_kinds(session, with_archived=True),
            "people": await colleagues(session, access) if has_others else [],
        }
    return await render_apart(
        request,
        "communications/list.html",
        is_alone=False,
        kinds=KINDS,
        directions=DIRECTIONS,
        states=MEETING_STATES,
        periods=list(PeriodName),
        own=OWN,
        **shown,
    )


def wanted_of(request: web.Request, values: Mapping[str, str]) -> CommunicationFilter:
    """What the list's filters ask for."""
    chosen = Form(dict(values))
    first, last, kind = chosen.text("first"), chosen.text("last"), chosen.text("kind")
    name = chosen.text("period") or (PeriodName.DATES if first or last else "")
    period = period_of(name, first, last, request.app[NOW](), zone_of(request))
    is_own = kind.startswith(OWN)
    direction, state = chosen.text("direction"), chosen.text("state")
    return CommunicationFilter(
        kind="other" if is_own else kind if kind in KINDS else None,
        own_kind_id=Form({"id": kind.removeprefix(OWN)}).whole("id") if is_own else None,
        direction=direction if direction in DIRECTIONS else None,
        user_id=chosen.whole("user"),
        meeting_state=state if state in MEETING_STATES else None,
        since=period.start,
        until=period.end,
    )


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
