"""The lists of tasks: which there are, their columns, and the filters that an address can name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from crm.rights import Access, Scope
from crm.task_lists import TaskFilter
from crm.task_values import KINDS, PRIORITIES, STATES, day_of
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.pages.forms import Form
from web.pages.lists.frame import Column, ListFrame, named

_COLUMNS: Final = (
    Column(name="title", title=N_("Task"), css="cell-main", is_fixed=True),
    Column(name="due", title=N_("Term")),
    Column(name="kind", title=N_("Kind")),
    Column(name="party", title=N_("Client")),
    Column(name="phone", title=N_("Phone")),
    Column(name="owner", title=N_("Responsible")),
    Column(name="author", title=N_("Set by")),
    Column(name="state", title=N_("State")),
    Column(name="number", title=N_("Number"), css="cell-number"),
    Column(name="created", title=N_("Created"), css="cell-number"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSection:
    """One of the lists. `term`: "today", "overdue", or any; `whose` as in `TaskFilter`."""

    frame: ListFrame
    whose: str
    term: str = ""

    @property
    def path(self) -> str:
        return self.frame.path

    @property
    def title(self) -> str:
        return self.frame.title

    @property
    def has_states(self) -> bool:
        """Today's and overdue ones are open by their nature."""
        return not self.term

    def is_for(self, access: Access) -> bool:
        return self.whose != "all" or access.scope("task.read") > Scope.OWN

    def wanted(self, values: Mapping[str, str], now: datetime, zone: ZoneInfo) -> TaskFilter:
        """What the filters of an address mean here; unreadable ones narrow nothing."""
        term: dict[str, Any] = {}
        if self.term == "today":
            term = dict(zip(("due_since", "due_before"), day_of(now, zone), strict=True))
        elif self.term == "overdue":
            term = {"due_before": now}
        return TaskFilter(
            whose=self.whose,
            state=_one(values, "state", (*STATES, "all")) or "open" if self.has_states else "open",
            kind=_one(values, "kind", KINDS),
            priority=_one(values, "priority", PRIORITIES),
            owner_id=Form(dict(values)).whole("owner"),
            number=Form({"number": values.get("number", "").removeprefix("№")}).whole("number"),
            **term,
        )


def _one(values: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    return values[name] if values.get(name) in known else None


def _section(area: str, path: str, title: str, whose: str, *, term: str = "", **more: Any) -> TaskSection:
    filters = ("number", "kind", "priority", *(() if term else ("state",)), *more.get("filters", ()))
    usual = ("title", "due", "kind", "party", "phone", *more.get("usual", ()))
    frame = ListFrame(
        area=area,
        path=path,
        title=title,
        right="task.read",
        columns=_COLUMNS,
        usual=usual,
        sorts={"due": N_("By term")},
        filters=filters,
    )
    return TaskSection(frame=named(frame), whose=whose, term=term)


SECTIONS: Final = (
    _section("tasks_today", "/tasks", N_("Today"), "mine", term="today", usual=("author",)),
    _section("tasks_overdue", "/tasks/overdue", N_("Overdue"), "mine", term="overdue", usual=("author",)),
    _section("tasks_mine", "/tasks/mine", N_("My tasks"), "mine", usual=("author", "state")),
    _section("tasks_given", "/tasks/given", N_("Set by me"), "given", usual=("owner", "state")),
    _section("tasks_watched", "/tasks/watched", N_("Followed"), "watched", usual=("owner", "state")),
    _section(
        "tasks_team",
        "/tasks/team",
        N_("Department"),
        "all",
        usual=("owner", "state"),
        filters=("owner",),
    ),
)
TODAY, OVERDUE = SECTIONS[0], SECTIONS[1]
