"""Missed, not called back: a period's figures by cases, as the list's head and the report show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.callback_states import UNRESOLVED
from crm.handling_rules import MISSED
from crm.rights import Access, Scope, narrow
from crm.schema.communications import Call
from crm.schema.desk import CallbackCase
from crm.schema.telephony import Line
from cti.calls.records import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackFigures:
    """Counts of callers by what became of them; `calls` are missed calls, `withheld` those without a number."""

    callers: int
    calls: int
    called_back: int
    came_back: int
    attempted: int
    closed: int
    nobody_spoke: int
    withheld: int


async def callback_figures(
    session: AsyncSession, access: Access, since: datetime, until: datetime
) -> CallbackFigures:
    """Callers whose first miss lies in `[since, until)`, within one's right to them.

    Nobody has spoken to those whose case is open, taken or attempted. A missed call without a number has no caller to
    call back: it is counted by its start, on the lines of one's own teams and those of no team.

    Raises:
        NotAllowed
    """
    access.require("callback.read")
    state = CallbackCase.state
    query = select(
        func.count(),
        func.coalesce(func.sum(CallbackCase.missed_count), 0),
        func.count().filter(state == "resolved_by_callback"),
        func.count().filter(state == "resolved_by_client"),
        func.count().filter(state == "attempted"),
        func.count().filter(state == "closed"),
        func.count().filter(state.in_(UNRESOLVED)),
    ).where(CallbackCase.first_missed_at >= since, CallbackCase.first_missed_at < until)
    row = (await session.execute(narrow(query, access, "callback.read", CallbackCase))).one()
    callers, calls, called_back, came_back, attempted, closed, nobody_spoke = row
    return CallbackFigures(
        callers=callers,
        calls=calls,
        called_back=called_back,
        came_back=came_back,
        attempted=attempted,
        closed=closed,
        nobody_spoke=nobody_spoke,
        withheld=await _withheld(session, access, since, until),
    )


async def _withheld(session: AsyncSession, access: Access, since: datetime, until: datetime) -> int:
    query = (
        select(func.count())
        .select_from(Call)
        .outerjoin(Line, Line.id == Call.line_id)
        .where(
            Call.started_at >= since,
            Call.started_at < until,
            Call.direction == Direction.INBOUND,
            Call.disposition.in_(MISSED),
            Call.answered_at.is_(None),
            Call.customer_e164.is_(None),
            Call.joined_into_id.is_(None),
            Call.mirror_of_id.is_(None),
        )
    )
    if access.scope("callback.read") is not Scope.ALL:
        query = query.where(Line.team_id.is_(None) | Line.team_id.in_(access.team_ids))
    return (await session.execute(query)).scalar_one()
