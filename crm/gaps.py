"""Seconds without events from a connection: written down, never papered over (threats I5)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# A gap begins where the last one ended at the earliest: two never overlap, whatever the clocks say.
_BEGIN = text(
    """
    insert into connection_gap (connection_id, from_at, why)
    select :connection_id, greatest(cast(:at as timestamptz), max(to_at)), :why from connection_gap
    where connection_id = :connection_id
    having not coalesce(bool_or(to_at is null), false)
    """
)
_END = text(
    "update connection_gap set to_at = greatest(from_at, cast(:at as timestamptz)) "
    "where connection_id = :connection_id and to_at is null"
)
_LOCK = text("select from pbx_connection where id = :connection_id for no key update")


async def begin_gap(session: AsyncSession, connection_id: int, at: datetime, why: str) -> None:
    """From this moment nothing is heard of the connection; a gap that is open already goes on."""
    await session.execute(_LOCK, {"connection_id": connection_id})
    await session.execute(_BEGIN, {"connection_id": connection_id, "at": at, "why": why})


async def end_gap(session: AsyncSession, connection_id: int, at: datetime) -> None:
    """The connection is heard again; without an open gap nothing happens."""
    await session.execute(_END, {"connection_id": connection_id, "at": at})
