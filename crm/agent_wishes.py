"""What agents want to be for their shift: available, paused for a reason of the directory, off the shift.

What they are is another matter (`crm.agent_states`): a telephone out of reach is offline whatever its user wants.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
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
STATES: Final = (AgentState.AVAILABLE, AgentState.PAUSED, AgentState.OFFLINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class WishInfo:
    """One's own wish, as the frame shows it."""

    state: AgentState
    reason: str | None
    since: datetime


async def own_wish(session: AsyncSession, access: Access) -> WishInfo | None:
    """None: never said. Raises NotAllowed."""
    access.require("live.own")
    query = select(AgentWish.state, AgentWish.reason, AgentWish.since).where(
        AgentWish.user_id == access.user_id
    )
    row = (await session.execute(query)).first()
    if row is None:
        return None
    return WishInfo(state=AgentState(row.state), reason=row.reason, since=row.since)


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


async def write_wish(session: AsyncSession, user_id: int, wish: Wish) -> None:
    """Also where the PBX says what the user wants: a pause ended at the telephone."""
    values = {"state": wish.state.value, "reason": wish.reason}
    new = upsert(AgentWish).values(user_id=user_id, **values)
    is_other = (AgentWish.state != values["state"]) | AgentWish.reason.is_distinct_from(values["reason"])
    await session.execute(
        new.on_conflict_do_update(
            index_elements=["user_id"], set_={**values, "since": func.now()}, where=is_other
        )
    )
    await notify(session, WISH_CHANNEL, user_id)


async def all_wishes(session: AsyncSession) -> dict[int, Wish]:
    """Of every active user who ever said one."""
    query = select(AgentWish.user_id, AgentWish.state, AgentWish.reason).join(
        User, User.id == AgentWish.user_id
    )
    rows = await session.execute(query.where(User.status == "active"))
    return {user_id: Wish(AgentState(state), reason) for user_id, state, reason in rows}
