"""Saving views and choosing columns, for every list alike; which list it is stands in the address."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiDictProxy

from crm import saved_views
from crm.errors import Invalid, Taken
from crm.saved_views import ViewInfo, read_view
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import form_of
from web.pages.lists.frame import Arrangement, ListFrame, content_from, frame_of
from web.pages.problems import tell
from web.render import render
from web.routes import SIGNED_IN

routes = PageRoutes()
Posted = MultiDictProxy[str | bytes | bytearray | web.FileField]


@routes.post(r"/lists/{area:[a-z_]+}/columns", right=SIGNED_IN)
async def choose_columns(request: web.Request) -> web.Response:
    """The reader's own columns, in the order of the form; «as usual» takes the choice back."""
    access, frame = request[ACCESS], _frame(request)
    posted = await request.post()
    columns = [] if "reset" in posted else _texts(posted, "columns")
    try:
        async with request.app[SESSIONS].begin() as session:
            await saved_views.choose_columns(session, access, frame.area, columns, frame.known())
    except Invalid as error:
        raise web.HTTPBadRequest(text=tell(error)) from error
    content = content_from(frame, form_of(posted.items()).values.get("query", ""), ())
    raise web.HTTPSeeOther(_address(frame, {**content.filters, "sort": content.sort}))


@routes.post(r"/lists/{area:[a-z_]+}/views", right=SIGNED_IN)
async def save_view(request: web.Request) -> web.Response:
    """The list as it stands now, under a name."""
    access, frame = request[ACCESS], _frame(request)
    posted = await request.post()
    form = form_of(posted.items())
    content = content_from(frame, form.values.get("query", ""), _texts(posted, "columns"))
    try:
        async with request.app[SESSIONS].begin() as session:
            view_id = await saved_views.save_view(
                session,
                access,
                frame.area,
                form.text("name"),
                content,
                role_codes=form.several("roles"),
            )
    except (Invalid, Taken) as error:
        return _refuse(request, frame, error)
    raise web.HTTPSeeOther(_address(frame, {**content.filters, "sort": content.sort, "view": str(view_id)}))


@routes.post(r"/lists/views/{id:\d+}", right=SIGNED_IN)
async def change_view(request: web.Request) -> web.Response:
    """One's own view takes over how the list stands now; its name and roles as in the form."""
    view = await _view(request)
    frame = frame_of(request[ACCESS], view.area)
    posted = await request.post()
    form = form_of(posted.items())
    content = content_from(frame, form.values.get("query", ""), _texts(posted, "columns"))
    try:
        async with request.app[SESSIONS].begin() as session:
            await saved_views.change_view(
                session,
                request[ACCESS],
                view.id,
                name=form.text("name") or view.name,
                content=content,
                role_codes=form.several("roles"),
            )
    except (Invalid, Taken) as error:
        return _refuse(request, frame, error)
    raise web.HTTPSeeOther(_address(frame, {**content.filters, "sort": content.sort, "view": str(view.id)}))


@routes.post(r"/lists/views/{id:\d+}/remove", right=SIGNED_IN)
async def remove_view(request: web.Request) -> web.Response:
    view = await _view(request)
    frame = frame_of(request[ACCESS], view.area)
    async with request.app[SESSIONS].begin() as session:
        await saved_views.remove_view(session, request[ACCESS], view.id)
    raise web.HTTPSeeOther(frame.path)


async def _view(request: web.Request) -> ViewInfo:
    async with request.app[SESSIONS]() as session:
        return await read_view(session, request[ACCESS], id_in_path(request))


def _frame(request: web.Request) -> ListFrame:
    return frame_of(request[ACCESS], request.match_info["area"])


def _texts(posted: Posted, name: str) -> list[str]:
    return [value for value in posted.getall(name, []) if isinstance(value, str)]


def _address(frame: ListFrame, said: dict[str, str]) -> str:
    return f"{frame.path}?{urlencode(said)}" if said else frame.path


def _refuse(request: web.Request, frame: ListFrame, error: Invalid | Taken) -> web.Response:
    back = Arrangement(frame=frame, columns=(), sort="", values={})
    return render(request, "lists/refused.html", status=422, problem=tell(error), back=back)
