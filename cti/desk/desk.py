"""The desk: call events in, messages to the users concerned out.

A state machine without clock or I/O, called from one place in order. After every event the seats of the call are made
equal to what its record says; the difference is what users are told. So a repeated event tells nothing, and a snapshot,
a reload and a stream of events end in the same picture (invariant I12).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from cti.calls.call_events import CallEvent, CallsJoined, SnapshotApplied
from cti.calls.records import CallRecord, CallState
from cti.desk import board
from cti.desk.directory import Directory
from cti.desk.mailbox import Mailboxes
from cti.desk.messages import (
    AgentStateChange,
    BoardCall,
    BoardSnapshot,
    CallRef,
    CallView,
    ConnectionView,
    HandOverCard,
    Hello,
    Match,
    Message,
    NoteSaved,
    NoteView,
    Presence,
    SeatState,
    Sight,
)
from cti.desk.present_calls import PresentCalls
from cti.desk.seats import PresentCall, Seat, TalkOver
from cti.desk.shift import Shift
from cti.desk.twins import Twins, is_contradicted, join, part
from cti.desk.watchers import Watchers
from cti.desk.windows import Windows
from cti.numbers import Number

MOST_EXPIRED = 500  # calls looked at in one tick: under a millisecond


class Desk:
    """What every user sees now.

    Holds at most `cti.desk.present_calls.KEPT_CALLS` calls; beyond that the oldest goes, ended ones first.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        epoch: str,
        on_agent_state: Callable[[AgentStateChange], None] = lambda _change: None,
    ) -> None:
        self._directory = directory
        self._mailboxes = Mailboxes(epoch)
        self._windows = Windows(directory, self._mailboxes)
        self._watchers = Watchers()
        self._calls = PresentCalls()
        self._to_expire: list[PresentCall] = []
        self._twins = Twins()
        self._connections: dict[int, ConnectionView] = {}
        self._abilities: dict[int, frozenset[str]] = {}
        self._cards: dict[UUID, list[HandOverCard]] = {}  # of calls that an earlier run knew
        self.shift = Shift(
            directory, seat_states=self._seat_states, call_of=self._calls.known_as, on_change=on_agent_state
        )
        self.shift.set_directory(directory, None)

    # What happened

    def apply(
        self,
        connection_id: int,
        call_id: UUID | None,
        event: CallEvent,
        number: Number | None = None,
        ours: frozenset[str] = frozenset(),
    ) -> list[Message]:
        """One event of one connection, in order.

        Args:
            call_id: None for `SnapshotApplied` only, which concerns no single call.
            number: the customer's number as `to_e164` read it.
            ours: our number that was called, in E.164; where the source does not tell it, all it may have been.
        """
        messages = self._apply(connection_id, call_id, event, number, ours)
        if not isinstance(event, SnapshotApplied):
            self.shift.touch_queue(connection_id, event.call.queue)
        return messages + self.shift.calls_moved(messages, event.at)

    def _apply(
        self,
        connection_id: int,
        call_id: UUID | None,
        event: CallEvent,
        number: Number | None,
        ours: frozenset[str],
    ) -> list[Message]:
        if isinstance(event, SnapshotApplied):
            return self._sweep(connection_id, event)
        if call_id is None:
            raise ValueError(
                f"{type(event).__name__} of connection {connection_id} came without the id of its call"
            )
        messages: list[Message] = []
        if isinstance(event, CallsJoined):
            messages = self._absorb(connection_id, event)
        call = self._present(connection_id, call_id, event.call, number)
        if call is None:  # over before we heard of it: nobody has seen it, nobody needs to
            return messages
        call.ours = ours
        messages += self._find_twins(call, event.at)
        return messages + self._show(call, event, board.told_as(event), event.at)

    def set_match(self, call_id: UUID, match: Match, at: datetime | None = None) -> list[Message]:
        """Who calls is known, or known better."""
        call = self._calls.get(call_id)
        if call is None or call.match == match:
            return []
        call.match = match
        shown = call.shown
        messages = [
            message
            for seat in shown.seats.values()
            if seat.is_open or not seat.is_dismissed
            for message in self._windows.tell_if_changed(shown, seat, "call.matched", at)
        ]
        return messages + self._tell_watchers(shown, "call.matched", at)

    def rename(self, call_id: UUID, stored_id: UUID) -> list[Message]:
        """The journal knows this call by an earlier id: from now on it is called so, and pages are told."""
        call = self._calls.get(call_id)
        if call is None or call_id == stored_id:
            return []
        self._calls.rename(call, stored_id)
        self._windows.rename(call, call_id)
        return [
            message
            for seat in call.seats.values()
            for message in self._windows.tell_if_changed(call, seat, "call.updated", None)
        ]

    def note_saved(
        self, user_id: int, call_id: UUID, text: str, version: int, at: datetime | None
    ) -> list[Message]:
        """A comment was stored: the user's other tabs show it, and a reload brings it back."""
        note = NoteView(text=text, version=version)
        seat = self._seat(user_id, call_id)
        if seat is not None:
            if seat.note is not None and seat.note.version >= version:
                return []
            seat.note = note
        return [self._windows.tell(user_id, "note.saved", NoteSaved(id=call_id, note=note), at)]

    def set_abilities(self, connection_id: int, abilities: frozenset[str]) -> list[Message]:
        """What the dialling account of a connection may ask for, as its link found it; empty while there is none."""
        if self._abilities.get(connection_id, frozenset()) == abilities:
            return []
        self._abilities[connection_id] = abilities
        here = [call for call in self._calls if call.connection_id == connection_id]
        for call in here:
            call.abilities = abilities
        return [message for call in here for message in self._windows.tell_seats(call)]

    def add_card(self, call_id: UUID, card: HandOverCard) -> list[Message]:
        """An agent wrote something for the next one; it stands in their window as soon as the call is there."""
        call = self._calls.get(call_id)
        if call is None:
            return []
        call.shown.cards.append(card)
        return self._windows.tell_seats(call)

    def take_back_card(self, call_id: UUID, card: HandOverCard) -> list[Message]:
        """The call was not passed on after all."""
        call = self._calls.get(call_id)
        if call is None or card not in call.shown.cards:
            return []
        call.shown.cards.remove(card)
        return self._windows.tell_seats(call)

    def learn_cards(self, cards: Iterable[tuple[UUID, HandOverCard]]) -> None:
        """At start: the cards of calls that were going on when an earlier run ended."""
        for call_id, card in cards:
            self._cards.setdefault(call_id, []).append(card)

    def set_recording_paused(self, call_id: UUID, *, is_paused: bool) -> list[Message]:
        """The recording of this call is silent from now on, or goes on."""
        call = self._calls.get(call_id)
        if call is None:
            return []
        call.is_recording_paused = is_paused
        return self._windows.tell_seats(call)

    def set_muted(self, user_id: int, call_id: UUID, *, is_muted: bool) -> list[Message]:
        """Nobody hears this user in this call from now on, or they are heard again."""
        call, seat = self._calls.get(call_id), self._seat(user_id, call_id)
        if call is None or seat is None:
            return []
        seat.is_muted = is_muted
        return self._windows.tell_seats(call.shown)

    def dismiss(self, user_id: int, call_id: UUID, at: datetime | None = None) -> list[Message]:
        """The user closed a window that has come to its end: it closes in all tabs."""
        seat = self._seat(user_id, call_id)
        if seat is None or seat.is_open or seat.is_dismissed:
            return []
        seat.is_dismissed = True
        return [self._windows.tell(user_id, "call.dismissed", CallRef(id=self.window_of(call_id)), at)]

    def wrap_up(
        self, user_id: int, call_id: UUID, until: datetime | None, at: datetime | None = None
    ) -> list[Message]:
        """After a talk: so long its window stays; with None the user is done with it, and it closes in all tabs."""
        call, seat = self._calls.get(call_id), self._seat(user_id, call_id)
        if call is None or seat is None:
            return []
        if until is None:
            return self.dismiss(user_id, call_id, at)
        seat.wrap_up_until = until  # so long it is also remembered that the user closed the window
        if seat.is_dismissed:
            return []
        return list(self._windows.tell_if_changed(call.shown, seat, "call.updated", at))

    def bring_back(self, talk: TalkOver, at: datetime | None = None) -> list[Message]:
        """A talk that is being wrapped up, and was over before this run of the program began."""
        if self.has_seat(talk.user_id, talk.call_id):
            return self.wrap_up(talk.user_id, talk.call_id, talk.until, at)
        call = self._calls.get(talk.call_id)
        if call is None:
            call = self._seat_new_call(talk.connection_id, talk.call_id, talk.record)
            call.line = self._directory.own_line(talk.connection_id, talk.record.did)
            call.set_number(talk.number)
            self._calls.learn(call)
        seat = self._windows.come_back(call.shown, talk.user_id, talk.extension, talk.answered_at)
        seat.wrap_up_until = talk.until
        return list(self._windows.tell_if_changed(call.shown, seat, "call.ended", at))

    def set_connection(self, connection: ConnectionView, at: datetime | None = None) -> list[Message]:
        """A link to a PBX came or went: told to those who sit at one of its telephones, and to watchers."""
        if self._connections.get(connection.id) == connection:
            return []
        self._connections[connection.id] = connection
        concerned = {user for user in self._mailboxes.users() if self._sits_at(user, connection.id)}
        messages = [
            self._windows.tell(user_id, "connection.state", connection, at)
            for user_id in sorted(concerned | self._watchers.users())
        ]
        return messages + self.shift.link_changed(connection.id, is_up=connection.state == "up", at=at)

    def forget_connection(self, connection_id: int, at: datetime | None = None) -> list[Message]:
        """A connection was removed: its calls are over for us."""
        self._connections.pop(connection_id, None)
        messages = self._sweep(connection_id, SnapshotApplied(present=(), at=at))
        return messages + self.shift.forget_connection(connection_id, at)

    def set_directory(self, directory: Directory, at: datetime | None = None) -> list[Message]:
        """Extensions or lines were assigned anew: windows of present calls follow."""
        self._directory = self._windows.directory = directory
        messages: list[Message] = []
        for call in self._calls:
            call.line = directory.own_line(call.connection_id, call.record.did)
            if call.lead is None and not call.is_ended:
                messages += self._windows.settle(call, None, None)
        return messages + self.shift.set_directory(directory, at)

    def expire(self, now: datetime) -> list[Message]:
        """Drop what has been shown long enough, tell how queues stand; to be called about every second.

        Of many calls only some are looked at each time: what is over is in no picture anyway, and a ring must not wait.
        """
        for call in self._some_calls():
            for seat in [seat for seat in call.seats.values() if seat.is_gone(now)]:
                # A comment outlives the window while the call goes on: a second ring brings it back.
                if call.is_ended or seat.note is None:
                    self._windows.stand_up(call, seat)
            if call.lead is None and call.is_ended and not call.seats:
                self._drop(call)
        return self.shift.expire(now)

    def _some_calls(self) -> list[PresentCall]:
        """The next of all calls, in turn; fewer than `MOST_EXPIRED` are all looked at."""
        if not self._to_expire:
            self._to_expire = list(self._calls)[::-1]
        count = min(MOST_EXPIRED, len(self._to_expire))
        found = [self._to_expire.pop() for _ in range(count)]
        return [call for call in found if self._calls.get(call.id) is call]

    # What is asked

    def hello(self, user_id: int, now: datetime) -> Hello:
        """The whole picture of one user."""
        box = self._mailboxes.of(user_id)
        seats = self._seats_of(user_id)
        shown = [call.view(seat, self._directory) for call, seat in seats if not seat.is_over(now)]
        shown.sort(key=lambda view: (view.ringing_since or view.answered_at or now, view.id))
        return Hello(
            epoch=box.epoch, seq=box.seq, user=user_id, calls=tuple(shown), presence=self.presence(user_id)
        )

    def since(self, user_id: int, epoch: str, seq: int) -> list[Message] | None:
        """What a user who comes back has missed; None if only a new hello can tell."""
        return self._mailboxes.of(user_id).since(epoch, seq)

    def presence(self, user_id: int) -> Presence:
        seats = self._directory.extensions_of(user_id)
        ids = dict.fromkeys(connection_id for connection_id, _ in seats)
        return Presence(
            extensions=tuple(extension for _, extension in seats),
            connections=tuple(self._connections[id_] for id_ in ids if id_ in self._connections),
            agent=self.shift.own(user_id),
        )

    def extensions_of(self, user_id: int) -> tuple[str, ...]:
        return tuple(extension for _, extension in self._directory.extensions_of(user_id))

    def places_of(self, user_id: int) -> Sequence[tuple[int, str]]:
        """(connection, extension) of a user, in order."""
        return tuple(self._directory.extensions_of(user_id))

    def watch(self, watcher: int, user_id: int, sight: Sight) -> BoardSnapshot:
        """This socket follows everybody's calls from now on, as far as *its* rights go; the calls as they are.

        Two sockets of one user may see differently far: a token may carry fewer rights than its owner has.
        """
        self._watchers.add(watcher, user_id, sight)
        return BoardSnapshot(calls=tuple(self.board(sight)))

    def unwatch(self, watcher: int) -> None:
        self._watchers.remove(watcher)

    def board(self, sight: Sight) -> list[BoardCall]:
        """Every present call within a watcher's rights, oldest first."""
        return [
            board.picture(call, self._directory, sight)
            for call in self._calls
            if call.lead is None and not call.is_ended and board.is_seen(call, self._directory, sight)
        ]

    def call(self, call_id: UUID) -> PresentCall | None:
        return self._calls.get(call_id)

    def window_of(self, call_id: UUID) -> UUID:
        """The id that windows have of this call: that of the sighting which leads, if two connections saw it."""
        call = self._calls.get(call_id)
        return call.shown.id if call else call_id

    def has_seat(self, user_id: int, call_id: UUID) -> bool:
        """Whether this call rings or rang at this user a moment ago, or they talk in it: the ground of call-time access."""
        return self._seat(user_id, call_id) is not None

    def view(self, user_id: int, call_id: UUID) -> CallView | None:
        """The call as this user sees it."""
        call, seat = self._calls.get(call_id), self._seat(user_id, call_id)
        return call.shown.view(seat, self._directory) if call and seat else None

    def sighting(self, user_id: int, call_id: UUID) -> PresentCall | None:
        """The call as the PBX sees it at which this user sits."""
        seat = self._seat(user_id, call_id)
        return seat.sighting if seat else None

    # How

    def _present(
        self, connection_id: int, call_id: UUID, record: CallRecord, number: Number | None
    ) -> PresentCall | None:
        """The call with its record brought up to date; made if it is new and not over."""
        call = self._calls.get(call_id)
        if call is None:
            if record.state is CallState.ENDED:
                return None
            call = self._seat_new_call(connection_id, call_id, record)
        elif call.record.state is CallState.ENDED:
            return None  # ended is final
        if call.record.did != record.did or call.line is None:
            call.line = self._directory.own_line(connection_id, record.did)
        has_new_number = call.record.customer_number != record.customer_number
        call.record = record
        self._calls.learn(call)
        if number is not None or has_new_number or not call.phone_text:
            call.set_number(number)
        return call

    def _seat_new_call(self, connection_id: int, call_id: UUID, record: CallRecord) -> PresentCall:
        if (overdue := self._calls.overdue()) is not None:
            self._drop(overdue)
        call = PresentCall(
            id=call_id,
            connection_id=connection_id,
            record=record,
            line=None,
            abilities=self._abilities.get(connection_id, frozenset()),
            cards=self._cards.pop(call_id, []),
        )
        self._calls.add(call)
        return call

    def _find_twins(self, call: PresentCall, at: datetime | None) -> list[Message]:
        """Put a call that two connections see under one window, or part what was taken for one."""
        messages: list[Message] = []
        if is_contradicted(call, self._directory):
            for other in part(call):
                messages += self._show(other, None, "call.updated", at)
        self._twins.place(call)
        twin = self._twins.find(call, self._directory)
        return messages + self._take_in(*join(twin, call), at) if twin else messages

    def _take_in(self, lead: PresentCall, mirror: PresentCall, at: datetime | None) -> list[Message]:
        """The windows of the mirror close, if it had any; the lead's show it from now on."""
        messages = self._windows.close_all(mirror, "joined", at)
        if mirror.is_on_board:
            mirror.is_on_board = False
            messages += self._tell_watchers(mirror, "call.ended", at)
        return messages

    def _show(
        self, call: PresentCall, event: CallEvent | None, told_as: str, at: datetime | None
    ) -> list[Message]:
        """Tell users and watchers how the call stands after an event of this sighting of it."""
        shown = call.shown
        if told_as == "call.ended" and not shown.is_ended:
            told_as = "call.updated"  # it goes on at the other connection
        shown.is_on_board = True
        extension = board.concerns(event) if event else None
        messages = self._windows.settle(shown, event, at, call)
        return messages + self._tell_watchers(shown, told_as, at, extension)

    def _drop(self, call: PresentCall) -> None:
        for seat in list(call.seats.values()):
            self._windows.stand_up(call, seat)
        self._calls.remove(call)
        self._twins.forget(call)
        lead = call.lead
        for other in part(call):
            if other is not lead and other.is_ended:
                self._drop(other)

    def _sweep(self, connection_id: int, event: SnapshotApplied) -> list[Message]:
        """After a (re)connect: whatever the PBX does not know any more is over."""
        present = {linked_id for record in event.present for linked_id in (record.key, *record.linked_ids)}
        messages: list[Message] = []
        for call in list(self._calls):
            is_over = call.record.state is CallState.ENDED
            if call.connection_id != connection_id or is_over or call.record.key in present:
                continue
            call.record = replace(
                call.record,
                state=CallState.ENDED,
                ended_unseen=True,
                ringing=(),
                talking=(),
                ended_at=event.at,
            )
            messages += self._show(call, None, "call.ended", event.at)
        return messages

    def _absorb(self, connection_id: int, event: CallsJoined) -> list[Message]:
        """Two calls turned out to be one: the windows of the lesser one close, its comments wait in their rows."""
        absorbed = self._calls.known_as(connection_id, event.absorbed_key)
        if absorbed is None or absorbed.record.state is CallState.ENDED:
            return []
        others = part(absorbed)
        absorbed.record = replace(absorbed.record, state=CallState.ENDED, ringing=(), talking=())
        messages = self._windows.close_all(absorbed, "joined", event.at)
        messages += self._tell_watchers(absorbed, "call.ended", event.at)
        return messages + [
            message for other in others for message in self._show(other, None, "call.updated", event.at)
        ]

    def _seat(self, user_id: int, call_id: UUID) -> Seat | None:
        call = self._calls.get(call_id)
        return call.shown.seats.get(user_id) if call else None

    def _seats_of(self, user_id: int) -> list[tuple[PresentCall, Seat]]:
        calls = [self._calls[call_id] for call_id in self._windows.calls_of(user_id)]
        return [(call, call.seats[user_id]) for call in calls]

    def _seat_states(self, user_id: int) -> set[SeatState]:
        return {seat.state for _, seat in self._seats_of(user_id)}

    def _tell_watchers(
        self, call: PresentCall, message_type: str, at: datetime | None, extension: str | None = None
    ) -> list[Message]:
        return self._watchers.tell(call, message_type, at, directory=self._directory, extension=extension)

    def _sits_at(self, user_id: int, connection_id: int) -> bool:
        return any(id_ == connection_id for id_, _ in self._directory.extensions_of(user_id))
