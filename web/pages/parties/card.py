"""The card of a party: who it is, its contacts and numbers, and everything that happened with it."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from crm import parties
from crm.comments import pinned_comments
from crm.errors import Invalid, NotFound
from crm.lead_lists import LeadFilter, list_leads
from crm.merge_list import merges_of
from crm.owners import possible_owners
from crm.paging import Page
from crm.party_cards import PartyCard, party_card
from crm.party_story import ALL, Source, party_story
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of
from web.pages.parties.card_parts import parts_of
from web.pages.problems import FORM_ERRORS, tell
from web.render import render_apart, render_fragment
from web.routes import RouteKind

routes = PageRoutes()
SHOWN: Final = {
    "communications": frozenset({Source.COMMUNICATION}),
    "comments": frozenset({Source.COMMENT}),
    "changes": frozenset({Source.CHANGE}),
    "tasks": frozenset({Source.TASK}),
}  # by the word in the address; any other is everything
LATEST: Final = 5


@routes.get(r"/parties/{id:\d+}", right="party.read")
async def show_party(request: web.Request) -> web.Response:
    return await answer_card(request)


async def answer_card(
    request: web.Request,
    *,
    status: int = 200,
    number_form: Form | None = None,
    problem: str = "",
    **more: Any,
) -> web.Response:
    """The card; with the form of a number that could not be added, or a problem above it."""
    party_id = id_in_path(request)
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, request[ACCESS], party_id)
        if card.id != party_id:  # merged: the one who lives on has the card
            raise web.HTTPMovedPermanently(f"/parties/{card.id}")
        show = request.query.get("show", "")
        page = await party_story(session, request[ACCESS], card.id, sources=SHOWN.get(show, ALL))
        pinned = await pinned_comments(session, request[ACCESS], card.id)
        owners = await possible_owners(session, request[ACCESS]) if card.may_change_owner else []
        may_see_leads = request[ACCESS].may("lead.read")
        of_party = LeadFilter(state="all", party_id=card.id)
        leads = await list_leads(session, request[ACCESS], of_party, limit=10) if may_see_leads else None
        merges = await merges_of(session, request[ACCESS], card.id)
        parts = await parts_of(session, card)
    context: dict[str, Any] = {
        "found": None,
        "contact_form": Form(),
        "contact_found": None,
        "email_form": Form(),
        "email_found": None,
        **parts,
        "comment_form": Form(),
        **more,
    }
    return await render_apart(
        request,
        "parties/card.html",
        status=status,
        party=card,
        timeline=page,
        pinned=pinned,
        part="",
        show=show if show in SHOWN else "",
        owners=owners,
        party_leads=leads,
        merges=merges,
        number_form=number_form or Form(),
        problem_text=problem,
        **context,
    )


@routes.get(r"/parties/{id:\d+}/timeline", right="party.read", kind=RouteKind.FRAGMENT)
async def show_timeline(request: web.Request) -> web.Response:
    """The next items of the timeline, after a cursor."""
    party_id, show = id_in_path(request), request.query.get("show", "")
    async with request.app[SESSIONS]() as session:
        try:
            page = await party_story(
                session,
                request[ACCESS],
                party_id,
                sources=SHOWN.get(show, ALL),
                cursor=request.query.get("after"),
            )
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
    return render_fragment(request, "parties/timeline.html", timeline=page, party_id=party_id, show=show)


@routes.get(r"/parties/{id:\d+}/latest", right="party.read", kind=RouteKind.FRAGMENT)
async def show_latest(request: web.Request) -> web.Response:
    """The last few communications, for the window of a call."""
    party_id = id_in_path(request)
    async with request.app[SESSIONS]() as session:
        page = await party_story(
            session, request[ACCESS], party_id, sources=SHOWN["communications"], limit=LATEST
        )
    timeline = Page(items=page.items, next=None)
    return render_fragment(request, "parties/timeline.html", timeline=timeline, party_id=party_id, show="")


@routes.post(r"/parties/{id:\d+}/contacts/{tie:\d+}/primary", right="party.edit")
async def make_primary(request: web.Request) -> web.Response:
    await _require_contact(request)
    async with request.app[SESSIONS].begin() as session:
        await parties.make_primary_contact(session, request[ACCESS], id_in_path(request, "tie"))
    raise web.HTTPSeeOther(f"/parties/{id_in_path(request)}")


@routes.post(r"/parties/{id:\d+}/contacts/{tie:\d+}/end", right="party.edit")
async def end_contact(request: web.Request) -> web.Response:
    """The person no longer works there; of several others the first one becomes primary, as the page said."""
    card = await _require_contact(request)
    tie = id_in_path(request, "tie")
    remaining = [contact.affiliation_id for contact in card.contacts if contact.affiliation_id != tie]
    try:
        async with request.app[SESSIONS].begin() as session:
            await parties.end_contact(
                session, request[ACCESS], tie, next_primary_id=remaining[0] if remaining else None
            )
    except FORM_ERRORS as error:
        return await answer_card(request, status=422, problem=tell(error))
    raise web.HTTPSeeOther(f"/parties/{card.id}")


@routes.post(r"/parties/{id:\d+}/archive", right="party.edit")
async def archive(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await parties.archive_party(session, request[ACCESS], id_in_path(request))
    raise web.HTTPSeeOther(f"/parties/{id_in_path(request)}")


@routes.post(r"/parties/{id:\d+}/take", right="party.change_owner")
async def take(request: web.Request) -> web.Response:
    """Whoever asks becomes responsible."""
    async with request.app[SESSIONS].begin() as session:
        await parties.change_owner(session, request[ACCESS], id_in_path(request), request[ACCESS].user_id)
    raise web.HTTPSeeOther(f"/parties/{id_in_path(request)}")


@routes.post(r"/parties/{id:\d+}/owner", right="party.change_owner")
async def change_owner(request: web.Request) -> web.Response:
    """Somebody else becomes responsible; whoever loses sight of the record by that goes back to the list."""
    party_id, owner_id = id_in_path(request), form_of((await request.post()).items()).whole("owner_id")
    async with request.app[SESSIONS].begin() as session:
        if owner_id not in dict(await possible_owners(session, request[ACCESS])):
            raise NotFound("user", owner_id or 0)
        await parties.change_owner(session, request[ACCESS], party_id, owner_id)
    try:
        async with request.app[SESSIONS]() as session:
            await party_card(session, request[ACCESS], party_id)
    except NotFound:
        raise web.HTTPSeeOther("/parties") from None
    raise web.HTTPSeeOther(f"/parties/{party_id}")


async def _require_contact(request: web.Request) -> PartyCard:
    """The organisation's card, when the tie in the address is one of its contacts."""
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, request[ACCESS], id_in_path(request))
    if id_in_path(request, "tie") not in {contact.affiliation_id for contact in card.contacts}:
        raise web.HTTPNotFound
    return card
