"""Communications of every kind, comments, notifications, saved views."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

import msgspec
from aiohttp import web

from crm import comments, notifications
from crm.by_hand import CommunicationValues, log_communication
from crm.communications import CommunicationFilter, communication_card, list_communications
from crm.errors import NotFound
from crm.saved_views import views_for
from web.api.communication_types import (
    Comment,
    CommentList,
    Communication,
    CommunicationList,
    CommunicationQuery,
    MadeCommunication,
    NewComment,
    NewCommunication,
    Notice,
    NoticeList,
    NoticeQuery,
    SeenAnswer,
    SeenNotices,
    View,
    ViewList,
    ViewQuery,
    WholeCommunication,
)
from web.api.contract import ApiRoutes, Reply
from web.api.reading import NoQuery, PageQuery, given, id_in_path, read_moment
from web.keys import ACCESS, SESSIONS
from web.routes import SIGNED_IN

routes = ApiRoutes()
PATH: Final = "/api/v1/communications"
_COMMENTS: Final = "/api/v1/parties/{id:[0-9]+}/comments"


@routes.endpoint(
    "GET",
    PATH,
    right="party.read",
    summary="Calls, letters, meetings and all else, newest first",
    answer=CommunicationList,
)
async def list_(request: web.Request, query: CommunicationQuery) -> CommunicationList:
    wanted = CommunicationFilter(
        kind=given(query.kind),
        direction=given(query.direction),
        meeting_state=given(query.state),
        user_id=given(query.user),
        party_id=given(query.party),
        since=read_moment("from", query.from_),
        until=read_moment("to", query.to),
    )
    async with request.app[SESSIONS]() as session:
        page = await list_communications(
            session, request[ACCESS], wanted, cursor=query.cursor or None, limit=query.limit
        )
    items = [msgspec.convert(item, Communication, from_attributes=True) for item in page.items]
    return CommunicationList(items=items, next=page.next)


@routes.endpoint(
    "POST",
    PATH,
    right="party.read",
    summary="Write a communication down",
    description="Whoever may read a party's card may write down what happened with them. Invited colleagues are notified.",
    answer=MadeCommunication,
    status=HTTPStatus.CREATED,
    sends={"Location": "The new communication."},
)
async def create(request: web.Request, _query: NoQuery, new: NewCommunication) -> Reply:
    async with request.app[SESSIONS].begin() as session:
        made = await log_communication(session, request[ACCESS], _values(new), via="api")
    address = {"Location": f"{PATH}/{made}"}
    return Reply(body=MadeCommunication(id=made), status=HTTPStatus.CREATED, headers=address)


def _values(new: NewCommunication) -> CommunicationValues:
    said = msgspec.structs.asdict(new)
    said["started_at"] = _moment("started_at", new.started_at)
    said["ended_at"] = None if new.ended_at is None else _moment("ended_at", new.ended_at)
    said["user_ids"], said["person_ids"] = tuple(new.user_ids), tuple(new.person_ids)
    return CommunicationValues(**said)


def _moment(name: str, text: str) -> datetime:
    moment = read_moment(name, text)
    assert moment is not None, "a text was given"
    return moment


@routes.endpoint(
    "GET",
    PATH + "/{id:[0-9a-fA-F-]{36}}",
    right="party.read",
    summary="One communication, with the people of a meeting",
    answer=WholeCommunication,
)
async def show(request: web.Request, _query: NoQuery) -> WholeCommunication:
    async with request.app[SESSIONS]() as session:
        card = await communication_card(session, request[ACCESS], _uuid_in_path(request))
    return msgspec.convert(card, WholeCommunication, from_attributes=True)


def _uuid_in_path(request: web.Request) -> UUID:
    text = request.match_info["id"]
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound("communication", text) from error


@routes.endpoint(
    "GET",
    _COMMENTS,
    right="party.read",
    summary="Comments on a party, newest first",
    answer=CommentList,
)
async def list_comments(request: web.Request, query: PageQuery) -> CommentList:
    async with request.app[SESSIONS]() as session:
        page = await comments.comments_of(
            session, request[ACCESS], id_in_path(request), cursor=query.cursor or None, limit=query.limit
        )
    items = [msgspec.convert(item, Comment, from_attributes=True) for item in page.items]
    return CommentList(items=items, next=page.next)


@routes.endpoint(
    "POST",
    _COMMENTS,
    right="party.read",
    summary="Comment on a party",
    answer=Comment,
    status=HTTPStatus.CREATED,
)
async def add_comment(request: web.Request, _query: NoQuery, new: NewComment) -> Comment:
    access = request[ACCESS]
    async with request.app[SESSIONS].begin() as session:
        made = await comments.add_comment(session, access, id_in_path(request), new.text, via="api")
        found = await comments.comment(session, access, made)
    return msgspec.convert(found, Comment, from_attributes=True)


@routes.endpoint(
    "GET", "/api/v1/notifications", right=SIGNED_IN, summary="One's own notifications", answer=NoticeList
)
async def list_notices(request: web.Request, query: NoticeQuery) -> NoticeList:
    access = request[ACCESS]
    async with request.app[SESSIONS]() as session:
        page = await notifications.list_notices(
            session,
            access,
            only_unseen=query.unseen == "1",
            cursor=query.cursor or None,
            limit=query.limit,
        )
        unseen = await notifications.count_unseen(session, access)
    items = [msgspec.convert(item, Notice, from_attributes=True) for item in page.items]
    return NoticeList(items=items, next=page.next, unseen=unseen)


@routes.endpoint(
    "POST",
    "/api/v1/notifications/seen",
    right=SIGNED_IN,
    summary="Mark notifications as seen",
    answer=SeenAnswer,
)
async def mark_seen(request: web.Request, _query: NoQuery, seen: SeenNotices) -> SeenAnswer:
    wanted = [None] if seen.ids is None else [*dict.fromkeys(seen.ids)]
    marked = 0
    async with request.app[SESSIONS].begin() as session:
        for notice_id in wanted:
            marked += await notifications.mark_seen(session, request[ACCESS], notice_id)
    return SeenAnswer(marked=marked)


@routes.endpoint(
    "GET",
    "/api/v1/views",
    right=SIGNED_IN,
    summary="Saved views of a list: one's own, and those shared with one's roles",
    answer=ViewList,
)
async def list_views(request: web.Request, query: ViewQuery) -> ViewList:
    async with request.app[SESSIONS]() as session:
        found = await views_for(session, request[ACCESS], query.area)
    return ViewList(
        items=[
            View(
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
            )
            for view in found
        ]
    )
