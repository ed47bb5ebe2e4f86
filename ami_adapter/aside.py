"""Messages that can wait a moment: gathered, and told piece by piece when the windows had their turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from ami_adapter.inbox import Arrived

GATHER_SECONDS: Final = 0.05
PIECE: Final = 12  # messages told in one turn of the event loop: a quarter of a millisecond
MOST: Final = 2_000  # waiting; beyond that all are told at once


class Aside:
    """In order; none is lost and none waits longer than `GATHER_SECONDS` of a free event loop."""

    def __init__(self, tell: Callable[[Sequence[Arrived]], None]) -> None:
        self._tell = tell
        self._gathered: deque[Arrived] = deque()
        self._turn: asyncio.Handle | None = None

    def put(self, arrived: Sequence[Arrived]) -> None:
        self._gathered.extend(arrived)
        if len(self._gathered) >= MOST:
            self.tell()
        elif arrived and self._turn is None:
            self._turn = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._tell_piece)

    def tell(self) -> None:
        """All of them, now."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._tell_some(len(self._gathered))

    def _tell_piece(self) -> None:
        """Between two pieces the loop reads what arrived: a ringing telephone must not wait for a lamp."""
        self._turn = None
        self._tell_some(PIECE)
        if self._gathered:
            self._turn = asyncio.get_running_loop().call_soon(self._tell_piece)

    def _tell_some(self, most: int) -> None:
        piece = [self._gathered.popleft() for _ in range(min(most, len(self._gathered)))]
        if piece:
            self._tell(piece)
