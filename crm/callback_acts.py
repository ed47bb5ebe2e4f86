"""What people do about callers who were missed: take one for ten minutes, hand over, give back, close with a reason."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.callback_states import CALLBACK_CHANNEL, TAKEN_FOR, UNRESOLVED, CaseState
from crm.callbacks import CaseSettled, CaseTaken
from crm.changes import notify, record_change
from crm.errors import Invalid, NotFound
from crm.notifications import tell_users
from crm.rights import Access, access_of, narrow
from crm.schema.access import TeamMembership, User
from crm.schema.desk import CallbackCase

MOST_REASON: Final = 200  # characters


async def take_case(
    session: AsyncSession, access: Access, case_id: int, at: datetime, *, via: str = "form"
) -> None:
    """Have the caller to oneself for ten minutes; taken again by the same user, the ten minutes begin anew.

    Raises:
        NotAllowed, NotFound, CaseSettled, CaseTaken (by somebody else, who still has it).
    """
    case = await _waiting(session, access, case_id)
    await _refuse_taken(session, access, case, at)
    await _give_to(session, access, case, access.user_id, at, via)


async def take_next(session: AsyncSession, access: Access, at: datetime, *, via: str = "form") -> int | None:
    """Take the most urgent caller whom nobody has; None if there is none. Two at one moment take two.

    Raises:
        NotAllowed
    """
    access.require("callback.work")
    free = or_(CallbackCase.taken_until.is_(None), CallbackCase.taken_until <= at)
    query = (
        select(CallbackCase)
        .where(CallbackCase.state.in_(UNRESOLVED), free)
        .order_by(CallbackCase.due_at, CallbackCase.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    case = await session.scalar(narrow(query, access, "callback.work", CallbackCase))
    if case is None:
        return None
    await _give_to(session, access, case, access.user_id, at, via)
    return case.id


async def give_back(
    session: AsyncSession, access: Access, case_id: int, at: datetime, *, via: str = "form"
) -> None:
    """Let others have the caller; of somebody else's nothing changes.

    Raises:
        NotAllowed, NotFound, CaseSettled, CaseTaken.
    """
    case = await _waiting(session, access, case_id)
    await _refuse_taken(session, access, case, at)
    await _write(session, access, case, "changed", via, taken_by_id=None, taken_until=None)


async def hand_over(
    session: AsyncSession, access: Access, case_id: int, user_id: int, at: datetime, *, via: str = "form"
) -> None:
    """Give the caller to a colleague, who is notified and has ten minutes. Whoever has it keeps it from others.

    Raises:
        NotAllowed, NotFound, CaseSettled, CaseTaken, Invalid (nobody who could work on it).
    """
    case = await _waiting(session, access, case_id)
    await _refuse_taken(session, access, case, at)
    other = await access_of(session, user_id)
    if other is None or not await _may_work(session, other, case_id):
        why = "This colleague may not work on this caller. Choose somebody of the line's team."
        raise Invalid("user_id", user_id, why)
    await _give_to(session, access, case, user_id, at, via)
    detail = {"phone": case.e164}
    await tell_users(
        session,
        access,
        [user_id],
        "callback",
        record_kind="callback_case",
        record_id=case.id,
        detail=detail,
    )


async def close_case(
    session: AsyncSession, access: Access, case_id: int, reason: str, at: datetime, *, via: str = "form"
) -> None:
    """Nobody need call: the reason stays on the case.

    Raises:
        NotAllowed, NotFound, CaseSettled, CaseTaken, Invalid (no reason).
    """
    reason = " ".join(reason.replace("\0", "").split())
    if not reason:
        raise Invalid("reason", reason, "Say why nobody need call back.")
    if len(reason) > MOST_REASON:
        raise Invalid("reason", reason[:50], "A reason has at most %(most)d characters.", most=MOST_REASON)
    case = await _waiting(session, access, case_id)
    await _refuse_taken(session, access, case, at)
    settled = {"state": CaseState.CLOSED.value, "close_reason": reason, "resolved_at": at}
    mine = {"resolved_by_id": access.actor_id, "taken_by_id": None, "taken_until": None}
    await _write(session, access, case, "resolved", via, **settled, **mine)


async def colleagues_for(session: AsyncSession, access: Access, team_id: int | None) -> list[tuple[int, str]]:
    """To whom a caller of this team's lines can be handed over: id and name, by name."""
    query = select(User.id, User.name).where(User.status == "active", User.id != access.user_id)
    if team_id is not None:
        query = query.join(TeamMembership, TeamMembership.user_id == User.id).where(
            TeamMembership.team_id == team_id, TeamMembership.valid_to.is_(None)
        )
    rows = await session.execute(query.order_by(User.name, User.id).limit(200))
    return [(user_id, name) for user_id, name in rows]


async def _waiting(session: AsyncSession, access: Access, case_id: int) -> CallbackCase:
    """The case, locked.

    Raises:
        NotAllowed, NotFound, CaseSettled.
    """
    access.require("callback.work")
    query = select(CallbackCase).where(CallbackCase.id == case_id)
    narrowed = narrow(query, access, "callback.work", CallbackCase).with_for_update()
    case = await session.scalar(narrowed.execution_options(populate_existing=True))
    if case is None:
        raise NotFound("callback case", case_id)
    if case.state not in UNRESOLVED:
        raise CaseSettled
    return case


async def _refuse_taken(session: AsyncSession, access: Access, case: CallbackCase, at: datetime) -> None:
    if case.taken_by_id in (None, access.user_id) or case.taken_until is None or case.taken_until <= at:
        return
    name = await session.scalar(select(User.name).where(User.id == case.taken_by_id))
    raise CaseTaken(name or "—", case.taken_until)


async def _may_work(session: AsyncSession, access: Access, case_id: int) -> bool:
    query = select(CallbackCase.id).where(CallbackCase.id == case_id)
    found = await session.scalar(narrow(query, access, "callback.work", CallbackCase))
    return found is not None


async def _give_to(
    session: AsyncSession, access: Access, case: CallbackCase, user_id: int, at: datetime, via: str
) -> None:
    await _write(session, access, case, "taken", via, taken_by_id=user_id, taken_until=at + TAKEN_FOR)


async def _write(
    session: AsyncSession, access: Access, case: CallbackCase, event: str, via: str, **values: Any
) -> None:
    before = {name: getattr(case, name) for name in values}
    changed = await record_change(
        session,
        access,
        "callback_case",
        case.id,
        before=before,
        after=values,
        event=f"callback.{event}",
        via=via,
    )
    if changed:
        await session.execute(
            update(CallbackCase)
            .where(CallbackCase.id == case.id)
            .values(**values, version=CallbackCase.version + 1)
        )
        await notify(session, CALLBACK_CHANNEL, f"{event} {case.id} {case.team_id or 0}")
