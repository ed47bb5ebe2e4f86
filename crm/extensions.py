"""Extensions, their telephones, and who sat at them from when to when."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import ACCESS_CHANNEL, DIRECTORY_CHANNEL, notify, record_change
from crm.errors import Invalid, NotFound, Taken
from crm.rights import Access
from crm.schema.access import User
from crm.schema.telephony import Extension, ExtensionAssignment, ExtensionEndpoint, PbxConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionInfo:
    """An extension as lists and forms show it."""

    id: int
    connection_id: int
    connection_name: str
    digits: str
    endpoints: tuple[str, ...]  # telephones whose name is not the digits: "PJSIP/ivanov"
    user_id: int | None
    user_name: str | None
    since: datetime | None


async def assign_extension(
    session: AsyncSession,
    access: Access,
    connection_id: int,
    digits: str,
    user_id: int,
    *,
    at: datetime | None = None,
    via: str = "form",
) -> int:
    """This user sits at the extension from now on; whoever sat there before does not. Returns the extension's id.

    Raises:
        NotAllowed, NotFound (connection, user), Invalid (the digits).
    """
    access.require("extension.manage")
    extension_id = await _extension(session, access, connection_id, digits)
    name = await session.scalar(select(User.name).where(User.id == user_id, User.status == "active"))
    if name is None:
        raise NotFound("user", user_id)
    earlier = await _sitting(session, extension_id)
    if earlier is not None and earlier.user_id == user_id:
        return extension_id
    now = at or datetime.now(UTC)
    if earlier is not None:
        now = max(now, earlier.valid_from)
        await _end(session, earlier, now)
    row = {"extension_id": extension_id, "user_id": user_id, "valid_from": now}
    await session.execute(insert(ExtensionAssignment).values(row))
    await _changed(session, access, extension_id, earlier.user_id if earlier else None, user_id, via)
    return extension_id


async def unassign_extension(
    session: AsyncSession,
    access: Access,
    connection_id: int,
    digits: str,
    *,
    at: datetime | None = None,
    via: str = "form",
) -> None:
    """Nobody sits at the extension any more.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("extension.manage")
    extension_id = await _find(session, connection_id, digits)
    if extension_id is None:
        raise NotFound("extension", digits)
    earlier = await _sitting(session, extension_id)
    if earlier is not None:
        await _end(session, earlier, max(at or datetime.now(UTC), earlier.valid_from))
        await _changed(session, access, extension_id, earlier.user_id, None, via)


async def set_endpoints(
    session: AsyncSession,
    access: Access,
    connection_id: int,
    digits: str,
    endpoints: Collection[str],
    *,
    via: str = "form",
) -> int:
    """The telephones of an extension where they are not called like its digits; an unknown extension is made.

    Raises:
        NotAllowed, NotFound, Invalid, Taken (a telephone belongs to another extension).
    """
    access.require("extension.manage")
    extension_id = await _extension(session, access, connection_id, digits)
    new = sorted({_checked_endpoint(endpoint) for endpoint in endpoints})
    of_extension = ExtensionEndpoint.extension_id == extension_id
    old = sorted(await session.scalars(select(ExtensionEndpoint.endpoint).where(of_extension)))
    if old == new:
        return extension_id
    rows = [{"connection_id": connection_id, "extension_id": extension_id, "endpoint": each} for each in new]
    try:
        async with session.begin_nested():
            await session.execute(delete(ExtensionEndpoint).where(of_extension))
            if rows:
                await session.execute(insert(ExtensionEndpoint), rows)
    except IntegrityError as error:
        raise Taken("endpoints", ", ".join(new)) from error
    before, after = {"endpoints": old}, {"endpoints": new}
    await record_change(session, access, "extension", extension_id, before=before, after=after, via=via)
    await notify(session, DIRECTORY_CHANNEL, "extension")
    return extension_id


async def list_extensions(session: AsyncSession, connection_id: int | None = None) -> list[ExtensionInfo]:
    """The extensions of one connection or of all, by digits, with whoever sits there now."""
    endpoints = (
        select(ExtensionEndpoint.endpoint)
        .where(ExtensionEndpoint.extension_id == Extension.id)
        .order_by(ExtensionEndpoint.endpoint)
    )
    query = (
        select(
            Extension,
            PbxConnection.name,
            func.array(endpoints.scalar_subquery()),
            User.id,
            User.name,
            ExtensionAssignment.valid_from,
        )
        .join(PbxConnection, PbxConnection.id == Extension.connection_id)
        .outerjoin(
            ExtensionAssignment,
            (ExtensionAssignment.extension_id == Extension.id) & ExtensionAssignment.valid_to.is_(None),
        )
        .outerjoin(User, User.id == ExtensionAssignment.user_id)
        .where(PbxConnection.deleted_at.is_(None))
        .order_by(PbxConnection.name, func.length(Extension.digits), Extension.digits)
    )
    if connection_id is not None:
        query = query.where(Extension.connection_id == connection_id)
    return [
        ExtensionInfo(
            id=extension.id,
            connection_id=extension.connection_id,
            connection_name=connection_name,
            digits=extension.digits,
            endpoints=tuple(names),
            user_id=user_id,
            user_name=user_name,
            since=since,
        )
        for extension, connection_name, names, user_id, user_name, since in await session.execute(query)
    ]


async def assignable_users(session: AsyncSession, access: Access) -> list[tuple[int, str]]:
    """Id and name of everybody who may sit at an extension.

    Raises:
        NotAllowed.
    """
    access.require("extension.manage")
    rows = await session.execute(
        select(User.id, User.name).where(User.status == "active").order_by(func.lower(User.name))
    )
    return [(user_id, name) for user_id, name in rows]


async def _extension(session: AsyncSession, access: Access, connection_id: int, digits: str) -> int:
    if not re.fullmatch(r"\d{1,10}", digits):
        raise Invalid("digits", digits, "An extension has 1 to 10 digits.")
    known = await _find(session, connection_id, digits)
    if known is not None:
        return known
    exists = select(PbxConnection.id).where(
        PbxConnection.id == connection_id, PbxConnection.deleted_at.is_(None)
    )
    if await session.scalar(exists) is None:
        raise NotFound("connection", connection_id)
    row = {"connection_id": connection_id, "digits": digits, "created_by": access.actor_id}
    await session.execute(upsert(Extension).values(row).on_conflict_do_nothing())
    made = await _find(session, connection_id, digits)
    assert made is not None, "just inserted, or by somebody else at the same moment"
    return made


async def _find(session: AsyncSession, connection_id: int, digits: str) -> int | None:
    query = select(Extension.id).where(Extension.connection_id == connection_id, Extension.digits == digits)
    return await session.scalar(query.with_for_update())


async def _sitting(session: AsyncSession, extension_id: int) -> ExtensionAssignment | None:
    return await session.scalar(
        select(ExtensionAssignment)
        .where(ExtensionAssignment.extension_id == extension_id, ExtensionAssignment.valid_to.is_(None))
        .execution_options(populate_existing=True)
    )


async def _end(session: AsyncSession, assignment: ExtensionAssignment, at: datetime) -> None:
    await session.execute(
        update(ExtensionAssignment).where(ExtensionAssignment.id == assignment.id).values(valid_to=at)
    )


async def _changed(
    session: AsyncSession, access: Access, extension_id: int, old: int | None, new: int | None, via: str
) -> None:
    before, after = {"user_id": old}, {"user_id": new}
    await record_change(session, access, "extension", extension_id, before=before, after=after, via=via)
    await notify(session, DIRECTORY_CHANNEL, "extension")
    for user_id in {old, new} - {None}:
        await notify(session, ACCESS_CHANNEL, user_id)


def _checked_endpoint(endpoint: str) -> str:
    endpoint = endpoint.strip()
    if not re.fullmatch(r"[A-Za-z0-9]+/[\w.@+-]{1,100}", endpoint):
        raise Invalid("endpoints", endpoint, "A telephone is written as Asterisk does: PJSIP/ivanov.")
    return endpoint
