"""What agents want to be for their shift: available, paused for a reason of the directory, off the shift.

What they are is another matter (`crm.agent_states`): a telephone out of reach is offline whatever its user wants.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import notify, publish
from crm.directories import PAUSE_REASON, names_of
from crm.errors import Invalid
from crm.rights import Access
from crm.schema.access import User
from crm.schema.desk import AgentWish
from cti.desk import AgentState, Wish

WISH_CHANNEL: Final = "ringcard_wish"  # payload: the user's id
PROBLEMS: Final = ("no_account", "not_allowed", "not_sent", "refused", "unknown")
MOST_DETAIL: Final = 200  # characters
STATES: Final = (AgentState.AVAILABLE, AgentState.PAUSED, AgentState.OFFLINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class WishInfo:
    """One's own wish, as the frame shows it."""

    state: AgentState
    reason: str | None
    since: datetime
    problem: str | None = None  # why a PBX's queues do not hold it: a code of `PROBLEMS`
    detail: str | None = None  # the PBX's own words


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWish:
    """A wish, and how it stands at the PBXs. `is_asked`: they were asked, or told us of it themselves."""

    wish: Wish
    is_asked: bool = False
    problem: str | None = None


async def own_wish(session: AsyncSession, access: Access) -> WishInfo | None:
    """None: never said. Raises NotAllowed."""
    access.require("live.own")
    row = await session.get(AgentWish, access.user_id, populate_existing=True)
    if row is None:
        return None
    return WishInfo(
        state=AgentState(row.state),
        reason=row.reason,
        since=row.since,
        problem=row.problem,
        detail=row.detail,
    )


async def set_wish(session: AsyncSession, access: Access, state: str, reason: str | None = None) -> None:
    """Begin or end one's shift, pause, go on. The same again changes nothing.

    Raises:
        NotAllowed, Invalid (no such state; a pause without a reason of the directory).
    """
    access.require("live.own")
    if state not in STATES:
        raise Invalid("state", state, "Choose available, paused or offline.")
    is_paused = state == AgentState.PAUSED
    if is_paused and reason not in await names_of(session, PAUSE_REASON):
        raise Invalid("reason", reason or "", "Choose why you pause.")
    await write_wish(session, access.user_id, Wish(AgentState(state), reason if is_paused else None))
    after = {"state": state, "reason": reason if is_paused else None}
    await publish(session, access, "agent.wish", "user", access.user_id, after=after)


async def write_wish(session: AsyncSession, user_id: int, wish: Wish, *, is_pbxs: bool = False) -> None:
    """`is_pbxs`: the PBX says so (a pause ended at the telephone), and need not be asked. The same again asks only what failed."""
    values: dict[str, Any] = {
        "state": wish.state.value,
        "reason": wish.reason,
        "asked_at": func.now() if is_pbxs else None,
        "problem": None,
        "detail": None,
    }
    new = upsert(AgentWish).values(user_id=user_id, **values)
    is_other = (AgentWish.state != wish.state.value) | AgentWish.reason.is_distinct_from(wish.reason)
    values["since"] = case((is_other, func.now()), else_=AgentWish.since)
    has_changed = is_other | AgentWish.problem.is_not(None)
    await session.execute(
        new.on_conflict_do_update(index_elements=["user_id"], set_=values, where=has_changed)
    )
    await notify(session, WISH_CHANNEL, user_id)


async def settle_wish(
    session: AsyncSession, user_id: int, wish: Wish, problem: str | None, detail: str = ""
) -> None:
    """The PBXs were asked for this wish; nothing, if there is another one by now. `not_sent` is to be asked again."""
    same = (AgentWish.state == wish.state.value) & AgentWish.reason.is_not_distinct_from(wish.reason)
    await session.execute(
        update(AgentWish)
        .where(AgentWish.user_id == user_id, same)
        .values(
            asked_at=None if problem == "not_sent" else func.now(),
            problem=problem,
            detail=detail[:MOST_DETAIL] or None if problem else None,
        )
    )


async def stored_wishes(session: AsyncSession) -> dict[int, StoredWish]:
    """Of every active user who ever said one."""
    query = select(AgentWish).join(User, User.id == AgentWish.user_id).where(User.status == "active")
    return {
        row.user_id: StoredWish(
            wish=Wish(AgentState(row.state), row.reason),
            is_asked=row.asked_at is not None,
            problem=row.problem,
        )
        for row in await session.scalars(query.execution_options(populate_existing=True))
    }
