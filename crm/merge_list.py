"""Merges of parties, and of leads, as people see them: who went into whom, by whom, whether it can be undone, and what undoing left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import NotFound
from crm.merge_log import UNDO_DAYS
from crm.merge_rows import Left
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size
from crm.rights import Access, condition
from crm.schema.access import User
from crm.schema.leads import Lead
from crm.schema.merging import MergeLog
from crm.schema.parties import Party


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeInfo:
    """One merge. `merged`: (id, name) of those that went into the survivor; `left`: what stayed there when it was undone."""

    id: int
    survivor_id: int
    survivor_name: str
    merged: tuple[tuple[int, str], ...]
    at: datetime
    by: str | None
    undone_at: datetime | None
    undone_by: str | None
    can_undo: bool
    left: tuple[Left, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    """How records of a kind are found and called."""

    model: Any
    name: Any


_KINDS: Final = {
    "party": _Kind(Party, Party.display_name),
    "lead": _Kind(Lead, func.concat("№ ", Lead.number)),
}


async def list_merges(
    session: AsyncSession,
    access: Access,
    *,
    record_kind: str = "party",
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[MergeInfo]:
    """The latest first, of survivors that this user may merge.

    Raises:
        NotAllowed, Invalid (the cursor).
    """
    access.require("party.merge")
    size = page_size(limit)
    query = _merges(access, record_kind).order_by(MergeLog.at.desc(), MergeLog.id.desc())
    if cursor:
        at, merge_id = decode_cursor(cursor, str, int)
        before = tuple_(moment_of(at, cursor), merge_id or 0)
        query = query.where(tuple_(MergeLog.at, MergeLog.id) < before)
    rows = (await session.execute(query.limit(size + 1))).all()
    items = await _told(session, record_kind, rows[:size])
    last = items[-1] if len(rows) > size else None
    return Page(items=tuple(items), next=encode_cursor(last.at.isoformat(), last.id) if last else None)


async def read_merge(
    session: AsyncSession, access: Access, merge_id: int, *, record_kind: str = "party"
) -> MergeInfo:
    """One of them.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("party.merge")
    rows = (await session.execute(_merges(access, record_kind).where(MergeLog.id == merge_id))).all()
    if not rows:
        raise NotFound("merge", merge_id)
    return (await _told(session, record_kind, rows))[0]


async def merges_of(
    session: AsyncSession, access: Access, survivor_id: int, *, record_kind: str = "party"
) -> list[MergeInfo]:
    """What went into this record and can still be undone; nothing for whoever may not merge it."""
    if not access.may("party.merge"):
        return []
    query = _merges(access, record_kind).where(
        MergeLog.survivor_id == survivor_id, MergeLog.undone_at.is_(None)
    )
    query = query.where(MergeLog.at > _oldest()).order_by(MergeLog.at.desc())
    return await _told(session, record_kind, (await session.execute(query)).all())


def _merges(access: Access, record_kind: str) -> Select[Any]:
    kind, by, undone_by = _KINDS[record_kind], User.__table__.alias("by"), User.__table__.alias("undone_by")
    return (
        select(MergeLog, kind.name, by.c.name, undone_by.c.name)
        .join(kind.model, kind.model.id == MergeLog.survivor_id)
        .outerjoin(by, by.c.id == MergeLog.by_id)
        .outerjoin(undone_by, undone_by.c.id == MergeLog.undone_by_id)
        .where(MergeLog.record_kind == record_kind, condition(access, "party.merge", kind.model))
        .execution_options(populate_existing=True)
    )


async def _told(session: AsyncSession, record_kind: str, rows: Sequence[Any]) -> list[MergeInfo]:
    kind, ids = _KINDS[record_kind], {merged_id for log, *_ in rows for merged_id in log.merged_ids}
    found = await session.execute(select(kind.model.id, kind.name).where(kind.model.id.in_(ids)))
    names: dict[int, str] = dict(found.all())
    return [_info(names, *row) for row in rows]


def _info(
    names: dict[int, str], log: MergeLog, survivor: str, by: str | None, undone_by: str | None
) -> MergeInfo:
    return MergeInfo(
        id=log.id,
        survivor_id=log.survivor_id,
        survivor_name=survivor,
        merged=tuple((party_id, names.get(party_id, "—")) for party_id in log.merged_ids),
        at=log.at,
        by=by,
        undone_at=log.undone_at,
        undone_by=undone_by,
        can_undo=log.undone_at is None and log.at > _oldest(),
        left=tuple(Left(**each) for each in log.report or ()),
    )


def _oldest() -> datetime:
    return datetime.now(UTC) - timedelta(days=UNDO_DAYS)
