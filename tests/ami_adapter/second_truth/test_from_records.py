"""Records of real calls tell the same as was heard live, as far as they can know it, and nothing else."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_adapter.second_truth import csv_file, from_cdr, from_cel
from ami_adapter.second_truth.from_cdr import Plant
from ami_adapter.second_truth.rows import CDR_COLUMNS, CEL_COLUMNS, cdr_row, cel_row, csv_row, moment
from ami_adapter.second_truth.source import CsvSource, FileUnreadable
from cti.calls.records import CallRecord, Direction, Disposition, Origin
from tests.ami_adapter.second_truth.recorded import (
    PLANTS,
    cdr_values,
    cel_values,
    live_calls,
    master_csv,
)

SECONDS = 1.1  # records are cut to the second, at both ends


def cel_calls(plant: str) -> list[CallRecord]:
    return from_cel.calls_of(row for values in cel_values(plant) if (row := cel_row(values, UTC)))


def cdr_calls(plant: str) -> list[CallRecord]:
    return from_cdr.calls_of((row for values in cdr_values(plant) if (row := cdr_row(values, UTC))), Plant())


@pytest.mark.parametrize("plant", PLANTS)
def test_cel_tells_what_was_heard_live(plant: str) -> None:
    told, live = cel_calls(plant), live_calls(plant)
    assert [call.key for call in told] == list(live)
    for call in told:
        heard = live[call.key]
        assert call.origin is Origin.BACK_FILLED
        for name in (
            "direction", "state", "customer_number", "customer_number_sent", "customer_name", "did", "queue",
            "placed_by", "dialled", "answered_by", "final_agent", "is_answered", "disposition",
        ):  # fmt: skip
            assert getattr(call, name) == getattr(heard, name), (call.key, name)
        assert call.hung_up_by in (heard.hung_up_by, None)
        assert call.hung_up_by is not None or not call.is_answered
        assert set(call.rang) == set(heard.rang)  # in which order they rang, it does not tell
        passed_on = [(one.from_extension, one.to, one.kind, one.outcome) for one in call.transfers]
        assert passed_on == [(one.from_extension, one.to, one.kind, one.outcome) for one in heard.transfers]
        for name in ("talk_seconds", "hold_seconds", "ring_seconds"):
            assert getattr(call, name) == pytest.approx(getattr(heard, name), abs=0.05), (call.key, name)
        assert all(part.rang_at is None for part in call.participations)  # CEL does not tell when


@pytest.mark.parametrize("plant", PLANTS)
def test_cdr_tells_what_it_can_know_and_nothing_else(plant: str) -> None:
    told, live = cdr_calls(plant), live_calls(plant)
    assert [call.key for call in told] == list(live)
    for call in told:
        heard = live[call.key]
        for name in ("direction", "queue", "placed_by", "answered_by", "final_agent"):
            assert getattr(call, name) == getattr(heard, name), (call.key, name)
        assert call.is_answered == heard.is_answered
        assert set(call.rang) == set(heard.rang)
        for name in ("did", "talk_seconds", "ring_seconds"):  # known, then right
            value, right = getattr(call, name), getattr(heard, name)
            assert value is None or value == right or value == pytest.approx(right, abs=SECONDS), (
                call.key,
                name,
            )
        assert call.hung_up_by is None
        assert not call.transfers
        assert call.started_at is not None
        assert heard.started_at is not None
        assert abs((call.started_at - heard.started_at).total_seconds()) < SECONDS
    outcomes = {call.key.rpartition(".")[2]: call.disposition for call in told}
    assert outcomes == {
        "0": Disposition.ANSWERED,
        "2": Disposition.ANSWERED,
        "7": Disposition.NO_ANSWER,  # who gave up, the caller or the dialplan, it cannot tell
        "9": Disposition.ANSWERED,
        "11": Disposition.BUSY,
        "13": None,  # a feature code: ANSWERED, but by nobody
    }


def test_a_queue_that_picked_up_is_no_answer() -> None:
    """All members rang, nobody came: the queue's own pick-up makes the record ANSWERED."""
    call = the_call([record(lastapp="Queue", lastdata="sales,t", dst="sales", dstchannel="", answer=START)])
    assert (call.disposition, call.answered_at, call.talk_seconds) == (Disposition.ABANDONED, None, 0.0)
    assert call.queue == "sales"


@pytest.mark.parametrize(
    ("lastapp", "outcome"),
    [
        ("VoiceMail", Disposition.VOICEMAIL),
        ("BackGround", Disposition.MENU_ONLY),
        ("Playback", None),
        ("Hangup", None),
    ],
)
def test_what_the_pbx_picks_up_itself_is_no_answer(lastapp: str, outcome: Disposition | None) -> None:
    call = the_call([record(lastapp=lastapp, dstchannel="", answer=START)])
    assert (call.disposition, call.is_answered, call.answered_at) == (outcome, False, None)


def test_a_queue_with_helper_channels_is_one_call() -> None:
    """FreePBX keeps linked ids: a member behind a Local pair has a record of his own."""
    helpers = record(
        channel="Local/101@from-queue-0001;2", dstchannel="PJSIP/101-02", linkedid="1.1", uniqueid="1.3"
    )
    asked = record(
        lastapp="Queue", lastdata="600,t", dstchannel="Local/101@from-queue-0001;1", linkedid="1.1"
    )
    call = the_call([asked, helpers])
    assert (call.answered_by, call.rang, call.queue) == ("101", ("101",), "600")
    assert call.talk_seconds is None  # the record counts from the queue's own pick-up
    without = [row | {"linkedid": ""} for row in (asked, helpers)]
    assert the_call(without).answered_by == "101"


def test_what_may_be_a_line_or_a_telephone_is_not_told() -> None:
    assert calls([record(channel="PJSIP/ivanov-01", src="101", dst="102", dstchannel="PJSIP/102-02")]) == []
    told = Plant(endpoints={"PJSIP/ivanov": "101"})
    call = calls([record(channel="PJSIP/ivanov-01", src="101", dst="102", dstchannel="PJSIP/102-02")], told)[
        0
    ]
    assert (call.direction, call.placed_by, call.answered_by) == (Direction.INTERNAL, "101", "102")


def test_times_are_those_of_the_pbx() -> None:
    call = calls([record()], zone=ZoneInfo("Europe/Moscow"))[0]
    assert call.started_at == START - timedelta(hours=3)


@pytest.mark.parametrize("plant", PLANTS)
def test_order_and_repeats_of_events_change_nothing(plant: str) -> None:
    rows = [row for values in cel_values(plant) if (row := cel_row(values, UTC))]
    assert from_cel.calls_of(rows + rows) == from_cel.calls_of(rows)
    cdr = [each for values in cdr_values(plant) if (each := cdr_row(values, UTC))]
    mixed = cdr + cdr
    random.Random(7).shuffle(mixed)
    assert from_cdr.calls_of(mixed, Plant()) == from_cdr.calls_of(cdr, Plant())


def test_a_call_whose_beginning_is_not_there_is_left_to_whoever_heard_it() -> None:
    values = cel_values("asterisk22")
    rows = [row for each in values[1:] if (row := cel_row(each, UTC))]
    assert len(from_cel.calls_of(rows)) == len(cel_calls("asterisk22")) - 1


def test_master_csv_is_read_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "FIRST_BYTES", 500)
    path = tmp_path / "Master.csv"
    old = master_csv("asterisk22").replace("2026-11-21", "2026-11-20")
    path.write_text(f'{old}"half a line,,\n"a","b"\n\x00\xff\n{master_csv("asterisk22")}', "utf-8")
    since = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
    rows = csv_file.read(CsvSource(path=path), since, since + timedelta(hours=2))
    assert from_cdr.calls_of(rows, Plant()) == cdr_calls("asterisk22")
    assert csv_file.read(CsvSource(path=path), since, since) == []


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(FileUnreadable, match="cannot be read"):
            csv_file.read(CsvSource(path=path), at, at)


NASTY = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.integers(),
    st.binary(max_size=20),
    st.datetimes(),
    st.sampled_from(
        [
            "ANSWERED",
            "NO ANSWER",
            "Dial",
            "Queue",
            "PJSIP/101-1",
            "Local/1@q;2",
            "101",
            "2026-11-21 20:58:47",
            "5",
            "1.1",
        ]
    ),
)


@given(st.lists(st.dictionaries(st.sampled_from(CDR_COLUMNS), NASTY), max_size=8))
def test_garbage_in_cdr_raises_nothing_and_invents_nothing(values: list[dict[str, Any]]) -> None:
    rows = [row for each in values if (row := cdr_row(each, UTC))]
    for call in from_cdr.calls_of(rows, Plant()):
        is_sound(call)


@given(st.lists(st.dictionaries(st.sampled_from(CEL_COLUMNS), NASTY), max_size=8))
def test_garbage_in_cel_raises_nothing_and_invents_nothing(values: list[dict[str, Any]]) -> None:
    for call in from_cel.calls_of(row for each in values if (row := cel_row(each, UTC))):
        is_sound(call)


@given(st.lists(st.text(max_size=12), max_size=20))
def test_garbage_in_a_file_raises_nothing(fields: list[str]) -> None:
    csv_row(fields, UTC)
    list(csv_file.rows_of([",".join(fields)], UTC))
    moment(fields[0] if fields else None, UTC)


def is_sound(call: CallRecord) -> None:
    assert call.key
    assert call.started_at is not None
    assert call.ended_at is not None
    assert call.ended_at >= call.started_at
    assert call.talk_seconds is None or call.talk_seconds >= 0


START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def record(**more: Any) -> dict[str, Any]:
    """An incoming call that 101 answers after five seconds, for a minute; `more` says what is otherwise."""
    values = {
        "src": "89160000001", "dst": "74950000001", "channel": "PJSIP/provider-01", "dstchannel": "PJSIP/101-02",
        "lastapp": "Dial", "lastdata": "PJSIP/101,20", "start": START, "answer": START + timedelta(seconds=5),
        "end": START + timedelta(seconds=65), "duration": 65, "billsec": 60, "disposition": "ANSWERED", "uniqueid": "1.1",
    }  # fmt: skip
    values |= more
    return {
        name: f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def calls(records: list[dict[str, Any]], plant: Plant | None = None, zone: Any = UTC) -> list[CallRecord]:
    return from_cdr.calls_of((row for values in records if (row := cdr_row(values, zone))), plant or Plant())


def the_call(records: list[dict[str, Any]]) -> CallRecord:
    (call,) = calls(records)
    return call
