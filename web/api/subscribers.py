"""Subscribers and what was sent to them: keep them, try them, send once more."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from crm import deliveries, subscribers
from crm.subscriber_events import KIND_OF
from crm.subscribers import SubscriberInfo, SubscriberValues
from web.api.contract import ApiRoutes, Reply
from web.api.once import ONCE, once
from web.api.reading import (
    Moment,
    NoQuery,
    Nothing,
    PageQuery,
    given,
    id_in_path,
    read_moment,
    read_version,
)
from web.api.versions import ETAG, IF_MATCH, versioned
from web.keys import ACCESS, NOW, SERVICES, SESSIONS
from web.subscriber_trial import seal_for, try_subscriber
from webhooks.addresses import MOST_CHARACTERS, checked_url

routes = ApiRoutes()
RIGHT: Final = "subscriber.manage"
PATH: Final = "/api/v1/subscribers"
ONE: Final = PATH + "/{id:[0-9]+}"
DELIVERY: Final = "/api/v1/deliveries/{id:[0-9]+}"
_NO_NUL: Final = r"^[^\x00]*$"
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=_NO_NUL)]
Url = Annotated[str, Meta(min_length=1, max_length=MOST_CHARACTERS, pattern=_NO_NUL)]
EventType = Annotated[str, Meta(max_length=40, pattern=f"^({'|'.join(KIND_OF).replace('.', '[.]')})$")]
EventTypes = Annotated[list[EventType], Meta(min_length=1, max_length=100)]
DeliveryState = Literal["waiting", "delivered", "failed"]


class NewSubscriber(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A receiver: its address, and the events it gets."""

    name: Name
    url: Url
    event_types: EventTypes


class Subscriber(msgspec.Struct, kw_only=True):
    """A receiver. `state`: active, paused (by somebody), failed (stopped by itself: nothing got through for a day).

    `waiting` and `failed` count events up to 1,000. `lost_until`: events before this moment were pruned before their turn came.
    """

    id: int
    name: str
    url: str
    event_types: list[str]
    state: Literal["active", "paused", "failed"]
    state_since: datetime
    failing_since: datetime | None
    delivered_at: datetime | None
    lost_until: datetime | None
    previous_until: datetime | None
    waiting: int
    failed: int
    version: int


class SubscriberList(msgspec.Struct):
    items: list[Subscriber]
    next: str | None = None


class MadeSubscriber(msgspec.Struct, kw_only=True):
    id: int


class Secret(msgspec.Struct, kw_only=True):
    """What requests are signed with. It is told this once."""

    id: int
    secret: str


class Trial(msgspec.Struct, kw_only=True):
    """What came of a trial. `trouble` null: it was taken."""

    trouble: str | None
    status: int | None
    answer: str
    milliseconds: int


class Delivery(msgspec.Struct, kw_only=True):
    """One event for one receiver. `body` when it is read alone, if the record is within one's rights."""

    id: int
    subscriber_id: int
    event_id: int
    type: str
    record_kind: str
    record_id: str
    event_at: datetime
    state: DeliveryState
    attempts: int
    next_try_at: datetime | None
    tried_at: datetime | None
    milliseconds: int | None
    answer_status: int | None
    answer_body: str | None
    trouble: str | None
    body: str | None


class DeliveryList(msgspec.Struct):
    items: list[Delivery]
    next: str | None = None


class DeliveryQuery(PageQuery, kw_only=True):
    state: DeliveryState | UnsetType = UNSET


class RepeatFailed(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Of events since a moment, or of all."""

    since: Moment | UnsetType = UNSET


class Repeated(msgspec.Struct):
    """How many events are sent once more; 10,000 at once."""

    count: int


@routes.endpoint(
    "GET", PATH, right=RIGHT, summary="Programs that are told what happens", answer=SubscriberList
)
async def list_(request: web.Request, _query: NoQuery) -> SubscriberList:
    async with request.app[SESSIONS]() as session:
        found = await subscribers.list_subscribers(session, request[ACCESS])
    return SubscriberList(items=[_told(each) for each in found])


@routes.endpoint(
    "POST",
    PATH,
    right=RIGHT,
    summary="A new subscriber",
    description=(
        "Its secret stands in the answer, this once, and where the request is repeated under its key. "
        "It is told what happens from now on."
    ),
    answer=Secret,
    status=HTTPStatus.CREATED,
    headers=ONCE,
)
async def add(request: web.Request, _query: NoQuery, new: NewSubscriber) -> Reply:
    access, values, seal = request[ACCESS], _values(request, new), seal_for(request)

    async def act(session: AsyncSession) -> MadeSubscriber:
        made, _secret = await subscribers.add_subscriber(session, access, values, seal, via="api")
        return MadeSubscriber(id=made)

    made = await once(request, act, MadeSubscriber)  # what is kept of the answer holds no secret
    async with request.app[SESSIONS].begin() as session:
        sealed = await subscribers.secret_of(session, access, made.id)
    return Reply(body=Secret(id=made.id, secret=seal.open(sealed)), status=HTTPStatus.CREATED)


@routes.endpoint("GET", ONE, right=RIGHT, summary="One subscriber", answer=Subscriber, sends=ETAG)
async def show(request: web.Request, _query: NoQuery) -> Reply:
    async with request.app[SESSIONS]() as session:
        found = await subscribers.subscriber(session, request[ACCESS], id_in_path(request))
    return versioned(_told(found), found.version)


@routes.endpoint(
    "PUT",
    ONE,
    right=RIGHT,
    summary="Another name, address, other events",
    answer=Subscriber,
    headers=IF_MATCH,
    sends=ETAG,
)
async def edit(request: web.Request, _query: NoQuery, new: NewSubscriber) -> Reply:
    values, version = _values(request, new), read_version(request)
    return await _act(request, subscribers.edit_subscriber, values, version=version)


@routes.endpoint(
    "DELETE", ONE, right=RIGHT, summary="Tell it nothing any more", answer=Nothing, headers=IF_MATCH
)
async def remove(request: web.Request, _query: NoQuery) -> Nothing:
    access, version = request[ACCESS], read_version(request)
    async with request.app[SESSIONS].begin() as session:
        await subscribers.remove_subscriber(
            session, access, id_in_path(request), request.app[NOW](), version=version, via="api"
        )
    return Nothing()


@routes.endpoint(
    "POST",
    ONE + "/pause",
    right=RIGHT,
    summary="Send nothing until it is resumed",
    answer=Subscriber,
    headers=IF_MATCH,
    sends=ETAG,
)
async def pause(request: web.Request, _query: NoQuery, _body: Nothing) -> Reply:
    version = read_version(request)
    return await _act(request, subscribers.pause_subscriber, request.app[NOW](), version=version)


@routes.endpoint(
    "POST",
    ONE + "/resume",
    right=RIGHT,
    summary="Send again, first what waited",
    answer=Subscriber,
    headers=IF_MATCH,
    sends=ETAG,
)
async def resume(request: web.Request, _query: NoQuery, _body: Nothing) -> Reply:
    version = read_version(request)
    return await _act(request, subscribers.resume_subscriber, request.app[NOW](), version=version)


@routes.endpoint(
    "POST",
    ONE + "/secret",
    right=RIGHT,
    summary="A new secret",
    description="The one before it signs beside the new one for a day.",
    answer=Secret,
)
async def rotate(request: web.Request, _query: NoQuery, _body: Nothing) -> Secret:
    subscriber_id, at = id_in_path(request), request.app[NOW]()
    async with request.app[SESSIONS].begin() as session:
        await subscribers.subscriber(session, request[ACCESS], subscriber_id)
        seal = seal_for(request)
        secret = await subscribers.rotate_secret(session, request[ACCESS], subscriber_id, seal, at, via="api")
    return Secret(id=subscriber_id, secret=secret)


@routes.endpoint(
    "POST",
    ONE + "/ping",
    right=RIGHT,
    summary="Send it a trial event, now",
    description="Takes 15 seconds at most, and is kept nowhere.",
    answer=Trial,
)
async def ping(request: web.Request, _query: NoQuery, _body: Nothing) -> Trial:
    tried = await try_subscriber(request, id_in_path(request))
    return msgspec.convert(tried, Trial, from_attributes=True)


@routes.endpoint(
    "GET",
    ONE + "/deliveries",
    right=RIGHT,
    summary="What was sent to it, newest first",
    answer=DeliveryList,
)
async def list_deliveries(request: web.Request, query: DeliveryQuery) -> DeliveryList:
    async with request.app[SESSIONS]() as session:
        page = await deliveries.list_deliveries(
            session,
            request[ACCESS],
            id_in_path(request),
            state=given(query.state),
            cursor=query.cursor or None,
            limit=query.limit,
        )
    items = [msgspec.convert(each, Delivery, from_attributes=True) for each in page.items]
    return DeliveryList(items=items, next=page.next)


@routes.endpoint(
    "POST",
    ONE + "/repeat-failed",
    right=RIGHT,
    summary="Send once more what was given up",
    answer=Repeated,
)
async def repeat_failed(request: web.Request, _query: NoQuery, asked: RepeatFailed) -> Repeated:
    since, at = read_moment("since", asked.since), request.app[NOW]()
    async with request.app[SESSIONS].begin() as session:
        count = await deliveries.repeat_failed(
            session, request[ACCESS], id_in_path(request), at, since=since, via="api"
        )
    return Repeated(count)


@routes.endpoint(
    "GET", DELIVERY, right=RIGHT, summary="One event that was sent, with its body", answer=Delivery
)
async def show_delivery(request: web.Request, _query: NoQuery) -> Delivery:
    async with request.app[SESSIONS]() as session:
        found = await deliveries.delivery(session, request[ACCESS], id_in_path(request))
    return msgspec.convert(found, Delivery, from_attributes=True)


@routes.endpoint(
    "POST", DELIVERY + "/repeat", right=RIGHT, summary="Send an event once more", answer=Delivery
)
async def repeat(request: web.Request, _query: NoQuery, _body: Nothing) -> Delivery:
    access, delivery_id, at = request[ACCESS], id_in_path(request), request.app[NOW]()
    async with request.app[SESSIONS].begin() as session:
        await deliveries.repeat_delivery(session, access, delivery_id, at, via="api")
        found = await deliveries.delivery(session, access, delivery_id)
    return msgspec.convert(found, Delivery, from_attributes=True)


def _values(request: web.Request, new: NewSubscriber) -> SubscriberValues:
    """Raises Invalid."""
    url = checked_url(new.url, request.app[SERVICES].subscriber_networks)
    return SubscriberValues(name=new.name, url=url, event_types=tuple(new.event_types))


async def _act(request: web.Request, act: Any, *values: object, **more: object) -> Reply:
    access, subscriber_id = request[ACCESS], id_in_path(request)
    async with request.app[SESSIONS].begin() as session:
        await act(session, access, subscriber_id, *values, via="api", **more)
        found = await subscribers.subscriber(session, access, subscriber_id)
    return versioned(_told(found), found.version)


def _told(found: SubscriberInfo) -> Subscriber:
    return msgspec.convert(found, Subscriber, from_attributes=True)
