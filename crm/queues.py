"""Queues of the PBXs, as far as the company says more of them than the PBX does: how long an agent has after a talk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Invalid, NotFound
from crm.rights import Access
from crm.schema.telephony import PbxConnection, Queue
from crm.wrap_ups import SECONDS

MOST_SECONDS: Final = 3600
MOST_QUEUES: Final = 1000  # of all connections; a PBX tells of no more either
MOST_NAME: Final = 80  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInfo:
    """A queue of one connection, named as the PBX names it. `is_stored`: somebody said how long wrap-up lasts."""

    connection_id: int
    connection: str
    name: str
    wrap_up_seconds: int = SECONDS
    is_stored: bool = False


async def list_queues(
    session: AsyncSession, access: Access, heard: Sequence[tuple[int, str]] = ()
) -> list[QueueInfo]:
    """Those that are stored and those that PBXs tell of now (`heard`: connection and name), by connection and name.

    Raises:
        NotAllowed
    """
    connections = dict(await named_connections(session, access))
    kept = await session.execute(
        select(Queue.connection_id, Queue.name, Queue.wrap_up_seconds).limit(MOST_QUEUES)
    )
    seconds = {(connection_id, name): wrap_up for connection_id, name, wrap_up in kept}
    places = {place for place in {*seconds, *heard} if place[0] in connections}
    found = [
        QueueInfo(
            connection_id=id_,
            connection=connections[id_],
            name=name,
            wrap_up_seconds=seconds.get((id_, name), SECONDS),
            is_stored=(id_, name) in seconds,
        )
        for id_, name in places
    ]
    return sorted(found, key=lambda one: (one.connection.casefold(), one.name.casefold()))


async def named_connections(session: AsyncSession, access: Access) -> list[tuple[int, str]]:
    """Every connection's id and name, by name. Raises NotAllowed."""
    access.require("line.manage")
    query = select(PbxConnection.id, PbxConnection.name).where(PbxConnection.deleted_at.is_(None))
    return [(id_, name) for id_, name in await session.execute(query.order_by(PbxConnection.name))]


async def set_wrap_up_seconds(
    session: AsyncSession, access: Access, connection_id: int, name: str, seconds: int, *, via: str = "form"
) -> None:
    """How long an agent has after a talk from this queue; 0 is no time at all. Talks that are over keep theirs.

    Raises:
        NotAllowed, NotFound (the connection), Invalid (the name, the seconds).
    """
    access.require("line.manage")
    typed = name.strip()
    if not typed or len(typed) > MOST_NAME or not typed.isprintable():
        why = "Write the queue's name as the PBX has it, at most %(most)d characters."
        raise Invalid("queue", name[:MOST_NAME], why, most=MOST_NAME)
    if not 0 <= seconds <= MOST_SECONDS:
        why = "Write whole seconds from 0 to %(most)d."
        raise Invalid("wrap_up_seconds", seconds, why, most=MOST_SECONDS)
    exists = select(PbxConnection.id).where(
        PbxConnection.id == connection_id, PbxConnection.deleted_at.is_(None)
    )
    if await session.scalar(exists) is None:
        raise NotFound("connection", connection_id)
    key = {"connection_id": connection_id, "name": typed}
    kept = select(Queue.wrap_up_seconds).filter_by(**key)
    before = await session.scalar(kept.with_for_update())
    after = {"wrap_up_seconds": seconds}
    old = None if before is None else {"wrap_up_seconds": before}
    record = f"{connection_id}.{typed}"
    if await record_change(session, access, "queue", record, before=old, after=after, via=via):
        new = upsert(Queue).values(**key, **after, created_by=access.actor_id)
        await session.execute(
            new.on_conflict_do_update(
                index_elements=["connection_id", "name"],
                set_={**after, "version": Queue.version + 1},
            )
        )


async def remove_queue(
    session: AsyncSession, access: Access, connection_id: int, name: str, *, via: str = "form"
) -> None:
    """Nothing is said of this queue any more; as long as a PBX tells of it, it is listed with the usual seconds.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("line.manage")
    gone = delete(Queue).where(Queue.connection_id == connection_id, Queue.name == name)
    seconds = await session.scalar(gone.returning(Queue.wrap_up_seconds))
    if seconds is None:
        raise NotFound("queue", name)
    record = f"{connection_id}.{name}"
    await record_change(session, access, "queue", record, before={"wrap_up_seconds": seconds}, via=via)
