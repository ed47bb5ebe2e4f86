"""A subscriber of the tests, made in one line, and what is told to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from crm.changes import publish
from crm.database import Database
from crm.schema.subscribers import Subscriber, SubscriberDelivery
from crm.sealing import Seal, open_seal
from crm.subscribers import SubscriberValues, add_subscriber
from tests.crm.people import COMMAND
from webhooks.addresses import networks_of

LOOPBACK = networks_of(["127.0.0.0/8"])


class Clock:
    """The wall clock, which a test puts forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def seal_in(folder: Path) -> Seal:
    return open_seal(folder / "key")


async def subscribe(
    database: Database, seal: Seal, name: str, url: str, types: Sequence[str] = ("party.changed",)
) -> tuple[int, str]:
    """Its id and its secret."""
    values = SubscriberValues(name=name, url=url, event_types=tuple(types))
    async with database.sessions.begin() as session:
        return await add_subscriber(session, COMMAND, values, seal)


async def happen(database: Database, *records: object, type_: str = "party.changed") -> None:
    """One event of each record, each in its own transaction."""
    kind = type_.partition(".")[0]
    for record in records:
        async with database.sessions.begin() as session:
            after = {"city": "Тверь"}
            await publish(session, COMMAND, type_, kind, record, before={"city": None}, after=after)


async def deliveries(database: Database, subscriber_id: int) -> list[SubscriberDelivery]:
    async with database.sessions() as session:
        query = select(SubscriberDelivery).where(SubscriberDelivery.subscriber_id == subscriber_id)
        return list(await session.scalars(query.order_by(SubscriberDelivery.id)))


async def states(database: Database, subscriber_id: int) -> list[str]:
    return [each.state for each in await deliveries(database, subscriber_id)]


async def stored(database: Database, subscriber_id: int) -> Any:
    async with database.sessions() as session:
        return await session.get(Subscriber, subscriber_id)
