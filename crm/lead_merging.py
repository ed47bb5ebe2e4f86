"""Merging leads that are one enquiry, and undoing it within 30 days (crm-model 8), by the means of `crm.merging`.

Whoever went into another stays as a row: disqualified as its duplicate, with its own visits, and its address leads to the survivor. Whom
they are about is one as well: somebody who is known from a lead alone becomes the other's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import and_, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import publish, record_change
from crm.errors import NotFound
from crm.lead_errors import LeadIsOver
from crm.lead_merge_values import Choices, Row, united
from crm.lead_subjects import UNQUALIFIED
from crm.lead_values import LEAD, OPEN_STATES
from crm.merge_log import (
    CannotMerge,
    CannotUndo,
    MergedFurther,
    begin_log,
    end_log,
    ids_to_merge,
    log_to_undo,
    undone,
)
from crm.merge_references import LEAD_REFERENCES
from crm.merge_rows import Left, absorb_rows, later_rows, return_rows
from crm.merge_undo import put_values, to_give_back
from crm.merging import Merged, Undone, divide, lock_records, unite
from crm.rights import Access, command_access, condition
from crm.schema.leads import Lead
from crm.schema.merging import MergeLog
from crm.schema.parties import Party
from crm.schema.stages import Hold, Stage
from crm.schemes import DUPLICATE, scheme_of
from crm.stages import Move, clock, enter, locked, move, write

RIGHT: Final = "party.merge"
_SUBJECTS: Final = ("person_id", "organisation_id")
_BY_ITSELF: Final = frozenset({"id", "version", "updated_at", "object_kind", "subject_party_id"})
_TOGETHER: Final = (frozenset({"owner_id", "team_id"}),)
_ENDED: Final = (
    "disqualified_at", "disqualify_reason_id", "disqualify_note", "duplicate_of_id", "merged_into_id",
)  # fmt: skip


class DifferentClients(CannotMerge):
    template = "“%(one)s” and “%(other)s” are two clients. Merge these first, or leave the leads apart."


class AnotherIsOpen(CannotUndo):
    template = (
        "Meanwhile another lead of the same client came by itself and is open. Merge or end that one first."
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """One merge while it is carried out."""

    session: AsyncSession
    access: Access
    via: str

    @property
    def everywhere(self) -> Access:
        """Whoever may merge the leads also ends those that go in; the right was asked before."""
        return replace(self.access, scopes=command_access().scopes)


async def merge_leads(
    session: AsyncSession,
    access: Access,
    survivor_id: int,
    merged_ids: Sequence[int],
    choices: Choices | None = None,
    *,
    via: str = "form",
) -> Merged:
    """Make two to five open leads one, all or nothing.

    Args:
        choices: field (`crm.lead_merge_values.FIELDS`) → the lead whose value stands, None for nobody's. What is not named follows the
            survivor, then whoever has a value; needs are put together.

    Raises:
        NotAllowed, NotFound (one of them, or outside this user's rights to merge and to edit it), Invalid (too many, a choice),
        LeadIsOver (one is not open), DifferentClients.
    """
    access.require(RIGHT)
    ids = ids_to_merge(survivor_id, merged_ids)
    work = _Work(session, access, via)
    rows = await _locked(work, ids)
    columns = united(rows, choices or {})
    kept = {str(row["id"]): await _kept(session, row) for row in rows[1:]}
    merge_id = await begin_log(
        session,
        access,
        LEAD.name,
        ids,
        choices=choices or {},
        before=await _stored(session, survivor_id),
        merged=kept,
        via=via,
    )
    for row in rows[1:]:
        await _retire(work, row, survivor_id)
    united_parties = [await _one_subject(work, rows[0], row) for row in rows[1:]]
    for merged_id in ids[1:]:
        await absorb_rows(session, merge_id, survivor_id, merged_id, LEAD_REFERENCES)
    await _store(work, survivor_id, columns, merge_id, ids[1:])
    for merged_id, merges in zip(ids[1:], united_parties, strict=True):
        kept[str(merged_id)]["party_merges"] = merges
    await end_log(session, merge_id, await _stored(session, survivor_id), merged=kept)
    return Merged(merge_id=merge_id, survivor_id=survivor_id, merged_ids=ids[1:])


async def leads_to_merge(session: AsyncSession, access: Access, lead_ids: Sequence[int]) -> list[Row]:
    """The leads side by side, in this order, for whoever may merge them.

    Raises:
        NotAllowed, NotFound, LeadIsOver.
    """
    access.require(RIGHT)
    return await _rows(session, access, lead_ids)


async def _locked(work: _Work, ids: Sequence[int]) -> list[Row]:
    """Whom they are about, then the leads, each in the order of their ids (`crm.lead_locks`)."""
    subjects = await work.session.execute(
        select(Lead.person_id, Lead.organisation_id).where(Lead.id.in_(ids))
    )
    await lock_records(work.session, sorted({each for row in subjects for each in row if each is not None}))
    for lead_id in sorted(ids):
        await locked(work.session, work.access, LEAD, lead_id, right=RIGHT)
    return await _rows(work.session, work.access, ids)


async def _rows(session: AsyncSession, access: Access, ids: Sequence[int]) -> list[Row]:
    allowed = and_(condition(access, RIGHT, Lead), condition(access, LEAD.edit_right, Lead))
    found = await session.execute(
        select(Lead.__table__).where(Lead.id.in_(ids), Lead.deleted_at.is_(None), allowed)
    )
    rows = {row["id"]: dict(row) for row in found.mappings()}
    for lead_id in ids:
        if lead_id not in rows:
            raise NotFound("lead", lead_id)
        if rows[lead_id]["state"] not in OPEN_STATES:
            raise LeadIsOver
    return [rows[lead_id] for lead_id in ids]


async def _kept(session: AsyncSession, row: Row) -> dict[str, Any]:
    """What undoing must know of a lead that goes in."""
    paused = select(Hold.id).where(Hold.lead_id == row["id"], Hold.to_at.is_(None))
    return {"state": row["state"], "stage_id": row["stage_id"], "hold_id": await session.scalar(paused)}


async def _retire(work: _Work, row: Row, survivor_id: int) -> None:
    """Before anything of it moves: the database keeps one open automatic lead of a subject and scheme."""
    failure = (await scheme_of(work.session, row["scheme_id"])).failure
    ends = {"duplicate_of_id": survivor_id, "merged_into_id": survivor_id}
    asked = Move(to_stage_id=failure.id, reason=DUPLICATE, ends=ends, via="merge")
    await move(work.session, work.everywhere, LEAD, row["id"], asked)


async def _one_subject(work: _Work, survivor: Row, merged: Row) -> list[int]:
    """Person with person, organisation with organisation; the ids of the merges of parties that this took."""
    merges = []
    for column in _SUBJECTS:
        one, other = await _now(work.session, survivor["id"], column), merged[column]
        if one is None or other is None or one == other:
            continue
        parties = {
            each: await work.session.get_one(Party, each, populate_existing=True) for each in (one, other)
        }
        kept_id, gone_id = _who_stays(parties[one], parties[other])
        if parties[gone_id].merged_into_id is None:
            done = await unite(work.session, work.access, kept_id, [gone_id], via=work.via)
            merges.append(done.merge_id)
    return merges


def _who_stays(one: Party, other: Party) -> tuple[int, int]:
    """Whoever is known from a lead alone goes into the other. Raises DifferentClients."""
    if other.lifecycle in (UNQUALIFIED, "merged"):
        return one.id, other.id
    if one.lifecycle == UNQUALIFIED:
        return other.id, one.id
    raise DifferentClients(one=one.display_name, other=other.display_name)


async def _now(session: AsyncSession, lead_id: int, column: str) -> int | None:
    """Whom it is about by now: merging parties re-points it."""
    found: int | None = await session.scalar(select(getattr(Lead, column)).where(Lead.id == lead_id))
    return found


async def _store(
    work: _Work, survivor_id: int, columns: dict[str, Any], merge_id: int, merged_ids: Sequence[int]
) -> None:
    lead = await locked(work.session, work.everywhere, LEAD, survivor_id)
    for (
        column
    ) in _SUBJECTS:  # those of the survivor were re-pointed, if anything; a missing one is taken over
        party = await work.session.get(Party, columns[column] or 0)
        columns[column] = getattr(lead, column) or (party and (party.merged_into_id or party.id))
    await write(work.session, work.access, LEAD, lead, columns, via=work.via)
    after = {"merged": list(merged_ids), "merge_id": merge_id}
    await record_change(
        work.session,
        work.access,
        LEAD.name,
        survivor_id,
        before={},
        after=after,
        event="lead.merged",
        via=work.via,
    )


async def undo_lead_merge(
    session: AsyncSession, access: Access, merge_id: int, *, via: str = "form"
) -> Undone:
    """Make them several again: what still belongs to the survivor goes back, what came later stays and is told.

    Raises:
        NotAllowed, NotFound (no such merge, or the survivor is outside this user's right to merge), CannotUndo.
    """
    access.require(RIGHT)
    log = await log_to_undo(session, LEAD.name, merge_id, Lead, condition(access, RIGHT, Lead))
    ids, work = list(log.merged_ids), _Work(session, access, via)
    await _lock_again(work, log, ids)
    left = await later_rows(session, merge_id, log.survivor_id, LEAD_REFERENCES, own_table="lead")
    left += await _divide_parties(work, log)
    left += await _give_back_values(work, log)
    for merged_id in ids:
        await _revive(work, merged_id, log.merged[str(merged_id)])
    left += await return_rows(session, merge_id, log.survivor_id, ids)
    await undone(session, access, merge_id, left)
    after = {"merge_id": merge_id, "restored": ids}
    await publish(session, access, "lead.merge_undone", LEAD.name, log.survivor_id, after=after)
    return Undone(merge_id=merge_id, survivor_id=log.survivor_id, restored_ids=tuple(ids), left=tuple(left))


async def _lock_again(work: _Work, log: MergeLog, ids: Sequence[int]) -> None:
    """Raises MergedFurther where the survivor itself went into another lead, or to the bin."""
    every = [log.survivor_id, *ids]
    subjects = await work.session.execute(
        select(Lead.person_id, Lead.organisation_id).where(Lead.id.in_(every))
    )
    await lock_records(work.session, sorted({each for row in subjects for each in row if each is not None}))
    for lead_id in sorted(every):
        await locked(work.session, work.everywhere, LEAD, lead_id)
    rows = (await work.session.scalars(select(Lead).where(Lead.id.in_(every)))).all()
    leads = {row.id: row for row in rows}
    followed = all(leads[each].merged_into_id == log.survivor_id for each in ids)
    survivor = leads[log.survivor_id]
    if survivor.merged_into_id is not None or not followed:
        raise MergedFurther(name=f"№ {survivor.number}")


async def _revive(work: _Work, lead_id: int, kept: dict[str, Any]) -> None:
    """Open again where it stood, or where that stage's leads went; on pause if it was."""
    lead = await locked(work.session, work.everywhere, LEAD, lead_id)
    stage_id = await _stage_now(work.session, lead.scheme_id, kept["stage_id"])
    alive = {"state": kept["state"], "stage_id": stage_id, **dict.fromkeys(_ENDED)}
    try:
        async with work.session.begin_nested():
            await write(work.session, work.access, LEAD, lead, alive, event="lead.reopened", via=work.via)
    except IntegrityError as error:  # one open automatic lead of a subject and scheme
        raise AnotherIsOpen from error
    at = await clock(work.session)
    await enter(work.session, work.access, LEAD, lead_id, stage_id, at=at, via="merge")
    if kept["hold_id"] is not None:
        again = update(Hold).where(Hold.id == kept["hold_id"], Hold.lead_id == lead_id)
        await work.session.execute(again.values(to_at=None, ended_by_id=None))


async def _stage_now(session: AsyncSession, scheme_id: int, stage_id: int) -> int:
    scheme = await scheme_of(session, scheme_id)
    if scheme.stage(stage_id) is not None:
        return stage_id
    heir = await session.scalar(select(Stage.replaced_by_id).where(Stage.id == stage_id))
    return heir if heir is not None and scheme.stage(heir) is not None else scheme.first.id


async def _give_back_values(work: _Work, log: MergeLog) -> list[Left]:
    present = await _stored(work.session, log.survivor_id)
    back, stays = to_give_back(log, present, by_itself=_BY_ITSELF, together=_TOGETHER)
    for column in _SUBJECTS:  # dividing the parties gave it back; one that the survivor lacked goes now
        stays.discard(column)
        if log.before[column] is not None:
            back.pop(column, None)
    await put_values(work.session, "lead", "id", log.survivor_id, back)
    before = {name: present[name] for name in back}
    await record_change(
        work.session, work.access, LEAD.name, log.survivor_id, before=before, after=back, via=work.via
    )
    await work.session.execute(
        update(Lead).where(Lead.id == log.survivor_id).values(version=Lead.version + 1)
    )
    return [Left(reference="lead", count=len(stays), why="elsewhere")] if stays else []


async def _divide_parties(work: _Work, log: MergeLog) -> list[Left]:
    """Whom they are about, as far as those are still one by this merge alone."""
    together = 0
    merges = [each for kept in log.merged.values() for each in kept.get("party_merges", ())]
    for merge_id in reversed(merges):
        try:
            async with work.session.begin_nested():
                await divide(work.session, work.access, merge_id, via=work.via)
        except CannotUndo:
            together += 1
    return [Left(reference="party", count=together, why="elsewhere")] if together else []


async def _stored(session: AsyncSession, lead_id: int) -> dict[str, Any]:
    """The row as one JSON object."""
    query = text("select to_jsonb(l) from lead l where l.id = :id")
    row: dict[str, Any] = (await session.execute(query, {"id": lead_id})).scalar_one()
    return row
