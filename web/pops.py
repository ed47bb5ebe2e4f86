"""What call windows fetch: the details of a call as a fragment, so that rights and language are applied in one place."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import structlog
from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from crm.matching import MatchResult, as_agent_said, find_by_number
from crm.party_kinds import KindInfo, list_kinds
from cti.desk import CallView
from cti.desk.seats import PresentCall
from cti.numbers import NumberInfo, describe
from web.i18n import current_language
from web.keys import ACCESS, DESK, SESSIONS
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
    found, kinds = await _look_up(request, desk.sighting(request[ACCESS].user_id, view.id), view)
    return render_fragment(
        request,
        "pop.html",
        call=view,
        found=found,
        kinds=kinds,
        place=_place(view),
    )


async def _look_up(
    request: web.Request, call: PresentCall | None, view: CallView
) -> tuple[MatchResult | None, dict[str, KindInfo]]:
    """Who calls, with everything a window shows; nothing when the database is away: the window keeps its first picture."""
    if call is None or call.number is None:
        return None, {}
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
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        log.warning("pop_without_database", call_id=str(view.id), error=repr(error))
        return None, {}
    return found, kinds


def _place(view: CallView) -> NumberInfo | None:
    return describe(view.phone, current_language()) if view.phone and view.phone.startswith("+") else None
