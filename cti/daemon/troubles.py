"""What is not as it should be at this moment: the answer of `/readyz`, and a sentence for people."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from ami_adapter.link import LinkState, LinkStatus
from crm.database import Database
from crm.journal import Journal
from crm.links import why_silent
from web.status import Trouble
from web.telephone import DiallerState

ASK_SECONDS: Final = 1.0  # how old the answer may be whether the database answers


class Troubles:
    """Asked by anybody at any time; the parts say how they stand."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        links: Callable[[], Mapping[int, LinkState]],
        diallers: Callable[[], Iterable[DiallerState]],
        name_of: Callable[[int], str],
    ) -> None:
        self._database, self._journal = database, journal
        self._links, self._diallers, self._name_of = links, diallers, name_of
        self._asking = asyncio.Lock()
        self._asked_at = -ASK_SECONDS
        self._silence: str | None = None

    async def find(self) -> Sequence[Trouble]:
        return [
            *await self._of_database(),
            *self._of_journal(),
            *self._of_links(),
            *self._of_diallers(),
        ]

    async def _of_database(self) -> list[Trouble]:
        """Asked once a second at most: anybody may ask us, and none of them shall wear out the database."""
        async with self._asking:
            if time.monotonic() - self._asked_at >= ASK_SECONDS:
                self._silence, self._asked_at = await why_silent(self._database), time.monotonic()
            why = self._silence
        if why is None:
            return []
        detail = f"The database does not answer ({why}); calls go to the spool. Check the server."
        return [Trouble(what="database", detail=detail, outline=detail, is_fatal=True)]

    def _of_journal(self) -> list[Trouble]:
        if not self._journal.is_losing:
            return []
        detail = (
            "The spool on disk is full; calls wait in memory only. Bring the database back, free disk space."
        )
        return [Trouble(what="journal", detail=detail, outline=detail, is_fatal=True)]

    def _of_links(self) -> list[Trouble]:
        found: list[Trouble] = []
        for connection_id, state in self._links().items():
            if state.status is not LinkStatus.UP:
                name = self._name_of(connection_id)
                told, outline = f"{name}: {state.detail}", f"{name}: {state.code}"
                found.append(Trouble(what="connection", detail=told, outline=outline, is_fatal=False))
        return found

    def _of_diallers(self) -> list[Trouble]:
        down = [dialler for dialler in self._diallers() if dialler.state != LinkStatus.UP.value]
        told = [f"{dialler.connection}, dialling account: {dialler.code}" for dialler in down]
        return [Trouble(what="dialling", detail=each, outline=each, is_fatal=False) for each in told]
