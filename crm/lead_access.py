"""A lead for reading: found within one's rights."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import NotFound
from crm.rights import Access, condition
from crm.schema.leads import Lead


async def readable_lead(session: AsyncSession, access: Access, lead_id: int) -> Lead:
    """The lead.

    Raises:
        NotFound: unknown, in the bin, or outside this user's rights.
    """
    lead = await session.scalar(
        select(Lead)
        .where(Lead.id == lead_id, Lead.deleted_at.is_(None), condition(access, "lead.read", Lead))
        .execution_options(populate_existing=True)
    )
    if lead is None:
        raise NotFound("lead", lead_id)
    return lead
