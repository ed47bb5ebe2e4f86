"""Who should get a call, asked by the dialplan before anything rings: the responsible, unless something speaks against it.

Nothing is written: the call itself, once it comes, tells what became of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import text

from crm.calendars import WorkHours, hours_as_stored
from crm.changes import storable
from crm.errors import NotFound
from crm.matching import MatchedParty, MatchOutcome, MatchResult, find_by_number
from crm.numbering import as_profile
from crm.readers import Reader
from crm.rights import Access, access_of
from crm.tokens import PREFIX as TOKEN_PREFIX
from crm.tokens import read_token
from cti.numbers import DEFAULT_PROFILE, Number, NumberingProfile, NumberKind, to_e164

_ASKING = text(
    """
    select asking.id as connection_id, profile.id as profile_id, region, area_code, outside_prefixes, feature_codes,
        internal_pattern, service_numbers
    from pbx_connection asking left join numbering_profile profile on profile.id = asking.profile_id
    where asking.name = :name and asking.deleted_at is null
    """
)
_LINE = text(
    """
    select line.id, calendar.time_zone, cast(calendar.week as text) as week, cast(calendar.days as text) as days
    from line left join work_calendar calendar on calendar.id = line.calendar_id
    where line.connection_id = :connection_id and line.e164 = :e164 and line.deleted_at is null
    """
)
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
    reader: Reader,
    access: Access,
    connection: str,
    caller: str,
    did: str,
    at: datetime,
    *,
    home: NumberingProfile = DEFAULT_PROFILE,
) -> CallRoute:
    """Who should get a call of this number to that number of ours.

    Args:
        connection: the name of the PBX that asks.
        caller, did: as the provider delivers them; both may be "".
        home: how numbers are written where ringcard is installed, for a PBX without a profile of its own.

    Raises:
        NotAllowed, NotFound (the connection).
    """
    access.require("call.route")
    connection_id, profile = await _asking(reader, connection, home)
    line_id, hours = await _line(reader, connection_id, to_e164(did, profile))
    number = to_e164(caller, profile)
    match = await find_by_number(reader, number, line_id=line_id, connection_id=connection_id, at=at)
    name = name_of(match)
    if match.is_spam:
        return CallRoute(action=RouteAction.BLOCKED, reason="block_list", name=name)
    if hours is not None and not hours.is_open(at):
        return CallRoute(action=RouteAction.CLOSED, reason="outside_hours", name=name)
    return await _to_responsible(reader, connection_id, match, name)


async def warm_up_routing(reader: Reader) -> None:
    """Ask once, about nobody, everything that a token and a route may ask: a connection's first answers are slow."""
    await read_token(reader, TOKEN_PREFIX, datetime.now(UTC))
    await access_of(reader, 0)
    for statement, values in (
        (_ASKING, {"name": ""}),
        (_LINE, {"connection_id": 0, "e164": ""}),
        (_SEATS, {"connection_id": 0, "user_id": 0}),
    ):
        await reader.execute(statement, values)
    for number in ("+79000000000", "0"):
        await find_by_number(reader, to_e164(number), connection_id=0)


async def _to_responsible(reader: Reader, connection_id: int, match: MatchResult, name: str) -> CallRoute:
    owner_id, reason = responsible(match)
    if owner_id is None:
        return CallRoute(action=RouteAction.FALLBACK, reason=reason, name=name)
    values = {"connection_id": connection_id, "user_id": owner_id}
    seats = (await reader.execute(_SEATS, values)).all()
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


async def _asking(reader: Reader, connection: str, home: NumberingProfile) -> tuple[int, NumberingProfile]:
    """The id of the PBX of this name, and how it writes numbers. Raises NotFound."""
    row = (await reader.execute(_ASKING, {"name": storable(connection)})).first()
    if row is None:
        raise NotFound("connection", connection)
    return row.connection_id, as_profile(None if row.profile_id is None else row, home)


async def _line(reader: Reader, connection_id: int, did: Number) -> tuple[int | None, WorkHours | None]:
    """The line that was called, and its hours; (None, None) for a number that is none of ours."""
    if did.kind is not NumberKind.E164:
        return None, None
    line = (await reader.execute(_LINE, {"connection_id": connection_id, "e164": did.e164})).first()
    if line is None:
        return None, None
    if line.time_zone is None:
        return line.id, None
    return line.id, hours_as_stored(line.time_zone, json.loads(line.week), json.loads(line.days))
