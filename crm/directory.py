"""The directory as the live path reads it: one frozen value, taken at start and after every change.

A ringing call must not wait for the database, so everything about lines, extensions and numbering is here in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.numbering import as_profile, home_profile
from crm.schema.access import Team, User
from crm.schema.telephony import (
    Extension,
    ExtensionAssignment,
    ExtensionEndpoint,
    Line,
    NumberNote,
    PbxConnection,
)
from crm.schema.telephony import NumberingProfile as ProfileRow
from cti.numbers import DEFAULT_PROFILE, NumberingProfile, to_e164


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryLine:
    """An outside number of ours."""

    id: int
    connection_id: int
    e164: str
    presented: str
    name: str
    colour: str | None
    team_id: int | None
    allows_outgoing: bool = True  # its number may be shown to whoever is called


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryExtension:
    """An extension and whoever sits there at this moment."""

    id: int
    connection_id: int
    digits: str
    endpoints: tuple[str, ...]
    user_id: int | None
    user_name: str | None
    team_id: int | None
    team_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionDirectory:
    """What one connection means."""

    id: int
    name: str
    kind: str
    is_enabled: bool
    time_zone: str | None
    profile: NumberingProfile  # with the extensions of this connection
    profile_id: int | None
    lines: Mapping[str, DirectoryLine]  # by E.164
    extensions: Mapping[str, DirectoryExtension]  # by digits
    extension_of_endpoint: Mapping[str, str]  # "PJSIP/ivanov" → "101"; only where it is not the digits
    _lines_as_presented: Mapping[str, DirectoryLine] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Every ringing call asks for its line; a company may have thousands."""
        found: dict[str, DirectoryLine] = {}
        for line in self.lines.values():
            found.setdefault(line.presented, line)
        object.__setattr__(self, "_lines_as_presented", found)

    def line(self, presented: str | None) -> DirectoryLine | None:
        """The line that was called, in whatever form the provider sends its number."""
        if not presented:
            return None
        number = to_e164(presented, self.profile)
        return self.lines.get(number.e164 or "") or self._lines_as_presented.get(presented)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """All connections as of one moment."""

    connections: Mapping[int, ConnectionDirectory] = field(default_factory=lambda: MappingProxyType({}))
    own_numbers: frozenset[str] = frozenset()  # E.164: a line is never matched as a caller

    def extension(self, connection_id: int, digits: str) -> DirectoryExtension | None:
        connection = self.connections.get(connection_id)
        return connection.extensions.get(digits) if connection else None

    def extensions_of(self, user_id: int) -> tuple[DirectoryExtension, ...]:
        """Where this user's calls ring."""
        return tuple(
            extension
            for connection in self.connections.values()
            for extension in connection.extensions.values()
            if extension.user_id == user_id
        )

    def profile(self, connection_id: int) -> NumberingProfile:
        connection = self.connections.get(connection_id)
        return connection.profile if connection else DEFAULT_PROFILE


async def directory(session: AsyncSession, at: datetime) -> Directory:
    """The directory as of a moment: extensions belong to whoever sat there then."""
    rows = await session.execute(
        select(PbxConnection, ProfileRow)
        .outerjoin(ProfileRow, ProfileRow.id == PbxConnection.profile_id)
        .where(PbxConnection.deleted_at.is_(None))
        .execution_options(populate_existing=True)
    )
    lines = await _lines(session)
    extensions = await _extensions(session, at)
    home = home_profile(session)
    connections = {
        connection.id: _connection(
            connection,
            profile,
            home,
            [line for line in lines if line.connection_id == connection.id],
            [extension for extension in extensions if extension.connection_id == connection.id],
        )
        for connection, profile in rows
    }
    return Directory(
        connections=MappingProxyType(connections),
        own_numbers=frozenset({line.e164 for line in lines} | await _noted_as_own(session)),
    )


def _connection(
    row: PbxConnection,
    profile: ProfileRow | None,
    home: NumberingProfile,
    lines: Iterable[DirectoryLine],
    extensions: list[DirectoryExtension],
) -> ConnectionDirectory:
    by_digits = {extension.digits: extension for extension in extensions}
    return ConnectionDirectory(
        id=row.id,
        name=row.name,
        kind=row.kind,
        is_enabled=row.is_enabled,
        time_zone=row.time_zone,
        profile=as_profile(profile, home, by_digits),
        profile_id=row.profile_id,
        lines=MappingProxyType({line.e164: line for line in lines}),
        extensions=MappingProxyType(by_digits),
        extension_of_endpoint=MappingProxyType(
            {endpoint: extension.digits for extension in extensions for endpoint in extension.endpoints}
        ),
    )


async def _lines(session: AsyncSession) -> list[DirectoryLine]:
    rows = await session.scalars(
        select(Line).where(Line.deleted_at.is_(None)).execution_options(populate_existing=True)
    )
    return [
        DirectoryLine(
            id=row.id,
            connection_id=row.connection_id,
            e164=row.e164,
            presented=row.presented,
            name=row.name,
            colour=row.colour,
            team_id=row.team_id,
            allows_outgoing=row.allows_outgoing,
        )
        for row in rows
    ]


async def _extensions(session: AsyncSession, at: datetime) -> list[DirectoryExtension]:
    endpoints: dict[int, list[str]] = {}
    for extension_id, endpoint in await session.execute(
        select(ExtensionEndpoint.extension_id, ExtensionEndpoint.endpoint).order_by(
            ExtensionEndpoint.endpoint
        )
    ):
        endpoints.setdefault(extension_id, []).append(endpoint)
    sits = (
        (ExtensionAssignment.extension_id == Extension.id)
        & (ExtensionAssignment.valid_from <= at)
        & or_(ExtensionAssignment.valid_to.is_(None), ExtensionAssignment.valid_to > at)
    )
    rows = await session.execute(
        select(Extension, User.id, User.name, Team.id, Team.name)
        .outerjoin(ExtensionAssignment, sits)
        .outerjoin(User, User.id == ExtensionAssignment.user_id)
        .outerjoin(Team, Team.id == User.team_id)
        .order_by(Extension.connection_id, Extension.digits)
    )
    return [
        DirectoryExtension(
            id=row.id,
            connection_id=row.connection_id,
            digits=row.digits,
            endpoints=tuple(endpoints.get(row.id, ())),
            user_id=user_id,
            user_name=user_name,
            team_id=team_id,
            team_name=team_name,
        )
        for row, user_id, user_name, team_id, team_name in rows
    ]


async def _noted_as_own(session: AsyncSession) -> set[str]:
    own = select(NumberNote.e164).where(NumberNote.kind == "own", NumberNote.e164.is_not(None))
    return {e164 for e164 in await session.scalars(own) if e164}
