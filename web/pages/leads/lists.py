"""The list of leads and the board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from crm.directories import SOURCE, names_of
from crm.errors import Invalid
from crm.lead_lists import RESPONSES, STATES, LeadFilter, count_leads, lead_board, list_leads
from crm.lines import list_lines
from crm.schemes import list_schemes
from crm.stage_rules import SchemeInfo
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.forms import form_of
from web.pages.problems import tell
from web.render import render, render_fragment, wants_rows

routes = PageRoutes()
_WHOSE: Final = ("mine", "nobodys")
_MOST_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the reader chose, as it stands in the address; "" is everything that is going on."""

    state: str = ""
    stage: str = ""
    whose: str = ""
    number: str = ""
    scheme: str = ""
    source: str = ""
    line: str = ""
    response: str = ""
    utm_source: str = ""
    utm_campaign: str = ""

    @property
    def is_narrow(self) -> bool:
        return any((self.state, self.stage, self.whose, self.number, self.has_marks))

    @property
    def has_marks(self) -> bool:
        """Whether one of the further filters stands."""
        return any((self.source, self.line, self.response, self.utm_source, self.utm_campaign))

    @property
    def address(self) -> Mapping[str, str]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value}


@routes.get("/leads", right="lead.read")
async def show_leads(request: web.Request) -> web.Response:
    chosen, cursor = chosen_in(request), request.query.get("after")
    wanted = filter_of(request, chosen)
    async with request.app[SESSIONS]() as session:
        try:
            page = await list_leads(session, request[ACCESS], wanted, cursor=cursor)
        except Invalid as error:  # an address that somebody made up, or an old one
            raise web.HTTPBadRequest(text=tell(error)) from error
        count = None if cursor else await count_leads(session, request[ACCESS], wanted)
        schemes = await list_schemes(session, request[ACCESS], "lead")
        offers: dict[str, Any] = {
            "sources": await names_of(session, SOURCE),
            "lines": await list_lines(session),
        }
    shown: dict[str, Any] = {"page": page, "count": count, "chosen": chosen}
    if wants_rows(request, "lead-rows") or wants_rows(request, "lead-more"):
        return render_fragment(request, "leads/rows.html", **shown, is_alone=True)
    return render(request, "leads/list.html", **shown, **offers, schemes=schemes, is_alone=False)


@routes.get("/leads/board", right="lead.read")
async def show_board(request: web.Request) -> web.Response:
    return await answer_board(request, chosen_in(request))


async def answer_board(request: web.Request, chosen: Chosen) -> web.Response:
    """The board of the chosen scheme, by default the first that one may use."""
    async with request.app[SESSIONS]() as session:
        schemes = await list_schemes(session, request[ACCESS], "lead")
        scheme = _scheme_among(schemes, chosen.scheme)
        wanted = filter_of(request, chosen)
        columns = await lead_board(session, request[ACCESS], scheme, wanted) if scheme else []
    return render(request, "leads/board.html", scheme=scheme, schemes=schemes, columns=columns, chosen=chosen)


def _scheme_among(schemes: list[SchemeInfo], wanted: str) -> SchemeInfo | None:
    return next((each for each in schemes if str(each.id) == wanted), schemes[0] if schemes else None)


def chosen_in(request: web.Request) -> Chosen:
    """The filters of the address; what the list does not know is left out."""
    form = form_of((name, value[:_MOST_CHARACTERS]) for name, value in request.query.items())
    state, whose = form.text("state"), form.text("whose")
    number = form.text("number").removeprefix("№").strip()
    return Chosen(
        state=state if state in (*STATES, "all") else "",
        stage=str(form.whole("stage") or ""),
        whose=whose if whose in _WHOSE else "",
        number=number if number.isascii() and number.isdigit() and len(number) < 19 else "",
        scheme=str(form.whole("scheme") or ""),
        source=form.text("source"),
        line=str(form.whole("line") or ""),
        response=form.text("response") if form.text("response") in RESPONSES else "",
        utm_source=form.text("utm_source"),
        utm_campaign=form.text("utm_campaign"),
    )


def filter_of(request: web.Request, chosen: Chosen) -> LeadFilter:
    """What was chosen, as the list asks for it."""
    state = chosen.state or (
        "all" if chosen.number else "going"
    )  # a number finds its lead wherever it stands
    return LeadFilter(
        state=state,
        stage_id=int(chosen.stage) if chosen.stage else None,
        owner_id=request[ACCESS].user_id if chosen.whose == "mine" else None,
        is_unassigned=chosen.whose == "nobodys",
        number=int(chosen.number) if chosen.number else None,
        source=chosen.source or None,
        line_id=int(chosen.line) if chosen.line else None,
        response=chosen.response or None,
        utm_source=chosen.utm_source or None,
        utm_campaign=chosen.utm_campaign or None,
    )
