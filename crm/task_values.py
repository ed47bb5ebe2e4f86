"""What people say about a task, checked; and how its term becomes the one moment that lists are ordered by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from crm.errors import Invalid

KINDS: Final = ("call", "meeting", "letter", "document", "errand")
STATES: Final = ("new", "in_progress", "done", "cancelled")
OPEN_STATES: Final = ("new", "in_progress")
PRIORITIES: Final = ("low", "normal", "high")
NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)  # the deadline of a task without a term
MOST_TITLE: Final = 300
MOST_TEXT: Final = 10_000
YEARS: Final = range(2000, 2200)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskValues:
    """A task as a form or a program states it. A term is a moment or a whole day, not both."""

    title: str
    kind: str = "errand"
    priority: str = "normal"
    due_at: datetime | None = None
    due_on: date | None = None
    note: str | None = None
    party_id: int | None = None
    contact_id: int | None = None  # a person
    lead_id: int | None = None
    communication_id: UUID | None = None  # the call or letter it came from
    is_private: bool = False  # nobody but its author sees it

    @property
    def links(self) -> Mapping[str, Any]:
        names = ("party_id", "contact_id", "lead_id", "communication_id")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def columns_of(values: TaskValues) -> dict[str, Any]:
    """The columns to store, without the deadline. Raises Invalid."""
    row = asdict(values)
    row["title"] = checked_title(values.title)
    row["note"] = checked_text("note", values.note)
    _one_of("kind", values.kind, KINDS, "Choose the kind of the task.")
    _one_of("priority", values.priority, PRIORITIES, "A task is of low, normal or high priority.")
    check_term(values.due_at, values.due_on)
    if values.is_private and values.links:
        raise Invalid("is_private", "", "A private task is tied to no client, lead or call.")
    return row


def checked_title(title: str) -> str:
    title = " ".join(title.split())
    if not title or len(title) > MOST_TITLE or "\0" in title:
        why = "Say in at most %(most)d characters what is to be done."
        raise Invalid("title", title[:50], why, most=MOST_TITLE)
    return title


def checked_text(name: str, text: str | None) -> str | None:
    text = (text or "").replace("\r\n", "\n").strip()
    if len(text) > MOST_TEXT or "\0" in text:
        raise Invalid(name, text[:50], "At most %(most)d characters fit here.", most=MOST_TEXT)
    return text or None


def check_term(due_at: datetime | None, due_on: date | None) -> None:
    """Raises Invalid: both a moment and a day, or in a year that nobody can mean."""
    if due_at is not None and due_on is not None:
        raise Invalid("due_on", due_on, "A term is a moment or a whole day, not both.")
    term = due_at or due_on
    if term is not None and term.year not in YEARS:
        raise Invalid("due_at", term, "This term is too far away. Write it as 31.12.2027 14:30.")


def deadline_of(due_at: datetime | None, due_on: date | None, zone: ZoneInfo) -> datetime:
    """The moment after which the task is overdue: that of the term, or the last one of its day where `zone` is."""
    if due_at is not None:
        return due_at
    if due_on is None:
        return NEVER
    return midnight(due_on + timedelta(days=1), zone) - timedelta(microseconds=1)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The beginning of a day in a time zone, as UTC."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def day_of(now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The present day in a time zone as two moments, half-open."""
    today = now.astimezone(zone).date()
    return midnight(today, zone), midnight(today + timedelta(days=1), zone)


def zone_named(name: str | None, home_zone: str) -> ZoneInfo:
    """A user's time zone; the installation's where they chose none, or one that this machine does not know."""
    for each in (name, home_zone):
        try:
            if each:
                return ZoneInfo(each)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")


def _one_of(name: str, value: str, known: tuple[str, ...], why: str) -> None:
    if value not in known:
        raise Invalid(name, value[:50], why)
