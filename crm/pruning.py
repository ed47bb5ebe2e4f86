"""What has been kept long enough goes, a piece at a time: the outbox, deliveries, sessions, the journal of accesses.

Each piece is one short statement; whoever calls rests between two.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final

from sqlalchemy import and_, delete, or_, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.schema.access import UserSession
from crm.schema.journals import AccessLog, OutboxEvent
from crm.schema.subscribers import OutboxHorizon

AT_ONCE: Final = 1_000
LEAST_ACCESS_DAYS: Final = (
    180  # the database itself refuses to remove younger rows of the journal of accesses
)
_AHEAD: Final = timedelta(days=1)  # a moment further away comes from a wrong clock and holds nothing back


async def prune_outbox(session: AsyncSession, before: datetime, now: datetime) -> bool:
    """Remove the oldest events, in the order of committing up to the first that stays. Returns whether there may be more.

    Where that was is remembered: whoever asks for older changes is told that they are gone.
    """
    oldest = select(OutboxEvent.id, OutboxEvent.tx, OutboxEvent.at).order_by(OutboxEvent.tx, OutboxEvent.id)
    rows = (await session.execute(oldest.limit(AT_ONCE))).all()
    gone = list(takewhile(lambda row: row.at < before or row.at > now + _AHEAD, rows))
    if gone:
        await session.execute(delete(OutboxEvent).where(OutboxEvent.id.in_([row.id for row in gone])))
        place = {"tx": gone[-1].tx, "at": before}
        new = upsert(OutboxHorizon).values(id=1, **place)
        await session.execute(new.on_conflict_do_update(index_elements=["id"], set_=place))
    return len(gone) == AT_ONCE


async def prune_deliveries(session: AsyncSession, before: datetime) -> bool:
    """Remove deliveries that are over, and those of removed subscribers. Returns whether there may be more."""
    gone = text(
        """
        delete from subscriber_delivery where id in (
            select d.id from subscriber_delivery d join subscriber s on s.id = d.subscriber_id
            where d.created_at < :before and (d.state <> 'waiting' or s.deleted_at is not null)
            order by d.created_at limit :most)
        """
    )
    done: Any = await session.execute(gone, {"before": before, "most": AT_ONCE})
    return bool(done.rowcount == AT_ONCE)


async def prune_sessions(session: AsyncSession, before: datetime) -> bool:
    """Remove sessions that ended, or were last used, before a moment. Returns whether there may be more."""
    ended = and_(UserSession.ended_at.is_not(None), UserSession.ended_at < before)
    old = select(UserSession.id).where(or_(ended, UserSession.last_used_at < before)).limit(AT_ONCE)
    done: Any = await session.execute(delete(UserSession).where(UserSession.id.in_(old)))
    return bool(done.rowcount == AT_ONCE)


async def prune_accesses(session: AsyncSession, before: datetime) -> bool:
    """Remove the oldest rows of the journal of accesses. Returns whether there may be more.

    Raises:
        DBAPIError: younger than half a year: the database refuses.
    """
    old = select(AccessLog.id).where(AccessLog.at < before).order_by(AccessLog.at).limit(AT_ONCE)
    done: Any = await session.execute(delete(AccessLog).where(AccessLog.id.in_(old)))
    return bool(done.rowcount == AT_ONCE)


async def horizon(session: AsyncSession) -> OutboxHorizon | None:
    """Up to where the outbox is gone; None: all of it is there."""
    query = select(OutboxHorizon).execution_options(populate_existing=True)
    found: OutboxHorizon | None = await session.scalar(query)
    return found
