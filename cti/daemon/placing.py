"""A click becomes a call: once, whatever breaks; its window at once; what became of it told to all tabs.

The row is written before anything is sent and marked as sent before the action goes out (`crm.dial_requests`), so that a
crash in between leaves «not sent» or «unknown», and never a second call.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from ami_adapter.actions import Action, originate
from ami_adapter.dialler import Originated
from ami_adapter.errors import AmiActionRefused, AmiError, OutcomeUnknown, UnsafeActionText
from crm.dial_requests import (
    DialInfo,
    DialOrder,
    begin_dial,
    dial_of,
    mark_sent,
    outgoing_number,
    settle_dial,
    settle_left_over,
)
from crm.rights import Access
from cti.calls.call_events import CallEnded, CallRinging
from cti.calls.records import CallRecord, CallState, Direction, Disposition, ParticipationResult
from cti.daemon.call_ids import CallIds
from cti.daemon.diallers import Dialler, Diallers
from cti.daemon.recognition import Question
from cti.desk import Desk, Message

log = structlog.get_logger(__name__)

MOST_KEPT: Final = 1_000  # answers that came before their question, clicks whose outcome is open
UNSEEN_SECONDS: Final = 30.0  # so long a window stays whose call nobody has heard of
READER_SECONDS: Final = 0.2  # until the other link has told the end of the same call
LINE_VARIABLE: Final = (
    "__RINGCARD_LINE"  # inherited by the customer's leg: the dialplan shows this number of ours
)
OUTCOMES: Final = Counter("ringcard_dials", "Calls placed from the screen, by what became of them", ["state"])
_LOST: Final = frozenset({"failed", "refused", "not_sent"})  # there is no call, and surely will be none


_REASONS: Final = {
    ParticipationResult.BUSY: "busy",
    ParticipationResult.DECLINED: "declined",
    ParticipationResult.NOT_ANSWERED: "no_answer",
}
Key = TypeVar("Key")
Value = TypeVar("Value")


class TellUser(Protocol):
    """Tells all pages of one user; `web.live.LiveHub.tell` fits."""

    def __call__(self, user_id: int, kind: str, data: Mapping[str, Any], /) -> None: ...


def channel_id_of(dial_id: UUID, at: datetime) -> str:
    """The Uniqueid of the agent's channel: new each time, in the form `system-seconds.number` that Asterisk compares by age."""
    return f"ringcard{dial_id.hex[:12]}-{int(at.timestamp())}.{dial_id.int & 0x7FFFFFFF}"


class Placing:
    """Places calls for people.

    Args:
        tell: told of every outcome, for the pages of whoever clicked.
        ask: asks who answers to the number.
    """

    def __init__(
        self,
        *,
        sessions: async_sessionmaker[AsyncSession],
        diallers: Diallers,
        desk: Desk,
        ids: CallIds,
        ask: Callable[[Question], None],
        deliver: Callable[[Iterable[Message]], None],
        tell: TellUser,
        now: Callable[[], datetime],
    ) -> None:
        self._sessions = sessions
        self._diallers = diallers
        self._desk = desk
        self._ids = ids
        self._ask = ask
        self._deliver = deliver
        self._tell = tell
        self._now = now
        self._open: OrderedDict[str, DialInfo] = OrderedDict()  # by action id, else by channel id
        self._early: OrderedDict[str, Originated] = OrderedDict()  # by action id
        self._shown: OrderedDict[UUID, CallRecord] = OrderedDict()  # what windows were opened with
        self._tasks: set[asyncio.Task[DialInfo]] = set()

    async def begin(self, at: datetime) -> None:
        """At start: what an earlier run left open is told as it is."""
        async with self._sessions.begin() as session:
            if count := await settle_left_over(session, at):
                log.warning("dials_of_unknown_outcome", count=count)

    async def place(self, access: Access, order: DialOrder) -> DialInfo:
        """Ring the agent's telephone, then call the number; the same click again only tells what became of it.

        Raises:
            CrmError: the number is not dialled, and why; nothing was sent.
        """
        async with self._sessions.begin() as session:
            dial = await begin_dial(session, access, order, self._now())
            shown = await self._line_shown(session, order)
        if dial.is_repeated:
            return dial
        dialler = self._diallers.of(order.connection_id)
        if dialler is None or not dialler.may("place"):
            return await self._settle(dial, "not_sent", "no_link")
        channel_id = channel_id_of(dial.id, dial.created_at)
        try:
            action = _action(order, dial, dialler, channel_id, shown)
        except UnsafeActionText as error:
            log.warning("dial_refused_as_unsafe", call_id=str(dial.id), header=error.header)
            return await self._settle(dial, "not_sent", "unsafe")
        async with self._sessions.begin() as session:
            is_ours = await mark_sent(session, dial.id, self._now())
        if not is_ours:
            async with self._sessions() as session:
                return await dial_of(session, access, order.request_id)
        self._show(dial, order, channel_id)
        return await self._send(dial, dialler, action, channel_id)

    def heard(self, _connection_id: int, originated: Originated) -> None:
        """The PBX tells what became of an Originate, of ours or of somebody else's."""
        dial = self._open.pop(originated.action_id, None) or self._open.pop(originated.channel_id, None)
        if dial is None:
            _keep(self._early, originated.action_id, originated)
            return
        task = asyncio.create_task(self._note(dial, originated))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """For the orderly stop: what was heard is stored."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=3.0)

    async def _line_shown(self, session: AsyncSession, order: DialOrder) -> str | None:
        if order.line_id is None:
            return None
        return await outgoing_number(session, order.connection_id, order.line_id)

    async def _send(self, dial: DialInfo, dialler: Dialler, action: Action, channel_id: str) -> DialInfo:
        try:
            answer = await dialler.link.act(action)
        except OutcomeUnknown:
            _keep(self._open, channel_id, dial)
            return await self._settle(dial, "unknown", "no_answer")
        except AmiActionRefused as error:
            return await self._settle(dial, "refused", error.answer[:200])
        except AmiError:
            return await self._settle(dial, "not_sent", "no_link")
        action_id = answer.message.get("ActionID", "")
        if (early := self._early.pop(action_id, None)) is not None:
            return await self._note(dial, early)
        _keep(self._open, action_id, dial)
        return await self._settle(dial, "ringing", None)

    async def _note(self, dial: DialInfo, originated: Originated) -> DialInfo:
        if originated.reason == "answered":
            return await self._settle(dial, "answered", None)
        return await self._settle(dial, "failed", await self._why(dial, originated.reason))

    async def _why(self, dial: DialInfo, reason: str) -> str:
        """For a refused call OriginateResponse gives no reason at all; the reader's link hears it at the same moment."""
        if reason != "unreachable":
            return reason
        await asyncio.sleep(READER_SECONDS)
        call = self._desk.call(dial.id)
        parts = call.record.participations if call else ()
        results = [part.result for part in parts if part.extension == dial.extension and part.result]
        return _REASONS.get(results[-1], reason) if results else reason

    async def _settle(self, dial: DialInfo, state: str, reason: str | None) -> DialInfo:
        """Told first, then stored; while the database is away the row stays as it is, and the next start tells «unknown»."""
        settled = replace(dial, state=state, reason=reason)
        OUTCOMES.labels(state=state).inc()
        told = {
            "id": dial.id,
            "request_id": dial.request_id,
            "number": dial.target,
            "state": state,
            "reason": reason,
        }
        self._tell(dial.user_id, "dial.outcome", told)
        if state in _LOST:
            self._close(dial.id, Disposition.FAILED)
        elif state == "unknown":
            asyncio.get_running_loop().call_later(UNSEEN_SECONDS, self._close, dial.id, None)
        try:
            async with self._sessions.begin() as session:
                await settle_dial(session, dial.id, state, self._now(), reason=reason)
        except Exception as error:
            log.warning("dial_not_settled", call_id=str(dial.id), state=state, error=type(error).__name__)
        return settled

    def _show(self, dial: DialInfo, order: DialOrder, channel_id: str) -> None:
        """The window opens now; the events of the PBX, once they come, belong to the same call."""
        number, is_outside = order.number, order.number.e164 is not None
        record = CallRecord(
            key=channel_id,
            linked_ids=(channel_id,),
            direction=Direction.OUTBOUND if is_outside else Direction.INTERNAL,
            state=CallState.RINGING,
            customer_number=dial.target if is_outside else None,
            placed_by=dial.extension,
            dialled=dial.target,
            ringing=(dial.extension,),
            started_at=dial.created_at,
        )
        self._ids.learn(dial.connection_id, dial.id, (channel_id,))
        _keep(self._shown, dial.id, record)
        event = CallRinging(call=record, extension=dial.extension, at=self._now())
        self._deliver(self._desk.apply(dial.connection_id, dial.id, event, number if is_outside else None))
        if is_outside:
            self._ask(
                Question(
                    connection_id=dial.connection_id, call_id=dial.id, number=number, line_id=dial.line_id
                )
            )

    def _close(self, dial_id: UUID, disposition: Disposition | None) -> None:
        """No call came of it. Where the PBX has told of one, its own events say how it ends."""
        opened_with, call = self._shown.pop(dial_id, None), self._desk.call(dial_id)
        if call is None or call.record is not opened_with:
            return
        at = self._now()
        record = replace(call.record, state=CallState.ENDED, ringing=(), disposition=disposition, ended_at=at)
        self._deliver(self._desk.apply(call.connection_id, dial_id, CallEnded(call=record, at=at)))


def _action(order: DialOrder, dial: DialInfo, dialler: Dialler, channel_id: str, shown: str | None) -> Action:
    return originate(
        dial.extension,
        dial.target,
        how=dialler.plan.how,
        variables={LINE_VARIABLE: shown} if shown else {},
        channel_id=channel_id,
        endpoint=order.endpoint,
    )


def _keep(kept: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    kept[key] = value
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)
