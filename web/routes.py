"""The table of routes: every route and every socket message names the right it needs, in one place.

A page module makes a `Routes()` and decorates its handlers; `web.app` adds the tables of all modules. A route without a
right, or with a right nobody knows, stops the program at its start (invariant G2).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiohttp import hdrs, web

from crm.granted_rights import RIGHTS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN: Final = "open"
"""Needs nobody: the sign-in page, assets, health."""
SIGNED_IN: Final = "signed_in"
"""Needs any user who is signed in."""


class RouteKind(StrEnum):
    """How a refusal is told: a page to a person, problem details to a program, a close code to a socket."""

    PAGE = "page"
    FRAGMENT = "fragment"
    API = "api"
    SOCKET = "socket"
    MESSAGE = "message"
    ASSET = "asset"


class RouteWithoutRight(RuntimeError):
    """A route was added to the application past the table, so nobody knows who may use it."""

    def __init__(self, where: str) -> None:
        super().__init__(f"{where} names no right. Add it through web.routes.Routes with right=…")


class UnknownRight(RuntimeError):
    """A route asks for a right that `crm.rights` does not know."""

    def __init__(self, where: str, right: str) -> None:
        super().__init__(f"{where} needs the right {right!r}, which crm.granted_rights.RIGHTS does not list.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of the table. `path` of a socket message is the socket's path, `#` and the message's type."""

    method: str
    path: str
    right: str
    kind: RouteKind
    handler: Handler | None = None
    while_away: bool = False  # whom the database let in lately may ask while it is away (invariant I13)

    @property
    def where(self) -> str:
        return f"{self.method} {self.path}"

    def as_json(self) -> dict[str, str]:
        """The line `ringcard routes --json` prints."""
        return {"method": self.method, "path": self.path, "right": self.right, "kind": self.kind.value}


class Routes:
    """The routes of one module, in order of definition; iterate to read them."""

    def __init__(self, *, kind: RouteKind = RouteKind.PAGE) -> None:
        self._kind = kind
        self._lines: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._lines)

    def route(
        self,
        method: str,
        path: str,
        *,
        right: str,
        kind: RouteKind | None = None,
        while_away: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Decorate a handler: `@routes.route("GET", r"/parties/{party_id:\\d+}", right="party.read")`.

        Args:
            while_away: the handler needs no database, and goes on without it for whoever was let in lately.
        """

        def add(handler: Handler) -> Handler:
            line = Route(
                method=method,
                path=path,
                right=right,
                kind=kind or self._kind,
                handler=handler,
                while_away=while_away,
            )
            self._lines.append(line)
            return handler

        return add

    def get(
        self, path: str, *, right: str, kind: RouteKind | None = None, while_away: bool = False
    ) -> Callable[[Handler], Handler]:
        return self.route(hdrs.METH_GET, path, right=right, kind=kind, while_away=while_away)

    def post(self, path: str, *, right: str, kind: RouteKind | None = None) -> Callable[[Handler], Handler]:
        return self.route(hdrs.METH_POST, path, right=right, kind=kind)

    def put(self, path: str, *, right: str, kind: RouteKind | None = None) -> Callable[[Handler], Handler]:
        return self.route(hdrs.METH_PUT, path, right=right, kind=kind)

    def patch(self, path: str, *, right: str, kind: RouteKind | None = None) -> Callable[[Handler], Handler]:
        return self.route(hdrs.METH_PATCH, path, right=right, kind=kind)

    def delete(self, path: str, *, right: str, kind: RouteKind | None = None) -> Callable[[Handler], Handler]:
        return self.route(hdrs.METH_DELETE, path, right=right, kind=kind)

    def message(self, path: str, message_type: str, *, right: str) -> None:
        """Name the right of a message that a client may send over the socket at `path`."""
        line = Route(method="SEND", path=f"{path}#{message_type}", right=right, kind=RouteKind.MESSAGE)
        self._lines.append(line)


def check_rights(lines: Iterable[Route]) -> None:
    """Refuse a table with a right nobody knows.

    Raises:
        UnknownRight: naming the first such line.
    """
    known = {OPEN, SIGNED_IN, *RIGHTS}
    for line in lines:
        if line.right not in known:
            raise UnknownRight(line.where, line.right)


def add_routes(router: web.UrlDispatcher, lines: Iterable[Route]) -> dict[web.AbstractRoute, Route]:
    """Put the table into aiohttp's router; tell which line stands behind each of aiohttp's routes."""
    behind: dict[web.AbstractRoute, Route] = {}
    for line in lines:
        if line.handler is None:
            continue
        behind[router.add_route(line.method, line.path, line.handler)] = line
        if line.method == hdrs.METH_GET and line.kind is not RouteKind.SOCKET:
            behind[router.add_route(hdrs.METH_HEAD, line.path, line.handler)] = line
    return behind


def check_complete(router: web.UrlDispatcher, behind: dict[web.AbstractRoute, Route]) -> None:
    """Refuse an application with a route that is not in the table.

    Raises:
        RouteWithoutRight: naming the first such route.
    """
    for route in router.routes():
        if route not in behind:
            raise RouteWithoutRight(
                f"{route.method} {route.resource.canonical if route.resource else route!r}"
            )
