"""Lines: the outside numbers of ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.calendars import check_calendar
from crm.changes import DIRECTORY_CHANNEL, notify, record_change
from crm.errors import Conflict, Invalid, NotFound, Taken
from crm.names import checked_name
from crm.numbering import profile_of_connection
from crm.rights import Access
from crm.schema.telephony import Line, PbxConnection
from crm.sources import source_named
from cti.numbers import NumberKind, to_e164

MAX_SOURCE: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class LineInfo:
    """A line as lists and forms show it."""

    id: int
    connection_id: int
    connection_name: str
    presented: str  # as entered, and as the provider may send it
    e164: str
    name: str
    colour: str | None  # "#2f6fed"
    team_id: int | None
    calendar_id: int | None
    lead_source: str | None  # of the leads that its calls open
    allows_outgoing: bool
    version: int


async def add_line(
    session: AsyncSession,
    access: Access,
    connection_id: int,
    number: str,
    name: str,
    *,
    colour: str | None = None,
    team_id: int | None = None,
    calendar_id: int | None = None,
    lead_source: str | None = None,
    via: str = "form",
) -> int:
    """A new line, its number understood as this connection writes numbers.

    Raises:
        NotAllowed, NotFound (the connection), Invalid (no telephone number), Taken (this connection has it already).
    """
    access.require("line.manage")
    exists = select(PbxConnection.id).where(
        PbxConnection.id == connection_id, PbxConnection.deleted_at.is_(None)
    )
    if await session.scalar(exists) is None:
        raise NotFound("connection", connection_id)
    await check_calendar(session, calendar_id)
    row = {
        "connection_id": connection_id,
        "presented": number.strip(),
        "e164": await _e164(session, connection_id, number),
        "name": checked_name(name),
        "colour": checked_colour(colour),
        "team_id": team_id,
        "calendar_id": calendar_id,
        "lead_source": await _source(session, lead_source),
    }
    try:
        async with session.begin_nested():
            made = await session.execute(
                insert(Line).values(**row, created_by=access.actor_id).returning(Line.id)
            )
    except IntegrityError as error:
        raise Taken("number", number) from error
    line_id = made.scalar_one()
    await record_change(session, access, "line", line_id, after=row, via=via)
    await notify(session, DIRECTORY_CHANNEL, "line")
    return line_id


async def edit_line(
    session: AsyncSession,
    access: Access,
    line_id: int,
    *,
    version: int,
    number: str,
    name: str,
    colour: str | None = None,
    team_id: int | None = None,
    calendar_id: int | None = None,
    lead_source: str | None = None,
    via: str = "form",
) -> None:
    """Number, name, colour, team, hours of a line, and the source of the leads that its calls open.

    Raises:
        NotAllowed, NotFound, Invalid, Taken, Conflict.
    """
    access.require("line.manage")
    row = await _locked(session, line_id)
    await check_calendar(session, calendar_id)
    new = {
        "presented": number.strip(),
        "e164": await _e164(session, row.connection_id, number),
        "name": checked_name(name),
        "colour": checked_colour(colour),
        "team_id": team_id,
        "calendar_id": calendar_id,
        "lead_source": await _source(session, lead_source),
    }
    old = {column: getattr(row, column) for column in new}
    if row.version != version:
        raise Conflict({key: (old[key], new[key]) for key in new if old[key] != new[key]}, row.version, "")
    try:
        async with session.begin_nested():
            await session.execute(update(Line).where(Line.id == line_id).values(**new, version=version + 1))
    except IntegrityError as error:
        raise Taken("number", number) from error
    await record_change(session, access, "line", line_id, before=old, after=new, via=via)
    await notify(session, DIRECTORY_CHANNEL, "line")


async def remove_line(session: AsyncSession, access: Access, line_id: int, *, via: str = "form") -> None:
    """The number is no longer ours; calls keep it.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("line.manage")
    row = await _locked(session, line_id)
    await session.execute(update(Line).where(Line.id == line_id).values(deleted_at=datetime.now(UTC)))
    before = {"e164": row.e164, "name": row.name}
    await record_change(session, access, "line", line_id, before=before, via=via)
    await notify(session, DIRECTORY_CHANNEL, "line")


async def list_lines(session: AsyncSession, connection_id: int | None = None) -> list[LineInfo]:
    """The lines in use, of one connection or of all; everybody who sees calls sees their names."""
    query = (
        select(Line, PbxConnection.name)
        .join(PbxConnection, PbxConnection.id == Line.connection_id)
        .where(Line.deleted_at.is_(None), PbxConnection.deleted_at.is_(None))
        .order_by(PbxConnection.name, Line.e164)
        .execution_options(populate_existing=True)
    )
    if connection_id is not None:
        query = query.where(Line.connection_id == connection_id)
    return [
        LineInfo(
            id=line.id,
            connection_id=line.connection_id,
            connection_name=connection_name,
            presented=line.presented,
            e164=line.e164,
            name=line.name,
            colour=line.colour,
            team_id=line.team_id,
            calendar_id=line.calendar_id,
            lead_source=line.lead_source,
            allows_outgoing=line.allows_outgoing,
            version=line.version,
        )
        for line, connection_name in await session.execute(query)
    ]


async def _source(session: AsyncSession, text: str | None) -> str | None:
    source = " ".join((text or "").split())
    if len(source) > MAX_SOURCE:
        raise Invalid("lead_source", source, "At most %(most)d characters fit here.", most=MAX_SOURCE)
    return await source_named(session, source) if source else None


async def _e164(session: AsyncSession, connection_id: int, presented: str) -> str:
    number = to_e164(presented, await profile_of_connection(session, connection_id))
    if number.kind is not NumberKind.E164 or number.e164 is None:
        raise Invalid("number", presented, "This is not a telephone number. Write it as +7 495 123-45-67.")
    return number.e164


async def _locked(session: AsyncSession, line_id: int) -> Line:
    row = await session.scalar(
        select(Line)
        .where(Line.id == line_id, Line.deleted_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise NotFound("line", line_id)
    return row


def checked_colour(colour: str | None) -> str | None:
    if colour and not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        raise Invalid("colour", colour, "A colour is written as #2f6fed.")
    return colour or None
