"""What a call window tells beside who calls: what is still to be done for them, the call that is owed, what came of the last talk."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.schema.communications import Communication
from crm.schema.desk import CallbackCase, WrapUp, WrapUpCode
from crm.schema.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedCall:
    """The caller was missed, and nobody has spoken to them since."""

    since: datetime
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowFacts:
    open_tasks: int
    overdue_tasks: int
    owed: OwedCall | None
    last_code: str | None  # of the last talk; a message id for those that came with the program


async def window_facts(
    session: AsyncSession,
    parties: Collection[int],
    e164: str | None,
    at: datetime,
    *,
    last_at: datetime | None = None,
) -> WindowFacts:
    """Call-time facts about these parties, who are one caller, and about the number; counts only, of everybody's tasks.

    Args:
        last_at: when the last communication began whose outcome is told.
    """
    open_tasks, overdue_tasks = await _tasks(session, parties, at) if parties else (0, 0)
    return WindowFacts(
        open_tasks=open_tasks,
        overdue_tasks=overdue_tasks,
        owed=await _owed(session, parties, e164),
        last_code=await _last_code(session, parties, last_at) if parties and last_at else None,
    )


async def _tasks(session: AsyncSession, parties: Collection[int], at: datetime) -> tuple[int, int]:
    is_theirs = or_(Task.party_id.in_(parties), Task.contact_id.in_(parties))
    query = select(func.count(), func.count().filter(Task.deadline < at))
    query = query.where(is_theirs, Task.state.in_(("new", "in_progress")), Task.is_private.is_(False))
    counted, overdue = (await session.execute(query)).one()
    return counted, overdue


async def _owed(session: AsyncSession, parties: Collection[int], e164: str | None) -> OwedCall | None:
    is_theirs = or_(
        CallbackCase.e164 == e164, CallbackCase.party_id.in_(parties), CallbackCase.contact_id.in_(parties)
    )
    query = select(func.min(CallbackCase.first_missed_at), func.sum(CallbackCase.missed_count))
    query = query.where(is_theirs, CallbackCase.state.in_(("open", "attempted")))
    since, times = (await session.execute(query)).one()
    return OwedCall(since=since, times=times) if since else None


async def _last_code(session: AsyncSession, parties: Collection[int], last_at: datetime) -> str | None:
    is_theirs = or_(Communication.party_id.in_(parties), Communication.contact_id.in_(parties))
    name: str | None = await session.scalar(
        select(WrapUpCode.name)
        .join(WrapUp, WrapUp.code_id == WrapUpCode.id)
        .join(Communication, Communication.id == WrapUp.call_id)
        .where(is_theirs, Communication.started_at == last_at)
        .limit(1)
    )
    return name
