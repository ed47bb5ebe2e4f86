"""Every recorded stream, told as calls, gives the truth that was written beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ami_adapter.replay import ReplayFailed, call_events, connected_at, replay_calls, timed_chunks, track
from cti.calls.call_events import CallEvent, SnapshotApplied
from cti.calls.channel_events import ChannelEvent, HangupRequested
from cti.calls.records import CallRecord, CallState, Origin
from cti.calls.tracker import CallTracker
from tests.captures import ALL, OTHER, Capture, capture

Told = dict[str, Any]

GAPS = "27-"  # the link was cut, or the PBX restarted: each half is asserted by its own test
FOREIGN = [one for one in OTHER if one.pbx != "other22"]
WHOLE = [one for one in ALL if not one.scenario.startswith(GAPS)]

FINER = {  # `docs/calls.md`: a finer word for the same outcome
    "no_answer": {"abandoned", "declined", "not_served", "cancelled"},
    "busy": {"declined"},
    "abandoned": {"menu_only"},
}
SAME = (
    "direction",
    "did",
    "did_raw",
    "answered",
    "answered_by",
    "placed_by",
    "final_agent",
    "queue",
    "hung_up_by",
)
CLOSE = 0.6  # seconds


def tell(one: Capture, **options: Any) -> list[Told]:
    return replay_calls(one.path, timing=one.timing_path, **options)


def with_customers(calls: list[Told]) -> list[Told]:
    return [call for call in calls if call["direction"] != "internal"]


def matched(told: list[Told], truths: list[Told]) -> Iterator[tuple[Told, Told]]:
    """Each truth with its call: the same number, the same line."""
    left = list(told)
    for truth in truths:
        numbers = (truth["customer_number_raw"], truth.get("number_known_to_pbx"))
        call = next(
            one
            for one in left
            if one["customer_number_raw"] in numbers and one["did_raw"] == truth["did_raw"]
        )
        left.remove(call)
        yield call, truth


def differences(call: Told, truth: Told) -> Iterator[str]:
    for name in SAME:
        if name in truth and call[name] != truth[name]:
            yield f"{name}: {call[name]!r}, truth {truth[name]!r}"
    # A number that the network asked to withhold and the PBX passed on: nothing in the stream marks it.
    if call["customer_e164"] != truth["customer_e164"] and not truth.get("number_known_to_pbx"):
        yield f"customer_e164: {call['customer_e164']!r}, truth {truth['customer_e164']!r}"
    if sorted(call["rang"]) != sorted(truth["rang"]):
        yield f"rang: {call['rang']}, truth {truth['rang']}"
    yield from outcome_differences(call, truth)
    yield from time_differences(call, truth)


def outcome_differences(call: Told, truth: Told) -> Iterator[str]:
    fair = {truth["disposition"], *truth.get("also_acceptable", ())}
    if call["disposition"] not in fair.union(*(FINER.get(word, set()) for word in fair)):
        yield f"disposition: {call['disposition']}, truth {truth['disposition']}"
    files = truth.get("recording_any_of") or [truth["recording_file"]]
    if call["recording_file"] not in files:
        yield f"recording_file: {call['recording_file']}, truth {files}"
    told = [(one["from"], one["to"], one["kind"], one["outcome"] == "answered") for one in call["transfers"]]
    real = [(one["from"], one["to"], one["kind"], one["target_answered"]) for one in truth["transfers"]]
    if told != real:
        yield f"transfers: {told}, truth {real}"
    if call["open"]:
        yield "the call never ended"


def time_differences(call: Told, truth: Told) -> Iterator[str]:
    ring, talk = truth.get("approx_ring_s"), truth.get("approx_talk_s")
    if ring is not None and abs(call["ring_s"] - ring) > CLOSE:
        yield f"ring_s: {call['ring_s']}, truth {ring}"
    if talk is not None and abs(call["talk_s"] + call["hold_s"] - talk) > CLOSE:
        yield f"talk_s + hold_s: {call['talk_s']} + {call['hold_s']}, truth {talk}"
    if "hold_s" in truth and abs(call["hold_s"] - sum(truth["hold_s"])) > CLOSE:
        yield f"hold_s: {call['hold_s']}, truth {truth['hold_s']}"


@pytest.mark.parametrize("one", WHOLE, ids=lambda one: one.name)
def test_a_capture_gives_its_truth(one: Capture) -> None:
    told, truths = with_customers(tell(one)), one.truth["calls"]
    assert len(told) == len(truths)
    found = [
        f"{truth['customer_number_raw']}: {text}"
        for call, truth in matched(told, truths)
        for text in differences(call, truth)
    ]
    assert found == []


@pytest.mark.parametrize("one", [*WHOLE, *FOREIGN], ids=lambda one: one.name)
def test_inside_calls_are_told_as_such(one: Capture) -> None:
    inside = [call for call in tell(one) if call["direction"] == "internal"]
    told = {(call["placed_by"], call["dialled"]): call["answered"] for call in inside}
    for truth in one.truth.get("internal_calls", ()):
        key = (truth["from"], truth["to"])
        assert key in told
        if not truth["to"].startswith("*"):  # a service of the PBX answers; nobody talks
            assert told[key] == truth["answered"]


@pytest.mark.parametrize("one", WHOLE[::7], ids=lambda one: one.name)
def test_without_timing_the_calls_are_the_same_but_for_their_times(one: Capture) -> None:
    for with_times, without in zip(
        with_customers(tell(one)), with_customers(replay_calls(one.path)), strict=True
    ):
        is_stamped = "cdr-cel" in one.scenario
        for name in (
            "direction",
            "customer_number_raw",
            "rang",
            "answered_by",
            "disposition",
            "recording_file",
        ):
            assert with_times[name] == without[name]
        for name in ("ring_s", "talk_s", "started_at", "ended_at"):
            assert is_stamped or without[name] is None


def test_timestamp_headers_tell_times_without_a_timing_file() -> None:
    one = capture("asterisk22/30-cdr-cel-userevent")
    calls = with_customers(replay_calls(one.path))
    found = [
        text for call, truth in matched(calls, one.truth["calls"]) for text in time_differences(call, truth)
    ]
    assert found == []
    assert calls[0]["started_at"].startswith("2026-11-21T")


@pytest.mark.parametrize(
    "name", ["asterisk22/04-ring-group", "freepbx16/05-group-ringall", "asterisk16/11-outbound-failed"]
)
def test_an_internal_pattern_decides_alone(name: str) -> None:
    one = capture(name)
    told = with_customers(tell(one, internal_pattern=r"10\d"))
    assert [list(differences(*pair)) for pair in matched(told, one.truth["calls"])] == [[]] * len(told)


def test_a_pattern_that_no_extension_matches_leaves_nobody_to_ring() -> None:
    assert tell(capture("asterisk22/04-ring-group"), internal_pattern=r"7\d\d")[0]["rang"] == []


def test_calls_have_the_fields_that_outside_programs_rely_on() -> None:
    (call,) = tell(capture("asterisk22/01-inbound-answered"))
    relied_on = {
        *("direction", "customer_number_raw", "customer_e164", "did", "did_raw", "queue", "rang", "answered"),
        *(
            "answered_by",
            "placed_by",
            "disposition",
            "transfers",
            "final_agent",
            "hung_up_by",
            "ring_s",
            "wait_s",
        ),
        *(
            "talk_s",
            "hold_s",
            "recording_file",
            "linked_ids",
            "started_at",
            "answered_at",
            "ended_at",
            "open",
            "story",
        ),
    }
    assert relied_on <= set(call)
    assert json.loads(json.dumps(call)) == call
    assert call["story"][0].endswith("89161234501 calls +74951234501")


def test_the_clock_of_a_recording_comes_from_its_login() -> None:
    one = capture("asterisk16/01-inbound-answered")
    real = datetime.fromisoformat(one.truth["capture"]["t0_utc"])
    assert abs(connected_at(one.stream, one.timing) - real) < timedelta(seconds=0.1)
    without_login = one.stream.replace(b"EventTV: ", b"EventXX: ")
    assert abs(connected_at(without_login, one.timing) - real) < timedelta(seconds=2)
    assert connected_at(b"", one.timing) == datetime.fromtimestamp(0, UTC)


def test_a_recording_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ReplayFailed, match="cannot be read"):
        replay_calls(tmp_path / "missing.ami")
    (tmp_path / "bad.ami.xz").write_bytes(b"no xz")
    with pytest.raises(ReplayFailed, match="cannot be read"):
        replay_calls(tmp_path / "bad.ami.xz")
    (tmp_path / "empty.ami").write_bytes(b"")
    (tmp_path / "bad.timing.json").write_text('{"no": "list"}')
    with pytest.raises(ReplayFailed, match="bytes"):
        replay_calls(tmp_path / "empty.ami", timing=tmp_path / "bad.timing.json")
    with pytest.raises(ReplayFailed, match="regular expression"):
        replay_calls(tmp_path / "empty.ami", internal_pattern="(")
    assert replay_calls(tmp_path / "empty.ami") == []
    (tmp_path / "endless.ami").write_bytes(b"x" * 200_000)
    with pytest.raises(ReplayFailed, match="no AMI stream"):
        replay_calls(tmp_path / "endless.ami")


def test_i18_a_message_that_raises_costs_only_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    apply = CallTracker.apply
    raised: list[ChannelEvent] = []

    def apply_but_once(self: CallTracker, event: ChannelEvent) -> list[CallEvent]:
        if isinstance(event, HangupRequested) and not raised:
            raised.append(event)
            raise ZeroDivisionError
        return apply(self, event)

    monkeypatch.setattr(CallTracker, "apply", apply_but_once)
    (call,) = tell(capture("asterisk22/01-inbound-answered"))
    assert (raised != [], call["answered_by"], call["open"]) == (True, "101", False)
    assert "HangupRequest" in caplog.text


# -- gaps: the same tracker before and after ---------------------------------------------------------------------


def halves(pbx: str, scenario: str) -> Iterator[tuple[bytes, datetime]]:
    """Both connections one after the other, on one clock."""
    start = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    for half in ("before", "after"):
        one = capture(f"{pbx}/{scenario}-{half}")
        offset = timedelta(seconds=one.truth["capture"]["t0_offset_s"])
        reached = 0
        for seconds, size in one.timing:
            yield one.stream[reached : reached + size], start + offset + timedelta(seconds=seconds)
            reached += size
        yield b"\r\n\r\n", start + offset + timedelta(seconds=one.timing[-1][0])


def told_over_the_gap(pbx: str, scenario: str) -> list[CallRecord]:
    return track(halves(pbx, scenario), CallTracker())


@pytest.mark.parametrize("pbx", ["asterisk16", "asterisk22"])
def test_i04_calls_go_on_after_a_gap_and_what_happened_in_it_is_not_invented(pbx: str) -> None:
    up, rang, queued = told_over_the_gap(pbx, "27-link-drop")
    assert (up.answered_by, up.rang, up.origin) == ("101", ("101",), Origin.LIVE)
    assert up.talk_seconds == pytest.approx(12.5, abs=0.6)
    assert up.recording_file is not None
    assert (rang.answered_by, rang.rang, rang.answered_at) == ("102", ("102",), None)
    assert rang.ring_seconds is None  # answered while nobody listened
    assert (queued.queue, queued.rang, queued.disposition) == ("sales", ("103",), "abandoned")
    assert queued.origin is Origin.ATTACHED
    assert all(call.state is CallState.ENDED for call in (up, rang, queued))


@pytest.mark.parametrize("pbx", ["asterisk16", "asterisk22"])
def test_a_restart_of_the_pbx_ends_its_calls(pbx: str) -> None:
    killed, later = told_over_the_gap(pbx, "27-core-restart")
    assert (killed.answered_by, killed.disposition, killed.state) == ("101", "answered", CallState.ENDED)
    assert (later.answered_by, later.disposition, later.state) == ("103", "answered", CallState.ENDED)


@pytest.mark.parametrize("pbx", ["asterisk16", "asterisk22"])
def test_i04_calls_that_ended_in_the_gap_are_closed_as_unseen(pbx: str) -> None:
    before = capture(f"{pbx}/27-link-drop-before")
    after = capture(f"{pbx}/27-core-restart-after")  # another PBX's picture: none of the calls is in it
    tracker = CallTracker()
    chunks = [*timed_chunks(before.stream, before.timing), *timed_chunks(after.stream, after.timing)]
    unseen = [
        event.call
        for event in call_events(chunks, tracker)
        if not isinstance(event, SnapshotApplied) and event.call.ended_unseen
    ]
    assert {call.disposition for call in unseen} == {"answered", None}
    assert tracker.present() == []


@pytest.mark.parametrize(
    "one", [one for one in ALL if one.scenario == "27-link-drop-before"], ids=lambda one: one.name
)
def test_a_stream_that_stops_leaves_its_calls_open(one: Capture) -> None:
    up, ringing = tell(one)
    assert (up["open"], up["answered_by"], up["disposition"]) == (True, "101", None)
    assert (ringing["open"], ringing["answered"], ringing["rang"]) == (True, False, ["102"])
