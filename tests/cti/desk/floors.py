"""A recorded stream played to a whole desk: calls, telephones and queues, as the live connection does it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from ami_adapter.framing import AmiFrames
from ami_adapter.presence import PresenceTranslator
from ami_adapter.replay import connected_at, timed_chunks
from ami_adapter.translate import Translator, is_noise
from cti.calls.call_events import SnapshotApplied
from cti.calls.tracker import CallTracker
from cti.desk import Agent, AgentStateChange, ConnectionView, Desk, Message
from cti.numbers import to_e164
from tests.captures import Capture
from tests.cti.desk.calls import Office
from tests.web.frame import access_with
from web.board_sight import BoardSight

NAMESPACE = UUID(int=7)
EXTENSIONS = ("101", "102", "103", "104", "105", "106")
TOLD = dict[str, list[tuple[float, str, str | None]]]


class Hall(Office):
    """103 is in team 2, the others in team 1."""

    def agent_at(self, connection_id: int, extension: str) -> Agent | None:
        agent = super().agent_at(connection_id, extension)
        return replace(agent, team_id=2 if extension == "103" else 1) if agent else None


class Floor:
    """Users 101 to 106 at the extensions of the same number; `changes` of their states."""

    def __init__(self) -> None:
        seats = {f"e{extension}": int(extension) for extension in EXTENSIONS}
        self.changes: list[AgentStateChange] = []
        self.messages: list[Message] = []
        self.desk = Desk(Hall(**seats), epoch="test", on_agent_state=self.changes.append)
        self.start: datetime | None = None

    def link(self, at: datetime, *, is_up: bool = True) -> None:
        view = ConnectionView(id=1, name="PBX", state="up" if is_up else "down")
        self.messages += self.desk.set_connection(view, at)

    def play(self, capture: Capture, *, until: float = 1e9, bytes_from: int = 0) -> None:
        """Everything the recorded connection said up to a moment, in seconds since connect."""
        start = connected_at(capture.stream, capture.timing)
        self.start = self.start or start
        self.link(start)
        self.hear(timed_chunks(capture.stream, capture.timing), start + timedelta(seconds=min(until, 86_400)))

    def hear(self, chunks: Iterable[tuple[bytes, datetime | None]], until: datetime) -> None:
        frames, calls, lamps, tracker = (
            AmiFrames(is_noise=is_noise),
            Translator(),
            PresenceTranslator(),
            CallTracker(),
        )
        for data, at in chunks:
            if at is not None and at > until:
                break
            for message in frames.feed(data):
                for event in calls.translate(message, at):
                    for call_event in tracker.apply(event):
                        is_whole = isinstance(call_event, SnapshotApplied)
                        call = None if isinstance(call_event, SnapshotApplied) else call_event.call
                        number = to_e164(call.customer_number or "") if call else None
                        call_id = None if is_whole or call is None else uuid5(NAMESPACE, call.key)
                        self.messages += self.desk.apply(1, call_id, call_event, number)
                self.messages += self.desk.shift.hear(1, lamps.translate(message, at))

    def told(self, *extensions: str) -> TOLD:
        """Of each agent: second since connect, state, reason; one entry a change."""
        assert self.start is not None
        found: TOLD = {extension: [] for extension in extensions}
        for change in self.changes:
            if str(change.user_id) in found:
                second = round((change.at - self.start).total_seconds(), 1)
                state = change.state.value if change.state else "gone"
                found[str(change.user_id)].append((second, state, change.reason))
        return found

    def states(self, sight: BoardSight) -> dict[str, tuple[str, str | None]]:
        return {str(view.id): (view.state.value, view.reason) for view in self.desk.shift.agents(sight)}


def everything() -> BoardSight:
    """The sight of whoever may see all."""
    return BoardSight(access_with("admin", 1))
