"""Who should get a call, asked by the dialplan before anything rings: the responsible, unless something speaks against it.

Nothing is written: the call itself, once it comes, tells what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.calendars import WorkHours, hours_of
from crm.errors import NotFound
from crm.matching import MatchedParty, MatchOutcome, MatchResult, find_by_number
from crm.numbering import as_profile, home_profile
from crm.rights import Access
from crm.schema.calendars import WorkCalendar
from crm.schema.telephony import Line, PbxConnection
from crm.schema.telephony import NumberingProfile as ProfileRow
from cti.numbers import Number, NumberingProfile, NumberKind, to_e164

_SEATS = text(
    """
    select extension.digits, coalesce(agent_state.state, 'unknown') as state
    from extension_assignment seat
    join extension on extension.id = seat.extension_id and extension.connection_id = :connection_id
    join app_user on app_user.id = seat.user_id and app_user.status = 'active'
    left join agent_state on agent_state.user_id = seat.user_id and agent_state.to_at is null
    where seat.user_id = :user_id and seat.valid_to is null
    order by extension.digits
    """
)
_AWAY = frozenset({"offline", "paused"})


class RouteAction(StrEnum):
    """What the dialplan should do."""

    DIAL = "dial"  # call the extensions, then go on as without an answer from here
    FALLBACK = "fallback"  # as if nobody had been asked: the queue, the group
    CLOSED = "closed"  # outside the working hours of the line
    BLOCKED = "blocked"  # the caller is on the block list


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRoute:
    """The answer. `reason` is a code of `docs/routing.md`; `name` is what the telephone may show, "" if nothing is known."""

    action: RouteAction
    reason: str
    extensions: tuple[str, ...] = ()
    name: str = ""


async def route_call(
    session: AsyncSession, access: Access, connection: str, caller: str, did: str, at: datetime
) -> CallRoute:
    """Who should get a call of this number to that number of ours.

    Args:
        connection: the name of the PBX that asks.
        caller, did: as the provider delivers them; both may be "".

    Raises:
        NotAllowed, NotFound (the connection).
    """
    access.require("call.route")
    connection_id, profile = await _asking(session, connection)
    line_id, hours = await _line(session, connection_id, to_e164(did, profile))
    number = to_e164(caller, profile)
    match = await find_by_number(session, number, line_id=line_id, connection_id=connection_id, at=at)
    name = name_of(match)
    if match.is_spam:
        return CallRoute(action=RouteAction.BLOCKED, reason="block_list", name=name)
    if hours is not None and not hours.is_open(at):
        return CallRoute(action=RouteAction.CLOSED, reason="outside_hours", name=name)
    return await _to_responsible(session, connection_id, match, name)


async def _to_responsible(
    session: AsyncSession, connection_id: int, match: MatchResult, name: str
) -> CallRoute:
    owner_id, reason = responsible(match)
    if owner_id is None:
        return CallRoute(action=RouteAction.FALLBACK, reason=reason, name=name)
    values = {"connection_id": connection_id, "user_id": owner_id}
    seats = (await session.execute(_SEATS, values)).all()
    if not seats:
        return CallRoute(action=RouteAction.FALLBACK, reason="responsible_has_no_telephone", name=name)
    if seats[0].state in _AWAY:
        return CallRoute(action=RouteAction.FALLBACK, reason="responsible_away", name=name)
    extensions = tuple(seat.digits for seat in seats)
    return CallRoute(action=RouteAction.DIAL, reason=reason, extensions=extensions, name=name)


def responsible(match: MatchResult) -> tuple[int | None, str]:
    """Whose the caller is, and why; several candidates have a responsible if they all have the same one."""
    if match.outcome not in (MatchOutcome.MATCHED, MatchOutcome.AMBIGUOUS) or not match.parties:
        return None, match.outcome.value
    owners = {party.owner_id for party in match.parties}
    if len(owners) > 1 or match.owners > len(match.parties):
        return None, "several_responsible"
    (owner,) = owners
    return (owner, "responsible") if owner is not None else (None, "no_responsible")


def name_of(match: MatchResult) -> str:
    """What a telephone's display may show: the contact and the organisation, or what all candidates share."""
    if match.outcome is MatchOutcome.MATCHED:
        return _both(match.parties[0])
    return match.organisation_name or match.colleague_name or ""


def _both(party: MatchedParty) -> str:
    return f"{party.contact_name}, {party.name}" if party.contact_name else party.name


async def _asking(session: AsyncSession, connection: str) -> tuple[int, NumberingProfile]:
    """The id of the PBX of this name, and how it writes numbers. Raises NotFound."""
    query = (
        select(PbxConnection.id, ProfileRow)
        .outerjoin(ProfileRow, ProfileRow.id == PbxConnection.profile_id)
        .where(PbxConnection.name == connection, PbxConnection.deleted_at.is_(None))
    )
    asking = (await session.execute(query)).one_or_none()
    if asking is None:
        raise NotFound("connection", connection)
    connection_id, row = asking
    return connection_id, as_profile(row, home_profile(session))


async def _line(
    session: AsyncSession, connection_id: int, did: Number
) -> tuple[int | None, WorkHours | None]:
    """The line that was called, and its hours; (None, None) for a number that is none of ours."""
    if did.kind is not NumberKind.E164:
        return None, None
    query = (
        select(Line.id, WorkCalendar)
        .outerjoin(WorkCalendar, WorkCalendar.id == Line.calendar_id)
        .where(Line.connection_id == connection_id, Line.e164 == did.e164, Line.deleted_at.is_(None))
    )
    called = (await session.execute(query)).first()
    if called is None:
        return None, None
    line_id, calendar = called
    return line_id, None if calendar is None else hours_of(calendar)
