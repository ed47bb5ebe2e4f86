"""Health for machines: alive, ready (and if not, what is wrong), figures for Prometheus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from web.auth import credential_of
from web.keys import GATE
from web.routes import OPEN, RouteKind, Routes

routes = Routes(kind=RouteKind.API)


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it should be. `is_fatal`: nobody should be sent here until it is mended."""

    what: str  # database, journal, connection
    detail: str  # English, with the remedy where there is one
    is_fatal: bool


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    status: str  # ready, degraded, not_ready
    troubles: Sequence[Trouble]


FIND_TROUBLES: web.AppKey[Callable[[], Awaitable[Sequence[Trouble]]]] = web.AppKey("find_troubles")
_METRICS_TYPE: Final = {"Content-Type": CONTENT_TYPE_LATEST}


@routes.get("/healthz", right=OPEN)
async def show_health(request: web.Request) -> web.Response:
    """The event loop turns."""
    return web.json_response({"status": "ok"})


@routes.get("/readyz", right=OPEN)
async def show_readiness(request: web.Request) -> web.Response:
    """200 when work can be done (even with a PBX away: everything but its calls works), else 503; named either way."""
    find = request.app.get(FIND_TROUBLES)
    troubles = list(await find()) if find else []
    is_fatal = any(trouble.is_fatal for trouble in troubles)
    word = "not_ready" if is_fatal else "degraded" if troubles else "ready"
    return web.Response(
        body=msgspec.json.encode(Readiness(status=word, troubles=troubles)),
        status=HTTPStatus.SERVICE_UNAVAILABLE if is_fatal else HTTPStatus.OK,
        content_type="application/json",
    )


@routes.get("/metrics", right=OPEN)
async def show_metrics(request: web.Request) -> web.Response:
    """For this machine, and for whoever shows an API token."""
    if not _is_loopback(request.remote) and not await _has_token(request):
        raise web.HTTPNotFound
    return web.Response(body=generate_latest(), headers=_METRICS_TYPE)


def _is_loopback(address: str | None) -> bool:
    try:
        return address is not None and ip_address(address).is_loopback
    except ValueError:
        return False


async def _has_token(request: web.Request) -> bool:
    credential = credential_of(request)
    if credential is None or not credential.is_token:
        return False
    return await request.app[GATE].access(credential) is not None
