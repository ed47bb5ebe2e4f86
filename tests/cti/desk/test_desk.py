"""Who is told what, in which order, and that every way to the picture ends in the same picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.calls.call_events import CallEvent, CallsJoined, CallUpdated, SnapshotApplied
from cti.calls.records import CallState, Direction, Disposition
from cti.desk import CallView, ConnectionView, Desk, Match, MatchParty, Message, SeatState, TalkOver
from cti.desk import mailbox as mailboxes
from cti.desk.messages import CallRef
from cti.numbers import to_e164
from tests.cti.desk.calls import (
    CALL,
    OTHER,
    Office,
    answers,
    arrived,
    at,
    desk,
    ends,
    record,
    rings,
    stops,
)


def told(messages: Sequence[Message]) -> list[tuple[int, str, str]]:
    """(user, type, state of their window)."""
    return [(message.user_id, message.type, view_of(message).state.value) for message in messages]


def view_of(message: Message) -> CallView:
    assert isinstance(message.data, CallView)
    return message.data


def play(office: Desk, *events: CallEvent) -> list[Message]:
    return [message for event in events for message in office.apply(1, CALL, event)]


def shown(office: Desk, user_id: int, seconds: float = 5) -> list[tuple[UUID, str]]:
    return [(view.id, view.state.value) for view in office.hello(user_id, at(seconds)).calls]


def test_only_whose_telephone_rings_is_told() -> None:
    office = desk()
    assert play(office, arrived()) == []
    assert told(play(office, rings("101"))) == [(1, "call.ringing", "ringing")]
    assert shown(office, 1) == [(CALL, "ringing")]
    assert shown(office, 2) == []


def test_the_first_picture_has_number_line_and_time() -> None:
    office = desk()
    number = to_e164("8 (495) 120-33-44")
    [message] = office.apply(1, CALL, rings("101"), number)
    view = view_of(message)
    assert (view.phone, view.phone_text, view.line) == ("+74951203344", "+7 495 120-33-44", "Sales")
    assert (view.ringing_since, view.match, view.extension) == (at(1), None, "101")


def test_a_withheld_number_is_not_shown() -> None:
    [message] = desk().apply(1, CALL, rings("101", customer_number="anonymous"), to_e164("anonymous"))
    assert (view_of(message).phone, view_of(message).phone_text, view_of(message).number_kind) == (
        None,
        "",
        "hidden",
    )


def test_one_answers_and_the_others_learn_who() -> None:
    office = desk()
    play(office, rings("101"), rings("102", "101"))
    messages = play(office, answers("102", still=()))
    assert told(messages) == [(2, "call.answered", "talking"), (1, "call.ringing_stopped", "elsewhere")]
    assert view_of(messages[1]).answered_by == "Agent 2"
    assert view_of(messages[0]).answered_at == at(5)


def test_someone_without_a_seat_here_answers_and_is_named_by_extension() -> None:
    office = desk()
    play(office, rings("101"))
    [message] = play(office, stops("101", "elsewhere", by="199", state=CallState.TALKING, talking=("199",)))
    assert (view_of(message).state, view_of(message).answered_by) == (SeatState.ELSEWHERE, "199")


def test_the_caller_leaves() -> None:
    office = desk()
    play(office, rings("101"))
    messages = play(office, stops("101", "caller_left"), ends(disposition=Disposition.ABANDONED))
    assert told(messages) == [(1, "call.ringing_stopped", "caller_left")]


def test_the_caller_leaves_as_the_agent_answers_never_both() -> None:
    """Either a talk window or «left», whatever the order in which the source tells it."""
    talked = desk()
    play(talked, rings("101"), answers("101"), ends(6, answered_by="101"))
    assert shown(talked, 1, 6) == [(CALL, "ended")]
    missed = desk()
    play(missed, rings("101"), ends(5, Disposition.ABANDONED))
    assert shown(missed, 1, 6) == [(CALL, "caller_left")]


def test_declined_closes_for_this_agent_only() -> None:
    office = desk()
    play(office, rings("101"), rings("102", "101"))
    messages = play(office, stops("101", "declined", state=CallState.RINGING, ringing=("102",)))
    assert told(messages) == [(1, "call.ringing_stopped", "stopped")]
    assert shown(office, 1) == []
    assert shown(office, 2) == [(CALL, "ringing")]


def test_a_queue_tries_an_agent_again() -> None:
    office = desk()
    play(office, rings("101"), stops("101", "no_answer"))
    office.expire(at(6))
    [message] = play(office, rings("101", seconds=20))
    assert (message.type, view_of(message).ringing_since, view_of(message).reason) == (
        "call.ringing",
        at(20),
        None,
    )


@pytest.mark.parametrize(
    ("state", "seconds"), [("elsewhere", 3), ("caller_left", 10), ("ended", 60)], ids=lambda value: str(value)
)
def test_ends_stay_in_the_picture_as_long_as_on_the_screen(state: str, seconds: int) -> None:
    office = desk()
    play(office, rings("101"))
    last: dict[str, list[CallEvent]] = {
        "elsewhere": [stops("101", "elsewhere", by="102", talking=("102",), state=CallState.TALKING)],
        "caller_left": [stops("101", "caller_left")],
        "ended": [answers("101", seconds=2), ends(5)],
    }
    play(office, *last[state])
    assert shown(office, 1, 5 + seconds - 0.1) == [(CALL, state)]
    assert shown(office, 1, 5 + seconds) == []


def test_what_was_shown_long_enough_is_forgotten() -> None:
    office = desk()
    play(office, rings("101"), ends(5))
    office.expire(at(100))
    assert office.call(CALL) is None
    assert not office.has_seat(1, CALL)


def test_a_talk_that_is_wrapped_up_stays_in_the_picture_until_its_time_is_up() -> None:
    office = desk()
    play(office, rings("101"), answers("101", seconds=2), ends(5))
    (told,) = office.wrap_up(1, CALL, at(155), at(6))
    assert isinstance(told.data, CallView)
    assert (told.type, told.data.wrap_up_until) == ("call.updated", at(155))
    assert shown(office, 1, 154) == [(CALL, "ended")]
    assert shown(office, 1, 155) == []
    office.expire(at(155))
    assert office.has_seat(1, CALL), "a page may ask for the details of what it has just shown"
    office.expire(at(165))
    assert not office.has_seat(1, CALL)


def test_a_window_its_user_closed_stays_closed_while_its_wrap_up_runs() -> None:
    office = desk()
    play(office, rings("101"), answers("101", seconds=2), ends(5))
    office.wrap_up(1, CALL, at(155), at(6))
    office.dismiss(1, CALL, at(10))
    office.expire(at(11))
    assert office.bring_back(talk_over(until=at(155)), at(30)) == []
    assert shown(office, 1, 31) == []


def test_a_window_its_user_closed_before_its_wrap_up_began_stays_closed_as_well() -> None:
    office = desk()
    play(office, rings("101"), answers("101", seconds=2), ends(5))
    office.dismiss(1, CALL, at(6))
    assert office.wrap_up(1, CALL, at(305), at(7)) == []  # the journal took its time
    for seconds in (30, 90, 200, 304):
        office.expire(at(seconds))
        assert office.bring_back(talk_over(until=at(305)), at(seconds)) == []
        assert shown(office, 1, seconds) == []


def test_wrapped_up_in_one_place_the_window_closes_everywhere() -> None:
    office = desk()
    play(office, rings("101"), answers("101", seconds=2), ends(5))
    office.wrap_up(1, CALL, at(65), at(6))
    (told,) = office.wrap_up(1, CALL, None, at(20))
    assert (told.type, told.data) == ("call.dismissed", CallRef(id=CALL))
    assert shown(office, 1, 21) == []


def test_a_talk_of_an_earlier_run_comes_back_to_whoever_wraps_it_up() -> None:
    office = desk()
    (told,) = office.bring_back(talk_over(until=at(65)), at(10))
    assert isinstance(told.data, CallView)
    assert (told.type, told.user_id, told.data.phone_text) == ("call.ended", 1, "+7 495 120-33-44")
    assert (told.data.answered_at, told.data.ended_at, told.data.line) == (at(2), at(5), "Sales")
    assert shown(office, 1, 11) == [(CALL, "ended")]
    assert office.bring_back(talk_over(until=at(65)), at(40)) == []
    assert shown(office, 2, 11) == []
    assert shown(office, 1, 65) == []


def talk_over(*, until: datetime) -> TalkOver:
    return TalkOver(
        call_id=CALL,
        connection_id=1,
        record=record(state=CallState.ENDED, ended_at=at(5), disposition=Disposition.ANSWERED),
        number=to_e164("+74951203344"),
        user_id=1,
        extension="101",
        answered_at=at(2),
        until=until,
    )


def test_many_calls_are_forgotten_some_at_a_time_and_each_in_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cti.desk.desk.MOST_EXPIRED", 2)
    office = desk()
    ids = [UUID(int=number) for number in range(1, 6)]
    for number, call_id in enumerate(ids):
        names: dict[str, Any] = {"key": f"1.{number}", "linked_ids": (f"1.{number}",)}
        office.apply(1, call_id, rings("101", **names))
        if number != 1:
            office.apply(1, call_id, ends(5, **names))
    left = []
    for _ in range(4):
        office.expire(at(100))
        left.append(sum(office.call(call_id) is not None for call_id in ids))
    assert left == [4, 2, 1, 1], "the call that goes on stays"
    assert office.hello(1, at(100)).calls[0].id == ids[1]


def test_a_window_closed_by_hand_closes_in_all_tabs() -> None:
    office = desk()
    play(office, rings("101"))
    assert office.dismiss(1, CALL) == []  # a ringing call cannot be waved away
    play(office, ends(5))
    assert [message.type for message in office.dismiss(1, CALL)] == ["call.dismissed"]
    assert office.dismiss(1, CALL) == []
    assert shown(office, 1) == []


def test_repeated_events_tell_nothing() -> None:
    office = desk()
    events = [rings("101"), answers("101"), ends()]
    for event in events:
        assert play(office, event)
        assert play(office, event) == []
    assert play(office, *events) == []


def test_an_event_after_the_end_brings_nothing_back() -> None:
    office = desk()
    play(office, rings("101"), ends(5))
    assert play(office, rings("101", seconds=9)) == []
    assert shown(office, 1, 9) == [(CALL, "caller_left")]


def test_hold_and_resume() -> None:
    office = desk()
    play(office, rings("101"), answers("101"))
    held = record(state=CallState.HELD, talking=("101",))
    talking = record(state=CallState.TALKING, talking=("101",))
    messages = play(
        office,
        CallUpdated(call=held, what="hold", at=at(9)),
        CallUpdated(call=talking, what="resume", at=at(12)),
    )
    assert told(messages) == [(1, "call.updated", "held"), (1, "call.updated", "talking")]
    assert view_of(messages[1]).answered_at == at(5)


def test_dialling_out() -> None:
    office = desk()
    out: dict[str, Any] = {"direction": Direction.OUTBOUND, "placed_by": "101", "dialled": "84951203344"}
    messages = play(
        office,
        arrived(**out),
        answers("101", **out),
        ends(disposition=Disposition.ANSWERED, **out),
    )
    assert told(messages) == [
        (1, "call.updated", "dialling"),
        (1, "call.answered", "talking"),
        (1, "call.ended", "ended"),
    ]


def test_click_to_call_rings_ones_own_telephone_first() -> None:
    out: dict[str, Any] = {"direction": Direction.OUTBOUND, "placed_by": "101"}
    assert told(play(desk(), rings("101", **out))) == [(1, "call.updated", "lift")]


def test_an_internal_call_names_the_colleague() -> None:
    office = desk()
    inside: dict[str, Any] = {
        "direction": Direction.INTERNAL,
        "placed_by": "102",
        "customer_number": None,
        "did": None,
    }
    messages = play(office, rings("101", **inside))
    by_user = {message.user_id: view_of(message) for message in messages}
    assert (by_user[1].state, by_user[1].colleague) == (SeatState.RINGING, "Agent 2")
    assert (by_user[2].state, by_user[2].colleague) == (SeatState.DIALLING, "Agent 1")


def test_the_match_follows() -> None:
    office = desk()
    play(office, rings("101"))
    match = Match(outcome="matched", reasons=("direct",), parties=(MatchParty(id=3, name="Example"),))
    [message] = office.set_match(CALL, match)
    assert (message.type, view_of(message).match) == ("call.matched", match)
    assert office.set_match(CALL, match) == []
    assert office.set_match(OTHER, match) == []


def test_a_match_that_is_faster_than_the_ring_is_in_the_first_picture() -> None:
    office = desk()
    play(office, arrived())
    match = Match(outcome="unknown")
    assert office.set_match(CALL, match) == []
    [message, told_too] = play(office, rings("101"))
    assert (message.type, told_too.type) == ("call.ringing", "call.matched")
    assert told_too.data == message.data
    assert view_of(message).match == match


def test_i12_a_stream_and_a_snapshot_end_in_the_same_picture() -> None:
    streamed = desk()
    play(streamed, arrived(), rings("101"), rings("102", "101"), answers("102"))
    restarted = desk()
    play(restarted, answers("102"))
    [mine], [same] = streamed.hello(2, at(9)).calls, restarted.hello(2, at(9)).calls
    assert replace(mine, ringing_since=None) == same


def test_after_a_reconnect_what_the_pbx_forgot_is_over() -> None:
    office = desk()
    play(office, rings("101"))
    office.apply(1, OTHER, answers("102", key="1.2", linked_ids=("1.2",)))
    messages = office.apply(
        1, None, SnapshotApplied(present=(record(key="1.2", linked_ids=("1.2",)),), at=at(30))
    )
    assert told(messages) == [(1, "call.ringing_stopped", "caller_left")]
    assert shown(office, 2, 30) == [(OTHER, "talking")]


def test_the_snapshot_of_one_connection_leaves_the_others_alone() -> None:
    office = desk()
    play(office, rings("101"))
    assert office.apply(2, None, SnapshotApplied(present=(), at=at(3))) == []


def test_an_event_needs_the_id_of_its_call() -> None:
    with pytest.raises(ValueError, match="without the id"):
        desk().apply(1, None, rings("101"))


def test_a_call_that_the_journal_knows_by_an_earlier_id() -> None:
    office = desk()
    play(office, answers("101"))
    [message] = office.rename(CALL, OTHER)
    assert (view_of(message).id, view_of(message).was) == (OTHER, CALL)
    assert office.has_seat(1, OTHER)
    assert not office.has_seat(1, CALL)
    assert told(office.apply(1, OTHER, ends())) == [(1, "call.ended", "ended")]


def test_two_calls_become_one() -> None:
    office = desk()
    play(office, answers("101"))
    office.apply(1, OTHER, rings("102", key="1.2", linked_ids=("1.2",)))
    joined = record(state=CallState.TALKING, talking=("102",), linked_ids=("1.1", "1.2"))
    messages = office.apply(
        1, OTHER, CallsJoined(call=replace(joined, key="1.2"), absorbed_key="1.1", at=at(8))
    )
    assert told(messages) == [(1, "call.ended", "stopped"), (2, "call.answered", "talking")]
    assert shown(office, 1, 8) == []


def test_comments_reach_the_other_tabs_and_a_reload() -> None:
    office = desk()
    play(office, answers("101"))
    [message] = office.note_saved(1, CALL, "call back", 1, at(7))
    assert message.type == "note.saved"
    assert office.note_saved(1, CALL, "older", 1, at(8)) == []
    [view] = office.hello(1, at(9)).calls
    assert view.note is not None
    assert (view.note.text, view.note.version) == ("call back", 1)


def test_someone_sits_down_in_the_middle_of_a_ring() -> None:
    office = desk()
    play(office, rings("199"))
    messages = office.set_directory(Office(e199=9))
    assert told(messages) == [(9, "call.ringing", "ringing")]


def test_the_state_of_a_link_goes_to_those_who_sit_there() -> None:
    office = desk()
    office.hello(1, at(0))
    office.hello(8, at(0))  # sits nowhere
    up = ConnectionView(id=1, name="Main", state="up")
    assert [message.user_id for message in office.set_connection(up)] == [1]
    assert office.set_connection(up) == []
    assert office.hello(1, at(1)).presence.connections == (up,)
    assert office.hello(8, at(1)).presence.connections == ()


class Everything:
    shows_parties = True

    def __init__(self, teams: frozenset[int] | None = None) -> None:
        self.teams = teams

    def covers(self, *, users: Any, teams: Any) -> bool:
        return self.teams is None or not self.teams.isdisjoint(teams)


def test_watchers_see_everybodys_calls_within_their_rights() -> None:
    office = desk()
    assert office.watch(1, 50, Everything()).calls == ()
    office.watch(2, 51, Everything(frozenset({2})))
    messages = play(office, arrived(), rings("101"))
    assert [(message.user_id, message.type, message.topic) for message in messages] == [
        (50, "call.updated", "calls"),
        (1, "call.ringing", None),
        (50, "call.ringing", "calls"),
    ]
    office.unwatch(1)
    assert [message.user_id for message in play(office, rings("103", "101"))] == [3, 51]


def test_missed_messages_are_replayed_or_a_new_picture_is_due() -> None:
    office = desk()
    play(office, rings("101"), answers("101"), ends())
    epoch = office.hello(1, at(70)).epoch
    missed = office.since(1, epoch, 1)
    assert missed is not None
    assert [(message.seq, message.type) for message in missed] == [(2, "call.answered"), (3, "call.ended")]
    assert office.since(1, epoch, 3) == []
    assert office.since(1, epoch, 4) is None
    assert office.since(1, "another", 1) is None


def test_i10_only_so_many_messages_are_kept() -> None:
    office = desk()
    play(office, answers("101"))
    for version in range(1, mailboxes.KEPT_MESSAGES + 2):
        office.note_saved(1, CALL, "x", version, at(7))
    hello = office.hello(1, at(8))
    assert office.since(1, hello.epoch, 1) is None
    kept = office.since(1, hello.epoch, 2)
    assert kept is not None
    assert len(kept) == mailboxes.KEPT_MESSAGES


def test_i10_only_so_many_calls_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cti.desk.present_calls.KEPT_CALLS", 2)
    office = desk()
    ids = [UUID(int=number) for number in range(1, 4)]
    for number, call_id in enumerate(ids):
        office.apply(1, call_id, rings("101", key=f"1.{number}", linked_ids=(f"1.{number}",)))
    assert [call_id for call_id in ids if office.call(call_id)] == ids[1:]


def test_i10_only_so_many_mailboxes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailboxes, "KEPT_MAILBOXES", 2)
    office = desk()
    first = office.hello(1, at(0)).epoch
    office.hello(2, at(0))
    office.hello(3, at(0))
    assert office.hello(1, at(0)).epoch != first


EXTENSIONS = st.sampled_from(["101", "102", "103", "199"])
EVENTS = st.one_of(
    st.builds(arrived),
    st.builds(rings, EXTENSIONS, EXTENSIONS),
    st.builds(answers, EXTENSIONS),
    st.builds(stops, EXTENSIONS, st.sampled_from(["declined", "no_answer", "elsewhere", "caller_left"])),
    st.builds(ends),
)


@given(st.lists(EVENTS, max_size=12))
def test_what_was_told_adds_up_to_the_picture(events: list[CallEvent]) -> None:
    """I12: a page that heard every message shows what a page that just opened is told."""
    office = desk()
    pages: dict[int, CallView] = {}
    for event in events:
        for message in office.apply(1, CALL, event):
            pages[message.user_id] = view_of(message)
    for user_id in (1, 2, 3):
        new = {view.id: view for view in office.hello(user_id, at(0) - timedelta(hours=1)).calls}
        old = pages.get(user_id)
        assert new.get(CALL) == (old if old and old.state is not SeatState.STOPPED else None)


@given(st.lists(EVENTS, max_size=12))
def test_numbers_of_messages_have_no_gaps(events: list[CallEvent]) -> None:
    office = desk()
    seen: dict[int, list[int | None]] = {}
    for event in events:
        for message in office.apply(1, CALL, event):
            seen.setdefault(message.user_id, []).append(message.seq)
    for numbers in seen.values():
        assert numbers == list(range(1, len(numbers) + 1))


def test_whoever_is_muted_sees_it_in_every_tab_until_the_talk_ends() -> None:
    office = desk()
    play(office, arrived(), rings("101"), answers("101"))
    office.set_abilities(1, frozenset({"mute", "hang_up"}))
    assert view_of(office.set_muted(1, CALL, is_muted=True)[0]).is_muted
    assert [view.is_muted for view in office.hello(1, at(5)).calls] == [True]
    assert office.set_muted(2, CALL, is_muted=True) == []
    ended = play(office, ends(answered_by="101"))
    assert [view_of(message).is_muted for message in ended if message.user_id == 1] == [False]
