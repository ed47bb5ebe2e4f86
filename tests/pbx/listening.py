"""Our own connection to the test PBX, with everything it tells kept in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from ami_adapter.connection import AmiConnection
from ami_adapter.link import AmiSettings, LinkState, LinkStatus
from cti.calls.call_events import CallEvent, SnapshotApplied
from tests.pbx.asterisk_lab import READER, AsteriskLab

Event = TypeVar("Event")


class Heard:
    """What a connection told so far; `until` waits for what it has not told yet."""

    def __init__(self) -> None:
        self.events: list[CallEvent] = []
        self.states: list[LinkState] = []
        self._news = asyncio.Event()

    def emit(self, events: Sequence[CallEvent]) -> None:
        self.events += events
        self._news.set()

    def on_state(self, state: LinkState) -> None:
        self.states.append(state)
        self._news.set()

    async def until(
        self, kind: type[Event], *, count: int = 1, seconds: float = 10, **fields: object
    ) -> Event:
        """The first (second, …) event of this kind with these fields; what was told before counts too.

        Raises:
            TimeoutError: nothing of the sort within so many seconds; the note lists what was told instead.
        """
        try:
            async with asyncio.timeout(seconds):
                while len(found := self.told(kind, **fields)) < count:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            error.add_note(
                f"No {kind.__name__} with {fields}; told: {[type(event).__name__ for event in self.events]}"
            )
            raise
        return found[count - 1]

    def told(self, kind: type[Event], **fields: object) -> list[Event]:
        """The events of this kind with these fields, in the order they were told."""
        return [event for event in self.events if isinstance(event, kind) and _has(event, fields)]

    async def until_status(self, status: LinkStatus, *, seconds: float = 10) -> LinkState:
        async with asyncio.timeout(seconds):
            while not self.states or self.states[-1].status is not status:
                self._news.clear()
                await self._news.wait()
        return self.states[-1]


def settings_of(lab: AsteriskLab, account: str) -> AmiSettings:
    return AmiSettings(host=lab.host, port=lab.ami_port, user=account, secret=lab.secret_of(account))


@asynccontextmanager
async def listening(lab: AsteriskLab) -> AsyncIterator[Heard]:
    """The reader's connection, logged in and with its first picture taken."""
    heard = Heard()
    async with connected(lab, READER, heard):
        await heard.until(SnapshotApplied)
        yield heard


@asynccontextmanager
async def connected(lab: AsteriskLab, account: str, heard: Heard) -> AsyncIterator[AmiConnection]:
    """A connection for as long as the block lasts, in whatever state it is."""
    connection = AmiConnection(settings_of(lab, account), emit=heard.emit, on_state=heard.on_state)
    running = asyncio.create_task(connection.run())
    try:
        yield connection
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _has(event: object, fields: dict[str, object]) -> bool:
    return all(getattr(event, name) == value for name, value in fields.items())
