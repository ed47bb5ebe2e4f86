"""Many ringing calls at a steady pace, each a copy of one recorded call: for measuring, and for seeing what breaks."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ami_adapter.demo.pbx import DemoPbx
from ami_adapter.demo.recording import RecordedEvent, Recording, packaged
from ami_adapter.demo.renaming import Known

TEMPLATE = "asterisk22-02-inbound-caller-gives-up"
TEMPLATE_CALLER = "+79161234502"
TEMPLATE_EXTENSION = "102"
CLASSES = ("call", "agent")  # an account without `dialplan` hears a third of a call's events


@dataclass(frozen=True, slots=True, kw_only=True)
class StormCall:
    """One call that the storm made."""

    number: int
    caller: str
    extension: str
    rang_at: float  # time.perf_counter() just before its first sign of ringing was sent


@dataclass(frozen=True, slots=True, kw_only=True)
class RingStorm:
    """Calls from `callers` to `extensions`, both taken in turn.

    Args:
        ring_seconds: from the first sign of ringing until the caller gives up.
        template: a recorded call of `template_caller` to `template_extension` that nobody answers.
        on_ring: told of each call when it rings, like `StormCall`.
    """

    calls_per_second: float
    callers: Sequence[str]
    extensions: Sequence[str]
    ring_seconds: float = 4.0
    template: Recording | None = None
    template_caller: str = TEMPLATE_CALLER
    template_extension: str = TEMPLATE_EXTENSION
    on_ring: Callable[[StormCall], None] = lambda _call: None

    async def run(self, pbx: DemoPbx, seconds: float) -> list[StormCall]:
        """Make calls for so many seconds; returns all of them when the last one is over."""
        template = self.template or packaged(TEMPLATE).of_classes(CLASSES)
        known, timed = Known(template), self._timed(template)
        calls: list[StormCall] = []
        start = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(round(seconds * self.calls_per_second)):
                await asyncio.sleep(max(0.0, start + number / self.calls_per_second - time.monotonic()))
                tasks.create_task(self._call(pbx, number, known, template, timed, calls))
        return calls

    async def _call(
        self,
        pbx: DemoPbx,
        number: int,
        known: Known,
        template: Recording,
        timed: Sequence[tuple[float, RecordedEvent]],
        calls: list[StormCall],
    ) -> None:
        caller = self.callers[number % len(self.callers)]
        extension = self.extensions[number % len(self.extensions)]
        people = {
            self.template_caller.encode(): caller.encode(),
            self.template_extension.encode(): extension.encode(),
        }
        pattern = _whole_words(people)
        names = pbx.new_names(known)
        start, has_rung = time.monotonic(), False
        for seconds, event in timed:
            if (ahead := start + seconds - time.monotonic()) > 0:
                await asyncio.sleep(ahead)
            raw = pattern.sub(lambda found: people[found.group()], known.rename(event.raw, names))
            if not has_rung and is_ringing(event.raw):
                has_rung = True
                call = StormCall(
                    number=number, caller=caller, extension=extension, rang_at=time.perf_counter()
                )
                calls.append(call)
                self.on_ring(call)
            pbx.tell(event.event_class, raw)

    def _timed(self, template: Recording) -> list[tuple[float, RecordedEvent]]:
        """The template's events at the storm's times: what follows the ringing's start waits for its end."""
        rings_at = next(event.seconds for event in template.events if is_ringing(event.raw))
        ends_at = max(event.seconds for event in template.events)
        stretch = self.ring_seconds / (ends_at - rings_at)
        return [
            (min(event.seconds, rings_at) + max(0.0, event.seconds - rings_at) * stretch, event)
            for event in template.events
        ]


def is_ringing(raw: bytes) -> bool:
    """Whether this event says that a telephone rings."""
    if raw.startswith(b"Event: DialState\r\n"):
        return b"\r\nDialStatus: RINGING" in raw
    return raw.startswith(b"Event: Newstate\r\n") and b"\r\nChannelState: 5\r\n" in raw


def _whole_words(words: Iterable[bytes]) -> re.Pattern[bytes]:
    return re.compile(rb"(?<![0-9A-Za-z.+])(?:" + b"|".join(map(re.escape, words)) + rb")(?![0-9A-Za-z.])")
