"""Hearing of changes: what makes no sense costs itself only; after a silence everything is asked for anew."""

from __future__ import annotations

import asyncio

from sqlalchemy import text

from crm.changes import ACCESS_CHANNEL, notify
from crm.database import Database
from crm.notifications import NOTICE_CHANNEL, list_notices, mark_seen, tell_users
from cti.daemon.listening import Listener
from tests.crm.people import COMMAND, make_user


async def until(condition: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await condition.wait()


async def test_i18_a_payload_that_makes_no_sense_costs_itself_only(database: Database) -> None:
    heard: list[int] = []
    listens, came = asyncio.Event(), asyncio.Event()

    def hear(payload: str) -> None:
        heard.append(int(payload))
        came.set()

    listening = asyncio.create_task(Listener(database, {ACCESS_CHANNEL: hear}, listens.set).run())
    try:
        await until(listens)
        for payload in ("nonsense", "", "1" * 5000, 7):
            async with database.sessions.begin() as session:
                await notify(session, ACCESS_CHANNEL, payload)
        await until(came)
        assert heard == [7]
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_g07_after_a_lost_connection_one_catches_up(database: Database) -> None:
    caught_up = asyncio.Event()
    listening = asyncio.create_task(
        Listener(database, {ACCESS_CHANNEL: lambda _payload: None}, caught_up.set).run()
    )
    try:
        await until(caught_up)
        caught_up.clear()
        async with database.sessions() as session:
            await session.execute(
                text(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid()"
                )
            )
        async with asyncio.timeout(8):  # a heartbeat, a pause, a connection
            await caught_up.wait()
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_notification_is_heard_when_it_is_stored_and_when_it_was_seen(database: Database) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listens = asyncio.Event()
    listening = asyncio.create_task(Listener(database, {NOTICE_CHANNEL: heard.put_nowait}, listens.set).run())
    try:
        await until(listens)
        async with database.sessions.begin() as session:
            user = await make_user(session)
            await tell_users(session, COMMAND, [user.user_id], "assigned")
            (notice,) = (await list_notices(session, user)).items
        async with database.sessions.begin() as session:
            await mark_seen(session, user)
        async with asyncio.timeout(5):
            assert await heard.get() == f"{user.user_id} {notice.id}"
            assert await heard.get() == f"{user.user_id} 0"
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
