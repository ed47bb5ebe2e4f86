"""Who was available, talked or paused, from when to when: one row an interval, no two of a user overlapping."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# Two writers for one user take turns, so that none of them meets the exclusion constraint.
_LOCK = text("select from app_user where id = :user_id for no key update")
_END = text(
    """
    update agent_state set to_at = greatest(from_at, cast(:at as timestamptz))
    where user_id = :user_id and to_at is null
    and (state, coalesce(reason, '')) is distinct from (cast(:state as text), coalesce(cast(:reason as text), ''))
    """
)
# An interval begins where the last one ended at the earliest, whatever the clocks say.
_BEGIN = text(
    """
    insert into agent_state (user_id, state, reason, from_at)
    select :user_id, :state, :reason, greatest(cast(:at as timestamptz), last.to_at)
    from (select 1) as one left join lateral (
        select from_at, to_at from agent_state where user_id = :user_id order by from_at desc, id desc limit 1
    ) as last on true
    where last.from_at is null or last.to_at is not null
    """
)
# What an earlier run left open ended when that run last heard of a PBX: of the time after it nobody knows.
_END_EARLIER = text(
    """
    update agent_state set to_at = greatest(
        from_at, least(cast(:at as timestamptz), (select max(last_event_at) from pbx_connection))
    ) where to_at is null
    """
)


async def set_agent_state(
    session: AsyncSession, user_id: int, state: str | None, reason: str | None, at: datetime
) -> None:
    """The user is in this state from a moment on; told again it changes nothing. None: in none that we know."""
    facts = {"user_id": user_id, "state": state, "reason": reason, "at": at}
    await session.execute(_LOCK, {"user_id": user_id})
    await session.execute(_END, facts)
    if state is not None:
        await session.execute(_BEGIN, facts)


async def end_states_of_last_run(session: AsyncSession, at: datetime) -> None:
    """At start: close what an earlier run left open, at the last moment it heard of a PBX, `at` at the latest."""
    await session.execute(_END_EARLIER, {"at": at})
