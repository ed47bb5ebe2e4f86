"""A recorded stream heard as a connection hears it, with the notes that the daemon takes of its calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from ami_adapter.framing import AmiFrames
from ami_adapter.replay import meaning, timed_chunks
from ami_adapter.stories.keeper import StoryKeeper
from ami_adapter.stories.shelf import StoryShelf
from ami_adapter.translate import Translator, is_noise
from cti.calls.call_events import CallEnded, SnapshotApplied
from cti.calls.records import CallRecord
from cti.calls.telling import tell_call
from cti.calls.tracker import CallTracker
from cti.daemon.call_ids import CallIds
from cti.numbers import NumberingProfile, to_e164
from tests.captures import Capture

PROFILE = NumberingProfile(region="RU")


def normalise(number: str) -> str | None:
    return to_e164(number, PROFILE).e164


@dataclass(slots=True)
class Listening:
    """One keeper and the shelf it writes; `ended` by our id."""

    shelf: StoryShelf
    keeper: StoryKeeper
    tracker: CallTracker = field(default_factory=CallTracker)
    ids: CallIds = field(default_factory=CallIds)
    ended: dict[UUID, CallRecord] = field(default_factory=dict)

    def hear(self, one: Capture, change: Callable[[bytes], bytes] = lambda stream: stream) -> None:
        """The whole recording."""
        frames, translator, ear = AmiFrames(is_noise=is_noise), Translator(), self.keeper.ear(1)
        for data, at in timed_chunks(change(one.stream), one.timing):
            for message in frames.feed(data):
                assert at is not None
                ear.heard(message, at)
                for event in meaning(message, at, translator, self.tracker):
                    if not isinstance(event, SnapshotApplied):
                        self._note(event.call, at, is_over=isinstance(event, CallEnded))

    def _note(self, call: CallRecord, at: datetime, *, is_over: bool) -> None:
        call_id = self.ids.of(1, call)
        self.keeper.name(1, (call.key, *call.linked_ids), call_id, at)
        if is_over:
            self.ended[call_id] = call
            self.keeper.note(call_id, at, "concluded", tell_call(call, normalise))
            self.keeper.end(call_id)


@asynccontextmanager
async def listening(folder: Path, now: Callable[[], datetime]) -> AsyncIterator[Listening]:
    shelf = StoryShelf(folder, days=14, megabytes=64)
    keeper = StoryKeeper(shelf, now)
    running = asyncio.create_task(keeper.run())
    await asyncio.sleep(0)
    try:
        yield Listening(shelf, keeper)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
