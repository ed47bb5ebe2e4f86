"""The log of merges, of parties and leads alike: what may be merged, what may be undone, and who is responsible for what is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import as_json
from crm.errors import CrmError, Invalid, NotFound
from crm.merge_rows import Left
from crm.rights import Access
from crm.schema.merging import MergeLog

MOST_AT_ONCE: Final = 5
UNDO_DAYS: Final = 30


class CannotMerge(CrmError):
    """These records are not, or no longer, to be made one."""


class CannotUndo(CrmError):
    """This merge stays as it is."""


class UndoneAlready(CannotUndo):
    template = "This merge was undone already."


class TooLate(CannotUndo):
    template = "A merge can be undone for %(days)d days; this one is from %(day)s."


class MergedFurther(CannotUndo):
    template = "“%(name)s” was itself merged or deleted later. Undo that first."


def ids_to_merge(survivor_id: int, merged_ids: Sequence[int]) -> tuple[int, ...]:
    """The survivor and those that go into it, each once. Raises Invalid: fewer than two, more than five."""
    ids = (survivor_id, *dict.fromkeys(merged_ids))
    if not 2 <= len(ids) <= MOST_AT_ONCE or survivor_id in ids[1:]:
        raise Invalid("merged_ids", len(ids), "Two to five different records can be merged at once.")
    return ids


async def begin_log(
    session: AsyncSession,
    access: Access,
    record_kind: str,
    ids: Sequence[int],
    *,
    choices: Mapping[str, int | None],
    before: Mapping[str, Any],
    merged: Mapping[str, Any],
    via: str,
) -> int:
    """The row that undoing reads. `before`: the survivor's row; `merged`: id → what the merge changes of it, as it was."""
    row = {
        "record_kind": record_kind,
        "survivor_id": ids[0],
        "merged_ids": list(ids[1:]),
        "choices": dict(choices),
        "before": before,
        "after": before,
        "merged": merged,
        "via": via,
        "by_id": access.actor_id,
    }
    return (await session.execute(insert(MergeLog).values(row).returning(MergeLog.id))).scalar_one()


async def end_log(session: AsyncSession, merge_id: int, after: Mapping[str, Any], **more: Any) -> None:
    """The survivor's row as the merge left it: what somebody changes later stays when the merge is undone."""
    await session.execute(update(MergeLog).where(MergeLog.id == merge_id).values(after=after, **more))


async def log_to_undo(
    session: AsyncSession, record_kind: str, merge_id: int, model: Any, allowed: ColumnElement[bool]
) -> MergeLog:
    """The merge, locked.

    Args:
        model, allowed: the table of its records, and which survivors the user may merge.

    Raises:
        NotFound (no such merge, or not within the right), UndoneAlready, TooLate.
    """
    log = await session.scalar(
        select(MergeLog)
        .join(model, model.id == MergeLog.survivor_id)
        .where(MergeLog.id == merge_id, MergeLog.record_kind == record_kind, allowed)
        .with_for_update(of=MergeLog)
        .execution_options(populate_existing=True)
    )
    if log is None:
        raise NotFound("merge", merge_id)
    if log.undone_at is not None:
        raise UndoneAlready
    if log.at < datetime.now(UTC) - timedelta(days=UNDO_DAYS):
        raise TooLate(days=UNDO_DAYS, day=f"{log.at:%d.%m.%Y}")
    return log


async def undone(session: AsyncSession, access: Access, merge_id: int, left: Sequence[Left]) -> None:
    """Write down who undid it, and what stayed."""
    report = [as_json({"reference": each.reference, "count": each.count, "why": each.why}) for each in left]
    done = {"undone_at": datetime.now(UTC), "undone_by_id": access.actor_id, "report": report}
    await session.execute(update(MergeLog).where(MergeLog.id == merge_id).values(done))
