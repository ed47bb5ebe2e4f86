"""What is typed into the forms of tasks: terms as a day or a moment of the reader's zone, and the short words for them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from crm.errors import Invalid
from crm.task_lists import TaskRow
from crm.task_values import TaskValues
from crm.tasks import NewTask
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.pages.forms import Form, filled, read_date, read_moment

MINUTES: Final = (0, 10, 30, 60, 24 * 60)  # of a reminder before the term
IN_THE_MORNING: Final = time(10)
_PATH: Final = re.compile(r"/(?!/)[\w\-./?=&%]{0,300}")  # of ours, no other host's

Term = tuple[datetime | None, date | None]


def term_of(form: Form, zone: ZoneInfo) -> Term:
    """The term that was typed: `31.12.2027` is the whole day, `31.12.2027 14:30` the moment; nothing is none.

    Raises:
        Invalid: it is neither.
    """
    typed = form.text("due")
    if not typed:
        return None, None
    if (day := read_date(typed)) is not None:
        return None, day
    found = read_moment(typed)
    if found is None:
        raise Invalid(
            "due",
            typed[:50],
            N_("This is no term. Write it as 31.12.2027, or with the time: 31.12.2027 14:30."),
        )
    return found.replace(tzinfo=zone).astimezone(UTC), None


def term_in_words(word: str, now: datetime, zone: ZoneInfo) -> Term:
    """Today, tomorrow, in a week: the whole day; `morning` is tomorrow at ten; anything else is no term."""
    today = now.astimezone(zone).date()
    days = {"today": 0, "tomorrow": 1, "week": 7}
    if word == "morning":
        return morning_after(now, zone), None
    return None, today + timedelta(days=days[word]) if word in days else None


def morning_after(now: datetime, zone: ZoneInfo) -> datetime:
    """Tomorrow at ten, in this time zone."""
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, IN_THE_MORNING, tzinfo=zone).astimezone(UTC)


def new_of(form: Form, zone: ZoneInfo) -> NewTask:
    """Raises Invalid: the term."""
    due_at, due_on = term_of(form, zone)
    minutes = form.whole("minutes_before") if due_at is not None else None
    return NewTask(
        values=TaskValues(
            **_said(form),
            due_at=due_at,
            due_on=due_on,
            party_id=form.whole("party"),
            contact_id=form.whole("contact"),
            lead_id=form.whole("lead"),
            communication_id=call_of(form),
            is_private=form.flag("is_private"),
        ),
        owner_id=form.whole("owner_id"),
        watcher_ids=tuple(sorted(int(each) for each in form.several("watchers") if _is_id(each))),
        remind_minutes=minutes,
    )


def changes_of(form: Form, zone: ZoneInfo) -> dict[str, Any]:
    """What the form of an existing task may change. Raises Invalid: the term."""
    due_at, due_on = term_of(form, zone)
    is_private = form.flag("is_private")
    return {**_said(form), "due_at": due_at, "due_on": due_on, "is_private": is_private}


def form_of_task(task: TaskRow, zone: ZoneInfo) -> Form:
    """The form as it stands for what is stored."""
    return filled(
        {
            "title": task.title,
            "kind": task.kind,
            "priority": task.priority,
            "due": typed_term(task, zone),
            "note": task.note,
            "is_private": "1" if task.is_private else None,
            "version": task.version,
        }
    )


def typed_term(task: TaskRow, zone: ZoneInfo) -> str:
    if task.due_at is not None:
        return task.due_at.astimezone(zone).strftime("%d.%m.%Y %H:%M")
    return task.due_on.strftime("%d.%m.%Y") if task.due_on else ""


def call_of(form: Form) -> UUID | None:
    """The call that a form names; what is no id names none."""
    try:
        return UUID(form.text("call"))
    except ValueError:
        return None


def way_back(form: Form, otherwise: str) -> str:
    """The page of ours that the form was on."""
    back = form.text("back")
    return back if _PATH.fullmatch(back) else otherwise


def ids_of(form: Form) -> list[int]:
    """The ticked rows. Raises Invalid: none."""
    ids = [int(each) for each in form.several("ids") if _is_id(each)]
    if not ids:
        raise Invalid("ids", "", N_("Tick the rows first."))
    return ids


def _said(form: Form) -> dict[str, Any]:
    return {
        "title": form.text("title"),
        "kind": form.text("kind") or "errand",
        "priority": form.text("priority") or "normal",
        "note": form.prose("note") or None,
    }


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
