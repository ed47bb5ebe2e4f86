"""Search: name, any part of a number or an e-mail address, INN, record number; within one's rights, archived ones too.

At most 500 hits of each way are looked at, before anything is sorted: a common syllable must not sort half the database, and the
answer says that it was cut. Where not everything may be read, 200 are, each looked for among many; whoever reads little has a search of
its own, `crm.own_search`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, and_, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from crm.call_time import called_parties
from crm.numbering import home_profile
from crm.own_search import FEW, MOST_OWN, Ways, most_of_one_way, search_own
from crm.party_access import have_more, readable
from crm.party_lists import PartyRow, rows_of
from crm.planning import plan_for_values
from crm.rights import Access, Scope
from crm.schema.parties import Party
from crm.search_ways import MOST_CHARACTERS, FoundBy, Way, ways_of
from cti.numbers import NumberingProfile

__all__ = [
    "MOST_CHARACTERS",
    "FoundBy",
    "FoundIds",
    "SearchHit",
    "SearchResult",
    "found_ids",
    "search_parties",
]

MOST_HITS: Final = 500
SHOWN: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """A found party. `shown` is the number or INN that matched, the name of a merged record, "" for its own name."""

    party: PartyRow
    found_by: FoundBy
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What was found. `is_cut`: more than 500 hits, and the best of the rest may be missing."""

    hits: tuple[SearchHit, ...]
    is_cut: bool = False
    is_too_short: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundIds:
    """Ids alone, for whoever looks for what these parties have."""

    ids: list[int]
    is_cut: bool


async def search_parties(
    session: AsyncSession,
    access: Access,
    typed: str,
    *,
    condition: ColumnElement[bool] | None = None,
    profile: NumberingProfile | None = None,
    limit: int = SHOWN,
) -> SearchResult:
    """Find parties by what somebody types.

    Args:
        condition: of `Party`, to search within a list.

    Raises:
        NotAllowed.
    """
    access.require("party.read")
    meant = partial(ways_of, typed[:MOST_CHARACTERS], profile or home_profile(session))
    if not meant():
        return SearchResult(hits=(), is_too_short=True)
    rows, is_cut = await _hits(session, access, meant, condition)
    best: dict[int, tuple[FoundBy, str]] = {}
    for row in rows:
        best.setdefault(row.id, (FoundBy(row.found_by), row.shown))
    items = await rows_of(session, list(best)[:limit])
    return SearchResult(
        hits=tuple(SearchHit(party=row, found_by=best[row.id][0], shown=best[row.id][1]) for row in items),
        is_cut=is_cut or len(best) > limit,
    )


async def found_ids(
    session: AsyncSession,
    access: Access,
    typed: str,
    most: int,
    *,
    profile: NumberingProfile | None = None,
) -> FoundIds | None:
    """Whom the text means by name, number, address or INN, the likeliest first; a record's own number is not asked. None: too short.

    Raises:
        NotAllowed.
    """
    access.require("party.read")
    meant = partial(ways_of, typed[:MOST_CHARACTERS], profile or home_profile(session))
    if not meant():
        return None
    rows, is_cut = await _hits(session, access, meant)
    ids = list(dict.fromkeys(row.id for row in rows if row.found_by != FoundBy.RECORD))
    return FoundIds(ids=ids[:most], is_cut=is_cut or len(ids) > most)


async def _hits(
    session: AsyncSession, access: Access, meant: Ways, condition: ColumnElement[bool] | None = None
) -> tuple[Sequence[Row[Any]], bool]:
    """The hits, best first, in the form that costs least: of all, of one's own, or by the rule, if one may read a large part.

    And whether there are more.
    """
    await plan_for_values(session)
    # What everybody has is found soonest in the index of this; beside one's rights it stands in no index, to be read for nothing.
    is_there: ColumnElement[bool] = Party.merged_into_id.is_(None)
    if access.scope("party.read") is not Scope.ALL:
        called = await called_parties(session, access.user_id)
        if not await have_more(session, access, FEW):
            found = await search_own(session, access, meant, condition, called)
            if found is not None:
                return found
        is_there = and_(Party.lifecycle != "merged", readable(access, called))
    allowed = and_(Party.deleted_at.is_(None), is_there, *([] if condition is None else [condition]))
    most = MOST_HITS if access.scope("party.read") is Scope.ALL else MOST_OWN
    rows = (await session.execute(_best_first(meant(Party), allowed, most))).all()
    return rows, most_of_one_way(rows) > most


def _best_first(ways: Sequence[Way], allowed: ColumnElement[bool], most: int) -> Select[Any]:
    """Numbers and INN before names; active before archived; then by name."""
    found = [each.query.where(allowed).limit(most + 1).subquery() for each in ways]
    hits = union_all(*[select(each) for each in found]).subquery()
    return (
        select(hits.c.id, hits.c.found_by, hits.c.shown)
        .join(Party, Party.id == hits.c.id)
        .order_by(
            hits.c.rank, Party.lifecycle != "active", func.length(Party.sort_name), Party.sort_name, Party.id
        )
    )
