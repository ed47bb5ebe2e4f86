"""What becomes of each call beside its record: who was told, who could not be, who calls. Kept with what was heard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID

from ami_adapter.stories.keeper import StoryKeeper
from crm.journal_entries import CallFacts
from cti.calls.call_events import CallArrived, CallEnded, CallEvent, CallRinging, SnapshotApplied
from cti.calls.records import CallRecord, Direction
from cti.calls.telling import tell_call
from cti.daemon.seating import Seating
from cti.desk import CallView, Message


class StoryBook:
    """Fits `switchboard.Story`; takes notes for the keeper, which drops those of calls it does not keep.

    Args:
        pages_of: how many open pages and programs a user has at this moment.
        now: moments for what brings none.
    """

    def __init__(
        self, keeper: StoryKeeper, *, pages_of: Callable[[int], int], now: Callable[[], datetime]
    ) -> None:
        self._keeper = keeper
        self._pages_of = pages_of
        self._now = now
        self._seating: Seating | None = None

    def set_seating(self, seating: Seating) -> None:
        """Who sits where from now on."""
        self._seating = seating

    def present(self, connection_id: int, call_id: UUID, call: CallRecord, at: datetime | None) -> None:
        """A call that goes on is known under this id."""
        self._keeper.name(connection_id, (call.key, *call.linked_ids), call_id, at or self._now())

    def happened(self, connection_id: int, call_id: UUID, event: CallEvent, facts: CallFacts) -> None:
        """After everybody was told of it."""
        assert not isinstance(event, SnapshotApplied)
        at = event.at or self._now()
        match event:
            case CallArrived() if event.call.direction is Direction.INTERNAL:
                self._keeper.note(call_id, at, "between_colleagues", {})
            case CallEnded():
                self._keeper.note(call_id, at, "concluded", lambda: _concluded(event.call, facts))
                self._keeper.end(call_id)

    def rings(self, connection_id: int, call_id: UUID, event: CallRinging) -> None:
        """Whether a window can come up there, and why not."""
        found = self._seating.extension(connection_id, event.extension) if self._seating else None
        values: dict[str, object] = {"extension": event.extension}
        if found is None or found.user_id is None:
            why = "unknown_extension" if found is None else "nobody"
        else:
            values |= {"user": found.user_name or found.digits, "pages": self._pages_of(found.user_id)}
            why = "shown" if values["pages"] else "no_page"
        self._keeper.note(call_id, event.at or self._now(), "rings", {"why": why, **values})

    def told(self, messages: Iterable[Message]) -> None:
        """What users were told of their calls; watchers of everybody's calls are none of it."""
        for message in messages:
            view = message.data
            if isinstance(view, CallView) and message.topic is None:
                values = {"user": self._name_at(view), "type": message.type, "state": view.state.value}
                self._keeper.note(view.id, message.at or self._now(), "told", values)

    def recognised(self, call_id: UUID, outcome: str, at: datetime) -> None:
        self._keeper.note(call_id, at, "recognised", {"outcome": outcome})

    def drawn(self, name: str, call_id: UUID, milliseconds: float) -> None:
        """A page drew the window of this call."""
        self._keeper.note(call_id, self._now(), "drawn", {"user": name, "milliseconds": round(milliseconds)})

    def _name_at(self, view: CallView) -> str:
        agent = self._seating.agent_at(view.connection_id, view.extension) if self._seating else None
        return agent.name if agent else view.extension


def _concluded(call: CallRecord, facts: CallFacts) -> dict[str, object]:
    """The record in plain JSON; its numbers as this connection's profile read them."""
    told = tell_call(call, lambda _number: None)
    return {**told, "customer_e164": facts.customer_e164, "did": facts.did_e164}
