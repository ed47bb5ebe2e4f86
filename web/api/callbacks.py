"""Callers whom nobody took: list, read, take, give back, hand over, close."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from crm.callback_acts import close_case, give_back, hand_over, take_case
from crm.callbacks import CaseFilter, list_cases, read_case
from web.api.contract import ApiRoutes
from web.api.reading import NoQuery, PageQuery, given, id_in_path
from web.keys import ACCESS, NOW, SESSIONS

routes = ApiRoutes()
PATH: Final = "/api/v1/callbacks"
ONE: Final = PATH + "/{id:[0-9]+}"
State = Literal["open", "taken", "attempted", "resolved_by_callback", "resolved_by_client", "closed"]


class Callback(msgspec.Struct, kw_only=True):
    """A caller to call back, or one who was. Who may not read clients gets null for theirs."""

    id: int
    e164: str
    state: State
    team_id: int | None
    line_id: int | None
    line_name: str | None
    party_id: int | None
    party_name: str | None
    contact_id: int | None
    contact_name: str | None
    missed_count: int
    first_missed_at: datetime
    last_missed_at: datetime
    due_at: datetime
    is_overdue: bool
    taken_by_id: int | None
    taken_by_name: str | None
    taken_until: datetime | None
    attempts: int
    reacted_at: datetime | None
    resolved_at: datetime | None
    resolved_by_name: str | None
    resolving_call_id: UUID | None
    close_reason: str | None


class CallbackList(msgspec.Struct):
    items: list[Callback]
    next: str | None = None


class CallbackQuery(PageQuery, kw_only=True):
    """`settled=1`: those that are over, newest first, instead of those that wait, most urgent first."""

    settled: Literal["0", "1"] = "0"
    line: Annotated[int, Meta(ge=1, le=2**63 - 1)] | UnsetType = UNSET


class HandOver(msgspec.Struct, forbid_unknown_fields=True):
    user_id: Annotated[int, Meta(ge=1, le=2**63 - 1)]


class Closing(msgspec.Struct, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(min_length=1, max_length=200)]


@routes.endpoint(
    "GET", PATH, right="callback.read", summary="Callers to call back, most urgent first", answer=CallbackList
)
async def list_(request: web.Request, query: CallbackQuery) -> CallbackList:
    wanted = CaseFilter(is_settled=query.settled == "1", line_id=given(query.line))
    async with request.app[SESSIONS]() as session:
        page = await list_cases(
            session,
            request[ACCESS],
            request.app[NOW](),
            wanted,
            cursor=query.cursor or None,
            limit=query.limit,
        )
    return CallbackList(items=[_told(case) for case in page.items], next=page.next)


@routes.endpoint("GET", ONE, right="callback.read", summary="One caller to call back", answer=Callback)
async def show(request: web.Request, _query: NoQuery) -> Callback:
    async with request.app[SESSIONS]() as session:
        return _told(await read_case(session, request[ACCESS], id_in_path(request), request.app[NOW]()))


@routes.endpoint(
    "POST",
    ONE + "/take",
    right="callback.work",
    summary="Have a caller to oneself for ten minutes",
    description="A 409 while somebody else has them, or when nobody waits any more.",
    answer=Callback,
)
async def take(request: web.Request, _query: NoQuery) -> Callback:
    return await _act(request, take_case)


@routes.endpoint(
    "POST", ONE + "/give-back", right="callback.work", summary="Let others have a caller", answer=Callback
)
async def let_go(request: web.Request, _query: NoQuery) -> Callback:
    return await _act(request, give_back)


@routes.endpoint(
    "POST",
    ONE + "/hand-over",
    right="callback.work",
    summary="Give a caller to a colleague, who is notified",
    answer=Callback,
)
async def give_to(request: web.Request, _query: NoQuery, asked: HandOver) -> Callback:
    return await _act(request, hand_over, asked.user_id)


@routes.endpoint(
    "POST",
    ONE + "/close",
    right="callback.work",
    summary="Say why nobody need call back",
    answer=Callback,
)
async def close(request: web.Request, _query: NoQuery, asked: Closing) -> Callback:
    return await _act(request, close_case, asked.reason)


async def _act(request: web.Request, act: Any, *values: object) -> Callback:
    access, case_id, now = request[ACCESS], id_in_path(request), request.app[NOW]()
    async with request.app[SESSIONS].begin() as session:
        await act(session, access, case_id, *values, now, via="api")
        return _told(await read_case(session, access, case_id, now))


def _told(case: Any) -> Callback:
    return msgspec.convert(case, Callback, from_attributes=True)
