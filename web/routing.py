"""What the dialplan asks over HTTP before a call rings anywhere; `CURL()` with `hashcompat` reads the answer."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

from aiohttp import web

from crm.errors import CrmError
from crm.routing import CallRoute, RouteAction, route_call
from cti.numbers import NumberingProfile
from web.keys import ACCESS, READERS, SERVICES
from web.routes import RouteKind, Routes

routes = Routes(kind=RouteKind.API)
PATH: Final = "/route"  # `web.auth` lets a token come as a password here: all that CURL() can send
PATIENCE_SECONDS = 0.8  # a caller hears nothing meanwhile: better the usual way than a late answer
_MOST_CHARACTERS: Final = 80  # of a number or a name of a PBX


@routes.get(PATH, right="call.route")
async def tell_route(request: web.Request) -> web.Response:
    """`connection`, `caller`, `did` in the query; the answer is one line of `name=value&…`, also when something is wrong."""
    asked = {name: request.query.get(name, "")[:_MOST_CHARACTERS] for name in ("connection", "caller", "did")}
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), request.app[READERS]() as reader:
            services = request.app[SERVICES]
            home = NumberingProfile(region=services.region)
            answer = await route_call(reader, request[ACCESS], **asked, at=services.now(), home=home)
    except CrmError as error:
        return _answer(_fallback("not_asked_rightly"), status=HTTPStatus.NOT_FOUND, problem=str(error))
    except TimeoutError:
        return _answer(_fallback("too_late"))
    return _answer(answer)


def _fallback(reason: str) -> CallRoute:
    return CallRoute(action=RouteAction.FALLBACK, reason=reason)


def _answer(route: CallRoute, *, status: int = HTTPStatus.OK, problem: str = "") -> web.Response:
    told = {
        "action": route.action.value,
        "reason": route.reason,
        "extensions": "&".join(route.extensions),
        "extension": route.extensions[0] if route.extensions else "",
        "name": route.name,
    }
    body = urlencode(told | ({"problem": problem} if problem else {}), quote_via=quote)
    return web.Response(text=body, status=status)
