"""Agents' pauses to the PBX and back: what an agent wants is asked of every queue they sit in, what the PBX tells becomes their wish.

A pause is a state, so it may be asked for again after a restart or a lost link: asked twice is as good as once. Whose word holds:
a wish that no PBX was asked for yet is asked; a pause that begins or ends at the PBX while we listen becomes the wish; of what
changed while nobody listened a pause is taken over, and who wanted to be away is paused again (a PBX that starts anew forgets).
Users who never said what they want are left to the PBX.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.agent_wishes import StoredWish, settle_wish, write_wish
from cti.daemon.placing import TellUser
from cti.desk import AgentState, Wish
from cti.desk.pauses import PauseTurn, QueuePlace
from cti.desk.shift import OFF_SHIFT, Shift
from web.telephone import Done

log = structlog.get_logger(__name__)

ECHO_SECONDS: Final = 5.0  # within which the reader's link tells what the other one asked for
RETRY_SECONDS: Final = 3.0
NO_REASON: Final = "At the telephone"
MOST_REASON: Final = 80  # characters
Member = tuple[int, str]  # connection and interface
PauseMember = Callable[[int, str, Wish], Awaitable[Done]]


class Pausing:
    """Args:
    pause: asks a connection for it; outcome done, no_account, not_allowed, not_sent, refused, unknown.
    tell: told of what a user's own page shows otherwise now.
    """

    def __init__(
        self,
        sessions: async_sessionmaker[AsyncSession],
        shift: Shift,
        *,
        pause: PauseMember,
        tell: TellUser,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions, self._shift, self._pause, self._tell = sessions, shift, pause, tell
        self._clock = clock
        self._stored: dict[int, StoredWish] | None = None
        self._told: dict[int, Wish] = {}  # by a PBX, and not stored yet
        self._asking: dict[int, asyncio.Task[None]] = {}
        self._echoes: dict[Member, list[tuple[float, bool]]] = {}
        self._wake = asyncio.Event()
        shift.on_pause, shift.on_queues = self.turned, self.look_at

    def wished(self, wishes: Mapping[int, StoredWish]) -> None:
        """All wishes as they are stored now."""
        before, told = self._stored, self._told
        self._stored = {id_: _newer((before or {}).get(id_), one) for id_, one in wishes.items()}
        self._stored |= {id_: StoredWish(wish=wish, is_asked=True) for id_, wish in told.items()}
        for user_id, one in self._stored.items():
            if before is None or not one.is_asked:
                self._compare(user_id)

    def look_at(self, connection_id: int) -> None:
        """The queues of a PBX were listed, somebody joined one, extensions were assigned anew, its account can be asked again."""
        for user_id in self._shift.users_at(connection_id):
            self._compare(user_id)

    def turned(self, turn: PauseTurn) -> None:
        """A pause began or ended at the PBX; echoes of what we asked for change nothing."""
        one = self._of(turn.user_id)
        if self._is_echo(turn.place) or one is None or one.wish.is_away == turn.place.is_paused:
            return
        if turn.place.is_paused:
            self._take_over(turn.user_id, _pause_of(turn.place.reason))
        elif not any(place.is_paused for place in self._shift.places_in_queues(turn.user_id)):
            self._take_over(turn.user_id, Wish(AgentState.AVAILABLE))

    async def run(self) -> None:
        """Store what the PBX tells, for ever; cancel to stop."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await self._store():
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()

    def _of(self, user_id: int) -> StoredWish | None:
        return (self._stored or {}).get(user_id)

    def _compare(self, user_id: int) -> None:
        """Ask what is not asked yet or not held; take over a pause that we did not hear begin."""
        one, places = self._of(user_id), self._shift.places_in_queues(user_id)
        if one is None or not places or user_id in self._asking:
            return
        is_held = all(place.is_paused == one.wish.is_away for place in places)
        if not one.is_asked or (not is_held and (one.problem or one.wish.is_away)):
            self._asking[user_id] = asyncio.create_task(self._carry_out(user_id))
        elif not is_held and all(place.is_paused for place in places) and not self._awaits_echo(places):
            self._take_over(user_id, _pause_of(next((one.reason for one in places if one.reason), "")))

    async def _carry_out(self, user_id: int) -> None:
        """Ask for the wish; if it is another one by the time it is asked and noted, for that one."""
        asked: Wish | None = None
        try:
            while (one := self._of(user_id)) and one.wish != asked and user_id not in self._told:
                failed, asked = await self._ask_all(user_id, one.wish), one.wish
                now = self._of(user_id)
                if now is not None and now.wish == one.wish:
                    await self._settle(user_id, one, failed)
        finally:
            del self._asking[user_id]

    async def _ask_all(self, user_id: int, wish: Wish) -> Done | None:
        """None: every queue does it; else the first answer that says why one does not."""
        failed: Done | None = None
        members = [(place.connection_id, place.interface) for place in self._shift.places_in_queues(user_id)]
        for member in dict.fromkeys(members):
            self._expect(member, wish.is_away)
            done = await self._pause(*member, wish)
            if done.outcome != "done":
                failed = failed or done
        return failed

    async def _settle(self, user_id: int, one: StoredWish, failed: Done | None) -> None:
        problem, detail = (failed.outcome, failed.detail) if failed else (None, "")
        if self._stored is not None and user_id in self._stored:
            self._stored[user_id] = StoredWish(wish=one.wish, is_asked=problem != "not_sent", problem=problem)
        if problem:
            log.warning("pause_not_held", user_id=user_id, why=problem)
        try:
            async with self._sessions.begin() as session:
                await settle_wish(session, user_id, one.wish, problem, detail)
        except Exception as error:  # the database is away: asked again when it is back
            log.warning("pause_not_noted", user_id=user_id, error=type(error).__name__)
        if problem != one.problem:
            self._show(user_id, one.wish, problem)

    def _take_over(self, user_id: int, wish: Wish) -> None:
        """What the PBX says is what the agent wants from now on."""
        self._told[user_id] = wish
        if self._stored is not None:
            self._stored[user_id] = StoredWish(wish=wish, is_asked=True)
        self._wake.set()

    async def _store(self) -> bool:
        """False while the database is away."""
        for user_id, wish in list(self._told.items()):
            try:
                async with self._sessions.begin() as session:
                    await write_wish(session, user_id, wish, is_pbxs=True)
            except Exception as error:
                log.warning("wish_not_stored", user_id=user_id, error=type(error).__name__)
                return False
            if self._told.get(user_id) is wish:
                del self._told[user_id]
            self._show(user_id, wish, None)
        return True

    def _show(self, user_id: int, wish: Wish, problem: str | None) -> None:
        told: dict[str, Any] = {"state": wish.state.value, "reason": wish.reason, "problem": problem}
        self._tell(user_id, "agent.wish", told)

    # Echoes: the answer comes on one link, the change of the queues on the other, sooner or later

    def _expect(self, member: Member, is_paused: bool) -> None:
        self._echoes[member] = [*self._fresh(member), (self._clock(), is_paused)]

    def _is_echo(self, place: QueuePlace) -> bool:
        return any(is_paused == place.is_paused for _at, is_paused in self._fresh(_member(place)))

    def _awaits_echo(self, places: list[QueuePlace]) -> bool:
        return any(self._fresh(_member(place)) for place in places)

    def _fresh(self, member: Member) -> list[tuple[float, bool]]:
        """What was asked a moment ago; older things are forgotten."""
        since = self._clock() - ECHO_SECONDS
        fresh = [entry for entry in self._echoes.pop(member, ()) if entry[0] >= since]
        if fresh:
            self._echoes[member] = fresh
        return fresh


def _newer(before: StoredWish | None, stored: StoredWish) -> StoredWish:
    """What was read may be older than what was asked since; what failed is asked again by whoever wishes it again."""
    is_done = before is not None and before.is_asked and not before.problem
    return before if before is not None and is_done and before.wish == stored.wish else stored


def _member(place: QueuePlace) -> Member:
    return (place.connection_id, place.interface)


def _pause_of(reason: str) -> Wish:
    if reason == OFF_SHIFT:
        return Wish(AgentState.OFFLINE)
    return Wish(AgentState.PAUSED, " ".join(reason.split())[:MOST_REASON] or NO_REASON)
