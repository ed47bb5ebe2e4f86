"""Who may come in: what the web needs of accounts, as a port; `CrmGate` is the real one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm import accounts
from crm.readers import Readers
from crm.rights import Access
from web.token_uses import TokenUses


@dataclass(frozen=True, slots=True, kw_only=True)
class CameIn:
    """The password was right: a session exists, `token` is its secret, shown once."""

    token: str
    user_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedAway:
    """The sign-in was refused; `wait_seconds` is how long to wait before the next try may succeed, or 0."""

    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a request or a socket came with: the secret of a session (cookie) or an API token (bearer)."""

    secret: str
    is_token: bool


class Gate(Protocol):
    """Accounts as the web sees them."""

    async def sign_in(
        self, login: str, password: str, *, address: str, user_agent: str
    ) -> CameIn | TurnedAway: ...

    async def sign_out(self, token: str) -> None: ...

    async def access(self, credential: Credential) -> Access | None:
        """What the bearer may do now; None if the session is over, the token ended, the user blocked."""
        ...


class CrmGate:
    """Accounts of the database. Asking notes the use of a session, so an open socket keeps its session awake."""

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        now: Callable[[], datetime],
        readers: Readers | None = None,
    ) -> None:
        self._sessions = sessions
        self._now = now
        self._readers: Readers = readers or sessions
        self._uses = TokenUses(sessions, now)

    async def close(self) -> None:
        """Nobody asks any more: write down what is still to be noted."""
        await self._uses.close()

    async def sign_in(
        self, login: str, password: str, *, address: str, user_agent: str
    ) -> CameIn | TurnedAway:
        outcome = await accounts.sign_in(self._sessions, login, password, address, user_agent, self._now())
        if isinstance(outcome, accounts.SignedIn):
            return CameIn(token=outcome.token, user_id=outcome.user_id)
        return TurnedAway(wait_seconds=outcome.wait_seconds)

    async def sign_out(self, token: str) -> None:
        async with self._sessions.begin() as session:
            await accounts.end_session(session, token, self._now())

    async def access(self, credential: Credential) -> Access | None:
        if credential.is_token:
            return await self._token_access(credential.secret)
        async with self._sessions.begin() as session:
            return await accounts.session_access(session, credential.secret, self._now())

    async def _token_access(self, token: str) -> Access | None:
        """A dialplan's caller waits for this: it is read by the readers alone, the use is noted later."""
        async with self._readers() as reader:
            found = await accounts.read_token(reader, token, self._now())
        if found is None:
            return None
        if found.is_to_be_noted:
            self._uses.note(found.token_id)
        return found.access
