"""Lists of leads and the board: fixed orders, pages by keyset, within one's rights; as fast at a million as at a hundred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Row,
    Select,
    Subquery,
    any_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
    union,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.errors import Invalid
from crm.lead_values import OPEN_STATES
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size
from crm.party_lists import MOST_COUNTED, Count, first_phones
from crm.planning import plan_for_page
from crm.rights import Access, ways
from crm.schema.access import User
from crm.schema.leads import Lead
from crm.schema.parties import Party
from crm.schema.stages import Stage, StageVisit
from crm.schema.telephony import Line
from crm.stage_rules import SchemeInfo, StageInfo

_subject, _firm = aliased(Party), aliased(Party)  # once: to make one costs more than to ask with it
STATES: Final = ("open", "on_hold", "converted", "disqualified")
CARDS_OF_A_COLUMN: Final = 20
RESPONSES: Final = ("none", "quick", "slow")  # not yet; up to `QUICK` after it came in; later
QUICK: Final = timedelta(minutes=15)
Keys = Select[int, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadFilter:
    """Which leads; what is None does not narrow. `state`: one of `STATES`, or "going" (open and on hold) or "all"."""

    state: str = "going"
    scheme_id: int | None = None
    stage_id: int | None = None
    owner_id: int | None = None
    is_unassigned: bool = False
    source: str | None = None
    party_id: int | None = None  # as subject, as its organisation, or as what the lead became
    number: int | None = None
    line_id: int | None = None
    response: str | None = None  # one of `RESPONSES`
    utm_source: str | None = None
    utm_campaign: str | None = None
    among: tuple[int, ...] | None = None  # of these alone: a search found them

    def __post_init__(self) -> None:
        if self.state not in (*STATES, "going", "all"):
            raise Invalid("state", self.state[:50], "There is no such state of a lead.")
        if self.response not in (*RESPONSES, None):
            raise Invalid("response", str(self.response)[:50], "There is no such filter of first responses.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadRow:
    """A lead as lists and boards show it."""

    id: int
    number: int
    state: str
    scheme_id: int
    stage_id: int
    stage_name: str  # a message id, perhaps
    stage_colour: str | None
    stage_since: datetime
    sla_seconds: int | None
    title: str | None
    need: str | None
    source: str | None
    line_name: str | None
    line_colour: str | None
    party_id: int
    party_name: str
    organisation_id: int | None
    organisation_name: str | None
    phone: str | None  # E.164 of the subject
    phone_extension: str
    owner_id: int | None
    owner_name: str | None
    team_id: int | None
    is_repeat: bool
    auto_created: bool
    first_response_at: datetime | None
    created_at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardColumn:
    """A stage with its newest leads."""

    stage: StageInfo
    count: Count
    leads: tuple[LeadRow, ...]


async def list_leads(
    session: AsyncSession,
    access: Access,
    wanted: LeadFilter = LeadFilter(),
    *,
    is_oldest_first: bool = False,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[LeadRow]:
    """One page, newest first unless asked otherwise, within one's rights.

    Raises:
        NotAllowed, Invalid (the cursor, the state).
    """
    access.require("lead.read")
    size = page_size(limit)
    parts = await _parts(session, access, wanted)
    if cursor:
        at, lead_id = decode_cursor(cursor, str, int)
        here, there = tuple_(Lead.created_at, Lead.id), tuple_(moment_of(at, cursor), lead_id or 0)
        parts = [part.where(here > there if is_oldest_first else here < there) for part in parts]
    found = await _page_keys(session, parts, size + 1, is_oldest_first)
    items = await lead_rows(session, [row.id for row in found[:size]])
    last = found[size - 1] if len(found) > size else None
    more = encode_cursor(last.created_at.isoformat(), last.id) if last else None
    return Page(items=tuple(items), next=more)


async def _page_keys(
    session: AsyncSession, parts: Sequence[Keys], most: int, is_oldest_first: bool = False
) -> Sequence[Row[int, datetime]]:
    """The first of each way, and of those the first."""
    order = _ordered(Lead.created_at, Lead.id, is_oldest_first)
    rows = _together([part.order_by(*order).limit(most) for part in parts])
    query = select(rows).order_by(*_ordered(rows.c.created_at, rows.c.id, is_oldest_first)).limit(most)
    return (await session.execute(query)).all()


async def first_page(
    session: AsyncSession,
    access: Access,
    wanted: LeadFilter = LeadFilter(),
    *,
    is_oldest_first: bool = False,
    limit: int | None = None,
) -> tuple[Page[LeadRow], Count]:
    """The first page, and how many leads the list has, up to 1,000; what one page holds is not looked for twice.

    Raises:
        NotAllowed, Invalid (the state).
    """
    page = await list_leads(session, access, wanted, is_oldest_first=is_oldest_first, limit=limit)
    if page.next is None:
        return page, Count(value=len(page.items), is_more=False)
    return page, await count_leads(session, access, wanted)


def _ordered(created_at: Any, lead_id: Any, is_oldest_first: bool) -> tuple[Any, Any]:
    return (created_at, lead_id) if is_oldest_first else (created_at.desc(), lead_id.desc())


async def lead_ids(session: AsyncSession, access: Access, wanted: LeadFilter, most: int) -> list[int]:
    """The ids of what the list holds, `most` of them at most: for an action on all that was found.

    Raises:
        NotAllowed, Invalid (the state).
    """
    access.require("lead.read")
    parts = [part.limit(most) for part in await _parts(session, access, wanted)]
    rows = _together(parts)
    return list(await session.scalars(select(rows.c.id).order_by(rows.c.id).limit(most)))


async def count_leads(session: AsyncSession, access: Access, wanted: LeadFilter) -> Count:
    """How many leads the list has, up to 1,000.

    Raises:
        NotAllowed, Invalid (the state).
    """
    access.require("lead.read")
    parts = [part.limit(MOST_COUNTED + 1) for part in await _parts(session, access, wanted)]
    some = select(_together(parts)).limit(MOST_COUNTED + 1).subquery()
    counted = (await session.execute(select(func.count()).select_from(some))).scalar_one()
    return Count(value=min(counted, MOST_COUNTED), is_more=counted > MOST_COUNTED)


async def lead_board(
    session: AsyncSession, access: Access, scheme: SchemeInfo, wanted: LeadFilter = LeadFilter()
) -> list[BoardColumn]:
    """The open stages of a scheme in order, each with its newest leads; a long column goes on in the list.

    Raises:
        NotAllowed.
    """
    await plan_for_page(session)
    found = {}
    for stage in scheme.open_stages:
        of_stage = replace(wanted, state="going", stage_id=stage.id, number=None)
        found[stage] = await _column(session, _within(access, of_stage))
    every = await lead_rows(session, [lead_id for ids, _count in found.values() for lead_id in ids])
    rows = {row.id: row for row in every}
    return [
        BoardColumn(stage=stage, count=count, leads=tuple(rows[each] for each in ids if each in rows))
        for stage, (ids, count) in found.items()
    ]


async def _column(session: AsyncSession, parts: Sequence[Keys]) -> tuple[list[int], Count]:
    """The newest of a stage, and how many there are, asked for at once."""
    newest_first = _ordered(Lead.created_at, Lead.id, False)
    rows = _together([part.order_by(*newest_first).limit(MOST_COUNTED + 1) for part in parts])
    some = select(rows).order_by(*_ordered(rows.c.created_at, rows.c.id, False)).limit(MOST_COUNTED + 1)
    counted = some.subquery("counted")
    query = select(counted.c.id, func.count().over()).limit(CARDS_OF_A_COLUMN)
    keys = (await session.execute(query.order_by(*_ordered(counted.c.created_at, counted.c.id, False)))).all()
    every = keys[0][1] if keys else 0
    return [lead_id for lead_id, _every in keys], Count(
        value=min(every, MOST_COUNTED), is_more=every > MOST_COUNTED
    )


async def lead_rows(session: AsyncSession, lead_ids: Sequence[int]) -> list[LeadRow]:
    """These leads as rows, in this order; a fixed number of queries for any number of them."""
    if not lead_ids:
        return []
    rows = (await session.execute(_LEADS, {"ids": list(lead_ids)})).all()
    phones = await first_phones(session, list({row.party_id for row in rows}))
    found = {row.id: row for row in rows}
    return [
        _row(found[lead_id], *phones.get(found[lead_id].party_id, (None, "")))
        for lead_id in lead_ids
        if lead_id in found
    ]


def _row(lead: Any, phone: str | None, extension: str) -> LeadRow:
    return LeadRow(**lead._mapping, phone=phone, phone_extension=extension)


# Made once, and the same text for any number of leads: to make it costs more than to ask with it.
_LEADS: Final = (
    select(
        Lead.id,
        Lead.number,
        Lead.state,
        Lead.scheme_id,
        Lead.stage_id,
        Stage.name.label("stage_name"),
        Stage.colour.label("stage_colour"),
        func.coalesce(StageVisit.entered_at, Lead.created_at).label("stage_since"),
        Stage.sla_seconds,
        Lead.title,
        Lead.need,
        Lead.source,
        Line.name.label("line_name"),
        Line.colour.label("line_colour"),
        _subject.id.label("party_id"),
        _subject.display_name.label("party_name"),
        Lead.organisation_id,
        case((Lead.organisation_id != _subject.id, _firm.display_name)).label("organisation_name"),
        Lead.owner_id,
        User.name.label("owner_name"),
        Lead.team_id,
        Lead.is_repeat,
        Lead.auto_created,
        Lead.first_response_at,
        Lead.created_at,
        Lead.version,
    )
    .join(Stage, Stage.id == Lead.stage_id)
    .join(_subject, _subject.id == Lead.subject_party_id)
    .outerjoin(StageVisit, (StageVisit.lead_id == Lead.id) & StageVisit.left_at.is_(None))
    .outerjoin(_firm, _firm.id == Lead.organisation_id)
    .outerjoin(Line, Line.id == Lead.line_id)
    .outerjoin(User, User.id == Lead.owner_id)
    .where(Lead.id == any_(bindparam("ids", type_=ARRAY(BigInteger))))
)


async def _parts(session: AsyncSession, access: Access, wanted: LeadFilter) -> list[Keys]:
    """The planner must see the values: an employee's leads among a million want another plan than all of a stage."""
    await plan_for_page(session)
    return _within(access, wanted)


def _within(access: Access, wanted: LeadFilter) -> list[Keys]:
    """The list's keys, a query for each way in which a lead may be within the user's rights."""
    kept = select(Lead.id, Lead.created_at).where(Lead.deleted_at.is_(None), *_conditions(wanted))
    return [kept.where(way) for way in ways(access, "lead.read", Lead)]


def _conditions(wanted: LeadFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [Lead.merged_into_id.is_(None), *_of_response(wanted.response)]
    if wanted.state == "going":
        conditions.append(_is_going())
    elif wanted.state != "all":
        conditions.append(Lead.state == wanted.state)
    if wanted.is_unassigned:
        conditions.append(Lead.owner_id.is_(None))
    if wanted.party_id is not None:
        columns = (Lead.person_id, Lead.organisation_id, Lead.converted_party_id)
        conditions.append(or_(*(column == wanted.party_id for column in columns)))
    if wanted.among is not None:
        conditions.append(Lead.id.in_(wanted.among))
    exactly = {
        Lead.scheme_id: wanted.scheme_id,
        Lead.stage_id: wanted.stage_id,
        Lead.owner_id: wanted.owner_id,
        Lead.source: wanted.source,
        Lead.number: wanted.number,
        Lead.line_id: wanted.line_id,
        Lead.campaign["utm_source"].astext: wanted.utm_source,
        Lead.campaign["utm_campaign"].astext: wanted.utm_campaign,
    }
    conditions += [column == value for column, value in exactly.items() if value is not None]
    return conditions


def _is_going() -> ColumnElement[bool]:
    """In the words of the partial indexes, which the planner compares."""
    return Lead.state.in_([literal(state, literal_execute=True) for state in OPEN_STATES])


def _of_response(response: str | None) -> list[ColumnElement[bool]]:
    """Nobody waits for a response to what is over."""
    match response:
        case "none":
            return [Lead.first_response_at.is_(None), _is_going()]
        case "quick":
            return [Lead.first_response_at <= Lead.created_at + QUICK]
        case "slow":
            return [Lead.first_response_at > Lead.created_at + QUICK]
        case _:
            return []


def _together(parts: Sequence[Keys]) -> Subquery:
    """The rows of all parts, each once."""
    return union(*[part.subquery().select() for part in parts]).subquery()
