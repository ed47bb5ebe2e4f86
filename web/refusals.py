"""Errors as answers: a page to a person, problem details (RFC 9457) to a program, an incident id to both."""

from __future__ import annotations

import re
import secrets
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from aiohttp import hdrs, web

from crm.errors import AlreadyExists, Conflict, CrmError, Invalid, NotAllowed, NotFound, Taken
from crm.passwords import TooManySignIns
from web.i18n import gettext as _
from web.i18n import speaking
from web.keys import ACCESS, KNOWN_BEFORE, ROUTE
from web.render import catalogue_for, render
from web.routes import RouteKind

log = structlog.get_logger(__name__)
RETRY_SECONDS: Final = 5
_CARD: Final = re.compile(r"/parties/(\d{1,18})(?:/edit)?")
_PROGRAM_KINDS = {RouteKind.API, RouteKind.SOCKET}


def is_for_program(request: web.Request) -> bool:
    """Whether the answer goes to a program: by the route's kind, or by the path where no route was found."""
    route = request.get(ROUTE)
    return route.kind in _PROGRAM_KINDS if route else request.path.startswith("/api/")


def problem(
    status: int, title: str, detail: str | None = None, *, headers: dict[str, str] | None = None, **more: Any
) -> web.Response:
    """Problem details; `more` are further members (`field`, `owner`, `incident`)."""
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    if detail:
        body["detail"] = detail
    return web.Response(
        body=msgspec.json.encode(body | more),
        status=status,
        content_type="application/problem+json",
        headers=headers,
    )


def refuse(
    request: web.Request, status: int, text: str | None = None, *, incident: str | None = None
) -> web.Response:
    """Tell that a request was not done. `text` is for the reader; without it the status speaks."""
    with speaking(catalogue_for(request)):
        title, advice = _words(status)
        if is_for_program(request):
            more: dict[str, Any] = {"incident": incident} if incident else {}
            return problem(status, HTTPStatus(status).phrase, text, **more)
        told = {"title": title, "text": text or advice, "incident": incident}
        return render(request, "error.html", status=status, asks_for=_hidden_card(request, status), **told)


def _hidden_card(request: web.Request, status: int) -> str:
    """The party whose card was asked for in vain by somebody who reads cards: they may ask for it, whether it is there or not."""
    access = request.get(ACCESS)
    card = _CARD.fullmatch(request.path)
    is_hidden = status == HTTPStatus.NOT_FOUND and access is not None and access.may("party.read")
    return card[1] if card and is_hidden else ""


_STATUSES: Final[dict[type[CrmError], HTTPStatus]] = {
    NotAllowed: HTTPStatus.NOT_FOUND,  # the same answer on purpose
    NotFound: HTTPStatus.NOT_FOUND,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Conflict: HTTPStatus.CONFLICT,
    AlreadyExists: HTTPStatus.CONFLICT,
    Taken: HTTPStatus.CONFLICT,
    TooManySignIns: HTTPStatus.TOO_MANY_REQUESTS,
}


def refuse_by_rule(request: web.Request, error: CrmError) -> web.Response:
    """A rule of the CRM said no, and the handler had no better place to show it."""
    status = _STATUSES.get(type(error), HTTPStatus.CONFLICT)
    with speaking(catalogue_for(request)):
        return refuse(request, status, tell(error))


def tell(error: CrmError) -> str:
    """The error in the reader's language: the value, what is wrong, what to try."""
    template = error.why if isinstance(error, Invalid) else error.template
    words = {name: ", ".join(map(_, each)) for name, each in error.messages.items()}
    return _(template) % {**error.values, **words}


def refuse_while_away(request: web.Request, error: Exception) -> web.Response:
    """The database does not serve now: said so, with when to come back (invariant I13)."""
    why = (str(error).splitlines() or [""])[0][:200]
    log.warning("request_without_database", path=request.path, error=type(error).__name__, why=why)
    if request.get(ACCESS) is None and (known := request.get(KNOWN_BEFORE)) is not None:
        request[ACCESS] = known  # for the frame around the words: nothing else is shown
    answer = _away(request)
    answer.headers[hdrs.RETRY_AFTER] = str(RETRY_SECONDS)
    return answer


def _away(request: web.Request) -> web.Response:
    """To a person a calm page that opens what was asked for as soon as it can."""
    with speaking(catalogue_for(request)):
        title, advice = _words(HTTPStatus.SERVICE_UNAVAILABLE)
        if is_for_program(request):
            return refuse(request, HTTPStatus.SERVICE_UNAVAILABLE, advice)
        told = {"title": title, "is_page": request.method == hdrs.METH_GET, "retry_seconds": RETRY_SECONDS}
        return render(request, "away.html", status=HTTPStatus.SERVICE_UNAVAILABLE, **told)


def refuse_failure(request: web.Request) -> web.Response:
    """A handler raised: fixed words and an id; what happened stands in the log beside that id (threat T29)."""
    incident = secrets.token_hex(4)
    log.exception("request_failed", incident=incident, method=request.method, path=request.path)
    return refuse(request, HTTPStatus.INTERNAL_SERVER_ERROR, incident=incident)


def _words(status: int) -> tuple[str, str]:
    match status:
        case HTTPStatus.FORBIDDEN:
            return _("Not allowed"), _("Your role does not include this. Ask your administrator.")
        case HTTPStatus.NOT_FOUND:
            return _("Nothing here"), _("There is no such page or record, or you may not see it.")
        case HTTPStatus.CONFLICT:
            return _("Changed meanwhile"), _("Somebody changed this record. Open it again and repeat.")
        case HTTPStatus.TOO_MANY_REQUESTS:
            return _("Too often"), _("Wait a little and try again.")
        case HTTPStatus.SERVICE_UNAVAILABLE:
            return _("The database does not answer"), _("Calls go on. Try again in a few seconds.")
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return _("Something broke"), _("It is not your fault. Tell your administrator the number below.")
        case _:
            return _("This did not work"), _("Go back and try again.")
