"""Health for machines: alive, ready (and if not, what is wrong), figures for Prometheus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from crm.journal import is_away
from web.auth import credential_of
from web.keys import GATE
from web.proxies import FORWARDED
from web.routes import OPEN, RouteKind, Routes

routes = Routes(kind=RouteKind.API)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that is not as it should be. `is_fatal`: nobody should be sent here until it is mended."""

    what: str  # database, journal, connection
    detail: str  # English, with the remedy where there is one
    outline: str  # the same for anybody: no addresses, no accounts
    is_fatal: bool


class ToldTrouble(msgspec.Struct, frozen=True, kw_only=True):
    what: str
    detail: str
    is_fatal: bool


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    status: str  # ready, degraded, not_ready
    troubles: Sequence[ToldTrouble]


FIND_TROUBLES: web.AppKey[Callable[[], Awaitable[Sequence[Trouble]]]] = web.AppKey("find_troubles")
_PASSED_ON: Final = (FORWARDED, "X-Real-IP", "Forwarded", "Via")
_METRICS_TYPE: Final = {"Content-Type": CONTENT_TYPE_LATEST}


@routes.get("/healthz", right=OPEN)
async def show_health(request: web.Request) -> web.Response:
    """The event loop turns."""
    return web.json_response({"status": "ok"})


@routes.get("/readyz", right=OPEN)
async def show_readiness(request: web.Request) -> web.Response:
    """200 when work can be done (even with a PBX away: everything but its calls works), else 503; named either way.

    Anybody may ask, so what is wrong is named to all, and where our machines are to this one and to bearers of a token.
    """
    find = request.app.get(FIND_TROUBLES)
    troubles = list(await find()) if find else []
    is_told_all = bool(troubles) and await _is_told_all(request)
    told = [
        ToldTrouble(what=one.what, detail=one.detail if is_told_all else one.outline, is_fatal=one.is_fatal)
        for one in troubles
    ]
    is_fatal = any(trouble.is_fatal for trouble in troubles)
    word = "not_ready" if is_fatal else "degraded" if troubles else "ready"
    return web.Response(
        body=msgspec.json.encode(Readiness(status=word, troubles=told)),
        status=HTTPStatus.SERVICE_UNAVAILABLE if is_fatal else HTTPStatus.OK,
        content_type="application/json",
    )


@routes.get("/metrics", right=OPEN)
async def show_metrics(request: web.Request) -> web.Response:
    """For this machine, and for whoever shows an API token."""
    if not await _is_told_all(request):
        raise web.HTTPNotFound
    return web.Response(body=generate_latest(), headers=_METRICS_TYPE)


async def _is_told_all(request: web.Request) -> bool:
    return _is_this_machine(request) or await _has_token(request)


def _is_this_machine(request: web.Request) -> bool:
    """Loopback, and not a proxy on this machine that passes on somebody else's request."""
    if any(name in request.headers for name in _PASSED_ON):
        return False
    try:
        return request.remote is not None and ip_address(request.remote).is_loopback
    except ValueError:
        return False


async def _has_token(request: web.Request) -> bool:
    """False also while the database is away: health must be told without it."""
    credential = credential_of(request)
    if credential is None or not credential.is_token:
        return False
    try:
        return await request.app[GATE].access(credential) is not None
    except Exception as error:
        if is_away(error):
            return False
        raise
