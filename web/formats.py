"""How values look on a page: numbers, moments, durations, and outside text with its hidden characters made visible."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from markupsafe import Markup

from cti.numbers import format_number
from web.i18n import current_language

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Control characters, and those that turn the direction of the text around them: `exe.fdp` must not read `pdf.exe`.
_HIDDEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
NO_BREAK_SPACE: Final = "\u00a0"


def visible(value: Any) -> Any:
    """Text with control and direction characters shown as `␦`; anything else as it is (threat T13)."""
    if type(value) is str and _HIDDEN.search(value):
        return _HIDDEN.sub("\u2426", value)
    return value


def visible_output(value: Any) -> Any:
    """What Jinja applies to every `{{ … }}`: markup of our own passes, None is nothing."""
    if value is None:
        return ""
    return value if isinstance(value, Markup) else visible(value)


@lru_cache(maxsize=10_000)
def phone(e164: str | None) -> str:
    """`+74951234567` → `+7 495 123-45-67`; what is not E.164 stays as presented."""
    if not e164:
        return ""
    return format_number(e164) if e164.startswith("+") else e164


def duration(seconds: float | None) -> str:
    """`0:07`, `4:12`, `1:02:03`; nothing for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def whole_number(value: int | None) -> str:
    """`1 250 000` with no-break spaces, in English with commas; a minus is a minus."""
    if value is None:
        return ""
    between = NO_BREAK_SPACE if current_language() == "ru" else ","
    return f"{value:,}".replace(",", between).replace("-", "\u2212")


def day(value: date | None) -> str:
    """`20.11.2026`, in English `20 Nov 2026`. A moment must have been brought to the reader's zone before."""
    if value is None:
        return ""
    if current_language() == "ru":
        return f"{value.day:02}.{value.month:02}.{value.year}"
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def local_formats(zone: ZoneInfo) -> dict[str, Callable[[datetime | None], str]]:
    """The formats that depend on where the reader is."""

    def local(moment: datetime) -> datetime:
        return moment.astimezone(zone)

    def moment(value: datetime | None) -> str:
        return "" if value is None else f"{day(local(value).date())} {local(value):%H:%M}"

    def clock(value: datetime | None) -> str:
        return "" if value is None else f"{local(value):%H:%M}"

    def local_day(value: datetime | None) -> str:
        return "" if value is None else day(local(value).date())

    return {"moment": moment, "clock": clock, "local_day": local_day}


def iso(value: datetime | None) -> str:
    """For `<time datetime>` and data attributes: UTC to the millisecond."""
    return (
        ""
        if value is None
        else value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
