"""«Возможные дубли»: the pairs as people see them, «Не дубль», and asking for a new search. The search is `crm.duplicate_search`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVarTuple

from sqlalchemy import ColumnElement, Select, delete, or_, select, tuple_, union
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.changes import notify, record_change
from crm.duplicate_pairs import drop_pair
from crm.duplicate_search import look_again
from crm.errors import Invalid, NotFound
from crm.paging import Page, decode_cursor, encode_cursor, page_size
from crm.party_lists import PartyRow, rows_of
from crm.planning import plan_for_page
from crm.rights import Access, condition, keys_ways
from crm.schema.access import User
from crm.schema.merging import DuplicateDismissal, DuplicatePair, DuplicateRun
from crm.schema.parties import Party
from crm.similar_names import similar_parties

SEARCH_CHANNEL: Final = "ringcard_duplicates"  # payload: nothing; somebody asks for a search
MOST_REASON: Final = 300
Columns = TypeVarTuple("Columns")
_low, _high = aliased(Party), aliased(Party)  # once: to make one costs more than to ask with it


@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleDuplicate:
    """Two parties that may be one. `shown`: the number (E.164), address or INN that both have, "" for a name."""

    id: int
    reason: str  # number, email, inn, name
    shown: str
    likeness: int  # thousandths
    one: PartyRow
    other: PartyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NoDuplicate:
    """Two parties of whom somebody said «Не дубль»."""

    id: int
    one: PartyRow
    other: PartyRow
    reason: str | None
    by_name: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchState:
    """When the pairs were made (None: never yet), and whether a search is going on."""

    made_at: datetime | None
    pairs: int
    is_running: bool


async def list_pairs(
    session: AsyncSession, access: Access, *, cursor: str | None = None, limit: int | None = None
) -> Page[PossibleDuplicate]:
    """The likeliest first; only pairs of which this user may merge both.

    Raises:
        NotAllowed, Invalid (the cursor).
    """
    access.require("party.merge")
    size = page_size(limit)
    found = await _pairs(session, access, cursor, size + 1)
    shown = await _judged(session, access, found[:size])
    parties = await rows_of(session, list({each for pair in shown for each in (pair.low_id, pair.high_id)}))
    by_id = {party.id: party for party in parties}
    last = found[size - 1] if len(found) > size else None
    return Page(
        items=tuple(_told(pair, by_id) for pair in shown),
        next=encode_cursor(last.likeness, last.id) if last else None,
    )


async def _pairs(
    session: AsyncSession, access: Access, cursor: str | None, most: int
) -> Sequence[DuplicatePair]:
    """The likeliest, by each way in which the first of the two may be the user's; so may the other one."""
    await plan_for_page(session)
    order = (DuplicatePair.likeness.desc(), DuplicatePair.id.desc())
    pairs = _both_there(select(DuplicatePair.id, DuplicatePair.likeness), DuplicatePair)
    pairs = pairs.where(or_(*_mine(access, DuplicatePair.high_keeper_id, DuplicatePair.high_team_id)))
    if cursor:
        likeness, pair_id = decode_cursor(cursor, int, int)
        after = tuple_(DuplicatePair.likeness, DuplicatePair.id)
        pairs = pairs.where(after < tuple_(likeness or 0, pair_id or 0))
    ways = _mine(access, DuplicatePair.low_keeper_id, DuplicatePair.low_team_id)
    parts = [pairs.where(way).order_by(*order).limit(most).subquery().select() for way in ways]
    ids = union(*parts).subquery()
    query = select(DuplicatePair).join(ids, ids.c.id == DuplicatePair.id).order_by(*order).limit(most)
    return (await session.scalars(query)).all()


async def _judged(
    session: AsyncSession, access: Access, pairs: Sequence[DuplicatePair]
) -> list[DuplicatePair]:
    """By the parties themselves: whose they are is copied into the pairs, and may be a moment behind."""
    ids = [pair.id for pair in pairs]
    query = _both_mine(select(DuplicatePair.id), DuplicatePair, access).where(DuplicatePair.id.in_(ids))
    mine = set(await session.scalars(query))
    return [pair for pair in pairs if pair.id in mine]


def _mine(access: Access, keeper: Any, team: Any) -> list[ColumnElement[bool]]:
    return keys_ways(access, "party.merge", keeper, team)


def _both_there(query: Select[*Columns], table: Any) -> Select[*Columns]:
    """Of the pairs in a table, those of two present parties."""
    for side, party in ((table.low_id, _low), (table.high_id, _high)):
        query = query.join(party, party.id == side)
        query = query.where(party.deleted_at.is_(None), party.merged_into_id.is_(None))
    return query


def _both_mine(query: Select[*Columns], table: Any, access: Access) -> Select[*Columns]:
    """Of the pairs in a table, those of two present parties both of which this user may merge."""
    for side, party in ((table.low_id, _low), (table.high_id, _high)):
        query = query.join(party, party.id == side).where(
            party.deleted_at.is_(None),
            party.merged_into_id.is_(None),
            condition(access, "party.merge", party),
        )
    return query


def _told(pair: DuplicatePair, parties: dict[int, PartyRow]) -> PossibleDuplicate:
    return PossibleDuplicate(
        id=pair.id,
        reason=pair.reason,
        shown=pair.shown,
        likeness=pair.likeness,
        one=parties[pair.low_id],
        other=parties[pair.high_id],
    )


async def dismiss_pair(
    session: AsyncSession,
    access: Access,
    one_id: int,
    other_id: int,
    *,
    reason: str = "",
    via: str = "form",
) -> None:
    """«Не дубль», for everybody; said twice it is said once.

    Raises:
        NotAllowed, NotFound (either of them, or outside this user's right to merge), Invalid (one and the same).
    """
    access.require("party.merge")
    if one_id == other_id:
        raise Invalid("other_id", other_id, "A record is no duplicate of itself: name two.")
    low, high = sorted((one_id, other_id))
    await _require(session, access, low, high)
    row = {
        "low_id": low,
        "high_id": high,
        "reason": " ".join(reason.split())[:MOST_REASON] or None,
        "by_id": access.actor_id,
    }
    said = upsert(DuplicateDismissal).values(row).on_conflict_do_nothing().returning(DuplicateDismissal.id)
    is_new = await session.scalar(said) is not None
    await drop_pair(session, low, high)
    if is_new:
        for party_id, other in ((low, high), (high, low)):
            after = {"not_duplicate_of": other}
            await record_change(session, access, "party", party_id, before={}, after=after, via=via)


async def likely_same(session: AsyncSession, access: Access, party: PartyRow) -> list[PartyRow]:
    """Who is most like this party by name or INN, of those whom this user may merge: what a merge offers first."""
    alike = await similar_parties(session, party.name, party.type, inn=party.inn or "", exclude_id=party.id)
    allowed: Any = condition(access, "party.merge", Party)
    query = select(Party.id).where(Party.id.in_([each.party_id for each in alike]), allowed)
    mine = set(await session.scalars(query))
    return await rows_of(session, [each.party_id for each in alike if each.party_id in mine])


async def list_dismissed(
    session: AsyncSession, access: Access, *, cursor: str | None = None, limit: int | None = None
) -> Page[NoDuplicate]:
    """What was said to be two, the latest first; only pairs of which this user may merge both.

    Raises:
        NotAllowed, Invalid (the cursor).
    """
    access.require("party.merge")
    size = page_size(limit)
    query = _both_mine(select(DuplicateDismissal, User.name), DuplicateDismissal, access)
    query = query.outerjoin(User, User.id == DuplicateDismissal.by_id).order_by(DuplicateDismissal.id.desc())
    if cursor:
        (before,) = decode_cursor(cursor, int)
        query = query.where(DuplicateDismissal.id < (before or 0))
    found = (await session.execute(query.limit(size + 1))).all()
    ids = {each for said, _name in found[:size] for each in (said.low_id, said.high_id)}
    parties = {party.id: party for party in await rows_of(session, list(ids))}
    items = tuple(
        NoDuplicate(
            id=said.id,
            one=parties[said.low_id],
            other=parties[said.high_id],
            reason=said.reason,
            by_name=name,
            at=said.at,
        )
        for said, name in found[:size]
    )
    return Page(items=items, next=encode_cursor(items[-1].id) if len(found) > size else None)


async def withdraw_dismissal(
    session: AsyncSession, access: Access, dismissal_id: int, *, via: str = "form"
) -> None:
    """Take «Не дубль» back: if they still have something in common, the pair is there again at once.

    Raises:
        NotAllowed, NotFound (unknown, taken back already, or outside this user's right to merge).
    """
    access.require("party.merge")
    query = _both_mine(select(DuplicateDismissal), DuplicateDismissal, access)
    said = await session.scalar(query.where(DuplicateDismissal.id == dismissal_id))
    gone = delete(DuplicateDismissal).where(DuplicateDismissal.id == dismissal_id)
    if said is None or await session.scalar(gone.returning(DuplicateDismissal.id)) is None:
        raise NotFound("pair", dismissal_id)
    for party_id, other in ((said.low_id, said.high_id), (said.high_id, said.low_id)):
        before = {"not_duplicate_of": other}
        await record_change(
            session, access, "party", party_id, before=before, after={"not_duplicate_of": None}, via=via
        )
    await look_again(session, said.low_id, said.high_id)


async def _require(session: AsyncSession, access: Access, *party_ids: int) -> None:
    allowed: Any = condition(access, "party.merge", Party)
    query = select(Party.id).where(Party.id.in_(party_ids), Party.deleted_at.is_(None), allowed)
    found = set(await session.scalars(query))
    for party_id in party_ids:
        if party_id not in found:
            raise NotFound("party", party_id)


async def search_state(session: AsyncSession) -> SearchState:
    """Whether the pairs can be trusted, and from when they are."""
    latest = select(DuplicateRun).order_by(DuplicateRun.id.desc()).limit(1)
    last = await session.scalar(latest)
    done = await session.scalar(latest.where(DuplicateRun.finished_at.is_not(None)))
    return SearchState(
        made_at=done.finished_at if done else None,
        pairs=done.pairs if done else 0,
        is_running=last is not None and last.finished_at is None,
    )


async def ask_search(session: AsyncSession, access: Access) -> None:
    """Search now; while one is going on, that one serves.

    Raises:
        NotAllowed.
    """
    access.require("party.merge")
    await session.execute(upsert(DuplicateRun).values(asked_by_id=access.actor_id).on_conflict_do_nothing())
    await notify(session, SEARCH_CHANNEL, "")
