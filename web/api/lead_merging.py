"""Merging leads, and undoing it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from crm.lead_merging import merge_leads, undo_lead_merge
from crm.merge_list import list_merges, read_merge
from web.api.contract import ApiRoutes
from web.api.merging import Field, Merge, MergeList, merge_told
from web.api.once import ONCE, once
from web.api.reading import Id, NoQuery, Nothing, PageQuery, id_in_path
from web.keys import ACCESS, SESSIONS

routes = ApiRoutes()
_PATH = "/api/v1/lead-merges"
_RIGHT = "party.merge"
_LEAD = "lead"


class NewLeadMerge(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Open leads. `choices`: title, need, source, line_id, owner_id → the lead whose value stands, null for nobody's."""

    survivor_id: Id
    merged_ids: Annotated[list[Id], Meta(min_length=1, max_length=4)]
    choices: Annotated[dict[Field, Id | None], Meta(max_length=20)] = {}


@routes.endpoint("GET", _PATH, right=_RIGHT, summary="Merges of leads, newest first", answer=MergeList)
async def merges(request: web.Request, query: PageQuery) -> MergeList:
    async with request.app[SESSIONS]() as session:
        page = await list_merges(
            session,
            request[ACCESS],
            record_kind=_LEAD,
            cursor=query.cursor or None,
            limit=query.limit,
        )
    return MergeList(items=[merge_told(each) for each in page.items], next=page.next)


@routes.endpoint(
    "POST",
    _PATH,
    right=_RIGHT,
    summary="Make two to five open leads one",
    description="Refused with 409 if one of them is over, or if they are about two different clients.",
    answer=Merge,
    status=HTTPStatus.CREATED,
    headers=ONCE,
)
async def merge(request: web.Request, _query: NoQuery, new: NewLeadMerge) -> Merge:
    access = request[ACCESS]

    async def act(session: AsyncSession) -> Merge:
        merged = await merge_leads(session, access, new.survivor_id, new.merged_ids, new.choices, via="api")
        return merge_told(await read_merge(session, access, merged.merge_id, record_kind=_LEAD))

    return await once(request, act, Merge)


@routes.endpoint(
    "POST",
    _PATH + "/{id:[0-9]+}/undo",
    right=_RIGHT,
    summary="Undo a merge of leads, within 30 days",
    answer=Merge,
)
async def undo(request: web.Request, _query: NoQuery, _body: Nothing) -> Merge:
    access, merge_id = request[ACCESS], id_in_path(request)
    async with request.app[SESSIONS].begin() as session:
        await undo_lead_merge(session, access, merge_id, via="api")
        told = await read_merge(session, access, merge_id, record_kind=_LEAD)
    return merge_told(told)
