"""Open automatic leads of parties that are merged: one of a scheme goes on, the younger is closed as its duplicate."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.lead_values import LEAD, OPEN_STATES
from crm.rights import Access, command_access
from crm.schema.leads import Lead
from crm.schemes import DUPLICATE, scheme_of
from crm.stages import Move, move


async def close_the_younger(
    session: AsyncSession, access: Access, survivor_id: int, merged_id: int, via: str
) -> None:
    """Before the rows of two parties are put together: the database keeps one open automatic lead of a subject and scheme.

    Whoever may merge the parties closes it, also where the lead itself is another's.
    """
    allowed = replace(access, scopes=command_access().scopes)
    for older_id, younger_id, scheme_id in await _clashes(session, survivor_id, merged_id):
        failure = (await scheme_of(session, scheme_id)).failure
        ends = {"duplicate_of_id": older_id}
        await move(
            session,
            allowed,
            LEAD,
            younger_id,
            Move(to_stage_id=failure.id, reason=DUPLICATE, ends=ends, via="merge"),
        )


async def _clashes(session: AsyncSession, survivor_id: int, merged_id: int) -> list[tuple[int, int, int]]:
    """Older lead, younger lead, their scheme."""
    kept, gone = aliased(Lead), aliased(Lead)
    are_open = [
        condition
        for lead in (kept, gone)
        for condition in (lead.auto_created, lead.state.in_(OPEN_STATES), lead.deleted_at.is_(None))
    ]
    rows = await session.execute(
        select(kept.id, kept.created_at, gone.id, gone.created_at, kept.scheme_id)
        .join(gone, gone.scheme_id == kept.scheme_id)
        .where(kept.subject_party_id == survivor_id, gone.subject_party_id == merged_id, *are_open)
    )
    found = []
    for kept_id, kept_at, gone_id, gone_at, scheme_id in rows:
        older, younger = sorted([(kept_at, kept_id), (gone_at, gone_id)])
        found.append((older[1], younger[1], scheme_id))
    return found
