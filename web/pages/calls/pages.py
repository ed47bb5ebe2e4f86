"""The journal of calls within one's rights, and the card of one call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from aiohttp import hdrs, web

from ami_adapter.stories.entries import Entry
from ami_adapter.stories.export import NothingToExport, anonymous_capture
from ami_adapter.stories.steps import tell_steps
from crm.calls_read import CallFilter, CallInfo, call_card, list_calls
from crm.changes import log_access
from crm.connection_gaps import GapInfo, gaps_among
from crm.errors import Invalid
from cti.calls.records import Direction, Disposition
from web.i18n import gettext as _
from web.keys import ACCESS, NOW, SERVICES, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.calls.story_words import StoryStep, told_steps, told_story
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


def chosen_in(request: web.Request) -> Chosen:
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


def filter_of(request: web.Request, chosen: Chosen) -> CallFilter:
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
    chosen = chosen_in(request)
    wanted, cursor, access = filter_of(request, chosen), request.query.get("after"), request[ACCESS]
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
    steps = await _steps(request, call_id)
    return render(
        request,
        "calls/card.html",
        call=card.call,
        card=card,
        names=names,
        told_story=told_story,
        steps=steps,
    )


async def _steps(request: web.Request, call_id: UUID) -> list[StoryStep]:
    """What is kept of the call, step by step; what the PBX said of channels only for those who look after the PBX."""
    steps = await asyncio.to_thread(tell_steps, await _kept(request, call_id))
    if not request[ACCESS].may("connection.read"):
        steps = [step for step in steps if step.kind not in {"heard", "set_aside"}]
    return told_steps(steps, zone_of(request))


async def _kept(request: web.Request, call_id: UUID) -> list[Entry]:
    shelf = request.app[SERVICES].stories
    return await asyncio.to_thread(shelf.read, call_id) if shelf is not None else []


@routes.get(rf"/calls/{CALL_ID}/capture", right="connection.manage")
async def export_call(request: web.Request) -> web.Response:
    """The call without people, as three files that can be replayed and become a test; written to the access log."""
    region = request.app[SERVICES].region
    async with request.app[SESSIONS].begin() as session:
        card = await call_card(session, request[ACCESS], call_id_of(request))
        entries = await _kept(request, card.call.id)
        try:
            capture = await asyncio.to_thread(partial(anonymous_capture, entries, region=region))
        except NothingToExport as error:
            raise web.HTTPNotFound(text=_("Of this call nothing is kept that could be exported.")) from error
        await log_access(
            session,
            "call_exported",
            request[ACCESS],
            from_address=request.remote,
            record_kind="call",
            record_id=card.call.id,
        )
    name = f"call-{card.call.id}"
    headers = {
        hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}.zip"',
        hdrs.CACHE_CONTROL: "no-store",
    }
    return web.Response(body=capture.zipped(name), content_type="application/zip", headers=headers)
