"""Two connections see one call: one window, one line on the board, until neither rings or talks any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.calls.call_events import CallEvent, CallsJoined, SnapshotApplied
from cti.calls.records import CallState, CameBy, Direction, Disposition, Participation
from cti.desk import Agent, BoardCall, CallView, Desk, Match, Message, NoteView, OwnLine, twins
from cti.numbers import Number, to_e164
from tests.cti.desk.calls import CALL, OTHER, answers, arrived, at, ends, record, rings, stops

CUSTOMER, LINE, BRANCH = "+74951203344", "+74950000001", "+78120000001"
TWIN: dict[str, Any] = {"key": "2.1", "linked_ids": ("2.1",)}
THIRD = UUID("019aa0c2-0000-7000-8000-000000000003")


class Everyone:
    shows_parties = True

    def covers(self, **_: object) -> bool:
        return True


class TwoOffices:
    """Three people with telephones at both PBXs: 101, 102, 103 there, 201, 202, 203 here."""

    def agent_at(self, connection_id: int, extension: str) -> Agent | None:
        first, user = extension[0], extension[-1]
        is_here = (connection_id, first) in ((1, "1"), (2, "2"))
        return Agent(user_id=int(user), name=f"Agent {user}") if is_here else None

    def own_line(self, connection_id: int, did: str | None) -> OwnLine | None:
        return OwnLine(id=7, name="Sales") if connection_id == 1 and did == "84950000001" else None

    def extensions_of(self, user_id: int) -> list[tuple[int, str]]:
        return [(1, f"10{user_id}"), (2, f"20{user_id}")]

    def seated_agents(self) -> list[Agent]:
        return [Agent(user_id=user, name=f"Agent 10{user}") for user in (1, 2, 3)]


def office() -> Desk:
    return Desk(TwoOffices(), epoch="test")


def here(desk: Desk, event: CallEvent, number: Number | None = None) -> list[Message]:
    return desk.apply(1, CALL, event, number or to_e164(CUSTOMER), frozenset({LINE}))


def there(
    desk: Desk, event: CallEvent, number: Number | None = None, ours: str = LINE, call_id: UUID = OTHER
) -> list[Message]:
    return desk.apply(2, call_id, event, number or to_e164(CUSTOMER), frozenset({ours}))


def told(messages: Sequence[Message]) -> list[tuple[int, str, str, str]]:
    """(user, type, extension, state)."""
    views = [(message, message.data) for message in messages if message.topic is None]
    return [
        (message.user_id, message.type, view.extension, view.state.value)
        for message, view in views
        if isinstance(view, CallView)
    ]


def windows(desk: Desk, user_id: int, seconds: float = 5) -> list[tuple[UUID, str]]:
    return [(view.id, view.state.value) for view in desk.hello(user_id, at(seconds)).calls]


def watched(messages: Sequence[Message]) -> list[tuple[str, UUID, str]]:
    boards = [(message.type, message.data) for message in messages if message.topic == "calls"]
    return [(type_, call.id, call.state.value) for type_, call in boards if isinstance(call, BoardCall)]


def test_both_ring_one_user_and_there_is_one_window_until_both_stop() -> None:
    desk = office()
    here(desk, rings("101"))
    assert told(there(desk, rings("201", **TWIN))) == []
    assert windows(desk, 1) == [(CALL, "ringing")]
    assert told(here(desk, stops("101", "no_answer"))) == [(1, "call.updated", "201", "ringing")]
    assert windows(desk, 1) == [(CALL, "ringing")]
    assert told(there(desk, stops("201", "no_answer", **TWIN))) == [
        (1, "call.ringing_stopped", "201", "stopped")
    ]
    assert windows(desk, 1) == []


def test_the_carrier_hears_first_and_the_pbx_rings() -> None:
    desk = office()
    there(desk, arrived(**TWIN))
    assert told(here(desk, rings("101"))) == [(1, "call.ringing", "101", "ringing")]
    assert windows(desk, 1) == [(OTHER, "ringing")]
    there(desk, ends(6, **TWIN))
    assert windows(desk, 1) == [(OTHER, "ringing")]
    here(desk, ends(7, Disposition.ABANDONED))
    assert windows(desk, 1, 8) == [(OTHER, "caller_left")]


def test_a_colleague_answers_at_the_other_pbx() -> None:
    desk = office()
    here(desk, rings("101"))
    there(desk, rings("202", **TWIN))
    there(desk, answers("202", **TWIN))
    messages = here(desk, ends(6, Disposition.ABANDONED))
    (message,) = messages
    assert isinstance(message.data, CallView)
    assert (message.data.state.value, message.data.answered_by) == ("elsewhere", "Agent 2")
    assert windows(desk, 2) == [(CALL, "talking")]


def test_an_event_of_the_other_pbx_does_not_say_why_this_one_stopped() -> None:
    desk = office()
    here(desk, rings("101"))
    there(desk, rings("202", **TWIN))
    messages = there(desk, stops("202", "declined", state=CallState.RINGING, **TWIN))
    assert told(messages) == [(2, "call.ringing_stopped", "202", "stopped")]
    assert windows(desk, 1) == [(CALL, "ringing")]


def test_the_board_has_it_once_and_tells_its_end_once() -> None:
    desk = office()
    desk.watch(1, 9, Everyone())
    assert watched(here(desk, arrived())) == [("call.updated", CALL, "arrived")]
    assert watched(there(desk, rings("202", **TWIN))) == [("call.ringing", CALL, "ringing")]
    assert watched(here(desk, rings("101"))) == [("call.ringing", CALL, "ringing")]
    (call,) = desk.board(Everyone())
    assert {agent.name for agent in call.ringing} == {"Agent 1", "Agent 2"}
    assert watched(here(desk, ends(6))) == [("call.updated", CALL, "ringing")]
    assert watched(there(desk, ends(7, **TWIN))) == [("call.ended", CALL, "ended")]
    assert desk.board(Everyone()) == []


def test_the_number_becomes_known_late_and_two_windows_become_one() -> None:
    desk = office()
    desk.watch(1, 9, Everyone())
    here(desk, rings("101"))
    there(desk, rings("201", customer_number="", **TWIN), to_e164(""))
    assert len(windows(desk, 1)) == 2
    messages = there(desk, rings("201", **TWIN))
    assert told(messages) == [(1, "call.ended", "201", "stopped")]
    assert windows(desk, 1) == [(CALL, "ringing")]
    assert ("call.ended", OTHER) in [told_[:2] for told_ in watched(messages)]
    assert [call.id for call in desk.board(Everyone())] == [CALL]


def test_a_number_taken_back_parts_them() -> None:
    desk = office()
    here(desk, rings("101"))
    there(desk, rings("202", **TWIN))
    assert windows(desk, 2) == [(CALL, "ringing")]
    messages = there(desk, rings("202", customer_number="anonymous", **TWIN), to_e164("anonymous"))
    assert windows(desk, 2) == [(OTHER, "ringing")]
    assert windows(desk, 1) == [(CALL, "ringing")]
    assert [(type_, state) for _user, type_, _extension, state in told(messages)] == [
        ("call.ended", "stopped"),
        ("call.ringing", "ringing"),
    ]


def test_two_people_who_talk_at_one_time_have_two_calls() -> None:
    desk = office()
    parts = [
        Participation(extension=digits, attempt=1, came_by=CameBy.RING, answered_at=at(5))
        for digits in ("101", "202")
    ]
    here(desk, answers("101", participations=(parts[0],)))
    there(desk, rings("202", **TWIN))
    there(desk, answers("202", participations=(parts[1],), **TWIN))
    assert windows(desk, 1) == [(CALL, "talking")]
    assert windows(desk, 2, 6) == [(OTHER, "talking")]
    assert len(desk.board(Everyone())) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"event": rings("201", started_at=at(7), **TWIN)},
        {"event": rings("201", **TWIN), "number": to_e164("+74951203355")},
        {"event": rings("201", **TWIN), "ours": BRANCH},
    ],
    ids=["later", "another customer", "another line"],
)
def test_what_only_looks_alike_has_its_own_window(other: dict[str, Any]) -> None:
    desk = office()
    here(desk, rings("101"))
    there(desk, **other)
    assert windows(desk, 1) == [(CALL, "ringing"), (OTHER, "ringing")]


def test_who_redials_at_once_has_two_calls_each_seen_twice() -> None:
    desk = office()
    here(desk, rings("101"))
    again: dict[str, Any] = {"key": "1.9", "linked_ids": ("1.9",), "started_at": at(3)}
    desk.apply(1, THIRD, rings("103", **again), to_e164(CUSTOMER), frozenset({LINE}))
    there(desk, rings("202", started_at=at(3.2), **TWIN))
    assert windows(desk, 2) == [(THIRD, "ringing")]


def test_from_one_office_to_the_other_each_sees_the_other_side() -> None:
    desk = office()
    placed = rings("101", direction=Direction.OUTBOUND, placed_by="101", did=None, customer_number=BRANCH)
    desk.apply(1, CALL, placed, to_e164(BRANCH), frozenset({LINE, "+74950000002"}))
    there(desk, rings("202", customer_number=LINE, did=BRANCH, **TWIN), to_e164(LINE), BRANCH)
    shown = {user: desk.hello(user, at(5)).calls for user in (1, 2)}
    assert [(view.id, view.phone) for view in shown[1]] == [(CALL, BRANCH)]
    assert [(view.id, view.phone, view.connection_id) for view in shown[2]] == [(CALL, LINE, 2)]
    assert len(desk.board(Everyone())) == 1
    seen = desk.sighting(2, CALL)
    assert seen is not None
    assert seen.id == OTHER


def test_who_calls_is_told_whichever_sighting_asked() -> None:
    desk = office()
    here(desk, rings("101"))
    there(desk, rings("202", **TWIN))
    messages = desk.set_match(OTHER, Match(outcome="unknown"))
    assert [(user, type_) for user, type_, *_ in told(messages)] == [
        (1, "call.matched"),
        (2, "call.matched"),
    ]


def test_either_id_reaches_the_window() -> None:
    desk = office()
    here(desk, rings("101"))
    there(desk, rings("202", **TWIN))
    assert desk.has_seat(2, OTHER)
    desk.note_saved(2, OTHER, "text", 1, at(3))
    view = desk.view(2, CALL)
    assert view is not None
    assert view.note == NoteView(text="text", version=1)


def test_a_snapshot_that_does_not_know_one_of_them_leaves_the_other() -> None:
    desk = office()
    here(desk, rings("101"))
    there(desk, rings("201", **TWIN))
    desk.apply(1, None, SnapshotApplied(present=(), at=at(6)))
    assert windows(desk, 1, 7) == [(CALL, "ringing")]
    desk.apply(2, None, SnapshotApplied(present=(), at=at(7)))
    assert windows(desk, 1, 8) == [(CALL, "caller_left")]


def test_the_journals_id_of_a_mirror_and_a_join_on_its_connection() -> None:
    desk = office()
    here(desk, rings("101"))
    there(desk, rings("202", **TWIN))
    desk.rename(OTHER, THIRD)
    assert windows(desk, 2) == [(CALL, "ringing")]
    survivor = record(
        key="2.0", linked_ids=("2.0", "2.1"), started_at=at(-60), customer_number="+74951203355"
    )
    there(
        desk,
        CallsJoined(call=survivor, absorbed_key="2.1", at=at(6)),
        to_e164("+74951203355"),
        call_id=UUID(int=9),
    )
    assert windows(desk, 2) == []
    assert windows(desk, 1) == [(CALL, "ringing")]


def test_nothing_is_kept_of_calls_that_are_over() -> None:
    desk = office()
    for event in (rings("101"), ends(6)):
        here(desk, event)
    for event in (rings("202", **TWIN), ends(7, **TWIN)):
        there(desk, event)
    for seconds in (7, 100):
        desk.expire(at(seconds))
    assert desk.call(CALL) is None
    assert desk.call(OTHER) is None
    assert desk._twins.is_empty


def test_a_busy_line_is_not_searched_call_by_call(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = office()
    compared: list[object] = []

    def look_alike(*pair: object) -> bool:
        compared.append(pair)
        return False

    monkeypatch.setattr(twins, "is_one_call", look_alike)
    for number in range(100):
        named: dict[str, Any] = {"key": f"1.{number}", "linked_ids": (f"1.{number}",)}
        customer = to_e164(f"+7495120{number:04}")
        desk.apply(1, UUID(int=2 * number + 1), rings("101", **named), customer, frozenset({LINE}))
        desk.apply(2, UUID(int=2 * number + 2), rings("202", **named), customer, frozenset({LINE}))
    assert len(compared) == 100


steps = st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=12)


@given(steps)
def test_never_two_windows_of_one_call_and_both_ends_close_all(taken: list[tuple[bool, int]]) -> None:
    """Whatever each PBX tells of its own telephone of one person."""
    desk = office()

    def event(extension: str, step: int, **named: Any) -> CallEvent:
        return (
            arrived(**named),
            rings(extension, **named),
            stops(extension, "no_answer", **named),
            answers(extension, **named),
            stops(extension, "caller_left", **named),
        )[step]

    for is_here, step in taken:
        here(desk, event("101", step)) if is_here else there(desk, event("201", step, **TWIN))
        assert len(windows(desk, 1)) <= 1
    here(desk, ends(20))
    there(desk, ends(21, **TWIN))
    assert all(state in ("ended", "caller_left", "elsewhere") for _id, state in windows(desk, 1, 22))
    assert desk.board(Everyone()) == []
