"""What waits for each subscriber: taken over from the outbox in the order of committing, sent one record at a time, kept until it got through.

One program sends for a subscriber at a time; it says so in the row, and another one takes over 40 seconds after it fell silent; its own next
run, under the same name, at once. What was sent and not yet written down is sent again: at least once, never lost. The events of a subscriber that does not answer stay in the
outbox; only so many are taken over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import publish, storable
from crm.notifications import tell_users
from crm.rights import command_access
from crm.schema.access import Permission, RoleAssignment, User
from crm.schema.subscribers import Subscriber, SubscriberDelivery

SUBSCRIBER_CHANNEL: Final = "ringcard_subscriber"  # payload: the id of a subscriber that changed
TRIED_FOR: Final = timedelta(days=1)
HELD_FOR: Final = timedelta(
    seconds=40
)  # twice what a round takes at most: what is sent may be on its way so long
MOST_WAITING: Final = 1_000  # of one subscriber; more stay in the outbox
TAKEN_AT_ONCE: Final = 200
KEPT_CHARACTERS: Final = 1_000  # of an answer
MOST_TOLD: Final = 50
RIGHT: Final = ("subscriber", "manage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A subscriber that this program sends for. `secrets`: sealed, the newest first."""

    id: int
    name: str
    url: str
    secrets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An event that is to be sent now, the first of its record. `failures`: tries in vain so far."""

    id: int
    event_id: int
    body: str
    failures: int
    failing_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What became of a try. `trouble` None: it got through."""

    trouble: str | None
    status: int | None
    answer: str
    milliseconds: int


async def active_ids(session: AsyncSession) -> list[int]:
    """Subscribers that something may be sent to."""
    in_use = (Subscriber.state == "active", Subscriber.deleted_at.is_(None))
    return list(await session.scalars(select(Subscriber.id).where(*in_use).order_by(Subscriber.id)))


async def hold(session: AsyncSession, subscriber_id: int, me: UUID, now: datetime) -> Held | None:
    """Be the program that sends for it, for a while; None: another one is, or it is not to be sent to."""
    query = select(Subscriber).where(
        Subscriber.id == subscriber_id, Subscriber.state == "active", Subscriber.deleted_at.is_(None)
    )
    row = await session.scalar(query.execution_options(populate_existing=True))
    if row is None or row.secret is None:
        return None
    is_mine = row.holder == me and row.held_until is not None and row.held_until - now > HELD_FOR / 2
    if not is_mine and not await _take_hold(session, subscriber_id, me, now):
        return None
    is_rotated = row.previous_secret is not None and row.previous_until is not None
    earlier = (row.previous_secret,) if is_rotated and row.previous_until > now else ()  # type: ignore[operator]
    secrets = tuple(filter(None, (row.secret, *earlier)))
    return Held(id=row.id, name=row.name, url=row.url, secrets=secrets)


async def let_go(session: AsyncSession, subscriber_id: int, me: UUID) -> None:
    """Another program need not wait."""
    mine = (Subscriber.id == subscriber_id, Subscriber.holder == me)
    await session.execute(
        update(Subscriber).where(*mine).values(holder=None, held_until=None, updated_at=Subscriber.updated_at)
    )


# The place by sub-queries of their own, so that the index begins there instead of at the oldest event.
_TAKE_OVER = text(
    """
    with mine as (
        select id, event_types, place_tx, place_id, feed_running() as running
        from subscriber where id = :subscriber and (
            select count(*) from (
                select from subscriber_delivery where subscriber_id = :subscriber and state = 'waiting' limit :waiting
            ) counted) < :waiting
        for update
    ),
    read as materialized (
        select e.* from outbox_event e
        where (e.tx, e.id) > ((select place_tx from mine), (select place_id from mine)) and e.tx < (select running from mine)
        order by e.tx, e.id limit :most
    ),
    added as (
        insert into subscriber_delivery (subscriber_id, event_id, type, record_kind, record_id, event_at, next_try_at, body)
        select mine.id, e.id, e.type, e.record_kind, e.record_id, e.at, :now,
            cast(json_build_object('id', cast(e.id as text), 'type', e.type, 'at', e.at,
                'record', json_build_object('kind', e.record_kind, 'id', e.record_id), 'before', e.before, 'after', e.after,
                'actor', case when u.id is not null then json_build_object('id', u.id, 'name', u.name) end) as text)
        from read e join mine on e.type = any(mine.event_types) left join app_user u on u.id = e.actor_id
        where not exists (
            select from task t where t.id = case when e.record_kind = 'task' then cast(e.record_id as bigint) end and t.is_private
        )
        order by e.tx, e.id
        on conflict do nothing
    ),
    last as (select tx, id from read order by tx desc, id desc limit 1)
    update subscriber set place_tx = last.tx, place_id = last.id from last where subscriber.id = :subscriber
    returning (select count(*) from read)
    """
)
# Events that nobody will see: those that were pruned.
_CATCH_UP = text(
    """
    with lost as (
        select s.id, h.tx, h.at from subscriber s join outbox_horizon h on h.tx > s.place_tx where s.id = :subscriber
    )
    update subscriber s set place_tx = lost.tx, place_id = :last, lost_until = lost.at from lost where s.id = lost.id
    """
)


async def take_over(session: AsyncSession, held: Held, now: datetime) -> int:
    """Put the next events of the outbox into this subscriber's queue. Returns how many were looked at; 0 when it is full."""
    await session.execute(_CATCH_UP, {"subscriber": held.id, "last": 2**63 - 1})
    values = {"subscriber": held.id, "most": TAKEN_AT_ONCE, "waiting": MOST_WAITING, "now": now}
    return await session.scalar(_TAKE_OVER, values) or 0


_HEADS: Final = """
    select distinct on (record_kind, record_id) id, next_try_at from subscriber_delivery
    where subscriber_id = :subscriber and state = 'waiting' order by record_kind, record_id, id
"""
_DUE = text(
    f"with heads as ({_HEADS}) select id, event_id, body, failures, failing_since from subscriber_delivery "  # noqa: S608 - our own words
    "where id = any(array(select id from heads where next_try_at <= :now order by id limit :most)) order by id"
)
_NEXT_DUE = text(f"select min(next_try_at) from ({_HEADS}) heads")  # noqa: S608 - our own words


async def due(session: AsyncSession, held: Held, now: datetime, most: int) -> list[Due]:
    """What is to be sent now, at most one event of each record: the next one follows when it got through or was given up."""
    rows = await session.execute(_DUE, {"subscriber": held.id, "now": now, "most": most})
    return [Due(**row) for row in rows.mappings()]


async def next_due(session: AsyncSession, held: Held) -> datetime | None:
    """When there will be something to send; None: nothing waits."""
    moment: datetime | None = await session.scalar(_NEXT_DUE, {"subscriber": held.id})
    return moment


async def settle(
    session: AsyncSession, held: Held, sent: Due, tried: Tried, now: datetime, pause: timedelta
) -> str:
    """Write down what became of a try. `pause`: until the next one. Returns its state: waiting, delivered, failed.

    After a day of tries an event is given up; a subscriber that nothing got through to for a day is stopped, and whoever keeps
    subscribers is told.
    """
    since = sent.failing_since or now
    is_over = tried.trouble is not None and now >= since + TRIED_FOR
    state = "delivered" if tried.trouble is None else "failed" if is_over else "waiting"
    values: dict[str, Any] = {
        "state": state,
        "attempts": SubscriberDelivery.attempts + 1,
        "failures": sent.failures + (tried.trouble is not None),
        "failing_since": None if tried.trouble is None else since,
        "next_try_at": min(now + pause, since + TRIED_FOR),
        "tried_at": now,
        "milliseconds": tried.milliseconds,
        "answer_status": tried.status,
        "answer_body": storable(tried.answer[:KEPT_CHARACTERS]),
        "trouble": tried.trouble,
    }
    mine = (SubscriberDelivery.id == sent.id, SubscriberDelivery.state == "waiting")
    await session.execute(update(SubscriberDelivery).where(*mine).values(values))
    await (_note_success if tried.trouble is None else _note_failure)(session, held, now)
    return state


async def count_waiting(session: AsyncSession) -> int:
    """Events that wait, of all subscribers in use."""
    waiting = select(func.count()).select_from(SubscriberDelivery)
    waiting = waiting.where(
        SubscriberDelivery.state == "waiting", SubscriberDelivery.subscriber_id.in_(_in_use())
    )
    return (await session.execute(waiting)).scalar_one()


def _in_use() -> Any:
    return select(Subscriber.id).where(Subscriber.state == "active", Subscriber.deleted_at.is_(None))


async def _take_hold(session: AsyncSession, subscriber_id: int, me: UUID, now: datetime) -> bool:
    is_free = or_(Subscriber.holder.is_(None), Subscriber.holder == me, Subscriber.held_until < now)
    taken = (
        update(Subscriber)
        .where(Subscriber.id == subscriber_id, is_free)
        .values(holder=me, held_until=now + HELD_FOR, updated_at=Subscriber.updated_at)
        .returning(Subscriber.id)
    )
    return await session.scalar(taken) is not None


async def _note_success(session: AsyncSession, held: Held, now: datetime) -> None:
    alive = {"failing_since": None, "delivered_at": now, "updated_at": Subscriber.updated_at}
    await session.execute(update(Subscriber).where(Subscriber.id == held.id).values(alive))


async def _note_failure(session: AsyncSession, held: Held, now: datetime) -> None:
    mine = update(Subscriber).where(Subscriber.id == held.id, Subscriber.state == "active")
    begins = mine.where(Subscriber.failing_since.is_(None))
    await session.execute(begins.values(failing_since=now, updated_at=Subscriber.updated_at))
    stopped = mine.where(Subscriber.failing_since <= now - TRIED_FOR).values(
        state="failed", state_since=now, version=Subscriber.version + 1
    )
    if await session.scalar(stopped.returning(Subscriber.id)) is not None:
        access = command_access()
        await publish(session, access, "subscriber.failed", "subscriber", held.id)
        told: dict[str, Any] = {"record_kind": "subscriber", "record_id": held.id}
        users = await keepers(session)
        await tell_users(session, access, users, "subscriber_failed", detail={"name": held.name}, **told)


async def keepers(session: AsyncSession) -> Sequence[int]:
    """Whoever may mend it."""
    area, action = RIGHT
    query = (
        select(User.id)
        .join(RoleAssignment, RoleAssignment.user_id == User.id)
        .join(Permission, Permission.role_id == RoleAssignment.role_id)
        .where(Permission.area == area, Permission.action == action, Permission.scope == "all")
        .where(User.status == "active")
    )
    return (await session.scalars(query.distinct().order_by(User.id).limit(MOST_TOLD))).all()
