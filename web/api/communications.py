"""Communications of every kind, comments, notifications."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncSession

from crm import comments, notifications
from crm.by_hand import CommunicationValues, Tie, edit_communication, log_communication, values_of
from crm.changed_records import changed_communications
from crm.comments import CommentInfo
from crm.communication_filters import CommunicationFilter
from crm.communication_search import search_communications
from crm.communications import communication_card, list_communications
from crm.errors import Invalid
from crm.rights import Access
from web.api.communication_types import (
    Comment,
    CommentList,
    Communication,
    CommunicationChanges,
    CommunicationList,
    CommunicationQuery,
    CommunicationVersion,
    MadeCommunication,
    NewComment,
    NewCommunication,
    Notice,
    NoticeList,
    NoticeQuery,
    Pinning,
    Removed,
    SeenAnswer,
    SeenNotices,
    WholeCommunication,
)
from web.api.contract import ApiRoutes, Reply
from web.api.once import ONCE, once
from web.api.reading import (
    NoQuery,
    PageQuery,
    given,
    id_in_path,
    read_base,
    read_changed_since,
    read_moment,
    read_version,
    uuid_in_path,
)
from web.api.versions import ETAG, IF_MATCH, versioned
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.routes import SIGNED_IN

routes = ApiRoutes()
PATH: Final = "/api/v1/communications"
_COMMENTS: Final = "/api/v1/parties/{id:[0-9]+}/comments"
_LEAD_COMMENTS: Final = "/api/v1/leads/{id:[0-9]+}/comments"
_COMMENT: Final = "/api/v1/comments/{id:[0-9a-fA-F-]{36}}"


@routes.endpoint(
    "GET",
    PATH,
    right="party.read",
    summary="Calls, letters, meetings and all else",
    answer=CommunicationList,
)
async def list_(request: web.Request, query: CommunicationQuery) -> CommunicationList:
    since = read_changed_since(query)
    if since is not None:
        return await _changed(request, query, since)
    wanted = CommunicationFilter(
        kind=given(query.kind),
        direction=given(query.direction),
        meeting_state=given(query.state),
        user_id=given(query.user),
        party_id=given(query.party),
        lead_id=given(query.lead),
        since=read_moment("from", query.from_),
        until=read_moment("to", query.to),
    )
    order: dict[str, Any] = {"is_oldest_first": query.sort == "oldest", "limit": query.limit}
    async with request.app[SESSIONS]() as session:
        if given(query.q) is not None:
            return await _search(session, request[ACCESS], given(query.q) or "", wanted, order)
        page = await list_communications(
            session, request[ACCESS], wanted, cursor=query.cursor or None, **order
        )
    return CommunicationList(items=_items(page.items), next=page.next)


async def _search(
    session: AsyncSession, access: Access, typed: str, wanted: CommunicationFilter, order: dict[str, Any]
) -> CommunicationList:
    found = await search_communications(session, access, typed, wanted, **order)
    if found.is_too_short:
        raise Invalid("q", typed, N_("Type at least three letters or digits to search."))
    return CommunicationList(items=_items(found.items), next=None, is_cut=found.is_cut)


def _items(found: Iterable[Any]) -> list[Communication]:
    return [msgspec.convert(item, Communication, from_attributes=True) for item in found]


async def _changed(request: web.Request, query: CommunicationQuery, since: datetime) -> CommunicationList:
    async with request.app[SESSIONS]() as session:
        page = await changed_communications(
            session, request[ACCESS], since, cursor=query.cursor or None, limit=query.limit
        )
    items = _items(page.items)
    return CommunicationList(items=items, next=page.next, gone=list(page.gone), resume=page.resume)


@routes.endpoint(
    "POST",
    PATH,
    right="party.read",
    summary="Write a communication down",
    description="Whoever may read a party's card may write down what happened with them. Invited colleagues are notified.",
    answer=MadeCommunication,
    status=HTTPStatus.CREATED,
    headers=ONCE,
    sends={"Location": "The new communication."},
)
async def create(request: web.Request, _query: NoQuery, new: NewCommunication) -> Reply:
    values = _values(new)

    async def act(session: AsyncSession) -> MadeCommunication:
        made = await log_communication(session, request[ACCESS], values, lead_id=new.lead_id, via="api")
        return MadeCommunication(id=made)

    made = await once(request, act, MadeCommunication)
    return Reply(body=made, status=HTTPStatus.CREATED, headers={"Location": f"{PATH}/{made.id}"})


def _values(new: NewCommunication) -> CommunicationValues:
    said = msgspec.structs.asdict(new)
    del said["lead_id"]
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
    sends=ETAG,
)
async def show(request: web.Request, _query: NoQuery) -> Reply:
    async with request.app[SESSIONS]() as session:
        card = await communication_card(session, request[ACCESS], uuid_in_path(request, "communication"))
    return versioned(
        msgspec.convert(card, WholeCommunication, from_attributes=True), card.communication.version
    )


@routes.endpoint(
    "PATCH",
    PATH + "/{id:[0-9a-fA-F-]{36}}",
    right="party.read",
    summary="Change a communication that was written by hand",
    description="Its author, or whoever may edit the party it is about. What a PBX told is never changed.",
    answer=CommunicationVersion,
    headers=IF_MATCH,
    sends=ETAG,
)
async def edit(request: web.Request, _query: NoQuery, changes: CommunicationChanges) -> Reply:
    access, communication_id = request[ACCESS], uuid_in_path(request, "communication")
    version, said = read_version(request), _said(changes)
    async with request.app[SESSIONS].begin() as session:
        card = await communication_card(session, access, communication_id)
        values, based_on = replace(values_of(card), **said), version or card.communication.version
        now = await edit_communication(
            session, access, communication_id, values, version=based_on, tie=_tie(changes), via="api"
        )
    return versioned(CommunicationVersion(id=communication_id, version=now), now)


def _tie(changes: CommunicationChanges) -> Tie | None:
    return None if changes.lead_id is UNSET else Tie(changes.lead_id)


def _said(changes: CommunicationChanges) -> dict[str, Any]:
    said = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
    said.pop("lead_id", None)
    for name in ("started_at", "ended_at"):
        if said.get(name) is not None:
            said[name] = _moment(name, said[name])
    people = {name: tuple(said[name]) for name in ("user_ids", "person_ids") if name in said}
    return said | people


@routes.endpoint(
    "GET",
    _COMMENTS,
    right="party.read",
    summary="Comments on a party, newest first",
    answer=CommentList,
)
async def list_comments(request: web.Request, query: PageQuery) -> CommentList:
    return await _listed(request, query, comments.comments_of)


@routes.endpoint(
    "GET",
    _LEAD_COMMENTS,
    right="lead.read",
    summary="Comments on a lead, newest first",
    answer=CommentList,
)
async def list_lead_comments(request: web.Request, query: PageQuery) -> CommentList:
    return await _listed(request, query, comments.lead_comments_of)


async def _listed(request: web.Request, query: PageQuery, read: Any) -> CommentList:
    async with request.app[SESSIONS]() as session:
        page = await read(
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
    headers=ONCE,
)
async def add_comment(request: web.Request, _query: NoQuery, new: NewComment) -> Comment:
    return await _added(request, new, comments.add_comment)


@routes.endpoint(
    "POST",
    _LEAD_COMMENTS,
    right="lead.read",
    summary="Comment on a lead",
    answer=Comment,
    status=HTTPStatus.CREATED,
    headers=ONCE,
)
async def add_lead_comment(request: web.Request, _query: NoQuery, new: NewComment) -> Comment:
    return await _added(request, new, comments.add_lead_comment)


async def _added(request: web.Request, new: NewComment, add: Any) -> Comment:
    access, record_id = request[ACCESS], id_in_path(request)

    async def act(session: AsyncSession) -> Comment:
        made = await add(session, access, record_id, new.text, via="api")
        return msgspec.convert(await comments.comment(session, access, made), Comment, from_attributes=True)

    return await once(request, act, Comment)


@routes.endpoint("GET", _COMMENT, right="party.read", summary="One comment", answer=Comment, sends=ETAG)
async def show_comment(request: web.Request, _query: NoQuery) -> Reply:
    async with request.app[SESSIONS]() as session:
        return _comment_reply(
            await comments.comment(session, request[ACCESS], uuid_in_path(request, "comment"))
        )


@routes.endpoint(
    "PATCH",
    _COMMENT,
    right="party.read",
    summary="One's own comment in other words",
    answer=Comment,
    headers=IF_MATCH,
    sends=ETAG,
)
async def edit_comment(request: web.Request, _query: NoQuery, new: NewComment) -> Reply:
    access, comment_id, version = request[ACCESS], uuid_in_path(request, "comment"), read_version(request)
    async with request.app[SESSIONS].begin() as session:
        based_on = version or (await comments.comment(session, access, comment_id)).version
        await comments.edit_comment(session, access, comment_id, new.text, version=based_on, via="api")
        found = await comments.comment(session, access, comment_id)
    return _comment_reply(found)


@routes.endpoint(
    "DELETE",
    _COMMENT,
    right="party.read",
    summary="Remove one's own comment",
    description="Only the journal of changes keeps what it said.",
    answer=Removed,
    headers=IF_MATCH,
)
async def remove_comment(request: web.Request, _query: NoQuery) -> Removed:
    comment_id, version = uuid_in_path(request, "comment"), read_version(request)
    async with request.app[SESSIONS].begin() as session:
        await comments.remove_comment(session, request[ACCESS], comment_id, version=version, via="api")
    return Removed(id=comment_id)


@routes.endpoint(
    "POST",
    _COMMENT + "/pin",
    right="party.read",
    summary="Put a comment above the others, or back among them",
    answer=Comment,
    headers=IF_MATCH,
    sends=ETAG,
)
async def pin_comment(request: web.Request, _query: NoQuery, asked: Pinning) -> Reply:
    access, comment_id, base = request[ACCESS], uuid_in_path(request, "comment"), read_base(request)
    async with request.app[SESSIONS].begin() as session:
        await comments.pin_comment(
            session, access, comment_id, is_pinned=asked.is_pinned, base=base, via="api"
        )
        found = await comments.comment(session, access, comment_id)
    return _comment_reply(found)


def _comment_reply(found: CommentInfo) -> Reply:
    """Behind the version of its words stands whether it is pinned."""
    body = msgspec.convert(found, Comment, from_attributes=True)
    etag = f'"{found.version}.{int(found.is_pinned)}"'
    return Reply(body=body, status=HTTPStatus.OK, headers={"ETag": etag})


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
