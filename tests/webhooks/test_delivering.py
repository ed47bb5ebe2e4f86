"""Senders at work, with a real database and real receivers: in order, once more until it got through, each for itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import TextClause, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.database import Database
from crm.deliveries import repeat_failed
from crm.delivery_queue import _DUE, _TAKE_OVER, Tried, due, hold, settle, take_over
from crm.feed_clock import keep_ahead
from crm.schema.base import uuid7
from crm.schema.subscribers import Subscriber, SubscriberDelivery
from crm.schema.views import Notification
from crm.sealing import Seal
from crm.subscribers import (
    SubscriberValues,
    edit_subscriber,
    pause_subscriber,
    resume_subscriber,
    rotate_secret,
)
from crm.task_values import TaskValues
from crm.tasks import NewTask, create_task
from tests.crm.people import COMMAND, make_user
from tests.webhooks.office import LOOPBACK, Clock, deliveries, happen, seal_in, states, stored, subscribe
from tests.webhooks.receiver import is_signed, receiving
from webhooks.delivering import PAUSES, Deliverer, pause_after
from webhooks.outgoing import PARALLEL


@pytest.fixture(scope="module")
def seal(tmp_path_factory: pytest.TempPathFactory) -> Seal:
    return seal_in(Path(tmp_path_factory.mktemp("seal")))


def soon(_failures: int) -> timedelta:
    return timedelta(milliseconds=20)


@asynccontextmanager
async def sending(
    database: Database,
    seal: Seal,
    *ids: int,
    clock: Clock | None = None,
    pause: Callable[[int], timedelta] = soon,
) -> AsyncIterator[list[Deliverer]]:
    """Senders for these subscribers, as one program has them."""
    turns, me = asyncio.Semaphore(2), uuid7()
    common: dict[str, Any] = {"sessions": database.sessions, "seal": seal, "networks": LOOPBACK, "me": me}
    common |= {"turns": turns, "pause": pause, "now": clock or Clock()}
    senders = [Deliverer(each, **common) for each in ids]
    tasks = [asyncio.create_task(sender.run()) for sender in senders]
    yield senders
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def settled(database: Database, subscriber_id: int, wanted: list[str]) -> None:
    async with asyncio.timeout(10):
        while await states(database, subscriber_id) != wanted:
            await asyncio.sleep(0.02)


async def test_events_arrive_signed_in_order_and_only_those_that_were_chosen(
    database: Database, seal: Seal
) -> None:
    async with receiving() as receiver:
        subscriber, secret = await subscribe(database, seal, "In order", receiver.url)
        await happen(database, 1, 2)
        await happen(database, 3, type_="party.created")  # not chosen
        await happen(database, 1)
        async with sending(database, seal, subscriber):
            await receiver.heard(3)
            await settled(database, subscriber, ["delivered"] * 3)
    of_one = [event for event in receiver.events if event["record"]["id"] == "1"]
    assert [int(event["id"]) for event in of_one] == sorted(int(event["id"]) for event in of_one)
    assert sorted(receiver.records()) == [
        ("party.changed", "1"),
        ("party.changed", "1"),
        ("party.changed", "2"),
    ]
    assert of_one[0]["after"] == {"city": "Тверь"}
    assert all(is_signed(*told, secret) for told in zip(receiver.headers, receiver.bodies, strict=True))
    assert [told["webhook-id"] for told in receiver.headers] == receiver.ids
    (first, *_rest) = await deliveries(database, subscriber)
    assert (first.attempts, first.answer_status, first.answer_body, first.trouble) == (1, 200, "noted", None)


async def test_what_fails_comes_again_and_holds_back_its_own_record_only(
    database: Database, seal: Seal
) -> None:
    broken = {"1"}

    def answer(event: dict[str, Any]) -> int:
        return 500 if event["record"]["id"] in broken else 200

    async with receiving(answer) as receiver:
        subscriber, _secret = await subscribe(database, seal, "Poison", receiver.url)
        await happen(database, 1, 1, 2)
        async with sending(database, seal, subscriber):
            await settled(database, subscriber, ["waiting", "waiting", "delivered"])
            first, second, _other = await deliveries(database, subscriber)
            assert (second.attempts, first.trouble) == (0, "answer")  # it waits for the one before it
            broken.clear()
            await settled(database, subscriber, ["delivered"] * 3)
    ids = [event["id"] for event in receiver.events if event["record"]["id"] == "1"]
    assert len(ids) > len(set(ids)) == 2  # the same event id each time: receivers can drop repeats
    assert ids == sorted(ids, key=int)


async def test_i11_a_dead_receiver_delays_nobody(database: Database, seal: Seal) -> None:
    async with receiving(seconds=30) as dead, receiving() as alive:
        slow, _secret = await subscribe(database, seal, "Dead", dead.url)
        quick, _secret = await subscribe(database, seal, "Alive", alive.url)
        await happen(database, *range(8))
        async with sending(database, seal, slow, quick):
            await alive.heard(8, seconds=10)
            await settled(database, quick, ["delivered"] * 8)
        assert len(dead.events) <= PARALLEL
        assert await states(database, slow) == ["waiting"] * 8


async def test_a_killed_sender_loses_nothing_and_the_next_program_sends_it_again(
    database: Database, seal: Seal
) -> None:
    async with receiving(seconds=0.2) as receiver:
        subscriber, _secret = await subscribe(database, seal, "Killed", receiver.url)
        await happen(database, 1)
        sender = Deliverer(
            subscriber, sessions=database.sessions, seal=seal, networks=LOOPBACK, now=Clock(), me=uuid7(),
            turns=asyncio.Semaphore(2),
        )  # fmt: skip
        task = asyncio.create_task(sender.run())
        await receiver.heard(1)
        task.cancel()  # it was sent, and nobody wrote that down
        await asyncio.gather(task, return_exceptions=True)
        assert await states(database, subscriber) == ["waiting"]
        async with sending(database, seal, subscriber):
            await settled(database, subscriber, ["delivered"])
    assert receiver.ids[0] == receiver.ids[1]


async def test_one_program_sends_and_another_takes_over_when_it_fell_silent(
    database: Database, seal: Seal
) -> None:
    subscriber, _secret = await subscribe(database, seal, "Two programs", "http://127.0.0.1:1/")
    clock, one, other = Clock(), uuid7(), uuid7()
    async with database.sessions.begin() as session:
        assert await hold(session, subscriber, one, clock())
        assert await hold(session, subscriber, other, clock()) is None
        clock.ahead = timedelta(seconds=61)
        assert await hold(session, subscriber, other, clock())
        assert await hold(session, subscriber, one, clock()) is None


async def test_after_a_day_an_event_is_given_up_the_subscriber_stopped_and_its_keepers_told(
    database: Database, seal: Seal
) -> None:
    async with database.sessions.begin() as session:
        admin, agent = await make_user(session, ("admin",)), await make_user(session)
    subscriber, _secret = await subscribe(database, seal, "Gone", "http://127.0.0.1:1/hook")
    await happen(database, 1)
    clock = Clock()
    async with sending(
        database, seal, subscriber, clock=clock, pause=lambda _n: timedelta(hours=20)
    ) as senders:
        async with asyncio.timeout(10):
            while not [each for each in await deliveries(database, subscriber) if each.attempts]:
                await asyncio.sleep(0.02)
        for hours in (20.1, 24.1):
            clock.ahead = timedelta(hours=hours)
            senders[0].look()
            await asyncio.sleep(0.3)
        await settled(database, subscriber, ["failed"])
    (given_up,) = await deliveries(database, subscriber)
    assert (given_up.attempts, given_up.trouble) == (3, "unreachable")
    assert (await stored(database, subscriber)).state == "failed"
    async with database.sessions() as session:
        told = select(Notification.user_id).where(Notification.kind == "subscriber_failed")
        users = set(await session.scalars(told))
    assert admin.user_id in users
    assert agent.user_id not in users
    async with receiving() as receiver:
        values = SubscriberValues(name="Back", url=receiver.url, event_types=("party.changed",))
        async with database.sessions.begin() as session:
            await edit_subscriber(session, COMMAND, subscriber, values)
            await resume_subscriber(session, COMMAND, subscriber, clock())
            assert await repeat_failed(session, COMMAND, subscriber, clock()) == 1
        await happen(database, 1)
        async with sending(database, seal, subscriber, clock=clock):
            await settled(database, subscriber, ["delivered"] * 2)


async def test_what_happens_during_a_pause_waits_in_the_outbox(database: Database, seal: Seal) -> None:
    async with receiving() as receiver:
        subscriber, _secret = await subscribe(database, seal, "Paused", receiver.url)
        async with database.sessions.begin() as session:
            await pause_subscriber(session, COMMAND, subscriber, Clock()())
        async with sending(database, seal, subscriber) as senders:
            await happen(database, 1, 2)
            await asyncio.sleep(0.2)
            assert await states(database, subscriber) == []
            async with database.sessions.begin() as session:
                await resume_subscriber(session, COMMAND, subscriber, Clock()())
            senders[0].look()
            await receiver.heard(2)


async def test_a_full_queue_takes_no_more_over_and_nothing_is_lost(
    database: Database, seal: Seal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.delivery_queue.MOST_WAITING", 3)
    monkeypatch.setattr("crm.delivery_queue.TAKEN_AT_ONCE", 2)
    async with receiving() as receiver:
        subscriber, _secret = await subscribe(database, seal, "Full", receiver.url)
        await happen(database, *range(9))
        async with database.sessions.begin() as session:
            held = await hold(session, subscriber, uuid7(), Clock()())
            assert held is not None
            looked_at = [await take_over(session, held, Clock()()) for _round in range(4)]
            await session.execute(update(Subscriber).values(holder=None))
        assert looked_at == [2, 2, 0, 0]
        async with sending(database, seal, subscriber):
            await settled(database, subscriber, ["delivered"] * 9)
    assert sorted(receiver.records(), key=lambda told: int(told[1])) == [
        ("party.changed", str(n)) for n in range(9)
    ]


async def test_what_is_committed_late_is_not_missed(database: Database, seal: Seal) -> None:
    subscriber, _secret = await subscribe(database, seal, "Late", "http://127.0.0.1:1/")
    insert = text(
        "insert into outbox_event (type, record_kind, record_id) values ('party.changed', 'party', :id)"
    )
    async with database.sessions() as slow, database.sessions() as reading:
        await slow.execute(insert, {"id": "slow"})
        await happen(database, "quick")
        held = await hold(reading, subscriber, uuid7(), Clock()())
        assert held is not None
        await take_over(reading, held, Clock()())
        await reading.commit()
        assert await deliveries(database, subscriber) == []  # the slow one was first
        await slow.commit()
        assert await take_over(reading, held, Clock()()) == 2
        await reading.commit()
    assert [each.record_id for each in await deliveries(database, subscriber)] == ["slow", "quick"]


async def test_private_tasks_are_told_to_nobody(database: Database, seal: Seal) -> None:
    subscriber, _secret = await subscribe(database, seal, "Tasks", "http://127.0.0.1:1/", ("task.created",))
    made = []
    async with database.sessions.begin() as session:
        author = await make_user(session)
        for is_private in (True, False):
            new = NewTask(values=TaskValues(title="Позвонить", is_private=is_private))
            made.append(await create_task(session, author, new, home_zone="UTC"))
    async with database.sessions.begin() as session:
        held = await hold(session, subscriber, uuid7(), Clock()())
        assert held is not None
        await take_over(session, held, Clock()())
    (told,) = await deliveries(database, subscriber)
    assert told.record_id == str(made[1])
    assert json.loads(told.body)["actor"] == {"id": author.user_id, "name": author.name}


async def test_events_of_a_restored_database_do_not_stop_it(database: Database, seal: Seal) -> None:
    """Its transactions count anew: the place that was kept lies far ahead."""
    subscriber, _secret = await subscribe(database, seal, "Restored", "http://127.0.0.1:1/")
    ahead = update(Subscriber).where(Subscriber.id == subscriber).values(place_tx=2**40)
    async with database.sessions.begin() as session:
        await session.execute(ahead)
        held = await hold(session, subscriber, uuid7(), Clock()())
    assert held is not None
    async with database.sessions.begin() as session:
        assert await keep_ahead(session) is not None
    await happen(database, 1)
    async with database.sessions.begin() as session:
        assert await take_over(session, held, Clock()()) == 1
    assert (await stored(database, subscriber)).lost_until is None


async def test_a_new_secret_signs_beside_the_old_one_for_a_day(database: Database, seal: Seal) -> None:
    async with receiving() as receiver:
        subscriber, old = await subscribe(database, seal, "Rotated", receiver.url)
        clock = Clock()
        async with database.sessions.begin() as session:
            new = await rotate_secret(session, COMMAND, subscriber, seal, clock())
        for hours in (0, 25):
            clock.ahead = timedelta(hours=hours)
            await happen(database, hours)
            async with sending(database, seal, subscriber, clock=clock):
                await receiver.heard(1 + bool(hours))
                await settled(database, subscriber, ["delivered"] * (1 + bool(hours)))
    told = list(zip(receiver.headers, receiver.bodies, strict=True))
    assert [is_signed(*each, new) for each in told] == [True, True]
    assert [is_signed(*each, old) for each in told] == [True, False]


async def test_another_key_file_is_told_as_such_and_sends_nothing(
    database: Database, seal: Seal, tmp_path: Path
) -> None:
    async with receiving() as receiver:
        subscriber, _secret = await subscribe(database, seal, "Other key", receiver.url)
        await happen(database, 1)
        async with sending(database, seal_in(tmp_path), subscriber):
            async with asyncio.timeout(10):
                while not [
                    each for each in await deliveries(database, subscriber) if each.trouble == "secret"
                ]:
                    await asyncio.sleep(0.02)
        assert receiver.events == []


def test_pauses_grow_to_hours_and_never_come_together() -> None:
    pauses = [pause_after(failures).total_seconds() for failures in range(1, 20)]
    assert 8 <= pauses[0] <= 12
    assert pauses[-1] <= PAUSES[-1] * 1.2
    assert len({pause_after(3) for _time in range(10)}) > 1


async def test_a_late_word_of_a_program_that_lost_its_hold_changes_nothing(
    database: Database, seal: Seal
) -> None:
    subscriber, _secret = await subscribe(database, seal, "Late word", "http://127.0.0.1:1/")
    await happen(database, 1)
    async with database.sessions.begin() as session:
        held = await hold(session, subscriber, uuid7(), Clock()())
        assert held is not None
        await take_over(session, held, Clock()())
        (each,) = await due(session, held, Clock()(), 5)
        await session.execute(
            update(SubscriberDelivery).where(SubscriberDelivery.id == each.id).values(state="delivered")
        )
        tried = Tried(trouble="timed_out", status=None, answer="", milliseconds=1)
        await settle(session, held, each, tried, Clock()(), timedelta(seconds=1))
    assert await states(database, subscriber) == ["delivered"]


@pytest.mark.parametrize(
    ("statement", "condition"),
    [
        (_TAKE_OVER, "Index Cond: ((ROW(tx, id) > ROW("),
        (_DUE, "Index Cond: ((subscriber_id = "),
        (_DUE, "Index Cond: (id = ANY ("),
    ],
)
async def test_neither_the_outbox_nor_what_is_over_is_read_from_its_beginning(
    session: AsyncSession, statement: TextClause, condition: str
) -> None:
    await session.execute(text("set local enable_seqscan = off"))
    values = {"subscriber": 1, "most": 8, "waiting": 1000, "now": Clock()()}
    asked = text(f"explain {statement.text}")
    names = {name: values[name] for name in asked.compile().params}
    plan = "\n".join(row[0] for row in await session.execute(asked, names))
    assert condition in plan, plan
