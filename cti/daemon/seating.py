"""The directory of the database, as the desk asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from crm.directory import ConnectionDirectory, Directory, DirectoryExtension
from cti.desk import Agent, OwnLine


class Seating:
    """Fits `cti.desk.Directory`; one value, replaced as a whole when the directory changes."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def agent_at(self, connection_id: int, extension: str) -> Agent | None:
        found = self.extension(connection_id, extension)
        return _agent(found) if found else None

    def own_line(self, connection_id: int, did: str | None) -> OwnLine | None:
        connection = self._directory.connections.get(connection_id)
        line = connection.line(did) if connection else None
        if line is None:
            return None
        return OwnLine(id=line.id, name=line.name, colour=line.colour, team_id=line.team_id)

    def extensions_of(self, user_id: int) -> Sequence[tuple[int, str]]:
        return [(found.connection_id, found.digits) for found in self._directory.extensions_of(user_id)]

    def seated_agents(self) -> Sequence[Agent]:
        seated = (
            _agent(found)
            for connection in self._directory.connections.values()
            for found in connection.extensions.values()
        )
        return tuple({agent.user_id: agent for agent in seated if agent}.values())

    def extension(self, connection_id: int, extension: str) -> DirectoryExtension | None:
        """By its digits, or by the name of one of its telephones where the PBX tells no digits."""
        connection = self._directory.connections.get(connection_id)
        if connection is None:
            return None
        digits = extension if extension in connection.extensions else _digits_of(connection, extension)
        return connection.extensions.get(digits or "")


def _agent(found: DirectoryExtension) -> Agent | None:
    """The person at an extension; None where nobody sits."""
    if found.user_id is None:
        return None
    return Agent(
        user_id=found.user_id,
        name=found.user_name or found.digits,
        team_id=found.team_id,
        team=found.team_name,
    )


def _digits_of(connection: ConnectionDirectory, endpoint: str) -> str | None:
    named = connection.extension_of_endpoint
    return named.get(endpoint) or next(
        (named[name] for name in named if name.partition("/")[2] == endpoint), None
    )
