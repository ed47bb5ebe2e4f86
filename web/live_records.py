"""`record.changed`: whoever has a card or a list open hears that somebody changed a record in it, within their rights.

A client names the records it shows; once a second the outbox is read, while anybody follows anything. Rights are asked at telling, in
one query for each socket that shows what changed, and kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.record_feed import (
    KINDS,
    RIGHTS,
    Place,
    RecordEvent,
    RecordVersion,
    present_place,
    read_events,
    versions_within,
)
from web.live_socket import LiveSocket

log = structlog.get_logger(__name__)
MOST_FOLLOWED: Final = 300  # records of one socket; whoever shows more hears of the first ones
MOST_EVENTS: Final = 500  # at a time; the rest a moment later
PAUSE_SECONDS: Final = 1.0
Record = tuple[str, int]  # kind and id
Tell = Callable[[LiveSocket, RecordEvent, int, RecordVersion], None]


class RecordFollowers:
    """Who follows which records. Called from the event loop only."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._followed: dict[LiveSocket, frozenset[Record]] = {}
        self._place: Place | None = None

    def follow(self, socket: LiveSocket, wanted: Mapping[str, Sequence[int]]) -> list[str]:
        """These instead of what the socket followed before. Returns the kinds it may not read at all."""
        refused = [kind for kind in KINDS if wanted.get(kind) and not socket.access.may(RIGHTS[kind])]
        records = [(kind, each) for kind in KINDS if kind not in refused for each in wanted.get(kind, ())]
        if records:
            self._followed[socket] = frozenset(records[:MOST_FOLLOWED])
        else:
            self.forget(socket)
        return refused

    def forget(self, socket: LiveSocket) -> None:
        self._followed.pop(socket, None)

    async def watch(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """For ever. Without the database nothing is told, and afterwards everything since."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                await self.read_on(sessions)
            except Exception as error:
                log.warning("record_news_failed", error=type(error).__name__)

    async def read_on(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """Tell the next piece of what happened, from when somebody began to follow."""
        if not self._followed:
            self._place = None
            return
        async with sessions() as session:
            if self._place is None:
                self._place = await present_place(session)
            events = await read_events(session, self._place, MOST_EVENTS)
            if events:
                await self._tell_all(session, events)
                self._place = events[-1].place

    async def _tell_all(self, session: AsyncSession, events: Iterable[RecordEvent]) -> None:
        """Each record once, with its latest act."""
        latest: dict[Record, RecordEvent] = {}
        for event in events:
            if event.record_id.isdigit():
                latest[(event.record_kind, int(event.record_id))] = event
        for socket, records in tuple(self._followed.items()):
            if not records.isdisjoint(latest):
                await self._tell_socket(session, socket, latest)

    async def _tell_socket(
        self, session: AsyncSession, socket: LiveSocket, latest: Mapping[Record, RecordEvent]
    ) -> None:
        records = self._followed.get(socket, frozenset()) & latest.keys()
        for kind in KINDS:
            ids = [record_id for each, record_id in records if each == kind]
            versions = await versions_within(session, socket.access, kind, ids)
            for record_id, version in versions.items():
                self._tell(socket, latest[(kind, record_id)], record_id, version)
