"""The second link to a PBX: the account that places and ends calls. It hears only what became of what it asked for.

The reader's link tells what goes on; this one is kept apart, so that its account needs no right to look and the reader's
none to call. It repeats nothing: what was not answered is unknown.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from ami_adapter import actions
from ami_adapter.actions import Action
from ami_adapter.errors import AmiActionRefused, AmiError, AmiLinkLost, AmiNotConnected, AmiRightsExcessive
from ami_adapter.framing import AmiMessage
from ami_adapter.link import AmiSettings, LinkStatus
from ami_adapter.protocol import AmiResponse
from ami_adapter.rights import excessive_rights
from ami_adapter.session import AmiSession
from ami_adapter.told import CONNECTING, STOPPED, UP, Telling, tell_end

log = structlog.get_logger(__name__)

EVENT_CLASSES: Final = (
    "call",
)  # OriginateResponse is one of them; manager_custom.conf filters the others out

# What an account may ask for → what a person can do with it.
ABILITIES: Final = {
    "Originate": "place",
    "Hangup": "hang_up",
    "BlindTransfer": "transfer",
    "Redirect": "deflect",
    "Atxfer": "consult",
    "CancelAtxfer": "cancel_consult",
    "Park": "park",
    "PlayDTMF": "keys",
    "MixMonitorMute": "pause_recording",
    "Setvar": "mute",  # MuteAudio would take `system`, the function MUTEAUDIO does not
    "QueuePause": "pause",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Originated:
    """What became of an Originate that the PBX had taken.

    `reason`: answered, no_answer, busy, unreachable, declined.
    """

    action_id: str
    channel_id: str  # "" where the agent's channel is gone already
    reason: str


# Asterisk's AST_CONTROL_… of the agent's leg, as OriginateResponse tells it.
_REASONS: Final = {
    "0": "unreachable",
    "1": "declined",
    "3": "no_answer",
    "4": "answered",
    "5": "busy",
    "8": "unreachable",
}


class DiallerLink:
    """One dialling account at one Asterisk, connected for as long as `run` goes on.

    Args:
        on_originated: told of every OriginateResponse; it must not wait.
        on_parked: told the channel that was parked and the number of its place.
        on_state: told when the link came up or broke.
    """

    def __init__(
        self,
        settings: AmiSettings,
        *,
        on_originated: Callable[[Originated], None],
        on_parked: Callable[[str, str], None] = lambda _channel, _place: None,
        on_state: Callable[[Telling], None] = lambda _telling: None,
    ) -> None:
        self.settings = settings
        self.telling = STOPPED
        self.abilities: frozenset[str] = frozenset()
        self._on_originated = on_originated
        self._on_parked = on_parked
        self._on_state = on_state
        self._session: AmiSession | None = None
        self._random = random.Random()  # noqa: S311 - spreads reconnects, hides nothing
        self._log = log.bind(pbx=f"{settings.host}:{settings.port}", account=settings.user)

    @property
    def is_up(self) -> bool:
        return self._session is not None

    async def run(self) -> None:
        """Keep the link for ever; cancel to stop."""
        patience = self.settings.patience
        delay = patience.retry_first
        try:
            while True:
                began = time.monotonic()
                await self._hold_one_link()
                if time.monotonic() - began >= patience.steady:
                    delay = patience.retry_first
                is_refused = self.telling.status is LinkStatus.REFUSED
                pause = patience.retry_refused if is_refused else delay
                await asyncio.sleep(pause * self._random.uniform(0.75, 1.25))
                delay = min(delay * 2, patience.retry_longest)
        finally:
            self._tell(STOPPED)

    async def act(self, action: Action) -> AmiResponse:
        """Send an action, once, and wait for its answer.

        Raises:
            AmiNotConnected, TooManyPending, UnsafeActionText: nothing was sent.
            AmiActionRefused: Asterisk said no.
            OutcomeUnknown: it was sent, and no answer came; it is not sent again.
        """
        if self._session is None:
            raise AmiNotConnected(action.name)
        return await self._session.act(action)

    async def _hold_one_link(self) -> None:
        if self.telling is STOPPED:
            self._tell(CONNECTING)
        try:
            session = await AmiSession.open(self.settings, self._hear)
        except AmiError as error:
            self._tell(tell_end(error, self.settings))
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(session.keep_alive())
                end = await self._use(session)
                session.abort(end)
        finally:
            self._session = None
            session.abort(AmiLinkLost("ringcard stopped"))
        self._tell(tell_end(end, self.settings))

    async def _use(self, session: AmiSession) -> AmiError:
        """Log in, look what the account may do, and wait for the link's end, which is returned."""
        try:
            await session.log_in()
            commands = await self._commands(session)
        except AmiError as error:
            return session.lost.result() if session.lost.done() else error
        if (excessive := excessive_rights(commands)) and not self.settings.accepts_excessive_rights:
            return AmiRightsExcessive(self.settings.user, excessive)
        self.abilities = frozenset(can for command, can in ABILITIES.items() if command in commands)
        self._session = session
        self._tell(UP)
        lost: set[asyncio.Future[Any]] = {session.lost}
        await asyncio.wait(lost)
        return session.lost.result()

    async def _commands(self, session: AmiSession) -> dict[str, str]:
        try:
            answer = await session.act(actions.list_commands())
        except AmiActionRefused:
            return {}  # without a list nothing is offered
        return {name: answer.message.get(name, "") for name in answer.message}

    def _hear(self, messages: Sequence[AmiMessage]) -> bool:
        for message in messages:
            if message.event == b"OriginateResponse":
                self._on_originated(_originated(message))
            elif message.event == b"ParkedCall":
                self._on_parked(message.get("ParkeeChannel", ""), message.get("ParkingSpace", ""))
        return True

    def _tell(self, telling: Telling) -> None:
        if telling == self.telling:
            return
        self.telling = telling
        self._log.info("dialler link", status=telling.status.value, code=telling.code)
        self._on_state(telling)


def _originated(message: AmiMessage) -> Originated:
    is_good = message.get("Response", "") == "Success"
    reason = _REASONS.get(message.get("Reason", ""), "unreachable")
    unique_id = message.get("Uniqueid", "")
    return Originated(
        action_id=message.get("ActionID", ""),
        channel_id="" if unique_id.startswith("<") else unique_id,
        reason="answered" if is_good else "unreachable" if reason == "answered" else reason,
    )
