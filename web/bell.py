"""One bell for each user: of all their browsers, the one that was used last rings.

A browser tells when it was used, whether it may make a sound (only after a click in it), and whether its user wants to
hear calls there in any case. Pure: the hub keeps the sockets and tells them what changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Bell:
    """What one socket's browser said, and what it was told."""

    has_sound: bool = False
    is_chosen: bool = False
    used_at: float = float("-inf")  # monotonic seconds
    is_here: bool = False  # it was told to ring

    def tell(self, *, sound: bool, chosen: bool, ago_seconds: float, now: float) -> None:
        self.has_sound, self.is_chosen, self.used_at = sound, chosen, now - max(0.0, ago_seconds)


def ringing_bell(bells: Iterable[Bell]) -> Bell | None:
    """Which of them is to ring; None where none can be heard."""
    heard = [bell for bell in bells if bell.has_sound]
    return max(heard, key=lambda bell: (bell.is_chosen, bell.used_at, bell.is_here), default=None)
