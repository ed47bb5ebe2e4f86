"""What rules want done about calls beside the journal: a lead, a task, a notification, a responsible user. Each is done once, by whichever program takes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import CrmError, Invalid
from crm.handling_rules import FollowUp
from crm.lead_intake import lead_of_call
from crm.notifications import tell_users
from crm.parties import change_owner
from crm.rights import command_access
from crm.schema.access import TeamMembership, User
from crm.schema.communications import Call, Communication
from crm.schema.desk import CallAction
from crm.schema.parties import Party
from crm.schema.telephony import Line
from crm.task_values import TaskValues
from crm.tasks import NewTask, create_task

MOST_TRIES: Final = 3
TASK_WITHIN: Final = timedelta(hours=1)
MOST_WHY: Final = 300  # characters
Performer = Callable[[AsyncSession, Any], Awaitable[None]]


async def carry_out_next(session: AsyncSession) -> bool:
    """Do the oldest thing that waits, in the caller's transaction; False if nothing waits.

    What cannot be done (a number that a lead cannot have) is marked as failed with the reason; another fault is tried
    three times.
    """
    query = (
        select(CallAction)
        .where(CallAction.state == "pending")
        .order_by(CallAction.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    wanted = await session.scalar(query)
    if wanted is None:
        return False
    try:
        async with session.begin_nested():
            await _perform(session, wanted.call_id, wanted.action)
    except CrmError as error:
        await _note(session, wanted, state="failed", why=str(error)[:MOST_WHY])
    else:
        await _note(session, wanted, state="done", why=None)
    return True


async def note_fault(session: AsyncSession, error: Exception) -> None:
    """The oldest thing that waits failed for a reason of ours: once more, at most three times."""
    query = select(CallAction).where(CallAction.state == "pending").order_by(CallAction.created_at).limit(1)
    wanted = await session.scalar(query.with_for_update(skip_locked=True))
    if wanted is not None:
        is_last = wanted.tries + 1 >= MOST_TRIES
        state = "failed" if is_last else "pending"
        await _note(session, wanted, state=state, why=type(error).__name__)


async def _note(session: AsyncSession, wanted: CallAction, *, state: str, why: str | None) -> None:
    values = {"state": state, "why": why, "tries": wanted.tries + 1, "done_at": func.now()}
    mine = (CallAction.call_id == wanted.call_id) & (CallAction.action == wanted.action)
    await session.execute(update(CallAction).where(mine).values(values))


async def _perform(session: AsyncSession, call_id: UUID, action: str) -> None:
    performer = PERFORMERS.get(action)
    if performer is None:
        raise Invalid("action", action, "This version does not know this action.")
    query = (
        select(
            Call.id, Call.direction, Call.customer_e164, Call.line_id, Call.started_at, Call.answered_at,
            Communication.party_id, Communication.contact_id, Communication.user_id, Line.team_id,
            Line.name.label("line_name"), Party.display_name.label("party_name"), Party.owner_id,
        )
        .join(Communication, Communication.id == Call.id)
        .outerjoin(Line, Line.id == Call.line_id)
        .outerjoin(Party, Party.id == Communication.party_id)
        .where(Call.id == call_id)
    )  # fmt: skip
    await performer(session, (await session.execute(query)).one())


async def _make_lead(session: AsyncSession, call: Any) -> None:
    """A lead of this caller; an open one that nobody typed takes the call in."""
    if call.customer_e164 is None:
        raise Invalid("number", "", "The caller's number was withheld: there is nobody to make a lead of.")
    await lead_of_call(session, command_access("rules"), call.id)


async def _make_task(session: AsyncSession, call: Any) -> None:
    """A call to make, for whoever is responsible for the caller; of nobody's, for whoever talked or the team's head."""
    owners = await _responsible(session, call)
    owner_id = owners[0] if owners else call.user_id
    if owner_id is None:
        raise Invalid(
            "owner_id", "", "Nobody is responsible for this caller, and the line's team has no head."
        )
    language = await session.scalar(select(User.language).where(User.id == owner_id))
    word = "Call back" if language == "en" else "Перезвонить"
    values = TaskValues(
        title=f"{word}: {call.party_name or call.customer_e164 or call.line_name or '—'}",
        kind="call",
        due_at=datetime.now(UTC) + TASK_WITHIN,
        party_id=call.party_id,
        communication_id=call.id,
    )
    task = NewTask(values=values, owner_id=owner_id)
    await create_task(session, command_access("rules"), task, home_zone="UTC", via="journal")


async def _assign(session: AsyncSession, call: Any) -> None:
    """A client who is nobody's is theirs who talked, else of the head of the line's team. Nobody loses a client by it."""
    if call.party_id is None:
        raise Invalid(
            "party_id", "", "Nobody is known by this number: there is no card to be responsible for."
        )
    if call.owner_id is not None:
        return
    owner_id = call.user_id or next(iter(await _responsible(session, call)), None)
    if owner_id is None:
        raise Invalid("owner_id", "", "Nobody talked in this call, and the line's team has no head.")
    await change_owner(session, command_access("rules"), call.party_id, owner_id, via="journal")


async def _tell(session: AsyncSession, call: Any) -> None:
    """Whoever is responsible for the caller; of nobody's, the heads of the line's team."""
    users = await _responsible(session, call)
    detail = {
        "name": call.party_name,
        "phone": call.customer_e164,
        "line": call.line_name,
        "direction": call.direction,
        "is_answered": call.answered_at is not None,
    }
    await tell_users(
        session,
        command_access("rules"),
        users,
        "call",
        record_kind="communication",
        record_id=call.id,
        detail=detail,
    )


async def _responsible(session: AsyncSession, call: Any) -> list[int]:
    active = User.status == "active"
    if call.owner_id is not None:
        owner = select(User.id).where(User.id == call.owner_id, active)
        if found := list(await session.scalars(owner)):
            return found
    heads = (
        select(User.id)
        .join(TeamMembership, TeamMembership.user_id == User.id)
        .where(
            TeamMembership.team_id == call.team_id,
            TeamMembership.is_head,
            TeamMembership.valid_to.is_(None),
            active,
        )
    )
    return list(await session.scalars(heads))


PERFORMERS: Final[Mapping[str, Performer]] = {
    FollowUp.LEAD: _make_lead,
    FollowUp.TASK: _make_task,
    FollowUp.NOTIFY: _tell,
    FollowUp.ASSIGN: _assign,
}
