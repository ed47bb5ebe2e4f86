"""Attempts and transfers over a restart: a run that knows nothing of the earlier ones counts anew, the journal goes on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from cti.calls.records import Participation, Transfer

_STORED: Final = text(
    "select call_id, extension, attempt, left_at from participation where call_id = any(:calls)"
)
_PASSED_ON: Final = text("select call_id, position, at from transfer where call_id = any(:calls)")


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part as it was stored by now, by this run or an earlier one."""

    extension: str
    attempt: int
    left_at: datetime | None

    def was_over(self, at: datetime) -> bool:
        return self.left_at is not None and self.left_at < at


@dataclass(frozen=True, slots=True)
class Numbered:
    """The parts of a record under the numbers by which they are stored."""

    parts: Sequence[Participation]
    position: int = 0  # of the first

    def rows(self) -> Iterator[tuple[Participation, dict[str, Any]]]:
        """Each part with its columns, but for whose it is."""
        for position, part in enumerate(self.parts, start=self.position):
            yield (
                part,
                {
                    "position": position,
                    "extension": part.extension,
                    "attempt": part.attempt,
                    "came_by": part.came_by,
                    "rang_at": part.rang_at,
                    "has_rung": part.has_rung or part.rang_at is not None,
                    "answered_at": part.answered_at,
                    "left_at": part.left_at,
                    "result": part.result,
                    "is_first_answer": part.is_first_answer,
                },
            )


async def number_on(
    connection: AsyncConnection, told: Mapping[str, Sequence[Participation]]
) -> dict[str, Numbered]:
    """The parts that calls of several runs were told with, by the calls' ids."""
    if not told:
        return {}
    stored: defaultdict[str, list[StoredPart]] = defaultdict(list)
    rows = await connection.execute(_STORED, {"calls": [UUID(call_id) for call_id in told]})
    for call_id, *values in rows:
        stored[str(call_id)].append(StoredPart(*values))
    return {call_id: numbered(parts, stored[call_id]) for call_id, parts in told.items()}


def numbered(told: Sequence[Participation], stored: Sequence[StoredPart]) -> Numbered:
    """What began after a stored part was over is another part, however its run counted; repeated, it is numbered alike."""
    begun: dict[str, datetime] = {}
    for part in told:
        if (at := part.rang_at or part.answered_at or part.left_at) is not None:
            begun.setdefault(part.extension, at)
    if not begun:
        return Numbered(told)
    known = {
        extension: _over(at, [part for part in stored if part.extension == extension])
        for extension, at in begun.items()
    }
    parts = [replace(part, attempt=part.attempt + known.get(part.extension, 0)) for part in told]
    since = min(begun.values())
    return Numbered(parts, sum(part.was_over(since) for part in stored))


def _over(at: datetime, stored: Iterable[StoredPart]) -> int:
    """How many attempts at one extension were over by then; the first that was not goes on."""
    attempts = {part.attempt: part.was_over(at) for part in stored}
    going_on = [attempt for attempt, is_over in attempts.items() if not is_over]
    return min(going_on) - 1 if going_on else max(attempts, default=0)


async def passed_on_before(
    connection: AsyncConnection, told: Mapping[str, Sequence[Transfer]]
) -> dict[str, int]:
    """How many transfers of calls of several runs were stored that are older than those told, by the calls' ids."""
    if not any(told.values()):
        return {}
    since = {
        UUID(call_id): min((one.at for one in transfers if one.at is not None), default=None)
        for call_id, transfers in told.items()
        if transfers
    }
    stored = await connection.execute(_PASSED_ON, {"calls": list(since)})
    counts: dict[str, int] = {}
    for call_id, position, at in stored:
        first = since[call_id]
        if at is not None and (first is None or at < first):
            counts[str(call_id)] = max(counts.get(str(call_id), 0), position + 1)
    return counts
