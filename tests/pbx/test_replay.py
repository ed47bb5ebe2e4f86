"""A stream recorded from a real PBX tells, replayed, the same calls that were told live."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from ami_adapter.replay import replay_calls
from cti.calls.call_events import CallEnded
from cti.calls.records import CallRecord
from cti.calls.telling import tell_call
from cti.numbers import NumberingProfile, to_e164
from tests.pbx.ami_tap import AmiTap
from tests.pbx.asterisk_lab import READER, AsteriskLab
from tests.pbx.listening import listening
from tests.pbx.telephones import NEVER_SECONDS, agents, customer

TIMES = {"started_at", "answered_at", "ended_at", "ring_s", "wait_s", "talk_s", "hold_s"}
SECONDS = {"ring_s", "wait_s", "talk_s"}


async def test_the_recorded_stream_tells_the_same_calls(pbx: AsteriskLab, tmp_path: Path) -> None:
    recording = tmp_path / "two-calls.ami"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(agents(pbx, e101=NEVER_SECONDS, e103=1))
        tap = await stack.enter_async_context(AmiTap(pbx, READER))
        heard = await stack.enter_async_context(listening(pbx))
        async with customer(pbx, "+79161234567", "74951234520", name="ООО «Ромашка»", stays=3):
            pass
        async with customer(pbx, "4951112233", "74951234501", patience=1):
            pass
        await heard.until(CallEnded, count=2)
        live = [as_told(event.call) for event in heard.told(CallEnded)]
        await tap.ask("Ping")  # whatever belongs to the calls has arrived before its answer
        tap.save(recording)
    replayed = replay_calls(recording, timing=recording.with_suffix(".timing.json"))
    assert [without_times(call) for call in replayed] == [without_times(call) for call in live]
    assert [call["disposition"] for call in replayed] == ["answered", "abandoned"]
    for told_live, told_later in zip(live, replayed, strict=True):
        assert {name: told_later[name] for name in SECONDS} == pytest.approx(
            {name: told_live[name] for name in SECONDS}, abs=0.2
        )
    # timestampevents = yes of manager.conf: the recording needs no timing file.
    assert [call["talk_s"] for call in replay_calls(recording)] == [call["talk_s"] for call in replayed]


def as_told(call: CallRecord) -> dict[str, Any]:
    return tell_call(call, lambda number: to_e164(number, NumberingProfile(region="RU")).e164)


def without_times(call: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name not in TIMES}
