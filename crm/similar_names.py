"""Who may already be here under nearly the same name.

Names that stand beside a typed one in the orders of `crm.likely_names` are found in no time; others by the letters that they share, for which
a large base is given a moment only: a word that a tenth of all names have would take a second, and tells nobody apart. Where a name is
little more than such a word, or nothing but such words, nobody looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, func, literal, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.likely_names import FEWEST_LETTERS, likely_keys
from crm.names import normal_name, organisation_key
from crm.schema.access import User
from crm.schema.parties import Organisation, Party

SIMILAR: Final = 0.6  # of normalised names: a warning while typing
MOST_SIMILAR: Final = 5
LARGE: Final = 50_000  # parties; below, every name is compared
PATIENCE: Final = 500  # milliseconds for the letters, in a large base
_CANCELLED: Final = "57014"

_LETTERS: Final = text("select set_config('pg_trgm.similarity_threshold', :least, true)")
_TIME: Final = text(
    "select current_setting('statement_timeout'), set_config('statement_timeout', :milliseconds, true)"
)
_TIME_AS_BEFORE: Final = text("select set_config('statement_timeout', :before, true)")
_SIZE: Final = text("select reltuples from pg_class where oid = 'party'::regclass")
FEW_LETTERS: Final = 10  # a name as short as that is like none of more than 16 letters
COMMON: Final = 3_000  # names that have a word in common
VERY_COMMON: Final = 10_000  # likewise, where each word of a name is one of those
# Names of few letters, without all the longer ones that begin alike; the number of the order is a letter more.
_SHORT_BESIDE: Final = text(
    """
    select beside.party_id from unnest(cast(:keys as text[])) as mine (key) cross join lateral (
        (select party_id from name_key k where k.key >= mine.key collate "C" and char_length(key) <= 17
            order by k.key, party_id limit 20)
        union all
        (select party_id from name_key k where k.key < mine.key collate "C" and char_length(key) <= 17
            order by k.key desc, party_id desc limit 20)
    ) beside
    """
)
_HAVE_WORD: Final = text(
    """
    select count(*) from (
        select from name_key where key >= cast(:word as text) and key < cast(:after as text) limit cast(:most as int)
    ) names
    """
)
# The names are from the last nightly search; whoever is new stands in the order of the list itself.
_BESIDE: Final = text(
    """
    select beside.party_id from unnest(cast(:keys as text[])) as mine (key) cross join lateral (
        (select party_id from name_key k where k.key >= mine.key collate "C" order by k.key, party_id limit 8)
        union all
        (select party_id from name_key k where k.key < mine.key collate "C" order by k.key desc, party_id desc limit 8)
    ) beside
    union
    select id from (
        (select id from party where sort_name >= :name collate "C" and lifecycle = 'active' and deleted_at is null
            order by sort_name, id limit 20)
        union all
        (select id from party where sort_name < :name collate "C" and lifecycle = 'active' and deleted_at is null
            order by sort_name desc, id desc limit 20)
    ) listed
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Similar:
    """A party that may be the same; who is responsible is told to everybody, nothing more (crm-model 7)."""

    party_id: int
    name: str
    owner_name: str | None
    reason: str  # name, inn (another KPP)
    similarity: float  # 0 to 1


async def similar_parties(
    session: AsyncSession,
    name: str,
    party_type: str,
    *,
    inn: str = "",
    exclude_id: int | None = None,
    patience: int = PATIENCE,
) -> list[Similar]:
    """Who may already be here under nearly this name, or under the same INN: a warning, never a block.

    Ignores rights as to existence, on purpose: two people must not enter the same company twice.

    Args:
        patience: milliseconds for names that share letters and stand elsewhere; in a small base they are always looked for.
    """
    key = organisation_key(name) if party_type == "organisation" else normal_name(name)
    found: dict[int, Similar] = {}
    if inn:
        same = _candidates(exclude_id, literal("inn"), literal(1.0))
        same = same.join(Organisation, Organisation.party_id == Party.id).where(Organisation.inn == inn)
        found = await _similar(session, same.limit(MOST_SIMILAR))
    if len(key) >= FEWEST_LETTERS:
        by_name = _candidates(exclude_id, literal("name"), func.similarity(Party.sort_name, key))
        for each in await _by_name(session, by_name.where(Party.type == party_type), key, patience):
            found.setdefault(each.party_id, each)
    return list(found.values())[:MOST_SIMILAR]


async def _by_name(session: AsyncSession, candidates: Select[Any], key: str, patience: int) -> list[Similar]:
    """The most similar first."""
    beside = await _beside(session, key)
    similarity = func.similarity(Party.sort_name, key)
    near = candidates.where(Party.id.in_(beside), similarity >= SIMILAR)
    best_first = (similarity.desc(), Party.id)
    found = await _similar(session, near.order_by(*best_first).limit(MOST_SIMILAR))
    await session.execute(_LETTERS, {"least": str(SIMILAR)})
    lettered = candidates.where(Party.sort_name.op("%")(key)).order_by(*best_first).limit(MOST_SIMILAR)
    if ((await session.execute(_SIZE)).scalar_one()) < LARGE:
        found |= await _similar(session, lettered)
    elif len(found) < MOST_SIMILAR and not await _is_common(session, key):
        found |= await _in_time(session, lettered, patience)
    return sorted(found.values(), key=lambda each: (-each.similarity, each.party_id))[:MOST_SIMILAR]


async def _beside(session: AsyncSession, key: str) -> list[int]:
    """Who stands beside this name in one of the orders."""
    keys = sorted(likely_keys(key))
    found = list(await session.scalars(_BESIDE, {"keys": keys, "name": key}))
    if len(key) <= FEW_LETTERS:
        found += await session.scalars(_SHORT_BESIDE, {"keys": keys})
    return found


async def _is_common(session: AsyncSession, key: str) -> bool:
    """Whether thousands would have to be compared: so much of the name is one word that as many have, or more have each of its words."""
    words = sorted(key.split(), key=len)
    letters = sum(len(word) + 1 for word in words)
    if len(words[-1]) + 1 >= SIMILAR * letters:
        return await _have_word(session, words[-1], COMMON)
    for word in words:
        if not await _have_word(session, word, VERY_COMMON):
            return False
    return True


async def _have_word(session: AsyncSession, word: str, most: int) -> bool:
    """Whether so many names have this word, as the first one or as the longest."""
    for begins in (f"1{word}", f"3{word}"):
        asked = {"word": begins, "after": f"{begins}\U0010ffff", "most": most}
        if (await session.execute(_HAVE_WORD, asked)).scalar_one() == most:
            return True
    return False


async def _in_time(session: AsyncSession, query: Select[Any], milliseconds: int) -> dict[int, Similar]:
    """What is found within the time; nothing, if it does not do."""
    try:
        async with session.begin_nested():
            before, _ = (await session.execute(_TIME, {"milliseconds": str(milliseconds)})).one()
            found = await _similar(session, query)
            await session.execute(_TIME_AS_BEFORE, {"before": before})
            return found
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") != _CANCELLED:
            raise
        return {}


async def _similar(session: AsyncSession, query: Select[Any]) -> dict[int, Similar]:
    return {
        party_id: Similar(
            party_id=party_id, name=shown, owner_name=owner_name, reason=reason, similarity=float(likeness)
        )
        for party_id, shown, owner_name, reason, likeness in await session.execute(query)
    }


def _candidates(exclude_id: int | None, reason: Any, similarity: Any) -> Select[Any]:
    query = (
        select(Party.id, Party.display_name, User.name, reason, similarity)
        .select_from(Party)
        .outerjoin(User, User.id == Party.owner_id)
        .where(Party.deleted_at.is_(None), Party.merged_into_id.is_(None))
    )
    return query if exclude_id is None else query.where(Party.id != exclude_id)
