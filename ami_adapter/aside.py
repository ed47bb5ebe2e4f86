"""Messages that can wait a moment: gathered, and told together when the windows had their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from ami_adapter.inbox import Arrived

GATHER_SECONDS: Final = 0.05
MOST: Final = 100  # messages told in one piece: a millisecond or two


class Aside:
    """In order; none is lost and none waits longer than `GATHER_SECONDS` of a free event loop."""

    def __init__(self, tell: Callable[[Sequence[Arrived]], None]) -> None:
        self._tell = tell
        self._gathered: list[Arrived] = []
        self._turn: asyncio.TimerHandle | None = None

    def put(self, arrived: Arrived) -> None:
        self._gathered.append(arrived)
        if len(self._gathered) >= MOST:
            self.tell()
        elif self._turn is None:
            self._turn = asyncio.get_running_loop().call_later(GATHER_SECONDS, self.tell)

    def tell(self) -> None:
        """All of them, now."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._tell(gathered)
