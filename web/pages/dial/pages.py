"""The dial pad: where one dials from, what a typed number means, who answers to it; colleagues for a transfer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from crm.dial_requests import latest_dialled
from crm.party_search import SearchHit, search_parties
from cti.desk import AgentState
from cti.numbers import NumberKind, describe, tell_number
from web.api.dialling import telephone_of
from web.i18n import current_language
from web.keys import ACCESS, DESK, SERVICES, SESSIONS
from web.pages.answers import PageRoutes
from web.pops import CALL_ID, call_id_of
from web.render import render_fragment
from web.routes import RouteKind

routes = PageRoutes(kind=RouteKind.FRAGMENT)
MOST_TYPED: Final = 100
MOST_FOUND: Final = 5
MOST_COLLEAGUES: Final = 12


@dataclass(frozen=True, slots=True)
class Everybody:
    """Whoever may pass calls on sees which colleague is free: presence, no calls."""

    shows_parties: bool = False

    def covers(self, *, users: Iterable[int | None], teams: Iterable[int | None]) -> bool:
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """Somebody a call can be passed on to."""

    extension: str
    name: str
    team: str | None
    state: AgentState


@routes.get("/dial", right="call.place")
async def show_pad(request: web.Request) -> web.Response:
    """The inside of the dial pad."""
    telephone, access = request.app[SERVICES].telephone, request[ACCESS]
    places = telephone.places(access.user_id) if telephone else ()
    async with request.app[SESSIONS]() as session:
        latest = await latest_dialled(session, access)
    return render_fragment(request, "dial/pad.html", places=places, latest=latest)


@routes.get("/dial/meaning", right="call.place")
async def show_meaning(request: web.Request) -> web.Response:
    """What is typed so far: its normal form, and who of one's clients it may be."""
    typed = request.query.get("number", "").strip()[:MOST_TYPED]
    number = telephone_of(request).read(request[ACCESS].user_id, typed)
    is_number = number.kind in (NumberKind.E164, NumberKind.INTERNAL, NumberKind.SERVICE)
    place = describe(number.e164, current_language()) if number.e164 else None
    return render_fragment(
        request,
        "dial/meaning.html",
        told=tell_number(number, current_language()) if typed and is_number else "",
        place=place,
        hits=await _hits(request, typed),
    )


@routes.get(rf"/calls/{CALL_ID}/colleagues", right="call.control", while_away=True)
async def show_colleagues(request: web.Request) -> web.Response:
    """Whom this call can be passed on to: those at the same PBX, the free ones first; 404 for a call of somebody else."""
    desk, user_id = request.app[DESK], request[ACCESS].user_id
    view = desk.view(user_id, call_id_of(request))
    if view is None:
        raise web.HTTPNotFound
    typed = request.query.get("to", "").strip().casefold()[:MOST_TYPED]
    found = [one for one in _colleagues(request, view.connection_id) if _fits(one, typed)]
    found.sort(key=lambda one: (one.state is not AgentState.AVAILABLE, one.name))
    return render_fragment(request, "dial/colleagues.html", colleagues=found[:MOST_COLLEAGUES])


async def _hits(request: web.Request, typed: str) -> Sequence[SearchHit]:
    access = request[ACCESS]
    if not typed or not access.may("party.read"):
        return ()
    async with request.app[SESSIONS]() as session:
        found = await search_parties(session, access, typed, limit=MOST_FOUND)
    return found.hits


def _colleagues(request: web.Request, connection_id: int) -> Iterable[Colleague]:
    desk, own = request.app[DESK], request[ACCESS].user_id
    for agent in desk.shift.agents(Everybody()):
        here = [digits for id_, digits in desk.places_of(agent.id) if id_ == connection_id]
        if here and agent.id != own:
            yield Colleague(extension=here[0], name=agent.name, team=agent.team, state=agent.state)


def _fits(colleague: Colleague, typed: str) -> bool:
    return typed in colleague.name.casefold() or colleague.extension.startswith(typed)
