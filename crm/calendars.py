"""Work calendars: the hours of a week and of single days, and whether somebody is there at a moment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Conflict, Invalid, NotFound, Taken
from crm.names import checked_name
from crm.rights import Access
from crm.schema.calendars import WorkCalendar
from crm.schema.telephony import Line

Spans = tuple[tuple[int, int], ...]  # minutes of the day: ((540, 1080),) is from nine to six; () is closed
DAY_MINUTES: Final = 24 * 60
MOST_DAYS: Final = 1_000  # of exceptions
_SPAN = re.compile(r"(\d{1,2})(?::(\d\d))?\s*[-–—]\s*(\d{1,2})(?::(\d\d))?")
_ISO_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_RUSSIAN_DAY = re.compile(r"(\d\d?)\.(\d\d?)\.(\d{4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkHours:
    """When somebody is there: by weekday (0 is Monday), and on days that are not like their weekday."""

    time_zone: str
    week: Mapping[int, Spans] = field(default_factory=dict)
    days: Mapping[date, Spans] = field(default_factory=dict)

    def is_open(self, at: datetime) -> bool:
        """At an aware moment."""
        local = at.astimezone(ZoneInfo(self.time_zone))
        minute = local.hour * 60 + local.minute
        return any(start <= minute < end for start, end in self._spans(local.date()))

    def next_open(self, at: datetime) -> datetime | None:
        """The moment itself, or the next one at which somebody is there; None if that is more than a year away."""
        if self.is_open(at):
            return at
        zone = ZoneInfo(self.time_zone)
        local = at.astimezone(zone)
        for ahead in range(367):
            day = local.date() + timedelta(days=ahead)
            for start, _ in self._spans(day):
                opens = datetime.combine(day, datetime.min.time(), zone) + timedelta(minutes=start)
                if opens > at:
                    return opens
        return None

    def later(self, at: datetime, minutes: int) -> datetime:
        """The moment by which somebody was there for so many minutes since `at`; by the clock, where that is more than a year away."""
        left, zone = timedelta(minutes=minutes), ZoneInfo(self.time_zone)
        first = at.astimezone(zone).date()
        for ahead in range(367):
            midnight = datetime.combine(first + timedelta(days=ahead), datetime.min.time(), zone)
            for start, end in self._spans(midnight.date()):
                begins = max((midnight + timedelta(minutes=start)).astimezone(UTC), at)
                ends = (midnight + timedelta(minutes=end)).astimezone(UTC)
                if begins + left <= ends:
                    return begins + left
                left -= max(ends - begins, timedelta())
        return at + timedelta(minutes=minutes)

    def _spans(self, day: date) -> Spans:
        return self.days.get(day, self.week.get(day.weekday(), ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarInfo:
    """A calendar as lists and forms show it."""

    id: int
    name: str
    hours: WorkHours
    lines: tuple[str, ...]  # names of the lines that follow it
    version: int


async def list_calendars(session: AsyncSession) -> Sequence[CalendarInfo]:
    """All of them by name; there are few."""
    lines: dict[int, list[str]] = {}
    used = select(Line.calendar_id, Line.name).where(Line.calendar_id.is_not(None), Line.deleted_at.is_(None))
    for calendar_id, name in await session.execute(used.order_by(Line.name)):
        lines.setdefault(calendar_id or 0, []).append(name)
    rows = await session.scalars(
        select(WorkCalendar).order_by(WorkCalendar.name).execution_options(populate_existing=True)
    )
    return [
        CalendarInfo(
            id=row.id,
            name=row.name,
            hours=hours_of(row),
            lines=tuple(lines.get(row.id, ())),
            version=row.version,
        )
        for row in rows
    ]


async def hours_of_lines(session: AsyncSession, line_ids: Iterable[int]) -> dict[int, WorkHours]:
    """Of those lines that do not answer at any time."""
    query = select(Line.id, WorkCalendar).join(WorkCalendar, Line.calendar_id == WorkCalendar.id)
    rows = await session.execute(query.where(Line.id.in_(sorted(set(line_ids)))))
    return {line_id: hours_of(row) for line_id, row in rows}


async def check_calendar(session: AsyncSession, calendar_id: int | None) -> None:
    """Raises NotFound when there is no such calendar; None is none."""
    if calendar_id is not None and await session.get(WorkCalendar, calendar_id) is None:
        raise NotFound("work_calendar", calendar_id)


async def add_calendar(
    session: AsyncSession, access: Access, name: str, hours: WorkHours, *, via: str = "form"
) -> int:
    """A new calendar.

    Raises:
        NotAllowed, Invalid, Taken (the name).
    """
    access.require("line.manage")
    row = _row(name, hours)
    try:
        async with session.begin_nested():
            made = insert(WorkCalendar).values(**row, created_by=access.actor_id).returning(WorkCalendar.id)
            calendar_id = (await session.execute(made)).scalar_one()
    except IntegrityError as error:
        raise Taken("name", name) from error
    await record_change(session, access, "work_calendar", calendar_id, after=row, via=via)
    return calendar_id


async def edit_calendar(
    session: AsyncSession,
    access: Access,
    calendar_id: int,
    name: str,
    hours: WorkHours,
    *,
    version: int,
    via: str = "form",
) -> None:
    """Name and hours of a calendar; lines that follow it follow at once.

    Raises:
        NotAllowed, NotFound, Invalid, Taken, Conflict.
    """
    access.require("line.manage")
    kept = await _locked(session, calendar_id)
    new = _row(name, hours)
    old = {column: getattr(kept, column) for column in new}
    if kept.version != version:
        raise Conflict({key: (old[key], new[key]) for key in new if old[key] != new[key]}, kept.version, "")
    try:
        async with session.begin_nested():
            changed = update(WorkCalendar).where(WorkCalendar.id == calendar_id)
            await session.execute(changed.values(**new, version=version + 1))
    except IntegrityError as error:
        raise Taken("name", name) from error
    await record_change(session, access, "work_calendar", calendar_id, before=old, after=new, via=via)


async def remove_calendar(
    session: AsyncSession, access: Access, calendar_id: int, *, via: str = "form"
) -> None:
    """Lines that followed it answer at any time from now on.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("line.manage")
    kept = await _locked(session, calendar_id)
    before = {"name": kept.name, "week": kept.week, "days": kept.days, "time_zone": kept.time_zone}
    await session.execute(update(Line).where(Line.calendar_id == calendar_id).values(calendar_id=None))
    await session.execute(delete(WorkCalendar).where(WorkCalendar.id == calendar_id))
    await record_change(session, access, "work_calendar", calendar_id, before=before, via=via)


def read_spans(field_name: str, typed: str) -> Spans:
    """The spans of "9:00-13:00, 14-18"; "" is closed.

    Raises:
        Invalid: a part is no span, ends before it begins, or two overlap.
    """
    spans = sorted(_read_span(field_name, part) for part in re.split(r"[,;]", typed) if part.strip())
    for (_, end), (start, _) in pairwise(spans):
        if start < end:
            raise Invalid(field_name, typed, "Two spans overlap. Join them into one.")
    return tuple(spans)


def read_days(typed: str) -> dict[date, Spans]:
    """Days that are not like others, one a line: "31.12.2026 10-15", or the day alone when nobody is there.

    Raises:
        Invalid: a line does not begin with a day, a day stands twice, or there are too many.
    """
    days: dict[date, Spans] = {}
    for line in filter(None, map(str.strip, typed.splitlines())):
        day_text, _, spans = line.partition(" ")
        day = _read_day(day_text)
        if day is None:
            why = "“%(line)s” does not begin with a day. Write 31.12.2026 10:00-15:00, or the day alone."
            raise Invalid("days", line, why, line=line[:60])
        if day in days:
            raise Invalid("days", line, "%(day)s stands twice. Keep one line of it.", day=day_text)
        days[day] = read_spans("days", spans)
    if len(days) > MOST_DAYS:
        raise Invalid("days", str(len(days)), "No more than 1,000 days. Remove those that are past.")
    return dict(sorted(days.items()))


def write_spans(spans: Spans) -> str:
    """As `read_spans` takes it."""
    return ", ".join(f"{_clock(start)}-{_clock(end)}" for start, end in spans)


def write_days(days: Mapping[date, Spans]) -> str:
    """As `read_days` takes it."""
    return "\n".join(f"{day:%d.%m.%Y} {write_spans(spans)}".strip() for day, spans in sorted(days.items()))


def hours_of(row: WorkCalendar) -> WorkHours:
    return hours_as_stored(row.time_zone, row.week, row.days)


def hours_as_stored(time_zone: str, week: Mapping[str, Any], days: Mapping[str, Any]) -> WorkHours:
    """Hours from the columns of a calendar's row."""
    return WorkHours(
        time_zone=time_zone,
        week={int(day): _spans(spans) for day, spans in week.items()},
        days={date.fromisoformat(day): _spans(spans) for day, spans in days.items()},
    )


def _row(name: str, hours: WorkHours) -> dict[str, Any]:
    try:
        ZoneInfo(hours.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            "time_zone", hours.time_zone, "There is no such time zone. Write for example Europe/Moscow."
        ) from None
    return {
        "name": checked_name(name),
        "time_zone": hours.time_zone,
        "week": {str(day): list(map(list, spans)) for day, spans in sorted(hours.week.items()) if spans},
        "days": {day.isoformat(): list(map(list, spans)) for day, spans in sorted(hours.days.items())},
    }


def _spans(kept: Sequence[Sequence[int]]) -> Spans:
    return tuple((start, end) for start, end in kept)


def _read_span(field_name: str, part: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(part.strip())
    hours = tuple(int(number or 0) for number in found.groups()) if found else ()
    if hours and hours[1] < 60 and hours[3] < 60:
        start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
        if start < end <= DAY_MINUTES:
            return start, end
    raise Invalid(
        field_name, part, "“%(part)s” is not a span of hours. Write 9:00-18:00.", part=part.strip()[:40]
    )


def _read_day(typed: str) -> date | None:
    iso, russian = _ISO_DAY.fullmatch(typed), _RUSSIAN_DAY.fullmatch(typed)
    parts = tuple(map(int, iso.groups() if iso else reversed(russian.groups()) if russian else ()))
    try:
        return date(*parts) if parts else None
    except ValueError:
        return None


def _clock(minute: int) -> str:
    return f"{minute // 60}:{minute % 60:02d}"


async def _locked(session: AsyncSession, calendar_id: int) -> WorkCalendar:
    query = select(WorkCalendar).where(WorkCalendar.id == calendar_id).with_for_update()
    row = await session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise NotFound("work_calendar", calendar_id)
    return row
