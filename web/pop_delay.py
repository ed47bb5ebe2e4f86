"""How quickly call windows come up, as browsers measured it: from the PBX's event to the drawn window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PopDelay:
    """Of the latest windows; milliseconds."""

    windows: int
    median_ms: int
    p99_ms: int


def pop_delay(drawn_ms: Sequence[float]) -> PopDelay | None:
    """None while no window was drawn."""
    if not drawn_ms:
        return None
    ordered = sorted(drawn_ms)
    return PopDelay(
        windows=len(ordered),
        median_ms=round(_quantile(ordered, 0.5)),
        p99_ms=round(_quantile(ordered, 0.99)),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that this share of all does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
