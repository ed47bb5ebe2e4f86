"""What the program writes down about its links to PBXs, and whether the database itself answers."""

from __future__ import annotations

import asyncio
from datetime import datetime

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.database import Database
from crm.gaps import begin_gap
from crm.schema.telephony import PbxConnection

ANSWER_SECONDS = 2.5


async def note_heard(session: AsyncSession, connection_id: int, at: datetime) -> None:
    """Events flow until this moment; after a crash the gap begins here."""
    heard = {"last_event_at": at, "updated_at": PbxConnection.updated_at}
    await session.execute(update(PbxConnection).where(PbxConnection.id == connection_id).values(heard))


async def begin_gaps_of_last_run(session: AsyncSession, at: datetime) -> None:
    """At start: what an earlier run heard last is where a gap began, which goes on until the link is up again."""
    rows = await session.execute(
        select(PbxConnection.id, PbxConnection.last_event_at).where(
            PbxConnection.deleted_at.is_(None), PbxConnection.last_event_at.is_not(None)
        )
    )
    for connection_id, heard_at in rows.all():
        if heard_at is not None:
            await begin_gap(session, connection_id, min(heard_at, at), "ringcard_stopped")


async def why_silent(database: Database) -> str | None:
    """None when the database answers, else what kind of error it gave."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS), database.engine.connect() as connection:
            await connection.execute(text("select 1"))
    except Exception as error:
        return type(error).__name__
    return None
