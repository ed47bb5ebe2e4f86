"""The numbers by which the outbox is read in the order of committing: those of transactions, never smaller than before.

A dump that is restored into another cluster comes to where transactions count from the beginning: what happens then would
stand before what was told long ago, and nobody would hear of it. So the numbers are shifted by as much as is missing; places
that subscribers, programs and pages remember go on to hold. `feed_tx()` and `feed_running()` of the database add the shift.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

# The next number must be greater than all that are in use. What is read is the end of three indexes.
_CATCH_UP: Final = text(
    """
    update feed_clock set ahead = ahead + known.latest + 1 - present.next
    from (
        select greatest((select max(tx) from outbox_event), (select max(place_tx) from subscriber),
            (select max(tx) from outbox_horizon)) as latest
    ) known, (
        select cast(cast(pg_snapshot_xmax(pg_current_snapshot()) as text) as bigint) + ahead as next from feed_clock
    ) present
    where known.latest >= present.next
    returning ahead
    """
)


async def keep_ahead(session: AsyncSession | AsyncConnection) -> int | None:
    """Shift the numbers if this is a restored database; commit then. Returns the new shift, None if there was nothing to do."""
    ahead: int | None = (await session.execute(_CATCH_UP)).scalar()
    return ahead
