"""All that happened with a party, or a lead, in one line of time: communications, comments, tasks, changes of its card."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from crm.comments import CommentInfo, newest_comments
from crm.history import ChangeInfo, newest_changes
from crm.lead_access import readable_lead
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, no_such_page, page_size, uuid_of
from crm.party_access import readable_party
from crm.rights import Access
from crm.schema.leads import Lead
from crm.schema.parties import Party
from crm.task_lists import TaskRow, newest_tasks
from crm.timeline import TimelineItem, lead_timeline, timeline

MOST: Final = 100  # entries of a page; each source is asked for one more
_FIRST_ID: Final = UUID(int=0)
_LAST_ID: Final = UUID(int=2**128 - 1)


class Source(IntEnum):
    """Where an entry comes from; of one moment, the greater stands first."""

    CHANGE = 0
    COMMENT = 1
    COMMUNICATION = 2
    TASK = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryEntry:
    """One entry; exactly one of the four is there."""

    at: datetime
    source: Source
    id: UUID  # of a change: none, all zeros
    communication: TimelineItem | None = None
    comment: CommentInfo | None = None
    change: ChangeInfo | None = None
    task: TaskRow | None = None  # where it was set, as it stands now

    @property
    def key(self) -> tuple[datetime, int, UUID]:
        return self.at, self.source, self.id


Key = tuple[datetime, int, UUID]
ALL: Final = frozenset(Source)


async def party_story(
    session: AsyncSession,
    access: Access,
    party_id: int,
    *,
    sources: frozenset[Source] = ALL,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[StoryEntry]:
    """A page of it, newest first; changes as far as one may read the journal.

    Raises:
        NotFound, Invalid (the cursor).
    """
    party = await readable_party(session, access, party_id)
    return await _page(session, access, party, sources, cursor, limit)


async def _page(
    session: AsyncSession,
    access: Access,
    record: Party | Lead,
    sources: frozenset[Source],
    cursor: str | None,
    limit: int | None = None,
) -> Page[StoryEntry]:
    size, before = min(page_size(limit), MOST), _key_in(cursor)
    found: list[StoryEntry] = []
    for source in sources:
        found += await _READ[source](session, access, record, before, size + 1)
    found.sort(key=lambda entry: entry.key, reverse=True)
    more = _encode(found[size - 1]) if len(found) > size else None
    return Page(items=tuple(found[:size]), next=more)


async def lead_story(
    session: AsyncSession, access: Access, lead_id: int, *, cursor: str | None = None
) -> Page[StoryEntry]:
    """A page of it, newest first; changes as far as one may read the journal. Raises NotFound, Invalid (the cursor)."""
    return await _page(session, access, await readable_lead(session, access, lead_id), ALL, cursor)


def _of_communication(item: TimelineItem) -> StoryEntry:
    return StoryEntry(at=item.started_at, source=Source.COMMUNICATION, id=item.id, communication=item)


async def _communications(
    session: AsyncSession, access: Access, record: Party | Lead, before: Key | None, most: int
) -> list[StoryEntry]:
    bound = _bound(before, Source.COMMUNICATION)
    cursor = None if bound is None else encode_cursor(bound[0].isoformat(), str(bound[1]))
    read = lead_timeline if isinstance(record, Lead) else timeline
    page = await read(session, access, record.id, cursor=cursor, limit=most)
    return [_of_communication(item) for item in page.items]


async def _comments(
    session: AsyncSession, access: Access, record: Party | Lead, before: Key | None, most: int
) -> list[StoryEntry]:
    found = await newest_comments(session, record, _bound(before, Source.COMMENT), most)
    return [StoryEntry(at=each.created_at, source=Source.COMMENT, id=each.id, comment=each) for each in found]


async def _changes(
    session: AsyncSession, access: Access, record: Party | Lead, before: Key | None, most: int
) -> list[StoryEntry]:
    bound = None if before is None else (before[0], before[1] > Source.CHANGE)
    found = await newest_changes(session, access, record, bound, most)
    return [StoryEntry(at=each.at, source=Source.CHANGE, id=_FIRST_ID, change=each) for each in found]


async def _tasks(
    session: AsyncSession, access: Access, record: Party | Lead, before: Key | None, most: int
) -> list[StoryEntry]:
    """Within one's right to tasks, which have a scope of their own (crm-model 11)."""
    bound = _bound(before, Source.TASK)
    of_record = {"lead_id" if isinstance(record, Lead) else "party_id": record.id}
    found = await newest_tasks(session, access, bound, most, **of_record)
    return list(map(_of_task, found))


def _of_task(task: TaskRow) -> StoryEntry:
    return StoryEntry(at=task.created_at, source=Source.TASK, id=UUID(int=task.id), task=task)


_READ: Final = {
    Source.COMMUNICATION: _communications,
    Source.COMMENT: _comments,
    Source.CHANGE: _changes,
    Source.TASK: _tasks,
}


def _encode(entry: StoryEntry) -> str:
    return encode_cursor(entry.at.isoformat(), int(entry.source), str(entry.id))


def _key_in(cursor: str | None) -> Key | None:
    if not cursor:
        return None
    values: list[Any] = decode_cursor(cursor, str, int, str)
    at, source, id_ = values
    if source not in ALL:
        raise no_such_page(cursor)
    return moment_of(at, cursor), source, uuid_of(id_, cursor)


def _bound(before: Key | None, source: Source) -> tuple[datetime, UUID] | None:
    """Where a source goes on that is ordered by its moment and id, both less than this."""
    if before is None:
        return None
    at, last_source, last_id = before
    if last_source == source:
        return at, last_id
    return at, _LAST_ID if last_source > source else _FIRST_ID
