"""Periods a person may choose in a list: from a word or two dates to two moments in UTC, half-open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from web.pages.forms import read_date


class PeriodName(StrEnum):
    """The periods offered by name."""

    TODAY = "today"
    YESTERDAY = "yesterday"
    WEEK = "week"  # the last seven days, today included
    MONTH = "month"  # the last thirty days, today included
    DATES = "dates"  # from … to …, both included


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Moments `[start, end)`; None is no bound on that side."""

    start: datetime | None = None
    end: datetime | None = None


def days(first: date | None, last: date | None, zone: ZoneInfo) -> Period:
    """From the first midnight of `first` to the last one of `last`, in a person's time zone."""
    return Period(
        start=None if first is None else _midnight(first, zone),
        end=None if last is None else _midnight(last + timedelta(days=1), zone),
    )


def period_of(name: str, first: str, last: str, now: datetime, zone: ZoneInfo) -> Period:
    """The period a person chose; an unknown name and unreadable dates bound nothing."""
    today = now.astimezone(zone).date()
    match name:
        case PeriodName.TODAY:
            return days(today, today, zone)
        case PeriodName.YESTERDAY:
            return days(today - timedelta(days=1), today - timedelta(days=1), zone)
        case PeriodName.WEEK:
            return days(today - timedelta(days=6), today, zone)
        case PeriodName.MONTH:
            return days(today - timedelta(days=29), today, zone)
        case PeriodName.DATES:
            return days(read_date(first), read_date(last), zone)
        case _:
            return Period()


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
