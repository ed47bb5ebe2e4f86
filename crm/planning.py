"""How the database shall plan the queries of lists and searches, for the rest of a transaction."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_FOR_VALUES: Final = """
    select set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_seqscan', 'off', true),
        set_config('max_parallel_workers_per_gather', '0', true)
"""
_BY_NESTING: Final = """
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
    set_config('random_page_cost', '1.1', true)
"""
_SETTINGS: Final = text(_FOR_VALUES)
_OF_PAGE: Final = text(f"{_FOR_VALUES}, {_BY_NESTING}")


async def plan_for_values(session: AsyncSession) -> None:
    """A plan for the very values that are asked for, and one from an index wherever there is one.

    Two suppliers among a million want another plan than a million clients. Reading a table from its beginning until a page is full looks
    cheap to the planner, and is, until all that is wanted stands at the end.
    """
    await session.execute(_SETTINGS)


async def plan_for_page(session: AsyncSession) -> None:
    """The same for a page, or a count that ends at a thousand: what a row needs of another table is looked up, row by row.

    The planner does not know how kinds, teams and owners go together, and where it expects many rows it reads all clients for a few.
    """
    await session.execute(_OF_PAGE)
