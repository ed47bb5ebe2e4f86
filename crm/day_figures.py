"""A day's figures of incoming calls, as the board shows them while the day goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.rights import Access, narrow
from crm.schema.communications import Call, Communication
from cti.calls.records import Direction, Disposition


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigures:
    """Counts of incoming calls; `average_wait` in seconds over those answered, None when there were none."""

    calls: int
    answered: int
    missed: int
    average_wait: float | None


async def day_figures(session: AsyncSession, access: Access, since: datetime, until: datetime) -> DayFigures:
    """Incoming calls that began in `[since, until)` within one's right to the board.

    A call that went into another one, or is the same call seen by a second connection, is not counted again. Answered:
    somebody talked, also when the call still goes on. Missed: over, and nobody of ours talked, as in the journal's
    filter; a caller whom we turned away was not. So calls that ring now are in neither. The wait is from the queue or the first ring to the answer.
    """
    is_answered = Call.answered_at.is_not(None)
    is_turned_away = Call.disposition.is_not_distinct_from(Disposition.BLOCKED)
    is_missed = Call.ended_at.is_not(None) & Call.answered_at.is_(None) & ~is_turned_away
    query = (
        select(
            func.count(),
            func.count().filter(is_answered),
            func.count().filter(is_missed),
            func.avg(Call.wait_seconds).filter(is_answered),
        )
        .select_from(Call)
        .join(Communication, Communication.id == Call.id)
        .where(
            Call.started_at >= since,
            Call.started_at < until,
            Call.direction == Direction.INBOUND,
            Call.joined_into_id.is_(None),
            Call.mirror_of_id.is_(None),
        )
    )
    row = (await session.execute(narrow(query, access, "live.board", Communication))).one()
    calls, answered, missed, average = row
    return DayFigures(
        calls=calls,
        answered=answered,
        missed=missed,
        average_wait=None if average is None else float(average),
    )
