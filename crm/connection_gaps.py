"""Seconds without events of a PBX, as the administration, the journal and the API show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from crm.calls_read import CallFilter, CallInfo
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size
from crm.rights import Access, Scope
from crm.schema.telephony import ConnectionGap, Extension, ExtensionAssignment, PbxConnection
from crm.telephony import connection

MOST_SHOWN: Final = 50  # on one page of the journal
SHORTEST_SHOWN: Final = timedelta(
    seconds=1
)  # in the journal; every one is kept and shown with its connection


@dataclass(frozen=True, slots=True, kw_only=True)
class GapInfo:
    """An interval without events; `to_at` is None while it lasts."""

    id: int
    connection_id: int
    connection_name: str
    from_at: datetime
    to_at: datetime | None
    why: str
    back_filled_by: str | None  # the kind of the second truth (`crm.second_truth`)
    back_filled_at: datetime | None
    back_filled_calls: int | None  # added or completed

    @property
    def seconds(self) -> float | None:
        return None if self.to_at is None else (self.to_at - self.from_at).total_seconds()


_GAPS: Final[Select[*tuple[Any, ...]]] = select(
    ConnectionGap.id,
    ConnectionGap.connection_id,
    PbxConnection.name.label("connection_name"),
    ConnectionGap.from_at,
    ConnectionGap.to_at,
    ConnectionGap.why,
    ConnectionGap.back_filled_by,
    ConnectionGap.back_filled_at,
    ConnectionGap.back_filled_calls,
).join(PbxConnection, PbxConnection.id == ConnectionGap.connection_id)


async def latest_gaps(session: AsyncSession, connection_id: int, limit: int) -> Sequence[GapInfo]:
    """The latest gaps of a connection, the newest first."""
    query = _GAPS.where(ConnectionGap.connection_id == connection_id)
    return await _read(session, query.order_by(ConnectionGap.from_at.desc()).limit(limit))


async def list_gaps(
    session: AsyncSession,
    access: Access,
    connection_id: int,
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[GapInfo]:
    """The gaps of a connection, the newest first.

    Raises:
        NotAllowed, NotFound (the connection), Invalid (the cursor).
    """
    await connection(session, access, connection_id)
    size = page_size(limit)
    query = _GAPS.where(ConnectionGap.connection_id == connection_id)
    if cursor:
        (text,) = decode_cursor(cursor, str)
        query = query.where(ConnectionGap.from_at < moment_of(text, cursor))
    found = await _read(session, query.order_by(ConnectionGap.from_at.desc()).limit(size + 1))
    last = found[size - 1] if len(found) > size else None
    return Page(items=tuple(found[:size]), next=encode_cursor(last.from_at.isoformat()) if last else None)


async def gaps_among(
    session: AsyncSession,
    access: Access,
    wanted: CallFilter,
    page: Page[CallInfo],
    *,
    cursor: str | None = None,
) -> Sequence[GapInfo]:
    """Gaps between the calls of a page of the journal, the newest first, within the right "call.read".

    Each stands where it began, on one page; the last page also has those that began before the period and reach into it.
    Whoever may not read everybody's calls is shown those of the connections at which they sit now.

    Raises:
        NotAllowed, Invalid (the cursor).
    """
    access.require("call.read")
    lasted = ConnectionGap.to_at - ConnectionGap.from_at
    query = _GAPS.where(PbxConnection.deleted_at.is_(None), func.coalesce(lasted > SHORTEST_SHOWN, true()))
    if access.scope("call.read") is not Scope.ALL:
        query = query.where(ConnectionGap.connection_id.in_(_own_connections(access)))
    if wanted.connection_id is not None:
        query = query.where(ConnectionGap.connection_id == wanted.connection_id)
    if wanted.since is not None:
        query = query.where(or_(ConnectionGap.to_at.is_(None), ConnectionGap.to_at > wanted.since))
    before = moment_of(decode_cursor(cursor, str, str)[0], cursor) if cursor else wanted.until
    if before is not None:
        query = query.where(ConnectionGap.from_at < before)
    if page.next is not None:
        query = query.where(ConnectionGap.from_at >= page.items[-1].started_at)
    return await _read(session, query.order_by(ConnectionGap.from_at.desc()).limit(MOST_SHOWN))


def _own_connections(access: Access) -> Select[int]:
    return (
        select(Extension.connection_id)
        .join(ExtensionAssignment, ExtensionAssignment.extension_id == Extension.id)
        .where(ExtensionAssignment.user_id == access.user_id, ExtensionAssignment.valid_to.is_(None))
    )


async def _read(session: AsyncSession, query: Select[*tuple[Any, ...]]) -> Sequence[GapInfo]:
    return [GapInfo(**row._mapping) for row in await session.execute(query)]
