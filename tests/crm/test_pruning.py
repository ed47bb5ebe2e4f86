"""What was kept long enough goes, piece by piece; whoever asks for what is gone is told so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm import pruning
from crm.changed_records import changed_parties
from crm.database import Database
from crm.errors import Invalid
from crm.paging import encode_cursor
from crm.pruning import (
    horizon,
    prune_accesses,
    prune_deliveries,
    prune_outbox,
    prune_sessions,
)
from crm.schema.access import UserSession
from crm.schema.journals import AccessLog, OutboxEvent
from cti.daemon.settings import LEAST_ACCESS_DAYS
from tests.crm.people import COMMAND, make_user

NOW = datetime.now(UTC)
ADD = text(
    "insert into outbox_event (type, record_kind, record_id, at) values ('party.changed', 'party', :id, :at)"
)


async def left(session: AsyncSession, column: object) -> list[object]:
    return list(await session.scalars(select(column).order_by(column)))  # type: ignore[call-overload]


async def test_the_outbox_goes_in_the_order_of_committing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    ages = {"1": 40, "2": -9, "3": 40, "4": 3, "5": 40}  # days; 2 was told by a clock that is wrong
    for record, days in ages.items():
        async with database.sessions.begin() as session:
            await session.execute(ADD, {"id": record, "at": NOW - timedelta(days=days)})
    before = NOW - timedelta(days=30)
    async with database.sessions.begin() as session:
        assert await horizon(session) is None
        assert [await prune_outbox(session, before, NOW) for _piece in range(2)] == [True, False]
        assert await left(session, OutboxEvent.record_id) == ["4", "5"]
    async with database.sessions() as session:
        gone = await horizon(session)
        assert gone is not None
        with pytest.raises(Invalid, match="no longer kept"):
            await changed_parties(session, COMMAND, before - timedelta(days=1), cursor=None, limit=None)
        with pytest.raises(Invalid, match="no longer kept"):
            await changed_parties(session, COMMAND, NOW, cursor=encode_cursor(gone.tx - 1, 1), limit=None)
        await changed_parties(session, COMMAND, NOW - timedelta(days=2), cursor=None, limit=None)
        await changed_parties(session, COMMAND, NOW, cursor=encode_cursor(gone.tx, 2**62), limit=None)


async def test_sessions_that_are_over_go(database: Database) -> None:
    async with database.sessions.begin() as session:
        user = (await make_user(session)).user_id
        for number, (ended, used) in enumerate([(100, 100), (None, 100), (None, 1), (1, 1)]):
            row = UserSession(
                user_id=user, token_hash=bytes([number]), last_used_at=NOW - timedelta(days=used)
            )
            row.ended_at = NOW - timedelta(days=ended) if ended else None
            session.add(row)
        await session.flush()
        assert not await prune_sessions(session, NOW - timedelta(days=90))
        assert await left(session, UserSession.token_hash) == [b"\x02", b"\x03"]


async def test_g09_the_journal_of_accesses_goes_after_its_time_and_never_before_half_a_year(
    database: Database,
) -> None:
    assert LEAST_ACCESS_DAYS == pruning.LEAST_ACCESS_DAYS
    async with database.sessions.begin() as session:
        for days in (400, 200, 1):
            session.add(AccessLog(event="sign_in", at=NOW - timedelta(days=days)))
    async with database.sessions.begin() as session:
        assert not await prune_accesses(session, NOW - timedelta(days=365))
        kept = select(func.count()).select_from(AccessLog).where(AccessLog.event == "sign_in")
        assert (await session.execute(kept)).scalar_one() == 2
    with pytest.raises(Exception, match="append-only"):
        async with database.sessions.begin() as session:
            await prune_accesses(session, NOW)


async def test_deliveries_go_once_they_are_over(database: Database) -> None:
    add = text(
        "with s as (insert into subscriber (name, url, event_types, place_tx, place_id, deleted_at) "
        "values (cast(:name as text), 'https://crm.example/', '{}', 1, 1, cast(:deleted as timestamptz)) returning id) "
        "insert into subscriber_delivery (subscriber_id, event_id, type, record_kind, record_id, event_at, body, state, created_at) "
        "select id, n, 'call.ended', 'call', state, now(), '{}', state, cast(:at as timestamptz) "
        "from s, unnest(array['waiting', 'delivered', 'failed']) with ordinality as states (state, n)"
    )
    old = NOW - timedelta(days=20)
    async with database.sessions.begin() as session:
        await session.execute(add, {"name": "Old", "deleted": None, "at": old})
        await session.execute(add, {"name": "Removed", "deleted": old, "at": old})
        await session.execute(add, {"name": "New", "deleted": None, "at": NOW})
        assert not await prune_deliveries(session, NOW - timedelta(days=14))
        found = await session.execute(
            text(
                "select name, record_id from subscriber_delivery d join subscriber s on s.id = subscriber_id order by 1, 2"
            )
        )
        assert [tuple(row) for row in found] == [
            ("New", "delivered"), ("New", "failed"), ("New", "waiting"), ("Old", "waiting")
        ]  # fmt: skip
