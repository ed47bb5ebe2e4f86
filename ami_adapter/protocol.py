"""Our protocol under panoramisk's Manager: bytes in, whole messages out, every action answered or ended.

panoramisk's own protocol decodes each TCP chunk by itself (a letter cut in two is lost), has no bound, lets a raising
handler close the link, and after a reconnect sends actions again that were never answered. This one does none of it.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ami_adapter.actions import Action
from ami_adapter.errors import (
    AmiActionRefused,
    AmiError,
    AmiLinkLost,
    AmiMessageTooLong,
    AmiNotConnected,
    OutcomeUnknown,
    TooManyPending,
)
from ami_adapter.framing import AmiFrames, AmiMessage
from ami_adapter.link import Limits
from ami_adapter.translate import is_noise


@dataclass(frozen=True, slots=True)
class AmiResponse:
    """The answer to one action; `events` are the items of a list, without its closing event."""

    message: AmiMessage
    events: tuple[AmiMessage, ...] = ()


@dataclass(slots=True)
class PendingAction:
    """An action that was sent and is not answered yet."""

    action: Action
    future: asyncio.Future[AmiResponse]
    deadline: asyncio.TimerHandle
    response: AmiMessage | None = None
    events: list[AmiMessage] = field(default_factory=list)


class AmiProtocol(asyncio.Protocol):
    """One socket to one Asterisk.

    Args:
        deliver: takes the messages of one chunk, in order; False means there is no room for them.
        action_seconds: how long an answer, or the next part of it, may take.
    """

    def __init__(
        self, deliver: Callable[[Sequence[AmiMessage]], bool], *, limits: Limits, action_seconds: float
    ) -> None:
        self._deliver = deliver
        self._limits = limits
        self._action_seconds = action_seconds
        self._loop = asyncio.get_running_loop()
        self._frames = AmiFrames(max_bytes=limits.message_bytes, is_noise=is_noise)
        self._pending: dict[str, PendingAction] = {}
        # Answers are told from other clients' by the random part; OriginateResponse goes to everybody.
        self._ids = (
            f"ringcard-{prefix}-{number}"
            for prefix in [secrets.token_hex(4)]
            for number in itertools.count(1)
        )
        self._transport: asyncio.Transport | None = None
        self.greeted: asyncio.Future[str] = self._loop.create_future()
        self.lost: asyncio.Future[AmiError] = self._loop.create_future()
        self.heard_at = self._loop.time()
        self.unanswered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.heard_at = self._loop.time()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        if self.lost.done():
            return  # what still comes after an abort has no place in a picture that is made anew
        try:
            messages = self._frames.feed(data)
        except AmiMessageTooLong as error:
            self.abort(error)
            return
        if not self.greeted.done() and self._frames.banner is not None:
            self.greeted.set_result(self._frames.banner or data[:60].decode("utf-8", "replace"))
        if self._pending:
            for message in messages:
                self._note_answer(message)
        if messages and not self._deliver(messages):
            self.abort(
                AmiLinkLost(f"more than {self._limits.queued_messages} messages were waiting to be read")
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self.abort(AmiLinkLost(str(exc) if exc else "Asterisk closed it"))

    def send(self, action: Action) -> asyncio.Future[AmiResponse]:
        """Send one action, once. The future always ends: answer, AmiActionRefused or OutcomeUnknown.

        Raises:
            AmiNotConnected, TooManyPending, UnsafeActionText: nothing was sent.
        """
        if self._transport is None or self.lost.done():
            raise AmiNotConnected(action.name)
        if len(self._pending) >= self._limits.pending_actions:
            raise TooManyPending(action.name, self._limits.pending_actions)
        action_id = next(self._ids)
        data = action.encode(action_id)
        if self._transport.get_write_buffer_size() > self._limits.unsent_bytes:
            self.abort(AmiLinkLost("Asterisk does not read what we send"))
            raise AmiNotConnected(action.name)
        pending = PendingAction(action, self._loop.create_future(), self._deadline_of(action_id))
        self._pending[action_id] = pending
        self._transport.write(data)
        return pending.future

    def close(self) -> None:
        """What panoramisk's Manager calls; an ended link stays ended."""
        self.abort(AmiLinkLost("it was closed by us"))

    def abort(self, error: AmiError) -> None:
        """End the link at once, and with it everything that waits for an answer. The first reason holds."""
        if self.lost.done():
            return
        self.lost.set_result(error)
        self.greeted.cancel()
        for action_id in list(self._pending):
            self._end(action_id, self._unknown(action_id, str(error)))
        if self._transport is not None:
            self._transport.abort()

    def _deadline_of(self, action_id: str) -> asyncio.TimerHandle:
        return self._loop.call_later(self._action_seconds, self._expire, action_id)

    def _expire(self, action_id: str) -> None:
        self.unanswered += 1
        self._end(action_id, self._unknown(action_id, f"no answer within {self._action_seconds:g} s"))

    def _unknown(self, action_id: str, reason: str) -> OutcomeUnknown:
        return OutcomeUnknown(self._pending[action_id].action.name, reason)

    def _note_answer(self, message: AmiMessage) -> None:
        if b"ActionID:" not in message.raw:
            return  # most events: not worth decoding here
        action_id = message.get("ActionID", "")
        pending = self._pending.get(action_id)
        if pending is None:
            return
        pending.deadline.cancel()
        pending.deadline = self._deadline_of(action_id)
        if "Response" in message and "Event" not in message:
            pending.response = message
            self._begin_answer(action_id, pending, message)
        elif message.get("EventList", "").lower() in ("complete", "cancelled"):
            self._end(action_id, AmiResponse(pending.response or message, tuple(pending.events)))
        elif len(pending.events) < self._limits.answer_messages:
            pending.events.append(message)
        else:
            self.abort(AmiLinkLost(f"an answer had more than {self._limits.answer_messages} parts"))

    def _begin_answer(self, action_id: str, pending: PendingAction, message: AmiMessage) -> None:
        if message["Response"].lower() == "error":
            self._end(
                action_id, AmiActionRefused(pending.action.name, message.get("Message", "no reason given"))
            )
        elif message.get("EventList", "").lower() != "start":
            self._end(action_id, AmiResponse(message))

    def _end(self, action_id: str, outcome: AmiResponse | AmiError) -> None:
        pending = self._pending.pop(action_id)
        pending.deadline.cancel()
        if pending.future.done():
            return  # whoever asked was cancelled meanwhile
        if isinstance(outcome, AmiResponse):
            pending.future.set_result(outcome)
        else:
            pending.future.set_exception(outcome)
