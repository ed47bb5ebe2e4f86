"""The lists of tasks: today, overdue, mine, set by me, followed, the department's."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Invalid
from crm.owners import active_users, colleagues
from crm.task_lists import TaskFilter, count_tasks, list_tasks
from crm.task_mass import MOST_TASKS
from crm.task_values import KINDS, PRIORITIES, STATES
from web.keys import ACCESS, NOW, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.lists.frame import arranged
from web.pages.parties.lists import done_in
from web.pages.problems import tell
from web.pages.tasks.sections import OVERDUE, SECTIONS, TODAY, TaskSection
from web.render import render_apart, wants_rows, zone_of
from web.routes import Handler

routes = PageRoutes()


def wanted_of(request: web.Request, section: TaskSection, values: dict[str, str]) -> TaskFilter:
    """What these filters mean now, in the reader's time zone."""
    return section.wanted(values, request.app[NOW](), zone_of(request))


def _handler(section: TaskSection) -> Handler:
    async def show_list(request: web.Request) -> web.Response:
        access = request[ACCESS]
        if not section.is_for(access):
            raise web.HTTPNotFound
        async with request.app[SESSIONS]() as session:
            list_ = await arranged(session, request, section.frame)
            wanted = wanted_of(request, section, dict(list_.values))
            try:
                page = await list_tasks(session, access, wanted, cursor=request.query.get("after"))
            except Invalid as error:  # an address that somebody made up, or an old one
                raise web.HTTPBadRequest(text=tell(error)) from error
            is_first = "after" not in request.query
            count = await count_tasks(session, access, wanted) if is_first else None
            now = request.app[NOW]()
            shown: dict[str, Any] = {
                "section": section,
                "list": list_,
                "page": page,
                "count": count,
                "now": now,
            }
            if wants_rows(request, "task-rows") or wants_rows(request, "task-more"):
                return await render_apart(
                    request, "tasks/rows.html", is_fragment=True, is_alone=True, **shown
                )
            shown |= await _around(session, request, section)
        return await render_apart(request, "tasks/list.html", is_alone=False, **shown)

    return show_list


async def _around(session: AsyncSession, request: web.Request, section: TaskSection) -> dict[str, Any]:
    """What stands around the rows: the other lists with their counts, filters, actions."""
    access = request[ACCESS]
    counts = {
        each.path: await count_tasks(session, access, wanted_of(request, each, {}))
        for each in (TODAY, OVERDUE)
    }
    return {
        "task_sections": [each for each in SECTIONS if each.is_for(access)],
        "counts": counts,
        "kinds": KINDS,
        "priorities": PRIORITIES,
        "states": STATES,
        "owners": await colleagues(session, access, "task.read") if section.whose == "all" else [],
        "heirs": await active_users(session) if access.may("task.give") else [],
        "most_tasks": MOST_TASKS,
        "done": done_in(request.query.get("done", "")),
    }


for _section in SECTIONS:
    routes.get(_section.path, right="task.read")(_handler(_section))
