"""Requests that may be repeated after a broken connection: one key, one result (`crm.idempotency`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final, TypeVar

import msgspec
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.idempotency import keep_answer, take_key
from web.api.reading import read_key
from web.keys import ACCESS, SESSIONS

KEY_HEADER: Final = "Idempotency-Key"
ONCE: Final = {KEY_HEADER: "Sent again with the same key within a day, the request is carried out once."}
T = TypeVar("T")


async def once(request: web.Request, act: Callable[[AsyncSession], Awaitable[T]], into: type[T]) -> T:
    """Carry the request out in a transaction of its own; with a key that was used for it before, answer as then."""
    key = read_key(request, KEY_HEADER)
    async with request.app[SESSIONS].begin() as session:
        if key is None:
            return await act(session)
        request_hash = sha256(request.path.encode() + b"\n" + await request.read()).digest()
        before = await take_key(session, request[ACCESS], key, request_hash)
        if before is not None:
            return msgspec.convert(before, into)
        made = await act(session)
        await keep_answer(session, request[ACCESS], key, msgspec.to_builtins(made))
        return made
