"""The list of leads and the board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.directories import names_of
from crm.errors import Invalid
from crm.lead_access import readable_lead
from crm.lead_lists import (
    RESPONSES,
    STATES,
    LeadFilter,
    LeadRow,
    first_page,
    lead_board,
    lead_rows,
    list_leads,
)
from crm.lead_mass import MOST_LEADS
from crm.lead_search import MOST_HITS, search_leads
from crm.lines import list_lines
from crm.owners import colleagues, possible_owners
from crm.paging import Page
from crm.party_lists import Count
from crm.rights import Access, Scope
from crm.schemes import list_reasons, list_schemes
from crm.sources import SOURCE, source_named, sources_of_leads
from crm.stage_rules import SchemeInfo
from crm.task_lists import next_tasks
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, NOW, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.forms import form_of
from web.pages.lists.frame import Arrangement, Column, ListFrame, arranged, named
from web.pages.parties.lists import done_in
from web.pages.problems import tell
from web.render import render, render_apart, wants_rows

routes = PageRoutes()
_WHOSE: Final = ("mine", "nobodys")
_MOST_CHARACTERS: Final = 300
_MORE_FILTERS: Final = ("source", "line", "response", "utm_source", "utm_campaign")
_OLDEST: Final = "oldest"
COLUMNS: Final = (
    Column(name="name", title=N_("Who asks"), css="cell-main", is_fixed=True),
    Column(name="need", title=N_("Need"), css="cell-need"),
    Column(name="stage", title=N_("Stage"), css="cell-stage"),
    Column(name="since", title=N_("In this stage since"), css="cell-number"),
    Column(name="source", title=N_("Source")),
    Column(name="phone", title=N_("Phone")),
    Column(name="response", title=N_("First response")),
    Column(name="owner", title=N_("Responsible")),
    Column(name="task", title=N_("Next task")),
    Column(name="organisation", title=N_("Organisation")),
    Column(name="number", title=N_("No."), css="cell-number"),
    Column(name="created", title=N_("Came in"), css="cell-number"),
)
FRAME: Final = named(
    ListFrame(
        area="leads",
        path="/leads",
        title=N_("Leads"),
        right="lead.read",
        columns=COLUMNS,
        usual=("name", "need", "stage", "source", "phone", "response", "owner"),
        sorts={"created": N_("Newest first"), _OLDEST: N_("Oldest first")},
        filters=("q", "state", "stage", "whose", "owner", "number", "scheme", *_MORE_FILTERS),
    )
)
OF_A_PARTY: Final = FRAME.shown(("name", "need", "stage", "source", "phone", "response", "owner", "created"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the reader chose, as it stands in the address; "" is everything that is going on."""

    q: str = ""
    state: str = ""
    stage: str = ""
    whose: str = ""
    owner: str = ""
    number: str = ""
    scheme: str = ""
    source: str = ""
    line: str = ""
    response: str = ""
    utm_source: str = ""
    utm_campaign: str = ""

    @property
    def is_narrow(self) -> bool:
        return any((self.q, self.state, self.stage, self.whose, self.owner, self.number, self.has_marks))

    @property
    def has_marks(self) -> bool:
        """Whether one of the further filters stands."""
        return any(getattr(self, name) for name in _MORE_FILTERS)

    @property
    def address(self) -> Mapping[str, str]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What the list shows now. `count` is None on the pages after the first."""

    page: Page[LeadRow]
    count: Count | None = None
    is_search: bool = False
    is_too_short: bool = False


@routes.get("/leads", right="lead.read")
async def show_leads(request: web.Request) -> web.Response:
    access, chosen = request[ACCESS], chosen_in(request.query)
    async with request.app[SESSIONS]() as session:
        list_ = await arranged(session, request, FRAME)
        try:
            rows = await _rows(session, request, chosen, list_)
        except Invalid as error:  # an address that somebody made up, or an old one
            raise web.HTTPBadRequest(text=tell(error)) from error
        shown: dict[str, Any] = {
            "rows": rows,
            "page": rows.page,
            "count": rows.count,
            "chosen": chosen,
            "list": list_,
            "columns": list_.columns,
            "tasks": await _tasks(session, access, list_, rows.page),
            "schemes": await list_schemes(session, access, "lead"),
            "now": request.app[NOW](),
        }
        is_row = "row" in request.query
        if is_row or wants_rows(request, "lead-rows") or wants_rows(request, "lead-more"):
            return await render_apart(
                request, "leads/rows.html", is_fragment=True, is_alone=not is_row, **shown
            )
        shown |= await _offers(session, access)
    done = done_in(request.query.get("done", ""))
    return await render_apart(request, "leads/list.html", is_alone=False, done=done, **shown)


async def _rows(session: AsyncSession, request: web.Request, chosen: Chosen, list_: Arrangement) -> Rows:
    access, is_oldest_first = request[ACCESS], list_.sort == _OLDEST
    if "row" in request.query:
        return await one_row(session, access, request.query["row"])
    wanted = await filter_of(session, access, chosen)
    if chosen.q:
        found = await search_leads(session, access, chosen.q, limit=MOST_HITS)
        if not found.is_too_short:
            page = Page(items=tuple(hit.lead for hit in found.hits), next=None)
            count = Count(value=len(page.items), is_more=found.is_cut)
            return Rows(page=page, count=count, is_search=True)
    cursor = request.query.get("after")
    counted = None
    if cursor:
        page = await list_leads(session, access, wanted, is_oldest_first=is_oldest_first, cursor=cursor)
    else:
        page, counted = await first_page(session, access, wanted, is_oldest_first=is_oldest_first)
    return Rows(page=page, count=counted, is_too_short=bool(chosen.q))


async def one_row(session: AsyncSession, access: Access, typed: str) -> Rows:
    """One row as it is now, for a list that stands open: it stays where it is, even if the filters no longer fit."""
    wanted = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 19 else 0
    lead = await readable_lead(session, access, wanted)
    return Rows(page=Page(items=tuple(await lead_rows(session, [lead.id])), next=None))


async def _tasks(
    session: AsyncSession, access: Access, list_: Arrangement, page: Page[LeadRow]
) -> Mapping[int, Any]:
    is_shown = any(column.name == "task" for column in list_.columns)
    return await next_tasks(session, access, [lead.id for lead in page.items]) if is_shown else {}


async def _offers(session: AsyncSession, access: Access) -> dict[str, Any]:
    """What the filters and the actions on rows offer."""
    has_others = access.scope("lead.read") is not Scope.OWN
    may_give = access.may("lead.change_owner") and access.may("party.change_owner")
    return {
        "sources": list(dict.fromkeys([*await names_of(session, SOURCE), *await sources_of_leads(session)])),
        "lines": await list_lines(session),
        "owners": await colleagues(session, access, "lead.read") if has_others else [],
        "heirs": await possible_owners(session, access) if may_give else [],
        "reasons": await list_reasons(session, "lead"),
        "most_leads": MOST_LEADS,
    }


@routes.get("/leads/board", right="lead.read")
async def show_board(request: web.Request) -> web.Response:
    return await answer_board(request, chosen_in(request.query))


async def answer_board(request: web.Request, chosen: Chosen) -> web.Response:
    """The board of the chosen scheme, by default the first that one may use."""
    async with request.app[SESSIONS]() as session:
        schemes = await list_schemes(session, request[ACCESS], "lead")
        scheme = _scheme_among(schemes, chosen.scheme)
        wanted = await filter_of(session, request[ACCESS], chosen)
        columns = await lead_board(session, request[ACCESS], scheme, wanted) if scheme else []
    return render(request, "leads/board.html", scheme=scheme, schemes=schemes, columns=columns, chosen=chosen)


def _scheme_among(schemes: list[SchemeInfo], wanted: str) -> SchemeInfo | None:
    return next((each for each in schemes if str(each.id) == wanted), schemes[0] if schemes else None)


def chosen_in(query: Mapping[str, str]) -> Chosen:
    """The filters of an address; what the list does not know is left out."""
    form = form_of((name, value[:_MOST_CHARACTERS]) for name, value in query.items())
    state, whose = form.text("state"), form.text("whose")
    number = form.text("number").removeprefix("№").strip()
    return Chosen(
        q=form.text("q"),
        state=state if state in (*STATES, "all") else "",
        stage=str(form.whole("stage") or ""),
        whose=whose if whose in _WHOSE else "",
        owner=str(form.whole("owner") or form.whole("whose") or ""),
        number=number if number.isascii() and number.isdigit() and len(number) < 19 else "",
        scheme=str(form.whole("scheme") or ""),
        source=form.text("source"),
        line=str(form.whole("line") or ""),
        response=form.text("response") if form.text("response") in RESPONSES else "",
        utm_source=form.text("utm_source"),
        utm_campaign=form.text("utm_campaign"),
    )


async def filter_of(session: AsyncSession, access: Access, chosen: Chosen) -> LeadFilter:
    """What was chosen, as the list asks for it; a source also by a name that it had before."""
    state = chosen.state or (
        "all" if chosen.number else "going"
    )  # a number finds its lead wherever it stands
    owner_id = int(chosen.owner) if chosen.owner else None
    return LeadFilter(
        state=state,
        stage_id=int(chosen.stage) if chosen.stage else None,
        owner_id=access.user_id if chosen.whose == "mine" else owner_id,
        is_unassigned=chosen.whose == "nobodys",
        number=int(chosen.number) if chosen.number else None,
        source=await source_named(session, chosen.source) if chosen.source else None,
        line_id=int(chosen.line) if chosen.line else None,
        response=chosen.response or None,
        utm_source=chosen.utm_source or None,
        utm_campaign=chosen.utm_campaign or None,
    )


async def found_by(session: AsyncSession, access: Access, chosen: Chosen) -> LeadFilter:
    """The list as it stands, also where a search found it: for its export, and for an action on all of it."""
    if chosen.q:
        found = await search_leads(session, access, chosen.q, limit=MOST_HITS)
        if not found.is_too_short:
            return LeadFilter(state="all", among=tuple(hit.lead.id for hit in found.hits))
    return await filter_of(session, access, chosen)
