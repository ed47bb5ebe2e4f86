"""Search for leads: by their number, and by name, telephone number or e-mail address of whom they are about; within one's rights.

Whom the text means is asked of `crm.search_ways`, as for parties; of those who were found, at most 5,000 a way, the leads are read.
Where more are called so, whoever reads few leads has those looked through whom one's own are about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    CTE,
    CompoundSelect,
    Select,
    Text,
    case,
    cast,
    func,
    literal,
    select,
    text,
    true,
    union,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.lead_lists import LeadRow, lead_rows
from crm.lead_values import OPEN_STATES
from crm.numbering import home_profile
from crm.planning import plan_for_page
from crm.rights import Access, Scope, condition, ways
from crm.schema.leads import Lead
from crm.schema.parties import Party
from crm.search_ways import MOST_CHARACTERS, FoundBy, Way, record_number_in, ways_of
from cti.numbers import NumberingProfile

MOST_SUBJECTS: Final = 5_000
FEW: Final = 10_000  # leads within one's rights, whose subjects are looked through
MOST_HITS: Final = 500
SHOWN: Final = 50
_NUMBER_RANK: Final = 0  # stands before what the party is found by


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadHit:
    """A found lead. `shown`: the number or address of whom it is about that matched, the number of a merged lead, else ""."""

    lead: LeadRow
    found_by: FoundBy
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadsFound:
    """`is_cut`: there are more, and the best of the rest may be missing."""

    hits: tuple[LeadHit, ...]
    is_cut: bool = False
    is_too_short: bool = False


async def search_leads(
    session: AsyncSession,
    access: Access,
    typed: str,
    *,
    profile: NumberingProfile | None = None,
    limit: int = SHOWN,
) -> LeadsFound:
    """Find leads by what somebody types: by what matched, those that are open before the others, the newest first.

    Raises:
        NotAllowed.
    """
    access.require("lead.read")
    home = profile or home_profile(session)
    parties = ways_of(typed[:MOST_CHARACTERS], home)
    if not parties:
        return LeadsFound(hits=(), is_too_short=True)
    await session.execute(text("set local plan_cache_mode = force_custom_plan"))
    found, is_cut = await _hits(session, access, parties, record_number_in(typed))
    if is_cut and access.scope("lead.read") is not Scope.ALL and await _reads_few(session, access):
        await plan_for_page(session)
        mine = _subjects_of_own(access)
        parties = ways_of(typed[:MOST_CHARACTERS], home, mine)
        found, is_cut = await _hits(session, access, parties, record_number_in(typed), mine)
    best: dict[int, tuple[FoundBy, str]] = {}
    for lead_id, found_by, shown in found:
        best.setdefault(lead_id, (FoundBy(found_by), shown))
    rows = await lead_rows(session, list(best)[:limit])
    return LeadsFound(
        hits=tuple(LeadHit(lead=row, found_by=best[row.id][0], shown=best[row.id][1]) for row in rows),
        is_cut=is_cut or len(best) > limit or len(found) > MOST_HITS,
    )


async def _hits(
    session: AsyncSession, access: Access, parties: Sequence[Way], number: int | None, party: Any = Party
) -> tuple[list[tuple[int, str, str]], bool]:
    """Id, what it was found by, what to show, best first; and whether more parties are meant than were looked at."""
    known = (party.deleted_at.is_(None), party.merged_into_id.is_(None))
    meant = [
        way.query.where(*known).limit(MOST_SUBJECTS + 1).cte(f"meant_{place}")
        for place, way in enumerate(parties)
    ]
    about = [_of_subjects(found) for found in meant]
    if number is not None:
        about.append(_by_number(number))
    counts = [select(func.count()).select_from(found).scalar_subquery() for found in meant]
    tally = select(func.greatest(*counts, 0).label("most")).subquery("tally")
    best = _best_first(access, union_all(*about).subquery()).subquery("best")
    query = select(tally.c.most, best).select_from(tally).outerjoin(best, true()).order_by(best.c.place)
    rows = (await session.execute(query)).all()
    hits = [(row.lead_id, row.found_by, row.shown) for row in rows if row.lead_id is not None]
    return hits, rows[0].most > MOST_SUBJECTS


async def _reads_few(session: AsyncSession, access: Access) -> bool:
    own = _own(access).subquery()
    counted = (await session.execute(select(func.count()).select_from(own))).scalar_one()
    return bool(counted <= FEW)


def _own(access: Access) -> CompoundSelect[Any]:
    """The leads within one's rights: of each way one more than `FEW` at most."""
    columns = (Lead.id, Lead.person_id, Lead.organisation_id)
    parts = [
        select(*columns).where(Lead.deleted_at.is_(None), way).limit(FEW + 1).subquery()
        for way in ways(access, "lead.read", Lead)
    ]
    return union(*(select(part) for part in parts))


def _subjects_of_own(access: Access) -> Any:
    """The parties that one's own leads are about."""
    own = _own(access).cte("own")
    about = union(
        *(select(each).where(each.is_not(None)) for each in (own.c.person_id, own.c.organisation_id))
    ).subquery("about")
    (party_id,) = about.c
    columns = (Party.id, Party.number, Party.sort_name, Party.deleted_at, Party.merged_into_id)
    return aliased(Party, select(*columns).join(about, party_id == Party.id).cte("mine"))


def _of_subjects(found: CTE) -> Select[Any]:
    """The leads about the parties that a way finds; the number of a party says nothing about its leads."""
    about = [
        select(Lead.id, found.c.found_by, found.c.shown, found.c.rank + 1).join(found, column == found.c.id)
        for column in (Lead.person_id, Lead.organisation_id)
    ]
    both = union_all(*about).subquery()
    return select(both).where(both.c.found_by != FoundBy.RECORD.value)


def _by_number(number: int) -> Select[Any]:
    """By its own number; a merged lead is found as the one that goes on."""
    gone = aliased(Lead)
    merged = case((gone.merged_into_id.is_not(None), cast(gone.number, Text)), else_="")
    by = literal(FoundBy.RECORD.value).label("found_by")
    query = select(func.coalesce(gone.merged_into_id, gone.id), by, merged, literal(_NUMBER_RANK))
    return query.where(gone.number == number, gone.deleted_at.is_(None))


def _best_first(access: Access, hits: Any) -> Select[Any]:
    lead_id, found_by, shown, rank = hits.c
    is_over = Lead.state.not_in(OPEN_STATES)
    order = (rank, is_over, Lead.created_at.desc(), Lead.id.desc())
    place = func.row_number().over(order_by=order).label("place")
    return (
        select(lead_id.label("lead_id"), found_by.label("found_by"), shown.label("shown"), place)
        .join(Lead, Lead.id == lead_id)
        .where(Lead.deleted_at.is_(None), Lead.merged_into_id.is_(None), condition(access, "lead.read", Lead))
        .order_by(*order)
        .limit(MOST_HITS + 1)
    )
