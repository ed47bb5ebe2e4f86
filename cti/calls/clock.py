"""Seconds of what goes on in a call. Private to `cti.calls`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Whole milliseconds, never negative; None where a time is missing."""
    if start is None or end is None:
        return None
    return max(0.0, round((end - start).total_seconds(), 3))


@dataclass(slots=True)
class Clock:
    """Adds up the seconds of what goes on: "talk", "hold", or "gap" until it is known what a pause was."""

    mode: str = ""
    since: datetime | None = None
    sums: dict[str, float] = field(default_factory=dict)

    def turn(self, mode: str, at: datetime | None) -> bool:
        """From now on the seconds count for this; true if that is a change."""
        if mode == self.mode:
            return False
        if self.mode:
            self.sums[self.mode] = self.read(self.mode, at) or 0.0
        self.mode, self.since = mode, at
        return True

    def move(self, source: str, into: str) -> None:
        """What was counted for one is counted for the other."""
        if seconds := self.sums.pop(source, 0.0):
            self.sums[into] = round(self.sums.get(into, 0.0) + seconds, 3)

    def read(self, mode: str, at: datetime | None) -> float | None:
        """The sum so far."""
        running = seconds_between(self.since, at) if self.mode == mode else 0.0
        if running is None:
            return self.sums.get(mode)
        return round(self.sums.get(mode, 0.0) + running, 3)
