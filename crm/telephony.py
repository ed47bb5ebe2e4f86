"""The telephony directory: connections, numbering profiles, lines, extensions and who sits at them.

Every change says so on a channel of the database, so that a running program takes it up within a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import DIRECTORY_CHANNEL, log_access, notify, record_change
from crm.directory import ConnectionDirectory, Directory, DirectoryExtension, DirectoryLine, directory
from crm.errors import Conflict, Invalid, NotFound, Taken
from crm.extensions import (
    ExtensionInfo,
    assign_extension,
    assignable_users,
    list_extensions,
    set_endpoints,
    unassign_extension,
)
from crm.lines import LineInfo, add_line, edit_line, list_lines, remove_line
from crm.names import checked_name
from crm.numbering import ProfileInfo, ProfileValues, add_profile, edit_profile, list_profiles
from crm.rights import Access
from crm.schema.telephony import PbxConnection
from crm.sealing import Seal

__all__ = [
    "AsteriskSettings",
    "ConnectionDirectory",
    "ConnectionInfo",
    "Directory",
    "DirectoryExtension",
    "DirectoryLine",
    "ExtensionInfo",
    "LineInfo",
    "ProfileInfo",
    "ProfileValues",
    "add_connection",
    "add_line",
    "add_profile",
    "assign_extension",
    "assignable_users",
    "connection",
    "connection_secret",
    "directory",
    "edit_connection",
    "edit_line",
    "edit_profile",
    "find_connection",
    "list_connections",
    "list_extensions",
    "list_lines",
    "list_profiles",
    "remove_connection",
    "remove_line",
    "set_connection_state",
    "set_endpoints",
    "unassign_extension",
]

KINDS: Final = ("asterisk",)
DEFAULT_PORT: Final = 5038


@dataclass(frozen=True, slots=True, kw_only=True)
class AsteriskSettings:
    """How to reach the manager interface of an Asterisk; the secret is kept apart, sealed."""

    host: str
    port: int = DEFAULT_PORT
    user: str = ""
    event_classes: tuple[str, ...] = ()  # empty: what the adapter asks for by itself
    accepts_excessive_rights: bool = False  # an administrator said so, and is warned for as long
    originate_context: str = ""  # where click-to-call goes on once the agent picked up

    @classmethod
    def stored(cls, settings: Mapping[str, Any]) -> AsteriskSettings:
        """From the row of a connection; what a newer version wrote and this one does not know is left aside."""
        return cls(
            host=str(settings.get("host", "")),
            port=int(settings.get("port", DEFAULT_PORT)),
            user=str(settings.get("user", "")),
            event_classes=tuple(settings.get("event_classes", ())),
            accepts_excessive_rights=bool(settings.get("accepts_excessive_rights", False)),
            originate_context=str(settings.get("originate_context", "")),
        )

    def to_store(self) -> dict[str, Any]:
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "event_classes": list(self.event_classes),
            "accepts_excessive_rights": self.accepts_excessive_rights,
            "originate_context": self.originate_context,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionInfo:
    """A connection as lists and forms show it, without its secret."""

    id: int
    kind: str
    name: str
    settings: AsteriskSettings
    has_secret: bool
    time_zone: str | None
    profile_id: int | None
    is_enabled: bool
    state: str  # connecting, up, refused, down
    state_since: datetime | None
    state_detail: str | None  # English
    state_code: str | None  # for catalogues, filled with the values
    state_values: Mapping[str, str]
    last_event_at: datetime | None
    version: int


async def add_connection(
    session: AsyncSession,
    access: Access,
    *,
    name: str,
    settings: AsteriskSettings,
    secret: str,
    seal: Seal,
    kind: str = "asterisk",
    profile_id: int | None = None,
    time_zone: str | None = None,
    via: str = "form",
) -> int:
    """A new connection; a running program connects within seconds.

    Raises:
        NotAllowed, Invalid, Taken (the name).
    """
    access.require("connection.manage")
    if kind not in KINDS:
        raise Invalid("kind", kind, "A connection is of the kind asterisk.")
    _check_settings(settings)
    row = {
        "kind": kind,
        "name": checked_name(name),
        "settings": settings.to_store(),
        "secret": seal.close(secret) if secret else None,
        "profile_id": profile_id,
        "time_zone": time_zone,
        "created_by": access.actor_id,
    }
    try:
        async with session.begin_nested():
            made = await session.execute(insert(PbxConnection).values(row).returning(PbxConnection.id))
    except IntegrityError as error:
        raise _meaning_of(error, name) from error
    connection_id = made.scalar_one()
    after = {"name": row["name"], "kind": kind, **settings.to_store(), "secret": secret or None}
    await record_change(session, access, "connection", connection_id, after=after, via=via)
    await notify(session, DIRECTORY_CHANNEL, "connection")
    return connection_id


async def edit_connection(
    session: AsyncSession,
    access: Access,
    connection_id: int,
    *,
    version: int,
    name: str,
    settings: AsteriskSettings,
    seal: Seal,
    secret: str | None = None,
    is_enabled: bool = True,
    profile_id: int | None = None,
    time_zone: str | None = None,
    via: str = "form",
) -> None:
    """Everything of a connection; `secret=None` keeps the stored one.

    Raises:
        NotAllowed, NotFound, Invalid, Taken (the name), Conflict (somebody saved meanwhile).
    """
    access.require("connection.manage")
    _check_settings(settings)
    row = await _locked(session, connection_id)
    new = {
        "name": checked_name(name),
        "settings": settings.to_store(),
        "is_enabled": is_enabled,
        "profile_id": profile_id,
        "time_zone": time_zone or None,
    }
    old = {column: getattr(row, column) for column in new}
    if row.version != version:
        raise Conflict(
            {column: (old[column], new[column]) for column in new if old[column] != new[column]},
            row.version,
            "",
        )
    if secret:
        new["secret"] = seal.close(secret)
        await log_access(session, "secret_changed", access, record_kind="connection", record_id=connection_id)
    await record_change(session, access, "connection", connection_id, before=old, after=new, via=via)
    try:
        async with session.begin_nested():
            await session.execute(
                update(PbxConnection)
                .where(PbxConnection.id == connection_id)
                .values(**new, version=PbxConnection.version + 1)
            )
    except IntegrityError as error:
        raise _meaning_of(error, name) from error
    await notify(session, DIRECTORY_CHANNEL, "connection")


async def remove_connection(
    session: AsyncSession, access: Access, connection_id: int, *, via: str = "form"
) -> None:
    """Take a connection out of use; its calls, lines and extensions stay in the journal.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("connection.manage")
    row = await _locked(session, connection_id)
    gone = {
        "deleted_at": datetime.now(UTC),
        "is_enabled": False,
        "secret": None,
        "second_truth_secret": None,
        "dialling_secret": None,
    }
    await session.execute(update(PbxConnection).where(PbxConnection.id == connection_id).values(gone))
    await record_change(session, access, "connection", connection_id, before={"name": row.name}, via=via)
    await notify(session, DIRECTORY_CHANNEL, "connection")


async def list_connections(session: AsyncSession, access: Access) -> list[ConnectionInfo]:
    """Every connection in use, by name.

    Raises:
        NotAllowed.
    """
    access.require("connection.read")
    in_use = select(PbxConnection).where(PbxConnection.deleted_at.is_(None))
    return [_info(row) for row in await session.scalars(in_use.order_by(func.lower(PbxConnection.name)))]


async def connection(session: AsyncSession, access: Access, connection_id: int) -> ConnectionInfo:
    """One connection.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("connection.read")
    row = await session.scalar(_one(connection_id).execution_options(populate_existing=True))
    if row is None:
        raise NotFound("connection", connection_id)
    return _info(row)


async def find_connection(session: AsyncSession, name: str) -> ConnectionInfo | None:
    """The connection with this name, in any case of letters; for the commands."""
    row = await session.scalar(
        select(PbxConnection).where(
            func.lower(PbxConnection.name) == name.strip().lower(), PbxConnection.deleted_at.is_(None)
        )
    )
    return None if row is None else _info(row)


async def connection_secret(session: AsyncSession, connection_id: int, seal: Seal) -> str:
    """The opened secret, for the adapter only; "" where none was entered.

    Raises:
        SecretUnreadable: sealed with another key.
    """
    sealed = await session.scalar(select(PbxConnection.secret).where(PbxConnection.id == connection_id))
    return seal.open(sealed) if sealed else ""


async def set_connection_state(
    session: AsyncSession,
    connection_id: int,
    state: str,
    since: datetime,
    *,
    detail: str | None = None,
    code: str | None = None,
    code_values: Mapping[str, str] | None = None,
) -> None:
    """How the link stands, written by the program that holds it: in English, and as a code with values for catalogues."""
    values = {
        "state": state,
        "state_since": since,
        "state_detail": detail,
        "state_code": code,
        "state_values": dict(code_values or {}),
    }
    await session.execute(
        update(PbxConnection)
        .where(PbxConnection.id == connection_id)
        .values(**values, updated_at=PbxConnection.updated_at)
    )


def _one(connection_id: int) -> Any:
    return select(PbxConnection).where(PbxConnection.id == connection_id, PbxConnection.deleted_at.is_(None))


async def _locked(session: AsyncSession, connection_id: int) -> PbxConnection:
    query = _one(connection_id).with_for_update().execution_options(populate_existing=True)
    row: PbxConnection | None = await session.scalar(query)
    if row is None:
        raise NotFound("connection", connection_id)
    return row


def _check_settings(settings: AsteriskSettings) -> None:
    for name in ("host", "user"):
        value = getattr(settings, name)
        if not value or any(char.isspace() or not char.isprintable() for char in value):
            raise Invalid(name, value, "Enter it without spaces, as manager.conf and the network know it.")
    if not 1 <= settings.port <= 65535:
        raise Invalid(
            "port", settings.port, "A port is a number from 1 to 65535; Asterisk's is usually 5038."
        )


def _meaning_of(error: IntegrityError, name: str) -> Exception:
    if "uq_pbx_connection_name" in str(error.orig):
        return Taken("name", name)
    return Invalid("profile_id", "", "There is no such numbering profile.")


def _info(row: PbxConnection) -> ConnectionInfo:
    return ConnectionInfo(
        id=row.id,
        kind=row.kind,
        name=row.name,
        settings=AsteriskSettings.stored(row.settings),
        has_secret=row.secret is not None,
        time_zone=row.time_zone,
        profile_id=row.profile_id,
        is_enabled=row.is_enabled,
        state=row.state,
        state_since=row.state_since,
        state_detail=row.state_detail,
        state_code=row.state_code,
        state_values=row.state_values,
        last_event_at=row.last_event_at,
        version=row.version,
    )
