"""Keeping records clean: merging and undoing it, possible duplicates."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from crm.duplicates import dismiss_pair, list_pairs, search_state
from crm.merge_list import MergeInfo, list_merges, read_merge
from crm.merging import merge_parties, undo_merge
from web.api.contract import ApiRoutes
from web.api.once import ONCE, once
from web.api.party_types import PartyItem
from web.api.reading import Id, NoQuery, Nothing, PageQuery, Text, id_in_path
from web.keys import ACCESS, SESSIONS

routes = ApiRoutes()
_NUMBER = "{id:[0-9]+}"
Field = Annotated[str, Meta(max_length=50)]


class NewMerge(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`choices`: field → the record whose value stands, null for nobody's; what is not named follows the survivor."""

    survivor_id: Id
    merged_ids: Annotated[list[Id], Meta(min_length=1, max_length=4)]
    choices: Annotated[dict[Field, Id | None], Meta(max_length=20)] = {}


class Left(msgspec.Struct):
    """Rows that stayed with the survivor: `later` (came since), `elsewhere` (changed since), `taken` (somebody else's now)."""

    reference: str
    count: int
    why: Literal["later", "elsewhere", "taken"]


class MergedRecord(msgspec.Struct):
    id: int
    name: str


class Merge(msgspec.Struct, kw_only=True):
    """Who went into whom. `left`: what undoing could not give back."""

    id: int
    survivor_id: int
    survivor_name: str
    merged: list[MergedRecord]
    at: datetime
    by: str | None
    undone_at: datetime | None
    undone_by: str | None
    can_undo: bool
    left: list[Left]


class MergeList(msgspec.Struct):
    items: list[Merge]
    next: str | None


class Pair(msgspec.Struct, kw_only=True):
    """Two records that may be one. `likeness`: thousandths; `shown`: the number, address or INN that both have."""

    id: int
    reason: Literal["number", "email", "inn", "name"]
    shown: str
    likeness: int
    one: PartyItem
    other: PartyItem


class PairList(msgspec.Struct, kw_only=True):
    """`made_at`: when the pairs were made, null before the first search."""

    items: list[Pair]
    next: str | None
    made_at: datetime | None
    is_running: bool


class Dismissal(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    one_id: Id
    other_id: Id
    reason: Text = ""


class Done(msgspec.Struct):
    """It is done; said again it changes nothing."""

    id: int


@routes.endpoint(
    "GET", "/api/v1/merges", right="party.merge", summary="Merges, newest first", answer=MergeList
)
async def merges(request: web.Request, query: PageQuery) -> MergeList:
    async with request.app[SESSIONS]() as session:
        page = await list_merges(session, request[ACCESS], cursor=query.cursor or None, limit=query.limit)
    return MergeList(items=[merge_told(each) for each in page.items], next=page.next)


@routes.endpoint(
    "POST",
    "/api/v1/merges",
    right="party.merge",
    summary="Make two to five records one",
    description="Refused with 409 if they are of different types or one was merged meanwhile.",
    answer=Merge,
    status=HTTPStatus.CREATED,
    headers=ONCE,
)
async def merge(request: web.Request, _query: NoQuery, new: NewMerge) -> Merge:
    access = request[ACCESS]

    async def act(session: AsyncSession) -> Merge:
        merged = await merge_parties(session, access, new.survivor_id, new.merged_ids, new.choices, via="api")
        return merge_told(await read_merge(session, access, merged.merge_id))

    return await once(request, act, Merge)


@routes.endpoint(
    "POST",
    f"/api/v1/merges/{_NUMBER}/undo",
    right="party.merge",
    summary="Undo a merge, within 30 days",
    answer=Merge,
)
async def undo(request: web.Request, _query: NoQuery, _body: Nothing) -> Merge:
    access, merge_id = request[ACCESS], id_in_path(request)
    async with request.app[SESSIONS].begin() as session:
        await undo_merge(session, access, merge_id, via="api")
        told = await read_merge(session, access, merge_id)
    return merge_told(told)


def merge_told(info: MergeInfo) -> Merge:
    told: dict[str, Any] = {name: getattr(info, name) for name in info.__slots__}
    told["merged"] = [{"id": party_id, "name": name} for party_id, name in info.merged]
    told["left"] = [{"reference": left.reference, "count": left.count, "why": left.why} for left in info.left]
    return msgspec.convert(told, Merge)


@routes.endpoint(
    "GET",
    "/api/v1/duplicates",
    right="party.merge",
    summary="Pairs that may be one, the likeliest first",
    answer=PairList,
)
async def duplicates(request: web.Request, query: PageQuery) -> PairList:
    async with request.app[SESSIONS]() as session:
        page = await list_pairs(session, request[ACCESS], cursor=query.cursor or None, limit=query.limit)
        state = await search_state(session)
    items = [msgspec.convert(each, Pair, from_attributes=True) for each in page.items]
    return PairList(items=items, next=page.next, made_at=state.made_at, is_running=state.is_running)


@routes.endpoint(
    "POST",
    "/api/v1/duplicates/dismiss",
    right="party.merge",
    summary="These two are no duplicates, for everybody",
    answer=Done,
)
async def dismiss(request: web.Request, _query: NoQuery, said: Dismissal) -> Done:
    async with request.app[SESSIONS].begin() as session:
        await dismiss_pair(
            session, request[ACCESS], said.one_id, said.other_id, reason=said.reason, via="api"
        )
    return Done(id=min(said.one_id, said.other_id))
