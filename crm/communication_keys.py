"""The keys of a list of communications, a page in its order: each way in which one is within a user's rights has an index of its own.

What one wrote down oneself, or a team, stands there by `user_id` and `team_id`; calls that one only took part in by the participations,
which repeat when their call began.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Subquery, and_, select, true, tuple_, union
from sqlalchemy.ext.asyncio import AsyncSession

from crm.communication_filters import (
    IS_NO_CALL,
    CommunicationFilter,
    conditions_of,
    is_among,
    within_period,
)
from crm.paging import decode_cursor, encode_cursor, moment_of, uuid_of
from crm.rights import Access, Scope, of_teams, ways
from crm.schema.communications import Communication, Participation
from crm.schema.meetings import Meeting, MeetingParticipant

Keys = Select[UUID, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The rows that one way leads to: their ids and moments, and the columns that these are read from in order."""

    keys: Keys
    started_at: Any
    id: Any

    def page(self, cursor: str | None, most: int, *, is_oldest_first: bool) -> Keys:
        """Raises Invalid: the cursor."""
        here, keys = tuple_(self.started_at, self.id), self.keys
        if cursor:
            started_at, last_id = decode_cursor(cursor, str, str)
            last = tuple_(moment_of(started_at, cursor), uuid_of(last_id, cursor))
            keys = keys.where(here > last if is_oldest_first else here < last)
        return keys.order_by(*ordered(self.started_at, self.id, is_oldest_first)).limit(most)


def ordered(started_at: Any, communication_id: Any, is_oldest_first: bool) -> tuple[Any, Any]:
    if is_oldest_first:
        return started_at, communication_id
    return started_at.desc(), communication_id.desc()


def ways_to(access: Access, wanted: CommunicationFilter) -> list[Way]:
    """The ways in which what is wanted can be within the user's rights; one may be found by several."""
    scope = access.scope("party.read")
    if wanted.lead_id is not None:  # whoever reads the lead reads them
        return [_listed(wanted, true())]
    if scope not in {Scope.OWN, Scope.TEAM}:
        return [_listed(wanted, way) for way in ways(access, "party.read", Communication)]
    mine = [Communication.user_id == access.user_id, *of_teams(access, scope, Communication)]
    if wanted.may_be_meeting:
        mine.append(is_invited(access))
    found = [_listed(wanted, way) for way in mine]
    if wanted.may_be_call:
        parts = [Participation.user_id == access.user_id, *of_teams(access, scope, Participation)]
        found += [_taken_part(wanted, part) for part in parts]
    return found


def allowed(access: Access) -> list[ColumnElement[bool]]:
    """The same as conditions of one communication that is looked up, whatever its kind."""
    found = ways(access, "party.read", Communication)
    return [*found, is_invited(access)] if access.scope("party.read") in {Scope.OWN, Scope.TEAM} else found


def is_invited(access: Access) -> ColumnElement[bool]:
    invited = select(MeetingParticipant.id).where(
        MeetingParticipant.meeting_id == Communication.id, MeetingParticipant.user_id == access.user_id
    )
    return and_(Communication.kind == "meeting", IS_NO_CALL, invited.exists())


def keys_where(wanted: CommunicationFilter, *conditions: ColumnElement[bool]) -> Keys:
    """What is wanted, of that for which these hold."""
    keys = select(Communication.id, Communication.started_at).where(*conditions_of(wanted), *conditions)
    if wanted.meeting_state is not None:
        keys = keys.join(Meeting, Meeting.id == Communication.id)
    return keys


def _listed(wanted: CommunicationFilter, way: ColumnElement[bool]) -> Way:
    return Way(keys=keys_where(wanted, way), started_at=Communication.started_at, id=Communication.id)


def _taken_part(wanted: CommunicationFilter, part: ColumnElement[bool]) -> Way:
    """Each call once, however often it rang there."""
    started_at, call_id = Participation.started_at, Participation.call_id
    conditions = [*conditions_of(wanted), *within_period(wanted, started_at)]
    if wanted.among is not None:
        conditions.append(is_among(call_id, wanted.among))
    keys = (
        select(call_id.label("id"), started_at)
        .join(Communication, Communication.id == call_id)
        .where(part, *conditions)
        .distinct()
    )
    return Way(keys=keys, started_at=started_at, id=call_id)


async def page_keys(
    session: AsyncSession,
    found_by: Sequence[Way],
    cursor: str | None,
    most: int,
    *,
    is_oldest_first: bool = False,
) -> Sequence[Any]:
    """Rows of (id, started_at) in the list's order. Raises Invalid: the cursor."""
    first = first_of(found_by, cursor, most, is_oldest_first=is_oldest_first)
    return list(await session.execute(first))


def first_of(found_by: Sequence[Way], cursor: str | None, most: int, *, is_oldest_first: bool) -> Select[Any]:
    """The first of each way, and of those the first."""
    rows = together([way.page(cursor, most, is_oldest_first=is_oldest_first) for way in found_by])
    return select(rows).order_by(*ordered(rows.c.started_at, rows.c.id, is_oldest_first)).limit(most)


def some(found_by: Sequence[Way], most: int) -> Subquery:
    """Any of the rows, each once, in no order: whatever is met first."""
    rows = together([way.keys.limit(most) for way in found_by])
    return select(rows.c.id).limit(most).subquery()


def together(parts: Sequence[Keys]) -> Subquery:
    """The rows of all parts, each once."""
    if len(parts) == 1:
        return parts[0].subquery("keys")
    return union(*[part.subquery().select() for part in parts]).subquery("keys")


def cursor_after(row: Any) -> str:
    """Where the page that ends with this row goes on."""
    return encode_cursor(row.started_at.isoformat(), str(row.id))
