"""«Возможные дубли» of a lead: open leads of the same people, or of somebody with the same number or address."""

from __future__ import annotations

from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.lead_cards import LeadCard, sharing
from crm.lead_lists import LeadRow, lead_rows
from crm.lead_values import OPEN_STATES
from crm.rights import Access, condition
from crm.schema.leads import Lead

MOST: Final = 5
MOST_SHARING: Final = 100  # of a number: more is a reception


async def similar_leads(session: AsyncSession, access: Access, card: LeadCard) -> list[LeadRow]:
    """Other open leads that may be the same enquiry, the newest first, within one's rights; nothing of a lead that is over."""
    own = [link.id for link in (card.person, card.organisation) if link is not None]
    if not card.is_open or not own:
        return []
    people = set(own)
    for query in sharing(card):
        people |= set(await session.scalars(query.limit(MOST_SHARING)))
    about = or_(Lead.person_id.in_(people), Lead.organisation_id.in_(people))
    found = await session.scalars(
        select(Lead.id)
        .where(about, Lead.id != card.lead.id, Lead.state.in_(OPEN_STATES), Lead.deleted_at.is_(None))
        .where(condition(access, "lead.read", Lead))
        .order_by(Lead.created_at.desc(), Lead.id.desc())
        .limit(MOST)
    )
    return await lead_rows(session, found.all())
