"""Merging parties that are one, and undoing it within 30 days (crm-model 8).

All rows are locked in the order of their ids before anything is looked at: whoever attaches a number meanwhile waits, and follows
`merged_into_id` then. Which rows refer to a party is `crm.merge_references`, how they move `crm.merge_rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, func, or_, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import PARTIES_CHANNEL, notify, publish, record_change
from crm.duplicate_pairs import carry_dismissals, drop_pairs
from crm.errors import Invalid, NotFound
from crm.merge_log import CannotMerge, MergedFurther, begin_log, end_log, ids_to_merge, log_to_undo, undone
from crm.merge_references import TREATED_FIRST
from crm.merge_rows import Left, absorb_rows, later_rows, return_rows
from crm.merge_undo import detail_of, give_back_inn, give_back_values, stored_rows
from crm.merge_values import Choices, Record, united
from crm.rights import Access, condition
from crm.schema.merging import MergeLog
from crm.schema.parties import Organisation, Party, Person

PARTY: Final = "party"
_RELEASED: Final = ("inn",)  # of a merged party's own half: what a unique index keeps for one


class DifferentTypes(CannotMerge):
    template = (
        "“%(one)s” and “%(other)s” are a person and an organisation: only two of one type can be merged."
    )


class MergedMeanwhile(CannotMerge):
    template = "“%(name)s” was merged into another record meanwhile. Open that one and look again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a merge did. `merge_id` undoes it."""

    merge_id: int
    survivor_id: int
    merged_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What undoing did. `left`: what stays with the survivor, and why."""

    merge_id: int
    survivor_id: int
    restored_ids: tuple[int, ...]
    left: tuple[Left, ...]


async def merge_parties(
    session: AsyncSession,
    access: Access,
    survivor_id: int,
    merged_ids: Sequence[int],
    choices: Choices | None = None,
    *,
    via: str = "form",
) -> Merged:
    """Make two to five parties of one type one, all or nothing.

    Args:
        choices: field (`crm.merge_values.fields_of`) → the party whose value stands, None for nobody's. What is not named follows the
            survivor, then whoever has a value.

    Raises:
        NotAllowed, NotFound (one of them, or outside this user's right to merge), Invalid (too many, different INN and none chosen),
        CannotMerge (different types; merged by somebody else meanwhile).
    """
    access.require("party.merge")
    return await _unite(
        session, access, survivor_id, merged_ids, choices or {}, condition(access, "party.merge", Party), via
    )


async def unite(
    session: AsyncSession,
    access: Access,
    survivor_id: int,
    merged_ids: Sequence[int],
    choices: Choices | None = None,
    *,
    via: str = "form",
) -> Merged:
    """`merge_parties` as a part of a larger act, which has checked its own right: the conversion of a lead.

    Raises:
        NotFound, Invalid, CannotMerge.
    """
    return await _unite(session, access, survivor_id, merged_ids, choices or {}, true(), via)


async def _unite(
    session: AsyncSession,
    access: Access,
    survivor_id: int,
    merged_ids: Sequence[int],
    choices: Choices,
    allowed: ColumnElement[bool],
    via: str,
) -> Merged:
    ids = ids_to_merge(survivor_id, merged_ids)
    records = await _locked(session, ids, allowed)
    columns = united(records, choices)
    before = await stored_rows(session, survivor_id, records[0].type)
    merge_id = await _begin(session, access, records, choices, before, via)
    await _retire(session, access, records, via)
    for merged_id in ids[1:]:
        for treat in TREATED_FIRST:
            await treat(session, access, survivor_id, merged_id, via)
        await absorb_rows(session, merge_id, survivor_id, merged_id)
    await carry_dismissals(session, survivor_id, ids[1:])
    await drop_pairs(session, ids)
    await _store(session, records[0], columns.party, columns.detail)
    await end_log(session, merge_id, await stored_rows(session, survivor_id, records[0].type))
    await _tell(session, access, records, columns.all, merge_id, via)
    await notify(session, PARTIES_CHANNEL, "")
    return Merged(merge_id=merge_id, survivor_id=survivor_id, merged_ids=ids[1:])


async def records_of(session: AsyncSession, access: Access, party_ids: Sequence[int]) -> list[Record]:
    """The parties side by side, in this order, for whoever may merge them.

    Raises:
        NotAllowed, NotFound, CannotMerge.
    """
    access.require("party.merge")
    return await _records(session, party_ids, condition(access, "party.merge", Party))


async def _locked(session: AsyncSession, ids: Sequence[int], allowed: ColumnElement[bool]) -> list[Record]:
    """Lock them, and those merged into them before, in the order of their ids: two merges cannot wait for one another."""
    await lock_records(session, ids)
    return await _records(session, ids, allowed)


async def lock_records(session: AsyncSession, ids: Sequence[int]) -> None:
    """These parties, and those merged into them before, for a merge; in the order of their ids."""
    rows = select(Party.id).where(or_(Party.id.in_(ids), Party.merged_into_id.in_(ids)))
    await session.execute(rows.order_by(Party.id).with_for_update())


async def _records(session: AsyncSession, ids: Sequence[int], allowed: ColumnElement[bool]) -> list[Record]:
    query = (
        select(Party, Person, Organisation)
        .outerjoin(Person, Person.party_id == Party.id)
        .outerjoin(Organisation, Organisation.party_id == Party.id)
        .where(Party.id.in_(ids), Party.deleted_at.is_(None), allowed)
        .execution_options(populate_existing=True)
    )
    found = {party.id: (party, person or firm) for party, person, firm in await session.execute(query)}
    for party_id in ids:
        if party_id not in found:
            raise NotFound("party", party_id)
    first = found[ids[0]][0]
    for party, _detail in found.values():
        if party.merged_into_id is not None:
            raise MergedMeanwhile(name=party.display_name)
        if party.type != first.type:
            raise DifferentTypes(one=first.display_name, other=party.display_name)
    return [_record(*found[party_id]) for party_id in ids]


def _record(party: Party, detail: Any) -> Record:
    return Record(party=_columns(party), detail=_columns(detail))


def _columns(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in type(row).__table__.c}


async def _begin(
    session: AsyncSession,
    access: Access,
    records: Sequence[Record],
    choices: Choices,
    before: dict[str, Any],
    via: str,
) -> int:
    merged = {
        str(each.id): {"lifecycle": each.party["lifecycle"], "inn": each.detail["inn"]}
        for each in records[1:]
    }
    ids = [each.id for each in records]
    return await begin_log(
        session, access, PARTY, ids, choices=choices, before=before, merged=merged, via=via
    )


async def _retire(session: AsyncSession, access: Access, records: Sequence[Record], via: str) -> None:
    """The merged ones keep their row, which leads to the survivor, and give their INN free."""
    survivor, *others = records
    ids = [each.id for each in others]
    merged = {"lifecycle": "merged", "merged_into_id": survivor.id, "version": Party.version + 1}
    await session.execute(update(Party).where(Party.id.in_(ids)).values(merged))
    detail = detail_of(survivor.type)
    await session.execute(update(detail).where(detail.party_id.in_(ids)).values(dict.fromkeys(_RELEASED)))
    for each in others:
        before = {"lifecycle": each.party["lifecycle"], "merged_into_id": None, "inn": each.detail["inn"]}
        after = {"lifecycle": "merged", "merged_into_id": survivor.id, "inn": None}
        await record_change(session, access, "party", each.id, before=before, after=after, via=via)


async def _store(
    session: AsyncSession, survivor: Record, party: dict[str, Any], half: dict[str, Any]
) -> None:
    detail = detail_of(survivor.type)
    changed = {**party, "version": Party.version + 1, "updated_at": func.now()}
    await session.execute(update(Party).where(Party.id == survivor.id).values(changed))
    try:
        async with session.begin_nested():
            await session.execute(update(detail).where(detail.party_id == survivor.id).values(half))
    except IntegrityError as error:  # the INN of one with the KPP of another may be a third party
        raise Invalid(
            "inn", half["inn"], "This INN with this KPP already belongs to another record."
        ) from error


async def _tell(
    session: AsyncSession,
    access: Access,
    records: Sequence[Record],
    columns: dict[str, Any],
    merge_id: int,
    via: str,
) -> None:
    survivor, *others = records
    stored = {**survivor.party, **survivor.detail}
    before = {name: stored[name] for name in columns}
    after = {**columns, "merged": [each.id for each in others], "merge_id": merge_id}
    await record_change(
        session, access, "party", survivor.id, before=before, after=after, event="party.merged", via=via
    )


async def undo_merge(session: AsyncSession, access: Access, merge_id: int, *, via: str = "form") -> Undone:
    """Make them several again: what still belongs to the survivor goes back, what came later stays and is told.

    Raises:
        NotAllowed, NotFound (no such merge, or the survivor is outside this user's right to merge), CannotUndo.
    """
    access.require("party.merge")
    return await _undo(session, access, merge_id, condition(access, "party.merge", Party), via)


async def divide(session: AsyncSession, access: Access, merge_id: int, *, via: str = "form") -> Undone:
    """`undo_merge` as a part of a larger act, which has checked its own right: undoing a merge of leads.

    Raises:
        NotFound, CannotUndo.
    """
    return await _undo(session, access, merge_id, true(), via)


async def _undo(
    session: AsyncSession, access: Access, merge_id: int, allowed: ColumnElement[bool], via: str
) -> Undone:
    log = await log_to_undo(session, PARTY, merge_id, Party, allowed)
    ids = list(log.merged_ids)
    await lock_records(session, [log.survivor_id, *ids])
    survivor = await _still_survivor(session, log.survivor_id, ids)
    later = await later_rows(session, merge_id, log.survivor_id)
    await _revive(session, access, log, via)
    left = await give_back_values(session, access, log, survivor, via)
    left += await give_back_inn(session, log, survivor)
    left += await return_rows(session, merge_id, log.survivor_id, ids)
    left += later
    await undone(session, access, merge_id, left)
    after = {"merge_id": merge_id, "restored": ids}
    await publish(session, access, "party.merge_undone", "party", log.survivor_id, after=after)
    await notify(session, PARTIES_CHANNEL, "")
    return Undone(merge_id=merge_id, survivor_id=log.survivor_id, restored_ids=tuple(ids), left=tuple(left))


async def _still_survivor(session: AsyncSession, survivor_id: int, ids: Sequence[int]) -> Party:
    found = await session.scalars(
        select(Party).where(Party.id.in_([survivor_id, *ids])).execution_options(populate_existing=True)
    )
    parties = {party.id: party for party in found}
    survivor = parties[survivor_id]
    followed = all(each in parties and parties[each].merged_into_id == survivor_id for each in ids)
    if survivor.merged_into_id is not None or survivor.deleted_at is not None or not followed:
        raise MergedFurther(name=survivor.display_name)
    return survivor


async def _revive(session: AsyncSession, access: Access, log: MergeLog, via: str) -> None:
    for merged_id, kept in log.merged.items():
        alive = {"lifecycle": kept["lifecycle"], "merged_into_id": None}
        changed = {**alive, "version": Party.version + 1}
        await session.execute(update(Party).where(Party.id == int(merged_id)).values(changed))
        before = {"lifecycle": "merged", "merged_into_id": log.survivor_id}
        await record_change(session, access, "party", merged_id, before=before, after=alive, via=via)


async def recent_merges(session: AsyncSession, since: datetime) -> list[int]:
    """Merges after a moment that still hold; for `gather_strays`."""
    holds = (MergeLog.record_kind == PARTY, MergeLog.at > since, MergeLog.undone_at.is_(None))
    query = select(MergeLog.id).where(*holds)
    return list(await session.scalars(query.order_by(MergeLog.id)))


async def gather_strays(session: AsyncSession, merge_id: int) -> None:
    """What reached a merged party after all: the journal links calls without waiting for a merge that is under way."""
    log = await session.get_one(MergeLog, merge_id)
    await lock_records(session, [log.survivor_id, *log.merged_ids])
    ids = await session.scalars(
        select(Party.id).where(Party.id.in_(log.merged_ids), Party.merged_into_id == log.survivor_id)
    )
    for merged_id in ids.all():
        await absorb_rows(session, merge_id, log.survivor_id, merged_id)
