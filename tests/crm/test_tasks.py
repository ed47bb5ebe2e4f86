"""Tasks: set, given, changed, done; who sees them, and what is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm import tasks
from crm.database import Database
from crm.errors import Conflict, Invalid, NotAllowed, NotFound
from crm.merging import merge_parties
from crm.party_access import readable_party
from crm.party_story import Source, lead_story, party_story
from crm.reminders import add_reminder, dismiss, fire_due, reminders_of, shown_reminders, snooze
from crm.rights import Access
from crm.schema.base import uuid7
from crm.schema.journals import ChangeLog, OutboxEvent
from crm.schema.tasks import Reminder, Task
from crm.schema.views import Notification
from crm.task_cards import task_card
from crm.task_lists import TaskFilter, changed_tasks, count_tasks, list_tasks
from crm.task_mass import complete_many, give_many, postpone_many
from crm.task_values import TaskValues, day_of, deadline_of, zone_named
from crm.tasks import NewTask, create_task
from tests.crm import planting
from tests.crm.enquiries import make_lead
from tests.crm.people import COMMAND, make_team, make_user

MOSCOW = "Europe/Moscow"
TASKS = frozenset({Source.TASK})
NOW = datetime.now(UTC).replace(microsecond=0)


async def setting(
    session: AsyncSession,
    access: Access,
    title: str = "Позвонить",
    *,
    owner: Access | None = None,
    **said: Any,
) -> int:
    more: dict[str, Any] = {
        name: said.pop(name) for name in ("remind_at", "remind_minutes", "watcher_ids") if name in said
    }
    new = NewTask(values=TaskValues(title=title, **said), owner_id=owner.user_id if owner else None, **more)
    return await create_task(session, access, new, home_zone=MOSCOW)


async def titles(session: AsyncSession, access: Access, **wanted: Any) -> list[str]:
    page = await list_tasks(session, access, TaskFilter(**wanted))
    return [row.title for row in page.items]


async def stored(session: AsyncSession, task_id: int) -> Task:
    row = await session.get(Task, task_id, populate_existing=True)
    assert row is not None
    return row


async def notices(session: AsyncSession, access: Access) -> list[tuple[str, Mapping[str, Any]]]:
    query = select(Notification.kind, Notification.detail).where(Notification.user_id == access.user_id)
    return [(kind, detail) for kind, detail in await session.execute(query.order_by(Notification.id))]


async def test_the_author_stays_when_a_task_changes_hands_and_each_is_told(session: AsyncSession) -> None:
    author, first, second = [await make_user(session) for _ in range(3)]
    task_id = await setting(session, author, "Отправить договор", owner=first)
    await tasks.give_task(session, author, task_id, second.user_id, home_zone=MOSCOW)
    row = await stored(session, task_id)
    assert (row.created_by, row.owner_id) == (author.user_id, second.user_id)
    for access in (first, second):
        assert await notices(session, access) == [("task", {"name": "Отправить договор"})]
    with pytest.raises(NotFound):  # it is theirs no longer
        await task_card(session, first, task_id)
    await tasks.complete_task(session, second, task_id, "Отправлен")
    assert ("task_done", {"name": "Отправить договор"}) in await notices(session, author)
    row = await stored(session, task_id)
    assert (row.state, row.result, row.completed_by_id) == ("done", "Отправлен", second.user_id)
    types = await session.scalars(
        select(OutboxEvent.type)
        .where(OutboxEvent.record_kind == "task", OutboxEvent.record_id == str(task_id))
        .order_by(OutboxEvent.id)
    )
    assert list(types) == ["task.created", "task.assigned", "task.completed"]
    card = await task_card(session, author, task_id)
    assert {field.field for change in card.changes for field in change.fields} >= {"state", "owner_id"}


async def test_giving_to_others_needs_the_right(session: AsyncSession) -> None:
    telephony, agent = await make_user(session, ("telephony",)), await make_user(session)
    own = await setting(session, telephony)
    with pytest.raises(NotAllowed, match=r"task\.give"):
        await setting(session, telephony, owner=agent)
    with pytest.raises(NotAllowed, match=r"task\.give"):
        await tasks.give_task(session, telephony, own, agent.user_id, home_zone=MOSCOW)
    with pytest.raises(NotFound):
        await tasks.give_task(session, agent, own, agent.user_id, home_zone=MOSCOW)


async def test_t11_own_team_and_all_narrow_the_lists(session: AsyncSession) -> None:
    team, other = await make_team(session, "Продажи"), await make_team(session, "Сервис")
    agent = await make_user(session, ("agent",), team_id=team)
    head = await make_user(session, ("head",), team_id=team, is_head=True)
    stranger = await make_user(session, ("agent",), team_id=other)
    admin = await make_user(session, ("admin",))
    of_agent = await setting(session, agent, "agent's")
    await setting(session, stranger, "stranger's")
    assert await titles(session, agent) == ["agent's"]
    assert await titles(session, head) == ["agent's"]
    assert await titles(session, stranger) == ["stranger's"]
    assert {"agent's", "stranger's"} <= set(await titles(session, admin))
    for refused in (stranger,):
        with pytest.raises(NotFound):
            await task_card(session, refused, of_agent)
        with pytest.raises(NotFound):
            await tasks.complete_task(session, refused, of_agent)
    assert (await task_card(session, head, of_agent)).may_edit


async def test_a_private_task_is_seen_by_its_author_alone(session: AsyncSession) -> None:
    team = await make_team(session, "Тихие")
    agent = await make_user(session, ("agent",), team_id=team)
    admin = await make_user(session, ("admin",), team_id=team)
    task_id = await setting(session, agent, "Зубной", is_private=True)
    assert await titles(session, agent, whose="mine") == ["Зубной"]
    assert "Зубной" not in await titles(session, admin)
    with pytest.raises(NotFound):
        await task_card(session, admin, task_id)
    with pytest.raises(NotFound):
        await tasks.complete_task(session, admin, task_id)
    with pytest.raises(Invalid):
        await setting(session, agent, is_private=True, owner=admin)
    await tasks.edit_task(session, agent, task_id, {"title": "Врач", "note": "к двум"}, home_zone=MOSCOW)
    assert (await stored(session, task_id)).title == "Врач"
    kept = select(ChangeLog.new, OutboxEvent.after).join(
        OutboxEvent, OutboxEvent.record_id == ChangeLog.record_id
    )
    rows = await session.execute(kept.where(ChangeLog.record_id == str(task_id)))
    assert not any(word in str(row) for row in rows for word in ("Зубной", "Врач", "к двум"))
    client = await planting.organisation(session, "ООО «Личное»", owner_id=agent.user_id)
    with pytest.raises(Invalid):
        await setting(session, agent, is_private=True, party_id=client)
    with pytest.raises(Invalid):
        await tasks.give_task(session, agent, task_id, admin.user_id, home_zone=MOSCOW)


async def test_whoever_follows_a_task_reads_it_and_changes_nothing(session: AsyncSession) -> None:
    agent, friend = await make_user(session), await make_user(session)
    task_id = await setting(session, agent, watcher_ids=(friend.user_id,))
    assert await titles(session, friend, whose="watched") == ["Позвонить"]
    assert not (await task_card(session, friend, task_id)).may_edit
    with pytest.raises(NotFound):
        await tasks.complete_task(session, friend, task_id)
    await tasks.watch_task(session, friend, task_id, is_watched=False)
    with pytest.raises(NotFound):
        await task_card(session, friend, task_id)


async def test_terms_order_the_open_ones_and_pages_lose_nothing(session: AsyncSession) -> None:
    agent = await make_user(session)
    for days in (3, 1, 2):
        await setting(session, agent, f"через {days}", due_at=NOW + timedelta(days=days))
    await setting(session, agent, "без срока")
    await setting(session, agent, "тоже без срока")
    first = await list_tasks(session, agent, TaskFilter(whose="mine"), limit=2)
    seen = [row.title for row in first.items]
    cursor = first.next
    while cursor:
        page = await list_tasks(session, agent, TaskFilter(whose="mine"), cursor=cursor, limit=2)
        seen, cursor = seen + [row.title for row in page.items], page.next
    assert seen == ["через 1", "через 2", "через 3", "без срока", "тоже без срока"]
    newest = await list_tasks(session, agent, TaskFilter(whose="mine", state="all"), limit=3)
    assert [row.title for row in newest.items] == ["тоже без срока", "без срока", "через 2"]
    more = await list_tasks(session, agent, TaskFilter(whose="mine", state="all"), cursor=newest.next)
    assert len(more.items) == 2
    with pytest.raises(Invalid):
        await list_tasks(session, agent, TaskFilter(whose="mine"), cursor="x")


async def test_a_day_ends_where_the_responsible_is(session: AsyncSession) -> None:
    agent = await make_user(session)
    task_id = await setting(session, agent, due_on=date(2026, 12, 1))
    row = await stored(session, task_id)
    assert row.deadline == datetime(2026, 12, 1, 20, 59, 59, 999999, tzinfo=UTC)
    await session.execute(
        text("update app_user set time_zone = 'Asia/Vladivostok' where id = :id"), {"id": agent.user_id}
    )
    await tasks.follow_zone(session, agent, MOSCOW)
    row = await stored(session, task_id)
    assert row.deadline == datetime(2026, 12, 1, 13, 59, 59, 999999, tzinfo=UTC)
    since, until = day_of(datetime(2026, 12, 1, 10, tzinfo=UTC), zone_named("Asia/Vladivostok", MOSCOW))
    assert since <= row.deadline < until
    assert deadline_of(None, None, zone_named(None, "Nowhere/Here")).year == 9999


async def test_today_and_overdue_are_apart(session: AsyncSession) -> None:
    agent = await make_user(session)
    zone = zone_named(None, MOSCOW)
    since, until = day_of(NOW, zone)
    await setting(session, agent, "вчера", due_on=(NOW.astimezone(zone) - timedelta(days=1)).date())
    await setting(session, agent, "сегодня", due_on=NOW.astimezone(zone).date())
    await setting(session, agent, "завтра", due_on=(NOW.astimezone(zone) + timedelta(days=1)).date())
    today: dict[str, Any] = {"whose": "mine", "due_since": since, "due_before": until}
    assert await titles(session, agent, **today) == ["сегодня"]
    assert await titles(session, agent, whose="mine", due_before=NOW) == ["вчера"]
    assert (await count_tasks(session, agent, TaskFilter(whose="mine"))).value == 3


async def test_a_task_over_an_old_version_is_a_conflict(session: AsyncSession) -> None:
    agent = await make_user(session)
    task_id = await setting(session, agent)
    await tasks.edit_task(session, agent, task_id, {"title": "Иначе"}, home_zone=MOSCOW, base_version=1)
    with pytest.raises(Conflict, match=agent.name):
        await tasks.edit_task(session, agent, task_id, {"title": "Ещё"}, home_zone=MOSCOW, base_version=1)
    log = select(ChangeLog.old, ChangeLog.new).where(
        ChangeLog.record_kind == "task", ChangeLog.record_id == str(task_id), ChangeLog.field == "title"
    )
    assert [tuple(row) for row in await session.execute(log.order_by(ChangeLog.id))][1:] == [
        ("Позвонить", "Иначе")
    ]
    unchanged = await tasks.edit_task(session, agent, task_id, {"title": "Иначе"}, home_zone=MOSCOW)
    assert unchanged == 2


@pytest.mark.parametrize(
    "said",
    [
        {"title": " "},
        {"title": "x" * 301},
        {"title": "нуль\0"},
        {"kind": "party"},
        {"priority": "urgent"},
        {"due_at": NOW, "due_on": NOW.date()},
        {"due_on": date(1900, 1, 1)},
        {"note": "x" * 10_001},
    ],
    ids=" ".join,
)
async def test_what_is_no_task_is_refused(session: AsyncSession, said: dict[str, Any]) -> None:
    agent = await make_user(session)
    with pytest.raises(Invalid):
        await setting(session, agent, said.pop("title", "x"), **said)
    assert await titles(session, agent) == []


async def test_a_task_ends_once_and_opens_again(session: AsyncSession) -> None:
    agent = await make_user(session)
    task_id = await setting(session, agent)
    await tasks.start_task(session, agent, task_id)
    done = await tasks.complete_task(session, agent, task_id, "Готово")
    assert await tasks.complete_task(session, agent, task_id, "Иначе") == done
    for refused in (tasks.cancel_task, tasks.start_task):
        with pytest.raises(Invalid):
            await refused(session, agent, task_id)
    await tasks.reopen_task(session, agent, task_id)
    row = await stored(session, task_id)
    assert (row.state, row.completed_at, row.result) == ("new", None, "Готово")
    await tasks.cancel_task(session, agent, task_id)
    with pytest.raises(Invalid):
        await tasks.complete_task(session, agent, task_id)


async def test_a_task_is_tied_to_what_one_may_read_only(session: AsyncSession) -> None:
    agent, stranger = await make_user(session), await make_user(session)
    mine = await planting.organisation(session, "ООО «Моё»", owner_id=agent.user_id)
    theirs = await planting.organisation(session, "ООО «Их»", owner_id=stranger.user_id)
    lead = await make_lead(session, agent, need="Окна")
    foreign = await make_lead(session, stranger, need="Двери")
    refused: list[dict[str, Any]] = [{"party_id": theirs}, {"lead_id": foreign.id}, {"contact_id": mine}]
    for said in refused:
        with pytest.raises(NotFound):
            await setting(session, agent, **said)
    of_lead = await setting(session, agent, lead_id=lead.id)
    assert (await stored(session, of_lead)).party_id == lead.party_id
    task_id = await setting(session, agent, party_id=mine)
    with pytest.raises(NotFound):
        await tasks.edit_task(session, agent, task_id, {"party_id": theirs}, home_zone=MOSCOW)


async def test_whoever_gets_a_task_may_read_whom_it_is_about(session: AsyncSession) -> None:
    agent, colleague, stranger = [await make_user(session) for _ in range(3)]
    client = await planting.organisation(session, "ООО «Передано»", owner_id=agent.user_id)
    task_id = await setting(session, agent, owner=colleague, party_id=client)
    (row,) = (await list_tasks(session, colleague)).items
    assert row.party_name == "ООО «Передано»"
    assert (await readable_party(session, colleague, client)).id == client
    await tasks.give_task(session, colleague, task_id, stranger.user_id, home_zone=MOSCOW)
    with pytest.raises(NotFound):  # what is lent is not passed on
        await readable_party(session, stranger, client)
    (row,) = (await list_tasks(session, stranger)).items
    assert (row.party_id, row.party_name) == (None, None)


async def test_a_task_during_a_call_knows_its_client_before_the_journal_does(session: AsyncSession) -> None:
    agent = await make_user(session)
    office = await planting.connection(session, "АТС задач")
    client = await planting.organisation(session, "ООО «Звонит»", owner_id=agent.user_id)
    past = await planting.past_call(
        session, office, "+79000000041", NOW, party_id=client, user_id=agent.user_id
    )
    task_id = await setting(session, agent, communication_id=past)
    assert (await stored(session, task_id)).party_id == client
    unknown = uuid7()
    with pytest.raises(NotFound):
        await setting(session, agent, communication_id=unknown)
    new = NewTask(values=TaskValues(title="Сейчас", communication_id=unknown), is_present=True)
    made = await create_task(session, agent, new, home_zone=MOSCOW)
    assert (await stored(session, made)).communication_id == unknown


async def test_tasks_stand_in_the_line_of_time_page_by_page(session: AsyncSession) -> None:
    agent = await make_user(session)
    lead = await make_lead(session, agent, need="Окна")
    for number in range(5):
        await setting(session, agent, f"{number}", lead_id=lead.id)
    private = await make_user(session, ("admin",))
    await setting(session, private, "чужая", lead_id=lead.id)
    seen: list[str] = []
    cursor = None
    while True:
        page = await party_story(session, agent, lead.party_id, sources=TASKS, cursor=cursor, limit=2)
        seen += [entry.task.title for entry in page.items if entry.task]
        if (cursor := page.next) is None:
            break
    assert seen == ["4", "3", "2", "1", "0"]
    of_lead = await lead_story(session, agent, lead.id)
    assert [entry.task.title for entry in of_lead.items if entry.task] == seen


async def test_a_merge_takes_tasks_along(session: AsyncSession) -> None:
    kept = await planting.organisation(session, "ООО «Остаётся»", kind="client")
    gone = await planting.organisation(session, "ООО «Уходит»", kind="client")
    agent = await make_user(session, ("admin",))
    task_id = await setting(session, agent, party_id=gone)
    await merge_parties(session, COMMAND, kept, [gone])
    assert (await stored(session, task_id)).party_id == kept


async def test_changes_are_read_in_their_order(session: AsyncSession) -> None:
    agent = await make_user(session)
    first, second = await setting(session, agent, "первая"), await setting(session, agent, "вторая")
    at = NOW - timedelta(days=2)
    for task_id, hours in ((first, 5), (second, 1)):
        moved = text("update task set updated_at = :at where id = :id")
        await session.execute(moved, {"at": at + timedelta(hours=hours), "id": task_id})
    page = await changed_tasks(session, agent, at, limit=1)
    assert [row.title for row in page.items] == ["вторая"]
    rest = await changed_tasks(session, agent, at, cursor=page.next)
    assert [row.title for row in rest.items] == ["первая"]
    assert (await changed_tasks(session, agent, at + timedelta(hours=6))).items == ()


async def test_actions_on_many_count_what_they_could_not_do(database: Database) -> None:
    async with database.sessions.begin() as session:
        agent, colleague = await make_user(session), await make_user(session)
        mine = [await setting(session, agent, f"моя {n}") for n in range(3)]
        private = await setting(session, agent, "личная", is_private=True)
        foreign = await setting(session, colleague, "чужая")
    moved = await postpone_many(
        database.sessions, agent, [*mine, foreign], None, date(2027, 1, 11), home_zone=MOSCOW
    )
    assert (moved.changed, moved.refused) == (3, 1)
    given = await give_many(
        database.sessions, agent, [*mine[:1], private], colleague.user_id, home_zone=MOSCOW
    )
    assert (given.changed, given.refused) == (1, 1)
    done = await complete_many(database.sessions, agent, [*mine[1:], 10**12])
    assert (done.changed, done.refused) == (2, 1)
    with pytest.raises(Invalid):
        await complete_many(database.sessions, agent, list(range(501)))


async def test_a_reminder_fires_once_and_stays_until_it_is_answered(database: Database) -> None:
    """Two programs at once, then a third one after a restart."""
    async with database.sessions.begin() as session:
        await session.execute(delete(Reminder))
        agent = await make_user(session)
        task_id = await setting(session, agent, "Перезвонить", due_at=NOW, remind_minutes=10)
        await setting(session, agent, "Позже", due_at=NOW + timedelta(hours=1), remind_minutes=10)
    fired = 0
    async with database.sessions.begin() as one, database.sessions.begin() as other:
        fired += await fire_due(one, COMMAND, NOW) + await fire_due(other, COMMAND, NOW)
    async with database.sessions.begin() as session:
        fired += await fire_due(session, COMMAND, NOW)
        assert fired == 1
        (shown,) = await shown_reminders(session, agent)
        assert shown.task_id == task_id
        assert ("reminder", {"name": "Перезвонить"}) in await notices(session, agent)
        soon = datetime.now(UTC) + timedelta(minutes=5)
        later = await snooze(session, agent, shown.id, soon)
        assert await shown_reminders(session, agent) == []
        assert await fire_due(session, COMMAND, soon - timedelta(minutes=1)) == 0
        assert await fire_due(session, COMMAND, soon) == 1
        (again,) = await shown_reminders(session, agent)
        assert again.id == later.id
        unseen = select(Notification.id).where(
            Notification.user_id == agent.user_id, Notification.seen_at.is_(None)
        )
        assert len(list(await session.scalars(unseen))) == 1
        await dismiss(session, agent, again.id)
        assert await shown_reminders(session, agent) == []
        assert list(await session.scalars(unseen)) == []
        for answer in (dismiss(session, agent, again.id), snooze(session, agent, shown.id, soon)):
            with pytest.raises(NotFound):
                await answer


async def test_reminders_go_with_the_term_the_owner_and_the_end(session: AsyncSession) -> None:
    agent, colleague = await make_user(session), await make_user(session)
    task_id = await setting(session, agent, due_at=NOW + timedelta(hours=2), remind_minutes=10)
    other = NOW + timedelta(hours=5)
    await tasks.postpone(session, agent, task_id, other, None, home_zone=MOSCOW)
    (moved,) = await reminders_of(session, agent, task_id)
    assert moved.fire_at == other - timedelta(minutes=10)
    await tasks.give_task(session, agent, task_id, colleague.user_id, home_zone=MOSCOW)
    assert await reminders_of(session, agent, task_id) == []
    assert len(await reminders_of(session, colleague, task_id)) == 1
    await tasks.complete_task(session, colleague, task_id)
    assert await reminders_of(session, colleague, task_id) == []
    await fire_due(session, COMMAND, NOW + timedelta(days=1))
    assert await shown_reminders(session, colleague) == []
    with pytest.raises(Invalid):
        await add_reminder(session, colleague, task_id, at=NOW + timedelta(hours=1))


async def test_only_a_reader_is_reminded_and_only_of_what_is_to_come(session: AsyncSession) -> None:
    agent, stranger = await make_user(session), await make_user(session)
    task_id = await setting(session, agent)
    with pytest.raises(NotFound):
        await add_reminder(session, stranger, task_id, at=NOW + timedelta(hours=1))
    with pytest.raises(Invalid):
        await add_reminder(session, agent, task_id, at=NOW - timedelta(hours=1))
    with pytest.raises(Invalid):
        await add_reminder(session, agent, task_id, minutes_before=5)
    made = await add_reminder(session, agent, task_id, at=NOW + timedelta(hours=1))
    assert await add_reminder(session, agent, task_id, at=NOW + timedelta(hours=1)) == made
    with pytest.raises(NotFound):
        await dismiss(session, stranger, made.id)
    await dismiss(session, agent, made.id)
    assert await reminders_of(session, agent, task_id) == []
