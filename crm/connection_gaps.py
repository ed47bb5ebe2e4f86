"""Seconds without events of a PBX, as the administration shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.schema.telephony import ConnectionGap


@dataclass(frozen=True, slots=True, kw_only=True)
class GapInfo:
    """An interval without events; `to_at` is None while it lasts."""

    from_at: datetime
    to_at: datetime | None
    why: str
    back_filled_by: str | None

    @property
    def seconds(self) -> float | None:
        return None if self.to_at is None else (self.to_at - self.from_at).total_seconds()


async def latest_gaps(session: AsyncSession, connection_id: int, limit: int) -> Sequence[GapInfo]:
    """The latest gaps of a connection, the newest first."""
    rows = await session.scalars(
        select(ConnectionGap)
        .where(ConnectionGap.connection_id == connection_id)
        .order_by(ConnectionGap.from_at.desc())
        .limit(limit)
    )
    return [
        GapInfo(from_at=row.from_at, to_at=row.to_at, why=row.why, back_filled_by=row.back_filled_by)
        for row in rows
    ]
