"""«Возможные дубли»: the pairs as people see them, «Не дубль», and asking for a new search. The search is `crm.duplicate_search`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.changes import notify, record_change
from crm.duplicate_pairs import drop_pair
from crm.errors import Invalid, NotFound
from crm.paging import Page, decode_cursor, encode_cursor, page_size
from crm.party_lists import PartyRow, rows_of
from crm.rights import Access, condition
from crm.schema.merging import DuplicateDismissal, DuplicatePair, DuplicateRun
from crm.schema.parties import Party

SEARCH_CHANNEL: Final = "ringcard_duplicates"  # payload: nothing; somebody asks for a search
MOST_REASON: Final = 300


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
    query = _pairs(access)
    if cursor:
        likeness, pair_id = decode_cursor(cursor, int, int)
        after = tuple_(DuplicatePair.likeness, DuplicatePair.id)
        query = query.where(after < tuple_(likeness or 0, pair_id or 0))
    found = (await session.scalars(query.limit(size + 1))).all()
    shown = found[:size]
    parties = await rows_of(session, list({each for pair in shown for each in (pair.low_id, pair.high_id)}))
    by_id = {party.id: party for party in parties}
    last = shown[-1] if len(found) > size else None
    return Page(
        items=tuple(_told(pair, by_id) for pair in shown),
        next=encode_cursor(last.likeness, last.id) if last else None,
    )


def _pairs(access: Access) -> Select[DuplicatePair]:
    query = select(DuplicatePair)
    for side in (DuplicatePair.low_id, DuplicatePair.high_id):
        party = aliased(Party)
        query = query.join(party, party.id == side).where(
            party.deleted_at.is_(None),
            party.merged_into_id.is_(None),
            condition(access, "party.merge", party),
        )
    return query.order_by(DuplicatePair.likeness.desc(), DuplicatePair.id.desc())


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
