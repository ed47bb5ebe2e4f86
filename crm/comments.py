"""Comments on a party or a lead: colleagues are mentioned as @login, the important ones pinned, one's own edited and removed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.based_changes import Base
from crm.changes import last_author, record_change
from crm.errors import Conflict, Invalid, NotFound
from crm.lead_access import readable_lead
from crm.notifications import tell_users
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size, uuid_of
from crm.party_access import readable_party
from crm.rights import Access, access_of, condition
from crm.schema.access import AccessGrant, User
from crm.schema.base import uuid7
from crm.schema.communications import Comment
from crm.schema.leads import Lead
from crm.schema.meetings import CommentMention
from crm.schema.parties import Party

MOST_CHARACTERS: Final = 10_000
MOST_MENTIONS: Final = 20
MOST_PINNED: Final = 5
ACCESS_AFTER_MENTION: Final = timedelta(days=7)
EXCERPT: Final = 200
Record = Party | Lead
_MENTION: Final = re.compile(r"(?<![\w.@-])@([\w][\w.-]{0,99})")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentInfo:
    """A comment as the card shows it."""

    id: UUID
    party_id: int | None
    lead_id: int | None  # one of both
    author_id: int
    author_name: str
    text: str
    created_at: datetime
    edited_at: datetime | None
    is_pinned: bool
    version: int  # to send with the next saving


async def add_comment(
    session: AsyncSession, access: Access, party_id: int, text: str, *, via: str = "form"
) -> UUID:
    """A comment of whoever may read the card. Those mentioned are notified, and may read the card for a week.

    Raises:
        NotFound, Invalid (nothing typed, or too much).
    """
    access.require("party.read")
    text = _checked(text)
    return await _add(session, access, await readable_party(session, access, party_id), text, via)


async def add_lead_comment(
    session: AsyncSession, access: Access, lead_id: int, text: str, *, via: str = "form"
) -> UUID:
    """A comment of whoever may read the lead. Those mentioned who may read it as well are notified.

    Raises:
        NotFound, Invalid (nothing typed, or too much).
    """
    access.require("lead.read")
    text = _checked(text)
    return await _add(session, access, await readable_lead(session, access, lead_id), text, via)


async def _add(session: AsyncSession, access: Access, record: Record, text: str, via: str) -> UUID:
    comment_id = uuid7()
    row = {_column_of(record).key: record.id, "author_id": access.user_id, "text": text}
    await session.execute(insert(Comment).values(id=comment_id, **row))
    await record_change(session, access, "comment", comment_id, after=row, via=via)
    await _mention(session, access, record, comment_id, text)
    return comment_id


async def edit_comment(
    session: AsyncSession, access: Access, comment_id: UUID, text: str, *, version: int, via: str = "form"
) -> int:
    """One's own comment in other words; who is mentioned now and was not before is notified. Returns its version.

    Raises:
        NotFound (unknown, or somebody else's), Invalid, Conflict (saved in another tab meanwhile).
    """
    text = _checked(text)
    comment = await _locked(session, comment_id)
    if comment.author_id != access.user_id:
        raise NotFound("comment", comment_id)
    record = await _record_of(session, access, comment)
    if comment.text == text:
        return comment.version
    if comment.version != version:
        raise Conflict({"text": (comment.text, text)}, comment.version, access.name)
    before, after = {"text": comment.text}, {"text": text}
    await record_change(session, access, "comment", comment_id, before=before, after=after, via=via)
    await session.execute(
        update(Comment)
        .where(Comment.id == comment_id)
        .values(text=text, edited_at=func.now(), version=version + 1)
    )
    await _mention(session, access, record, comment_id, text)
    return version + 1


async def remove_comment(
    session: AsyncSession, access: Access, comment_id: UUID, *, version: int | None = None, via: str = "form"
) -> None:
    """Take one's own comment away; what it said stays in the journal of changes alone.

    Args:
        version: the one that was shown; None: whatever it says now.

    Raises:
        NotFound (unknown, removed already, or somebody else's), Conflict (changed in another tab meanwhile).
    """
    comment = await _locked(session, comment_id)
    if comment.author_id != access.user_id:
        raise NotFound("comment", comment_id)
    record = await _record_of(session, access, comment)
    if version not in (None, comment.version):
        raise Conflict({"text": (comment.text, None)}, comment.version, access.name)
    before = {_column_of(record).key: record.id, "author_id": comment.author_id, "text": comment.text}
    await record_change(session, access, "comment", comment_id, before=before, after=None, via=via)
    removed = {"removed_at": func.now(), "pinned_at": None, "version": comment.version + 1}
    await session.execute(update(Comment).where(Comment.id == comment_id).values(removed))


async def pin_comment(
    session: AsyncSession,
    access: Access,
    comment_id: UUID,
    *,
    is_pinned: bool,
    base: Base | None = None,
    via: str = "form",
) -> None:
    """Keep it above the others, or no longer: its author, or whoever may edit the record. Its version, that of its words, stays.

    Args:
        base: how it was read: its version, and whether it was pinned (1 or 0) if they know; None: however it is.

    Raises:
        NotFound, Invalid (five are pinned already), Conflict (its words changed, or somebody pinned or unpinned it meanwhile).
    """
    comment = await _locked(session, comment_id)
    record = await _record_of(session, access, comment)
    right = "lead.edit" if isinstance(record, Lead) else "party.edit"
    may_edit = access.covers(right, users=[record.owner_id], teams=[record.team_id])
    if comment.author_id != access.user_id and not may_edit:
        raise NotFound("comment", comment_id)
    was_pinned = comment.pinned_at is not None
    if was_pinned == is_pinned:
        return
    if base is not None and (base.version != comment.version or base.change not in (None, int(was_pinned))):
        stands = {"is_pinned": (was_pinned, is_pinned)}
        raise Conflict(stands, comment.version, await last_author(session, "comment", comment_id))
    if is_pinned and len(await _pinned(session, record)) >= MOST_PINNED:
        raise Invalid(
            "pinned", "", "At most %(most)d comments are pinned. Unpin one first.", most=MOST_PINNED
        )
    before, after = {"is_pinned": not is_pinned}, {"is_pinned": is_pinned}
    await record_change(session, access, "comment", comment_id, before=before, after=after, via=via)
    pinned_at = func.now() if is_pinned else None
    await session.execute(update(Comment).where(Comment.id == comment_id).values(pinned_at=pinned_at))


async def comments_of(
    session: AsyncSession,
    access: Access,
    party_id: int,
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[CommentInfo]:
    """A party's comments, newest first. Raises NotFound, Invalid (the cursor)."""
    return await _page(session, await readable_party(session, access, party_id), cursor, limit)


async def lead_comments_of(
    session: AsyncSession,
    access: Access,
    lead_id: int,
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[CommentInfo]:
    """The same of a lead. Raises NotFound, Invalid (the cursor)."""
    return await _page(session, await readable_lead(session, access, lead_id), cursor, limit)


async def _page(
    session: AsyncSession, record: Record, cursor: str | None, limit: int | None
) -> Page[CommentInfo]:
    size = page_size(limit)
    before = None
    if cursor:
        created_at, comment_id = decode_cursor(cursor, str, str)
        before = moment_of(created_at, cursor), uuid_of(comment_id, cursor)
    items = await newest_comments(session, record, before, size + 1)
    last = items[size - 1] if len(items) > size else None
    more = encode_cursor(last.created_at.isoformat(), str(last.id)) if last else None
    return Page(items=tuple(items[:size]), next=more)


async def newest_comments(
    session: AsyncSession, record: Record, before: tuple[datetime, UUID] | None, most: int
) -> list[CommentInfo]:
    """For whoever has checked the right to the record."""
    query = _shown(record).order_by(Comment.created_at.desc(), Comment.id.desc()).limit(most)
    if before is not None:
        query = query.where(tuple_(Comment.created_at, Comment.id) < tuple_(*before))
    return [_info(*row) for row in await session.execute(query)]


async def pinned_comments(session: AsyncSession, access: Access, party_id: int) -> list[CommentInfo]:
    """The pinned ones, the latest pinned first. Raises NotFound."""
    return await _pinned(session, await readable_party(session, access, party_id))


async def pinned_lead_comments(session: AsyncSession, access: Access, lead_id: int) -> list[CommentInfo]:
    """The same of a lead. Raises NotFound."""
    return await _pinned(session, await readable_lead(session, access, lead_id))


async def _pinned(session: AsyncSession, record: Record) -> list[CommentInfo]:
    query = _shown(record).where(Comment.pinned_at.is_not(None)).order_by(Comment.pinned_at.desc())
    return [_info(*row) for row in await session.execute(query.limit(MOST_PINNED))]


async def comment(session: AsyncSession, access: Access, comment_id: UUID) -> CommentInfo:
    """One comment. Raises NotFound: unknown, or on a record one may not read."""
    query = select(Comment).where(Comment.id == comment_id, Comment.removed_at.is_(None))
    row = await session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise NotFound("comment", comment_id)
    record = await _record_of(session, access, row)
    return _info(*(await session.execute(_shown(record).where(Comment.id == comment_id))).one())


def logins_in(text: str) -> list[str]:
    """The logins that a text mentions, each once, in lower case; a dot that ends a sentence is not part of one."""
    found = (match.group(1).rstrip(".-").lower() for match in _MENTION.finditer(text))
    return list(dict.fromkeys(login for login in found if login))[:MOST_MENTIONS]


def _shown(record: Record) -> Any:
    return (
        select(Comment, User.name)
        .join(User, User.id == Comment.author_id)
        .where(_column_of(record) == record.id, Comment.removed_at.is_(None))
        .execution_options(populate_existing=True)
    )


def _info(row: Comment, author_name: str) -> CommentInfo:
    return CommentInfo(
        id=row.id,
        party_id=row.party_id,
        lead_id=row.lead_id,
        author_id=row.author_id,
        author_name=author_name,
        text=row.text,
        created_at=row.created_at,
        edited_at=row.edited_at,
        is_pinned=row.pinned_at is not None,
        version=row.version,
    )


def _column_of(record: Record) -> Any:
    return Comment.lead_id if isinstance(record, Lead) else Comment.party_id


async def _record_of(session: AsyncSession, access: Access, row: Comment) -> Record:
    """What it stands on. Raises NotFound: one may not read that."""
    if row.lead_id is not None:
        return await readable_lead(session, access, row.lead_id)
    return await readable_party(session, access, row.party_id or 0)


async def _locked(session: AsyncSession, comment_id: UUID) -> Comment:
    query = select(Comment).where(Comment.id == comment_id, Comment.removed_at.is_(None)).with_for_update()
    row = await session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise NotFound("comment", comment_id)
    return row


async def _mention(
    session: AsyncSession, access: Access, record: Record, comment_id: UUID, text: str
) -> None:
    logins = logins_in(text)
    if not logins:
        return
    known = select(User.id).where(func.lower(User.login).in_(logins), User.status == "active")
    users = set(await session.scalars(known)) - {access.user_id}
    before = select(CommentMention.user_id).where(CommentMention.comment_id == comment_id)
    new = sorted(users - set(await session.scalars(before)))
    if not new:
        return
    rows = [{"comment_id": comment_id, "user_id": user_id} for user_id in new]
    await session.execute(insert(CommentMention), rows)
    if isinstance(record, Lead):
        name, kind, new = f"№ {record.number}", "lead", await _who_read(session, record, new)
    else:
        name, kind = record.display_name, "party"
        await _let_read(session, access, record, new)
    detail = {"name": name, "text": text[:EXCERPT]}
    told: dict[str, Any] = {"record_kind": kind, "record_id": record.id}
    await tell_users(session, access, new, "mentioned", detail=detail, **told)


async def _who_read(session: AsyncSession, lead: Lead, users: Iterable[int]) -> list[int]:
    """Those of them who may read the lead by their own right: a mention gives none."""
    found = []
    for user_id in users:
        access = await access_of(session, user_id)
        if access is not None and access.may("lead.read") and await _reads(session, access, lead):
            found.append(user_id)
    return found


async def _reads(session: AsyncSession, access: Access, lead: Lead) -> bool:
    query = select(Lead.id).where(Lead.id == lead.id, condition(access, "lead.read", Lead))
    return await session.scalar(query) is not None


async def _let_read(session: AsyncSession, access: Access, party: Party, users: Iterable[int]) -> None:
    """Only who may read the party by their own right, not by a call's or a mention's, passes that on."""
    if not access.covers("party.read", users=[party.owner_id], teams=[party.team_id]):
        return
    until = datetime.now(UTC) + ACCESS_AFTER_MENTION
    rows: Sequence[dict[str, Any]] = [
        {"user_id": user_id, "party_id": party.id, "reason": "mention", "until": until} for user_id in users
    ]
    new = upsert(AccessGrant).values(rows)
    key = ["user_id", "party_id", "reason", "call_id"]
    await session.execute(new.on_conflict_do_update(index_elements=key, set_={"until": until}))


def _checked(text: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    if not text or len(text) > MOST_CHARACTERS or "\0" in text:
        why = "Write a comment of at most %(most)d characters."
        raise Invalid("text", text[:50], why, most=MOST_CHARACTERS)
    return text
