"""What page handlers share: errors of the CRM as answers, and the words of a good outcome."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from aiohttp import web

from crm.errors import NotAllowed, NotFound
from crm.rights import Access
from web.keys import ACCESS
from web.pages.problems import tell
from web.routes import Handler, RouteKind, Routes


class PageRoutes(Routes):
    """The routes of a page; what its handlers may not do or cannot find is answered 404, told in words."""

    def route(
        self,
        method: str,
        path: str,
        *,
        right: str,
        kind: RouteKind | None = None,
        while_away: bool = False,
    ) -> Callable[[Handler], Handler]:
        add = super().route(method, path, right=right, kind=kind, while_away=while_away)
        return lambda handler: add(_refusing(handler))


def _refusing(handler: Handler) -> Handler:
    @wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except (NotFound, NotAllowed) as refused:  # the same answer on purpose
            raise web.HTTPNotFound(text=tell(refused)) from refused

    return answer


def require(request: web.Request, *rights: str) -> Access:
    """Who asks, if they hold any of these rights.

    Raises:
        NotAllowed: naming the first of them.
    """
    access = request[ACCESS]
    if not any(access.may(right) for right in rights):
        raise NotAllowed(rights[0])
    return access


def id_in_path(request: web.Request, name: str = "id") -> int:
    """The id that the address carries; one too large for the database is nobody's.

    Raises:
        HTTPNotFound
    """
    value = int(request.match_info[name])
    if value >= 2**63:
        raise web.HTTPNotFound
    return value
