"""The parts of the administration, and the frame around each of its pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from crm.errors import NotAllowed
from crm.rights import Access
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS
from web.pages.answers import PageRoutes
from web.render import render
from web.routes import SIGNED_IN

routes = PageRoutes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One tab of the administration, for those who hold its right."""

    path: str
    title: str
    right: str


SECTIONS: Final = (
    Section(path="/admin/connections", title=N_("Connections"), right="connection.read"),
    Section(path="/admin/lines", title=N_("Lines"), right="line.manage"),
    Section(path="/admin/handling", title=N_("Handling of calls"), right="line.manage"),
    Section(path="/admin/queues", title=N_("Queues"), right="line.manage"),
    Section(path="/admin/calendars", title=N_("Working hours"), right="line.manage"),
    Section(path="/admin/extensions", title=N_("Extensions"), right="extension.manage"),
    Section(path="/admin/dialling", title=N_("Dialling rules"), right="dialling.manage"),
    Section(path="/admin/users", title=N_("Users"), right="user.read"),
    Section(path="/admin/teams", title=N_("Teams"), right="user.read"),
    Section(path="/admin/roles", title=N_("Roles"), right="user.read"),
    Section(path="/admin/directories", title=N_("Directories"), right="directory.manage"),
    Section(path="/admin/wrap-up", title=N_("Outcomes of talks"), right="directory.manage"),
    Section(path="/admin/required", title=N_("Required fields"), right="directory.manage"),
    Section(path="/admin/schemes", title=N_("Lead schemes"), right="directory.manage"),
    Section(path="/admin/communication-kinds", title=N_("Communication kinds"), right="user.manage"),
    Section(path="/admin/tokens", title=N_("API tokens"), right="token.manage"),
    Section(path="/admin/subscribers", title=N_("Subscribers"), right="subscriber.manage"),
    Section(path="/admin/numbers", title=N_("Numbers"), right="number.normalise"),
    Section(path="/admin/changes", title=N_("Changes"), right="journal.read"),
    Section(path="/admin/access", title=N_("Access"), right="journal.read"),
)


def sections_for(access: Access) -> list[Section]:
    return [section for section in SECTIONS if access.may(section.right)]


def render_section(request: web.Request, template: str, path: str, **context: Any) -> web.Response:
    """A page of the administration; `path` marks the tab it belongs to."""
    sections = sections_for(request[ACCESS])
    return render(request, template, sections=sections, section=path, **context)


@routes.get("/admin", right=SIGNED_IN)
async def show_first_section(request: web.Request) -> web.Response:
    sections = sections_for(request[ACCESS])
    if not sections:
        raise NotAllowed(SECTIONS[0].right)
    raise web.HTTPSeeOther(sections[0].path)
