"""All that happened with a party in one line of time: communications, comments, and what was changed in its card."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from crm.comments import CommentInfo, newest_comments
from crm.history import ChangeInfo, newest_changes
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, no_such_page, page_size, uuid_of
from crm.party_access import readable_party
from crm.rights import Access
from crm.schema.parties import Party
from crm.timeline import TimelineItem, lead_timeline, timeline

MOST: Final = 100  # entries of a page; each source is asked for one more
_FIRST_ID: Final = UUID(int=0)
_LAST_ID: Final = UUID(int=2**128 - 1)


class Source(IntEnum):
    """Where an entry comes from; of one moment, the greater stands first."""

    CHANGE = 0
    COMMENT = 1
    COMMUNICATION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryEntry:
    """One entry; exactly one of the three is there."""

    at: datetime
    source: Source
    id: UUID  # of a change: none, all zeros
    communication: TimelineItem | None = None
    comment: CommentInfo | None = None
    change: ChangeInfo | None = None

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
    size, before = min(page_size(limit), MOST), _key_in(cursor)
    found: list[StoryEntry] = []
    for source in sources:
        found += await _READ[source](session, access, party, before, size + 1)
    found.sort(key=lambda entry: entry.key, reverse=True)
    more = _encode(found[size - 1]) if len(found) > size else None
    return Page(items=tuple(found[:size]), next=more)


async def lead_story(
    session: AsyncSession, access: Access, lead_id: int, *, cursor: str | None = None
) -> Page[StoryEntry]:
    """A page of what is known of a lead, newest first: its calls and what was logged by hand."""
    page = await lead_timeline(session, access, lead_id, cursor=cursor)
    return Page(items=tuple(map(_of_communication, page.items)), next=page.next)


def _of_communication(item: TimelineItem) -> StoryEntry:
    return StoryEntry(at=item.started_at, source=Source.COMMUNICATION, id=item.id, communication=item)


async def _communications(
    session: AsyncSession, access: Access, party: Party, before: Key | None, most: int
) -> list[StoryEntry]:
    bound = _bound(before, Source.COMMUNICATION)
    cursor = None if bound is None else encode_cursor(bound[0].isoformat(), str(bound[1]))
    page = await timeline(session, access, party.id, cursor=cursor, limit=most)
    return [_of_communication(item) for item in page.items]


async def _comments(
    session: AsyncSession, access: Access, party: Party, before: Key | None, most: int
) -> list[StoryEntry]:
    found = await newest_comments(session, party.id, _bound(before, Source.COMMENT), most)
    return [StoryEntry(at=each.created_at, source=Source.COMMENT, id=each.id, comment=each) for each in found]


async def _changes(
    session: AsyncSession, access: Access, party: Party, before: Key | None, most: int
) -> list[StoryEntry]:
    bound = None if before is None else (before[0], before[1] > Source.CHANGE)
    found = await newest_changes(session, access, party, bound, most)
    return [StoryEntry(at=each.at, source=Source.CHANGE, id=_FIRST_ID, change=each) for each in found]


_READ: Final = {
    Source.COMMUNICATION: _communications,
    Source.COMMENT: _comments,
    Source.CHANGE: _changes,
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
