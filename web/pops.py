"""What call windows fetch: the details of a call as a fragment, so that rights and language are applied in one place."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from aiohttp import web

from cti.numbers import NumberInfo, describe
from web.i18n import current_language
from web.keys import ACCESS, DESK
from web.render import render_fragment
from web.routes import SIGNED_IN, RouteKind, Routes

routes = Routes(kind=RouteKind.FRAGMENT)

CALL_ID: Final = r"{call_id:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}}"


def call_id_of(request: web.Request) -> UUID:
    return UUID(request.match_info["call_id"])


@routes.get(rf"/calls/{CALL_ID}/pop", right=SIGNED_IN)
async def show_pop(request: web.Request) -> web.Response:
    """The inside of a call window, for whoever this call rings at or talks with; 404 for everybody else."""
    access, desk = request[ACCESS], request.app[DESK]
    view = desk.view(access.user_id, call_id_of(request))
    if view is None:
        raise web.HTTPNotFound
    return render_fragment(request, "pop.html", call=view, number=_number_info(view.phone))


def _number_info(phone: str | None) -> NumberInfo | None:
    return describe(phone, current_language()) if phone and phone.startswith("+") else None
