"""Requests that may be repeated after a broken connection: one key, one result (`crm.idempotency`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final, TypeVar

import msgspec
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.idempotency import answer_before, keep_answer, take_key
from web.api.reading import read_key
from web.keys import ACCESS, SESSIONS

KEY_HEADER: Final = "Idempotency-Key"
ONCE: Final = {KEY_HEADER: "Sent again with the same key within a day, the request is carried out once."}
T = TypeVar("T")


class Once:
    """A long request that takes its key at the end, with what it made: of two at the same moment one counts.

    Raises:
        Unreadable: the key is none.
    """

    def __init__(self, request: web.Request) -> None:
        self._access = request[ACCESS]
        self._key = read_key(request, KEY_HEADER)
        self._path = request.path_qs.encode()
        self._hash = b""

    async def made_before(self, sessions: async_sessionmaker[AsyncSession], digest: bytes) -> int | None:
        """What the same request has made already; None: it is new, or without a key. `digest`: of its body."""
        if self._key is None:
            return None
        self._hash = sha256(self._path + b"\n" + digest).digest()
        async with sessions() as session:
            before = await answer_before(session, self._access, self._key, self._hash)
        return None if before is None else int(before["id"])

    async def settle(self, session: AsyncSession, made: int) -> int:
        """Which counts: what was made now, or what the same request made meanwhile."""
        if self._key is None:
            return made
        before = await take_key(session, self._access, self._key, self._hash)
        if before is not None:
            return int(before["id"])
        await keep_answer(session, self._access, self._key, {"id": made})
        return made


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
