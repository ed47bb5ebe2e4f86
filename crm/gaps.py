"""Seconds without events from a connection: written down, never papered over (threats I5), and filled where one can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.schema.telephony import ConnectionGap, PbxConnection

# A PBX may write its records in batches (cdr.conf: batch, time=300): until then a gap is filled again.
RECORDS_ARE_LATE: Final = timedelta(minutes=10)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class GapToFill:
    """A gap that is over."""

    id: int
    connection_id: int
    from_at: datetime
    to_at: datetime


async def gaps_to_fill(session: AsyncSession, since: datetime, most: int) -> Sequence[GapToFill]:
    """Gaps that ended after a moment, of connections with a second truth, not yet filled for good; the oldest first."""
    filled = ConnectionGap.back_filled_at
    rows = await session.execute(
        select(ConnectionGap.id, ConnectionGap.connection_id, ConnectionGap.from_at, ConnectionGap.to_at)
        .join(PbxConnection, PbxConnection.id == ConnectionGap.connection_id)
        .where(
            PbxConnection.deleted_at.is_(None),
            PbxConnection.second_truth["kind"].is_not(None),
            ConnectionGap.to_at > since,
            or_(filled.is_(None), filled < ConnectionGap.to_at + RECORDS_ARE_LATE),
        )
        .order_by(ConnectionGap.from_at)
        .limit(most)
    )
    return [GapToFill(**row._mapping) for row in rows if row.to_at is not None]


async def note_filled(session: AsyncSession, gap_id: int, by: str, at: datetime, calls: int) -> None:
    """The second truth was read for this gap.

    Args:
        by: its kind.
        calls: how many calls it added or completed this time.
    """
    known = text("coalesce(back_filled_calls, 0) + :calls").bindparams(calls=calls)
    await session.execute(
        update(ConnectionGap)
        .where(ConnectionGap.id == gap_id)
        .values(back_filled_by=by, back_filled_at=at, back_filled_calls=known)
        .execution_options(synchronize_session=False)
    )
