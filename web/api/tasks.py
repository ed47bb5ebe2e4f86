"""Tasks: list, read, set, change, hand over, complete; one's own reminders."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncSession

from crm import reminders, tasks
from crm.errors import Invalid, NotFound
from crm.paging import Page
from crm.task_cards import task_card
from crm.task_lists import TaskFilter, TaskRow, changed_tasks, list_tasks
from crm.task_values import TaskValues
from web.api.contract import ApiRoutes, Reply
from web.api.leads import IF_MATCH, told
from web.api.once import ONCE, once
from web.api.reading import NoQuery, Nothing, given, id_in_path, read_moment, read_version
from web.api.task_types import (
    Completion,
    Handing,
    MadeTask,
    NewReminder,
    NewTask,
    Reminder,
    ReminderList,
    Snooze,
    TaskChanges,
    TaskList,
    TaskQuery,
    TaskVersion,
    WholeTask,
)
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SERVICES, SESSIONS

routes = ApiRoutes()
PATH: Final = "/api/v1/tasks"
ONE: Final = PATH + "/{id:[0-9]+}"
ETAG: Final = {"ETag": "The version of the task, for If-Match."}
REMINDERS: Final = "/api/v1/reminders"
_ALONE: Final = (
    "whose",
    "state",
    "kind",
    "priority",
    "owner",
    "party",
    "lead",
    "number",
    "due_from",
    "due_to",
)
Change = Callable[[AsyncSession, int, dict[str, Any]], Awaitable[object]]


@routes.endpoint("GET", PATH, right="task.read", summary="Tasks within one's rights", answer=TaskList)
async def list_(request: web.Request, query: TaskQuery) -> TaskList:
    more: dict[str, Any] = {"cursor": query.cursor or None, "limit": query.limit}
    since = read_moment("changed_since", query.changed_since)
    if since is not None:
        _require_alone(request)
    async with request.app[SESSIONS]() as session:
        if since is not None:
            return told(await changed_tasks(session, request[ACCESS], since, **more), TaskList)
        page: Page[TaskRow] = await list_tasks(session, request[ACCESS], _wanted(query), **more)
    return told(page, TaskList)


def _require_alone(request: web.Request) -> None:
    for name in _ALONE:
        if name in request.query:
            raise Invalid(name, request.query[name][:50], N_("changed_since goes with no other filter."))


def _wanted(query: TaskQuery) -> TaskFilter:
    return TaskFilter(
        whose=query.whose,
        state=query.state,
        kind=given(query.kind),
        priority=given(query.priority),
        owner_id=given(query.owner),
        party_id=given(query.party),
        lead_id=given(query.lead),
        number=given(query.number),
        due_since=read_moment("due_from", query.due_from),
        due_before=read_moment("due_to", query.due_to),
    )


@routes.endpoint("GET", ONE, right="task.read", summary="One task", answer=WholeTask, sends=ETAG)
async def show(request: web.Request, _query: NoQuery) -> Reply:
    async with request.app[SESSIONS]() as session:
        card = await task_card(session, request[ACCESS], id_in_path(request))
    watchers = [{"id": user_id, "name": name} for user_id, name in card.watchers]
    answer = {
        "task": card.task,
        "watchers": watchers,
        "reminders": card.reminders,
        "may_edit": card.may_edit,
        "may_give": card.may_give,
    }
    return _with_version(told(answer, WholeTask), card.task.version)


@routes.endpoint(
    "POST",
    PATH,
    right="task.edit",
    summary="Set a task",
    description="For somebody else with the right task.give; they are told of it, and may read whom it is about.",
    answer=MadeTask,
    status=HTTPStatus.CREATED,
    headers=ONCE,
    sends={"Location": "The new task."},
)
async def create(request: web.Request, _query: NoQuery, new: NewTask) -> Reply:
    async def act(session: AsyncSession) -> MadeTask:
        home = request.app[SERVICES].time_zone
        made = await _tied(tasks.create_task(session, request[ACCESS], _new(new), home_zone=home, via="api"))
        row = await tasks.stand_of(session, made)
        return told(row, MadeTask)

    created = await once(request, act, MadeTask)
    return Reply(body=created, status=HTTPStatus.CREATED, headers={"Location": f"{PATH}/{created.id}"})


@routes.endpoint(
    "PATCH",
    ONE,
    right="task.edit",
    summary="Change what a task says",
    answer=TaskVersion,
    headers=IF_MATCH,
    sends=ETAG,
)
async def edit(request: web.Request, _query: NoQuery, changes: TaskChanges) -> Reply:
    said = _changes(changes)

    async def act(session: AsyncSession, task_id: int, more: dict[str, Any]) -> None:
        home = request.app[SERVICES].time_zone
        await _tied(tasks.edit_task(session, request[ACCESS], task_id, said, home_zone=home, **more))

    return await _change(request, act)


@routes.endpoint(
    "POST",
    ONE + "/complete",
    right="task.edit",
    summary="A task is done",
    description="One that is done already stays as it is.",
    answer=TaskVersion,
    headers=IF_MATCH,
    sends=ETAG,
)
async def complete(request: web.Request, _query: NoQuery, done: Completion) -> Reply:
    async def act(session: AsyncSession, task_id: int, more: dict[str, Any]) -> None:
        await tasks.complete_task(session, request[ACCESS], task_id, done.result, **more)

    return await _change(request, act)


@routes.endpoint(
    "POST",
    ONE + "/cancel",
    right="task.edit",
    summary="A task need not be done",
    answer=TaskVersion,
    headers=IF_MATCH,
    sends=ETAG,
)
async def cancel(request: web.Request, _query: NoQuery, _asked: Nothing) -> Reply:
    async def act(session: AsyncSession, task_id: int, more: dict[str, Any]) -> None:
        await tasks.cancel_task(session, request[ACCESS], task_id, **more)

    return await _change(request, act)


@routes.endpoint(
    "POST",
    ONE + "/reopen",
    right="task.edit",
    summary="Open a task again that is over",
    answer=TaskVersion,
    headers=IF_MATCH,
    sends=ETAG,
)
async def reopen(request: web.Request, _query: NoQuery, _asked: Nothing) -> Reply:
    async def act(session: AsyncSession, task_id: int, more: dict[str, Any]) -> None:
        await tasks.reopen_task(session, request[ACCESS], task_id, **more)

    return await _change(request, act)


@routes.endpoint(
    "POST",
    ONE + "/owner",
    right="task.give",
    summary="Hand a task over",
    description="Author and history stay. Who gives it out of their own sight gets the version all the same.",
    answer=TaskVersion,
    headers=IF_MATCH,
    sends=ETAG,
)
async def give(request: web.Request, _query: NoQuery, asked: Handing) -> Reply:
    async def act(session: AsyncSession, task_id: int, more: dict[str, Any]) -> None:
        access, home = request[ACCESS], request.app[SERVICES].time_zone
        await _tied(tasks.give_task(session, access, task_id, asked.owner_id, home_zone=home, **more))

    return await _change(request, act)


@routes.endpoint(
    "POST",
    ONE + "/reminders",
    right="task.read",
    summary="Remind oneself of a task",
    description="The same moment twice is one reminder.",
    answer=Reminder,
    status=HTTPStatus.CREATED,
)
async def remind(request: web.Request, _query: NoQuery, new: NewReminder) -> Reminder:
    async with request.app[SESSIONS].begin() as session:
        made = await reminders.add_reminder(
            session,
            request[ACCESS],
            id_in_path(request),
            at=_moment("at", new.at),
            minutes_before=new.minutes_before,
        )
    return told(made, Reminder)


@routes.endpoint(
    "GET",
    REMINDERS,
    right="task.read",
    summary="One's own reminders that are due and were not answered",
    answer=ReminderList,
)
async def list_reminders(request: web.Request, _query: NoQuery) -> ReminderList:
    async with request.app[SESSIONS]() as session:
        shown = await reminders.shown_reminders(session, request[ACCESS])
    return told({"items": shown}, ReminderList)


@routes.endpoint(
    "POST",
    REMINDERS + "/{id:[0-9]+}/snooze",
    right="task.read",
    summary="Remind once more, later",
    answer=Reminder,
)
async def snooze(request: web.Request, _query: NoQuery, asked: Snooze) -> Reminder:
    until = _moment("until", asked.until)
    assert until is not None, "a text was given"
    async with request.app[SESSIONS].begin() as session:
        return told(await reminders.snooze(session, request[ACCESS], id_in_path(request), until), Reminder)


@routes.endpoint(
    "POST",
    REMINDERS + "/{id:[0-9]+}/dismiss",
    right="task.read",
    summary="A reminder was seen, or is not wanted",
    answer=Nothing,
)
async def dismiss(request: web.Request, _query: NoQuery, _asked: Nothing) -> Nothing:
    async with request.app[SESSIONS].begin() as session:
        await reminders.dismiss(session, request[ACCESS], id_in_path(request))
    return Nothing()


def _new(new: NewTask) -> tasks.NewTask:
    names = ("title", "kind", "priority", "due_on", "note", "party_id", "contact_id", "lead_id")
    said = {name: getattr(new, name) for name in (*names, "communication_id", "is_private")}
    return tasks.NewTask(
        values=TaskValues(**said, due_at=_moment("due_at", new.due_at)),
        owner_id=new.owner_id,
        watcher_ids=tuple(new.watcher_ids),
        remind_at=_moment("remind_at", new.remind_at),
        remind_minutes=new.remind_minutes,
    )


def _changes(changes: TaskChanges) -> dict[str, Any]:
    """The fields that were said. One half of a term takes the other's place."""
    said = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
    if "due_at" in said:
        said["due_at"] = _moment("due_at", said["due_at"])
    if said.get("due_at") is not None:
        said.setdefault("due_on", None)
    if said.get("due_on") is not None:
        said.setdefault("due_at", None)
    return said


def _moment(name: str, text: str | None) -> datetime | None:
    return None if text is None else read_moment(name, text)


async def _change(request: web.Request, act: Change) -> Reply:
    """One change in a transaction of its own, over the version that was handed back; the new one is told."""
    task_id, version = id_in_path(request), read_version(request)
    async with request.app[SESSIONS].begin() as session:
        await act(session, task_id, {"base_version": version, "via": "api"})
        row = await tasks.stand_of(session, task_id)
        return _with_version(told(row, TaskVersion), row.version)


async def _tied(making: Awaitable[Any]) -> Any:
    """What a body names and is not there is a mistake of the body, the task in the address is not."""
    try:
        return await making
    except NotFound as error:
        kind = str(error.values["kind"])
        field = {"party": "party_id", "lead": "lead_id", "call": "communication_id", "user": "owner_id"}.get(
            kind
        )
        if field is None:
            raise
        why = N_("There is no such record, or you may not see it.")
        raise Invalid(field, error.values["id"], why) from error


def _with_version(body: Any, version: int) -> Reply:
    return Reply(body=body, status=HTTPStatus.OK, headers={"ETag": f'"{version}"'})
