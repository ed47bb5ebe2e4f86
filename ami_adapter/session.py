"""One link to one Asterisk, from the greeting to its end. It is never made anew here and repeats nothing.

panoramisk's Manager owns the protocol and its settings. Of its habits we keep none that reaches the network: it would
reconnect at a fixed pace for ever, log in again and again with a refused secret, and send unanswered actions twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from panoramisk import Manager

from ami_adapter import actions
from ami_adapter.actions import Action
from ami_adapter.errors import (
    AmiActionRefused,
    AmiError,
    AmiLinkLost,
    AmiLoginRefused,
    AmiUnreachable,
    NotAnAmi,
    OutcomeUnknown,
)
from ami_adapter.framing import AmiMessage
from ami_adapter.link import AmiSettings
from ami_adapter.protocol import AmiProtocol, AmiResponse

GREETING = "Asterisk Call Manager/"

# panoramisk logs whole actions and messages, secrets and customers included.
_silent = logging.getLogger(f"{__name__}.panoramisk")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class AmiSession:
    """A greeted link. `lost` is done, with the reason, once it is over."""

    def __init__(self, settings: AmiSettings, manager: Manager, protocol: AmiProtocol, greeting: str) -> None:
        self._settings = settings
        self._manager = manager
        self._protocol = protocol
        self.ami_version = greeting.removeprefix(GREETING)
        self.lost = protocol.lost

    @classmethod
    async def open(cls, settings: AmiSettings, deliver: Callable[[Sequence[AmiMessage]], bool]) -> AmiSession:
        """Connect and wait for the greeting, no longer than `patience.connect` for each.

        Raises:
            AmiUnreachable: there is no TCP connection.
            NotAnAmi: something else listens there.
            AmiLinkLost: it was closed before it greeted; many PBXs do so to addresses they do not permit.
        """
        loop = asyncio.get_running_loop()
        protocol = AmiProtocol(deliver, limits=settings.limits, action_seconds=settings.patience.action)
        manager = Manager(
            host=settings.host,
            port=settings.port,
            loop=loop,
            log=_silent,
            protocol_factory=lambda: protocol,
        )
        try:
            await _connect(manager, settings)
            greeting = await _greeting(protocol, settings)
        except BaseException:
            protocol.close()
            raise
        return cls(settings, manager, protocol, greeting)

    @property
    def unanswered(self) -> int:
        """How many actions got no answer in time."""
        return self._protocol.unanswered

    async def act(self, action: Action) -> AmiResponse:
        """Send an action and wait for its whole answer.

        Raises:
            AmiActionRefused: Asterisk said no.
            OutcomeUnknown: it was sent, and no answer came.
            AmiNotConnected, TooManyPending, UnsafeActionText: it was not sent.
        """
        return await self._protocol.send(action)

    async def log_in(self) -> None:
        """Log in and subscribe in one step; the secret travels hashed where the manager can do so.

        Raises:
            AmiLoginRefused: by a person only this can be mended.
            AmiLinkLost: no answer came.
        """
        settings = self._settings
        try:
            try:
                answer = await self.act(actions.challenge())
            except AmiActionRefused:
                login = actions.login_in_clear(settings.user, settings.secret, settings.event_classes)
            else:
                login = actions.login_by_challenge(
                    settings.user,
                    settings.secret,
                    answer.message.get("Challenge", ""),
                    settings.event_classes,
                )
            await self.act(login)
        except AmiActionRefused as error:
            raise AmiLoginRefused(settings.user, settings.host, settings.port, error.answer) from None
        except OutcomeUnknown as error:
            raise AmiLinkLost(f"the login was not answered: {error.reason}") from None

    async def keep_alive(self) -> None:
        """Ping, and abort the link when the peer falls silent; returns when the link is over."""
        loop, patience = asyncio.get_running_loop(), self._settings.patience
        while not self.lost.done():
            silent_for = loop.time() - self._protocol.heard_at
            if silent_for >= patience.silence:
                self.abort(AmiLinkLost(f"nothing was heard for {patience.silence:g} s"))
                return
            self._ping()
            await asyncio.wait({self.lost}, timeout=min(patience.ping, patience.silence - silent_for))

    def abort(self, error: AmiError) -> None:
        """End the link at once; a second reason is not heard."""
        self._protocol.abort(error)
        self._manager.close()

    def _ping(self) -> None:
        try:
            answer = self._protocol.send(actions.ping())
        except AmiError:
            return  # too many pending, or just lost: silence tells
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())


async def version_of(session: AmiSession) -> str:
    """Asterisk's version if the account may ask for it, else what the greeting says of the manager."""
    try:
        answer = await session.act(Action("CoreSettings"))
    except AmiActionRefused:
        return f"AMI {session.ami_version}"
    return answer.message.get("AsteriskVersion", "") or f"AMI {session.ami_version}"


async def _connect(manager: Manager, settings: AmiSettings) -> None:
    loop, config = asyncio.get_running_loop(), manager.config
    connecting = loop.create_task(
        loop.create_connection(config["protocol_factory"], config["host"], config["port"])
    )
    try:
        async with asyncio.timeout(settings.patience.connect) as patience:
            await connecting
    except OSError as error:  # TimeoutError and the resolver's errors are OSErrors too
        seconds = settings.patience.connect
        reason = f"no answer within {seconds:g} s" if patience.expired() else (error.strerror or str(error))
        raise AmiUnreachable(settings.host, settings.port, reason) from None
    manager.connection_made(connecting)
    manager.pinger.cancel()  # ours notices silence


async def _greeting(protocol: AmiProtocol, settings: AmiSettings) -> str:
    either: set[asyncio.Future[Any]] = {protocol.greeted, protocol.lost}
    await asyncio.wait(either, timeout=settings.patience.connect, return_when=asyncio.FIRST_COMPLETED)
    if protocol.lost.done():
        raise protocol.lost.result()
    greeting = protocol.greeted.result() if protocol.greeted.done() else ""
    if not greeting.startswith(GREETING):
        raise NotAnAmi(settings.host, settings.port, greeting or "silence")
    return greeting
