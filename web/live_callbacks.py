"""Callers to call back, told to whoever may see them: once a second at most, and a few sockets at a time.

In a busy hour every caller missed would otherwise be a frame to every browser of the company, before the next pop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from crm.callback_states import may_see_case
from web.live_socket import LiveSocket

PAUSE_SECONDS: Final = 1.0
MOST_CASES: Final = 1000  # waiting to be told; beyond them whoever hears asks for the list anyway
_SOCKETS_AT_A_TIME: Final = 8
_BREATH_SECONDS: Final = 0.002  # between them: calls that ring have the event loop
Encode = Callable[[str, Sequence[int]], bytes]  # what happened, and to which cases
Put = Callable[[LiveSocket, bytes], None]


class CallbackNews:
    """What happened to cases since it was told last. Called from the event loop only."""

    def __init__(self, encode: Encode, put: Put, sockets: Callable[[], Sequence[LiveSocket]]) -> None:
        self._encode = encode
        self._put = put
        self._sockets = sockets
        self._waiting: dict[int, tuple[str, int | None]] = {}  # by case: what happened last, and its team
        self._is_due = asyncio.Event()

    def note(self, told: str) -> None:
        """Take what the database tells: "opened|changed|taken|resolved CASE TEAM", TEAM 0 where there is none."""
        what, case_id, team_id = told.split(" ")
        earlier, _ = self._waiting.get(int(case_id), ("", None))
        if len(self._waiting) < MOST_CASES or earlier:
            is_new = earlier == "opened" and what == "changed"
            self._waiting[int(case_id)] = ("opened" if is_new else what, int(team_id) or None)
        self._is_due.set()

    async def watch(self) -> None:
        """For ever."""
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            await self._tell_waiting()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        teams = {team_id for _, team_id in waiting.values()}
        frames: dict[frozenset[int | None], list[bytes]] = {}  # alike for all who see the same teams
        for index, socket in enumerate(self._sockets()):
            if index % _SOCKETS_AT_A_TIME == 0:
                await asyncio.sleep(_BREATH_SECONDS)
            visible = frozenset(team_id for team_id in teams if may_see_case(socket.access, team_id))
            if visible not in frames:
                frames[visible] = self._frames(waiting, visible)
            for frame in frames[visible]:
                self._put(socket, frame)

    def _frames(
        self, waiting: dict[int, tuple[str, int | None]], visible: frozenset[int | None]
    ) -> list[bytes]:
        seen: dict[str, list[int]] = {}
        for case_id, (what, team_id) in waiting.items():
            if team_id in visible:
                seen.setdefault(what, []).append(case_id)
        return [self._encode(what, cases) for what, cases in seen.items()]
