"""How quickly call windows come up: what browsers measured, written in batches, kept for a week, told for a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.rights import Access
from crm.schema.windows import PopDelay

KEPT: Final = timedelta(days=7)
TOLD: Final = timedelta(days=1)

# Per connection, and over all of them where its id is null.
_FIGURES = text(
    """
    select told.connection_id, pbx_connection.name, told.windows, told.median, told.p99
    from (
        select connection_id, count(*) as windows,
            percentile_disc(0.5) within group (order by milliseconds) as median,
            percentile_disc(0.99) within group (order by milliseconds) as p99
        from pop_delay where at >= :since
        group by grouping sets ((connection_id), ())
    ) as told left join pbx_connection on pbx_connection.id = told.connection_id
    where told.windows > 0
    order by told.connection_id is not null, pbx_connection.name, told.connection_id
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnWindow:
    """One call's window on one user's screen."""

    call_id: UUID
    user_id: int
    connection_id: int
    at: datetime
    milliseconds: int  # from the PBX's event, 0 to 60,000


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayFigures:
    """Of the windows of the last day; `connection_id` None: over all connections."""

    connection_id: int | None
    name: str | None
    windows: int
    median_ms: int
    p99_ms: int


async def add_delays(session: AsyncSession, drawn: Sequence[DrawnWindow]) -> None:
    """Of several pages of one user the first counts."""
    rows = list({(one.call_id, one.user_id): asdict(one) for one in reversed(drawn)}.values())
    if rows:
        await session.execute(upsert(PopDelay).values(rows).on_conflict_do_nothing())


async def forget_old_delays(session: AsyncSession, now: datetime) -> None:
    await session.execute(delete(PopDelay).where(PopDelay.at < now - KEPT))


async def delays_of_last_day(session: AsyncSession, access: Access, now: datetime) -> list[DelayFigures]:
    """First over all connections, then one by one; empty when no window was measured.

    Raises:
        NotAllowed.
    """
    access.require("connection.read")
    rows = await session.execute(_FIGURES, {"since": now - TOLD})
    return [
        DelayFigures(connection_id=id_, name=name, windows=windows, median_ms=median, p99_ms=p99)
        for id_, name, windows, median, p99 in rows
    ]
