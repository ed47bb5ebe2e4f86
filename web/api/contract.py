"""The manner of the API: a typed query and body in, a typed answer out, problems told by RFC 9457.

An endpoint declares its types once; decoding, errors and the OpenAPI document (`web.api.openapi`) follow from them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from crm.errors import AlreadyExists, Conflict, CrmError, Invalid, NotAllowed, NotFound
from web.i18n import gettext as _
from web.refusals import problem
from web.routes import Handler, RouteKind, Routes

Answer = msgspec.Struct | Mapping[str, Any]
JSON: Final = "application/json"
MOST_BODY_BYTES: Final = 256 * 1024
BIGGEST_ID: Final = 2**63 - 1


class NoQuery(msgspec.Struct):
    """An endpoint without query parameters; others are ignored, as newer clients may send them."""


class Query(msgspec.Struct, kw_only=True):
    """What every list takes."""

    limit: int = msgspec.field(default=50)
    cursor: str = msgspec.field(default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One operation as the OpenAPI document describes it."""

    method: str
    path: str
    right: str
    summary: str
    query: type[msgspec.Struct]
    body: type[msgspec.Struct] | None
    answer: Any
    status: int


class ApiRoutes(Routes):
    """Routes of the API, with what the document needs to know of them."""

    def __init__(self) -> None:
        super().__init__(kind=RouteKind.API)
        self.endpoints: list[Endpoint] = []

    def endpoint(
        self,
        method: str,
        path: str,
        *,
        right: str,
        summary: str,
        answer: Any,
        query: type[msgspec.Struct] = NoQuery,
        body: type[msgspec.Struct] | None = None,
        status: int = HTTPStatus.OK,
    ) -> Callable[[Callable[..., Awaitable[Any]]], Handler]:
        """Decorate `async def handler(request, query[, body])`, which returns a value of type `answer`."""
        self.endpoints.append(
            Endpoint(
                method=method,
                path=path,
                right=right,
                summary=summary,
                query=query,
                body=body,
                answer=answer,
                status=status,
            )
        )

        def add(act: Callable[..., Awaitable[Any]]) -> Handler:
            return self.route(method, path, right=right)(_answering(act, query, body, status))

        return add


def _answering(
    act: Callable[..., Awaitable[Any]],
    query: type[msgspec.Struct],
    body: type[msgspec.Struct] | None,
    status: int,
) -> Handler:
    @wraps(act)
    async def handler(request: web.Request) -> web.Response:
        try:
            arguments: list[Any] = [read_query(request, query)]
            if body is not None:
                arguments.append(await read_body(request, body))
            answer = await act(request, *arguments)
        except Unreadable as error:
            return problem(error.status, HTTPStatus(error.status).phrase, str(error))
        except CrmError as error:
            return tell(error)
        return web.Response(body=msgspec.json.encode(answer), status=status, content_type=JSON)

    return handler


class Unreadable(Exception):
    """The request itself cannot be understood; the text names the value and the remedy."""

    def __init__(self, text: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        self.status = status
        super().__init__(text)


def read_query(request: web.Request, into: type[msgspec.Struct]) -> msgspec.Struct:
    """The query string as the declared type.

    Raises:
        Unreadable: a value is of the wrong kind or given twice.
    """
    for name in into.__struct_fields__:
        if len(request.query.getall(name, [])) > 1:
            raise Unreadable(_("The parameter “%(name)s” is given twice.") % {"name": name})
    try:
        found = msgspec.convert(dict(request.query), into, strict=False)
    except msgspec.ValidationError as error:
        raise Unreadable(_("The query is not right: %(why)s.") % {"why": error}) from error
    if isinstance(found, Query) and not 1 <= found.limit <= 200:
        raise Unreadable(_("“limit” is %(limit)s; it is 1 to 200.") % {"limit": found.limit})
    return found


async def read_body(request: web.Request, into: type[msgspec.Struct]) -> msgspec.Struct:
    """The body as the declared type; the API takes JSON only (a form of another site cannot send it).

    Raises:
        Unreadable: another content type, no JSON, a field missing or of the wrong kind.
    """
    if request.content_type != JSON:
        raise Unreadable(
            _("The API takes application/json, not “%(type)s”.") % {"type": request.content_type},
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        )
    if (request.content_length or 0) > MOST_BODY_BYTES:
        raise Unreadable(_("The body is larger than 256 KiB."), HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        return msgspec.json.decode(await request.read(), type=into)
    except msgspec.ValidationError as error:
        raise Unreadable(
            _("The body is not right: %(why)s.") % {"why": error}, HTTPStatus.UNPROCESSABLE_ENTITY
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(_("The body is no JSON: %(why)s.") % {"why": error}) from error


def tell(error: CrmError) -> web.Response:
    """A rule of the CRM as problem details, with the field it is about and, for a duplicate, what was found."""
    if isinstance(error, (NotFound, NotAllowed)):  # the same answer on purpose
        return problem(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_FOUND.phrase, _words(error))
    more: dict[str, Any] = {"code": error.code}
    if error.field:
        more["field"] = error.field
    if isinstance(error, AlreadyExists):
        more["party"] = {"id": error.party_id, "name": error.values.get("name")}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if isinstance(error, Invalid) else HTTPStatus.CONFLICT
    if isinstance(error, Conflict):
        more["version"] = error.version
    return problem(status, status.phrase, _words(error), **more)


def _words(error: CrmError) -> str:
    if isinstance(error, Invalid):
        return _(error.why) % error.values
    return _(error.template) % error.values


def id_in_path(request: web.Request, name: str = "id") -> int:
    """The id that the address carries.

    Raises:
        NotFound: it is larger than any id.
    """
    value = int(request.match_info[name])
    if value > BIGGEST_ID:
        raise NotFound("record", value)
    return value
