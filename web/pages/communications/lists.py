"""The list of communications within one's rights: filters, order, quick search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.communication_filters import DIRECTIONS, KINDS, MEETING_STATES, CommunicationFilter
from crm.communication_kinds import own_kinds
from crm.communication_mass import MOST_COMMUNICATIONS
from crm.communication_search import search_communications
from crm.communications import CommunicationInfo, count_communications, list_communications
from crm.errors import Invalid
from crm.owners import colleagues, possible_owners
from crm.paging import Page
from crm.party_lists import Count
from crm.rights import Access, Scope
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, NOW, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.communications.typed import OWN
from web.pages.forms import Form
from web.pages.lists.frame import Arrangement, Column, ListFrame, arranged, named
from web.pages.parties.lists import done_in
from web.pages.periods import PeriodName, period_of
from web.pages.problems import tell
from web.render import render_apart, wants_rows, zone_of

routes = PageRoutes()
OLDEST: Final = "oldest"
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
        sorts={"newest": N_("Newest first"), OLDEST: N_("Oldest first")},
        filters=("q", "kind", "direction", "user", "state", "period", "first", "last"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What the list shows now. `count` is None on the pages after the first."""

    page: Page[CommunicationInfo]
    count: Count | None = None
    is_too_short: bool = False


@routes.get("/communications", right="party.read")
async def show_list(request: web.Request) -> web.Response:
    access = request[ACCESS]
    async with request.app[SESSIONS]() as session:
        list_ = await arranged(session, request, FRAME)
        try:
            rows = await _rows(session, request, list_)
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
        shown: dict[str, Any] = {"list": list_, "rows": rows, "page": rows.page, "count": rows.count}
        if wants_rows(request, "communication-rows") or wants_rows(request, "communication-more"):
            return await render_apart(
                request, "communications/rows.html", is_fragment=True, is_alone=True, **shown
            )
        shown |= await _offers(session, access)
    done = done_in(request.query.get("done", ""))
    return await render_apart(request, "communications/list.html", is_alone=False, done=done, **shown)


async def _rows(session: AsyncSession, request: web.Request, list_: Arrangement) -> Rows:
    access, wanted = request[ACCESS], wanted_of(request, list_.values)
    cursor, is_oldest_first = request.query.get("after"), list_.sort == OLDEST
    if typed := list_.value("q"):
        found = await search_communications(session, access, typed, wanted, is_oldest_first=is_oldest_first)
        if not found.is_too_short:
            count = Count(value=len(found.items), is_more=found.is_cut)
            return Rows(page=Page(items=found.items, next=None), count=count)
    page = await list_communications(session, access, wanted, is_oldest_first=is_oldest_first, cursor=cursor)
    counted = None if cursor else await count_communications(session, access, wanted)
    return Rows(page=page, count=counted, is_too_short=bool(typed))


async def _offers(session: AsyncSession, access: Access) -> dict[str, Any]:
    """What the filters and the actions on rows offer."""
    has_others = access.scope("party.read") is not Scope.OWN
    return {
        "kinds": KINDS,
        "directions": DIRECTIONS,
        "states": MEETING_STATES,
        "periods": list(PeriodName),
        "own": OWN,
        "own_kinds": await own_kinds(session, with_archived=True),
        "people": await colleagues(session, access) if has_others else [],
        "heirs": await possible_owners(session, access) if access.may("party.change_owner") else [],
        "most": MOST_COMMUNICATIONS,
    }


async def found_by(
    session: AsyncSession, request: web.Request, values: Mapping[str, str], *, is_oldest_first: bool = False
) -> CommunicationFilter:
    """The list as it stands, also where a search found it: for its export, and for an action on all of it."""
    access, wanted = request[ACCESS], wanted_of(request, values)
    if typed := values.get("q"):
        found = await search_communications(session, access, typed, wanted, is_oldest_first=is_oldest_first)
        if not found.is_too_short:
            return replace(wanted, among=tuple(item.id for item in found.items))
    return wanted


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
