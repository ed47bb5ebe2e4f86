"""The company's own kinds of communication."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from crm import communication_kinds
from crm.communication_kinds import MOST_NAME, RIGHT
from crm.errors import NotFound
from web.api.contract import ApiRoutes, Reply
from web.api.once import ONCE, once
from web.api.reading import NoQuery, given, id_in_path
from web.keys import ACCESS, SESSIONS
from web.routes import SIGNED_IN

routes = ApiRoutes()
PATH: Final = "/api/v1/communication-kinds"
KindName = Annotated[str, Meta(min_length=1, max_length=MOST_NAME, pattern=r"^[^\x00]*$")]


class CommunicationKind(msgspec.Struct, kw_only=True):
    """A kind of the company's own; an archived one is offered no more."""

    id: int
    name: str
    is_archived: bool


class CommunicationKindList(msgspec.Struct):
    items: list[CommunicationKind]
    next: str | None = None


class NewCommunicationKind(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A further kind, the last one."""

    name: KindName


class CommunicationKindChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays."""

    name: KindName | UnsetType = UNSET
    is_archived: bool | UnsetType = UNSET


@routes.endpoint(
    "GET",
    PATH,
    right=SIGNED_IN,
    summary="The company's own kinds of communication",
    answer=CommunicationKindList,
)
async def list_(request: web.Request, _query: NoQuery) -> CommunicationKindList:
    async with request.app[SESSIONS]() as session:
        return CommunicationKindList(items=await _all(session))


@routes.endpoint(
    "POST",
    PATH,
    right=RIGHT,
    summary="A further kind of communication",
    answer=CommunicationKind,
    status=HTTPStatus.CREATED,
    headers=ONCE,
)
async def add(request: web.Request, _query: NoQuery, new: NewCommunicationKind) -> Reply:
    async def act(session: AsyncSession) -> CommunicationKind:
        kind_id = await communication_kinds.add_kind(session, request[ACCESS], new.name, via="api")
        return await _one(session, kind_id)

    made = await once(request, act, CommunicationKind)
    return Reply(body=made, status=HTTPStatus.CREATED)


@routes.endpoint(
    "PATCH",
    PATH + "/{id:[0-9]+}",
    right=RIGHT,
    summary="Rename, archive or restore a kind of communication",
    answer=CommunicationKind,
)
async def change(request: web.Request, _query: NoQuery, body: CommunicationKindChange) -> CommunicationKind:
    kind_id = id_in_path(request)
    async with request.app[SESSIONS].begin() as session:
        await communication_kinds.change_kind(
            session,
            request[ACCESS],
            kind_id,
            name=given(body.name),
            is_archived=given(body.is_archived),
            via="api",
        )
        return await _one(session, kind_id)


async def _all(session: AsyncSession) -> list[CommunicationKind]:
    found = await communication_kinds.own_kinds(session, with_archived=True)
    return [msgspec.convert(each, CommunicationKind, from_attributes=True) for each in found]


async def _one(session: AsyncSession, kind_id: int) -> CommunicationKind:
    """Raises NotFound."""
    found = next((each for each in await _all(session) if each.id == kind_id), None)
    if found is None:
        raise NotFound("communication kind", kind_id)
    return found
