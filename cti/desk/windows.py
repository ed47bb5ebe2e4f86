"""The windows of users: a seat at each present call for everybody concerned, told to them when its picture changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from cti.calls.call_events import CallEvent
from cti.desk.directory import Directory
from cti.desk.mailbox import Mailboxes
from cti.desk.messages import Data, Message, SeatState
from cti.desk.seats import PresentCall, Seat, close, move, places


class Windows:
    """Makes the seats of a call equal to its record. `directory` says who sits where."""

    def __init__(self, directory: Directory, mailboxes: Mailboxes) -> None:
        self.directory = directory
        self._mailboxes = mailboxes
        self._calls_of: defaultdict[int, set[UUID]] = defaultdict(set)

    def calls_of(self, user_id: int) -> Collection[UUID]:
        """The calls at which this user has a seat."""
        return self._calls_of.get(user_id, ())

    def rename(self, call: PresentCall, was: UUID) -> None:
        """The call has another id from now on."""
        for user_id in call.seats:
            self._calls_of[user_id].discard(was)
            self._calls_of[user_id].add(call.id)

    def settle(
        self,
        call: PresentCall,
        event: CallEvent | None,
        at: datetime | None,
        told_of: PresentCall | None = None,
    ) -> list[Message]:
        """Make the seats equal to the record; tell what changed, who answered before who need not any more.

        Args:
            told_of: the sighting of this call that the event is about.
        """
        messages: list[Message] = []
        present: set[int] = set()
        for user_id, seen, extension, state in places(call, self.directory):
            if user_id in present:
                continue
            present.add(user_id)
            seat = call.seats.get(user_id) or self._sit_down(call, user_id, seen, extension)
            if not seat.is_open:
                self._reopen(seat)
            is_first = seat.sent is None
            messages += self.tell_if_changed(call, seat, move(seat, extension, state, seen, at), at)
            if is_first and call.match_for(seen) is not None and seat.sent is not None:
                # The menu or the queue took so long that we know who calls: a program may still wait to be told.
                messages.append(self.tell(user_id, "call.matched", seat.sent, at))
        for seat in call.seats.values():
            if seat.user_id not in present and seat.is_open:
                heard = event if seat.sighting is told_of else None
                told_as = close(seat, call, heard, at, self.directory)
                messages += self.tell_if_changed(call, seat, told_as, at)
        return messages

    def come_back(
        self, call: PresentCall, user_id: int, extension: str, answered_at: datetime | None
    ) -> Seat:
        """A seat at a talk that was over before this run of the program began."""
        seat = self._sit_down(call, user_id, call, extension)
        seat.state, seat.answered_at, seat.closed_at = SeatState.ENDED, answered_at, call.record.ended_at
        seat.reason = call.record.disposition.value if call.record.disposition else None
        return seat

    def stand_up(self, call: PresentCall, seat: Seat) -> None:
        """The call is gone from this user's picture."""
        call.seats.pop(seat.user_id, None)
        calls = self._calls_of[seat.user_id]
        calls.discard(call.id)
        if not calls:
            del self._calls_of[seat.user_id]

    def close_all(self, call: PresentCall, reason: str, at: datetime | None) -> list[Message]:
        """All windows of this call close, whatever its record says."""
        messages: list[Message] = []
        for seat in call.seats.values():
            if seat.is_open:
                seat.state, seat.reason, seat.closed_at = SeatState.STOPPED, reason, at
                messages += self.tell_if_changed(call, seat, "call.ended", at)
        return messages

    def tell_seats(self, call: PresentCall) -> list[Message]:
        """Everybody with an open window, where its picture changed."""
        shown = call.shown
        return [
            message
            for seat in shown.seats.values()
            if seat.is_open
            for message in self.tell_if_changed(shown, seat, "call.updated", None)
        ]

    def tell_if_changed(
        self, call: PresentCall, seat: Seat, message_type: str, at: datetime | None
    ) -> Iterable[Message]:
        view = call.view(seat, self.directory)
        if view == seat.sent:
            return ()
        seat.sent = view
        return (self.tell(seat.user_id, message_type, view, at),)

    def tell(self, user_id: int, message_type: str, data: Data, at: datetime | None) -> Message:
        return self._mailboxes.of(user_id).put(message_type, data, at)

    def _sit_down(self, call: PresentCall, user_id: int, seen: PresentCall, extension: str) -> Seat:
        seat = Seat(user_id=user_id, sighting=seen, extension=extension, state=SeatState.STOPPED)
        call.seats[user_id] = seat
        self._calls_of[user_id].add(call.id)
        return seat

    @staticmethod
    def _reopen(seat: Seat) -> None:
        """The call comes to this user again: a queue tries them once more, a colleague hands it back."""
        seat.closed_at = seat.reason = seat.answered_by = seat.ringing_since = seat.answered_at = None
        seat.wrap_up_until = None
        seat.is_dismissed = False
