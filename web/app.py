"""The aiohttp application: middlewares, the table of routes, templates, catalogues, assets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import hdrs, web

from crm.errors import CrmError
from crm.journal import is_away
from web import api, assets, auth, live_route, notes, pages, pops, routing, status
from web.assets import STYLE_SHEET, read_assets, style_sheet
from web.i18n import read_catalogues, speaking
from web.keys import (
    ASSETS,
    CATALOGUES,
    DESK,
    GATE,
    LIVE,
    NOTES,
    NOW,
    READERS,
    REFUSED_LOG,
    ROUTE,
    ROUTE_OF,
    SERVICES,
    SESSIONS,
    TEMPLATES,
    Services,
)
from web.live import LiveHub
from web.messages import message_tables
from web.proxies import believe_proxies
from web.refusals import refuse, refuse_by_rule, refuse_failure, refuse_while_away
from web.refused_log import RefusedLog, note_refusals, written
from web.render import catalogue_for, open_templates
from web.routes import Handler, Route, Routes, add_routes, check_complete, check_rights
from web.security import add_security_headers

_MOST_BODY_BYTES: Final = 2 * 1024 * 1024
_COMPRESSED_FROM_BYTES: Final = 1024
_COMPRESSED_TYPES: Final = frozenset({"text/html", "application/json", "application/problem+json"})


def route_table() -> list[Route]:
    """Every route and socket message with the right it needs: what `ringcard routes` prints."""
    own = (
        assets.routes,
        auth.routes,
        live_route.routes,
        pops.routes,
        notes.routes,
        status.routes,
        routing.routes,
    )
    tables = (*own, *pages.ROUTES, *api.ROUTES)
    return [line for table in tables for line in table]


def create_app(services: Services, more: Sequence[Routes] = ()) -> web.Application:
    """The whole web part. `more`: tables besides our own: health and metrics of the daemon, pages of tests.

    Raises:
        UnknownRight, RouteWithoutRight: a route whose right is not clear; the program does not start with it.
    """
    app = web.Application(
        middlewares=[
            believe_proxies,
            name_route,
            note_refusals,
            compress,
            tell_errors,
            auth.check_right,
            speak,
        ],
        client_max_size=_MOST_BODY_BYTES,
    )
    catalogues = read_catalogues()
    files = read_assets({**message_tables(catalogues), STYLE_SHEET: style_sheet()})
    app[SERVICES], app[SESSIONS], app[GATE] = services, services.sessions, services.gate
    app[READERS] = services.readers or services.sessions
    app[NOTES], app[DESK], app[NOW] = services.notes, services.desk, services.now
    app[CATALOGUES], app[ASSETS], app[TEMPLATES] = catalogues, files, open_templates(files)
    app[REFUSED_LOG] = refused = RefusedLog(services.sessions, services.now)
    app[LIVE] = LiveHub(services.desk, services.gate, services.now, on_refused=refused.note)
    _add_table(app, [*route_table(), *(line for table in more for line in table)])
    app.on_response_prepare.append(add_security_headers)
    app.cleanup_ctx.append(live_route.watched)
    app.cleanup_ctx.append(written)
    app.on_shutdown.append(live_route.close_sockets)
    return app


def _add_table(app: web.Application, lines: Sequence[Route]) -> None:
    check_rights(lines)
    behind = add_routes(app.router, lines)
    check_complete(app.router, behind)
    app[ROUTE_OF] = behind


@web.middleware
async def name_route(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Put the table's line into the request, for everyone further in."""
    if (line := request.app[ROUTE_OF].get(request.match_info.route)) is not None:
        request[ROUTE] = line
    return await handler(request)


@web.middleware
async def tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what was raised into an answer; redirects pass."""
    try:
        return await handler(request)
    except web.HTTPException as raised:
        if raised.status < 400:
            raise
        text = None if raised.text in {None, f"{raised.status}: {raised.reason}"} else raised.text
        answer = refuse(request, raised.status, text)
        if allowed := raised.headers.get(hdrs.ALLOW):
            answer.headers[hdrs.ALLOW] = allowed
        return answer
    except CrmError as error:
        return refuse_by_rule(request, error)
    except Exception as error:
        return refuse_while_away(request, error) if is_away(error) else refuse_failure(request)


@web.middleware
async def compress(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Dynamic answers over 1 KB; static files bring their own compressed form."""
    response = await handler(request)
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    if response.content_type in _COMPRESSED_TYPES and len(response.body) > _COMPRESSED_FROM_BYTES:
        response.enable_compression()
    return response


@web.middleware
async def speak(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The handler's `gettext` answers in the language of whoever asks."""
    with speaking(catalogue_for(request)):
        return await handler(request)
