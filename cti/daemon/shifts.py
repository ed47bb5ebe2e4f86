"""Agents' wishes and wrap-ups, from the database to the desk: read anew when told, and whenever hearing may have failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.agent_wishes import StoredWish, stored_wishes
from crm.wrap_ups import RunningWrapUp, running_wrap_ups
from cti.daemon.listening import Renewal
from cti.desk import Desk, Message

EVERY_SECONDS: Final = 30.0


class Shifts:
    """Args:
    tell: tells one user of their own wrap-up: user, type, data.
    deliver: passes the desk's messages on.
    on_wishes: told everybody's wishes as they are stored, for the PBXs.
    on_wrap_up: told each that runs, so that its window stays, or comes back after a restart.
    """

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        desk: Desk,
        *,
        now: Callable[[], datetime],
        deliver: Callable[[Iterable[Message]], None],
        tell: Callable[[int, str, dict[str, object]], None],
        on_wishes: Callable[[Mapping[int, StoredWish]], None],
        on_wrap_up: Callable[[RunningWrapUp], None],
    ) -> None:
        self._sessions, self._desk, self._shift = sessions, desk, desk.shift
        self._now, self._deliver, self._tell = now, deliver, tell
        self._on_wishes, self._on_wrap_up = on_wishes, on_wrap_up
        self._renewal = Renewal(self.renew, EVERY_SECONDS)
        self.run = self._renewal.run
        self.ask = self._renewal.ask

    def wrap_up_told(self, told: str) -> None:
        """The payload of `crm.wrap_ups.WRAP_UP_CHANNEL`: a wrap-up began, was prolonged, or is finished."""
        what, user, call, until = told.split(" ")
        user_id, call_id, due_at, now = int(user), UUID(call), datetime.fromisoformat(until), self._now()
        is_running = what == "started" and due_at > now
        self._deliver(self._shift.wrap_up(user_id, due_at if is_running else None, now))
        if not is_running or not self._desk.has_seat(user_id, call_id):
            self.ask()  # another talk of theirs may not be wrapped up yet; this one may have ended while nobody listened
        if what == "ended" or is_running:
            self._deliver(self._desk.wrap_up(user_id, call_id, due_at if is_running else None, now))
        window = self._desk.window_of(call_id)
        self._tell(user_id, f"wrap_up.{what}", {"call_id": str(window), "due_at": due_at})

    async def renew(self) -> None:
        """Everybody's wishes and running wrap-ups, as they are stored."""
        async with self._sessions() as session:
            wishes = await stored_wishes(session)
            running = await running_wrap_ups(session, self._now())
        wanted = {user_id: one.wish for user_id, one in wishes.items()}
        self._deliver(self._shift.set_wishes(wanted, self._now()))
        self._deliver(self._shift.own_states.tell(self._now()))  # whoever pressed a button waits for it
        self._on_wishes(wishes)
        for one in running:
            self._deliver(self._shift.wrap_up(one.user_id, one.due_at, self._now()))
            self._on_wrap_up(one)
