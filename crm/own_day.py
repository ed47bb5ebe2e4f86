"""What somebody has done on a day, as their desktop shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.rights import Access
from crm.schema.communications import Call, Participation
from crm.schema.tasks import Task
from cti.calls.records import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnDay:
    """Counts of calls and tasks; `talk_seconds` with the customer on the line, hold included."""

    answered: int
    missed: int
    dialled: int
    connected: int
    talk_seconds: float
    tasks_done: int


async def own_day(session: AsyncSession, access: Access, since: datetime, until: datetime) -> OwnDay:
    """One's own figures of calls that began in `[since, until)`, and of tasks completed in it.

    Answered: incoming calls that one took. Missed: incoming calls that rang at one, ended, and nobody of ours took; what a
    colleague took is in neither. Dialled and connected: outgoing calls that one placed, and those that the customer took. A
    call that went into another one, or was seen by a second connection as well, is counted once.
    """
    is_taken = Participation.answered_at.is_not(None)
    is_in, is_out = Call.direction == Direction.INBOUND, Call.direction == Direction.OUTBOUND
    has_rung = Participation.has_rung | Participation.rang_at.is_not(None)
    is_missed = is_in & has_rung & Call.answered_at.is_(None) & Call.ended_at.is_not(None)
    is_placed = is_out & (Participation.came_by == "dialled")
    each = func.count(Call.id.distinct())
    talk = func.least(Participation.left_at, Call.ended_at, func.now()) - func.greatest(
        Participation.answered_at, Call.answered_at
    )
    query = (
        select(
            each.filter(is_in & is_taken),
            each.filter(is_missed),
            each.filter(is_placed),
            each.filter(is_placed & Call.answered_at.is_not(None)),
            func.sum(func.extract("epoch", talk)).filter(is_taken & Call.answered_at.is_not(None)),
        )
        .select_from(Participation)
        .join(Call, Call.id == Participation.call_id)
        .where(
            Participation.user_id == access.user_id,
            Participation.started_at >= since,
            Participation.started_at < until,
            Call.joined_into_id.is_(None),
            Call.mirror_of_id.is_(None),
        )
    )
    answered, missed, dialled, connected, seconds = (await session.execute(query)).one()
    return OwnDay(
        answered=answered,
        missed=missed,
        dialled=dialled,
        connected=connected,
        talk_seconds=max(0.0, float(seconds or 0)),
        tasks_done=await _done(session, access, since, until),
    )


async def _done(session: AsyncSession, access: Access, since: datetime, until: datetime) -> Any:
    mine = (
        (Task.completed_by_id == access.user_id) & (Task.completed_at >= since) & (Task.completed_at < until)
    )
    return (await session.execute(select(func.count()).select_from(Task).where(mine))).scalar_one()
