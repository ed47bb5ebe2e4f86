"""Moments that a jump of the wall clock cannot bend."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


def wall_clock() -> datetime:
    """The present as people see it."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Moments:
    """The monotonic clock with a date on it: differences are durations, whatever happens to the wall clock."""

    anchor: datetime
    anchor_seconds: float
    monotonic: Callable[[], float]

    @classmethod
    def anchored_now(
        cls, wall: Callable[[], datetime] = wall_clock, monotonic: Callable[[], float] = time.monotonic
    ) -> Moments:
        """Read both clocks once; from here on only the monotonic one counts."""
        return cls(wall(), monotonic(), monotonic)

    def now(self) -> datetime:
        """The present moment."""
        return self.anchor + timedelta(seconds=self.monotonic() - self.anchor_seconds)
