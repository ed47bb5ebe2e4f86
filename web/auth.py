"""Who asks: cookie or bearer token to `Access`, the route's right checked before its handler runs; signing in and out."""

from __future__ import annotations

from base64 import b64decode
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

import structlog
from aiohttp import hdrs, web

from crm.journal import is_away
from crm.rights import Access
from web.frame import first_page
from web.gate import CameIn, Credential
from web.i18n import gettext as _
from web.i18n import ngettext, speaking
from web.keys import ACCESS, GATE, IS_AWAY, KNOWN_BEFORE, LIVE, MISSING_RIGHT, ROUTE, SERVICES, SESSION_TOKEN
from web.refusals import is_for_program, refuse
from web.render import catalogue_for, render
from web.routes import OPEN, SIGNED_IN, Handler, RouteKind, Routes
from web.security import may_be_forged

log = structlog.get_logger(__name__)
routes = Routes()

SESSION_SECONDS: Final = 12 * 3600
_BASIC_PATHS: Final = frozenset({"/route"})  # what a PBX asks for: it can send a password, and no header
_MOST_CHARACTERS: Final = 128  # of a login or a password: longer ones cost time to hash (threat T16)


def cookie_name(request: web.Request) -> str:
    return "__Host-ringcard" if request.app[SERVICES].secure_cookies else "ringcard"


def credential_of(request: web.Request) -> Credential | None:
    """What the request shows: a bearer token wins over a cookie, since a program meant it."""
    scheme, _space, secret = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() == "bearer" and secret:
        return Credential(secret=secret.strip(), is_token=True)
    if scheme.lower() == "basic" and request.path in _BASIC_PATHS:
        return _password_of(secret)
    cookie = request.cookies.get(cookie_name(request))
    return Credential(secret=cookie, is_token=False) if cookie else None


def _password_of(encoded: str) -> Credential | None:
    """The password of `user:password`, whatever the user; it is an API token."""
    try:
        _user, _colon, password = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return Credential(secret=password, is_token=True) if password else None


@web.middleware
async def check_right(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request through to its handler when its sender holds the route's right; else say why not."""
    credential = credential_of(request)
    has_session = credential is not None and not credential.is_token
    if may_be_forged(request, has_session=has_session):
        log.warning("forged_request_refused", path=request.path, origin=request.headers.get(hdrs.ORIGIN))
        with speaking(catalogue_for(request)):
            return refuse(request, HTTPStatus.FORBIDDEN, _("This request came from another site."))
    route = request.get(ROUTE)
    if route is not None and route.right == OPEN:
        return await handler(request)
    if credential is not None:
        await _recognise(request, credential)
    if route is None:  # no such address: aiohttp's own handler says so, the error page shows the user's frame
        return await handler(request)
    if (access := request.get(ACCESS)) is None:
        return _ask_to_sign_in(request)
    if route.right != SIGNED_IN and not access.may(route.right):
        request[MISSING_RIGHT] = route.right
        return refuse(request, HTTPStatus.NOT_FOUND)  # as if it were not there
    return await handler(request)


async def _recognise(request: web.Request, credential: Credential) -> None:
    if len(credential.secret) > _MOST_CHARACTERS:
        return
    access = await _access_of(request, credential)
    if access is None:
        return
    request[ACCESS] = access
    if not credential.is_token:
        request[SESSION_TOKEN] = credential.secret


async def _access_of(request: web.Request, credential: Credential) -> Access | None:
    """What the bearer may do. While the database is away, whom it let in lately may open a live socket, and act on their calls.

    No page is shown to them meanwhile; but the one that says so keeps the frame, and with it their calls.
    """
    route, last_seen = request.get(ROUTE), request.app[LIVE].rechecks.last_seen
    is_socket = route is not None and route.kind is RouteKind.SOCKET
    goes_on = route is not None and (is_socket or route.while_away)
    try:
        access = await request.app[GATE].access(credential)
    except Exception as error:
        known = last_seen.of(credential) if is_away(error) else None
        if known is None:
            raise
        if not goes_on:
            request[KNOWN_BEFORE] = known
            raise
        request[IS_AWAY] = True
        return known
    if is_socket:
        last_seen.note(credential, access)
    return access


def _ask_to_sign_in(request: web.Request) -> web.StreamResponse:
    if is_for_program(request):
        response = refuse(request, HTTPStatus.UNAUTHORIZED, "Send a session cookie or a bearer token.")
        response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
        return response
    address = "/sign-in"
    if request[ROUTE].kind is RouteKind.PAGE and request.method == hdrs.METH_GET:
        address += "?" + urlencode({"next": request.path_qs}, safe="/")
    if request.headers.get("HX-Request") == "true":  # the whole page goes, not the part that was asked for
        return web.Response(status=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": address})
    raise web.HTTPSeeOther(address)


@routes.get("/sign-in", right=OPEN)
async def show_sign_in(request: web.Request) -> web.Response:
    return render(request, "sign_in.html", login="", problem=None, next=_own_path(request.query.get("next")))


@routes.post("/sign-in", right=OPEN)
async def sign_in(request: web.Request) -> web.Response:
    form = await request.post()
    login, password = str(form.get("login", "")).strip(), str(form.get("password", ""))
    next_path = _own_path(str(form.get("next", "")))
    if not (0 < len(login) <= _MOST_CHARACTERS and 0 < len(password) <= _MOST_CHARACTERS):
        return _refused(request, login, next_path, wait_seconds=0.0)
    outcome = await request.app[GATE].sign_in(
        login,
        password,
        address=request.remote or "",
        user_agent=request.headers.get(hdrs.USER_AGENT, "")[:300],
    )
    if not isinstance(outcome, CameIn):
        return _refused(request, login, next_path, wait_seconds=outcome.wait_seconds)
    await _end_former_session(request)
    response = web.HTTPSeeOther(next_path)
    response.set_cookie(
        cookie_name(request),
        outcome.token,
        max_age=SESSION_SECONDS,
        path="/",
        secure=request.app[SERVICES].secure_cookies,
        httponly=True,
        samesite="Lax",
    )
    raise response


def _refused(request: web.Request, login: str, next_path: str, *, wait_seconds: float) -> web.Response:
    """One text for an unknown login, a wrong password and a blocked user: nobody learns which it was."""
    if wait_seconds > 0:
        seconds = max(1, round(wait_seconds))
        problem = ngettext(
            "Too many wrong passwords. Try again in %(num)d second.",
            "Too many wrong passwords. Try again in %(num)d seconds.",
            seconds,
        ) % {"num": seconds}
        status = HTTPStatus.TOO_MANY_REQUESTS
    else:
        problem, status = _("Wrong login or password."), HTTPStatus.UNPROCESSABLE_ENTITY
    return render(request, "sign_in.html", status=status, login=login, problem=problem, next=next_path)


async def _end_former_session(request: web.Request) -> None:
    if former := request.cookies.get(cookie_name(request)):
        await request.app[GATE].sign_out(former)


@routes.post("/sign-out", right=SIGNED_IN)
async def sign_out(request: web.Request) -> web.Response:
    await _end_former_session(request)
    request.app[LIVE].rechecks.changed(request[ACCESS].user_id)
    response = web.HTTPSeeOther("/sign-in")
    response.del_cookie(cookie_name(request), path="/")
    raise response


@routes.get("/", right=SIGNED_IN)
async def show_home(request: web.Request) -> web.Response:
    raise web.HTTPSeeOther(first_page(request[ACCESS]))


def _own_path(wanted: str | None) -> str:
    """A path of ours to go on to; anything that could lead to another site becomes the home page."""
    if not wanted or not wanted.startswith("/") or wanted.startswith(("//", "/\\", "/sign-")):
        return "/"
    return quote(wanted, safe="/?&=%+:,;@!$'()*~-._")
