"""Looking again at the rights of whoever is connected: at once at those that a change names, by and by at everybody.

Whoever was blocked, signed out elsewhere or got other rights loses or narrows their sockets within a second of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

import structlog

from crm.rights import Access
from web.gate import Gate
from web.last_seen import LastSeen
from web.live_socket import LiveSocket

log = structlog.get_logger(__name__)

TICK_SECONDS: Final = 1.0
RECHECK_ALL: Final = timedelta(seconds=60)  # changes are told at once; this finds sessions that ran out
PAUSE_SECONDS: Final = 0.1  # between two users: no ringing call waits for a round
SocketsOf = Callable[[int], Collection[LiveSocket]]
Users = Callable[[], Collection[int]]  # everybody who is connected
Judge = Callable[[LiveSocket, Access | None], None]  # None: the session or token is no longer good


class Rechecks:
    """Who is to be looked at. Called from the event loop only."""

    def __init__(
        self, gate: Gate, now: Callable[[], datetime], *, users: Users, sockets_of: SocketsOf, judge: Judge
    ) -> None:
        self.last_seen = LastSeen()
        self._gate = gate
        self._now = now
        self._users = users
        self._sockets_of = sockets_of
        self._judge = judge
        self._named: set[int] = set()
        self._is_due = asyncio.Event()

    def name(self, user_id: int) -> None:
        """Look at this user's sockets as soon as may be."""
        self._named.add(user_id)
        self._is_due.set()

    def changed(self, user_id: int) -> None:
        """The user was blocked, signed out somewhere, or got other rights."""
        self.last_seen.forget_user(user_id)
        self.name(user_id)

    def everybody_changed(self) -> None:
        """What was said meanwhile may not have been heard."""
        self.last_seen.forget_everybody()
        self._named.update(self._users())
        self._is_due.set()

    async def watch(self) -> None:
        """For ever. Whoever was named goes first, also in the middle of a round through everybody."""
        next_round = self._now() + RECHECK_ALL
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._is_due.wait()
            self._is_due.clear()
            if await self._look_at_named() and self._now() >= next_round:
                next_round = self._now() + RECHECK_ALL
                await self._look_at_everybody()

    async def _look_at_everybody(self) -> None:
        """One round. When nobody can be asked, the next round tries again."""
        for user_id in tuple(self._users()):
            if not (await self._look_at_named() and await self._look_at(user_id)):
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _look_at_named(self) -> bool:
        """False when nobody can be asked: with the next tick we ask again."""
        while self._named:
            user_id = self._named.pop()
            if not await self._look_at(user_id):
                self._named.add(user_id)
                return False
        return True

    async def _look_at(self, user_id: int) -> bool:
        """Have this user's sockets judged; False if nobody could be asked."""
        for socket in tuple(self._sockets_of(user_id)):
            try:
                access = await self._gate.access(socket.credential)
            except Exception as error:  # the database is away: pops go on (invariant I13), and we ask again
                log.warning("live_recheck_failed", user_id=user_id, error=type(error).__name__)
                return False
            self.last_seen.note(socket.credential, access)
            self._judge_safely(socket, access)
        return True

    def _judge_safely(self, socket: LiveSocket, access: Access | None) -> None:
        try:
            self._judge(socket, access)
        except Exception:  # costs this look at this socket only (invariant I18)
            log.exception("live_judgement_failed", user_id=socket.access.user_id)
