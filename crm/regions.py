"""Regions of numbers: found out after the number was stored, a few at a time, so that neither a form nor an import waits."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.schema.parties import Affiliation, Party, PhoneNumber
from crm.schema.regions import PartyRegion, PartyRegionDue
from cti.numbers import describe

LANGUAGE: Final = "ru"  # one for all, since the word is stored
AT_ONCE: Final = 25  # a tenth of a millisecond each, and a ringing call does not wait longer than that
MOST_WORDS: Final = 300
# The numbers that tell of each of these parties, and those that did.
_NUMBERS: Final = text(
    """
    select of.id as party_id, owned.number_id from (
        select id, id as owner_id from unnest(cast(:ids as bigint[])) id
        union
        select organisation_id, person_id from affiliation
        where organisation_id = any(cast(:ids as bigint[])) and is_primary and ended_at is null
    ) of join party_phone owned on owned.party_id = of.owner_id
    """
)

_FIND: Final = text("select find_regions(cast(:ids as bigint[]))")
# Whoever changed a party meanwhile did not see a region that somebody else was just adding to it.
_COPY: Final = text(
    """
    update party_region r set sort_name = p.sort_name, last_communication_at = p.last_communication_at,
        party_created_at = p.created_at, keeper_id = coalesce(p.owner_id, p.created_by), team_id = p.team_id
    from party p where p.id = r.party_id and r.party_id = any(cast(:ids as bigint[]))
        and (r.sort_name, r.last_communication_at, r.party_created_at, r.keeper_id, r.team_id) is distinct from
            (p.sort_name, p.last_communication_at, p.created_at, coalesce(p.owner_id, p.created_by), p.team_id)
    """
)


async def describe_piece(session: AsyncSession) -> bool:
    """Write down where some numbers are from, "" where their digits do not tell; False: all of them have it.

    A number that somebody is attaching right now waits: neither of both would see what the other did.
    """
    rows = await session.execute(
        select(PhoneNumber.id, PhoneNumber.e164)
        .where(PhoneNumber.region.is_(None), PhoneNumber.e164.is_not(None))
        .order_by(PhoneNumber.id)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    found: dict[str, list[int]] = {}
    for number_id, e164 in rows:
        found.setdefault(describe(e164, LANGUAGE).region, []).append(number_id)
    for region, ids in found.items():
        await session.execute(update(PhoneNumber).where(PhoneNumber.id.in_(ids)).values(region=region))
    return bool(found)


async def recheck_piece(session: AsyncSession) -> bool:
    """Look once more at the regions of some parties whose numbers were changed. Returns whether more may be left.

    A party that somebody holds, or a number of it, is left for later. Whoever waits for what is written here waits for a moment; this
    does not wait for them.
    """
    await session.execute(text("set local lock_timeout = '500ms'"))
    due = select(PartyRegionDue.id, PartyRegionDue.party_id).order_by(PartyRegionDue.id)
    noted = (await session.execute(due.limit(AT_ONCE).with_for_update(skip_locked=True))).all()
    ids = await _with_their_firms(session, {row.party_id for row in noted})
    busy = await _held_by_others(session, ids)
    busy |= await _changed_by_others(session, ids - busy)
    for statement in (_FIND, _COPY):
        await session.execute(statement, {"ids": sorted(ids - busy)})
    done = [row.id for row in noted if not await _with_their_firms(session, {row.party_id}) & busy]
    await session.execute(delete(PartyRegionDue).where(PartyRegionDue.id.in_(done)))
    return bool(done)


async def _with_their_firms(session: AsyncSession, ids: set[int]) -> set[int]:
    """And the organisations whose primary contact one of them is."""
    primary = (Affiliation.is_primary, Affiliation.ended_at.is_(None))
    firms = select(Affiliation.organisation_id).where(Affiliation.person_id.in_(ids), *primary)
    return ids | set(await session.scalars(firms))


async def _held_by_others(session: AsyncSession, ids: set[int]) -> set[int]:
    """Those of them a number of which is being attached or described; the others' numbers are held from now on."""
    rows = (await session.execute(_NUMBERS, {"ids": sorted(ids)})).all()
    numbers = select(PhoneNumber.id).where(PhoneNumber.id.in_({row.number_id for row in rows}))
    locked = numbers.order_by(PhoneNumber.id).with_for_update(read=True, key_share=True, skip_locked=True)
    free = set(await session.scalars(locked))
    return {row.party_id for row in rows if row.number_id not in free}


async def _changed_by_others(session: AsyncSession, ids: set[int]) -> set[int]:
    """Those of them that somebody is changing; the others are held from now on."""
    present = select(Party.id).where(Party.id.in_(ids)).order_by(Party.id)
    free = await session.scalars(present.with_for_update(read=True, skip_locked=True))
    return set(await session.scalars(present)) - set(free)


async def known_regions(session: AsyncSession) -> list[str]:
    """The regions that parties have, by name: one step in the index for each."""
    first = select(func.min(PartyRegion.region)).scalar_subquery()
    found = select(first.label("word")).cte("found", recursive=True)
    after = select(func.min(PartyRegion.region)).where(PartyRegion.region > found.c.word)
    steps = found.union_all(select(after.scalar_subquery()).where(found.c.word.is_not(None)))
    await session.execute(text("set local plan_cache_mode = force_custom_plan"))
    words = await session.scalars(select(steps.c.word).where(steps.c.word.is_not(None)).limit(MOST_WORDS))
    return list(words)
