"""What tests of pages and sockets share: a gate with known people, and an application around any desk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from crm.granted_rights import DEFAULT_PERMISSIONS
from crm.rights import Access, Scope
from cti.desk import Agent, Desk, OwnLine
from web.gate import CameIn, Credential, TurnedAway
from web.keys import Services
from web.notes import StoredNote


def access_with(role: str, user_id: int = 1, **more: Any) -> Access:
    """Someone with one of the five roles."""
    scopes = {right: Scope.named(scope) for right, scope in DEFAULT_PERMISSIONS[role].items()}
    values: dict[str, Any] = {"login": role, "name": f"Test {role.title()}", "language": "en"} | more
    return Access(user_id=user_id, role_codes=frozenset({role}), scopes=MappingProxyType(scopes), **values)


@dataclass
class FakeGate:
    """People by login, all with the password "correct horse"; sessions and tokens by their secret."""

    people: dict[str, Access]
    sessions: dict[str, Access] = field(default_factory=dict)
    tokens: dict[str, Access] = field(default_factory=dict)
    wait_seconds: float = 0.0

    async def sign_in(
        self, login: str, password: str, *, address: str, user_agent: str
    ) -> CameIn | TurnedAway:
        access = self.people.get(login)
        if self.wait_seconds or access is None or password != "correct horse":
            return TurnedAway(wait_seconds=self.wait_seconds)
        token = f"session-{len(self.sessions) + 1}"
        self.sessions[token] = access
        return CameIn(token=token, user_id=access.user_id)

    async def sign_out(self, token: str) -> None:
        self.sessions.pop(token, None)

    async def access(self, credential: Credential) -> Access | None:
        return (self.tokens if credential.is_token else self.sessions).get(credential.secret)


@dataclass
class FakeNotes:
    """Comments in memory."""

    kept: dict[tuple[int, UUID], StoredNote] = field(default_factory=dict)

    async def read(
        self, session: AsyncSession, access: Access, call_id: UUID, *, is_present: bool
    ) -> StoredNote | None:
        empty = StoredNote(text="", version=0) if is_present else None
        return self.kept.get((access.user_id, call_id), empty)

    async def save(
        self,
        session: AsyncSession,
        access: Access,
        call_id: UUID,
        text: str,
        version: int,
        *,
        is_present: bool,
    ) -> StoredNote | None:
        stored = await self.read(session, access, call_id, is_present=is_present)
        if stored is None or stored.version != version:
            return stored
        self.kept[access.user_id, call_id] = note = StoredNote(text=text, version=version + 1)
        return note


@dataclass
class FakeDirectory:
    """Who sits where: extension → agent, on connection 1; one line."""

    agents: Mapping[str, Agent]
    lines: Mapping[str, OwnLine] = field(default_factory=dict)

    def agent_at(self, connection_id: int, extension: str) -> Agent | None:
        return self.agents.get(extension)

    def own_line(self, connection_id: int, did: str | None) -> OwnLine | None:
        return self.lines.get(did or "")

    def extensions_of(self, user_id: int) -> list[tuple[int, str]]:
        return [(1, extension) for extension, agent in self.agents.items() if agent.user_id == user_id]

    def seated_agents(self) -> list[Agent]:
        return list({agent.user_id: agent for agent in self.agents.values()}.values())


class NoDatabase:
    """Sessions that reach no server: for what must not ask the database."""

    @staticmethod
    def sessions() -> async_sessionmaker[AsyncSession]:
        return async_sessionmaker(create_async_engine("postgresql+asyncpg://127.0.0.1:1/none"))


def services_with(gate: FakeGate, desk: Desk, **more: Any) -> Services:
    values: dict[str, Any] = {
        "sessions": NoDatabase.sessions(),
        "gate": gate,
        "notes": FakeNotes(),
        "desk": desk,
        "now": lambda: datetime.now(UTC),
        "default_language": "en",
    }
    return Services(**values | more)
