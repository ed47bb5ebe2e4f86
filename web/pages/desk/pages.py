"""The desk: the calls of this moment and the latest ones, as far as one's rights reach."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from crm.calls_read import list_calls
from web.keys import ACCESS, DESK, NOW, SESSIONS
from web.live import BoardSight
from web.pages.answers import PageRoutes
from web.render import render
from web.routes import SIGNED_IN

routes = PageRoutes()
_LATEST: Final = 10


@routes.get("/desk", right=SIGNED_IN)
async def show_desk(request: web.Request) -> web.Response:
    """Whoever watches the board sees it; everybody else sees their own present calls in windows anyway."""
    access, latest = request[ACCESS], None
    if access.may("call.read"):
        async with request.app[SESSIONS]() as session:
            latest = await list_calls(session, access, limit=_LATEST)
    present = request.app[DESK].board(BoardSight(access)) if access.may("live.board") else []
    return render(
        request,
        "desk/page.html",
        calls=present[:_LATEST],
        count=len(present),
        latest=latest.items if latest else (),
        now=request.app[NOW](),
    )
