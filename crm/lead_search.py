"""Search for leads: by their number, and by name, telephone number or e-mail address of whom they are about; within one's rights.

Whom the text means is asked of `crm.search_ways`, as for parties; of those who were found, at most 5,000 a way, the leads are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, Text, case, cast, func, literal, select, text, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.lead_lists import LeadRow, lead_rows
from crm.lead_values import OPEN_STATES
from crm.numbering import home_profile
from crm.rights import Access, condition
from crm.schema.leads import Lead
from crm.schema.parties import Party
from crm.search_ways import MOST_CHARACTERS, FoundBy, record_number_in, ways_of
from cti.numbers import NumberingProfile

MOST_SUBJECTS: Final = 5_000
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
    parties = ways_of(typed[:MOST_CHARACTERS], profile or home_profile(session))
    if not parties:
        return LeadsFound(hits=(), is_too_short=True)
    await session.execute(text("set local plan_cache_mode = force_custom_plan"))
    ways = [_of_subjects(way.query) for way in parties]
    if (number := record_number_in(typed)) is not None:
        ways.append(_by_number(number))
    hits = union_all(*ways).subquery()
    found = (await session.execute(_best_first(access, hits))).all()
    best: dict[int, tuple[FoundBy, str]] = {}
    for lead_id, found_by, shown in found:
        best.setdefault(lead_id, (FoundBy(found_by), shown))
    rows = await lead_rows(session, list(best)[:limit])
    return LeadsFound(
        hits=tuple(LeadHit(lead=row, found_by=best[row.id][0], shown=best[row.id][1]) for row in rows),
        is_cut=len(best) > limit or len(found) > MOST_HITS,
    )


def _of_subjects(way: Select[Any]) -> Select[Any]:
    """The leads about the parties that a way finds; the number of a party says nothing about its leads."""
    known = (Party.deleted_at.is_(None), Party.merged_into_id.is_(None))
    found = way.where(*known).limit(MOST_SUBJECTS).subquery()
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
    return (
        select(lead_id, found_by, shown)
        .join(Lead, Lead.id == lead_id)
        .where(Lead.deleted_at.is_(None), Lead.merged_into_id.is_(None), condition(access, "lead.read", Lead))
        .order_by(rank, is_over, Lead.created_at.desc(), Lead.id.desc())
        .limit(MOST_HITS + 1)
    )
