"""How the database shall plan the queries of lists and searches, for the rest of a transaction."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_SETTINGS: Final = text(
    "select set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_seqscan', 'off', true)"
)


async def plan_for_values(session: AsyncSession) -> None:
    """A plan for the very values that are asked for, and one from an index wherever there is one.

    Two suppliers among a million want another plan than a million clients. Reading a table from its beginning until a page is full looks
    cheap to the planner, and is, until all that is wanted stands at the end.
    """
    await session.execute(_SETTINGS)
