"""Who called and was missed, and has been spoken to by nobody since; a line for each caller, within one's right to calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.calls_read import CallFilter, CallInfo, list_calls
from crm.rights import Access
from crm.schema.communications import Call, Communication

MOST_CALLS: Final = 200  # of the latest missed ones that are looked at
MISSED: Final = frozenset({"abandoned", "not_served", "voicemail", "after_hours"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedCaller:
    """A caller to whom nobody has spoken since. `call_id`: the latest of their missed calls."""

    e164: str
    party_id: int | None
    party_name: str | None
    contact_name: str | None
    line_name: str | None
    line_colour: str | None
    calls: int
    first_at: datetime
    last_at: datetime
    call_id: UUID


async def missed_callers(
    session: AsyncSession, access: Access, since: datetime, *, most: int
) -> list[MissedCaller]:
    """Those missed since a moment, the latest first; withheld numbers are left out, since nobody can call them.

    Spoken to: an answered call in either direction, by anyone, with the number or its party, that began after the last miss.

    Raises:
        NotAllowed.
    """
    access.require("call.read")
    wanted = CallFilter(disposition="missed", since=since)
    page = await list_calls(session, access, wanted, limit=MOST_CALLS)
    callers = _by_number(page.items)
    numbers = await _spoken_to(session, callers, since)
    parties = await _spoken_with(session, {c.party_id for c in callers.values() if c.party_id}, since)
    waiting = [
        caller
        for caller in callers.values()
        if not _is_later(numbers.get(caller.e164), caller)
        and not _is_later(parties.get(caller.party_id or 0), caller)
    ]
    return waiting[:most]


def _by_number(calls: Collection[CallInfo]) -> dict[str, MissedCaller]:
    """The calls, newest first, as callers in the same order."""
    found: dict[str, MissedCaller] = {}
    for call in calls:
        number = call.customer_e164
        if number is None or call.disposition not in MISSED:
            continue
        if (before := found.get(number)) is not None:
            found[number] = replace(before, calls=before.calls + 1, first_at=call.started_at)
            continue
        found[number] = MissedCaller(
            e164=number,
            party_id=call.party_id,
            party_name=call.party_name,
            contact_name=call.contact_name if call.contact_id != call.party_id else None,
            line_name=call.line_name,
            line_colour=call.line_colour,
            calls=1,
            first_at=call.started_at,
            last_at=call.started_at,
            call_id=call.id,
        )
    return found


def _is_later(spoken_at: datetime | None, caller: MissedCaller) -> bool:
    return spoken_at is not None and spoken_at > caller.last_at


async def _spoken_to(
    session: AsyncSession, numbers: Collection[str], since: datetime
) -> Mapping[str, datetime]:
    """When the latest answered call with each number began."""
    rows: Any = await session.execute(
        select(Call.customer_e164, func.max(Call.started_at))
        .where(Call.customer_e164.in_(numbers), Call.started_at >= since, Call.answered_at.is_not(None))
        .group_by(Call.customer_e164)
    )
    return dict(rows.all())


async def _spoken_with(
    session: AsyncSession, party_ids: Collection[int], since: datetime
) -> Mapping[int, datetime]:
    """When the latest answered call with each party began, whatever its number."""
    rows: Any = await session.execute(
        select(Communication.party_id, func.max(Communication.started_at))
        .join(Call, Call.id == Communication.id)
        .where(
            Communication.party_id.in_(party_ids),
            Communication.started_at >= since,
            Call.answered_at.is_not(None),
        )
        .group_by(Communication.party_id)
    )
    return dict(rows.all())
