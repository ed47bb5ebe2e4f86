"""The shift monitor: agents, queues, waiting and present calls of this moment, and the day's figures, within one's rights.

The page asks for a part of it again when the socket tells that it changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from aiohttp import web

from crm.day_figures import DayFigures, day_figures
from cti.desk import AgentView, BoardCall, waiting_by_line
from web.board_sight import BoardSight
from web.keys import ACCESS, DESK, NOW, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.periods import days
from web.render import company_zone, render, render_fragment, wants_rows
from web.routes import RouteKind

routes = PageRoutes()
_MOST_ROWS: Final = 300  # nobody reads more at once; the rest is counted
_MOST_WAITING: Final = 20  # callers of one queue shown by themselves


@routes.get("/live-calls", right="live.board")
async def show_live_calls(request: web.Request) -> web.Response:
    calls = _calls(request)
    shown: dict[str, Any] = {"calls": calls[:_MOST_ROWS], "count": len(calls)}
    if wants_rows(request, "live-rows"):
        return render_fragment(request, "live_calls/rows.html", **shown)
    figures = await _figures(request)
    parts = _agents(request) | _queues(request) | {"lines": waiting_by_line(calls)}
    return render(request, "live_calls/page.html", **shown, **parts, figures=figures)


@routes.get("/live-calls/figures", right="live.board", kind=RouteKind.FRAGMENT)
async def show_figures(request: web.Request) -> web.Response:
    return render_fragment(request, "live_calls/figures.html", figures=await _figures(request))


@routes.get("/live-calls/agents", right="live.board", kind=RouteKind.FRAGMENT)
async def show_agents(request: web.Request) -> web.Response:
    return render_fragment(request, "live_calls/agents.html", **_agents(request))


@routes.get("/live-calls/queues", right="live.board", kind=RouteKind.FRAGMENT)
async def show_queues(request: web.Request) -> web.Response:
    return render_fragment(request, "live_calls/queues.html", **_queues(request))


@routes.get("/live-calls/lines", right="live.board", kind=RouteKind.FRAGMENT)
async def show_lines(request: web.Request) -> web.Response:
    return render_fragment(request, "live_calls/lines.html", lines=waiting_by_line(_calls(request)))


def _calls(request: web.Request) -> Sequence[BoardCall]:
    return request.app[DESK].board(BoardSight(request[ACCESS]))


def _agents(request: web.Request) -> dict[str, Any]:
    """Agents, of one team if the reader chose one; a team nobody of them is in narrows nothing."""
    everybody = request.app[DESK].shift.agents(BoardSight(request[ACCESS]))
    teams = _teams(everybody)
    chosen = request.query.get("team", "")
    team_id = next((id_ for id_, _ in teams if str(id_) == chosen), None)
    agents = [agent for agent in everybody if team_id is None or agent.team_id == team_id]
    return {"agents": agents, "teams": teams, "team_id": team_id}


def _teams(agents: Sequence[AgentView]) -> list[tuple[int, str]]:
    named = {agent.team_id: agent.team for agent in agents if agent.team_id is not None and agent.team}
    return sorted(named.items(), key=lambda team: team[1].casefold())


def _queues(request: web.Request) -> dict[str, Any]:
    queues = request.app[DESK].shift.queues(BoardSight(request[ACCESS]))
    return {"queues": queues, "most_waiting": _MOST_WAITING}


async def _figures(request: web.Request) -> DayFigures:
    """Since midnight where the company is, so that everybody reads the same figures."""
    zone: ZoneInfo = company_zone(request)
    now = request.app[NOW]()
    today = days(now.astimezone(zone).date(), now.astimezone(zone).date(), zone)
    async with request.app[SESSIONS]() as session:
        return await day_figures(
            session, request[ACCESS], today.start or now, today.end or now + timedelta(days=1)
        )
