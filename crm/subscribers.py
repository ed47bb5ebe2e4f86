"""Subscribers: other programs that are told what happens. Their addresses, secrets, and which events they get.

Whoever says what a subscriber is told must be able to read all such records: nothing goes out that they could not see themselves.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.based_changes import check_version
from crm.changes import differing, log_access, notify, record_change
from crm.delegation import refuse_wider
from crm.delivery_queue import SUBSCRIBER_CHANNEL, keepers
from crm.errors import Invalid, NotFound, Taken
from crm.names import checked_name
from crm.notifications import settle_notices
from crm.record_feed import present_place
from crm.rights import Access, Scope
from crm.schema.subscribers import Subscriber, SubscriberDelivery
from crm.sealing import Seal
from crm.subscriber_events import KIND_OF, READ_BY, checked_types

RIGHT: Final = "subscriber.manage"
KIND: Final = "subscriber"
MOST_SUBSCRIBERS: Final = 50
SECRET_BYTES: Final = 32
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - only how secrets begin
BOTH_SIGN_FOR: Final = timedelta(days=1)  # the old secret, beside the new one


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberValues:
    """What somebody says about a subscriber. The address is checked by whoever sends there, see `webhooks.addresses`."""

    name: str
    url: str
    event_types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberInfo:
    """A subscriber as lists and forms show it, without its secrets."""

    id: int
    name: str
    url: str
    event_types: tuple[str, ...]
    state: str  # active, paused (by somebody), failed (stopped by itself after a day in vain)
    state_since: datetime
    failing_since: datetime | None
    delivered_at: datetime | None
    lost_until: datetime | None
    previous_until: datetime | None  # until when the secret before this one signs as well
    waiting: int
    failed: int
    version: int


async def list_subscribers(session: AsyncSession, access: Access) -> list[SubscriberInfo]:
    """All of them by name.

    Raises:
        NotAllowed.
    """
    access.require(RIGHT)
    in_use = select(Subscriber).where(Subscriber.deleted_at.is_(None)).order_by(func.lower(Subscriber.name))
    rows = (await session.scalars(in_use.execution_options(populate_existing=True))).all()
    counts = await _counts(session, [row.id for row in rows])
    return [_info(row, counts) for row in rows]


async def subscriber(session: AsyncSession, access: Access, subscriber_id: int) -> SubscriberInfo:
    """One of them.

    Raises:
        NotAllowed, NotFound.
    """
    access.require(RIGHT)
    row = await session.scalar(_one(subscriber_id).execution_options(populate_existing=True))
    if row is None:
        raise NotFound("subscriber", subscriber_id)
    return _info(row, await _counts(session, [row.id]))


async def add_subscriber(
    session: AsyncSession, access: Access, values: SubscriberValues, seal: Seal, *, via: str = "form"
) -> tuple[int, str]:
    """A new subscriber, told what happens from now on. Returns its id and its secret, which is shown this once.

    Raises:
        NotAllowed, Invalid, Taken (the name).
    """
    access.require(RIGHT)
    row = _checked(access, values)
    await _refuse_too_many(session)
    place, secret = await present_place(session), _new_secret()
    kept = {"secret": seal.close(secret), "place_tx": place.tx, "place_id": place.id}
    new = insert(Subscriber).values(**row, **kept, created_by=access.actor_id).returning(Subscriber.id)
    try:
        async with session.begin_nested():
            subscriber_id = (await session.execute(new)).scalar_one()
    except IntegrityError as error:
        raise Taken("name", values.name) from error
    await record_change(session, access, "subscriber", subscriber_id, after=row | {"secret": secret}, via=via)
    await notify(session, SUBSCRIBER_CHANNEL, subscriber_id)
    return subscriber_id, secret


async def edit_subscriber(
    session: AsyncSession,
    access: Access,
    subscriber_id: int,
    values: SubscriberValues,
    *,
    version: int | None = None,
    via: str = "form",
) -> None:
    """Name, address and events; what waits already goes to the new address.

    Args:
        version: that the change is based on; None: whatever it is.

    Raises:
        NotAllowed, NotFound, Invalid, Taken (the name), Conflict (somebody saved meanwhile).
    """
    access.require(RIGHT)
    new = _checked(access, values)
    row = await _locked(session, subscriber_id)
    old = {name: getattr(row, name) for name in new}
    if changed := differing(old, new):
        await check_version(session, KIND, subscriber_id, row.version, version, changed)
    try:
        async with session.begin_nested():
            await _write(session, subscriber_id, **new)
    except IntegrityError as error:
        raise Taken("name", values.name) from error
    await record_change(session, access, "subscriber", subscriber_id, before=old, after=new, via=via)


async def pause_subscriber(
    session: AsyncSession,
    access: Access,
    subscriber_id: int,
    now: datetime,
    *,
    version: int | None = None,
    via: str = "form",
) -> None:
    """Nothing is sent until somebody resumes it; what happens meanwhile waits. Raises NotAllowed, NotFound, Conflict."""
    await _set_state(session, access, subscriber_id, "paused", now, version, via)


async def resume_subscriber(
    session: AsyncSession,
    access: Access,
    subscriber_id: int,
    now: datetime,
    *,
    version: int | None = None,
    via: str = "form",
) -> None:
    """Send again, first what waited. Raises NotAllowed, NotFound, Conflict."""
    await _set_state(session, access, subscriber_id, "active", now, version, via)
    waiting = (SubscriberDelivery.subscriber_id == subscriber_id, SubscriberDelivery.state == "waiting")
    anew = {"next_try_at": now, "failures": 0, "failing_since": None}
    await session.execute(update(SubscriberDelivery).where(*waiting).values(anew))
    await settle_notices(session, await keepers(session), "subscriber", subscriber_id)


async def rotate_secret(
    session: AsyncSession, access: Access, subscriber_id: int, seal: Seal, now: datetime, *, via: str = "form"
) -> str:
    """A new secret, shown this once; the one before it signs beside it for a day. Raises NotAllowed, NotFound."""
    access.require(RIGHT)
    row = await _locked(session, subscriber_id)
    secret = _new_secret()
    kept = {"previous_secret": row.secret, "previous_until": now + BOTH_SIGN_FOR}
    await _write(session, subscriber_id, secret=seal.close(secret), **kept)
    changed: dict[str, Any] = {"record_kind": "subscriber", "record_id": subscriber_id}
    await log_access(session, "secret_changed", access, detail={"via": via}, **changed)
    return secret


async def remove_subscriber(
    session: AsyncSession,
    access: Access,
    subscriber_id: int,
    now: datetime,
    *,
    version: int | None = None,
    via: str = "form",
) -> None:
    """It is told nothing any more; what was sent is kept as long as usual. Raises NotAllowed, NotFound, Conflict."""
    access.require(RIGHT)
    row = await _locked(session, subscriber_id)
    await check_version(session, KIND, subscriber_id, row.version, version, {})
    before = {"name": row.name, "url": row.url}
    await _write(session, subscriber_id, deleted_at=now, state="paused", secret=None, previous_secret=None)
    await record_change(session, access, "subscriber", subscriber_id, before=before, via=via)


async def secret_of(session: AsyncSession, access: Access, subscriber_id: int) -> bytes:
    """Its sealed secret, for a trial. Raises NotAllowed, NotFound."""
    access.require(RIGHT)
    sealed = (await _locked(session, subscriber_id)).secret
    assert sealed is not None, "a subscriber in use has one"
    return sealed


def _checked(access: Access, values: SubscriberValues) -> dict[str, Any]:
    types = checked_types(values.event_types)
    refuse_wider(access, {READ_BY[KIND_OF[type_]]: Scope.ALL for type_ in types}, "event_types")
    return {"name": checked_name(values.name), "url": values.url, "event_types": types}


async def _refuse_too_many(session: AsyncSession) -> None:
    query = select(func.count()).select_from(Subscriber).where(Subscriber.deleted_at.is_(None))
    if (await session.execute(query)).scalar_one() >= MOST_SUBSCRIBERS:
        why = "There are %(most)d subscribers already. Remove one first."
        raise Invalid("name", "", why, most=MOST_SUBSCRIBERS)


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


async def _set_state(
    session: AsyncSession,
    access: Access,
    subscriber_id: int,
    state: str,
    now: datetime,
    version: int | None,
    via: str,
) -> None:
    access.require(RIGHT)
    row = await _locked(session, subscriber_id)
    if row.state == state:
        return
    stands = {"state": (row.state, state)}
    await check_version(session, KIND, subscriber_id, row.version, version, stands)
    before, after = {"state": row.state}, {"state": state}
    await _write(session, subscriber_id, state=state, state_since=now, failing_since=None)
    await record_change(session, access, "subscriber", subscriber_id, before=before, after=after, via=via)


async def _write(session: AsyncSession, subscriber_id: int, **values: Any) -> None:
    changed = update(Subscriber).where(Subscriber.id == subscriber_id)
    await session.execute(changed.values(**values, version=Subscriber.version + 1))
    await notify(session, SUBSCRIBER_CHANNEL, subscriber_id)


def _one(subscriber_id: int) -> Any:
    return select(Subscriber).where(Subscriber.id == subscriber_id, Subscriber.deleted_at.is_(None))


async def _locked(session: AsyncSession, subscriber_id: int) -> Subscriber:
    query = _one(subscriber_id).with_for_update().execution_options(populate_existing=True)
    row: Subscriber | None = await session.scalar(query)
    if row is None:
        raise NotFound("subscriber", subscriber_id)
    return row


async def _counts(session: AsyncSession, ids: Collection[int]) -> Mapping[tuple[int, str], int]:
    """(subscriber, state) → how many deliveries, of those that wait or failed; each counted up to 1,000."""
    counts: dict[tuple[int, str], int] = {}
    for subscriber_id in ids:
        for state in ("waiting", "failed"):
            some = select(SubscriberDelivery.id).where(
                SubscriberDelivery.subscriber_id == subscriber_id, SubscriberDelivery.state == state
            )
            counted = select(func.count()).select_from(some.limit(1_000).subquery())
            counts[subscriber_id, state] = (await session.execute(counted)).scalar_one()
    return counts


def _info(row: Subscriber, counts: Mapping[tuple[int, str], int]) -> SubscriberInfo:
    return SubscriberInfo(
        id=row.id,
        name=row.name,
        url=row.url,
        event_types=tuple(row.event_types),
        state=row.state,
        state_since=row.state_since,
        failing_since=row.failing_since,
        delivered_at=row.delivered_at,
        lost_until=row.lost_until,
        previous_until=row.previous_until,
        waiting=counts[row.id, "waiting"],
        failed=counts[row.id, "failed"],
        version=row.version,
    )
