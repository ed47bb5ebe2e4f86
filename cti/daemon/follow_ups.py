"""The worker that does what rules want done about calls: one after the other, beside the calls."""

from __future__ import annotations

from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.journal import is_away
from crm.rule_actions import carry_out_next, note_fault
from cti.daemon.listening import Renewal

log = structlog.get_logger(__name__)

ROUND_SECONDS: Final = 30.0  # when hearing of it fails


class FollowUps:
    """One for all connections; two programs on one database share the work by its rows."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._renewal = Renewal(self.work, ROUND_SECONDS)
        self._renewal.ask()  # first of all what an earlier run left
        self.run = self._renewal.run  # what was not committed is done by the next program
        self.look = self._renewal.ask  # something is to be done about a call

    async def work(self) -> None:
        """Everything that there is to do now."""
        while await self._one():
            pass

    async def _one(self) -> bool:
        try:
            async with self._sessions.begin() as session:
                return await carry_out_next(session)
        except Exception as error:
            if is_away(error):
                raise
            log.exception("a follow-up of a call failed")
            async with self._sessions.begin() as session:
                await note_fault(session, error)
            return True
