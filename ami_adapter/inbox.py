"""What arrived on one link and is not yet told: bounded, in order, for one reader."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime

from ami_adapter.framing import AmiMessage

Arrived = tuple[AmiMessage, datetime]


class Inbox:
    """Messages between the socket and the reader.

    When it is full, `put` takes nothing and says so: the link is then closed and its picture taken anew by a
    snapshot. What was taken before is still read, so nothing between two told messages is ever missing unnoticed.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._arrived: deque[Arrived] = deque()
        self._is_closed = False
        self._changed = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        """Whether everything that arrived was taken."""
        return not self._arrived

    def put(self, messages: Sequence[AmiMessage], at: datetime) -> bool:
        """Take these messages, all or none; False when there is no room for them."""
        if len(self._arrived) + len(messages) > self._limit:
            return False
        self._arrived.extend((message, at) for message in messages)
        self._changed.set()
        return True

    def close(self) -> None:
        """Nothing more will come; `take` gives what is left, then nothing."""
        self._is_closed = True
        self._changed.set()

    async def take(self, most: int) -> list[Arrived]:
        """Wait for messages, then up to `most` of them; an empty list means closed and empty."""
        while not self._arrived and not self._is_closed:
            self._changed.clear()
            await self._changed.wait()
        return [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]
