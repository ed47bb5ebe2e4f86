"""An import job as pages and programs see it: its state, what it counts, how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from crm.importing.plans import Policy
from crm.schema.imports import ImportJob

_AT_WORK: Final = ("mapped", "running", "undoing")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """A job as pages and programs see it. `counts`: verdicts of the preview until it runs, then outcomes."""

    id: int
    file_name: str
    state: str
    header: tuple[str, ...]
    columns: tuple[str, ...]
    policy: Policy
    details: Mapping[str, Any]
    total_rows: int
    checked_rows: int
    done_rows: int
    counts: Mapping[str, int]
    trouble: str | None
    created_by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_at_work(self) -> bool:
        return self.state in _AT_WORK

    @property
    def unknown_sources(self) -> Mapping[str, int]:
        """Sources that the directory did not know at the check, and how many rows have each."""
        found: Mapping[str, int] = self.details.get("unknown_sources", {})
        return found

    @property
    def in_capitals(self) -> int:
        """In how many rows the check found a person's name in capitals."""
        found: int = self.details.get("in_capitals", 0)
        return found

    @property
    def rows_to_undo(self) -> int:
        """Those that made or changed a client, also if that is undone by now."""
        return self.counts.get("created", 0) + self.counts.get("updated", 0) + self.undone_rows

    @property
    def undone_rows(self) -> int:
        """Of these: gone into the bin, or looked at and left."""
        return self.counts.get("undone", 0) + self.counts.get("kept", 0)

    @property
    def progress(self) -> tuple[int, int]:
        """The rows that are done of what it is at, and all of them."""
        if self.state == "mapped":
            return self.checked_rows, self.total_rows
        if self.state in {"undoing", "undo_stopped"}:
            return self.undone_rows, self.rows_to_undo
        return self.done_rows, self.total_rows

    @property
    def percent(self) -> int:
        done, of = self.progress
        return 100 * done // max(of, 1)


def job_info(job: ImportJob, created_by: str | None) -> JobInfo:
    """The job as it is told."""
    return JobInfo(
        id=job.id,
        file_name=job.file_name,
        state=job.state,
        header=tuple(job.header),
        columns=tuple(job.columns),
        policy=msgspec.convert(job.policy, Policy),
        details=job.details,
        total_rows=job.total_rows,
        checked_rows=job.checked_rows,
        done_rows=job.done_rows,
        counts=job.counts,
        trouble=job.trouble,
        created_by=created_by,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )
