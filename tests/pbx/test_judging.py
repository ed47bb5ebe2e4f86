"""The judge of the long suite: what it hears, and that it does not let a wrong telling pass."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pbx.judging import Expected, Run, differences, seconds_of, talks_of
from tests.pbx.phones.line import Line
from tests.pbx.phones.phone import Phone
from tests.pbx.phones.sound import FRAME, MUSIC_HZ, VOICES_HZ, heard_in, tone

AGENT_HZ, CUSTOMER_HZ = 700, 2000


def line(name: str, hz: int, *, is_ours: bool) -> Line:
    return Line(Phone(name, "127.0.0.2", "127.0.0.1", voices=hz), hz, is_ours=is_ours, number="1")


@pytest.fixture
def run() -> Run:
    """101 rings for a second and talks for three; the customer hangs up."""
    customer, agent = line("provider", CUSTOMER_HZ, is_ours=True), line("101", AGENT_HZ, is_ours=False)
    agent.notes.rang_at, agent.notes.answered_at = 10.0, 11.0
    customer.notes.answered_at, customer.notes.ended_at, customer.notes.ended_by = 11.0, 14.0, "us"
    customer.notes.heard = [(11.0 + tenth / 10, frozenset({AGENT_HZ})) for tenth in range(31)]
    agent.answered.set()
    return Run(told=[told()], events=[], lines=[customer, agent])


def told(**otherwise: object) -> dict[str, Any]:
    call = {
        "key": "1.0",
        "linked_ids": ["1.0"],
        "direction": "inbound",
        "customer_number_raw": "89161230001",
        "did_raw": "74951234501",
        "queue": None,
        "placed_by": None,
        "dialled": None,
        "disposition": "answered",
        "answered": True,
        "answered_by": "101",
        "final_agent": "101",
        "hung_up_by": "customer",
        "rang": ["101"],
        "transfers": [],
        "talk_s": 3.0,
        "open": False,
    }
    return call | otherwise


def found(run: Run, *calls: dict[str, Any]) -> str:
    expected = Expected(
        customer=run.lines[0], number="89161230001", did="74951234501", disposition="answered"
    )
    seen = Run(told=calls, events=run.events, lines=run.lines)
    return "; ".join(differences(seen, [expected], []))


NOT_TOLD_LIVE = "the end of {'1.0'} was not told; call 1.0: cards at [], not at ['101']"  # no events here


def test_a_call_told_as_it_went_is_found_right(run: Run) -> None:
    assert found(run, told()) == NOT_TOLD_LIVE


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("answered_by", "102"),
        ("final_agent", "102"),
        ("hung_up_by", "agent"),
        ("rang", ["101", "102"]),
        ("rang", ["101", "101"]),
        ("talk_s", 5.0),
        ("disposition", "abandoned"),
        ("queue", "sales"),
        ("direction", "outbound"),
        ("transfers", [{"from": "101", "to": "102", "kind": "blind", "outcome": "answered"}]),
    ],
)
def test_whatever_is_told_otherwise_is_named(run: Run, name: str, wrong: object) -> None:
    assert f"call 1.0: {name}: " in found(run, told(**{name: wrong}))


def test_calls_too_many_too_few_or_without_an_end_are_named(run: Run) -> None:
    assert "2 calls with customers, not 1" in found(run, told(), told(key="2.0"))
    assert "0 calls with customers, not 1" in found(run)
    assert "call 1.0 never ended" in found(run, told(open=True))
    inside = told(direction="internal", placed_by="101", dialled="102")
    assert "calls among colleagues: [('101', '102', True)], not []" in found(run, told(), inside)


def test_the_ear_tells_each_voice_from_every_other() -> None:
    assert {hz: heard_in(tone(hz)) for hz in (MUSIC_HZ, *VOICES_HZ)} == {
        hz: frozenset({hz}) for hz in (MUSIC_HZ, *VOICES_HZ)
    }
    assert heard_in(b"\xd5" * FRAME) == frozenset()  # silence


def test_an_announcement_is_nobody() -> None:
    assert heard_in(bytes((step * 37 + step * step) % 256 for step in range(FRAME))) == frozenset()


def test_two_at_once_count_once_and_a_pause_does_not(run: Run) -> None:
    third = line("102", 800, is_ours=False)
    third.answered.set()
    customer = run.lines[0]
    customer.notes.heard = [(second / 10, frozenset({AGENT_HZ, 800})) for second in range(11)]
    customer.notes.heard += [(3 + second / 10, frozenset({800})) for second in range(11)]
    both = Run(told=[], events=[], lines=[*run.lines, third])
    talks = talks_of(both, customer)
    assert sorted((talk.name, round(talk.begins)) for talk in talks) == [("101", 0), ("102", 0), ("102", 3)]
    assert seconds_of(talks) == pytest.approx(2.0)
