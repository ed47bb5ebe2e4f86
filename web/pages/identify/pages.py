"""The panel «Кто звонит?» of a call window: search, link, create, lead, spam. Each answer is the panel again, or its end."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.desk_match import for_desk
from crm.duplicate_hints import Typed, hints
from crm.errors import AlreadyExists, CrmError, NotFound
from crm.identifying import (
    CallNotStored,
    SaidCall,
    create_caller,
    open_lead,
    say_who,
    stored_call,
)
from crm.lead_access import readable_lead
from crm.lead_lists import LeadFilter, LeadRow, list_leads
from crm.matching import MatchOutcome, MatchResult, as_agent_said
from crm.number_notes import mark_spam, unmark_spam
from crm.party_kinds import list_kinds
from crm.party_search import MOST_CHARACTERS, search_parties
from crm.party_values import ORGANISATION, PERSON
from crm.said_outcomes import SPAM, WRONG_NUMBER, say_outcome, take_outcome_back
from cti.numbers import format_number
from web.keys import ACCESS, DESK, LIVE, NOW, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.forms import Form, filled, form_of
from web.pages.leads.words import LEAD_ERRORS
from web.pages.parties.found import found_party
from web.pages.parties.once import once
from web.pages.problems import note_on
from web.pops import CALL_ID, call_id_of
from web.render import render_fragment
from web.routes import RouteKind

routes = PageRoutes(kind=RouteKind.FRAGMENT)
_PATH: Final = rf"/calls/{CALL_ID}/who"
_MOST_FOUND: Final = 9  # each has a digit


class NothingChosen(CrmError):
    """The link was asked for before anybody was ticked."""

    template = "Choose first who it is: search, then the row with the arrows or its digit."
    field = "chosen"


_MENDED: Final = (*LEAD_ERRORS, CallNotStored, NothingChosen)


@routes.get(_PATH, right="call.notes")
async def show_panel(request: web.Request) -> web.Response:
    """The empty panel; 404 for a call that is not one's own."""
    async with request.app[SESSIONS]() as session:
        call = await _said_call(request, session)
    return await _answer(request, call, filled({"key": uuid4(), "kind": "prospect", "usage": "personal"}))


@routes.get(_PATH + "/found", right="party.read")
async def show_found(request: web.Request) -> web.Response:
    """Clients, contacts and leads together, nine at most."""
    typed = request.query.get("q", "")[:MOST_CHARACTERS]
    access = request[ACCESS]
    async with request.app[SESSIONS]() as session:
        found = await search_parties(session, access, typed, limit=_MOST_FOUND)
        leads = await _leads(session, request, typed)
    parties = [hit.party for hit in found.hits][: _MOST_FOUND - len(leads)]
    return render_fragment(
        request,
        "identify/found.html",
        call_id=call_id_of(request),
        leads=leads,
        parties=parties,
        is_too_short=found.is_too_short and not leads,
    )


@routes.get(_PATH + "/similar", right="party.create")
async def show_similar(request: web.Request) -> web.Response:
    """Who may already be here, 300 ms after the last key in the name."""
    form = form_of(request.query.items())
    firm, person = form.text("organisation")[:MOST_CHARACTERS], form.text("person")[:MOST_CHARACTERS]
    typed = Typed(type=ORGANISATION if firm else PERSON, short_name=firm or person)
    async with request.app[SESSIONS]() as session:
        found = await hints(session, request[ACCESS], typed) if typed.name else []
    return render_fragment(request, "parties/similar.html", hints=found)


@routes.post(_PATH, right="call.notes")
async def link(request: web.Request) -> web.Response:
    """It is this client, contact or lead; with the number, or for this call alone."""

    async def act(session: AsyncSession, call: SaidCall, form: Form) -> None:
        party_id, lead_id = await _chosen(session, request, form)
        usage = form.text("usage")
        await say_who(
            session,
            request[ACCESS],
            call,
            party_id,
            keeps_number=not form.flag("call_only"),
            is_shared=usage == "shared",
            lead_id=lead_id,
        )

    return await _carry_out(request, act)


@routes.post(_PATH + "/create", right="party.create")
async def create(request: web.Request) -> web.Response:
    """Somebody new in two fields; with an organisation, its contact."""

    async def act(session: AsyncSession, call: SaidCall, form: Form) -> None:
        async def make() -> int:
            return await create_caller(
                session,
                request[ACCESS],
                call,
                person=form.text("person"),
                organisation=form.text("organisation"),
                kind=form.text("kind"),
            )

        await once(session, request[ACCESS], form, make)

    return await _carry_out(request, act)


@routes.post(_PATH + "/lead", right="lead.create")
async def start_lead(request: web.Request) -> web.Response:
    """A lead on somebody who is known from this call alone; the name may be empty."""

    async def act(session: AsyncSession, call: SaidCall, form: Form) -> None:
        async def make() -> int:
            person, need = form.text("person"), form.prose("need")
            return (await open_lead(session, request[ACCESS], call, person=person, need=need)).id

        await once(session, request[ACCESS], form, make)

    return await _carry_out(request, act)


@routes.post(_PATH + "/spam", right="call.notes")
async def spam(request: web.Request) -> web.Response:
    """The number is marked, or (`is_spam` empty) not any more; nobody is made of it."""

    async def act(session: AsyncSession, call: SaidCall, form: Form) -> None:
        is_spam = bool(form.text("is_spam"))
        await (mark_spam if is_spam else unmark_spam)(session, request[ACCESS], call.number)
        await (say_outcome if is_spam else take_outcome_back)(session, request[ACCESS], call.id, SPAM)

    return await _carry_out(request, act, ends_as="identify/spam.html")


@routes.post(_PATH + "/wrong", right="call.notes")
async def wrong_number(request: web.Request) -> web.Response:
    """They dialled wrongly: the talk's outcome; nobody is made of it. 204."""
    async with request.app[SESSIONS].begin() as session:
        call = await _said_call(request, session)
        await say_outcome(session, request[ACCESS], call.id, WRONG_NUMBER)
    return web.Response(status=204)


async def _carry_out(request: web.Request, act: Any, *, ends_as: str = "identify/done.html") -> web.Response:
    """Do it; the panel's end, or the panel as it was typed with what is wrong."""
    form = form_of((await request.post()).items())
    async with request.app[SESSIONS]() as session:
        call = await _said_call(request, session)
    try:
        async with request.app[SESSIONS].begin() as session:
            await act(session, call, form)
    except _MENDED as error:
        note_on(form, error)
        return await _answer(request, call, form, error)
    said = await _tell_windows(request, call)
    return render_fragment(request, ends_as, call_id=call.id, form=form, said=said)


async def _tell_windows(request: web.Request, call: SaidCall) -> MatchResult:
    """The user's own windows show it at once; those of others follow with the next question who calls."""
    unknown = MatchResult(outcome=MatchOutcome.UNKNOWN)
    async with request.app[SESSIONS]() as session:
        said = await as_agent_said(session, call.id, unknown)
    if said.outcome is MatchOutcome.MATCHED:
        request.app[LIVE].deliver(request.app[DESK].set_match(call.id, for_desk(said), request.app[NOW]()))
    return said


async def _said_call(request: web.Request, session: AsyncSession) -> SaidCall:
    """The call of the address: as the desk knows it, else as the journal does."""
    view = request.app[DESK].view(request[ACCESS].user_id, call_id_of(request))
    if view is None:
        return await stored_call(session, request[ACCESS], call_id_of(request))
    number = view.phone if view.phone and view.number_kind == "e164" else ""
    return SaidCall(id=view.id, number=number, is_present=True)


async def _chosen(session: AsyncSession, request: web.Request, form: Form) -> tuple[int, int | None]:
    """(party, lead) of the row that was ticked.

    Raises:
        NothingChosen, NotFound.
    """
    what, _, digits = form.text("chosen").partition("-")
    if what not in {"party", "lead"} or not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise NothingChosen
    if what == "party":
        return int(digits), None
    lead = await readable_lead(session, request[ACCESS], int(digits))
    party_id = lead.organisation_id or lead.person_id
    if party_id is None:
        raise NotFound("lead", digits)
    return lead.person_id or party_id, lead.id


async def _leads(session: AsyncSession, request: web.Request, typed: str) -> list[LeadRow]:
    """The open lead of this number."""
    digits = typed.strip().removeprefix("№").strip()
    if not request[ACCESS].may("lead.read") or not (
        digits.isascii() and digits.isdigit() and len(digits) < 8
    ):
        return []
    page = await list_leads(session, request[ACCESS], LeadFilter(number=int(digits)), limit=1)
    return list(page.items)


async def _answer(
    request: web.Request, call: SaidCall, form: Form, error: CrmError | None = None
) -> web.Response:
    async with request.app[SESSIONS]() as session:
        kinds = [kind for kind in await list_kinds(session) if not kind.is_archived]
    found = await found_party(request, error) if isinstance(error, AlreadyExists) else None
    return render_fragment(
        request,
        "identify/panel.html",
        status=422 if error else 200,
        call_id=call.id,
        number=format_number(call.number) if call.number else "",
        form=form,
        kinds=kinds,
        found=found,
    )
