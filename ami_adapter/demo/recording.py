"""A recorded AMI stream → the PBX's own events with their times, without what was said to the recorder alone."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import accumulate
from pathlib import Path

from ami_adapter.framing import AmiFrames, AmiMessage

# Each client hears these about itself or about the PBX's start; the demo says them in its own words or not at all.
_NOT_PLAYED = frozenset({b"FullyBooted", b"Shutdown", b"SuccessfulAuth", b"ChallengeSent", b"TestEvent"})


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event as the PBX sent it: seconds since the first one, its class, its bytes without the empty line."""

    seconds: float
    event_class: str
    raw: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A piece of a PBX's life that can be played."""

    name: str
    events: tuple[RecordedEvent, ...]

    @property
    def seconds(self) -> float:
        """How long it takes at its own pace."""
        return self.events[-1].seconds if self.events else 0.0

    def of_classes(self, classes: Iterable[str]) -> Recording:
        """The same, with events of these classes only."""
        wanted = frozenset(classes)
        return Recording(self.name, tuple(event for event in self.events if event.event_class in wanted))


def read_recording(name: str, stream: bytes, timing: Sequence[tuple[float, int]] = ()) -> Recording:
    """Make a recording of a stream and its timing, `(seconds, bytes)` for each chunk; without it all at once."""
    played = [(seconds, message) for seconds, message in _messages(stream, timing) if _is_played(message)]
    start = played[0][0] if played else 0.0
    return Recording(name, tuple(_event(seconds - start, message) for seconds, message in played))


def load_recording(capture: Path, timing: Path | None = None) -> Recording:
    """Read `NAME.ami` or `NAME.ami.xz` and its `NAME.timing.json` (beside it, if not named)."""
    packed = capture.read_bytes()
    stem = capture.name.removesuffix(".xz").removesuffix(".ami")
    timing = timing or capture.with_name(f"{stem}.timing.json")
    stream = lzma.decompress(packed) if capture.suffix == ".xz" else packed
    return read_recording(stem, stream, json.loads(timing.read_text()) if timing.exists() else ())


def packaged_names() -> list[str]:
    """The recordings that come with us, sorted."""
    captures = resources.files("ami_adapter.demo.captures")
    return sorted(
        entry.name.removesuffix(".ami.xz") for entry in captures.iterdir() if entry.name.endswith(".xz")
    )


def packaged(name: str) -> Recording:
    """One of the recordings that come with us."""
    captures = resources.files("ami_adapter.demo.captures")
    stream = lzma.decompress(captures.joinpath(f"{name}.ami.xz").read_bytes())
    return read_recording(name, stream, json.loads(captures.joinpath(f"{name}.timing.json").read_text()))


def _messages(stream: bytes, timing: Sequence[tuple[float, int]]) -> Iterator[tuple[float, AmiMessage]]:
    frames = AmiFrames()
    timing = timing or [(0.0, len(stream))]
    ends = accumulate(size for _, size in timing)
    for (seconds, size), end in zip(timing, ends, strict=True):
        for message in frames.feed(stream[end - size : end]):
            yield seconds, message


def _is_played(message: AmiMessage) -> bool:
    if not message.event or message.event in _NOT_PLAYED:
        return False
    return message.event == b"OriginateResponse" or "ActionID" not in message


def _event(seconds: float, message: AmiMessage) -> RecordedEvent:
    event_class = message.get("Privilege", "").partition(",")[0]
    lines = (line for line in message.raw.split(b"\r\n") if not line.startswith(b"ActionID:"))
    return RecordedEvent(round(seconds, 6), event_class, b"\r\n".join(lines))
