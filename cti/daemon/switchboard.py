"""The straight line from a call event to everybody concerned: desk and sockets first, then the journal, then who calls.

Called in order by the one reader of each connection; it never waits. What takes time (the match, the database) is handed
to bounded queues and comes back as a call of its own.
"""

from __future__ import annotations

import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog
from prometheus_client import Counter

from crm.desk_match import for_desk
from crm.directory import Directory
from crm.journal_entries import CallEntry, CallFacts, Entry, SnapshotEntry
from crm.matching import MatchResult
from crm.wrap_ups import RunningWrapUp
from cti.calls.call_events import CallEnded, CallEvent, CallRinging, CallsJoined, SnapshotApplied
from cti.calls.records import CallRecord, CallState
from cti.daemon.call_facts import customer_of, facts_of, record_of
from cti.daemon.call_ids import CallIds
from cti.daemon.recognition import Question
from cti.daemon.seating import Seating
from cti.desk import Desk, Message, TalkOver
from cti.numbers import Number

MOST_FACTS = 20_000  # calls that go on, or of which nobody told yet who called; the oldest go first
log = structlog.get_logger(__name__)
ERRORS = Counter("ringcard_call_event_errors", "Call events of which a part was not told, by kind", ["kind"])
EVENTS = Counter("ringcard_call_events", "Call events, by kind", ["kind"])


class Journal(Protocol):
    """Takes entries in order and never waits."""

    def put(self, entry: Entry) -> None: ...


class Story(Protocol):
    """Takes notes of what becomes of calls; `cti.daemon.story_book.StoryBook` fits."""

    def set_seating(self, seating: Seating) -> None: ...

    def present(self, connection_id: int, call_id: UUID, call: CallRecord, at: datetime | None) -> None: ...

    def happened(self, connection_id: int, call_id: UUID, event: CallEvent, facts: CallFacts) -> None: ...

    def rings(self, connection_id: int, call_id: UUID, event: CallRinging) -> None: ...

    def told(self, messages: Iterable[Message]) -> None: ...

    def recognised(self, call_id: UUID, outcome: str, at: datetime) -> None: ...


@dataclass(slots=True)
class KnownCall:
    """What we found out about a call beside its record."""

    connection_id: int
    number: Number | None = None
    asked: str | None = None  # the number we asked about
    is_asking: bool = False  # and have no answer yet
    facts: CallFacts = field(default_factory=CallFacts)
    record: CallRecord | None = None
    named: tuple[str, ...] = ()  # the linked ids that its story knows


class Switchboard:
    """One for all connections.

    Args:
        ask: hands a question to `Recognition`, which answers by `recognised`.
        deliver: passes messages on to sockets.
        now: moments for events that bring none.
        story: takes notes of every call; None where stories are not kept.
    """

    def __init__(
        self,
        *,
        desk: Desk,
        journal: Journal,
        ask: Callable[[Question], None],
        deliver: Callable[[Iterable[Message]], None],
        now: Callable[[], datetime],
        ids: CallIds,
        story: Story | None = None,
    ) -> None:
        self._desk = desk
        self._journal = journal
        self._ask = ask
        self._deliver = deliver
        self._now = now
        self._ids = ids
        self._story = story
        self._directory = Directory()
        self._known: OrderedDict[UUID, KnownCall] = OrderedDict()
        self._renamed: OrderedDict[UUID, UUID] = OrderedDict()  # calls about which a question is on its way

    @property
    def calls_known(self) -> int:
        """Calls that go on, or of which nobody told yet who called."""
        return len(self._known)

    def set_directory(self, directory: Directory) -> None:
        """Lines, extensions and profiles as they are from now on."""
        self._directory = directory
        seating = Seating(directory)
        if self._story is not None:
            self._story.set_seating(seating)
        self._deliver(self._desk.set_directory(seating, self._now()))

    def receive(self, connection_id: int, events: Sequence[CallEvent]) -> None:
        """What one connection tells, in order."""
        for event in events:
            EVENTS.labels(kind=type(event).__name__).inc()
            try:
                if isinstance(event, SnapshotApplied):
                    self._picture_taken(connection_id, event)
                else:
                    self._happened(connection_id, event)
            except Exception as error:  # costs this event only, and none of those after it (invariant I18)
                _note_error(type(event).__name__, error)

    def bring_back(self, one: RunningWrapUp) -> None:
        """A talk that is being wrapped up: its window stays, and comes back after a restart. The journal knows it all.

        One that goes on with somebody else is the PBX's to tell first.
        """
        if one.call.ended_at is None and self._desk.call(one.call.id) is None:
            return
        record, connection_id = record_of(one.call), one.call.connection_id
        number = customer_of(record, self._directory.connections.get(connection_id))
        talk = TalkOver(
            call_id=one.call.id,
            connection_id=connection_id,
            record=record,
            number=number,
            user_id=one.user_id,
            extension=one.extension,
            answered_at=one.answered_at,
            until=one.due_at,
        )
        is_new = self._desk.call(talk.call_id) is None
        self._show("RunningWrapUp", lambda: self._desk.bring_back(talk, self._now()))
        if is_new and number is not None:
            line_id = one.call.line_id
            self._ask(
                Question(connection_id=connection_id, call_id=talk.call_id, number=number, line_id=line_id)
            )

    def recognised(self, question: Question, result: MatchResult) -> None:
        """Who calls is known: windows first, then the journal."""
        call_id = self._renamed.pop(question.call_id, question.call_id)
        known = self._known.get(call_id)
        at = self._now()
        self._show("recognised", lambda: self._desk.set_match(call_id, for_desk(result), at))
        self._note(lambda story: story.recognised(call_id, result.outcome.value, at))
        if known is None or known.record is None:
            return
        number, facts = question.number, known.facts
        known.facts = CallFacts.of(
            result, customer_e164=number.e164, did_e164=facts.did_e164, line_id=facts.line_id
        )
        known.is_asking = _asked_of(number) != known.asked  # about another number meanwhile
        self._write(question.connection_id, call_id, known, at)
        self._forget_if_over(call_id, known)

    def not_recognised(self, question: Question) -> None:
        """Nobody will tell who calls: the database was away, or too many asked."""
        call_id = self._renamed.pop(question.call_id, question.call_id)
        if (known := self._known.get(call_id)) is not None:
            known.is_asking = _asked_of(question.number) != known.asked
            self._forget_if_over(call_id, known)

    def ask_again(self) -> None:
        """Parties were merged, deleted or brought back: the windows of present calls follow whoever answers to the number now."""
        for call_id, known in tuple(self._known.items()):  # one question too many ends an older one
            if known.record is not None and known.record.state is not CallState.ENDED:
                known.asked = None
                self._ask_who_calls(known.connection_id, call_id, known, known.record)

    def stored_as(self, told_id: UUID, stored_id: UUID) -> None:
        """The journal found the call under an earlier id: everyone follows it."""
        if told_id == stored_id:
            return
        if (known := self._known.pop(told_id, None)) is not None:
            self._known[stored_id] = known
            if known.is_asking:
                self._renamed[told_id] = stored_id
                while len(self._renamed) > MOST_FACTS:
                    self._renamed.popitem(last=False)
            if known.record is not None:
                self._ids.learn(known.connection_id, stored_id, (known.record.key, *known.record.linked_ids))
                self._note_present(known, stored_id, known.record, self._now())
        self._deliver(self._desk.rename(told_id, stored_id))

    def _picture_taken(self, connection_id: int, event: SnapshotApplied) -> None:
        """Every present call is told to the journal before it closes those that are not."""
        self._show("SnapshotApplied", lambda: self._desk.apply(connection_id, None, event))
        at = event.at or self._now()
        for call in event.present:
            call_id = self._ids.of(connection_id, call)
            known = self._know(connection_id, call_id, call)
            self._note_present(known, call_id, call, at)
            self._write(connection_id, call_id, known, at)
            self._ask_who_calls(connection_id, call_id, known, call)
        keys = tuple(linked_id for call in event.present for linked_id in call.linked_ids)
        self._journal.put(SnapshotEntry(connection_id=connection_id, present=keys, at=at))

    def _write(self, connection_id: int, call_id: UUID, known: KnownCall, at: datetime) -> None:
        if known.record is not None:
            self._journal.put(
                CallEntry(
                    connection_id=connection_id,
                    call_id=call_id,
                    record=known.record,
                    facts=known.facts,
                    at=at,
                )
            )

    def _show(self, doing: str, told: Callable[[], Iterable[Message]]) -> None:
        """Windows come first; what fails in them costs no row of the journal."""
        try:
            messages = tuple(told())
            self._deliver(messages)
        except Exception as error:
            _note_error(doing, error)
        else:
            self._note(lambda story: story.told(messages))

    def _note(self, taken: Callable[[Story], None]) -> None:
        """For the story, if it is kept; what fails in it costs nobody else anything."""
        if self._story is not None:
            try:
                taken(self._story)
            except Exception as error:
                _note_error("story", error)

    def _note_present(self, known: KnownCall, call_id: UUID, call: CallRecord, at: datetime | None) -> None:
        known.named = call.linked_ids
        self._note(lambda story: story.present(known.connection_id, call_id, call, at))

    def _happened(self, connection_id: int, event: CallEvent) -> None:
        assert not isinstance(event, SnapshotApplied)
        call = event.call
        call_id = self._ids.of(connection_id, call)
        if isinstance(event, CallsJoined):
            absorbed = self._ids.join(connection_id, event.absorbed_key, call_id)
            self._forget(absorbed)
        known = self._know(connection_id, call_id, call)
        if known.named != call.linked_ids or isinstance(
            event, CallEnded
        ):  # once more where the first was missed
            self._note_present(known, call_id, call, event.at)
        self._show(
            type(event).__name__,
            lambda: self._desk.apply(
                connection_id, call_id, event, known.number, self._ours(connection_id, known)
            ),
        )
        if isinstance(event, CallRinging):
            self._note(lambda story: story.rings(connection_id, call_id, event))
        self._write(connection_id, call_id, known, event.at or self._now())
        self._note(lambda story: story.happened(connection_id, call_id, event, known.facts))
        if not isinstance(event, CallEnded) or known.asked is None:
            self._ask_who_calls(connection_id, call_id, known, call)
        self._forget_if_over(call_id, known)

    def _forget_if_over(self, call_id: UUID, known: KnownCall) -> None:
        """The journal has the whole call, and nobody is asked about it any more."""
        if known.record is not None and known.record.state is CallState.ENDED and not known.is_asking:
            self._forget(call_id)

    def _forget(self, call_id: UUID | None) -> None:
        if call_id is not None:
            self._known.pop(call_id, None)

    def _know(self, connection_id: int, call_id: UUID, call: CallRecord) -> KnownCall:
        known = self._known.get(call_id)
        if known is None:
            known = self._known[call_id] = KnownCall(connection_id)
            if len(self._known) > MOST_FACTS:
                self._known.popitem(last=False)
        before, known.record = known.record, call
        if before is None or before.customer_number != call.customer_number or before.did != call.did:
            self._read_numbers(connection_id, known, call)
        return known

    def _read_numbers(self, connection_id: int, known: KnownCall, call: CallRecord) -> None:
        connection = self._directory.connections.get(connection_id)
        known.number = customer_of(call, connection)
        read = facts_of(call, connection)
        known.facts = replace(
            known.facts,
            customer_e164=read.customer_e164,
            did_e164=read.did_e164,
            line_id=read.line_id,
            match_status=read.match_status or known.facts.match_status,
        )

    def _ours(self, connection_id: int, known: KnownCall) -> frozenset[str]:
        """Our number in this call; where the source does not tell it, each line of the connection may be it."""
        if known.facts.did_e164 is not None:
            return frozenset((known.facts.did_e164,))
        connection = self._directory.connections.get(connection_id)
        return frozenset(connection.lines) if connection else frozenset()

    def _ask_who_calls(self, connection_id: int, call_id: UUID, known: KnownCall, call: CallRecord) -> None:
        """Once per call and number; a call between colleagues asks about the colleague."""
        if known.number is None or (call.state is CallState.ENDED and known.asked is not None):
            return
        asked = _asked_of(known.number)
        if asked == known.asked:
            return
        known.asked, known.is_asking = asked, True
        self._ask(
            Question(
                connection_id=connection_id, call_id=call_id, number=known.number, line_id=known.facts.line_id
            )
        )


def _asked_of(number: Number) -> str:
    return number.e164 or number.digits or number.presented


def _note_error(doing: str, error: Exception) -> None:
    """Where and what kind only: an exception's text may quote a caller."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    ERRORS.labels(kind=doing).inc()
    log.error(
        "a call event was not told",
        doing=doing,
        error=type(error).__name__,
        at=f"{place.filename}:{place.lineno}",
    )
