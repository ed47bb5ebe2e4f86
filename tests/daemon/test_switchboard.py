"""The straight line: windows before the journal, the journal before the match, one id whatever a call is named by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from crm.directory import ConnectionDirectory, Directory, DirectoryExtension, DirectoryLine
from crm.journal_entries import CallEntry, Entry, SnapshotEntry
from crm.matching import MatchedParty, MatchOutcome, MatchResult
from cti.calls.call_events import CallArrived, CallEnded, CallRinging, CallsJoined, SnapshotApplied
from cti.calls.records import CallRecord, CallState, Direction, Disposition
from cti.daemon.call_ids import CallIds
from cti.daemon.recognition import Question
from cti.daemon.switchboard import Switchboard
from cti.desk import Desk, EmptyDirectory, Message
from cti.numbers import NumberingProfile

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PARTY = MatchedParty(
    id=7, number=7, type="organisation", name="ООО «Пример»", kinds=("client",), former_kinds=(), lifecycle="active",
    owner_id=None, owner_name=None, team_id=None, contact_id=None, contact_name=None, position=None, is_primary=False,
    organisations=(), do_not_call=False, last_talk_at=None, last=None,
)  # fmt: skip
MATCHED = MatchResult(outcome=MatchOutcome.MATCHED, e164="+79161234501", parties=(PARTY,), owners=1)


def call(**more: object) -> CallRecord:
    first = CallRecord(
        key="1.1",
        linked_ids=("1.1",),
        direction=Direction.INBOUND,
        state=CallState.RINGING,
        customer_number="89161234501",
        did="74951234501",
        ringing=("101",),
        started_at=AT,
    )
    return replace(first, **more)  # type: ignore[arg-type]


class Line:
    """A switchboard whose neighbours write down what they are given, in one order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []
        self.on_question: Callable[[], None] = lambda: None
        self.ids = CallIds()
        self.board = Switchboard(
            desk=Desk(EmptyDirectory(), epoch="e"),
            journal=self,
            ask=self.ask,
            deliver=self.deliver,
            now=lambda: AT,
            ids=self.ids,
        )
        self.board.set_directory(directory())

    def ask(self, question: Question) -> None:
        self.told.append(("ask", question))
        self.on_question()

    def put(self, entry: Entry) -> None:
        self.told.append(("journal", entry))

    def deliver(self, messages: Iterable[Message]) -> None:
        self.told += [("window", message) for message in messages]

    def kinds(self) -> list[str]:
        return [kind for kind, _value in self.told]

    def questions(self) -> list[Question]:
        return [value for _kind, value in self.told if isinstance(value, Question)]

    def entries(self) -> list[CallEntry]:
        return [value for _kind, value in self.told if isinstance(value, CallEntry)]


def directory() -> Directory:
    agent = DirectoryExtension(
        id=1,
        connection_id=1,
        digits="101",
        endpoints=(),
        user_id=5,
        user_name="Anna",
        team_id=None,
        team_name=None,
    )
    line = DirectoryLine(
        id=3,
        connection_id=1,
        e164="+74951234501",
        presented="+74951234501",
        name="Sales",
        colour=None,
        team_id=None,
    )
    connection = ConnectionDirectory(
        id=1,
        name="lab",
        kind="asterisk",
        is_enabled=True,
        time_zone=None,
        profile=NumberingProfile(extensions=frozenset({"101"})),
        profile_id=None,
        lines={line.e164: line},
        extensions={"101": agent},
        extension_of_endpoint={},
    )
    return Directory(connections={1: connection}, own_numbers=frozenset({line.e164}))


def test_the_window_comes_first_then_the_journal_then_the_question() -> None:
    line = Line()
    line.board.receive(1, [CallRinging(call=call(), extension="101", at=AT)])
    assert line.kinds() == ["window", "journal", "ask"]
    (entry,), (question,) = line.entries(), line.questions()
    assert (entry.facts.customer_e164, entry.facts.line_id, entry.facts.match_status) == (
        "+79161234501",
        3,
        None,
    )
    assert (question.call_id, question.line_id) == (entry.call_id, 3)


def test_a_number_is_asked_about_once_and_the_answer_reaches_window_and_journal() -> None:
    line = Line()
    line.board.receive(
        1, [CallArrived(call=call(ringing=()), at=AT), CallRinging(call=call(), extension="101", at=AT)]
    )
    (question,) = line.questions()
    line.told.clear()
    line.board.recognised(question, MATCHED)
    assert line.kinds() == ["window", "journal"]
    assert (line.entries()[0].facts.party_id, line.entries()[0].facts.match_status) == (7, "matched")
    ended = call(state=CallState.ENDED, ringing=(), ended_at=AT, disposition=Disposition.ABANDONED)
    line.board.receive(1, [CallEnded(call=ended, at=AT)])
    assert line.entries()[-1].facts.party_id == 7
    assert len(line.questions()) == 0


def test_after_a_merge_the_window_of_a_present_call_switches_to_the_survivor() -> None:
    line = Line()
    line.board.receive(1, [CallRinging(call=call(), extension="101", at=AT)])
    line.board.recognised(line.questions()[0], MATCHED)
    line.told.clear()
    line.board.ask_again()
    (question,) = line.questions()
    survivor = replace(PARTY, id=8, name="ООО «Преемник»")
    line.board.recognised(question, replace(MATCHED, parties=(survivor,)))
    (message,) = [value for _kind, value in line.told if isinstance(value, Message)]
    assert message.type == "call.matched"
    assert line.entries()[-1].facts.party_id == 8
    ended = call(state=CallState.ENDED, ringing=(), ended_at=AT, disposition=Disposition.ABANDONED)
    line.board.receive(1, [CallEnded(call=ended, at=AT)])
    line.told.clear()
    line.board.ask_again()
    assert line.questions() == []


def test_a_call_between_colleagues_asks_nobody() -> None:
    line = Line()
    internal = call(direction=Direction.INTERNAL, customer_number=None, did=None)
    line.board.receive(1, [CallRinging(call=internal, extension="101", at=AT)])
    assert line.questions() == []
    assert line.entries()[0].facts.match_status == "internal"


def test_joined_calls_keep_the_survivors_id_and_both_names() -> None:
    line = Line()
    older, consultation = call(), call(key="2.1", linked_ids=("2.1",), ringing=("102",))
    line.board.receive(1, [CallArrived(call=older, at=AT), CallArrived(call=consultation, at=AT)])
    survivor = line.ids.of(1, older)
    joined = call(linked_ids=("1.1", "2.1"))
    line.board.receive(1, [CallsJoined(call=joined, absorbed_key="2.1", at=AT)])
    assert line.ids.of(1, joined) == survivor == line.ids.of(1, consultation)


def test_a_call_of_an_earlier_run_keeps_its_id() -> None:
    line = Line()
    stored = UUID("019aa0c2-0000-7000-8000-00000000000a")
    line.ids.learn(1, stored, ["1.1"])
    line.board.receive(1, [CallArrived(call=call(), at=AT)])
    assert line.entries()[0].call_id == stored


def test_the_journal_found_another_id_and_windows_follow() -> None:
    line = Line()
    line.board.receive(1, [CallRinging(call=call(), extension="101", at=AT)])
    told = line.entries()[0].call_id
    stored = UUID("019aa0c2-0000-7000-8000-00000000000b")
    line.told.clear()
    line.board.stored_as(told, stored)
    (message,) = [value for _kind, value in line.told if isinstance(value, Message)]
    assert (getattr(message.data, "id", None), getattr(message.data, "was", None)) == (stored, told)
    assert line.ids.of(1, call()) == stored


def test_a_snapshot_names_every_present_linked_id_and_asks_who_is_there() -> None:
    line = Line()
    present = call(state=CallState.TALKING, ringing=(), talking=("101",), linked_ids=("1.1", "3.3"))
    line.board.receive(1, [SnapshotApplied(present=(present,), at=AT)])
    (snapshot,) = [value for _kind, value in line.told if isinstance(value, SnapshotEntry)]
    assert snapshot.present == ("1.1", "3.3")
    assert len(line.questions()) == 1


def test_i18_a_failing_window_costs_no_row_and_no_later_event(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()
    apply, failures = Desk.apply, [RuntimeError("a defect")]

    def fail_once(desk: Desk, *arguments: Any) -> list[Message]:
        if failures:
            raise failures.pop()
        return apply(desk, *arguments)

    monkeypatch.setattr(Desk, "apply", fail_once)
    line.board.receive(
        1, [CallArrived(call=call(ringing=()), at=AT), CallRinging(call=call(), extension="101", at=AT)]
    )
    assert line.kinds() == ["journal", "ask", "window", "journal"]


def test_i18_an_event_that_cannot_be_told_costs_itself_only(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()
    broken = CallRinging(call=None, extension="101", at=AT)  # type: ignore[arg-type]
    line.board.receive(1, [broken, CallRinging(call=call(), extension="101", at=AT)])
    assert line.kinds() == ["window", "journal", "ask"]


def test_nothing_is_kept_of_calls_that_are_over() -> None:
    """A day's calls must not fill the memory: the journal has them."""
    line = Line()
    ended = call(state=CallState.ENDED, ringing=(), ended_at=AT, disposition=Disposition.ABANDONED)
    line.board.receive(1, [CallRinging(call=call(), extension="101", at=AT)])
    (question,) = line.questions()
    line.board.receive(1, [CallEnded(call=ended, at=AT)])
    assert line.board.calls_known == 1  # who calls is still asked
    line.board.recognised(question, MATCHED)
    assert (line.board.calls_known, line.entries()[-1].facts.party_id) == (0, 7)


def test_an_answer_finds_the_call_that_has_another_id_meanwhile() -> None:
    line = Line()
    line.board.receive(1, [CallRinging(call=call(), extension="101", at=AT)])
    (question,) = line.questions()
    stored = UUID("019aa0c2-0000-7000-8000-00000000000b")
    line.board.stored_as(question.call_id, stored)
    line.told.clear()
    line.board.recognised(question, MATCHED)
    assert line.kinds() == ["window", "journal"]
    assert (line.entries()[0].call_id, line.entries()[0].facts.party_id) == (stored, 7)
    ended = call(state=CallState.ENDED, ringing=(), ended_at=AT, disposition=Disposition.ABANDONED)
    line.board.receive(1, [CallEnded(call=ended, at=AT)])
    assert line.board.calls_known == 0


def test_the_answer_about_a_former_number_is_not_the_last_word() -> None:
    line = Line()
    line.board.receive(1, [CallRinging(call=call(), extension="101", at=AT)])
    other = call(customer_number="89161234502")
    line.board.receive(1, [CallRinging(call=other, extension="102", at=AT)])
    former, latter = line.questions()
    ended = replace(other, state=CallState.ENDED, ringing=(), ended_at=AT, disposition=Disposition.ABANDONED)
    line.board.receive(1, [CallEnded(call=ended, at=AT)])
    line.board.recognised(former, MatchResult(outcome=MatchOutcome.UNKNOWN, e164="+79161234501"))
    assert line.board.calls_known == 1
    line.board.recognised(latter, MATCHED)
    facts = line.entries()[-1].facts
    assert (facts.party_id, facts.customer_e164, line.board.calls_known) == (7, "+79161234502", 0)


def test_nothing_is_kept_of_a_call_about_which_nobody_answers() -> None:
    line = Line()
    line.board.receive(1, [CallRinging(call=call(), extension="101", at=AT)])
    (question,) = line.questions()
    line.board.not_recognised(question)
    assert line.board.calls_known == 1  # it goes on
    ended = call(state=CallState.ENDED, ringing=(), ended_at=AT, disposition=Disposition.ABANDONED)
    line.board.receive(1, [CallEnded(call=ended, at=AT)])
    assert (line.board.calls_known, len(line.questions())) == (0, 1)


def test_to_ask_again_may_end_a_question_about_a_call_that_is_over() -> None:
    line = Line()
    over = call(state=CallState.ENDED, ringing=(), ended_at=AT, disposition=Disposition.ABANDONED)
    line.board.receive(1, [CallRinging(call=call(), extension="101", at=AT), CallEnded(call=over, at=AT)])
    going_on = [call(key=key, linked_ids=(key,)) for key in ("2.1", "3.1")]
    line.board.receive(1, [CallRinging(call=each, extension="102", at=AT) for each in going_on])
    first, *_others = line.questions()
    line.on_question = lambda: line.board.not_recognised(first)
    line.board.ask_again()
    assert (line.board.calls_known, len(line.questions())) == (2, 5)
