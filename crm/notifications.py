"""Notifications: told to one user, shown once over all their tabs, kept until they are seen and for a while after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import as_json, notify
from crm.errors import NotFound
from crm.paging import Page, decode_cursor, encode_cursor, page_size
from crm.rights import Access
from crm.schema.access import User
from crm.schema.views import Notification

NOTICE_CHANNEL: Final = "ringcard_notice"  # payload: "USER ID", of the user and of the notification
KEPT_FOR: Final = timedelta(days=90)
MOST_COUNTED: Final = 99  # the bell says "99+"
_SWEPT_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeInfo:
    """A notification. Its words are made from `kind` and `detail` in the reader's language."""

    id: int
    kind: str  # assigned, mentioned, meeting …
    record_kind: str | None
    record_id: str | None
    detail: Mapping[str, Any]
    actor_name: str | None  # None: the program itself
    created_at: datetime
    seen_at: datetime | None


async def tell_users(
    session: AsyncSession,
    access: Access,
    user_ids: Iterable[int],
    kind: str,
    *,
    record_kind: str | None = None,
    record_id: object = None,
    detail: Mapping[str, Any] | None = None,
    is_shown: bool = False,
) -> None:
    """Notify these users, except whoever does it: told to their pages when the transaction commits.

    Args:
        is_shown: the pages show it in a way of their own; the bell counts it only.
    """
    row = {
        "kind": kind,
        "record_kind": record_kind,
        "record_id": None if record_id is None else str(record_id),
        "detail": as_json(detail or {}),
        "actor_id": access.actor_id,
        "shown_at": func.now() if is_shown else None,
    }
    for user_id in sorted(set(user_ids) - {access.user_id}):
        await _sweep(session, user_id)
        added = insert(Notification).values(**row, user_id=user_id).returning(Notification.id)
        notice_id = (await session.execute(added)).scalar_one()
        await notify(session, NOTICE_CHANNEL, f"{user_id} {notice_id}")


async def tell_assigned(
    session: AsyncSession, access: Access, owner_id: int | None, party_id: int, name: str
) -> None:
    """Notify whoever has become responsible for a party, if anybody."""
    told = [] if owner_id is None else [owner_id]
    await tell_users(
        session, access, told, "assigned", record_kind="party", record_id=party_id, detail={"name": name}
    )


async def list_notices(
    session: AsyncSession,
    access: Access,
    *,
    only_unseen: bool = False,
    at: int | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[NoticeInfo]:
    """One's own, newest first; with `at` that one alone. Raises Invalid (the cursor)."""
    size = page_size(limit)
    query = _mine(access).order_by(Notification.id.desc()).limit(size + 1)
    if at is not None:
        query = query.where(Notification.id == at)
    if only_unseen:
        query = query.where(Notification.seen_at.is_(None))
    if cursor:
        (before,) = decode_cursor(cursor, int)
        query = query.where(Notification.id < (before or 0))
    found = [_info(row, name) for row, name in await session.execute(query)]
    more = encode_cursor(found[size - 1].id) if len(found) > size else None
    return Page(items=tuple(found[:size]), next=more)


async def count_unseen(session: AsyncSession, access: Access) -> int:
    """How many one has not seen, counted up to 100."""
    some = (
        select(Notification.id)
        .where(Notification.user_id == access.user_id, Notification.seen_at.is_(None))
        .limit(MOST_COUNTED + 1)
        .subquery()
    )
    return (await session.execute(select(func.count()).select_from(some))).scalar_one()


async def take_to_show(session: AsyncSession, access: Access, notice_id: int) -> NoticeInfo | None:
    """The notification, for the first of the user's tabs that asks; None for all others.

    Raises:
        NotFound: not one's own.
    """
    mine = (Notification.id == notice_id) & (Notification.user_id == access.user_id)
    taken = await session.scalar(
        update(Notification)
        .where(mine, Notification.shown_at.is_(None), Notification.seen_at.is_(None))
        .values(shown_at=func.now())
        .returning(Notification.id)
    )
    row = (await session.execute(_mine(access).where(Notification.id == notice_id))).first()
    if row is None:
        raise NotFound("notification", notice_id)
    return _info(*row) if taken is not None else None


async def mark_seen(session: AsyncSession, access: Access, notice_id: int | None = None) -> int:
    """Mark one as seen, or (None) all. Returns how many were not before; the other tabs are told."""
    query = update(Notification).where(Notification.user_id == access.user_id, Notification.seen_at.is_(None))
    if notice_id is not None:
        query = query.where(Notification.id == notice_id)
    seen = list(await session.scalars(query.values(seen_at=func.now()).returning(Notification.id)))
    if seen:
        await notify(session, NOTICE_CHANNEL, f"{access.user_id} 0")
    return len(seen)


async def settle_notices(
    session: AsyncSession,
    user_ids: Iterable[int],
    record_kind: str,
    record_id: object,
    *,
    kind: str | None = None,
) -> None:
    """What one of them did for all: the others need not look at it any more. `kind`: at notifications of this kind."""
    about = [Notification.record_kind == record_kind, Notification.record_id == str(record_id)]
    if kind is not None:
        about.append(Notification.kind == kind)
    unseen = (Notification.user_id.in_(sorted(set(user_ids))), Notification.seen_at.is_(None))
    settled = update(Notification).where(*unseen, *about).values(seen_at=func.now())
    for user_id in sorted(set(await session.scalars(settled.returning(Notification.user_id)))):
        await notify(session, NOTICE_CHANNEL, f"{user_id} 0")


def _mine(access: Access) -> Any:
    return (
        select(Notification, User.name)
        .outerjoin(User, User.id == Notification.actor_id)
        .where(Notification.user_id == access.user_id)
        .execution_options(populate_existing=True)
    )


def _info(row: Notification, actor_name: str | None) -> NoticeInfo:
    return NoticeInfo(
        id=row.id,
        kind=row.kind,
        record_kind=row.record_kind,
        record_id=row.record_id,
        detail=row.detail,
        actor_name=actor_name,
        created_at=row.created_at,
        seen_at=row.seen_at,
    )


async def _sweep(session: AsyncSession, user_id: int) -> None:
    """A user's oldest, once they are past their time: a few with every new one."""
    old = (
        select(Notification.id)
        .where(Notification.user_id == user_id, Notification.created_at < func.now() - KEPT_FOR)
        .order_by(Notification.id)
        .limit(_SWEPT_AT_ONCE)
    )
    await session.execute(delete(Notification).where(Notification.id.in_(old)))
