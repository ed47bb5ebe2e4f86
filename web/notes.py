"""The comment that an agent types during a call: stored every two seconds, shown in all tabs, back after a crash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

import msgspec
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.rights import Access
from web.keys import ACCESS, DESK, LIVE, NOTES, NOW, SESSIONS
from web.pops import CALL_ID, call_id_of
from web.refusals import problem
from web.routes import RouteKind, Routes

routes = Routes(kind=RouteKind.API)
MOST_CHARACTERS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNote:
    """A comment as stored; version 0 and no text: nothing was saved yet."""

    text: str
    version: int


class NoteStore(Protocol):
    """Comments of calls, as the web needs them. A note may be saved before the journal has written its call."""

    async def read(
        self, session: AsyncSession, access: Access, call_id: UUID, *, is_present: bool
    ) -> StoredNote | None:
        """This user's note; None if the call is not theirs. `is_present`: the desk knows them in this call."""
        ...

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
        """Store the text over version `version`.

        Returns what is stored now; its version is not `version + 1` when another tab was faster. None as in `read`.
        """
        ...


class Typed(msgspec.Struct):
    """What the window sends: the whole text, and the version it was typed over."""

    text: str
    version: int


_typed = msgspec.json.Decoder(Typed)


@routes.get(rf"/calls/{CALL_ID}/note", right="call.notes")
async def show_note(request: web.Request) -> web.Response:
    call_id, access = call_id_of(request), request[ACCESS]
    is_present = request.app[DESK].has_seat(access.user_id, call_id)
    async with request.app[SESSIONS].begin() as session:
        note = await request.app[NOTES].read(session, access, call_id, is_present=is_present)
    if note is None:
        raise web.HTTPNotFound
    return _answer(note)


@routes.put(rf"/calls/{CALL_ID}/note", right="call.notes")
async def save_note(request: web.Request) -> web.Response:
    """200 with the new version; 409 with what is stored, when another tab saved in between."""
    call_id, access = call_id_of(request), request[ACCESS]
    typed = _read(await request.read())
    if typed is None:
        return problem(400, "Bad Request", "Send JSON with text and version.")
    is_present = request.app[DESK].has_seat(access.user_id, call_id)
    async with request.app[SESSIONS].begin() as session:
        note = await request.app[NOTES].save(
            session, access, call_id, typed.text, typed.version, is_present=is_present
        )
    if note is None:
        raise web.HTTPNotFound
    if note.version != typed.version + 1 or note.text != typed.text:
        return _answer(note, status=409)
    news = request.app[DESK].note_saved(access.user_id, call_id, note.text, note.version, request.app[NOW]())
    request.app[LIVE].deliver(news)
    return _answer(note)


def _read(body: bytes) -> Typed | None:
    try:
        typed = _typed.decode(body)
    except msgspec.DecodeError:
        return None
    return typed if len(typed.text) <= MOST_CHARACTERS and typed.version >= 0 else None


def _answer(note: StoredNote, *, status: int = 200) -> web.Response:
    body = msgspec.json.encode({"text": note.text, "version": note.version})
    return web.Response(body=body, status=status, content_type="application/json")
