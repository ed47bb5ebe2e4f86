"""The links to all PBXs: one `AmiConnection` per enabled connection, made anew when its settings change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from ami_adapter.connection import AmiConnection, Ear
from ami_adapter.link import DEFAULT_EVENT_CLASSES, AmiSettings, LinkState
from crm.directory import ConnectionDirectory
from crm.telephony import AsteriskSettings
from cti.calls.call_events import CallEvent
from cti.calls.presence_events import PresenceEvent
from cti.calls.tracker import CallTracker

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Everything a link is made of; a change of any of it makes the link anew."""

    settings: AmiSettings
    extensions: frozenset[str]
    lines: frozenset[str]


def ami_settings(stored: AsteriskSettings, secret: str) -> AmiSettings:
    """What the adapter needs, from what the administrator entered."""
    return AmiSettings(
        host=stored.host,
        port=stored.port,
        user=stored.user,
        secret=secret,
        event_classes=stored.event_classes or DEFAULT_EVENT_CLASSES,
        accepts_excessive_rights=stored.accepts_excessive_rights,
    )


def wiring(connection: ConnectionDirectory, settings: AmiSettings) -> Wiring:
    return Wiring(
        settings=settings,
        extensions=frozenset(connection.extensions),
        lines=frozenset(connection.lines),
    )


class Links:
    """Starts, stops and renews links so that they equal what is wanted."""

    def __init__(
        self,
        *,
        emit: Callable[[int, Sequence[CallEvent]], None],
        on_presence: Callable[[int, Sequence[PresenceEvent]], None] = lambda _id, _events: None,
        on_state: Callable[[int, LinkState], None],
        on_gap: Callable[[int, datetime, datetime, str], None],
        ear: Callable[[int], Ear | None] = lambda _connection_id: None,
    ) -> None:
        self._emit = emit
        self._on_presence = on_presence
        self._on_state = on_state
        self._on_gap = on_gap
        self._ear = ear
        self._running: dict[int, tuple[Wiring, AmiConnection, asyncio.Task[None]]] = {}

    def state(self, connection_id: int) -> LinkState | None:
        running = self._running.get(connection_id)
        return running[1].state if running else None

    def states(self) -> dict[int, LinkState]:
        return {connection_id: link.state for connection_id, (_, link, _) in self._running.items()}

    async def equal(self, wanted: Mapping[int, Wiring]) -> set[int]:
        """Make what runs equal to what is wanted; the ids of links that were stopped for good."""
        gone = self._running.keys() - wanted.keys()
        renewed = {
            connection_id
            for connection_id in self._running.keys() & wanted.keys()
            if not _is_enough(self._running[connection_id][0], wanted[connection_id])
        }
        await self._stop(gone | renewed)
        for connection_id, wires in wanted.items():
            if connection_id not in self._running:
                self._start(connection_id, wires)
        return set(gone)

    async def close(self) -> None:
        await self._stop(set(self._running))

    def _start(self, connection_id: int, wires: Wiring) -> None:
        link = AmiConnection(
            wires.settings,
            emit=lambda events: self._emit(connection_id, events),
            on_presence=lambda events: self._on_presence(connection_id, events),
            on_state=lambda state: self._on_state(connection_id, state),
            on_gap=lambda start, end, why: self._on_gap(connection_id, start, end, why),
            tracker=CallTracker(extensions=wires.extensions, lines=wires.lines),
            ear=self._ear(connection_id),
        )
        task = asyncio.create_task(link.run(), name=f"link {connection_id}")
        self._running[connection_id] = (wires, link, task)

    async def _stop(self, connection_ids: set[int]) -> None:
        tasks = [self._running.pop(connection_id)[2] for connection_id in connection_ids]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                log.error("link_ended_badly", error=repr(result))


def _is_enough(running: Wiring, wanted: Wiring) -> bool:
    """Whether the running link serves: a new line or extension alone needs no new link, the stream teaches it."""
    return running.settings == wanted.settings
