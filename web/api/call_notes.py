"""One's own note on a call."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from crm.notes import own_note, save_note
from web.api.contract import ApiRoutes, Reply
from web.api.reading import NoQuery, read_version, uuid_in_path
from web.api.versions import IF_MATCH, versioned
from web.keys import ACCESS, DESK, LIVE, NOW, SESSIONS

routes = ApiRoutes()
PATH: Final = "/api/v1/calls/{id:[0-9a-fA-F-]{36}}/note"
ETAG: Final = {"ETag": "The version of the note, for If-Match; 0 before the first."}


class CallNote(msgspec.Struct):
    """One's own note; version 0 and no text: nothing was written yet."""

    text: str
    version: int


class NoteWish(msgspec.Struct, forbid_unknown_fields=True):
    """The whole text; "" takes it away."""

    text: Annotated[str, Meta(max_length=10_000, pattern=r"^[^\x00]*$")]


@routes.endpoint(
    "GET", PATH, right="call.notes", summary="One's own note on a call", answer=CallNote, sends=ETAG
)
async def show(request: web.Request, _query: NoQuery) -> Reply:
    async with request.app[SESSIONS]() as session:
        note = await own_note(session, request[ACCESS], uuid_in_path(request, "call"))
    return versioned(CallNote(text=note.text, version=note.version), note.version)


@routes.endpoint(
    "PUT",
    PATH,
    right="call.notes",
    summary="Write one's own note on a call",
    description="Of a call that one took part in. Open windows of the call show it at once.",
    answer=CallNote,
    headers=IF_MATCH,
    sends=ETAG,
)
async def write(request: web.Request, _query: NoQuery, wish: NoteWish) -> Reply:
    access, call_id, version = request[ACCESS], uuid_in_path(request, "call"), read_version(request)
    is_present = request.app[DESK].has_seat(access.user_id, call_id)
    async with request.app[SESSIONS].begin() as session:
        if version is None:
            version = (await own_note(session, access, call_id)).version
        now = await save_note(session, access, call_id, wish.text, version=version, is_present=is_present)
    news = request.app[DESK].note_saved(access.user_id, call_id, wish.text, now, request.app[NOW]())
    request.app[LIVE].deliver(news)
    return versioned(CallNote(text=wish.text, version=now), now)
