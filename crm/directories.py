"""Directories that the administrator keeps: kinds of parties, sources, tags, reasons for an end, industries,
reasons for a pause and for closing a missed caller.

An entry is archived, not deleted, once it was used: records go on showing it, forms offer it no more. Kinds are a table of
their own, since parties point to them by more than a word; here all directories are kept alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import last_author, record_change
from crm.errors import Conflict, Invalid, NotFound, Taken
from crm.lines import checked_colour
from crm.names import checked_name
from crm.rights import Access
from crm.schema.directories import DirectoryEntry
from crm.schema.parties import PartyKind
from crm.schema.stages import FailureReason
from crm.sources import SOURCE, checked_code, know_words, lock_directory

KIND: Final = "kind"
TAG: Final = "tag"
END_REASON: Final = "end_reason"
INDUSTRY: Final = "industry"
LEAD_REASON: Final = "lead_reason"  # why a lead is disqualified; a table of its own, and without colours
PAUSE_REASON: Final = "pause_reason"
CALLBACK_REASON: Final = "callback_reason"
DIRECTORIES: Final = (KIND, SOURCE, TAG, END_REASON, INDUSTRY, LEAD_REASON, PAUSE_REASON, CALLBACK_REASON)
_CODED: Final = {SOURCE: "source", KIND: "own"}  # directories with codes, and what made ones begin with
MOST_ENTRIES: Final = 500  # of one directory: more is no directory any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One word of a directory. `name` is a message id for the system's own kinds."""

    id: int
    directory: str
    name: str
    colour: str | None
    code: str | None  # of a source, a kind, and of what the program itself needs: it never changes
    is_system: bool
    archived_at: datetime | None
    version: int


async def list_entries(session: AsyncSession, directory: str, *, with_archived: bool = False) -> list[Entry]:
    """The entries of a directory in the company's order; what is archived stands at the end.

    Raises:
        NotFound: no such directory.
    """
    table, ours = _table(directory)
    query = select(table).where(*ours).order_by(table.archived_at.is_not(None), table.position, table.id)
    if not with_archived:
        query = query.where(table.archived_at.is_(None))
    rows = await session.scalars(query.execution_options(populate_existing=True))
    return [_entry(row, directory) for row in rows]


async def add_entry(
    session: AsyncSession,
    access: Access,
    directory: str,
    name: str,
    *,
    colour: str | None = None,
    code: str = "",
    via: str = "form",
) -> int:
    """A new word, at the end of its directory. Returns its id.

    Args:
        code: of a source or kind, what programs call it for ever; "" has one made.

    Raises:
        NotAllowed, NotFound (no such directory), Invalid, Taken (the name or code, also an archived one's).
    """
    access.require("directory.manage")
    present = await _locked(session, directory)
    name = _free(checked_name(name), present)
    if len(present) >= MOST_ENTRIES:
        why = "A directory has at most %(most)d entries."
        raise Invalid("name", name, why, most=MOST_ENTRIES)
    table, _ours = _table(directory)
    row = {
        "name": name,
        "position": len(present) + 1,
        **_looks(directory, colour),
        **_of_directory(table, directory),
        **_coded(directory, code, present),
    }
    entry_id: int = (await session.execute(insert(table).values(row).returning(table.id))).scalar_one()
    if directory == SOURCE:
        await know_words(session, entry_id, [name, row["code"]])
    await record_change(session, access, directory, entry_id, after=row, via=via)
    return entry_id


async def change_entry(
    session: AsyncSession,
    access: Access,
    directory: str,
    entry_id: int,
    wanted: Mapping[str, Any],
    *,
    version: int | None = None,
    via: str = "form",
) -> None:
    """Another `name` or `colour`, or `is_archived`: offered no more, whatever has it keeps it. What is not named stays. Records that hold
    the word as a text keep it; those with a source get its new name within minutes.

    Args:
        version: of the entry, as it was read; None: the last change wins.

    Raises:
        NotAllowed, NotFound, Conflict, Taken, Invalid (also: what the program itself needs is neither renamed nor archived).
    """
    access.require("directory.manage")
    present = await _locked(session, directory)
    found = _of(present, directory, entry_id)
    after = _wanted(directory, found, wanted, present)
    before = {name: getattr(found, name) for name in after}
    if version not in (None, found.version):
        differing = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
        raise Conflict(differing, found.version, await last_author(session, directory, entry_id))
    await _change(session, access, directory, found, via, **after)
    if directory == SOURCE and "name" in after:
        await know_words(session, entry_id, [after["name"]])


def _wanted(directory: str, found: Any, wanted: Mapping[str, Any], present: Sequence[Any]) -> dict[str, Any]:
    """The columns to store. Raises Invalid, Taken."""
    after: dict[str, Any] = {}
    if "name" in wanted and wanted["name"] != found.name:
        _refuse_system(found, "name")
        others = [row for row in present if row.id != found.id]
        after["name"] = _free(checked_name(wanted["name"]), others)
    if "colour" in wanted:
        after |= _looks(directory, wanted["colour"])
    if wanted.get("is_archived"):
        _refuse_system(found, "is_archived")
        after["archived_at"] = found.archived_at or datetime.now(UTC)
    elif "is_archived" in wanted:
        after["archived_at"] = None
    return after


def _refuse_system(row: Any, field: str) -> None:
    if _is_system(row):
        why = "The program itself needs this entry: it can be neither renamed nor archived."
        raise Invalid(field, row.name, why)


async def edit_entry(
    session: AsyncSession,
    access: Access,
    directory: str,
    entry_id: int,
    *,
    name: str,
    colour: str | None,
    version: int | None = None,
    via: str = "form",
) -> None:
    """Name and colour, as a form sends them; the system's own entries keep their names.

    Raises:
        NotAllowed, NotFound, Conflict, Invalid, Taken.
    """
    wanted: dict[str, Any] = {"name": name, "colour": colour}
    access.require("directory.manage")
    found = _of(await _locked(session, directory), directory, entry_id)
    if _is_system(found):
        del wanted["name"]
    await change_entry(session, access, directory, entry_id, wanted, version=version, via=via)


async def archive_entry(
    session: AsyncSession, access: Access, directory: str, entry_id: int, *, via: str = "form"
) -> None:
    """Offered no more; whatever has it keeps it.

    Raises:
        NotAllowed, NotFound, Invalid (an entry that the program itself needs).
    """
    await change_entry(session, access, directory, entry_id, {"is_archived": True}, via=via)


async def restore_entry(
    session: AsyncSession, access: Access, directory: str, entry_id: int, *, via: str = "form"
) -> None:
    """Offered again.

    Raises:
        NotAllowed, NotFound.
    """
    await change_entry(session, access, directory, entry_id, {"is_archived": False}, via=via)


async def move_entry(
    session: AsyncSession, access: Access, directory: str, entry_id: int, *, up: bool, via: str = "form"
) -> None:
    """One place up or down in the company's order; at an end it stays.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("directory.manage")
    present = [row for row in await _locked(session, directory) if row.archived_at is None]
    here = present.index(_of(present, directory, entry_id))
    await place_entry(session, access, directory, entry_id, max(1, here + (0 if up else 2)), via=via)


async def place_entry(
    session: AsyncSession, access: Access, directory: str, entry_id: int, place: int, *, via: str = "form"
) -> None:
    """To this place among those in use, counted from 1; beyond the end it is the last one.

    Raises:
        NotAllowed, NotFound (also: an archived one has no place).
    """
    access.require("directory.manage")
    present = [row for row in await _locked(session, directory) if row.archived_at is None]
    found = _of(present, directory, entry_id)
    present.remove(found)
    present.insert(place - 1, found)
    for position, row in enumerate(present, 1):
        await _change(session, access, directory, row, via, position=position)


async def _change(
    session: AsyncSession, access: Access, directory: str, row: Any, via: str, **values: Any
) -> None:
    before = {name: getattr(row, name) for name in values}
    if await record_change(session, access, directory, row.id, before=before, after=values, via=via):
        table, _ours = _table(directory)
        now = {"version": table.version + 1} if values.keys() - {"position"} else {}
        await session.execute(update(table).where(table.id == row.id).values({**values, **now}))


async def _locked(session: AsyncSession, directory: str) -> Sequence[Any]:
    """All entries in order; one who changes a directory at a time."""
    table, ours = _table(directory)
    await lock_directory(session, directory)
    query = select(table).where(*ours).order_by(table.position, table.id)
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


def _table(directory: str) -> tuple[Any, tuple[ColumnElement[bool], ...]]:
    if directory not in DIRECTORIES:
        raise NotFound("directory", directory)
    if directory == KIND:
        return PartyKind, ()
    if directory == LEAD_REASON:
        return FailureReason, (FailureReason.object_kind == "lead",)
    return DirectoryEntry, (DirectoryEntry.directory == directory,)


def _of(present: Sequence[Any], directory: str, entry_id: int) -> Any:
    found = next((row for row in present if row.id == entry_id), None)
    if found is None:
        raise NotFound(directory, entry_id)
    return found


def _free(name: str, others: Sequence[Any]) -> str:
    if name.lower() in {row.name.lower() for row in others}:
        raise Taken("name", name)
    return name


def _code(present: Sequence[Any], word: str) -> str:
    codes = {row.code for row in present}
    return next(code for number in range(1, len(codes) + 2) if (code := f"{word}{number}") not in codes)


def _looks(directory: str, colour: str | None) -> dict[str, Any]:
    return {} if directory == LEAD_REASON else {"colour": checked_colour(colour)}


def _of_directory(table: Any, directory: str) -> dict[str, Any]:
    """What says that a new row is of this directory."""
    if table is PartyKind:
        return {}
    return {"object_kind": "lead"} if table is FailureReason else {"directory": directory}


def _coded(directory: str, code: str, present: Sequence[Any]) -> dict[str, str]:
    """The code of a new entry, where its directory has any. Raises Invalid, Taken."""
    if directory not in _CODED:
        return {}
    if code in {each.code for each in present}:
        raise Taken("code", code)
    return {"code": checked_code(code) if code else _code(present, _CODED[directory])}


def _is_system(row: Any) -> bool:
    if isinstance(row, FailureReason):
        return row.code is not None
    return isinstance(row, PartyKind) and row.is_system


def _entry(row: Any, directory: str) -> Entry:
    return Entry(
        id=row.id,
        directory=directory,
        name=row.name,
        colour=getattr(row, "colour", None),
        code=row.code,
        is_system=_is_system(row),
        archived_at=row.archived_at,
        version=row.version,
    )


async def names_of(session: AsyncSession, directory: str) -> list[str]:
    """What a form offers: the names in use, in the company's order."""
    return [entry.name for entry in await list_entries(session, directory)]
