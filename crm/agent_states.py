"""Who was available, talked or paused, from when to when: one row an interval, no two of a user overlapping."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from cti.desk import AgentStateChange

# Two writers for one user take turns, so that none of them meets the exclusion constraint.
_LOCK = text("select from app_user where id = any(:user_ids) order by id for no key update")
_LATEST = text(
    """
    select wanted.user_id, last.state, last.reason, last.from_at, last.to_at
    from unnest(cast(:user_ids as bigint[])) as wanted (user_id) cross join lateral (
        select state, reason, from_at, to_at from agent_state
        where agent_state.user_id = wanted.user_id order by from_at desc, id desc limit 1
    ) as last
    """
)
_END = text(
    """
    update agent_state set to_at = ended.to_at
    from unnest(cast(:user_ids as bigint[]), cast(:ends as timestamptz[])) as ended (user_id, to_at)
    where agent_state.user_id = ended.user_id and agent_state.to_at is null
    """
)
_ADD = text(
    """
    insert into agent_state (user_id, state, reason, from_at, to_at)
    select * from unnest(
        cast(:user_id as bigint[]), cast(:state as text[]), cast(:reason as text[]),
        cast(:from_at as timestamptz[]), cast(:to_at as timestamptz[])
    )
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One row: the user was in this state from a moment to a moment, or still is."""

    user_id: int
    state: str
    reason: str | None
    from_at: datetime
    to_at: datetime | None = None

    def is_of(self, change: AgentStateChange) -> bool:
        return change.state is not None and (self.state, self.reason or "") == (
            change.state.value,
            change.reason or "",
        )


async def set_agent_states(session: AsyncSession, changes: Iterable[AgentStateChange]) -> None:
    """Users are in these states from these moments on, in order; told again it changes nothing.

    Any number of users and changes takes four statements: in a busy hall telephones ring a hundred times a second.
    """
    by_user: defaultdict[int, list[AgentStateChange]] = defaultdict(list)
    for change in changes:
        by_user[change.user_id].append(change)
    await session.execute(_LOCK, {"user_ids": list(by_user)})
    latest = {
        row.user_id: Interval(**row._mapping)
        for row in await session.execute(_LATEST, {"user_ids": list(by_user)})
    }
    ended: dict[int, datetime | None] = {}
    added: list[Interval] = []
    for user_id, of_user in by_user.items():
        last = latest.get(user_id)
        first, *rest = followed(last, of_user)
        if last is not None and first != last:
            ended[user_id] = first.to_at if first else None
        added += [interval for interval in rest if interval is not None]
    if ended:
        await session.execute(_END, {"user_ids": list(ended), "ends": list(ended.values())})
    if added:
        await session.execute(_ADD, _columns(added))


def followed(last: Interval | None, changes: Sequence[AgentStateChange]) -> list[Interval | None]:
    """The user's latest interval (None: there is none) as it is after these changes, and those that begin after it.

    An interval begins where the one before ended at the earliest, whatever the clocks say.
    """
    intervals = [last]
    for change in changes:
        before = intervals[-1]
        is_open = before is not None and before.to_at is None
        if before is not None and is_open:
            if before.is_of(change):
                continue
            intervals[-1] = before = replace(before, to_at=max(before.from_at, change.at))
        if change.state is not None:
            begins = max(change.at, before.to_at) if before and before.to_at else change.at
            intervals.append(
                Interval(
                    user_id=change.user_id, state=change.state.value, reason=change.reason, from_at=begins
                )
            )
    return intervals


def _columns(intervals: Sequence[Interval]) -> dict[str, list[Any]]:
    names = ("user_id", "state", "reason", "from_at", "to_at")
    return {name: [getattr(interval, name) for interval in intervals] for name in names}


async def end_states_of_last_run(session: AsyncSession, at: datetime) -> None:
    """At start: close what an earlier run left open, at the last moment it heard of a PBX, `at` at the latest."""
    await session.execute(_END_EARLIER, {"at": at})
