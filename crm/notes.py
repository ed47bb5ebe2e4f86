"""What an agent types during a call: saved every two seconds, never lost, never silently overwritten.

A note may come before the journal has stored its call: both ids are made by the program, and nothing ties the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Conflict, Invalid, NotFound
from crm.rights import Access, condition, narrow
from crm.schema.access import User
from crm.schema.base import uuid7
from crm.schema.communications import Call, CallNote

MAX_CHARACTERS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One agent's note on one call."""

    call_id: UUID
    user_id: int
    user_name: str
    text: str
    version: int  # to send with the next saving; 0 before the first
    updated_at: datetime | None


async def save_note(
    session: AsyncSession,
    access: Access,
    call_id: UUID,
    text: str,
    *,
    version: int,
    is_present: bool = False,
    at: datetime | None = None,
) -> int:
    """Save the user's own note. Returns its new version; the same text again is no change.

    Args:
        version: of the note that was edited, 0 for a first one.
        is_present: the desk knows that the call is at this user now, so the journal need not know it yet.

    Raises:
        NotAllowed, NotFound (a call this user took no part in), Invalid (too long),
        Conflict (another tab saved meanwhile: `fields["text"]` has both).
    """
    access.require("call.notes")
    if len(text) > MAX_CHARACTERS or "\0" in text:
        why = "A note has at most %(most)d characters."
        raise Invalid("text", text[:50], why, most=MAX_CHARACTERS)
    if not is_present:
        await _check_took_part(session, access, call_id)
    now = at or datetime.now(UTC)
    saved = await _write(session, access, call_id, text, version, now)
    if saved is not None:
        return saved
    stored = await own_note(session, access, call_id)
    if stored.text == text:
        return stored.version
    raise Conflict({"text": (stored.text, text)}, stored.version, access.name)


async def _write(
    session: AsyncSession, access: Access, call_id: UUID, text: str, version: int, now: datetime
) -> int | None:
    """The new version; None if somebody saved another one meanwhile."""
    if version == 0:
        row = {
            "id": uuid7(),
            "call_id": call_id,
            "user_id": access.user_id,
            "text": text,
            "created_at": now,
            "updated_at": now,
        }
        new = insert(CallNote).values(row).on_conflict_do_nothing(index_elements=["call_id", "user_id"])
        return await session.scalar(new.returning(CallNote.version))
    mine = (CallNote.call_id == call_id) & (CallNote.user_id == access.user_id)
    changed = (
        update(CallNote)
        .where(mine, CallNote.version == version)
        .values(text=text, version=version + 1, updated_at=now)
        .returning(CallNote.version)
    )
    return await session.scalar(changed)


async def own_note(session: AsyncSession, access: Access, call_id: UUID) -> Note:
    """The user's own note, an empty one of version 0 if there is none: what a reloaded window shows."""
    row = await session.scalar(
        select(CallNote)
        .where(CallNote.call_id == call_id, CallNote.user_id == access.user_id)
        .execution_options(populate_existing=True)
    )
    return Note(
        call_id=call_id,
        user_id=access.user_id,
        user_name=access.name,
        text=row.text if row else "",
        version=row.version if row else 0,
        updated_at=row.updated_at if row else None,
    )


async def notes_of_call(session: AsyncSession, access: Access, call_id: UUID) -> list[Note]:
    """Everybody's notes on a call, for those who took part or may read the notes of others; oldest first."""
    if not access.may("call.notes"):
        return []
    readable = select(Call.id).where(Call.id == call_id, condition(access, "call.notes", Call)).exists()
    rows = await session.execute(
        select(CallNote, User.name)
        .join(User, User.id == CallNote.user_id)
        .where(CallNote.call_id == call_id, CallNote.text != "")
        .where(readable | (CallNote.user_id == access.user_id))
        .order_by(CallNote.created_at, CallNote.id)
        .execution_options(populate_existing=True)
    )
    return [
        Note(
            call_id=call_id,
            user_id=note.user_id,
            user_name=name,
            text=note.text,
            version=note.version,
            updated_at=note.updated_at,
        )
        for note, name in rows
    ]


async def _check_took_part(session: AsyncSession, access: Access, call_id: UUID) -> None:
    known = narrow(select(Call.id).where(Call.id == call_id), access, "call.notes", Call)
    if await session.scalar(known) is None:
        raise NotFound("call", call_id)
