"""What was sent to subscribers and what became of it: lists by keyset, one with its body, sent once more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import log_access, notify
from crm.delivery_queue import SUBSCRIBER_CHANNEL
from crm.errors import Invalid, NotFound
from crm.paging import Page, decode_cursor, encode_cursor, page_size
from crm.rights import Access, Scope
from crm.schema.subscribers import Subscriber, SubscriberDelivery
from crm.subscriber_events import READ_BY
from crm.subscribers import RIGHT

STATES: Final = ("waiting", "delivered", "failed")
REPEATED_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryInfo:
    """One event for one subscriber. `body` None: of a record that the reader may not see, or not asked for."""

    id: int
    subscriber_id: int
    event_id: int
    type: str
    record_kind: str
    record_id: str
    event_at: datetime
    state: str
    attempts: int
    next_try_at: datetime | None  # None: it is over
    tried_at: datetime | None
    milliseconds: int | None
    answer_status: int | None
    answer_body: str | None
    trouble: str | None
    body: str | None = None


async def list_deliveries(
    session: AsyncSession,
    access: Access,
    subscriber_id: int,
    *,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[DeliveryInfo]:
    """Of one subscriber, newest first, without bodies.

    Raises:
        NotAllowed, NotFound, Invalid (the state, the cursor).
    """
    access.require(RIGHT)
    if state is not None and state not in STATES:
        raise Invalid("state", state, "A state is waiting, delivered or failed.")
    await _in_use(session, subscriber_id)
    size = page_size(limit)
    query = select(SubscriberDelivery).where(SubscriberDelivery.subscriber_id == subscriber_id)
    if state is not None:
        query = query.where(SubscriberDelivery.state == state)
    if cursor:
        (before,) = decode_cursor(cursor, int)
        query = query.where(SubscriberDelivery.id < (before or 0))
    query = query.order_by(SubscriberDelivery.id.desc()).limit(size + 1)
    found = [_info(row) for row in await session.scalars(query.execution_options(populate_existing=True))]
    more = encode_cursor(found[size - 1].id) if len(found) > size else None
    return Page(items=tuple(found[:size]), next=more)


async def delivery(session: AsyncSession, access: Access, delivery_id: int) -> DeliveryInfo:
    """One with its body, as far as the reader may see the record it is about.

    Raises:
        NotAllowed, NotFound.
    """
    access.require(RIGHT)
    row = await session.scalar(_one(delivery_id).execution_options(populate_existing=True))
    if row is None:
        raise NotFound("delivery", delivery_id)
    may_read = access.scope(READ_BY[row.record_kind]) is Scope.ALL
    return _info(row, body=row.body if may_read else None)


async def repeat_delivery(
    session: AsyncSession, access: Access, delivery_id: int, now: datetime, *, via: str = "form"
) -> None:
    """Send an event once more, whatever became of it, for another day. Raises NotAllowed, NotFound."""
    access.require(RIGHT)
    subscriber_id = await session.scalar(
        update(SubscriberDelivery)
        .where(SubscriberDelivery.id.in_(_one(delivery_id).with_only_columns(SubscriberDelivery.id)))
        .values(_anew(now))
        .returning(SubscriberDelivery.subscriber_id)
    )
    if subscriber_id is None:
        raise NotFound("delivery", delivery_id)
    await _note(session, access, subscriber_id, 1, via)


async def repeat_failed(
    session: AsyncSession,
    access: Access,
    subscriber_id: int,
    now: datetime,
    *,
    since: datetime | None = None,
    via: str = "form",
) -> int:
    """Send once more what was given up, of events since a moment, the oldest 10,000 at most. Returns how many.

    Raises:
        NotAllowed, NotFound.
    """
    access.require(RIGHT)
    await _in_use(session, subscriber_id)
    failed = select(SubscriberDelivery.id).where(
        SubscriberDelivery.subscriber_id == subscriber_id, SubscriberDelivery.state == "failed"
    )
    if since is not None:
        failed = failed.where(SubscriberDelivery.event_at >= since)
    failed = failed.order_by(SubscriberDelivery.id).limit(REPEATED_AT_ONCE)
    again = update(SubscriberDelivery).where(SubscriberDelivery.id.in_(failed)).values(_anew(now))
    repeated = len((await session.scalars(again.returning(SubscriberDelivery.id))).all())
    if repeated:
        await _note(session, access, subscriber_id, repeated, via)
    return repeated


def _anew(now: datetime) -> dict[str, Any]:
    return {"state": "waiting", "failures": 0, "failing_since": None, "next_try_at": now}


async def _note(session: AsyncSession, access: Access, subscriber_id: int, count: int, via: str) -> None:
    """Data goes out once more: it stands in the journal of accesses who wanted that."""
    about: dict[str, Any] = {"record_kind": "subscriber", "record_id": subscriber_id}
    detail = {"count": count, "via": via}
    await log_access(session, "deliveries_repeated", access, detail=detail, **about)
    await notify(session, SUBSCRIBER_CHANNEL, subscriber_id)


async def _in_use(session: AsyncSession, subscriber_id: int) -> None:
    found = select(Subscriber.id).where(Subscriber.id == subscriber_id, Subscriber.deleted_at.is_(None))
    if await session.scalar(found) is None:
        raise NotFound("subscriber", subscriber_id)


def _one(delivery_id: int) -> Any:
    in_use = select(Subscriber.id).where(Subscriber.deleted_at.is_(None))
    return select(SubscriberDelivery).where(
        SubscriberDelivery.id == delivery_id, SubscriberDelivery.subscriber_id.in_(in_use)
    )


def _info(row: SubscriberDelivery, body: str | None = None) -> DeliveryInfo:
    return DeliveryInfo(
        id=row.id,
        subscriber_id=row.subscriber_id,
        event_id=row.event_id,
        type=row.type,
        record_kind=row.record_kind,
        record_id=row.record_id,
        event_at=row.event_at,
        state=row.state,
        attempts=row.attempts,
        next_try_at=row.next_try_at if row.state == "waiting" else None,
        tried_at=row.tried_at,
        milliseconds=row.milliseconds,
        answer_status=row.answer_status,
        answer_body=row.answer_body,
        trouble=row.trouble,
        body=body,
    )
