"""Tasks and reminders as the API takes and tells them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from web.api.reading import Id, LongText, Moment, PageQuery

Kind = Literal["call", "meeting", "letter", "document", "errand"]
State = Literal["new", "in_progress", "done", "cancelled"]
Asked = Literal["open", "all", "new", "in_progress", "done", "cancelled"]
Priority = Literal["low", "normal", "high"]
Whose = Literal["all", "mine", "given", "watched"]
Title = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"^[^\x00]*\S[^\x00]*$")]
Minutes = Annotated[int, Meta(ge=0, le=44_640, description="before `due_at`")]
Users = Annotated[list[Id], Meta(max_length=30)]


class TaskQuery(PageQuery, kw_only=True):
    """Open tasks by their term, those without one last; any other state newest first.

    `whose`: to be done by the token's user, given by them to others, followed by them, or all within their rights. The term is
    half-open: `due_from` ≤ term < `due_to`. With `changed_since` tasks of every state changed then or later, the earliest
    change first; it goes with no other filter.
    """

    whose: Whose = "all"
    state: Asked = "open"
    kind: Kind | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    owner: Id | UnsetType = UNSET
    party: Id | UnsetType = UNSET
    lead: Id | UnsetType = UNSET
    number: Id | UnsetType = UNSET
    due_from: Moment | UnsetType = UNSET
    due_to: Moment | UnsetType = UNSET
    changed_since: Moment | UnsetType = UNSET


class Task(msgspec.Struct, kw_only=True):
    """A task. The term is `due_at` or the whole day `due_on`; `deadline` is the moment after which it is overdue.

    Client, contact and lead are null where one may not read them. `phone`: of the contact, else of the client.
    """

    id: int
    number: int
    title: str
    kind: Kind
    state: State
    priority: Priority
    due_at: datetime | None
    due_on: date | None
    deadline: datetime | None
    owner_id: int
    owner_name: str
    author_id: int | None
    author_name: str | None
    party_id: int | None
    party_name: str | None
    contact_id: int | None
    contact_name: str | None
    phone: str | None
    lead_id: int | None
    lead_number: int | None
    communication_id: UUID | None
    note: str | None
    result: str | None
    completed_at: datetime | None
    completed_by_name: str | None
    is_private: bool
    created_at: datetime
    updated_at: datetime
    version: int


class TaskList(msgspec.Struct):
    items: list[Task]
    next: str | None


class Reminder(msgspec.Struct, kw_only=True):
    """A reminder of one's own: `pending` until `fire_at`, then `shown` until it is answered."""

    id: int
    task_id: int
    fire_at: datetime
    minutes_before: int | None
    state: Literal["pending", "shown", "snoozed", "dismissed"]


class Watcher(msgspec.Struct):
    id: int
    name: str


class WholeTask(msgspec.Struct, kw_only=True):
    """A task with who follows it and one's own reminders."""

    task: Task
    watchers: list[Watcher]
    reminders: list[Reminder]
    may_edit: bool
    may_give: bool


class NewTask(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`owner_id`: who is to do it, the token's user by default. A term is `due_at` or `due_on`, not both."""

    title: Title
    kind: Kind = "errand"
    priority: Priority = "normal"
    due_at: Moment | None = None
    due_on: date | None = None
    note: LongText | None = None
    owner_id: Id | None = None
    party_id: Id | None = None
    contact_id: Id | None = None
    lead_id: Id | None = None
    communication_id: UUID | None = None
    is_private: bool = False
    watcher_ids: Users = []
    remind_at: Moment | None = None
    remind_minutes: Minutes | None = None


class MadeTask(msgspec.Struct):
    id: int
    number: int
    version: int


class TaskChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays. A term takes the place of the one before: null for both is none."""

    title: Title | UnsetType = UNSET
    kind: Kind | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    due_at: Moment | UnsetType | None = UNSET
    due_on: date | UnsetType | None = UNSET
    note: LongText | UnsetType | None = UNSET
    party_id: Id | UnsetType | None = UNSET
    contact_id: Id | UnsetType | None = UNSET
    lead_id: Id | UnsetType | None = UNSET
    is_private: bool | UnsetType = UNSET


class TaskVersion(msgspec.Struct):
    id: int
    state: State
    version: int


class Completion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What came of it."""

    result: LongText = ""


class Handing(msgspec.Struct, forbid_unknown_fields=True):
    owner_id: Id


class NewReminder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The moment itself, or the minutes before the term: one of the two."""

    at: Moment | None = None
    minutes_before: Minutes | None = None


class ReminderList(msgspec.Struct):
    items: list[Reminder]
    next: str | None = None


class Snooze(msgspec.Struct, forbid_unknown_fields=True):
    until: Moment
