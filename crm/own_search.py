"""Search by whoever may read little of a large base: what is rare is looked for among all, what is common among one's own.

A whole number or an INN is found at once, and a few hits are asked whether one may read them. Of a syllable that a tenth of the base has,
most hits are somebody else's: one's own parties, and the contacts of one's own organisations, are looked through instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Row,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
    true,
    union,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.party_access import readable
from crm.planning import plan_for_page
from crm.rights import Access, ways
from crm.schema.parties import Affiliation, Party
from crm.search_ways import Way

Ways = Callable[[Any], list[Way]]  # of parties: all, or an alias of some of them
FEW: Final = 10_000  # parties of one's own that are looked through
CANDIDATES: Final = 2_000  # of a way, among all parties
OF_MANY: Final = 200  # likewise of one that has many: if it has more, one's own are looked through soon
MOST_OWN: Final = 200  # hits of a way, among one's own


async def search_own(
    session: AsyncSession,
    access: Access,
    meant: Ways,
    condition: ColumnElement[bool] | None,
    called: Sequence[int],
) -> tuple[list[Row[Any]], bool] | None:
    """The hits, best first, and whether there are more; None: there is too much of one's own.

    Args:
        condition: of `Party`, to search within a list.
        called: as of `crm.rights.ways`.
    """
    within = () if condition is None else (condition,)
    found = (await session.execute(_among_all(access, meant, within, called))).all()
    hits = [row for row in found if row.id is not None]
    is_cut = False
    common = {row.way for row in found if row.id is None}
    if common:
        await plan_for_page(
            session
        )  # what is one's own is looked up, row by row, whatever the planner expects of it
        rest = (await session.execute(_among_own(access, meant, within, called, common))).all()
        if rest[0].owned > FEW:
            return None
        own = [row for row in rest if row.id is not None]
        hits, is_cut = [*hits, *own], most_of_one_way(own) > MOST_OWN
    return sorted(hits, key=_best_first), is_cut


def most_of_one_way(hits: Sequence[Row[Any]]) -> int:
    return max(Counter(row.found_by for row in hits).values(), default=0)


def _best_first(row: Row[Any]) -> tuple[Any, ...]:
    """Numbers and INN before names; active before archived; then by name."""
    return row.rank, row.lifecycle != "active", len(row.sort_name), row.sort_name, row.id


def _among_all(
    access: Access, meant: Ways, within: Collection[ColumnElement[bool]], called: Sequence[int]
) -> Select[Any]:
    """The readable hits of each way that has few; of one that has many, a row without a party."""
    is_there = and_(Party.deleted_at.is_(None), Party.merged_into_id.is_(None), *within)
    hits = union_all(*(_candidates(number, way, is_there) for number, way in enumerate(meant(Party)))).cte(
        "hits"
    )
    tally = (
        select(hits.c.way, (func.count() > func.min(hits.c.most)).label("is_cut"))
        .group_by(hits.c.way)
        .cte("tally")
    )
    few = (
        select(hits, Party.lifecycle, Party.sort_name)
        .join(tally, and_(tally.c.way == hits.c.way, ~tally.c.is_cut))
        .join(Party, Party.id == hits.c.id)
        .where(readable(access, called))
        .subquery("few")
    )
    found = (few.c.id, few.c.found_by, few.c.shown, few.c.rank, few.c.lifecycle, few.c.sort_name)
    return (
        select(tally.c.way, *found)
        .outerjoin(few, few.c.way == tally.c.way)
        .where(or_(few.c.id.is_not(None), tally.c.is_cut))
    )


def _candidates(number: int, way: Way, is_there: ColumnElement[bool]) -> Select[Any]:
    most = OF_MANY if way.has_many else CANDIDATES
    hits = way.query.where(is_there).limit(most + 1).subquery()
    return select(hits, literal(number).label("way"), literal(most).label("most"))


def _among_own(
    access: Access,
    meant: Ways,
    within: Collection[ColumnElement[bool]],
    called: Sequence[int],
    wanted: Collection[int],
) -> Select[Any]:
    """The hits of these ways among one's own; at least one row, without a party if nothing is found. `owned`: so much is one's own."""
    own = _own(access, called)
    mine = aliased(Party, _with_contacts(own))
    parts = []
    for number, way in enumerate(meant(mine)):
        if number in wanted:
            query = way.query.join(Party, Party.id == mine.id).where(*within) if within else way.query
            parts.append(select(query.limit(MOST_OWN + 1).subquery()))
    hits = union_all(*parts).subquery("hits")
    found = (
        select(hits, Party.lifecycle, Party.sort_name).join(Party, Party.id == hits.c.id).subquery("found")
    )
    owned = select(func.count().label("owned")).select_from(own).subquery("owned")
    return select(owned.c.owned, *found.c).select_from(owned).outerjoin(found, true())


def _own(access: Access, called: Sequence[int]) -> CTE:
    """One's own parties, those of one's teams and calls: of each way one more than `FEW` at most."""
    columns = (Party.id, Party.number, Party.sort_name, Party.lifecycle, Party.type)
    parts = [
        select(*columns).where(Party.deleted_at.is_(None), way).limit(FEW + 1).subquery()
        for way in ways(access, "party.read", Party, called)
    ]
    return union(*(select(part) for part in parts)).cte("own")


def _with_contacts(own: CTE) -> CTE:
    """Those of them that a search shows, and the contacts of the organisations among them."""
    columns = (Party.id, Party.number, Party.sort_name)
    contacts = (
        select(*columns)
        .join(Affiliation, Affiliation.person_id == Party.id)
        .join(own, own.c.id == Affiliation.organisation_id)
        .where(
            own.c.type == "organisation",
            Affiliation.ended_at.is_(None),
            Party.deleted_at.is_(None),
            Party.lifecycle != "merged",
        )
    )
    listed = select(own.c.id, own.c.number, own.c.sort_name).where(own.c.lifecycle != "merged")
    return union_all(listed, contacts).cte("mine")  # not all of it is read, if enough is found before
