"""«Рабочий стол», the first page: who waits to be called back, what is to be done today, one's leads, calls and figures."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.callbacks import list_cases
from crm.calls_read import list_calls
from crm.lead_lists import LeadFilter, list_leads
from crm.own_day import own_day
from crm.rights import Access
from crm.task_lists import TaskFilter, count_tasks, list_tasks
from crm.task_values import day_of
from web.board_sight import BoardSight
from web.keys import ACCESS, DESK, NOW, SESSIONS
from web.pages.answers import PageRoutes
from web.render import render, render_fragment, zone_of
from web.routes import SIGNED_IN, RouteKind

routes = PageRoutes()
_SHOWN: Final = 8  # lines of a part


@routes.get("/desk", right=SIGNED_IN)
async def show_desk(request: web.Request) -> web.Response:
    """Each part is there for whoever has the right to what it shows."""
    access = request[ACCESS]
    async with request.app[SESSIONS]() as session:
        shown = {
            **await _tasks(session, request, access),
            **await _calls(session, access, request.app[NOW]()),
            **await _leads(session, access),
        }
    present = request.app[DESK].board(BoardSight(access)) if access.may("live.board") else []
    return render(
        request,
        "desk/page.html",
        calls=present[:_SHOWN],
        count=len(present),
        now=request.app[NOW](),
        **shown,
    )


@routes.get("/desk/tasks", right="task.read", kind=RouteKind.FRAGMENT)
async def show_tasks(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        shown = await _tasks(session, request, request[ACCESS])
    return render_fragment(request, "desk/tasks.html", now=request.app[NOW](), **shown)


@routes.get("/desk/calls", right=SIGNED_IN, kind=RouteKind.FRAGMENT)
async def show_calls(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        shown = await _calls(session, request[ACCESS], request.app[NOW]())
    return render_fragment(request, "desk/calls.html", now=request.app[NOW](), **shown)


@routes.get("/desk/figures", right=SIGNED_IN, kind=RouteKind.FRAGMENT)
async def show_figures(request: web.Request) -> web.Response:
    """Asked for beside the page: nobody waits for a count."""
    since, until = day_of(request.app[NOW](), zone_of(request))
    async with request.app[SESSIONS]() as session:
        day = await own_day(session, request[ACCESS], since, until)
    return render_fragment(request, "desk/figures.html", day=day)


async def _tasks(session: AsyncSession, request: web.Request, access: Access) -> dict[str, Any]:
    """What is overdue first, then what is due today."""
    if not access.may("task.read"):
        return {"tasks": None, "overdue": None}
    now = request.app[NOW]()
    _since, until = day_of(now, zone_of(request))
    page = await list_tasks(session, access, TaskFilter(whose="mine", due_before=until), limit=_SHOWN)
    overdue = await count_tasks(session, access, TaskFilter(whose="mine", due_before=now))
    return {"tasks": page, "overdue": overdue}


async def _calls(session: AsyncSession, access: Access, now: datetime) -> dict[str, Any]:
    """Whom we owe a call, the most urgent first; and the latest calls."""
    missed = await list_cases(session, access, now, limit=_SHOWN) if access.may("callback.read") else None
    latest = await list_calls(session, access, limit=_SHOWN) if access.may("call.read") else None
    return {"missed": missed, "latest": latest.items if latest else None}


async def _leads(session: AsyncSession, access: Access) -> dict[str, Any]:
    if not access.may("lead.read"):
        return {"leads": None}
    mine = LeadFilter(owner_id=access.user_id)
    return {"leads": (await list_leads(session, access, mine, limit=_SHOWN)).items}
