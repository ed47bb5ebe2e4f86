"""The manner of the API: a typed query and body in, a typed answer out, problems told by RFC 9457.

An endpoint declares its types once; decoding, errors and the OpenAPI document (`web.api.openapi`) follow from them.
A request that cannot be read is answered 400, one that can be read but holds a value that does not fit 422.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from http import HTTPStatus
from inspect import signature
from typing import Any, Final, get_type_hints

import msgspec
from aiohttp import web

from crm.errors import CrmError
from web.api.reading import Unreadable, check_file, read_body, read_query
from web.api.refusing import tell, tell_unreadable
from web.routes import Handler, RouteKind, Routes

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is more than its body: another status, headers."""

    body: Any = None
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One operation as the OpenAPI document describes it."""

    method: str
    path: str
    right: str
    summary: str
    answer: Any
    query: type[msgspec.Struct]
    body: Any  # a Struct, or a union of tagged ones; None without one
    description: str = ""
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(
        default_factory=dict
    )  # of a request: name → what it is for; UUIDs, or If-Match
    sends: Mapping[str, str] = field(default_factory=dict)  # headers of the answer: name → what it tells
    takes: tuple[str, ...] = ()  # content types of a file that is the body itself; the handler reads it
    gives: tuple[str, ...] = ()  # content types of a file that is the answer
    moves: bool = False  # may answer 301 with the address of the record that took this one's place


class ApiRoutes(Routes):
    """Routes of the API, with what the document needs to know of them."""

    def __init__(self) -> None:
        super().__init__(kind=RouteKind.API)
        self.endpoints: list[Endpoint] = []

    def endpoint(
        self, method: str, path: str, *, right: str, **described: Any
    ) -> Callable[[Callable[..., Awaitable[Any]]], Handler]:
        """Decorate `async def handler(request, query[, body])`, which returns a value of type `answer`, or a `Reply`.

        Query and body are read as the types that the handler's signature names.

        Args:
            described: `while_away`, as of `Routes.route`; the other fields of `Endpoint`.
        """

        while_away = described.pop("while_away", False)

        def add(act: Callable[..., Awaitable[Any]]) -> Handler:
            query, body = _types_of(act)
            endpoint = Endpoint(method=method, path=path, right=right, query=query, body=body, **described)
            self.endpoints.append(endpoint)
            add_route = self.route(method, path, right=right, while_away=while_away)
            return add_route(_answering(act, endpoint))

        return add


def _types_of(act: Callable[..., Awaitable[Any]]) -> tuple[type[msgspec.Struct], Any]:
    """What a handler takes after the request: its query, and its body or None."""
    hints = get_type_hints(act)
    _request, query, *body = [hints[name] for name in signature(act).parameters]
    return query, body[0] if body else None


def _answering(act: Callable[..., Awaitable[Any]], endpoint: Endpoint) -> Handler:
    @wraps(act)
    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            arguments: list[Any] = [read_query(request, endpoint.query)]
            if endpoint.takes:
                check_file(request, endpoint.takes)
            if endpoint.body is not None:
                arguments.append(await read_body(request, endpoint.body))
            answer = await act(request, *arguments)
        except Unreadable as error:
            return tell_unreadable(error)
        except CrmError as error:
            return tell(error)
        if isinstance(answer, web.StreamResponse):
            return answer
        if not isinstance(answer, Reply):
            answer = Reply(body=answer, status=endpoint.status)
        return _response(answer)

    return handler


def _response(reply: Reply) -> web.Response:
    if reply.body is None:
        return web.Response(status=reply.status, headers=reply.headers)
    body = msgspec.json.encode(reply.body)
    return web.Response(body=body, status=reply.status, headers=reply.headers, content_type=JSON)
