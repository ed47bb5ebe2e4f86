"""The order in which everybody locks what a lead touches: its parties by id, its scheme, then leads by id (`crm.stages.locked`).

Whoever merges or converts holds the parties, the journal of calls touches them before their leads: in another order two of them would
wait for one another, and the database ends one of both.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Conflict
from crm.lead_values import LEAD
from crm.rights import Access
from crm.schema.leads import Lead
from crm.schema.parties import Party
from crm.stages import locked


async def parties_then_lead(
    session: AsyncSession,
    access: Access,
    lead_id: int,
    *,
    right: str | None = None,
    others: Iterable[int | None] = (),
    is_merging: bool = False,
) -> Lead:
    """The lead for changing, behind everybody it is about.

    Args:
        others: parties that will be changed as well.
        is_merging: whether parties may be merged: nobody attaches a number to them until this transaction ends.

    Raises:
        NotAllowed, NotFound, Conflict (it is about somebody else since).
    """
    subjects = select(Lead.person_id, Lead.organisation_id).where(Lead.id == lead_id)
    row = (await session.execute(subjects)).first()
    await lock_parties(session, {*(row or ()), *others} - {None}, is_merging=is_merging)
    lead: Lead = await locked(session, access, LEAD, lead_id, right=right)
    if row is not None and (lead.person_id, lead.organisation_id) != tuple(row):
        raise Conflict({}, lead.version, "—")  # merged at this very moment: look again
    return lead


async def lock_parties(session: AsyncSession, ids: Iterable[int | None], *, is_merging: bool = False) -> None:
    query = select(Party.id).where(Party.id.in_(list(ids))).order_by(Party.id)
    await session.execute(query.with_for_update(key_share=not is_merging))
