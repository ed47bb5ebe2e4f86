"""Sources: where clients and enquiries come from. Records keep a source as a text; the directory says which texts mean one entry.

Whatever is written into a record is put into the directory's spelling by the database itself (trigger `known_source`), whichever
way it comes; a text that no entry knows stays as it is, and the administrator sees it. A new name is spread over the records that
have the former one a piece at a time (`spread_piece`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Invalid, NotFound, Taken
from crm.rights import Access
from crm.schema.directories import DirectoryEntry, SourceSpread, SourceWord

SOURCE: Final = "source"
MOST_UNKNOWN: Final = 100
MOST_WORD: Final = 300  # characters, as a record's source may have
CHANGED_AT_ONCE: Final = 500  # records: they are held until the piece ends
LOOKED_AT_FOR_ONE: Final = 40
_PLACES: Final = (("party", "source"), ("lead", "source"), ("line", "lead_source"))
_CODE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """An entry of the directory. `code`: its name for programs, which never changes; `words`: the other texts that mean it."""

    id: int
    code: str
    name: str
    colour: str | None
    archived_at: datetime | None
    version: int
    words: tuple[str, ...]


def checked_code(code: str) -> str:
    """Raises Invalid."""
    if not _CODE.fullmatch(code):
        why = "A code is written in small Latin letters, digits, “-” and “_”, 50 at most."
        raise Invalid("code", code[:60], why)
    return code


async def lock_directory(session: AsyncSession, directory: str) -> None:
    """One who changes a directory, or what its entries are called, at a time; until the transaction ends."""
    key = f"directory:{directory}"
    await session.execute(text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


async def list_sources(session: AsyncSession) -> list[SourceInfo]:
    """All of them in the company's order; what is archived stands at the end."""
    order = (DirectoryEntry.archived_at.is_not(None), DirectoryEntry.position, DirectoryEntry.id)
    rows = await session.scalars(
        select(DirectoryEntry)
        .where(DirectoryEntry.directory == SOURCE)
        .order_by(*order)
        .execution_options(populate_existing=True)
    )
    words: dict[int, list[str]] = {}
    for word, entry_id in await session.execute(
        select(SourceWord.word, SourceWord.entry_id).order_by(SourceWord.word)
    ):
        words.setdefault(entry_id, []).append(word)
    return [_told(row, words.get(row.id, ())) for row in rows]


def _told(row: DirectoryEntry, words: Sequence[str]) -> SourceInfo:
    code = row.code or ""
    own = {code, row.name.lower()}
    others = tuple(word for word in words if word not in own)
    return SourceInfo(
        id=row.id,
        code=code,
        name=row.name,
        colour=row.colour,
        archived_at=row.archived_at,
        version=row.version,
        words=others,
    )


async def source_named(session: AsyncSession, typed: str) -> str:
    """The directory's name of what somebody calls a source: by name, code or a former name; an unknown text as it is."""
    known = (
        select(DirectoryEntry.name)
        .join(SourceWord, SourceWord.entry_id == DirectoryEntry.id)
        .where(SourceWord.word == typed.strip().lower())
    )
    return await session.scalar(known) or typed


async def source_words(session: AsyncSession) -> dict[str, str]:
    """The directory's names by all texts that mean them, in small letters."""
    rows = await session.execute(
        select(SourceWord.word, DirectoryEntry.name).join(
            DirectoryEntry, DirectoryEntry.id == SourceWord.entry_id
        )
    )
    names: dict[str, str] = dict(rows.all())
    return names


async def as_stored(
    session: AsyncSession, columns: Mapping[str, Any], column: str = SOURCE
) -> dict[str, Any]:
    """A row as the database will store it, so that journals tell what is there and no spelling is taken for a change."""
    typed = columns.get(column)
    return {**columns, column: await source_named(session, typed)} if typed else dict(columns)


async def know_words(session: AsyncSession, entry_id: int, words: Iterable[str]) -> None:
    """From now on these texts mean the entry, also where records have them already.

    Raises:
        Taken: one means another entry.
    """
    for word in words:
        owner = await session.scalar(select(SourceWord.entry_id).where(SourceWord.word == word.lower()))
        if owner not in (None, entry_id):
            raise Taken("name", word)
        if owner is None:
            await session.execute(insert(SourceWord).values(word=word.lower(), entry_id=entry_id))
    await session.execute(delete(SourceSpread).where(SourceSpread.entry_id == entry_id))  # begin anew
    await session.execute(insert(SourceSpread).values(entry_id=entry_id))


async def join_source(
    session: AsyncSession, access: Access, typed: str, entry_id: int, *, via: str = "form"
) -> None:
    """A text that records have means this entry: they get its name.

    Raises:
        NotAllowed, NotFound (the entry), Invalid (no text), Taken (it means another entry).
    """
    access.require("directory.manage")
    await lock_directory(session, SOURCE)
    entry = await session.get(DirectoryEntry, entry_id, populate_existing=True)
    if entry is None or entry.directory != SOURCE:
        raise NotFound(SOURCE, entry_id)
    word = typed.strip()
    if not word:
        raise Invalid("word", "", "Say which text it is.")
    if len(word) > MOST_WORD:
        raise Invalid("word", word[:60], "At most %(most)d characters fit here.", most=MOST_WORD)
    is_new = await session.scalar(select(SourceWord.word).where(SourceWord.word == word.lower())) is None
    await know_words(session, entry_id, [word])
    if is_new:  # its words are a part of it
        now = {"version": DirectoryEntry.version + 1}
        await session.execute(update(DirectoryEntry).where(DirectoryEntry.id == entry_id).values(now))
    await record_change(session, access, SOURCE, entry_id, before={}, after={"word": word}, via=via)


async def unknown_sources(session: AsyncSession) -> list[str]:
    """Texts of listed parties and of leads that mean no entry, the first hundred by name."""
    found: set[str] = set()
    for statement in (_OF_PARTIES, _OF_LEADS):
        found |= set(await session.scalars(statement, {"most": MOST_UNKNOWN}))
    return sorted(found)[:MOST_UNKNOWN]


async def sources_of_leads(session: AsyncSession) -> list[str]:
    """The sources that leads have, by name, the first hundred; known or not."""
    return list(await session.scalars(_ALL_OF_LEADS, {"most": MOST_UNKNOWN}))


def _said(table: str, listed: str, more: str = "") -> Any:
    """One step in the index of sources for each text that there is."""
    return text(
        f"""
        with recursive found (source) as (
            (select r.source from {table} r where r.source is not null and {listed} order by r.source limit 1)
            union all
            select (
                select r.source from {table} r where r.source > found.source and {listed} order by r.source limit 1
            ) from found where found.source is not null
        )
        select source from found
        where source is not null {more} limit :most
        """  # noqa: S608 - our own names
    )


_IS_UNKNOWN: Final = "and not exists (select from source_word where word = lower(btrim(source)))"
_OF_PARTIES: Final = _said("party", "r.lifecycle = 'active' and r.deleted_at is null", _IS_UNKNOWN)
_OF_LEADS: Final = _said("lead", "r.deleted_at is null", _IS_UNKNOWN)
_ALL_OF_LEADS: Final = _said("lead", "r.deleted_at is null")


async def spread_piece(session: AsyncSession, most: int = CHANGED_AT_ONCE) -> bool:
    """Give some records the directory's name of their source; False: nothing is left to do.

    It is the directory that changed, not the records: they keep their version, and their history says nothing.

    Args:
        most: how many records it may change; a smaller piece looks at fewer as well.
    """
    work = await session.scalar(
        select(SourceSpread).order_by(SourceSpread.id).limit(1).with_for_update(skip_locked=True)
    )
    if work is None:
        return False
    values = {
        "entry": work.entry_id,
        "after": work.after_id,
        "most": most,
        "looked": most * LOOKED_AT_FOR_ONE,
    }
    last = (await session.execute(_SPREAD[_PLACES[work.place]], values)).scalar_one()
    if last is not None:
        return await _go_on(session, work.id, place=work.place, after_id=last)
    if work.place + 1 < len(_PLACES):
        return await _go_on(session, work.id, place=work.place + 1, after_id=0)
    await session.execute(delete(SourceSpread).where(SourceSpread.id == work.id))
    return True


async def _go_on(session: AsyncSession, spread_id: int, **where: int) -> bool:
    await session.execute(update(SourceSpread).where(SourceSpread.id == spread_id).values(where))
    return True


def _spread(table: str, column: str) -> Any:
    """Nobody is waited for: the next piece begins again with the first record that somebody else holds."""
    return text(
        f"""
        with seen as materialized (
            select id, {column} as source from {table} where id > :after order by id limit :looked
        ), former as materialized (
            select seen.id, seen.source, entry.name from seen
            join source_word known on known.word = lower(btrim(seen.source)) and known.entry_id = :entry
            join directory_entry entry on entry.id = known.entry_id
            where seen.source <> entry.name order by seen.id limit :most
        ), held as materialized (
            select id from {table} where id in (select id from former) order by id for no key update skip locked
        ), put as (
            update {table} r set {column} = former.name from former
            where r.id = former.id and r.{column} = former.source and former.id in (select id from held)
        )
        select coalesce(
            (select min(id) - 1 from former where id not in (select id from held)),
            (select max(id) from former having count(*) = :most),
            (select max(id) from seen)
        )
        """  # noqa: S608 - our own names
    )


_SPREAD: Final = {place: _spread(*place) for place in _PLACES}
