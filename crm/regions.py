"""Regions of numbers: found out after the number was stored, a few at a time, so that neither a form nor an import waits."""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.schema.parties import PhoneNumber
from crm.schema.regions import PartyRegion
from cti.numbers import describe

LANGUAGE: Final = "ru"  # one for all, since the word is stored
AT_ONCE: Final = 25  # a tenth of a millisecond each, and a ringing call does not wait longer than that
MOST_WORDS: Final = 300


async def describe_piece(session: AsyncSession) -> bool:
    """Write down where some numbers are from, "" where their digits do not tell; False: all of them have it."""
    rows = await session.execute(
        select(PhoneNumber.id, PhoneNumber.e164)
        .where(PhoneNumber.region.is_(None), PhoneNumber.e164.is_not(None))
        .order_by(PhoneNumber.id)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True, key_share=True)
    )
    found: dict[str, list[int]] = {}
    for number_id, e164 in rows:
        found.setdefault(describe(e164, LANGUAGE).region, []).append(number_id)
    for region, ids in found.items():
        await session.execute(update(PhoneNumber).where(PhoneNumber.id.in_(ids)).values(region=region))
    return bool(found)


async def known_regions(session: AsyncSession) -> list[str]:
    """The regions that parties have, by name: one step in the index for each."""
    first = select(func.min(PartyRegion.region)).scalar_subquery()
    found = select(first.label("word")).cte("found", recursive=True)
    after = select(func.min(PartyRegion.region)).where(PartyRegion.region > found.c.word)
    steps = found.union_all(select(after.scalar_subquery()).where(found.c.word.is_not(None)))
    await session.execute(text("set local plan_cache_mode = force_custom_plan"))
    words = await session.scalars(select(steps.c.word).where(steps.c.word.is_not(None)).limit(MOST_WORDS))
    return list(words)
