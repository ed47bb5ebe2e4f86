"""A task for reading or changing, within one's rights; and what it may be tied to."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import last_author
from crm.errors import Conflict, NotFound
from crm.lead_access import readable_lead
from crm.party_access import readable, readable_party
from crm.rights import Access, condition
from crm.schema.access import AccessGrant, User
from crm.schema.communications import Communication
from crm.schema.parties import Party, Person
from crm.schema.tasks import Task
from crm.task_values import NEVER, TaskValues, zone_named

GRANTED_FOR: Final = timedelta(days=7)  # after the term


async def readable_task(session: AsyncSession, access: Access, task_id: int) -> Task:
    """The task. Raises NotFound: unknown, or outside this user's rights."""
    return await _found(session, access, "task.read", task_id, is_locked=False)


async def locked_task(
    session: AsyncSession, access: Access, task_id: int, *, base_version: int | None = None
) -> Task:
    """The task for changing, locked until the transaction ends.

    Raises:
        NotAllowed, NotFound, Conflict (`base_version` is not the present one).
    """
    access.require("task.edit")
    task = await _found(session, access, "task.edit", task_id, is_locked=True)
    if base_version is not None and base_version != task.version:
        raise Conflict({}, task.version, await last_author(session, "task", task_id))
    return task


async def _found(session: AsyncSession, access: Access, right: str, task_id: int, *, is_locked: bool) -> Task:
    query = select(Task).where(Task.id == task_id, condition(access, right, Task))
    if is_locked:
        query = query.with_for_update(of=Task)
    task = await session.scalar(query.execution_options(populate_existing=True))
    if task is None:
        raise NotFound("task", task_id)
    return task


async def keeper_of(
    session: AsyncSession, access: Access, owner_id: int | None, home_zone: str
) -> tuple[int, int | None, ZoneInfo]:
    """Who is to do a task: their id, team and time zone. Giving it to somebody else needs the right.

    Raises:
        NotAllowed, NotFound (no such active user).
    """
    owner_id = owner_id or access.user_id
    if owner_id != access.user_id:
        access.require("task.give")
    user = await session.scalar(select(User).where(User.id == owner_id, User.status == "active"))
    if user is None:
        raise NotFound("user", owner_id)
    return user.id, user.team_id, zone_named(user.time_zone, home_zone)


async def linked(
    session: AsyncSession, access: Access, values: TaskValues, *, is_present: bool = False
) -> TaskValues:
    """The values with what they are tied to followed: a merged party's survivor, whom a lead or a call is about.

    Args:
        is_present: the desk knows that the call is at this user now, so the journal need not know it yet.

    Raises:
        NotFound: the party, the person, the lead or the call is not there, or not for this user.
    """
    if values.lead_id is not None:
        lead = await readable_lead(session, access, values.lead_id)
        if values.party_id is None:
            values = replace(values, party_id=lead.organisation_id or lead.person_id)
        elif values.party_id not in (lead.organisation_id, lead.person_id, lead.converted_party_id):
            values = await _with_party(session, access, values)
    elif values.party_id is not None:
        values = await _with_party(session, access, values)
    if values.contact_id is not None:
        await _check_person(session, access, values.contact_id)
    if values.communication_id is not None:
        values = await _with_call(session, access, values, values.communication_id, is_present=is_present)
    return values


async def _with_party(session: AsyncSession, access: Access, values: TaskValues) -> TaskValues:
    access.require("party.read")
    party = await readable_party(session, access, values.party_id or 0)
    return replace(values, party_id=party.id)


async def _check_person(session: AsyncSession, access: Access, person_id: int) -> None:
    query = select(Party.id).join(Person, Person.party_id == Party.id).where(Party.id == person_id)
    seen = query.where(Party.deleted_at.is_(None), readable(access))
    if not access.may("party.read") or await session.scalar(seen) is None:
        raise NotFound("party", person_id)


async def _with_call(
    session: AsyncSession, access: Access, values: TaskValues, call_id: UUID, *, is_present: bool
) -> TaskValues:
    """Of a call that is stored already, its client is the task's, unless another one was named."""
    query = select(Communication.party_id, Communication.contact_id).where(Communication.id == call_id)
    if not is_present:
        query = query.where(condition(access, "call.read", Communication))
    row = (await session.execute(query)).first()
    if row is None and not is_present:
        raise NotFound("call", call_id)
    if row is None or row.party_id is None or values.party_id is not None or not access.may("party.read"):
        return values
    seen = select(Party.id).where(Party.id == row.party_id, readable(access))
    party_id = await session.scalar(seen)
    return values if party_id is None else replace(values, party_id=party_id, contact_id=row.contact_id)


async def let_read(
    session: AsyncSession, access: Access, user_id: int, party_id: int | None, deadline: datetime
) -> None:
    """Whoever gets a task may read the card it is about until a week after its term.

    Only who may read the party by their own right, not by a call's or a task's, passes that on.
    """
    if party_id is None or user_id == access.user_id:
        return
    party = await session.get(Party, party_id)
    if party is None or not access.covers("party.read", users=[party.owner_id], teams=[party.team_id]):
        return
    term = func.now() if deadline == NEVER else func.greatest(func.now(), deadline)
    until = term + GRANTED_FOR
    row = {"user_id": user_id, "party_id": party_id, "reason": "task", "until": until}
    new = upsert(AccessGrant).values(row)
    later = func.greatest(AccessGrant.until, new.excluded.until)
    key = ["user_id", "party_id", "reason", "call_id"]
    await session.execute(new.on_conflict_do_update(index_elements=key, set_={"until": later}))
