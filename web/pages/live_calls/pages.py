"""The calls of this moment within one's rights; the page asks for its rows again when the socket tells of a change."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from web.keys import ACCESS, DESK
from web.live import BoardSight
from web.pages.answers import PageRoutes
from web.render import render, render_fragment, wants_rows

routes = PageRoutes()
_MOST_ROWS: Final = 300  # nobody reads more at once; the rest is counted


@routes.get("/live-calls", right="live.board")
async def show_live_calls(request: web.Request) -> web.Response:
    calls = request.app[DESK].board(BoardSight(request[ACCESS]))
    shown: dict[str, Any] = {"calls": calls[:_MOST_ROWS], "count": len(calls)}
    if wants_rows(request, "live-rows"):
        return render_fragment(request, "live_calls/rows.html", **shown)
    return render(request, "live_calls/page.html", **shown)
