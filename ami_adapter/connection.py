"""One PBX for ever: connect, log in, subscribe, take the snapshot, tell its calls; and all of it again when it breaks.

Order is kept from the socket to `emit`: one protocol puts messages into one bounded inbox, and they leave it one way.
What a message means is told before the next one is looked at, and nothing here starts a task per event.
"""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

import structlog

from ami_adapter import actions
from ami_adapter.actions import Action
from ami_adapter.aside import Aside
from ami_adapter.errors import (
    AmiActionRefused,
    AmiError,
    AmiLinkLost,
    AmiMessageTooLong,
    AmiNotConnected,
    AmiRightsExcessive,
)
from ami_adapter.framing import AmiMessage
from ami_adapter.inbox import Arrived, Inbox
from ami_adapter.link import AmiSettings, LinkCounters, LinkState, LinkStatus
from ami_adapter.moments import Moments, wall_clock
from ami_adapter.presence import PresenceTranslator
from ami_adapter.protocol import AmiResponse
from ami_adapter.redaction import redacted
from ami_adapter.rights import excessive_rights
from ami_adapter.session import AmiSession, version_of
from ami_adapter.snapshot import take_snapshot
from ami_adapter.told import CONNECTING, STOPPED, Telling, tell_end, tell_up
from ami_adapter.translate import Translator
from cti.calls.call_events import CallEvent
from cti.calls.channel_events import ChannelEvent
from cti.calls.presence_events import PresenceEvent
from cti.calls.tracker import CallTracker

log = structlog.get_logger(__name__)

TOLERATED_DRIFT_SECONDS = 1.0
READ_AT_ONCE = 100  # messages told before others of the event loop get their turn


class Tracker(Protocol):
    """What turns channel events into call events; `CallTracker` fits."""

    def apply(self, event: ChannelEvent) -> Sequence[CallEvent]:
        """Apply one channel event."""

    @property
    def is_idle(self) -> bool:
        """Whether no channel lives, and so no call."""


class Ear(Protocol):
    """Whoever keeps what is heard; `ami_adapter.stories.keeper.Ear` fits."""

    def heard(self, message: AmiMessage, at: datetime) -> None:
        """A message as it was received, before it is told. Must not wait."""


class AmiConnection:
    """One connection to one Asterisk, with its own state.

    Args:
        emit: takes call events in order; what it raises costs its own events only.
        on_presence: takes what telephones and queues do, likewise.
        on_state: told of every change of status or detail.
        ear: hears every message that is not dropped as noise, in order.
        on_gap: told, once events flow again, from when to when none did, and why.
        wall, monotonic: the clocks; moments are made of the monotonic one, anchored at each connect.
    """

    def __init__(
        self,
        settings: AmiSettings,
        *,
        emit: Callable[[Sequence[CallEvent]], None],
        on_presence: Callable[[Sequence[PresenceEvent]], None] = lambda _events: None,
        on_state: Callable[[LinkState], None] = lambda _state: None,
        on_gap: Callable[[datetime, datetime, str], None] = lambda _from, _to, _why: None,
        tracker: Tracker | None = None,
        ear: Ear | None = None,
        wall: Callable[[], datetime] = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._emit = emit
        self._on_presence = on_presence
        self._on_state = on_state
        self._on_gap = on_gap
        self._tracker: Tracker = tracker or CallTracker()
        self._ear = ear
        self._wall = wall
        self._monotonic = monotonic
        self._random = random.Random()  # noqa: S311 - spreads reconnects, hides nothing
        self._moments = Moments.anchored_now(wall, monotonic)
        self._translator = Translator()
        self._presence = PresenceTranslator()
        self._aside = Aside(self._tell_presence)
        self._session: AmiSession | None = None
        self._booted = asyncio.Event()
        self._last_event_at: datetime | None = None
        self._heard_until: datetime | None = None  # the end of the last time events flowed
        self._gap_reason = ""
        self._heard_at = self._moments.now()
        self._is_flowing = False
        self._counts: Counter[str] = Counter()
        self._log = log.bind(pbx=f"{settings.host}:{settings.port}")
        self._pbx_version = ""
        self._telling = STOPPED
        self._since = wall()

    @property
    def state(self) -> LinkState:
        """How the link stands at this moment."""
        return LinkState(
            status=self._telling.status,
            since=self._since,
            code=self._telling.code,
            detail=self._telling.detail,
            values=self._telling.values,
            last_event_at=self._last_event_at,
            heard_at=self._heard_at if self._counts["connects"] else None,
            pbx_version=self._pbx_version,
            counters=LinkCounters(**self._counts),
        )

    async def run(self) -> None:
        """Keep the link for ever; cancel to stop."""
        delay = self.settings.patience.retry_first
        try:
            while True:
                began = self._monotonic()
                await self._hold_one_link()
                if self._monotonic() - began >= self.settings.patience.steady:
                    delay = self.settings.patience.retry_first
                await asyncio.sleep(self._pause(delay))
                delay = min(delay * 2, self.settings.patience.retry_longest)
        finally:
            self._end_flow(STOPPED.code)
            self._tell(STOPPED)

    async def act(self, action: Action) -> AmiResponse:
        """Send an action, once, and wait for its whole answer.

        Raises:
            AmiNotConnected, TooManyPending, UnsafeActionText: nothing was sent.
            AmiActionRefused: Asterisk said no.
            OutcomeUnknown: it was sent, and no answer came; it is not sent again.
        """
        if self._session is None or self._telling.status is not LinkStatus.UP:
            raise AmiNotConnected(action.name)
        return await self._session.act(action)

    def _pause(self, delay: float) -> float:
        """How long to wait before the next try: in vain tries cost both sides, and all clients must not come at once."""
        if self._telling.status is LinkStatus.REFUSED:
            delay = self.settings.patience.retry_refused
        return delay * self._random.uniform(0.75, 1.25)

    async def _hold_one_link(self) -> None:
        """From connecting to the end of one link; never raises what a link can raise."""
        if self._telling is STOPPED:
            self._tell(CONNECTING)  # what broke a link is told once, and stays told while we try again
        self._moments = Moments.anchored_now(self._wall, self._monotonic)
        self._translator = Translator()  # a snapshot that broke off is worth nothing
        self._aside.tell()
        self._presence = PresenceTranslator()
        self._booted.clear()
        inbox = Inbox(self.settings.limits.queued_messages)
        try:
            session = await AmiSession.open(self.settings, lambda messages: self._deliver(inbox, messages))
        except AmiError as error:
            self._end_link(error)
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(inbox))
                tasks.create_task(session.keep_alive())
                end = await self._use(session)
                session.abort(end)
                inbox.close()
        finally:
            self._session = None
            session.abort(AmiLinkLost("ringcard stopped"))
            self._counts["unanswered_actions"] += session.unanswered
        self._end_link(end)

    async def _use(self, session: AmiSession) -> AmiError:
        """Log in, take the picture, and wait for the link's end, which is returned."""
        try:
            await session.log_in()
            self._pbx_version = await version_of(session)
            excessive = await self._check_rights(session)
            self._begin_flow()
            await self._wait_for_boot(session, self.settings.patience.boot)
            while not session.lost.done():
                self._booted.clear()
                refused = await take_snapshot(session)
                self._aside.tell()  # whoever hears that the picture is whole finds telephones and queues in it
                self._session = session
                self._tell(tell_up(self.settings, excessive, refused))
                await self._wait_for_boot(session, None)
        except AmiError as error:
            return session.lost.result() if session.lost.done() else error
        return session.lost.result()

    async def _check_rights(self, session: AmiSession) -> tuple[str, ...]:
        try:
            answer = await session.act(actions.list_commands())
        except AmiActionRefused:
            return ()  # older managers; the connection's check tells
        excessive = excessive_rights(answer.message)
        if excessive and not self.settings.accepts_excessive_rights:
            raise AmiRightsExcessive(self.settings.user, excessive)
        return excessive

    async def _wait_for_boot(self, session: AmiSession, patience: float | None) -> None:
        """A PBX that just started answers before it knows its channels; one whose account may not hear it, never."""
        booted = asyncio.create_task(self._booted.wait())
        either: set[asyncio.Future[Any]] = {booted, session.lost}
        try:
            await asyncio.wait(either, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            booted.cancel()

    def _deliver(self, inbox: Inbox, messages: Sequence[AmiMessage]) -> bool:
        """What the reader has time for is told on the spot: a call must not wait for its turn in the event loop."""
        self._heard_at = self._moment_of(inbox)
        self._counts["messages"] += len(messages)
        if inbox.is_empty:  # nothing came before that is not told yet
            at = self._heard_at
            self._tell_arrived([(message, at) for message in messages[:READ_AT_ONCE]])
            messages = messages[READ_AT_ONCE:]
        if messages and not inbox.put(messages, self._heard_at):
            self._counts["overflows"] += 1
            return False
        return True

    def _moment_of(self, inbox: Inbox) -> datetime:
        """The present moment. When the wall clock was put right, it holds from the next pause between calls on."""
        now = self._moments.now()
        is_bent = abs((self._wall() - now).total_seconds()) > TOLERATED_DRIFT_SECONDS
        if not is_bent or not inbox.is_empty or not self._tracker.is_idle:
            return now
        self._moments = Moments.anchored_now(self._wall, self._monotonic)
        return self._moments.now()

    async def _read(self, inbox: Inbox) -> None:
        """Tells, in order and to the end, what was too much for the moment of its arrival."""
        while arrived := await inbox.take(READ_AT_ONCE):
            self._tell_arrived(arrived)
            await asyncio.sleep(0)

    def _tell_arrived(self, arrived: Sequence[Arrived]) -> None:
        """The one way from the inbox to `emit`; nothing is awaited in between, so the order holds."""
        for message, at in arrived:
            self._read_one(message, at)
        may_concern = self._presence.may_concern
        self._aside.put([one for one in arrived if may_concern(one[0])])

    def _read_one(self, message: AmiMessage, at: datetime) -> None:
        if message.event:
            self._last_event_at = at
        if message.event == b"FullyBooted":
            self._booted.set()
        if self._ear is not None:
            self._call_safely(self._ear.heard, message, at)
        try:
            channel_events = self._translator.translate(message, at)
        except Exception as error:
            self._note_error("translating", message, error)
            channel_events = []
        for event in channel_events:
            self._apply(event, message)
        if channel_events:
            self._counts["repeated_headers"] += message.repeated  # decoded by now, so this costs nothing

    def _tell_presence(self, gathered: Sequence[Arrived]) -> None:
        """A window must not wait for a lamp."""
        events: list[PresenceEvent] = []
        for message, at in gathered:
            try:
                events += self._presence.translate(message, at)
            except Exception as error:
                self._note_error("presence", message, error)
        if events:
            self._call_safely(self._on_presence, events)

    def _apply(self, event: ChannelEvent, message: AmiMessage) -> None:
        """A handler that raises costs this event, never the link and never the next one."""
        try:
            if call_events := self._tracker.apply(event):
                self._emit(call_events)
        except Exception as error:
            self._note_error(type(event).__name__, message, error)

    def _note_error(self, doing: str, message: AmiMessage, error: Exception) -> None:
        self._counts["handler_errors"] += 1
        # Only where and what kind: an exception's text may quote what it choked on.
        place = traceback.extract_tb(error.__traceback__)[-1]
        self._log.error(
            "an AMI event was not told",
            doing=doing,
            error=type(error).__name__,
            at=f"{place.filename}:{place.lineno}",
            message=redacted(message),
        )

    def _begin_flow(self) -> None:
        """Logged in and subscribed: the gap is over, whatever was not heard is past."""
        self._counts["connects"] += 1
        self._is_flowing = True
        if self._heard_until is not None:
            self._call_safely(self._on_gap, self._heard_until, self._moments.now(), self._gap_reason)

    def _end_link(self, error: AmiError) -> None:
        self._aside.tell()
        if isinstance(error, AmiMessageTooLong):
            self._counts["too_long"] += 1
        telling = tell_end(error, self.settings)
        self._end_flow(telling.code)
        self._tell(telling)

    def _end_flow(self, reason: str) -> None:
        if self._is_flowing:
            self._is_flowing = False
            self._counts["losses"] += 1
            self._heard_until, self._gap_reason = self._heard_at, reason

    def _tell(self, telling: Telling) -> None:
        if telling == self._telling:
            return
        self._telling, self._since = telling, self._wall()
        is_wanted = telling.status in (LinkStatus.UP, LinkStatus.CONNECTING) or telling is STOPPED
        level = "info" if is_wanted else "warning"
        getattr(self._log, level)(
            "AMI link", status=telling.status.value, code=telling.code, detail=telling.detail
        )
        self._call_safely(self._on_state, self.state)

    def _call_safely(self, told: Callable[..., None], *arguments: object) -> None:
        """Whoever is told of the link cannot break it."""
        try:
            told(*arguments)
        except Exception as error:
            self._counts["handler_errors"] += 1
            self._log.error("a link's listener failed", error=type(error).__name__)
