"""What call windows fetch: the details of a call as a fragment, so that rights and language are applied in one place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.drafts import PARTY_EDIT, drafted_since
from crm.matching import MatchOutcome, MatchResult, as_agent_said, find_by_number
from crm.party_access import editable_among
from crm.party_kinds import KindInfo, list_kinds
from crm.rights import Access
from crm.window_facts import WindowFacts, window_facts
from cti.desk import CallView
from cti.desk.seats import PresentCall
from cti.numbers import Number, NumberInfo, describe
from web.i18n import current_language
from web.keys import ACCESS, DESK, NOW, SESSIONS
from web.render import render_fragment
from web.routes import SIGNED_IN, RouteKind, Routes

log = structlog.get_logger(__name__)
routes = Routes(kind=RouteKind.FRAGMENT)

CALL_ID: Final = r"{call_id:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}}"


def call_id_of(request: web.Request) -> UUID:
    return UUID(request.match_info["call_id"])


@routes.get(rf"/calls/{CALL_ID}/pop", right=SIGNED_IN)
async def show_pop(request: web.Request) -> web.Response:
    """The inside of a call window, for whoever this call rings at or talks with; 404 for everybody else."""
    desk = request.app[DESK]
    view = desk.view(request[ACCESS].user_id, call_id_of(request))
    if view is None:
        raise web.HTTPNotFound
    known = await _look_up(request, desk.sighting(request[ACCESS].user_id, view.id), view)
    return render_fragment(
        request,
        "pop.html",
        call=view,
        found=known.found,
        kinds=known.kinds,
        facts=known.facts,
        editable=known.editable,
        drafted=known.drafted,
        place=_place(view),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the database knows of a call; nothing while it is away."""

    found: MatchResult | None = None
    kinds: Mapping[str, KindInfo] = field(default_factory=dict)
    facts: WindowFacts | None = None
    editable: Collection[int] = ()  # of the parties it shows, whose fields this user may change
    drafted: Collection[
        int
    ] = ()  # and in which of these something was typed during the call that is not saved


async def _look_up(request: web.Request, call: PresentCall | None, view: CallView) -> Known:
    """Who calls, with everything a window shows; nothing when the database is away: the window keeps its first picture."""
    if call is None or call.number is None:
        return Known()
    line_id = call.line.id if call.line else None
    try:
        async with request.app[SESSIONS]() as session:
            found = await find_by_number(
                session,
                call.number,
                line_id=line_id,
                connection_id=view.connection_id,
                present_call=view.id,
            )
            found = await as_agent_said(session, view.id, found)
            kinds = {kind.code: kind for kind in await list_kinds(session)} if found.parties else {}
            facts = await _facts(session, found, call.number, request.app[NOW]())
            editable = await editable_among(session, request[ACCESS], _shown(found))
            drafted = await _drafted(session, request[ACCESS], editable, view)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        log.warning("pop_without_database", call_id=str(view.id), error=repr(error))
        return Known()
    return Known(found=found, kinds=kinds, facts=facts, editable=editable, drafted=drafted)


def _shown(found: MatchResult) -> Collection[int]:
    """Of the one who calls; of several candidates nobody knows whose they would be."""
    party = found.parties[0] if found.outcome is MatchOutcome.MATCHED else None
    return {id_ for id_ in (party.id, party.contact_id) if id_} if party else set()


async def _drafted(
    session: AsyncSession, access: Access, editable: Collection[int], view: CallView
) -> Collection[int]:
    """A draft of before the call waits on its card."""
    since = min((at for at in (view.ringing_since, view.answered_at) if at), default=None)
    if not editable or since is None:
        return ()
    records = await drafted_since(session, access, PARTY_EDIT, list(map(str, editable)), since)
    return frozenset(map(int, records))


async def _facts(session: AsyncSession, found: MatchResult, number: Number, at: datetime) -> WindowFacts:
    ids = _shown(found)
    party = found.parties[0] if ids else None
    last_at = party.last.at if party and party.last else None
    return await window_facts(session, ids, number.e164, at, last_at=last_at)


def _place(view: CallView) -> NumberInfo | None:
    return describe(view.phone, current_language()) if view.phone and view.phone.startswith("+") else None
