"""Who sits where and which line is which, as the desk asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """The person at an extension."""

    user_id: int
    name: str
    team_id: int | None = None
    team: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLine:
    """An outside number of ours, as a call window names it."""

    id: int
    name: str
    colour: str | None = None
    team_id: int | None = None


class Directory(Protocol):
    """The present assignment of extensions and lines; replaced as a whole when it changes."""

    def agent_at(self, connection_id: int, extension: str) -> Agent | None: ...

    def own_line(self, connection_id: int, did: str | None) -> OwnLine | None: ...

    def extensions_of(self, user_id: int) -> Sequence[tuple[int, str]]:
        """(connection, extension) of a person, in order."""
        ...

    def seated_agents(self) -> Sequence[Agent]:
        """Everybody who sits at an extension, each once."""
        ...


class EmptyDirectory:
    """Before the database has answered for the first time: nobody sits anywhere."""

    def agent_at(self, connection_id: int, extension: str) -> Agent | None:
        return None

    def own_line(self, connection_id: int, did: str | None) -> OwnLine | None:
        return None

    def extensions_of(self, user_id: int) -> Sequence[tuple[int, str]]:
        return ()

    def seated_agents(self) -> Sequence[Agent]:
        return ()
