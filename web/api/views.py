"""Saved views of lists: read, save, change, remove."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm import saved_views
from crm.errors import Invalid, NotFound
from crm.rights import Access
from crm.saved_views import ViewContent, ViewInfo
from web.api.communication_types import NewView, Removed, View, ViewList, ViewQuery, ViewWishes
from web.api.contract import ApiRoutes, Reply
from web.api.once import ONCE, once
from web.api.reading import NoQuery, id_in_path, read_version
from web.api.versions import ETAG, IF_MATCH, versioned
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.pages.lists.frame import ListFrame, frame_of, values_in
from web.routes import SIGNED_IN

routes = ApiRoutes()
PATH: Final = "/api/v1/views"
ONE: Final = PATH + "/{id:[0-9]+}"


@routes.endpoint(
    "GET",
    PATH,
    right=SIGNED_IN,
    summary="Saved views of a list: one's own, and those shared with one's roles",
    answer=ViewList,
)
async def list_(request: web.Request, query: ViewQuery) -> ViewList:
    async with request.app[SESSIONS]() as session:
        found = await saved_views.views_for(session, request[ACCESS], query.area)
    return ViewList(items=[_told(view) for view in found])


@routes.endpoint("GET", ONE, right=SIGNED_IN, summary="One saved view", answer=View, sends=ETAG)
async def show(request: web.Request, _query: NoQuery) -> Reply:
    async with request.app[SESSIONS]() as session:
        return await _answer(session, request[ACCESS], id_in_path(request))


@routes.endpoint(
    "POST",
    PATH,
    right=SIGNED_IN,
    summary="Save a view of a list",
    description="`role_codes` shares it, with roles that one holds oneself.",
    answer=View,
    status=HTTPStatus.CREATED,
    headers=ONCE,
    sends=ETAG | {"Location": "The new view."},
)
async def create(request: web.Request, _query: NoQuery, new: NewView) -> Reply:
    access = request[ACCESS]
    frame = _frame(access, new.area)

    async def act(session: AsyncSession) -> View:
        content, roles = _content(frame, new), list(dict.fromkeys(new.role_codes))
        made = await saved_views.save_view(
            session, access, frame.area, new.name, content, role_codes=roles, via="api"
        )
        return _told(await saved_views.read_view(session, access, made))

    view = await once(request, act, View)
    return versioned(view, view.version, HTTPStatus.CREATED, Location=f"{PATH}/{view.id}")


@routes.endpoint(
    "PUT",
    ONE,
    right=SIGNED_IN,
    summary="One's own view under another name, or with other content",
    description="Everything of it: what is left out becomes empty.",
    answer=View,
    headers=IF_MATCH,
    sends=ETAG,
)
async def edit(request: web.Request, _query: NoQuery, wishes: ViewWishes) -> Reply:
    access, view_id, version = request[ACCESS], id_in_path(request), read_version(request)
    async with request.app[SESSIONS].begin() as session:
        before = await saved_views.read_view(session, access, view_id)
        await saved_views.change_view(
            session,
            access,
            view_id,
            name=wishes.name,
            content=_content(_frame(access, before.area), wishes),
            role_codes=list(dict.fromkeys(wishes.role_codes)),
            version=version,
            via="api",
        )
        return await _answer(session, access, view_id)


@routes.endpoint(
    "DELETE",
    ONE,
    right=SIGNED_IN,
    summary="Remove one's own view",
    description="Whoever manages users may remove any that is shared.",
    answer=Removed,
    headers=IF_MATCH,
)
async def remove(request: web.Request, _query: NoQuery) -> Removed:
    view_id, version = id_in_path(request), read_version(request)
    async with request.app[SESSIONS].begin() as session:
        await saved_views.remove_view(session, request[ACCESS], view_id, version=version, via="api")
    return Removed(id=view_id)


async def _answer(session: AsyncSession, access: Access, view_id: int) -> Reply:
    view = await saved_views.read_view(session, access, view_id)
    return versioned(_told(view), view.version)


def _frame(access: Access, area: str) -> ListFrame:
    try:
        return frame_of(access, area)
    except NotFound as error:
        raise Invalid("area", area, N_("There is no such list.")) from error


def _content(frame: ListFrame, wishes: ViewWishes) -> ViewContent:
    known = frame.known()
    columns = tuple(dict.fromkeys(name for name in wishes.columns if name in known))
    return ViewContent(
        filters=values_in(frame, wishes.filters), sort=frame.sort(wishes.sort), columns=columns
    )


def _told(view: ViewInfo) -> View:
    return View(
        id=view.id,
        area=view.area,
        name=view.name,
        filters=dict(view.content.filters),
        sort=view.content.sort,
        columns=list(view.content.columns),
        role_codes=list(view.role_codes),
        owner_id=view.owner_id,
        owner_name=view.owner_name,
        is_own=view.is_own,
        version=view.version,
    )
