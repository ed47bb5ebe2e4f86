"""Callers to call back, as lists and programs read them: within one's rights, the most urgent first, never cut by a day's end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, tuple_, union
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.callback_states import UNRESOLVED, CaseState
from crm.errors import CrmError, NotFound
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size
from crm.rights import Access, ways
from crm.schema.access import Team, User
from crm.schema.communications import Call
from crm.schema.desk import CallbackCase, CallbackMiss
from crm.schema.parties import Party, PartyPhone, PhoneNumber
from crm.schema.telephony import Line

MOST_COUNTED: Final = 99  # the badge says "99+"


class CaseSettled(CrmError):
    """Somebody spoke with the caller, or closed the case, meanwhile."""

    template = "Nobody waits for this call any more: it was settled meanwhile. Load the list again."


class CaseTaken(CrmError):
    """Two must not call one person at once."""

    template = "%(name)s has taken this caller for ten minutes. Take another one, or wait."

    def __init__(self, name: str, until: datetime) -> None:
        self.until = until
        super().__init__(name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """Which cases; what is None or False does not narrow."""

    is_settled: bool = False  # those that are over, newest first, instead of those that wait
    line_id: int | None = None
    team_id: int | None = None
    only_mine: bool = False  # taken by the reader
    overdue_at: datetime | None = None  # due before this moment


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseInfo:
    """A case as lists show it, at the moment it was read."""

    id: int
    e164: str
    state: CaseState
    team_id: int | None
    team_name: str | None
    line_id: int | None
    line_name: str | None
    line_colour: str | None
    party_id: int | None
    party_name: str | None
    contact_id: int | None
    contact_name: str | None
    owner_id: int | None  # who is responsible for the party
    owner_name: str | None
    missed_count: int
    first_missed_at: datetime
    last_missed_at: datetime
    due_at: datetime
    is_overdue: bool
    taken_by_id: int | None  # also while the ten minutes are over: who was at it last
    taken_by_name: str | None
    taken_until: datetime | None
    attempts: int
    reacted_at: datetime | None
    resolved_at: datetime | None
    resolved_by_name: str | None
    resolving_call_id: UUID | None
    close_reason: str | None
    version: int


_contact, _owner, _taker, _resolver = aliased(Party), aliased(User), aliased(User), aliased(User)
_COLUMNS: Final[tuple[Any, ...]] = (
    CallbackCase.id, CallbackCase.e164, CallbackCase.state, CallbackCase.team_id, Team.name.label("team_name"),
    CallbackCase.line_id, Line.name.label("line_name"), Line.colour.label("line_colour"), CallbackCase.party_id,
    Party.display_name.label("party_name"), CallbackCase.contact_id, _contact.display_name.label("contact_name"),
    Party.owner_id, _owner.name.label("owner_name"), CallbackCase.missed_count, CallbackCase.first_missed_at,
    CallbackCase.last_missed_at, CallbackCase.due_at, CallbackCase.taken_by_id, _taker.name.label("taken_by_name"),
    CallbackCase.taken_until, CallbackCase.attempts, CallbackCase.reacted_at, CallbackCase.resolved_at,
    _resolver.name.label("resolved_by_name"), CallbackCase.resolving_call_id, CallbackCase.close_reason,
    CallbackCase.version,
)  # fmt: skip
_URGENT_FIRST: Final = (CallbackCase.due_at, CallbackCase.id)
_NEWEST_FIRST: Final = (CallbackCase.last_missed_at.desc(), CallbackCase.id.desc())


async def list_cases(
    session: AsyncSession,
    access: Access,
    at: datetime,
    wanted: CaseFilter = CaseFilter(),
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[CaseInfo]:
    """A page: those that wait by their due time, or those that are over, the latest first.

    Raises:
        NotAllowed, Invalid (the cursor).
    """
    access.require("callback.read")
    size = page_size(limit)
    order = _NEWEST_FIRST if wanted.is_settled else _URGENT_FIRST
    conditions = _conditions(access, wanted)
    if cursor:
        conditions.append(_after(wanted, cursor))
    ids = union(*(_first(conditions, order, way, size + 1) for way in _ways(access)))
    found = list(
        await session.scalars(ids)
    )  # first: joined in one statement, all cases may be read for a page
    query = _all().where(CallbackCase.id.in_(found)).order_by(*order).limit(size + 1)
    items = [_info(row, at) for row in await session.execute(query)]
    last = items[size - 1] if len(items) > size else None
    shown = await with_owners(session, access, items[:size])
    return Page(items=tuple(shown), next=_cursor(wanted, last) if last else None)


async def read_case(session: AsyncSession, access: Access, case_id: int, at: datetime) -> CaseInfo:
    """One case. Raises NotAllowed, NotFound."""
    access.require("callback.read")
    for way in _ways(access):
        row = (await session.execute(_all().where(CallbackCase.id == case_id, way))).first()
        if row is not None:
            return (await with_owners(session, access, [_info(row, at)]))[0]
    raise NotFound("callback case", case_id)


async def count_waiting(session: AsyncSession, access: Access) -> int:
    """How many wait within one's rights, counted up to 100: the badge. Raises NotAllowed."""
    access.require("callback.read")
    waiting = [CallbackCase.state.in_(UNRESOLVED)]
    some = union(*(_first(waiting, _URGENT_FIRST, way, MOST_COUNTED + 1) for way in _ways(access)))
    counted = select(some.subquery().c.id).limit(MOST_COUNTED + 1).subquery()
    return (await session.execute(select(func.count()).select_from(counted))).scalar_one()


async def owed_to(
    session: AsyncSession, access: Access, at: datetime, numbers: Sequence[str]
) -> list[CaseInfo]:
    """The waiting cases of these numbers: «Ждёт перезвона» of a call window or a card. Raises NotAllowed."""
    access.require("callback.read")
    query = (
        _all()
        .where(CallbackCase.e164.in_(numbers), CallbackCase.state.in_(UNRESOLVED))
        .where(_within(access))
        .order_by(*_URGENT_FIRST)
        .limit(MOST_COUNTED)
    )
    return [_info(row, at) for row in await session.execute(query)]


def state_at(state: str, taken_until: datetime | None, at: datetime) -> CaseState:
    """The state as people see it at this moment."""
    stored = CaseState(state)
    is_taken = stored in UNRESOLVED and taken_until is not None and taken_until > at
    return CaseState.TAKEN if is_taken else stored


async def with_owners(session: AsyncSession, access: Access, cases: Sequence[CaseInfo]) -> list[CaseInfo]:
    """Whoever alone has the number now, where nobody was known at the miss. Who may not read clients is told of none."""
    if not access.may("party.read"):
        nobody: dict[str, Any] = dict.fromkeys(
            ("party_id", "party_name", "contact_id", "contact_name", "owner_id", "owner_name")
        )
        return [replace(case, **nobody) for case in cases]
    unknown = {case.e164 for case in cases if case.party_id is None}
    if not unknown:
        return list(cases)
    owners = await _sole_owners(session, unknown)
    return [replace(case, **owners.get(case.e164, {})) if case.party_id is None else case for case in cases]


async def _sole_owners(session: AsyncSession, numbers: set[str]) -> dict[str, dict[str, Any]]:
    rows = await session.execute(
        select(PhoneNumber.e164, Party.id, Party.display_name, Party.owner_id, User.name)
        .join(PartyPhone, PartyPhone.number_id == PhoneNumber.id)
        .join(Party, Party.id == PartyPhone.party_id)
        .outerjoin(User, User.id == Party.owner_id)
        .where(PhoneNumber.e164.in_(numbers), PartyPhone.ended_at.is_(None), Party.deleted_at.is_(None))
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for e164, party_id, name, owner_id, owner_name in rows:
        whom = {"party_id": party_id, "party_name": name, "owner_id": owner_id, "owner_name": owner_name}
        found.setdefault(e164 or "", []).append(whom)
    return {e164: owners[0] for e164, owners in found.items() if len(owners) == 1}


def _ways(access: Access) -> list[ColumnElement[bool]]:
    return ways(access, "callback.read", CallbackCase)


def _within(access: Access) -> ColumnElement[bool]:
    first, *others = _ways(access)
    for way in others:
        first = first | way
    return first


def _first(
    conditions: Sequence[ColumnElement[bool]], order: Sequence[Any], way: ColumnElement[bool], most: int
) -> Select[int]:
    """The first that one way leads to, read from its own index."""
    query = select(CallbackCase.id).where(*conditions, way).order_by(*order).limit(most)
    return select(query.subquery().c.id)


def _conditions(access: Access, wanted: CaseFilter) -> list[ColumnElement[bool]]:
    is_waiting = CallbackCase.state.in_(UNRESOLVED)
    found: list[ColumnElement[bool]] = [~is_waiting if wanted.is_settled else is_waiting]
    if wanted.line_id is not None:
        found.append(CallbackCase.line_id == wanted.line_id)
    if wanted.team_id is not None:
        found.append(CallbackCase.team_id == wanted.team_id)
    if wanted.only_mine:
        found.append(CallbackCase.taken_by_id == access.user_id)
    if wanted.overdue_at is not None:
        found.append(CallbackCase.due_at < wanted.overdue_at)
    return found


def _after(wanted: CaseFilter, cursor: str) -> ColumnElement[bool]:
    moment, last_id = decode_cursor(cursor, str, int)
    at = moment_of(moment, cursor)
    if wanted.is_settled:
        return tuple_(CallbackCase.last_missed_at, CallbackCase.id) < tuple_(at, last_id or 0)
    return tuple_(CallbackCase.due_at, CallbackCase.id) > tuple_(at, last_id or 0)


def _cursor(wanted: CaseFilter, last: CaseInfo) -> str:
    at = last.last_missed_at if wanted.is_settled else last.due_at
    return encode_cursor(at.isoformat(), last.id)


def _all() -> Select[*tuple[Any, ...]]:
    return (
        select(*_COLUMNS)
        .select_from(CallbackCase)
        .outerjoin(Team, Team.id == CallbackCase.team_id)
        .outerjoin(Line, Line.id == CallbackCase.line_id)
        .outerjoin(Party, Party.id == CallbackCase.party_id)
        .outerjoin(_contact, _contact.id == CallbackCase.contact_id)
        .outerjoin(_owner, _owner.id == Party.owner_id)
        .outerjoin(_taker, _taker.id == CallbackCase.taken_by_id)
        .outerjoin(_resolver, _resolver.id == CallbackCase.resolved_by_id)
    )


def _info(row: Any, at: datetime) -> CaseInfo:
    values = row._asdict()
    values["state"] = state_at(row.state, row.taken_until, at)
    return CaseInfo(**values, is_overdue=row.resolved_at is None and row.due_at < at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """One call of a case that nobody took."""

    call_id: UUID
    missed_at: datetime
    line_name: str | None
    disposition: str | None
    wait_seconds: float | None


async def misses_of(session: AsyncSession, case_id: int, *, most: int = 50) -> list[Miss]:
    """The latest calls of a case, newest first; whoever may read the case may read that they were."""
    rows = await session.execute(
        select(CallbackMiss.call_id, CallbackMiss.missed_at, Line.name, Call.disposition, Call.wait_seconds)
        .join(Call, Call.id == CallbackMiss.call_id)
        .outerjoin(Line, Line.id == Call.line_id)
        .where(CallbackMiss.case_id == case_id)
        .order_by(CallbackMiss.missed_at.desc())
        .limit(most)
    )
    return [
        Miss(call_id=call_id, missed_at=at, line_name=line, disposition=disposition, wait_seconds=wait)
        for call_id, at, line, disposition, wait in rows
    ]


async def lines_waiting(session: AsyncSession, access: Access) -> list[tuple[int, str]]:
    """The lines on which somebody waits within one's rights: id and name, by name. Raises NotAllowed."""
    access.require("callback.read")
    query = (
        select(Line.id, Line.name)
        .join(CallbackCase, CallbackCase.line_id == Line.id)
        .where(CallbackCase.state.in_(UNRESOLVED), _within(access))
        .distinct()
        .order_by(Line.name, Line.id)
        .limit(200)
    )
    return [(line_id, name) for line_id, name in await session.execute(query)]
