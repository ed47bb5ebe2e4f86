"""Reading what a person typed into a form: values as typed, problems by field, nothing lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, date, datetime, time

MOST_CHARACTERS = 2000
OTHER = "::other"  # chosen instead of what a directory offers: what is meant stands in the field NAME-other

# Control characters have no place in what a person typed; a tab or a line break does.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_RUSSIAN_DATE = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


@dataclass(slots=True)
class Form:
    """One posted (or not yet posted) form: what was typed, and what is wrong with it, by field.

    The field "" holds what concerns the form as a whole. A form with problems is shown again.
    """

    values: dict[str, str] = field(default_factory=dict)
    chosen: dict[str, frozenset[str]] = field(default_factory=dict)  # fields with several values
    problems: dict[str, str] = field(default_factory=dict)
    is_outdated: bool = False  # somebody else saved meanwhile

    @property
    def is_good(self) -> bool:
        return not self.problems

    @property
    def status(self) -> int:
        """Of the answer that shows this form."""
        return 200 if self.is_good else 409 if self.is_outdated else 422

    def refuse(self, name: str, problem: str) -> None:
        """Say what is wrong with a field; the first word on a field stays."""
        self.problems.setdefault(name, problem)

    def text(self, name: str) -> str:
        """What was typed on one line: trimmed, inner blanks as one blank."""
        return " ".join(self.values.get(name, "").split())

    def prose(self, name: str) -> str:
        """What was typed in a larger box, with its line breaks."""
        return self.values.get(name, "").replace("\r\n", "\n").strip()

    def optional(self, name: str) -> str | None:
        return self.text(name) or None

    def flag(self, name: str) -> bool:
        return name in self.values

    def several(self, name: str) -> frozenset[str]:
        return self.chosen.get(name, frozenset())

    def whole(self, name: str) -> int | None:
        """A whole number, or None where nothing (or something else) stands."""
        typed = self.text(name)
        return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 19 else None


def form_of(pairs: Iterable[tuple[str, object]]) -> Form:
    """The form that a browser posted; files and control characters are left out."""
    form, chosen = Form(), dict[str, set[str]]()
    for name, value in pairs:
        if isinstance(value, str):
            clean = _CONTROL.sub("", value)[: MOST_CHARACTERS * 10]
            form.values[name] = clean
            chosen.setdefault(name, set()).add(clean)
    form.chosen = {name: frozenset(values) for name, values in chosen.items()}
    for name in [name for name, value in form.values.items() if value == OTHER]:
        form.values[name] = form.values.get(f"{name}-other", "")
    return form


def filled(values: Mapping[str, object | None], **chosen: Iterable[str]) -> Form:
    """A form as it is first shown: with what is stored."""
    form = Form({name: str(value) for name, value in values.items() if value not in (None, False)})
    form.chosen.update({name: frozenset(several) for name, several in chosen.items()})
    return form


def read_date(typed: str) -> date | None:
    """`20.11.2026`, or the `2026-11-20` of a native field; None for anything else, also at the ends of the calendar."""
    if found := _RUSSIAN_DATE.fullmatch(typed.strip()):
        day, month, year = map(int, found.groups())
    elif found := _ISO_DATE.fullmatch(typed.strip()):
        year, month, day = map(int, found.groups())
    else:
        return None
    if year in (MINYEAR, MAXYEAR):
        return None  # a time zone, or the day after, may leave the calendar
    try:
        return date(year, month, day)
    except ValueError:
        return None


def read_moment(typed: str) -> datetime | None:
    """`20.11.2026 14:32`, or a date alone for its midnight; without a zone. None for anything else."""
    day, _blank, clock = typed.strip().replace("T", " ").partition(" ")
    if (found := read_date(day)) is None:
        return None
    try:
        return datetime.combine(found, time.fromisoformat(clock.strip()) if clock else time())
    except ValueError:
        return None
