"""What was done with a task, as its card tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from crm.history import ChangeInfo, FieldChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One act. `is_first`: the task was set; else what it changed, terms as moments and days."""

    at: datetime
    actor_name: str | None
    is_first: bool
    lines: tuple[FieldChange, ...]


def steps(changes: Sequence[ChangeInfo]) -> list[Step]:
    """Newest first."""
    return [
        Step(
            at=change.at,
            actor_name=change.actor_name,
            is_first=any(line.field == "title" and line.old is None for line in change.fields),
            lines=tuple(map(_readable, change.fields)),
        )
        for change in changes
    ]


def _readable(line: FieldChange) -> FieldChange:
    return FieldChange(field=line.field, old=_value(line.field, line.old), new=_value(line.field, line.new))


def _value(field: str, stored: Any) -> Any:
    if stored is None:
        return None
    if field == "due_at":
        return datetime.fromisoformat(stored)
    return date.fromisoformat(stored) if field == "due_on" else stored
