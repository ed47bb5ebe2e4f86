"""The journal of calls within one's rights, and the card of one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from crm.calls_read import CallFilter, CallInfo, call_card, list_calls
from crm.connection_gaps import GapInfo, gaps_among
from crm.errors import Invalid
from cti.calls.records import Direction, Disposition
from web.keys import ACCESS, NOW, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.calls.story_words import told_story
from web.pages.periods import PeriodName, period_of
from web.pages.problems import tell
from web.pops import CALL_ID, call_id_of
from web.render import render, render_fragment, wants_rows, zone_of

routes = PageRoutes()
_OUTCOMES: Final = ("missed", "open", "unseen", *Disposition)
_MOST_CHARACTERS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the reader chose, as it stands in the address; "" is everything."""

    direction: str = ""
    outcome: str = ""
    period: str = ""
    first: str = ""
    last: str = ""
    number: str = ""

    @property
    def is_narrow(self) -> bool:
        return any((self.direction, self.outcome, self.period, self.number))

    @property
    def address(self) -> Mapping[str, str]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the journal: a call, or seconds in which none was heard."""

    at: datetime
    call: CallInfo | None = None
    gap: GapInfo | None = None


def _chosen(request: web.Request) -> Chosen:
    def typed(name: str) -> str:
        return request.query.get(name, "").strip()[:_MOST_CHARACTERS]

    def one_of(name: str, allowed: tuple[str, ...]) -> str:
        return typed(name) if typed(name) in allowed else ""

    return Chosen(
        direction=one_of("direction", tuple(Direction)),
        outcome=one_of("outcome", _OUTCOMES),
        period=one_of("period", tuple(PeriodName)),
        first=typed("first"),
        last=typed("last"),
        number=typed("number"),
    )


def _filter(request: web.Request, chosen: Chosen) -> CallFilter:
    period = period_of(chosen.period, chosen.first, chosen.last, request.app[NOW](), zone_of(request))
    digits = [character for character in chosen.number if character.isdigit()]
    return CallFilter(
        since=period.start,
        until=period.end,
        direction=chosen.direction or None,
        disposition=chosen.outcome or None,
        number=chosen.number if len(digits) >= 3 else None,
    )


@routes.get("/calls", right="call.read")
async def show_calls(request: web.Request) -> web.Response:
    chosen = _chosen(request)
    wanted, cursor, access = _filter(request, chosen), request.query.get("after"), request[ACCESS]
    try:
        async with request.app[SESSIONS]() as session:
            page = await list_calls(session, access, wanted, cursor=cursor)
            # Among the calls of one number a gap says nothing.
            gaps = [] if wanted.number else await gaps_among(session, access, wanted, page, cursor=cursor)
    except Invalid as error:
        raise web.HTTPBadRequest(text=tell(error)) from error
    shown: dict[str, Any] = {"page": page, "lines": _in_order(page.items, gaps), "chosen": chosen}
    if wants_rows(request, "call-rows") or wants_rows(request, "call-more"):
        return render_fragment(request, "calls/rows.html", **shown)
    return render(request, "calls/list.html", **shown, outcomes=_OUTCOMES, periods=tuple(PeriodName))


def _in_order(calls: Sequence[CallInfo], gaps: Sequence[GapInfo]) -> list[Line]:
    """Calls by their start and gaps by their beginning, the newest first."""
    lines = [Line(at=call.started_at, call=call) for call in calls]
    lines += [Line(at=gap.from_at, gap=gap) for gap in gaps]
    return sorted(lines, key=lambda line: line.at, reverse=True)


@routes.get(rf"/calls/{CALL_ID}", right="call.read")
async def show_call(request: web.Request) -> web.Response:
    """One call, told whole; an id that went into another call by a transfer leads to that one."""
    call_id = call_id_of(request)
    async with request.app[SESSIONS]() as session:
        card = await call_card(session, request[ACCESS], call_id)
    if card.call.id != call_id:
        raise web.HTTPMovedPermanently(f"/calls/{card.call.id}")
    names = {part.extension: part.user_name for part in card.participations if part.user_name}
    return render(request, "calls/card.html", call=card.call, card=card, names=names, told_story=told_story)
