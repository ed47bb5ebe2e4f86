"""Stored calls that two connections saw: all but the richest are marked as its mirrors, and left out of lists and counts.

After every telling the calls around it are judged anew, by `cti.calls.mirrors`, and only differences are written. So it
does not matter which of them was told first or how often, and a number that is corrected undoes what it had caused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from crm.call_statements import as_json
from crm.journal_entries import CallEntry
from cti.calls.mirrors import MOST_APART, Richness, Sighting, Talk, mirrors
from cti.calls.records import Direction

# How far from a call its mirrors' mirrors are followed; a number that calls without a pause must not load its whole day.
MOST_AROUND: Final = timedelta(seconds=30)
LOCKS: Final = 5_009  # the first half of our advisory locks' keys

# A company with one PBX, nearly every one, pays nothing: there is nobody else who could have seen its calls.
_LOCK = text(
    """
    with many as materialized (select count(*) > 1 as are from (select from pbx_connection limit 2) as two),
    locked as materialized (
        select pg_advisory_xact_lock(:locks, key) from (
            select distinct hashtext(number) as key from unnest(cast(:numbers as text[])) as number order by 1
        ) as keys where (select are from many)
    )
    select are, (select count(*) from locked) from many
    """
)
# Whoever placed a call from one of our numbers to another told no number of ours: then each of its lines may be it.
_LINES = "array(select e164 from line where line.connection_id = call.connection_id and deleted_at is null)"
_AROUND = text(
    f"""
    with recursive told as (
        select id, mirror_of_id, started_at from call where id = any(:calls) and joined_into_id is null
    ),
    around (id, told_at) as (
        select id, started_at from told
      union
        select mirror_of_id, started_at from told where mirror_of_id is not null
      union
        select call.id, told.started_at from told join call on call.mirror_of_id = told.id
      union
        select other.id, around.told_at from around join call on call.id = around.id
        join call other on other.customer_e164 = any(
                array[call.customer_e164, call.did_e164]
                || case when call.direction = 'outbound' and call.did_e164 is null then {_LINES} end
            )
            and other.started_at between call.started_at - cast(:apart as interval) and call.started_at + cast(:apart as interval)
            and other.started_at between around.told_at - cast(:around as interval) and around.told_at + cast(:around as interval)
            and other.connection_id <> call.connection_id and other.joined_into_id is null
        where call.customer_e164 is not null
    )
    select call.id, call.connection_id, call.direction, call.customer_e164, call.started_at, call.mirror_of_id,
        call.placed_by, case when call.did_e164 is null then {_LINES} else array[call.did_e164] end as ours,
        coalesce((
            select jsonb_agg(jsonb_build_object('user_id', p.user_id, 'has_rung', p.has_rung,
                'answered_at', p.answered_at, 'left_at', coalesce(p.left_at, call.ended_at)))
            from participation p where p.call_id = call.id
        ), '[]') as parts
    from call where call.id in (select id from around) and call.joined_into_id is null
    """  # noqa: S608 - the constant above
)
_WRITE = text(
    """
    update call set mirror_of_id = r.root from jsonb_to_recordset(cast(:rows as jsonb)) as r (id uuid, root uuid)
    where call.id = r.id
    """
)
# Beyond what was looked at, somebody may mirror what became a mirror just now.
_SHORTEN = text(
    """
    update call set mirror_of_id = root.mirror_of_id from call root
    where root.id = any(:calls) and root.mirror_of_id is not null and call.mirror_of_id = root.id
    """
)


async def lock_numbers(connection: AsyncConnection, entries: Iterable[CallEntry]) -> bool:
    """Let other writers of calls of the same numbers wait until this transaction ends.

    To be called before any row is locked. Two connections store one call at the same moment: the second must see it.

    Returns:
        whether there is another connection that could have seen these calls; else nothing was locked.
    """
    numbers = {number for entry in entries for number in _numbers(entry)}
    found = await connection.execute(_LOCK, {"locks": LOCKS, "numbers": sorted(numbers)})
    return bool(found.scalar_one())


async def link_mirrors(connection: AsyncConnection, calls: Sequence[UUID]) -> None:
    """Judge these calls, and those around them, anew; in the transaction that stored them."""
    values = {"calls": list(calls), "apart": MOST_APART, "around": MOST_AROUND}
    rows = (await connection.execute(_AROUND, values)).all()
    roots = mirrors(map(_sighting, rows))
    changed = [
        {"id": row.id, "root": roots.get(row.id)} for row in rows if row.mirror_of_id != roots.get(row.id)
    ]
    if changed:
        await connection.execute(_WRITE, as_json(changed))
        await connection.execute(_SHORTEN, {"calls": [each["id"] for each in changed]})


def _numbers(entry: CallEntry) -> Iterable[str]:
    """The numbers by which another connection's call may be found to be this one."""
    facts, record = entry.facts, entry.record
    if facts.customer_e164 is None or record.direction is Direction.INTERNAL:
        return ()
    ours = facts.did_e164 if record.direction is Direction.INBOUND else None
    return (facts.customer_e164,) if ours is None else (facts.customer_e164, ours)


def _sighting(row: Row[Any]) -> Sighting:
    return Sighting(
        id=row.id,
        connection_id=row.connection_id,
        direction=Direction(row.direction),
        customer=row.customer_e164,
        ours=frozenset(row.ours),
        started_at=row.started_at,
        richness=_richness(row),
        talks=tuple(
            Talk(user_id=part["user_id"], since=_moment(part["answered_at"]), until=_end(part))
            for part in row.parts
            if part["user_id"] is not None and part["answered_at"] is not None
        ),
    )


def _richness(row: Row[Any]) -> Richness:
    talked = [part for part in row.parts if part["answered_at"] is not None]
    if any(part["user_id"] is not None for part in talked):
        return Richness.PERSON_TALKED
    if talked:
        return Richness.EXTENSION_TALKED
    is_known = row.placed_by is not None or any(part["has_rung"] for part in row.parts)
    return Richness.RANG if is_known else Richness.NOBODY


def _end(part: dict[str, Any]) -> datetime | None:
    return None if part["left_at"] is None else _moment(part["left_at"])


def _moment(told: str) -> datetime:
    return datetime.fromisoformat(told)
