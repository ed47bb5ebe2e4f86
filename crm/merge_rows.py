"""The rows of a merge: moved with a note of each, and moved back by those notes. The statements are made of `crm.merge_references`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import TextClause, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.merge_references import BY_NAME, REFERENCES, Reference
from crm.schema.merging import MergeMove

ROWS_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Rows that stay with the survivor when a merge is undone.

    `reference`: table.column. `why`: later (came after the merge), elsewhere (somebody moved or ended it), taken (it belongs to
    somebody else now).
    """

    reference: str
    count: int
    why: str


async def absorb_rows(
    session: AsyncSession,
    merge_id: int,
    survivor_id: int,
    merged_id: int,
    references: Sequence[Reference] = REFERENCES,
) -> None:
    """Everything of one record becomes the survivor's; both are locked. Clashes go first, the database refuses them otherwise."""
    values = {"merge_id": merge_id, "survivor": survivor_id, "merged": merged_id}
    for reference in references:
        if reference.same:
            await session.execute(_drop(reference), values)
            if reference.combine or reference.has_primary:
                await session.execute(_combine(reference), values)
        await _move_all(session, reference, values)


async def _move_all(session: AsyncSession, reference: Reference, values: Mapping[str, int]) -> None:
    """By the thousand: each statement has its two seconds, also for a party of a hundred thousand calls."""
    moved = ROWS_AT_ONCE
    while moved == ROWS_AT_ONCE:
        result: Any = await session.execute(_move(reference), {**values, "most": ROWS_AT_ONCE})
        moved = result.rowcount


async def _move_all_back(session: AsyncSession, reference: Reference, values: Mapping[str, int]) -> int:
    """Returns how many rows no longer belong to the survivor."""
    elsewhere = after = 0
    while True:
        page = {**values, "after": after, "most": ROWS_AT_ONCE}
        last, noted, back = (await session.execute(_move_back(reference), page)).one()
        if last is None:
            return elsewhere
        elsewhere, after = elsewhere + noted - back, last


async def return_rows(
    session: AsyncSession, merge_id: int, survivor_id: int, party_ids: Sequence[int]
) -> list[Left]:
    """Give back what still belongs to the survivor; tell what does not. Both sides are locked and no longer merged."""
    names = select(MergeMove.reference).where(MergeMove.merge_id == merge_id).distinct()
    touched = [BY_NAME[name] for name in await session.scalars(names) if name in BY_NAME]
    left: list[Left] = []
    values = {"merge_id": merge_id, "survivor": survivor_id}
    for reference in touched:
        if moved_on := await _move_all_back(session, reference, values):
            left.append(Left(reference=reference.name, count=moved_on, why="elsewhere"))
        left += await _bring_back(session, reference, merge_id, survivor_id)
        if reference.has_primary:
            for party_id in (survivor_id, *party_ids):
                await session.execute(_mark_first(reference), {"party": party_id})
    return left


async def later_rows(
    session: AsyncSession,
    merge_id: int,
    survivor_id: int,
    references: Sequence[Reference] = REFERENCES,
    *,
    own_table: str = "party",
) -> list[Left]:
    """What came to the survivor since the merge: it stays there, and is told."""
    found = []
    for reference in references:
        if "created_at" in _columns(reference) and reference.table != own_table:
            values = {"merge_id": merge_id, "survivor": survivor_id}
            count = (await session.execute(_count_later(reference), values)).scalar_one()
            if count:
                found.append(Left(reference=reference.name, count=count, why="later"))
    return found


async def _bring_back(
    session: AsyncSession, reference: Reference, merge_id: int, survivor_id: int
) -> list[Left]:
    """The rows that the survivor had as well, and what its own rows took over from them."""
    values = {"merge_id": merge_id, "survivor": survivor_id}
    for row_id, row in await _noted(session, reference, merge_id, "changed"):
        await session.execute(_change_back(reference, frozenset(row["old"])), {"id": row_id, **_json(row)})
    taken = 0
    gone = {row[0] for row in await session.execute(_kept_no_longer(reference), values)}
    for row_id, row in await _noted(session, reference, merge_id, "dropped"):
        if row_id in gone or not await _put(session, reference, row):
            taken += 1
    return [Left(reference=reference.name, count=taken, why="taken")] if taken else []


async def _noted(
    session: AsyncSession, reference: Reference, merge_id: int, what: str
) -> list[tuple[str, dict[str, Any]]]:
    rows = await session.execute(
        select(MergeMove.row_id, MergeMove.row)
        .where(MergeMove.merge_id == merge_id, MergeMove.reference == reference.name, MergeMove.what == what)
        .order_by(MergeMove.id.desc())
    )
    return [(row_id, row or {}) for row_id, row in rows]


async def _put(session: AsyncSession, reference: Reference, row: Mapping[str, Any]) -> bool:
    """The dropped row again, without its mark if another one has that now; False if it clashes with what is there."""
    attempts = [dict(row)]
    if row.get("is_primary"):
        attempts.append({**row, "is_primary": False})
    for attempt in attempts:
        try:
            async with session.begin_nested():
                await session.execute(_insert(reference), {"row": _dumped(attempt)})
        except IntegrityError:
            continue
        return True
    return False


def _json(row: Mapping[str, Any]) -> dict[str, str]:
    return {"old": _dumped(row["old"]), "new": _dumped(row["new"])}


def _dumped(row: Mapping[str, Any]) -> str:
    return msgspec.json.encode(row).decode()


@cache
def _drop(reference: Reference) -> TextClause:
    """Rows that both have: the merged party's goes, whole, into the log."""
    same = " and ".join(f"gone.{name} is not distinct from kept.{name}" for name in reference.same)
    return text(
        f"""
        with gone as (
            delete from {reference.table} gone using {reference.table} kept
            where {_is(reference, "gone", "merged")} and {_is(reference, "kept", "survivor")} and {same}
                and {_active(reference, "gone")} and {_active(reference, "kept")}
            returning gone.id, kept.id as kept_id, to_jsonb(gone) as row
        )
        insert into merge_move (merge_id, reference, what, row_id, from_id, kept_id, row)
        select :merge_id, '{reference.name}', 'dropped', cast(id as text), cast(:merged as bigint),
            cast(kept_id as text), row from gone
        """  # noqa: S608 - our own names of tables and columns
    )


@cache
def _combine(reference: Reference) -> TextClause:
    """The survivor's row takes over what the dropped one knew better; old and new value go into the log."""
    combine = dict(reference.combine)
    if reference.has_primary:
        combine["is_primary"] = (
            f"{{kept}}.is_primary or ({{gone}}.is_primary and not {_is_marked(reference)})"
        )
    old = ", ".join(f"'{name}', kept.{name}" for name in combine)
    new = ", ".join(
        f"'{name}', {value.format(kept='kept', gone='(pair.gone)')}" for name, value in combine.items()
    )
    put = ", ".join(f"{name} = (told.n).{name}" for name in combine)
    return text(
        f"""
        with pair as (
            select cast(kept_id as {reference.key_type}) as id,
                jsonb_populate_record(null::{reference.table}, row) as gone
            from merge_move where merge_id = :merge_id and reference = '{reference.name}' and what = 'dropped'
                and from_id = cast(:merged as bigint)
        ),
        told as (
            select kept.id, jsonb_build_object({old}) as old, jsonb_build_object({new}) as new,
                jsonb_populate_record(null::{reference.table}, jsonb_build_object({new})) as n
            from pair join {reference.table} kept on kept.id = pair.id
        ),
        changed as (
            update {reference.table} t set {put} from told where t.id = told.id and told.old <> told.new
            returning t.id, told.old, told.new
        )
        insert into merge_move (merge_id, reference, what, row_id, from_id, row)
        select :merge_id, '{reference.name}', 'changed', cast(id as text), cast(:merged as bigint),
            jsonb_build_object('old', old, 'new', new) from changed
        """  # noqa: S608
    )


@cache
def _move(reference: Reference) -> TextClause:
    column = reference.column.key
    mark, note = "", "null::jsonb"
    if reference.has_primary:
        mark = f", is_primary = t.is_primary and not {_is_marked(reference)}"
        note = "jsonb_build_object('is_primary', old.is_primary)"
    return text(
        f"""
        with old as (
            select * from {reference.table} r where {_is(reference, "r", "merged")}
            limit :most for update
        ),
        moved as (
            update {reference.table} t set {column} = {_id(reference, "survivor")}{mark}
            from old where t.id = old.id returning t.id, {note} as note
        )
        insert into merge_move (merge_id, reference, what, row_id, from_id, row)
        select :merge_id, '{reference.name}', 'moved', cast(id as text), cast(:merged as bigint), note from moved
        """  # noqa: S608
    )


@cache
def _move_back(reference: Reference) -> TextClause:
    """One page of the notes: the last of them, how many there are, how many rows went back."""
    mark = (
        f", is_primary = coalesce((noted.row ->> 'is_primary')::boolean, false) and {_active(reference, 't')}"
        if reference.has_primary
        else ""
    )
    return text(
        f"""
        with noted as (
            select m.id as note_id, cast(m.row_id as {reference.key_type}) as id,
                cast(m.from_id as {reference.type}) as from_id, m.row
            from merge_move m
            where m.merge_id = :merge_id and m.reference = '{reference.name}' and m.what = 'moved'
                and m.id > :after order by m.id limit :most
        ),
        back as (
            update {reference.table} t set {reference.column.key} = noted.from_id{mark}
            from noted where t.id = noted.id and {_is(reference, "t", "survivor")} returning t.id
        )
        select (select max(note_id) from noted), (select count(*) from noted), (select count(*) from back)
        """  # noqa: S608
    )


@cache
def _kept_no_longer(reference: Reference) -> TextClause:
    """The dropped rows whose twin is not the survivor's any more, or has ended: people changed it since."""
    return text(
        f"""
        select m.row_id from merge_move m left join {reference.table} kept
            on kept.id = cast(m.kept_id as {reference.key_type}) and {_is(reference, "kept", "survivor")}
                and {_active(reference, "kept")}
        where m.merge_id = :merge_id and m.reference = '{reference.name}' and m.what = 'dropped' and kept.id is null
        """  # noqa: S608
    )


@cache
def _change_back(reference: Reference, columns: frozenset[str]) -> TextClause:
    """Each column that still has the value the merge gave it gets the one from before."""
    put = ", ".join(
        f"{name} = case when t.{name} is not distinct from (told.new).{name} then (told.old).{name} else t.{name} end"
        for name in sorted(columns & set(_columns(reference)))
    )
    return text(
        f"""
        update {reference.table} t set {put} from (
            select jsonb_populate_record(null::{reference.table}, cast(:old as jsonb)) as old,
                jsonb_populate_record(null::{reference.table}, cast(:new as jsonb)) as new
        ) told where t.id = cast(cast(:id as text) as {reference.key_type})
        """  # noqa: S608
    )


@cache
def _insert(reference: Reference) -> TextClause:
    table = reference.table
    row = f"jsonb_populate_record(null::{table}, cast(:row as jsonb))"
    return text(f"insert into {table} select * from {row}")  # noqa: S608


@cache
def _mark_first(reference: Reference) -> TextClause:
    """A party with rows and no mark among them: the oldest is shown first, as when it was added."""
    table = reference.table
    mine = f"r.{reference.column.key} = cast(:party as bigint) and {_active(reference, 'r')}"
    return text(
        f"""
        update {table} t set is_primary = true
        where t.id = (select min(r.id) from {table} r where {mine})
            and not exists (select from {table} r where {mine} and r.is_primary)
        """  # noqa: S608
    )


@cache
def _count_later(reference: Reference) -> TextClause:
    return text(
        f"""
        select count(*) from {reference.table} r
        where {_is(reference, "r", "survivor")}
            and r.created_at > (select at from merge_log where id = :merge_id)
            and not exists (
                select from merge_move m where m.merge_id = :merge_id and m.reference = '{reference.name}'
                    and m.what = 'moved' and m.row_id = cast(r.id as text)
            )
        """  # noqa: S608
    )


def _id(reference: Reference, name: str) -> str:
    return f"cast(cast(:{name} as bigint) as {reference.type})"


def _is(reference: Reference, alias: str, name: str) -> str:
    """That a row speaks of this party."""
    column = f"{alias}.{reference.column.key} = {_id(reference, name)}"
    return f"{column} and {reference.among.format(row=alias)}" if reference.among != "true" else column


def _active(reference: Reference, alias: str) -> str:
    return reference.is_active.format(row=alias)


def _is_marked(reference: Reference) -> str:
    """Whether the survivor has a marked row of its own."""
    return (
        f"exists (select from {reference.table} other where {_is(reference, 'other', 'survivor')} "
        "and other.is_primary)"
    )


def _columns(reference: Reference) -> list[str]:
    return [column.name for column in reference.column.class_.__table__.c]
