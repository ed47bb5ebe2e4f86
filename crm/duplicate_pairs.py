"""What merging does with pairs that may be one, and with pairs that are not."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, or_, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.schema.merging import DuplicatePair

# That the merged one was found to be another than a third party holds for the survivor, who is them now.
_CARRY = text(
    """
    insert into duplicate_dismissal (low_id, high_id, reason, by_id, at)
    select distinct on (other) least(other, cast(:survivor as bigint)), greatest(other, cast(:survivor as bigint)),
        reason, by_id, at
    from (
        select case when low_id = any(:merged) then high_id else low_id end as other, reason, by_id, at
        from duplicate_dismissal where low_id = any(:merged) or high_id = any(:merged)
    ) d where other <> :survivor and other <> all(:merged)
    order by other, at
    on conflict (low_id, high_id) do nothing
    """
)


async def carry_dismissals(session: AsyncSession, survivor_id: int, merged_ids: Sequence[int]) -> None:
    """«Не дубль» of a merged party holds for the survivor."""
    await session.execute(_CARRY, {"survivor": survivor_id, "merged": list(merged_ids)})


async def drop_pairs(session: AsyncSession, party_ids: Sequence[int]) -> None:
    """They are one now, or not what they were when the pair was made; the next search finds what is left."""
    either = or_(DuplicatePair.low_id.in_(party_ids), DuplicatePair.high_id.in_(party_ids))
    await session.execute(delete(DuplicatePair).where(either))


async def drop_pair(session: AsyncSession, low_id: int, high_id: int) -> None:
    """Somebody looked at it."""
    pair = (DuplicatePair.low_id == low_id, DuplicatePair.high_id == high_id)
    await session.execute(delete(DuplicatePair).where(*pair))
