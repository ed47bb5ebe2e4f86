"""How values look on a page: numbers, moments, durations, and outside text with its hidden characters made visible."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from markupsafe import Markup

from crm.party_kinds import KindInfo
from cti.numbers import format_number
from web.i18n import current_language
from web.i18n import gettext as _

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


def local_formats(zone: ZoneInfo, now: datetime) -> dict[str, Callable[[datetime | None], str]]:
    """The formats that depend on where the reader is, and on when."""

    def local(moment: datetime) -> datetime:
        return moment.astimezone(zone)

    def moment(value: datetime | None) -> str:
        return "" if value is None else f"{day(local(value).date())} {local(value):%H:%M}"

    def clock(value: datetime | None) -> str:
        return "" if value is None else f"{local(value):%H:%M}"

    def local_day(value: datetime | None) -> str:
        return "" if value is None else day(local(value).date())

    def recent(value: datetime | None) -> str:
        """«сегодня 14:32», «вчера 9:05», else the date."""
        if value is None:
            return ""
        today, when = local(now).date(), local(value)
        words = {today: _("today %(time)s"), today - timedelta(days=1): _("yesterday %(time)s")}
        word = words.get(when.date())
        return word % {"time": f"{when:%H:%M}"} if word else moment(value)

    return {"moment": moment, "clock": clock, "local_day": local_day, "recent": recent}


# In this order: Edge and Opera call themselves Chrome too, and Chrome calls itself Safari.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("YaBrowser", "Yandex Browser"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Version", "Safari"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def browser(user_agent: str | None) -> str:
    """«Chrome 150, Linux» for the long line that a browser sends; another program's line as it is, cut."""
    sent = user_agent or ""
    system = next((name for mark, name in _SYSTEMS if mark in sent), "")
    for mark, name in _BROWSERS:
        if found := re.search(rf"{mark}\w*/(\d+)", sent):
            return ", ".join(filter(None, (f"{name} {found[1]}", system)))
    return sent[:60]


def kind_word(kind: KindInfo) -> str:
    """A kind of parties: the system's own translated, the company's own as somebody typed it, never as a message."""
    return _(kind.name) if kind.is_system else kind.name


def installed_word(name: str) -> str:
    """A name that came with the program, translated; one that somebody typed stands as typed, whatever is in it."""
    return _(name)


def iso(value: datetime | None) -> str:
    """For `<time datetime>` and data attributes: UTC to the millisecond."""
    return (
        ""
        if value is None
        else value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
