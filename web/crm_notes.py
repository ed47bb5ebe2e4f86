"""The comments of calls in `crm`, as the web asks for them (`web.notes.NoteStore`)."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Conflict, NotFound
from crm.notes import own_note, save_note
from crm.rights import Access
from web.notes import StoredNote


class CrmNotes:
    """Fits the store of the database to the port."""

    async def read(
        self, session: AsyncSession, access: Access, call_id: UUID, *, is_present: bool
    ) -> StoredNote | None:
        note = await own_note(session, access, call_id)  # one's own, which nobody else can have written
        return StoredNote(text=note.text, version=note.version)

    async def save(
        self,
        session: AsyncSession,
        access: Access,
        call_id: UUID,
        text: str,
        version: int,
        *,
        is_present: bool,
    ) -> StoredNote | None:
        try:
            saved = await save_note(session, access, call_id, text, version=version, is_present=is_present)
        except NotFound:
            return None
        except Conflict as error:
            return StoredNote(text=str(error.fields["text"][0]), version=error.version)
        return StoredNote(text=text, version=saved)
